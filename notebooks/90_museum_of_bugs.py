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
# **Need:** lessons 00 to 04, 06 and 07.
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
# Each exhibit is a mistake that published teaching code had or has, written anew. All run; none raises an error. You see the **code**, then what it **draws** (orange: as written; blue: as meant). Name the wrong line before you open the answer. Below, a **check** is run on the wrong line, and you read what it says.
#
# Here is one *right* step from $x_t$ back to $x_{t-1}$ (lesson 07), and a walk that uses it.

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
    """(B, ...) -> (n+1, B, ...): x_n, ..., x_0; the network is told the time of nearest noise."""
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


def blue_first(curves):  # sliders draw their first curve in blue
    return {name: curves[name] for name in NAMES[::-1]}


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


def update(i):
    picture(written[shown[i]], meant[shown[i]])


frames = plots.render_frames(picture.figure, update, len(shown))
plots.show(frames[-1], alt="Eight spots; points as written huddle on their inner edges.")
widgets.scrub(frames, labels=[f"t = {50 - i}" for i in shown], value=25)

# %% [markdown]
# <details>
# <summary>The answer</summary>
#
# `variance * torch.randn(...)`: a sample of $\mathcal N(\mu,v)$ is $\mu+\sqrt v\,z$. A small variance is much smaller than its root, so nearly all noise is missing; means alone pull towards the middle of what is likely. On digits you would hardly see it.
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
widgets.scrub(views, labels=labels, n_columns=4, curve=blue_first(gray))

# %% [markdown]
# The curves under the slider are mean gray levels: one goes to 0.5.
#
# <details>
# <summary>The answer</summary>
#
# `torch.rand`, uniform on $[0,1]$, for `torch.randn`. It has mean $\frac12$ and variance $\frac1{12}$: no noise ever darkens a pixel, and $x_T$ is not $\mathcal N(0,I)$. One letter. A picture of $x_T$ alone looks like noise, and the loss is even *lower*: always guessing $\frac12$ costs $\frac1{12}$.
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
widgets.scrub(frames, labels=labels, title="T", value=2, curve=blue_first(spread))

# %% [markdown]
# <details>
# <summary>The answer</summary>
#
# `model(x_t, t)`: the noise is that of $t+1$, the network is told $t$. The sampler means what it says, so at every step the network takes $x_t$ for noisier than it is, by one step of $T$. At $T=1000$ no picture shows it.
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

# %% [markdown]
# ## Exhibit 5: The early leap
#
# An implementation with $T$ entries in each table, so that index $i$ stands for $t=i+1$. It needs $\bar\alpha_{t-1}$ beside $\bar\alpha_t$, and makes it by padding. Move $t$ and watch the very first step.

# %%
import torch.nn.functional as F

a_5 = kept[1:]  # (50,): alpha_bar_1, ..., alpha_bar_50
a_prev_5 = F.pad(a_5[:-1], (0, 1), value=1.0)


def step_5(x_t, eps_hat, a, t, z):
    now, prev, beta = a_5[t - 1], a_prev_5[t - 1], 1 - a[t] / a[t - 1]
    x0_hat = ((x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()).clamp(-1, 1)
    mean = prev.sqrt() * beta * x0_hat + (1 - beta).sqrt() * (1 - prev) * x_t
    return mean / (1 - now) + (beta * (1 - prev) / (1 - now)).sqrt() * z

# %% tags=["cover"]
written = walk(x_T, step_5)
assert written[-1].square().mean() > 4 > 1.2 > right[-1].square().mean()  # no pixels of an image
figure = plots.plot_exhibit({"as written": written[-1], "as meant": right[-1]})
plots.show(figure, alt="As written, ragged white scraps; as meant, digits.")
views = {"as written": written[::2], "as meant": right[::2]}
labels = [f"t = {t}" for t in range(50, -1, -2)]
widgets.scrub(views, labels=labels, value=25, n_columns=4)

# %% [markdown]
# <details>
# <summary>The answer</summary>
#
# `(0, 1)` pads on the right. The one belongs to the front, as $\bar\alpha_0=1$: `(1, 0)`. As written, entry $T$ is 1, so the first step leaps to $\hat x_0$, without noise; every other entry is $\bar\alpha_t$ for $\bar\alpha_{t-1}$, which gives $x_t$ the weight $\sqrt{\alpha_t}$, too much: from $t=35$ down both weights add up to more than 1, and the walk grows.
#
# Tables from 0 to $T$ need no padding. Seen: denoising-diffusion-pytorch, issue 18.
#
# </details>

# %%
def beta_tilde_5(t, a):
    a_prev = F.pad(a[1:-1], (0, 1), value=1.0)[t - 1]
    return (1 - a[t] / a[t - 1]) * (1 - a_prev) / (1 - a[t])


caught(verify, "beta_tilde at t = 1, where x_0 is all that is left", 0.0, beta_tilde_5(1, kept))
caught(verify, "beta_tilde at t = T", diffusion.beta_tilde[T], beta_tilde_5(T, alpha_bar))

# %% [markdown]
# ## Exhibit 6: Five times as fast
#
# The paper has $T=1000$; someone wants samples sooner and takes $T=200$. (Here all chains are walked in 25 strides.) The digits get fat and lose their shape. Move $T$.

# %%
def schedule_6(T):
    return torch.linspace(1e-4, 0.02, T, dtype=torch.float64)

# %%
from ddpm_lite import linear_beta_schedule

lengths, walks, left = (100, 150, 200, 400, 1000), {name: [] for name in NAMES}, []
for n in lengths:
    for name, beta in zip(NAMES, (schedule_6(n), linear_beta_schedule(n)), strict=True):
        table = torch.cat([zero, beta])
        table = (1 - table).cumprod(0)  # (n+1,)
        walks[name].append(walk(x_T, step_back, table[torch.arange(26) * n // 25])[-1])
        left += [float(table[-1])] if name == NAMES[0] else []
gray = {name: [float(x.mean()) for x in row] for name, row in walks.items()}
assert gray[NAMES[0]][0] > gray[NAMES[1]][0] + 0.1  # T = 100: too bright
labels = [f"T = {n}, alpha_bar_T = {a:.1g}" for n, a in zip(lengths, left, strict=True)]
figure = plots.plot_exhibit({name: row[2] for name, row in walks.items()})
plots.show(figure, alt="Two hundred steps: as written, fat broken digits; as meant, thin ones.")
views = {name: torch.stack(row) for name, row in walks.items()}
widgets.scrub(views, labels=labels, title="T", value=2, n_columns=4, curve=blue_first(gray))

# %% [markdown]
# <details>
# <summary>The answer</summary>
#
# The ends $10^{-4}$ and $0.02$ were made for 1000 steps. With fewer, $x_T$ keeps signal: $\bar\alpha_T$ is $4\cdot10^{-5}$ at $T=1000$, 0.017 at 400, 0.13 at 200, 0.22 at 150. The walk starts from $\mathcal N(0,I)$ all the same. The network takes the missing black background for a bright image. Scale both ends by $1000/T$.
#
# Seen: wherever $T$ was cut and the schedule kept.
#
# </details>

# %%
from ddpm_lite import terminal_snr

caught(verify, "signal left at T = 200, SNR", 0.0, terminal_snr(schedule_6(200)), tol=1e-3)
verify("scaled", 0.0, terminal_snr(linear_beta_schedule(200)), tol=1e-3)

# %% [markdown]
# ## Exhibit 7: Digits in the mist
#
# Two small networks, alike but for one line, trained and sampled in one way (a stored study; `python benchmarks/museum.py`). The slider shows what each was trained on.

# %%
def draw_7(images, n, T, generator):  # images: uint8
    i = torch.randint(len(images), (n,), generator=generator)
    x_0 = images[i].float() / 255
    return x_0, torch.randint(1, T + 1, (n,), generator=generator)

# %%
from importlib.resources import files
from pathlib import Path
from ddpm_lite.checkpoints import read_tensors

study, card = read_tensors(Path(str(files("ddpm_lite") / "assets" / "museum.safetensors")))
pair = {"as written": study["zero_one"][:8], "as meant": study["ema"][-1, :8]}  # uint8
dark = [float(x.flatten(1).double().quantile(0.2)) for x in pair.values()]
assert dark[0] > 100 and dark[1] < 30  # the darkest fifth, of 255
figure = plots.plot_exhibit(pair)
plots.show(figure, alt="As written, pale digits in gray; as meant, white on black.")
some, eps = digits.images[:8] / 255, torch.randn(8, 1, 28, 28, generator=generator)
inputs = {"as written": some, "as meant": 2 * some - 1}
pairs = {name: [diffusion.q_sample(x, t, eps) for t in times] for name, x in inputs.items()}
views = {name: torch.stack(frames) for name, frames in pairs.items()}
widgets.scrub(views, labels=[f"t = {t}" for t in times], n_columns=4)

# %% [markdown]
# <details>
# <summary>The answer</summary>
#
# `/ 255`: pixels in $[0,1]$, as loaders deliver them, where all that follows takes $[-1,1]$. Black is 0, the middle of the noise; the image has half the amplitude, so at every $t$ a quarter of the signal-to-noise ratio. The network learns it well: the loss shows nothing. Samples come out in $[0,1]$ and are drawn as if in $[-1,1]$; the clip at $-1$ never helps.
#
# Seen: in code that feeds `ToTensor()` straight in.
#
# </details>

# %%
caught(check_draw_batch, draw_7)

# %% [markdown]
# ## Exhibit 8: The restless digits
#
# One run with a learning rate that does not fall. Every 100 updates, digits were drawn from the *same* noise, without any randomness but the training's. Move the slider: which row keeps changing its mind?

# %%
from ddpm_lite import sample


def samples_8(step, diffusion, x_T):  # step: what `train` yields after an update
    return sample(diffusion, step.model, x_T.shape, x_T=x_T)

# %%
looks = {"as written": study["raw"][:, :8], "as meant": study["ema"][:, :8]}  # (8, 8, 1, 28, 28)
moved = {name: x.float().diff(dim=0).square().mean().sqrt() for name, x in looks.items()}
assert moved["as written"] > 1.5 * moved["as meant"]
figure = plots.plot_exhibit({name: x[-1] for name, x in looks.items()})
plots.show(figure, alt="Eight digits by each kind of weights after the last update.")
labels = [f"update {k}" for k in card["samples"]["at"]]
widgets.scrub(looks, labels=labels, title="update", value=7, n_columns=4, fps=3)

# %% [markdown]
# <details>
# <summary>The answer</summary>
#
# `step.model` holds the raw weights; `step.ema`, their moving average, is the network to sample with. Raw weights jump about with each batch: some samples are good, and the next look is another. No test of the code sees it, for every line is right. What catches it is a second look.
#
# Seen: pytorch-ddpm, issue 22. On CIFAR-10, FID 3.21 with the average, 8.06 without.
#
# </details>

# %%
def check_steady(looks, limit):  # gray levels between two looks, root mean square
    change = float(looks.float().diff(dim=0).square().mean().sqrt())
    assert change < limit, "two looks at one noise differ: are these the averaged weights?"


limit = (moved["as written"] * moved["as meant"]) ** 0.5  # between the two
check_steady(looks["as meant"], limit)
caught(check_steady, looks["as written"], limit)

# %% [markdown]
# ## Exhibit 9: Never there
#
# DDIM (lesson 00's idea 3: guess $\hat x_0$, put it back at an earlier time, with the noise that explains $x_t$) in 50 strides of 20. The loop ends, and there is only noise. Move *jump*: how far each round of the same loop goes, where 20 is meant.

# %%
def ddim_9(x, denoiser, stride=20):
    for t in range(T, 0, -stride):
        eps_hat = denoiser(x, torch.full((len(x),), t))
        x0_hat = diffusion.predict_x0(x, t, eps_hat).clamp(-1, 1)
        direction = diffusion.predict_eps(x, t, x0_hat)
        x = diffusion.q_sample(x0_hat, t - 1, direction)
    return x

# %%
from ddpm_lite import FiniteOracle


@torch.no_grad()
def ddim_by(jump, x, denoiser):
    for t in range(T, 0, -20):
        x0_hat = diffusion.predict_x0(x, t, denoiser(x, torch.full((len(x),), t))).clamp(-1, 1)
        x = diffusion.q_sample(x0_hat, max(t - jump, 0), diffusion.predict_eps(x, t, x0_hat))
    return x


with torch.no_grad():
    written = ddim_9(x_T[:4], model)
jumps = (1, 5, 10, 15, 20, 25, 30, 40)
x_by = torch.stack([ddim_by(jump, x_T[:4], model) for jump in jumps])
torch.testing.assert_close(written, x_by[0])
darkest = x_by.flatten(1).quantile(0.25, dim=1)  # of an image a quarter is black
assert darkest[4] < -0.95 and darkest[0] > -0.9
figure = plots.plot_exhibit({"as written": written, "as meant": x_by[4]}, n_columns=4, width=6)
plots.show(figure, alt="As written, noise; as meant, digits.")
labels = [f"{jump} of 20" for jump in jumps]
widgets.scrub(x_by, labels=labels, title="jump", n_columns=2)

# %% [markdown]
# <details>
# <summary>The answer</summary>
#
# `t - 1`: the next time on the list is $t-20$. After the first step, $x$ has the noise of $t=999$ and the network is told 980. It takes what is left for image, and hardly any noise ever goes. Jumps that are too long hide better: they still end in digits.
#
# Seen: diffusers, issue 11347, off by a stride in the previous timestep.
#
# </details>

# %%
one = FiniteOracle(diffusion, x_0[:1])  # knows a single image: every right sampler ends there
verify("DDIM, jumps of 20", x_0[:1], ddim_by(20, x_T[:1], one), tol=1e-4)
caught(verify, "DDIM, as written", x_0[:1], ddim_9(x_T[:1], one), tol=1e-4)

# %% [markdown]
# ## Exhibit 10: The contrary guide
#
# Guidance: of eight spots, two carry the label that is asked for. `denoise` may drop the label; `guided_10` goes beyond the labeled answer, by $w$ times its difference from the other. Move $w$ from 0. (Both denoisers are exact.)

# %%
def denoise(x_t, t, mask):  # as in training: mask = 1 drops the label
    return mask * without_label(x_t, t) + (1 - mask) * with_label(x_t, t)


def guided_10(x_t, t, w):
    mask = torch.tensor([1.0, 0.0]).repeat_interleave(len(x_t))[:, None]  # (2B, 1)
    labeled, unlabeled = denoise(x_t.repeat(2, 1), t.repeat(2), mask).chunk(2)
    return (1 + w) * labeled - w * unlabeled

# %%
from functools import partial

chain, without_label = toy(25)
with_label = MixtureOracle(chain, ring.means[:2], ring.std[:2])


def meant_10(x_t, t, w):
    return (1 + w) * with_label(x_t, t) - w * without_label(x_t, t)


frames, strengths = [], [0.2 * i for i in range(7)]
picture, share = plots.CloudPicture(NAMES, data, limit=2.2), {name: [] for name in NAMES}
for w in strengths:
    clouds = []
    for name, f in zip(NAMES, (guided_10, meant_10), strict=True):
        seeded["generator"] = torch.Generator().manual_seed(1)
        *_, last = ddpm_steps(chain, partial(f, w=w), start.shape, **seeded)
        clouds.append(last.x)
        near = torch.cdist(last.x.double(), ring.means[:2]).amin(1) < 0.4
        share[name].append(float(near.double().mean()))
    frames.append(plots.figure_pixels(picture(*clouds)))
assert min(share["as meant"]) > 0.9 and max(share["as written"]) < 0.5
plots.show(frames[3], alt="As written, points flee to the far side; as meant, they fill two spots.")
labels = [f"w = {w:.1f}" for w in strengths]
widgets.scrub(frames, labels=labels, title="w", value=3, fps=4, curve=blue_first(share))

# %% [markdown]
# <details>
# <summary>The answer</summary>
#
# `mask` is upside down: training had 1 for *drop*, `guided_10` takes it for *keep*. So `labeled` has no label, and the difference points away from it: the more guidance, the farther. At $w=0$ it is an unguided sampler without a label, and draws fine pictures of anything.
#
# Seen: TeaPearce's MNIST code, issue 1.
#
# </details>

# %%
x, t = torch.randn(50, 2, generator=generator), torch.full((50,), 10)
verify("w = 0 is the denoiser with its label, as meant", with_label(x, t), meant_10(x, t, 0))
caught(verify, "the same, as written", with_label(x, t), guided_10(x, t, 0))

# %% [markdown]
# ## Exhibit 11: The test that always passes
#
# Below is a wrong jump to $x_t$, and its test, which prints the error. Two bugs; the exhibit is the second one. The slider moves the image sideways: of the two curves, which one would you call an error?

# %%
def q_sample_11(x_0, t, eps):
    return alpha_bar[t].sqrt() * x_0.flip(-1) + (1 - alpha_bar[t]).sqrt() * eps


def test_11(got, wanted):
    error = (got - wanted).sum()
    assert error.abs() < 1e-6, f"error: {error}"
    print("passed")

# %%
image, noise = x_0[:8].double(), eps.double()
meant = alpha_bar[200].sqrt() * image + (1 - alpha_bar[200]).sqrt() * noise
written = q_sample_11(image, 200, noise)
test_11(written, meant)  # t = 200
figure = plots.plot_exhibit({"as written": written, "as meant": meant})
plots.show(figure, alt="Mirrored noisy digits, and the same digits as they are.")
moved = torch.stack([meant.roll(k, dims=-1) for k in range(28)])  # each is wrong but the first
error = (moved - meant).flatten(1)
curve = {"sum of got - wanted": error.sum(1), "mean of |got - wanted|": error.abs().mean(1)}
assert error.sum(1).abs().max() < 1e-6 and error[1:].abs().mean(1).min() > 0.1
labels = [f"{k} pixels" for k in range(28)]
widgets.scrub(moved, labels=labels, title="moved", n_columns=4, curve=curve)

# %% [markdown]
# <details>
# <summary>The answer</summary>
#
# `(got - wanted).sum()`: errors of opposite sign cancel. Anything that keeps the sum passes: mirrored, moved or shuffled images, a swapped batch. Take absolute values or squares *before* the sum, or the largest; and compare the shapes, or broadcasting hides more.
#
# A test is code: try it on a wrong answer before you trust it. Seen: in a course's own tests.
#
# </details>

# %%
caught(verify, "x_200", meant[0, 0, 14, 5:8], written[0, 0, 14, 5:8])
verify("x_200, the sum", meant.sum(), written.sum())  # this verify is as blind as test_11

# %% [markdown]
# ## Exhibit 12: Off the scale
#
# The network's $\hat\epsilon$ is multiplied by $c$: as if it were a little too shy ($c<1$) or exaggerated, as under guidance. One of the two walks forgives. Move $c$.

# %%
def step_12(x_t, eps_hat, a, t, z):
    beta = 1 - a[t] / a[t - 1]
    x0_hat = (x_t - (1 - a[t]).sqrt() * eps_hat) / a[t].sqrt()
    w_0, w_t = a[t - 1].sqrt() * beta, (1 - beta).sqrt() * (1 - a[t - 1])
    mean = (w_0 * x0_hat + w_t * x_t) / (1 - a[t])
    return mean + (beta * (1 - a[t - 1]) / (1 - a[t])).sqrt() * z

# %%
values = (0.8, 0.9, 0.95, 1.0, 1.1)
walks = {
    name: torch.stack([walk(x_T[:4], step, c=c)[-1] for c in values])
    for name, step in zip(NAMES, (step_12, step_back), strict=True)
}
size = {name: [float(x.square().mean().sqrt()) for x in row] for name, row in walks.items()}
assert size["as written"][0] > 1.2 and max(size["as meant"]) < 1.01
figure = plots.plot_exhibit({name: x[0] for name, x in walks.items()}, n_columns=4, width=6)
plots.show(figure, alt="As written, black and white specks beyond the range; as meant, digits.")
labels = [f"c = {c}" for c in values]
widgets.scrub(walks, labels=labels, title="c", n_columns=2, curve=blue_first(size))

# %% [markdown]
# <details>
# <summary>The answer</summary>
#
# No `clamp(-1, 1)` on $\hat x_0$. Near $t=T$ it is divided by $\sqrt{\bar\alpha_t}\approx0$, so small errors become large images: saturated, gray or speckled. A good network in a long chain may get away (lesson 07 measures when). In half precision $\bar\alpha_T$ itself becomes 0, and $\hat x_0$ infinite, or NaN where $\hat\epsilon$ is $x_T$; no clamp repairs NaN.
#
# Seen: dome272, issues 20 and 33; NaN: denoising-diffusion-pytorch, issues 101 and 191.
#
# </details>

# %%
from ddpm_lite.checks import check_clipped_mean


def clipped_mean_12(x_t, t, eps_hat, alpha_bar):
    return step_12(x_t, eps_hat, alpha_bar, t, torch.zeros_like(x_t))


caught(check_clipped_mean, clipped_mean_12)
half = alpha_bar.half()
eps_hat = (x_T + 0.005 * torch.randn(x_T.shape, generator=generator)).half()  # all but the noise
x0_hat = (x_T.half() - (1 - half[T]).sqrt() * eps_hat) / half[T].sqrt()
nan, infinite = x0_hat.isnan().float().mean(), x0_hat.isinf().float().mean()
print(f"half precision: alpha_bar_T = {half[T]}; x0_hat: {infinite:.0%} infinite, {nan:.0%} NaN")

# %% [markdown]
# ## The same thing in the library
#
# | exhibit | the line to compare with | what would have told |
# |---|---|---|
# | 1, 4, 12 | `ddpm_steps`, `p_mean_variance` | one step with given $z$; the last step; the range |
# | 2, 6 | `q_sample`, `terminal_snr` | mean and variance of $x_T$ |
# | 3, 5 | tables from 0 to $T$ | a chain of ten steps, or fewer |
# | 7 | `ImageSet.batch` | least and largest pixel |
# | 8 | `TrainStep.ema` | two looks |
# | 9, 10 | `ddim_steps` | an exact denoiser |
# | 11 | `verify` | a wrong answer |

# %%
steps = list(ddpm_steps(diffusion, FiniteOracle(diffusion, x_0[:1]), (1, 1, 28, 28)))
verify("1000 library steps with the denoiser of one image", x_0[:1], steps[-1].x, tol=1e-4)
assert diffusion.beta_tilde[1] == 0 and diffusion.alpha_bar[0] == 1
assert digits.batch([0]).min() == -1 and digits.batch([0]).max() == 1

# %% [markdown]
# ## What we saw
#
# - None of the twelve raises an error, and some hide from every usual look: 3 and 4 in long chains, 8 in one look, 11 always.
# - **Short chains** bring out what long ones hide.
# - **Exact denoisers** and toy data tell a sampler's mistakes from a network's.
# - A check compares each entry, and was itself tried on wrong answers.
#
# ## Exercises
#
# [The museum's set](exercises/90_museum_of_bugs.ipynb) has five: name the line, mend it, foresee it, write the test that catches it.

# %% [markdown]
# ## References
#
# The exhibits are written anew; thread numbers name where each mistake was reported.
#
# - Ho, Jain & Abbeel 2020, [arXiv 2006.11239](https://arxiv.org/abs/2006.11239): Algorithms 1 and 2; the moving average in appendix B.
# - Song, Meng & Ermon 2021, [arXiv 2010.02502](https://arxiv.org/abs/2010.02502): DDIM.
# - Ho & Salimans 2022, [arXiv 2207.12598](https://arxiv.org/abs/2207.12598): guidance without a classifier.
# - Lin et al. 2023, [arXiv 2305.08891](https://arxiv.org/abs/2305.08891): signal left at $t=T$.
