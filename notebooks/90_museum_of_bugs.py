# %% [markdown]
# # Find the bug behind each picture
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/90_museum_of_bugs.ipynb)
#
# **What you will do:** Walk through twelve exhibits of wrong code that runs, look at what it draws, and name the line.
#
# **Learn:**
#
# - what twelve mistakes of real teaching code look like
# - which of them no picture shows
# - which check catches each
#
# **Need:** lessons 02, 03, 06 and 07.
#
# **Minutes:** 60

# %%
import importlib.util, subprocess, sys

if importlib.util.find_spec("ddpm_lite") is None:  # Colab, or a bare environment
    address = "git+https://github.com/ddpm-lite/ddpm_lite@v0.1.0"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", address], check=True)
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()

import torch
from ddpm_lite import load_pretrained, mnist, plots, widgets
plots.use_style()
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## The rules of the museum
#
# Every exhibit is a mistake that published teaching code had or has, written anew. All of it runs; none raises an error. First you see the **code**, then what it **draws** (orange: as written; blue: as meant). Name the wrong line before you open the answer. Below the answer, a **check** of this course is run on the wrong line, and you read what it says.
#
# Here is one *right* step back from $x_t$ to $x_{t-1}$ (lesson 07), and a walk that uses it. Exhibits differ from it.

# %%
model, diffusion = load_pretrained("mnist")
T, zero = diffusion.T, torch.zeros(1, dtype=torch.float64)
alpha_bar = (1 - torch.cat([zero, diffusion.schedule])).cumprod(0)  # (T+1,)
kept = alpha_bar[:: T // 50]  # (51,): a chain of 50 steps


def mean_back(x_t, eps_hat, a, t):  # a: the chain's table of alpha_bar
    beta = 1 - a[t] / a[t - 1]
    x0_hat = ((x_t - (1 - a[t]).sqrt() * eps_hat) / a[t].sqrt()).clamp(-1, 1)
    w_0, w_t = a[t - 1].sqrt() * beta, (1 - beta).sqrt() * (1 - a[t - 1])
    return (w_0 * x0_hat + w_t * x_t) / (1 - a[t]), beta


def step_back(x_t, eps_hat, a, t, z):
    mean, beta = mean_back(x_t, eps_hat, a, t)
    return mean + (beta * (1 - a[t - 1]) / (1 - a[t])).sqrt() * z  # no noise at t = 1

# %%
@torch.no_grad()
def walk(x, step, a=kept, c=1.0):
    """(B, ...) noise -> (n+1, B, ...): x_n, ..., x_0; the network is told the time of nearest noise."""
    noise, path, angle = torch.Generator().manual_seed(1), [x], alpha_bar.sqrt().acos()
    for t in range(len(a) - 1, 0, -1):
        told = int((angle - a[t].sqrt().acos()).abs().argmin().clamp(min=1))
        eps_hat = c * model(x, torch.full((len(x),), told))
        x = step(x, eps_hat, a, t, torch.randn(x.shape, generator=noise)).float()
        path.append(x)
    return torch.stack(path)


def caught(check, *arguments, **options):
    """Run a check that must fail, and print what it says."""
    try:
        check(*arguments, **options)
    except AssertionError as error:
        return print(f"{type(error).__name__}: {error}")
    raise RuntimeError("the check let a wrong line pass")


torch.set_num_threads(1)  # small batches: a second thread gains little
NAMES = ("as written", "as meant")
x_T = torch.randn(8, 1, 28, 28, generator=generator)
right = walk(x_T, step_back)  # (51, 8, 1, 28, 28)

# %% [markdown]
# ## Exhibit 1: The timid walk
#
# Eight spots in the plane (gray), and a sampler with their *exact* denoiser: whatever goes wrong is the sampler's fault. As written, the points huddle on the inner side of their spots.
#
# Each step adds fresh noise. What would too little of it do? Move $t$: when do the two clouds part?

# %%
def steps_1(d, denoiser, x, noise):
    for t in range(d.T, 0, -1):
        eps_hat = denoiser(x, t)
        mean, variance, x0_hat = d.p_mean_variance(eps_hat, x, t, clip=False)
        x = mean + variance * torch.randn(x.shape, generator=noise)
        yield x

# %%
from ddpm_lite import GaussianDiffusion, MixtureOracle, cosine_beta_schedule, ddpm_steps
from ddpm_lite.data import GaussianMixture

ring = GaussianMixture.ring(std=0.1)  # eight spots
data = ring.sample(1500, generator=generator)


def toy(n):  # a chain of n steps, and the exact denoiser of the spots in it
    d = GaussianDiffusion(cosine_beta_schedule(n))
    return d, MixtureOracle(d, ring.means, ring.std)


start = torch.randn(600, 2, generator=generator)
chain, oracle = toy(50)
written = [start, *steps_1(chain, oracle, start, torch.Generator().manual_seed(1))]
seeded = {"x_T": start, "generator": torch.Generator().manual_seed(1), "clip": False}
meant = [start, *(step.x for step in ddpm_steps(chain, oracle, start.shape, **seeded))]
assert written[-1].norm(dim=1).mean() < meant[-1].norm(dim=1).mean() - 0.05  # drawn inwards
picture = plots.CloudPicture(NAMES, data)
shown = [*range(0, 50, 2), 50]
frames = plots.render_frames(picture.figure, lambda i: picture(written[shown[i]], meant[shown[i]]), 26)
plots.show(frames[-1], alt="Eight spots; points as written huddle on their inner edges.")
widgets.scrub(frames, labels=[f"t = {50 - i}" for i in shown], value=25)

# %% [markdown]
# <details>
# <summary>The answer</summary>
#
# `variance * torch.randn(...)`: a sample of $\mathcal N(\mu,v)$ is $\mu+\sqrt v\,z$. A small variance is much smaller than its root, so nearly all noise is missing; means alone pull towards the middle of what is likely. Digits show it hardly (they only get bolder).
#
# Seen: diffusion-models-class, issues 18 and 63; How-Diffusion-Models-Work, issue 1; labml, issue 152; $1-\bar\alpha_t$ without its root: acids-ircam, issue 1.
#
# </details>

# %%
from ddpm_lite.checks import check_reverse_step


def reverse_step_1(x_t, t, eps_hat, z, beta, alpha_bar):
    mean = (x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat) / (1 - beta[t]).sqrt()
    return mean + beta[t] * (t > 1) * z


caught(check_reverse_step, reverse_step_1)

# %% [markdown]
# ## Exhibit 2: The rising fog
#
# A digit drowns in noise, as training needs it. Both rows end as noise. Compare their gray.

# %%
def q_sample_2(x_0, t, generator):
    eps = torch.rand(x_0.shape, generator=generator)
    signal, noise = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
    return (signal * x_0 + noise * eps).float()

# %%
digits = mnist("test", full=False)
x_0, times = digits.batch(torch.arange(8)), range(0, T + 1, 50)
written = [q_sample_2(x_0, t, torch.Generator().manual_seed(1)) for t in times]
meant = [diffusion.q_sample(x_0, t, generator=torch.Generator().manual_seed(1)) for t in times]
views = dict(zip(NAMES, (torch.stack(written), torch.stack(meant)), strict=True))
labels = [f"t = {t}" for t in times]
strip = plots.plot_strip({name: x[:, 3] for name, x in views.items()}, labels, n=7, width=9)
plots.show(strip, alt="As written, the noise is pale and has no black in it.")
gray = {name: x.flatten(1).mean(1) for name, x in views.items()}
widgets.scrub(views, labels=labels, n_columns=4, curve=gray)

# %% [markdown]
# The curves under the slider are mean gray levels: one goes to 0.5.
#
# <details>
# <summary>The answer</summary>
#
# `torch.rand`, uniform on $[0,1]$, for `torch.randn`. It has mean $\frac12$ and variance $\frac1{12}$: no noise ever darkens a pixel, and $x_T$ is not $\mathcal N(0,I)$. One letter. A picture of $x_T$ alone looks like noise, and the loss even *falls*: such noise is easier to guess.
#
# Seen: acids-ircam's notebooks (`rand_like`).
#
# </details>

# %%
from ddpm_lite.checks import verify

noise = q_sample_2(torch.zeros(100, 1, 28, 28), T, generator)
caught(verify, "mean of x_T", 0.0, noise.mean(), se=noise.numel() ** -0.5)
caught(verify, "variance of x_T", 1.0, noise.var(), se=(2 / noise.numel()) ** 0.5)

# %% [markdown]
# ## Exhibit 3: Fine with a thousand steps
#
# Code from a tutorial with $T=1000$ works. Someone sets $T=10$, and it does not. The network learns from `train_3`; samplers ask `model(x_t, t)` for $t=T,\dots,1$.
#
# The denoiser shown is the exact one that such a training ends in. Move $T$: from where on would you notice?

# %%
def train_3(model, optimizer, diffusion, x_0, t, eps):  # t: drawn from 0..T-1
    x_t = diffusion.q_sample(x_0, t + 1, eps)
    loss = (eps - model(x_t, t)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()

# %%
lengths, frames, spread = (5, 7, 10, 15, 20, 30, 50, 100), [], {name: [] for name in NAMES}
picture = plots.CloudPicture(NAMES, data)
for n in lengths:
    chain, oracle = toy(n)
    asked = {
        "as written": lambda x, t, n=n, oracle=oracle: oracle(x, (t + 1).clamp(max=n)),
        "as meant": oracle,
    }
    clouds = []
    for name, denoiser in asked.items():
        seeded["generator"] = torch.Generator().manual_seed(1)
        *_, last = ddpm_steps(chain, denoiser, start.shape, **seeded)
        clouds.append(last.x)
        nearest = torch.cdist(last.x.double(), ring.means).amin(1)
        spread[name].append(float(nearest.square().mean().sqrt()) / 2**0.5)
    frames.append(plots.figure_pixels(picture(*clouds)))
assert spread[NAMES[0]][2] > 1.4 * spread[NAMES[1]][2]  # T = 10
assert abs(spread[NAMES[0]][-1] / spread[NAMES[1]][-1] - 1) < 0.1  # T = 100
plots.show(frames[2], alt="With ten steps, points as written are smeared over the ring.")
labels = [f"T = {n}" for n in lengths]
widgets.scrub(frames, labels=labels, title="T", value=2, curve=spread)

# %% [markdown]
# <details>
# <summary>The answer</summary>
#
# `model(x_t, t)`: the noise is that of $t+1$, the network is told $t$; the sampler means what it says, and every step is asked about too much noise. One of $T$ steps wrong: at $T=1000$ no picture shows it.
#
# Its sibling: `randint(1, T)` never draws $T$, with which sampling starts. Seen: minDiffusion's smaller file; TeaPearce's MNIST code, pull request 4.
#
# </details>

# %%
from ddpm_lite.checks import check_draw_batch, check_training_step


def draw_3(images, n, T, generator):
    i = torch.randint(len(images), (n,), generator=generator)
    return images[i] / 127.5 - 1, torch.randint(1, T, (n,), generator=generator)


caught(check_training_step, train_3)
caught(check_draw_batch, draw_3)

# %% [markdown]
# ## Exhibit 4: One brush stroke too many
#
# Digits with $\sigma_t^2=\beta_t$, the paper's other choice. The dark grays are stretched here, as a projector in a dark room does. The slider changes the number of steps.

# %%
def step_4(x_t, eps_hat, a, t, z):
    mean, beta = mean_back(x_t, eps_hat, a, t)
    x_before = mean + beta.sqrt() * z
    return x_before

# %%
def meant_4(x_t, eps_hat, a, t, z):
    return step_4(x_t, eps_hat, a, t, z if t > 1 else 0 * z)


def stretch(x):
    return (4 * (x + 1) - 1).clamp(-1, 1)


counts = (10, 20, 40, 100)
pairs = [[walk(x_T[:4], f, alpha_bar[:: T // n])[-1] for f in (step_4, meant_4)] for n in counts]
written, meant = (stretch(torch.stack(column)) for column in zip(*pairs, strict=True))
grain = [float((a - b).std()) * 127.5 for a, b in pairs]
views = dict(zip(NAMES, (written, meant), strict=True))
figure = plots.plot_exhibit({name: x[1] for name, x in views.items()}, n_columns=4, width=5)
plots.show(figure, alt="As written, digits stand before specks; as meant, before black.")
curve = (grain, "grain, gray levels of 255")
widgets.scrub(views, labels=[f"{n} steps" for n in counts], title="steps", n_columns=2, curve=curve)

# %% [markdown]
# <details>
# <summary>The answer</summary>
#
# `z` is added in the step that makes $x_0$, too. Algorithm 2 has $z=0$ at $t=1$: the last mean *is* the image. The grain has standard deviation $\sqrt{\beta_1}$: strong in short chains, and one gray level in long ones, where the bug lives for years. With $\tilde\beta_1=0$ it cannot happen.
#
# Seen: labml's `p_sample`; another course guards the step by a condition that is always true.
#
# </details>

# %%
def reverse_step_4(x_t, t, eps_hat, z, beta, alpha_bar):
    mean = (x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat) / (1 - beta[t]).sqrt()
    return mean + beta[t].sqrt() * z


caught(check_reverse_step, reverse_step_4)
