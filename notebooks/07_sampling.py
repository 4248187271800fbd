# %% [markdown]
# # Walk back from noise to a digit
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/07_sampling.ipynb)
#
# **What you will do:** Sample by Algorithm 2 and by the code that runs instead, measure what clipping does, and fork trajectories.
#
# **Learn:**
#
# - why the code clips $\hat x_0$, and what that changes
# - which noise a step needs, and why the last one needs none
# - when a digit is decided, and whether it is a copy
#
# **Need:** lesson 02; the posterior of lesson 03; what $\hat\epsilon$ is (lesson 04).
#
# **Minutes:** 50

# %%
import importlib.util, subprocess, sys

if importlib.util.find_spec("ddpm_lite") is None:  # Colab, or a bare environment
    address = "git+https://github.com/ddpm-lite/ddpm_lite@v0.1.0"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", address], check=True)
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()

import torch
from ddpm_lite import GaussianDiffusion, ddpm_steps, load_pretrained, mnist, plots, sample, widgets
plots.use_style()
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## Algorithm 2
#
# Step $t$ of the forward process adds noise of variance $\beta_t$; $\alpha_t=1-\beta_t$, and $\bar\alpha_t=\alpha_1\cdots\alpha_t$ is what $t$ steps leave of the image's variance. A network, shown $x_t$ and $t$, answers $\hat\epsilon$, its guess of the noise in $x_t$. To walk back, Ho et al. (2020) draw $x_T\sim\mathcal N(0,I)$; then, for $t=T,\dots,1$,
#
# $$x_{t-1}=\frac1{\sqrt{\alpha_t}}\Big(x_t-\frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\hat\epsilon\Big)+\sigma_tz,\qquad z\sim\mathcal N(0,I),\text{ but }z=0\text{ at }t=1 .$$
#
# The first term is the mean of $x_{t-1}$. The standard deviation $\sigma_t$ is ours to choose.

# %%
torch.set_num_threads(1)  # in small batches, a second thread gains little
model, diffusion = load_pretrained("mnist")
T = diffusion.T
beta = torch.cat([torch.zeros(1), diffusion.schedule])  # (T+1,) float64, beta[0] = 0
alpha = 1 - beta
alpha_bar = alpha.cumprod(0)


def mean_algorithm_2(x_t, t, eps_hat):
    return (x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha[t].sqrt()

# %% [markdown]
# ## What runs instead
#
# Open almost any diffusion code: that line is not there. The code solves $x_t=\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\epsilon$ for the image, **clips** it to the range of pixels, and puts it into the posterior's mean:
#
# $$\hat x_0=\frac{x_t-\sqrt{1-\bar\alpha_t}\,\hat\epsilon}{\sqrt{\bar\alpha_t}},\qquad \tilde\mu_t=\underbrace{\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}}_{w_0}\,\hat x_0+\underbrace{\frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}}_{w_t}\,x_t .$$
#
# Many have asked why. First, **without clipping the two are one**. Put $\hat x_0$ into $\tilde\mu_t$. As $\bar\alpha_t=\alpha_t\bar\alpha_{t-1}$, we have $\sqrt{\bar\alpha_{t-1}}/\sqrt{\bar\alpha_t}=1/\sqrt{\alpha_t}$. In front of $x_t$ stands
#
# $$\begin{aligned}\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{(1-\bar\alpha_t)\sqrt{\bar\alpha_t}}+\frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}&=\frac{\beta_t+\alpha_t(1-\bar\alpha_{t-1})}{(1-\bar\alpha_t)\sqrt{\alpha_t}}&&\text{(a)}\\&=\frac{1-\alpha_t+\alpha_t-\bar\alpha_t}{(1-\bar\alpha_t)\sqrt{\alpha_t}}=\frac1{\sqrt{\alpha_t}},&&\text{(b)}\end{aligned}$$
#
# and in front of $-\hat\epsilon$
#
# $$\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\cdot\frac{\sqrt{1-\bar\alpha_t}}{\sqrt{\bar\alpha_t}}=\frac{\beta_t}{\sqrt{1-\bar\alpha_t}\,\sqrt{\alpha_t}},\qquad\text{(c)}$$
#
# as in Algorithm 2. The code checks each line for every $t$, in float64.

# %%
from ddpm_lite.checks import verify

a, b, a_bar, before = alpha[1:], beta[1:], alpha_bar[1:], alpha_bar[:-1]  # at t = 1..T
skip = torch.zeros(1, dtype=torch.float64)  # entry 0 of the tables below: not used
w_0 = torch.cat([skip, before.sqrt() * b / (1 - a_bar)])  # the weight of x0_hat
w_t = torch.cat([skip, a.sqrt() * (1 - before) / (1 - a_bar)])  # the weight of x_t
r = (1 - alpha_bar).sqrt() / alpha_bar.sqrt()  # noise rate over signal rate


def mean_x0_first(x_t, t, eps_hat, clip):
    x0_hat = (x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()
    if clip:
        x0_hat = x0_hat.clamp(-1, 1)
    return w_0[t] * x0_hat + w_t[t] * x_t


line_a = (b + a * (1 - before)) / ((1 - a_bar) * a.sqrt())
verify("line (a)", line_a, w_0[1:] / a_bar.sqrt() + w_t[1:], tol=1e-9)
verify("line (b)", 1 / a.sqrt(), line_a, tol=1e-9)
verify("line (c)", b / ((1 - a_bar).sqrt() * a.sqrt()), w_0[1:] * r[1:], tol=1e-9)
every_t = torch.arange(1, T + 1)[:, None]  # one row for each t
x, e = torch.randn(2, T, 50, generator=generator, dtype=torch.float64)
means = [mean_x0_first(x, every_t, e, clip) for clip in (False, True)]
verify("without clipping, one mean", mean_algorithm_2(x, every_t, e), means[0], tol=1e-9)
assert (means[1] - means[0]).abs().max() > 0.01  # with clipping, another

# %% [markdown]
# ## The same noises, with and without
#
# Second, what does clipping do? Run the whole chain with the trained network: four noises $x_T$, and the same $z$ for both means, with $\sigma_t^2=\tilde\beta_t$, the posterior's variance. ($8\times1000$ evaluations: the longest cell here, about 20 seconds.)
#
# Then look at the two rows. Could you tell which one was clipped? The third row is their difference; gray is none.

# %%
x_T = torch.randn(4, 1, 28, 28, generator=generator)
clipped, plain = x_T, x_T
for t in range(T, 0, -1):
    with torch.no_grad():
        eps_hat = model(torch.cat([clipped, plain]), torch.full((8,), t))
    z = torch.randn(x_T.shape, generator=generator) if t > 1 else torch.zeros_like(x_T)
    noise = diffusion.beta_tilde[t].sqrt() * z
    clipped = mean_x0_first(clipped, t, eps_hat[:4], clip=True).float() + noise
    plain = mean_algorithm_2(plain, t, eps_hat[4:]).float() + noise

assert clipped.abs().max() <= 1 + 1e-6  # we come back to why
rows = {"clipped": clipped, "Algorithm 2": plain, "difference": plain - clipped}
figure, axes = plots.new_figure(3, 1, size=(5, 4.2))
for axis, (name, images) in zip(axes, rows.items(), strict=True):
    axis.imshow(plots.image_grid(images, 4), cmap="gray", vmin=0, vmax=255)
    axis.set_ylabel(name, fontsize=11)
    axis.set(xticks=[], yticks=[])
plots.show(figure, alt="Four noises walked back with clipping and without, and the difference.")

# %% [markdown]
# ## How often is it clipped?
#
# A study behind this page drew many more digits in all $T$ steps. It noted at each $t$ what $\hat x_0$ was *before* clipping. Its numbers are stored, with the command that makes them.
#
# Left: the share of pixels outside $[-1,1]$. Black is exactly $-1$, so half of all tiny errors count; the dashed lines count errors above 0.1. Right: how far outside, at most and on average.

# %%
import json
from importlib.resources import files
from ddpm_lite import pretrained_card

study = json.loads((files("ddpm_lite") / "assets" / "clipping.json").read_text("utf-8"))
print(f"{study['n']} digits an arm, made by: {study['command']}")
same = study["checkpoint"]["sha256"] == pretrained_card("mnist")["sha256"]
print("with the shipped network" if same else "NOTE: not with the shipped network")
plots.show(plots.plot_saturation(study), alt="How many pixels of x0_hat lie outside [-1, 1].")

# %% [markdown]
# ## Is the result better?
#
# *Recognized*: digits of which a classifier is more than 90 % sure. *Distance* (Frechet): how far the crowd is from real digits, in the classifier's features; lower is better, and real digits have the **floor**. *Haze*: the mean gray level (of 255) where no training digit has ink; clipping cuts only errors darker than black.
#
# All arms used the same noises; the last column compares distances with the first, pair by pair. Within two errors: nothing found.

# %%
print(f"{'arm':<27}{'recognized':<16}{'haze':<7}{'distance':<15}less the first")
for arm in study["arms"]:
    share, haze = arm["recognized"], 255 * arm["background"]["untouched_mean"]
    print(f"{arm['name']:<27}{share['mean']:.1%} ± {share['se']:<8.1%}{haze:<7.2f}", end="")
    d, less = arm["frechet"], arm["frechet_minus_first"]
    print(f"{d['mean']:.1f} ± {d['se']:<8.1f}{less['mean']:+.1f} ± {less['se']:.1f}")
print(f"{'real digits':<27}{study['recognized_real']:<23.1%}{study['floor']['mean']:.1f}")
plots.show(plots.plot_arms(study), alt="Both scores of each arm, with error bars.")

# %% [markdown]
# ## Where an error goes
#
# Let $\hat\epsilon$ be off by $\delta$. Then $\hat x_0$ is off by $-r_t\,\delta$, with $r_t=\sqrt{1-\bar\alpha_t}/\sqrt{\bar\alpha_t}$: near $t=T$ we divide by almost nothing. The step passes on $w_0r_t\,\delta$.
#
# *Shorter chains* pass on more. Keep $n$ times, $0=\tau_0<\tau_1<\dots<\tau_n=T$. One step from $\tau_{k-1}$ to $\tau_k$ scales the signal by $\sqrt{\bar\alpha_{\tau_k}/\bar\alpha_{\tau_{k-1}}}$, so
#
# $$\beta_k'=1-\bar\alpha_{\tau_k}/\bar\alpha_{\tau_{k-1}} .$$
#
# In the picture, look at the right ends: blue, what a step passes on; orange, the most that a *clipped* $\hat x_0$, wrong by at most 2, can do.

# %%
def shorten(n, table=alpha_bar):
    """A chain of n steps of a schedule, and the network, asked at the times of nearest noise."""
    kept = table[torch.arange(n + 1) * T // n]  # (n+1,): alpha_bar of the chain
    angle, angles = kept.sqrt().acos()[:, None], alpha_bar.sqrt().acos()  # noise rate = sin(angle)
    tau = (angles - angle).abs().argmin(1)
    return GaussianDiffusion(1 - kept[1:] / kept[:-1]), tau, lambda x, k: model(x, tau[k])


moved = mean_algorithm_2(x, every_t, e) - mean_algorithm_2(x, every_t, e + 1)
verify("what an error passes on", (w_0 * r)[1:, None].expand_as(x), moved, tol=1e-9)

# %%
from ddpm_lite import cosine_beta_schedule, linear_beta_schedule

schedules = {"cosine": cosine_beta_schedule(T), "linear": linear_beta_schedule(T)}
tables = {k: torch.cat([skip + 1, (1 - v).cumprod(0)]) for k, v in schedules.items()}
chains = {f"{k}, {n} steps": shorten(n, tables[k])[0] for k in tables for n in (T, 50)}
kept = tables["cosine"][:: T // 50]
verify("alpha_bar of a short chain", kept, chains["cosine, 50 steps"].alpha_bar)
figure = plots.plot_error_factors(chains)
plots.show(figure, alt="The first step of a short cosine chain multiplies an error by 632.")

# %% [markdown]
# ## Spoil the network
#
# Now the test: 50 steps, both schedules, and the same network, each $\hat\epsilon$ multiplied by $c$. With $c>1$ it exaggerates, as weak networks do by mistake, and guidance (a later lesson) on purpose.
#
# Three rows: $\hat x_0$ is clipped in every step; in the first step only; never. Before you look: which columns of the last row will hold digits?

# %%
c = torch.tensor([0.8, 1.0, 1.2]).repeat_interleave(4).view(-1, 1, 1, 1)  # (12, 1, 1, 1)
x_T = torch.randn(4, 1, 28, 28, generator=generator).repeat(3, 1, 1, 1)
rows = {"every step": 0, "first step": 49, "never": 50}  # steps k above it are clipped
grids = {name: [] for name in rows}
for table in tables.values():
    chain, _, network = shorten(50, table)
    for name, free in rows.items():
        x, noise = x_T, torch.Generator().manual_seed(1)  # the same noise for all
        for k in range(50, 0, -1):
            with torch.no_grad():
                eps_hat = c * network(x, torch.full((12,), k))
            mean, variance, _ = chain.p_mean_variance(eps_hat, x, k, clip=k > free)
            x = mean + variance.sqrt() * torch.randn(x.shape, generator=noise)
        grids[name] += x.view(3, 4, 1, 28, 28)
size = {name: [float(x.square().mean().sqrt()) for x in row] for name, row in grids.items()}
assert max(size["every step"]) <= 1 and min(size["never"][0], size["never"][2]) > 5
assert max(size["first step"]) < 1.5
print("never clipped, root mean square of the pixels:", *(f"{x:.2g}" for x in size["never"]))
labels = [f"{schedule}, c = {value}" for schedule in tables for value in (0.8, 1, 1.2)]
figure = plots.plot_strip({name: torch.stack(row) for name, row in grids.items()}, labels, n=6)
plots.show(figure, alt="Digits by two schedules: never clipped, spoiled cosine columns are noise.")

# %% [markdown]
# In the cosine chain, one clip decides: in the one step that divides by almost no signal.
#
# ## Which sigma?
#
# The paper names $\sigma_t^2=\beta_t$ and $\sigma_t^2=\tilde\beta_t=\frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\beta_t$. Each is right for one kind of data. *One image*: $x_0$ is known, and $q(x_{t-1}\mid x_t)$ is the posterior, of variance $\tilde\beta_t$. *Gaussian*, $x_0\sim\mathcal N(0,I)$: then each $x_t\sim\mathcal N(0,I)$; as $x_t=\sqrt{\alpha_t}\,x_{t-1}+\sqrt{\beta_t}\,\epsilon_t$, the covariance of $x_t$ and $x_{t-1}$ is $\sqrt{\alpha_t}$, so
#
# $$\mathrm E(x_{t-1}\mid x_t)=\sqrt{\alpha_t}\,x_t,\qquad\mathrm{Var}(x_{t-1}\mid x_t)=1-\sqrt{\alpha_t}^{\,2}=\beta_t .$$
#
# Both means are a factor $f_t$ times $x_t$ ($w_t$ if the image is all 0); so chains have variances $v_{t-1}=f_t^2v_t+\sigma_t^2$. Look where the choices differ, and what a wrong one does.

# %%
from ddpm_lite import GaussianOracle

sigmas = {"beta": beta, "beta_tilde": torch.cat([skip, b * (1 - before) / (1 - a_bar)])}
cases = {"one image": (0.0, w_t, 1 - a_bar), "Gaussian": (1.0, alpha.sqrt(), 0 * a_bar + 1)}
n, spread = 5_000, {}
for data, (std, factor, exact) in cases.items():
    oracle = GaussianOracle(diffusion, torch.zeros(1), std)  # the exact denoiser
    for name, variance in sigmas.items():
        v = [torch.ones((), dtype=torch.float64)]  # v_T: the chain starts from N(0, 1)
        for t in range(T, 1, -1):
            v.append(factor[t] ** 2 * v[-1] + variance[t])
        spread[data, name] = (torch.stack(v[::-1]) / exact).sqrt()  # at t = 1..T; 1 is right
        options = {"sigma": name, "clip": False, "generator": generator}
        for step in ddpm_steps(diffusion, oracle, (n, 1), **options):
            if step.t == 2:  # what this step made is x_1
                measured = step.x.double().std() / exact[0].sqrt()
        se = spread[data, name][0] / (2 * n) ** 0.5
        verify(f"{data}, {name}: spread of x_1", spread[data, name][0], measured, se=se)
verify("Gaussian, beta: right at each t", torch.ones(T), spread["Gaussian", "beta"], tol=1e-9)
figure = plots.plot_sigmas(diffusion, spread)
plots.show(figure, alt="The two sigmas differ at small t only; there each is wrong for other data.")

# %% [markdown]
# Digits lie in between; the table above says what the choice did to them.
#
# ## No noise in the last step
#
# At $t=1$, $\bar\alpha_0=1$ and $1-\bar\alpha_1=\beta_1$. So $\tilde\mu_1=\frac{\beta_1}{\beta_1}\hat x_0+0\,x_1=\hat x_0$, and $\tilde\beta_1=0$: the last step returns the network's image, and with $\tilde\beta_t$ the rule $z=0$ keeps itself. With $\beta_t$ it needs an `if`, which some published codes forget: they end with grain of standard deviation $\sqrt{\beta_1}$. Compare it with a gray level, then look at 20 steps.

# %%
verify("w_0, w_t, beta_tilde at t = 1", [1.0, 0, 0], [w_0[1], w_t[1], sigmas["beta_tilde"][1]])
coarse, _, coarse_model = shorten(20)
for chain in (diffusion, coarse):
    print(f"{chain.T} steps: the grain has {chain.beta[1].sqrt() * 127.5:.1f} gray levels of 255")
x = sample(coarse, coarse_model, (8, 1, 28, 28), sampler="ddpm", sigma="beta", generator=generator)
grain = coarse.beta[1].sqrt() * torch.randn(x.shape, generator=generator)
figure = plots.plot_images(torch.cat([x, x + grain]), n_columns=8, width=9)
plots.show(figure, alt="Eight digits in 20 steps; below, the same with grain from a last noise.")

# %% [markdown]
# In the full chain the bug is about one gray level, and hard to see; so it lives long. (It is the last arm of the study.)
#
# ## Sixty-four trajectories
#
# Now watch one chain of 50 steps: $x_t$, the guess $\hat x_0$, and the noise $\hat\epsilon$ seen in $x_t$. Go from right to left in the middle row: first a blur, an average of many digits; then a shape; then strokes. Can you find a digit that changes its mind?

# %% tags=["cover"]
short, tau, short_model = shorten(50)
x_T = torch.randn(64, 1, 28, 28, generator=generator)
steps = list(ddpm_steps(short, short_model, x_T.shape, x_T=x_T, generator=generator))
path = [x_T, *(step.x for step in steps)]  # path[i] is x at t = tau[50 - i]
shown = range(49, -1, -2)  # steps by what they saw, the last one first
views = {
    "x_t": torch.stack([path[i] for i in shown]),  # (25, 64, 1, 28, 28)
    "x0_hat": torch.stack([steps[i].x0_hat for i in shown]),
    "eps_hat": torch.stack([steps[i].eps_hat for i in shown]),
}
labels = [f"t = {tau[50 - i]}" for i in shown]
figure = plots.plot_strip({name: frames[:, :16] for name, frames in views.items()}, labels, n=7)
plots.show(figure, alt="Sixteen digits at seven times: x_t, x0_hat from blur to digit, eps_hat.")
widgets.scrub(views, labels=labels)

# %% [markdown]
# ## What is settled when?
#
# Stop a trajectory at $x_t$ and go on from there several times, each with other noise: a **fork**. What all forks share was settled at $t$.
#
# In each picture the top row holds eight finished digits, and each column below its four forks. At $t=0$ all agree. Going right, what do you lose first: an edge, the slant, or the digit?

# %%
K, forks = 4, {0: path[-1][:8].repeat(4, 1, 1, 1)}  # t -> (K * 8, 1, 28, 28)
for left in (4, 8, 12, 16, 20, 25, 30, 35, 40, 50):  # steps to go
    x = path[50 - left][:8].repeat(K, 1, 1, 1)
    for k in range(left, 0, -1):
        with torch.no_grad():
            eps_hat = short_model(x, torch.full((len(x),), k))
        mean, variance, _ = short.p_mean_variance(eps_hat, x, k)
        x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator)
    forks[int(tau[left])] = x
frames = torch.stack([torch.cat([path[-1][:8], x]) for x in forks.values()])  # (11, 40, ...)
labels = [f"t = {t}" for t in forks]
figure = plots.plot_strip([plots.image_grid(x, 8) for x in frames], labels, n=4)
plots.show(figure, alt="Eight digits and their forks: near copies at small t, strangers at t = T.")

# %% [markdown]
# In numbers. *Same digit*: the share of forks that a classifier calls like their original. *Coarse*: means over $7\times7$ pixels; *fine*: the rest. With $D_t$ the mean squared distance of forks from their original, and $D_t'$ that from the other originals, $1-D_t/D_t'$ is settled: 1 at $t=0$, about 0 at $t=T$.
#
# Which curve falls first? (32 forks a point: a share near one half is uncertain by 0.09 or more.)

# %%
from ddpm_lite.evaluation import features_and_p


def distances(x, y):  # of the coarse parts, and of the rest
    d = x - y
    means = torch.nn.functional.avg_pool2d(d, 7).repeat_interleave(7, -1).repeat_interleave(7, -2)
    return torch.stack([means.square().mean(), (d - means).square().mean()])


finished, originals = path[-1], path[-1][:8].repeat(K, 1, 1, 1)
digits = features_and_p(finished)[1].argmax(1)  # (64,)
settled = []
for x in forks.values():
    rolled = [x.view(K, 8, 1, 28, 28).roll(i, 1).flatten(0, 1) for i in range(1, 8)]
    others = torch.stack([distances(y, originals) for y in rolled]).mean(0)
    settled.append(1 - distances(x, originals) / others)  # coarse, fine
settled = torch.stack(settled)  # (11, 2)
calls = [features_and_p(x)[1].argmax(1) for x in forks.values()]
same = torch.stack([(call == digits[:8].repeat(K)).float().mean() for call in calls])
assert settled[0].min() == 1 and same[0] == 1
curves = {"same digit": same, "coarse": settled[:, 0], "fine": settled[:, 1]}
chance = (digits.bincount(minlength=10) / 64).square().sum()  # that two samples are called alike
figure = plots.plot_settled(list(forks), curves, chance=float(chance))
plots.show(figure, alt="Shares that are settled, over t: all 1 at t = 0, all low at t = T.")
widgets.scrub(frames, labels=labels, n_columns=8, title="fork", curve=curves)

# %% [markdown]
# At a large $t$ only what is coarse stands out from the noise, so only that can be decided there.
#
# ## Is it a copy?
#
# A network that knew its training images by heart would draw nothing new. How far is each sample from its nearest training image? Compare with test images, which the network never saw, and with copies.
#
# Look at the ten samples nearest to a training image, and those images below: the same strokes? Then at the curves.

# %%
train, test = mnist("train", full=False), mnist("test", full=False)
seen = train.batch(torch.arange(len(train))).flatten(1)  # (10000, 784)
fresh = test.batch(torch.arange(0, len(test), 4)).flatten(1)  # (500, 784)
copies = seen[:500] + 0.05 * torch.randn(500, 784, generator=generator)
to_seen = torch.cdist(finished.flatten(1), seen)  # (64, 10000)
nearest = {"test images": torch.cdist(fresh, seen).amin(1), "samples": to_seen.amin(1)}
nearest["copies, a little noisy"] = torch.cdist(copies, seen).amin(1)
assert nearest["copies, a little noisy"].max() < nearest["test images"].quantile(0.05)

closest = nearest["samples"].argsort()[:10]
pairs = [finished[closest], seen[to_seen[closest].argmin(1)].view(-1, 1, 28, 28)]
figure = plots.plot_images(torch.cat(pairs), n_columns=10, width=9)
plots.show(figure, alt="The ten samples nearest to a training image, and below each that image.")
figure = plots.plot_nearest(nearest)
plots.show(figure, alt="Shares nearer than a distance: copies rise at once, the others later.")
for name in ("samples", "test"):  # the stored study
    low, middle = study["nearest"][name]["quantiles"][:2]
    print(f"{study['nearest']['searched']}; {name}: 5 % within {low:.1f}, half within {middle:.1f}")

# %% [markdown]
# Copies would rise at the left. Two limits: this page searches 10,000 of the 60,000 images that the network was trained on (the printed lines say what the study searched); and pixels are a crude measure: every 1 is near to some 1.
#
# ## The same thing in the library
#
# `diffusion.p_mean_variance` is one step, `ddpm_steps` the loop. Our short chain is also `ddim_steps` with `eta=1`, which a later lesson derives.

# %%
x, e = torch.randn(2, 2, 1, 28, 28, generator=generator, dtype=torch.float64)
for t, clip in [(1, True), (1, False), (T // 2, True), (T // 2, False), (T, True), (T, False)]:
    mean, _, _ = diffusion.p_mean_variance(e.float(), x.float(), t, clip=clip)
    torch.testing.assert_close(mean.double(), mean_x0_first(x, t, e, clip), rtol=1e-3, atol=1e-3)
ours, theirs = [torch.Generator().manual_seed(2) for _ in range(2)]  # the same noise twice
ours = sample(short, short_model, x.shape, sampler="ddpm", generator=ours)
theirs = sample(diffusion, model, x.shape, n_steps=50, eta=1.0, generator=theirs)
torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2)

# %% [markdown]
# ## What we saw
#
# - The posterior mean of $\hat x_0$ *is* Algorithm 2, until clipped.
# - Clipping bounds what a step can do wrong. Where one divides by almost no signal, as in a short cosine chain, it decides; elsewhere the study says what it does.
# - $\beta_t$ and $\tilde\beta_t$ differ at small $t$ only; the last step adds none.
# - Coarse before fine.
#
# ## Exercises
#
# ### Exercise 1: Take one step back (easy, 5 minutes)
#
# A step of Algorithm 2, with $\sigma_t^2=\beta_t$. `beta`, `alpha_bar`: tables of $T+1$ entries; `t` may be 1.

# %%
from torch import Tensor
from ddpm_lite.checks import check_reverse_step


def reverse_step(
    x_t: Tensor, t: int, eps_hat: Tensor, z: Tensor, beta: Tensor, alpha_bar: Tensor
) -> Tensor:
    """-> x_{t-1}"""
    raise NotImplementedError


check_reverse_step(reverse_step)

# %% [markdown]
# ### Exercise 2: Clip in the right place (easy, 10 minutes)
#
# Return the mean of $x_{t-1}$ as the code takes it: $\hat x_0$, clipped, into the posterior mean. Use nothing but the table $\bar\alpha_0,\dots,\bar\alpha_T$; from it comes $\alpha_t=\bar\alpha_t/\bar\alpha_{t-1}$.

# %%
from ddpm_lite.checks import check_clipped_mean


def clipped_mean(x_t: Tensor, t: int, eps_hat: Tensor, alpha_bar: Tensor) -> Tensor:
    raise NotImplementedError


check_clipped_mean(clipped_mean)

# %% [markdown]
# ### Exercise 3: Shorten a chain (medium, 10 minutes)
#
# You keep the times `tau`, a list that rises and does not hold 0, of a chain with table `alpha_bar`. Return the variances $\beta_k'$ of the short chain, one for each time. (Its first step comes from the clean image.)

# %%
from ddpm_lite.checks import check_short_beta


def short_beta(alpha_bar: Tensor, tau: list[int]) -> Tensor:
    """(T+1,), n times -> (n,)"""
    raise NotImplementedError


check_short_beta(short_beta)

# %% [markdown]
# ### Exercise 4: Foresee the spoiled network (hard, 20 minutes)
#
# One pixel, data $\mathcal N(0,s^2)$. The exact answer is $\hat\epsilon=\sqrt{1-\bar\alpha_t}\,x_t/(\bar\alpha_ts^2+1-\bar\alpha_t)$; the spoiled one is $c$ times that. Algorithm 2 starts from $\mathcal N(0,1)$, with $\sigma_t^2=\beta_t$. Every step is a factor times $x_t$ plus noise: which variance do the samples have? Then find out what $c=1.02$ does, and what a long chain does with it.

# %%
from ddpm_lite.checks import check_spoiled_variance


def spoiled_variance(alpha_bar: Tensor, s: float, c: float) -> float:
    """The variance of x_0 as sampled, without clipping."""
    raise NotImplementedError


check_spoiled_variance(spoiled_variance)

# %% [markdown]
# ## References
#
# - Ho, Jain & Abbeel 2020, [arXiv 2006.11239](https://arxiv.org/abs/2006.11239): Algorithm 2; eq. 7, 11; section 3.2 on $\sigma_t$. Their code clips.
# - The question: [hojonathanho/diffusion, issue 5](https://github.com/hojonathanho/diffusion/issues/5), open since 2021.
# - Nichol & Dhariwal 2021, [arXiv 2102.09672](https://arxiv.org/abs/2102.09672): shortened chains.
# - Saharia et al. 2022, [arXiv 2205.11487](https://arxiv.org/abs/2205.11487): saturation under guidance, and a clip that adapts.
# - Choi et al. 2022, [arXiv 2204.00227](https://arxiv.org/abs/2204.00227): coarse first.
# - Carlini et al. 2023, [arXiv 2301.13188](https://arxiv.org/abs/2301.13188): large models that do copy.
