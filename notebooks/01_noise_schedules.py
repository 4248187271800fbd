# %% [markdown]
# # Choose a noise schedule
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/01_noise_schedules.ipynb)
#
# **What you will do:** Draw three noise schedules, move their knobs, and catch a bug that leaves part of the image in the noise.
#
# **Learn:**
#
# - why a step shrinks the image before it adds noise
# - how $\beta$, $\alpha$, $\bar\alpha$, the two rates and the SNR are related
# - how much of the image is left at the end, and what that does to samples
#
# **Need:** lesson 00; mean and variance; a little PyTorch.
#
# **Minutes:** 45

# %%
import importlib.util, subprocess, sys

if importlib.util.find_spec("ddpm_lite") is None:  # Colab, or a bare environment
    address = "git+https://github.com/ddpm-lite/ddpm_lite@v0.1.0"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", address], check=True)
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()

import torch
from ddpm_lite import plots, widgets

plots.use_style()
torch.set_num_threads(1)  # all tensors here are small: one core is enough
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## Two processes: one is fixed, one is learned
#
# Take an image $x_0$. Add a little noise, $T$ times: $x_1, x_2, \dots, x_T$. This chain, called $q$, is **fixed**: we choose it, nothing in it is trained, and at its end only noise should be left.
#
# A network learns the way back, $p_\theta(x_{t-1}\mid x_t)$, where $\theta$ are its weights. Later lessons train it. This one is about the fixed chain: how much noise, and when?
#
# In the picture, look at the direction of the arrows; most steps are left out.

# %%
from ddpm_lite import GaussianDiffusion, linear_beta_schedule, mnist

data = mnist(split="test", full=False)
x_0 = data.batch([36])  # (1, 1, 28, 28), pixels from -1 (black) to 1 (white)
times = torch.tensor([0, 60, 180, 360, 1000])
chain = GaussianDiffusion(linear_beta_schedule(1000))
x_t = chain.q_sample(x_0.expand(5, -1, -1, -1), times, generator=generator)  # see lesson 02
alt = "A digit drowns in noise to the right along fixed arrows; learned ones go back."
plots.show(plots.plot_chains(x_t, times.tolist()), alt=alt)

# %% [markdown]
# ## One step
#
# With $\beta_t$ between 0 and 1, and fresh noise $\epsilon\sim\mathcal N(0,1)$ for each pixel,
#
# $$x_t=\sqrt{1-\beta_t}\,x_{t-1}+\sqrt{\beta_t}\,\epsilon .$$
#
# Why square roots? A factor $c$ multiplies the variance by $c^2$, and variances of independent terms add:
#
# $$\begin{aligned}\mathrm{Var}(x_t)&=(\sqrt{1-\beta_t})^2\,\mathrm{Var}(x_{t-1})+(\sqrt{\beta_t})^2\,\mathrm{Var}(\epsilon)\\&=(1-\beta_t)\,\mathrm{Var}(x_{t-1})+\beta_t .\end{aligned}$$
#
# If $\mathrm{Var}(x_{t-1})=1$, this is $1-\beta_t+\beta_t=1$: the step **preserves the variance**. Any other variance moves towards 1; for example that of our pixels, 0.38. Nothing here needs $x_{t-1}$ to be Gaussian: we test it on a uniform one.

# %%
from ddpm_lite.checks import verify

n = 200_000
x = (torch.rand(n, generator=generator, dtype=torch.float64) - 0.5) * 12**0.5  # mean 0, variance 1
for beta_t in (0.0001, 0.02, 0.5):
    eps = torch.randn(n, generator=generator, dtype=torch.float64)
    square = ((1 - beta_t) ** 0.5 * x + beta_t**0.5 * eps) ** 2
    verify(f"Var(x_t) at beta_t = {beta_t}", 1.0, square.mean(), se=square.std() / n**0.5)
verify("variance of our pixels", 0.38, data.batch(torch.arange(len(data))).var(), tol=0.01)

# %% [markdown]
# Two ways to get it wrong: do not shrink, or add noise of standard deviation $\beta_t$ instead of $\sqrt{\beta_t}$, a slip that is easy to make. We take 1000 steps, with the $\beta_t$ of Ho et al. 2020: from 0.0001 up to 0.02 in equal increments, the **linear schedule**.
#
# A step $x_t=a\,x_{t-1}+b\,\epsilon$ gives $v_t=a^2v_{t-1}+b^2$ for the variance $v_t$, so the last spread of each can be verified. Look at which curve stays at 1.

# %%
T = 1000
beta = linear_beta_schedule(T)  # beta_1 .. beta_T, (T,) float64
keep, add = (1 - beta).sqrt(), beta.sqrt()
rules = {
    "both roots": (keep, add),
    "no shrinking": (torch.ones(T), add),
    "no root at the noise": (keep, beta),
}
figure, axis = plots.new_figure(size=(8, 3.8))
for rule, (a, b) in rules.items():
    x, v, spread = torch.randn(20_000, generator=generator), 1.0, []
    for a_t, b_t in zip(a, b, strict=True):
        x = a_t * x + b_t * torch.randn(20_000, generator=generator)
        v = a_t**2 * v + b_t**2
        spread.append(x.std())
    se = (v / (2 * 20_000)) ** 0.5  # standard error of a Gaussian's standard deviation
    verify(f"standard deviation of x_T, {rule}", v**0.5, spread[-1], se=se)
    axis.plot(range(1, T + 1), spread, label=rule)
axis.set(xlabel="$t$", ylabel="standard deviation of $x_t$", ylim=(0, 3.5))
axis.legend(loc="upper left")
plots.show(figure, alt="Spread of x_t: one rule keeps 1, one grows to 3.3, one falls to 0.1.")

# %% [markdown]
# ## Many steps at once
#
# Write $\alpha_t=1-\beta_t$, and $\bar\alpha_t=\alpha_1\alpha_2\cdots\alpha_t$, with $\bar\alpha_0=1$. Hold $x_0$ fixed. Each step multiplies the mean by $\sqrt{\alpha_t}$, so
#
# $$\mathrm E[x_t\mid x_0]=\sqrt{\alpha_t}\cdots\sqrt{\alpha_1}\,x_0=\sqrt{\bar\alpha_t}\,x_0 .$$
#
# The variance $v_t$ begins at $v_0=0$, and
#
# $$\begin{aligned}v_t&=\alpha_t v_{t-1}+1-\alpha_t\\1-v_t&=\alpha_t-\alpha_t v_{t-1}=\alpha_t\,(1-v_{t-1})\\1-v_t&=\alpha_t\cdots\alpha_1\,(1-v_0)=\bar\alpha_t .\end{aligned}$$
#
# $$\text{So}\quad x_t=\underbrace{\sqrt{\bar\alpha_t}}_{\text{signal rate}}\,x_0+\underbrace{\sqrt{1-\bar\alpha_t}}_{\text{noise rate}}\,\epsilon$$
#
# with some $\epsilon$ of mean 0 and variance 1; lesson 02 shows that it is Gaussian.

# %%
beta = torch.cat([torch.zeros(1), linear_beta_schedule(T)])  # (T+1,): beta[t] belongs to t
alpha = 1 - beta
alpha_bar = alpha.cumprod(0)
mean, v = torch.ones_like(beta), torch.zeros_like(beta)  # from x_0 = 1, step by step
for t in range(1, T + 1):
    mean[t], v[t] = alpha[t].sqrt() * mean[t - 1], alpha[t] * v[t - 1] + beta[t]
verify("E[x_t | x_0 = 1] = sqrt(alpha_bar_t)", alpha_bar.sqrt(), mean)
verify("Var(x_t | x_0) = 1 - alpha_bar_t", 1 - alpha_bar, v)

# %% [markdown]
# ### The ratio of the two, and the names of everything
#
# The **signal-to-noise ratio** is $\mathrm{SNR}_t=\bar\alpha_t/(1-\bar\alpha_t)$, so $\bar\alpha_t=\frac{\mathrm{SNR}_t}{1+\mathrm{SNR}_t}=\mathrm{sigmoid}(\log\mathrm{SNR}_t)$; the logarithm is 0 where signal equals noise.
#
# $t$ runs from 1 to $T$, and 0 is the clean image. **t here is t in diffusers + 1.** You meet the lower rows later.
#
# | math | here | elsewhere |
# |---|---|---|
# | $\beta_t$, $\alpha_t$ | `beta[t]`, `alpha[t]` | `betas[t-1]`, `alphas` |
# | $\bar\alpha_t$ | `alpha_bar[t]` | `alphas_cumprod` |
# | $\sqrt{\bar\alpha_t}$, $\sqrt{1-\bar\alpha_t}$ | `sqrt_alpha_bar`, `sqrt_one_minus_alpha_bar` | `signal_rate`, `noise_rate` |
# | $\bar\alpha_t/(1-\bar\alpha_t)$ | `snr` | |
# | $x_0$, $x_t$ | `x_0`, `x_t` | `x_start`, `sample` |
# | $\epsilon$, $\epsilon_\theta(x_t,t)$ | `eps`, `eps_hat` | `noise`, `model_output` |
# | $\hat x_0$ | `x0_hat` | `pred_xstart`, `pred_original_sample` |
# | $\tilde\mu_t$, $\tilde\beta_t$ | `mu_tilde`, `beta_tilde` | `posterior_mean`, `posterior_variance` |
# | $\sigma_t$ | `sigma=` | `variance_type` |
# | $T$ | `T` | `num_timesteps` |

# %%
signal_rate, noise_rate = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
snr = alpha_bar[1:] / (1 - alpha_bar[1:])  # t = 1 .. T; at t = 0 it is infinite
verify("signal_rate^2 + noise_rate^2 = 1", torch.ones(T + 1), signal_rate**2 + noise_rate**2)
verify("alpha_bar = sigmoid(log SNR)", alpha_bar[1:], torch.sigmoid(snr.log()))
alphas_cumprod = (1 - linear_beta_schedule(T)).cumprod(0)  # a table without the clean image, (T,)
verify("alpha_bar[t] = alphas_cumprod[t - 1]", alpha_bar[1:], alphas_cumprod)
error = (1 - alpha_bar[1].float()) / beta[1] - 1  # 0.9999 rounded: 1.7e-8, beside 0.0001
verify("in float32, 1 - alpha_bar_1 is off by 1.7e-4 of itself", 1.7e-4, error, tol=5e-6)

# %% [markdown]
# That last line is why we compute tables in float64 and round once, at the end.
#
# ## Three schedules
#
# Nichol & Dhariwal (2021) choose the *rates*: signal $\cos\phi$, noise $\sin\phi$, whose squares sum to 1. Let the angle $\phi$ grow evenly with $t$, from near 0 to $\pi/2$ (their eq. 17):
#
# $$\bar\alpha_t=\frac{f(t)}{f(0)},\quad f(t)=\cos^2\!\Big(\frac{t/T+s}{1+s}\cdot\frac{\pi}{2}\Big).$$
#
# Since $\bar\alpha_t=\bar\alpha_{t-1}(1-\beta_t)$, the variances follow: $\beta_t=1-\bar\alpha_t/\bar\alpha_{t-1}$. The small $s=0.008$ keeps the first step from being too tiny; $f(0)$ restores $\bar\alpha_0=1$.

# %%
def cosine_beta(T: int, s: float = 0.008) -> torch.Tensor:
    t = torch.arange(T + 1, dtype=torch.float64)
    f = torch.cos((t / T + s) / (1 + s) * torch.pi / 2) ** 2
    return (1 - f[1:] / f[:-1]).clamp(max=0.999)  # f(0) cancels; f(T) = 0 makes beta_T = 1: cut


for s in (0, 0.008):  # with s, noise of the first step is just below one gray level of a pixel
    print(f"s = {s}: sqrt(beta_1) = {cosine_beta(1000, s)[0] ** 0.5:.4f}; a level: {2 / 255:.4f}")
assert cosine_beta(1000, 0)[0] ** 0.5 < 0.0016 and 0.006 < cosine_beta(1000)[0] ** 0.5 < 2 / 255

# %% [markdown]
# The **sigmoid** schedule (Jabri et al. 2022): with $S(u)=1/(1+e^{-u})$ and $u_t=6\,t/T-3$,
#
# $$\bar\alpha_t=\frac{S(u_T)-S(u_t)}{S(u_T)-S(u_0)}.$$
#
# Almost the cosine, but its ends and steepness are knobs. Look at the dots, where noise overtakes signal: linear at a quarter of the way, the others in the middle.
#
# Then at a digit, with **one** fixed $\epsilon$. The linear row gives up first: its last third is almost nothing but noise, steps that teach little. So lesson 00's network was trained with cosine. Move the slider.

# %%
from ddpm_lite import beta_schedule, pretrained_card

names = ["linear", "cosine", "sigmoid"]
schedules = {name: GaussianDiffusion(beta_schedule(name, T=1000)) for name in names}
equal = [int((d.alpha_bar - 0.5).abs().argmin()) for d in schedules.values()]  # SNR nearest 1
assert equal == [259, 496, 500]
faint = [int((d.sqrt_alpha_bar < 0.1).nonzero()[0]) for d in schedules.values()]
print("the signal rate falls below 0.1 at t =", dict(zip(names, faint, strict=True)))
assert faint == [674, 936, 970] and pretrained_card("mnist")["schedule"]["name"] == "cosine"
alt = "alpha_bar, rates and log SNR over t: linear falls early, cosine and sigmoid in the middle."
plots.show(plots.plot_schedules(schedules), alt=alt)

# %% tags=["cover"]
times = torch.arange(0, 1001, 20)
eps = torch.randn(x_0.shape, generator=generator)
x, e = x_0.expand(51, -1, -1, -1), eps.expand(51, -1, -1, -1)
frames = {name: d.q_sample(x, times, e) for name, d in schedules.items()}
rates = {name: d.sqrt_alpha_bar[times] for name, d in schedules.items()}
labels = [f"t = {t}" for t in times.tolist()]
alt = "One digit under three schedules, t = 0 to 1000: the linear row drowns in noise first."
plots.show(plots.plot_strip(frames, labels, n=11), alt=alt)
widgets.scrub(frames, labels=labels, curve=rates)

# %% [markdown]
# ## What $T$ and $\beta_T$ do
#
# How much signal is left at the end? Take the logarithm of the product, and $\log(1-\beta)=-\beta-\beta^2/2-\dots$:
#
# $$\log\bar\alpha_T=\sum_t\log(1-\beta_t)=-\sum_t\beta_t-\tfrac12\sum_t\beta_t^2-\dots\approx-\sum_t\beta_t .$$
#
# For the linear schedule the sum is an average times a count, $T(\beta_1+\beta_T)/2$. At $T=1000$ that is 10.05. At $T=200$, with the same two ends, only 2.01: the chain is too short, and a good part of the image survives it.

# %%
import math

left = {1000: 4.0e-5, 400: 0.0175, 200: 0.132, 150: 0.219}  # T: alpha_bar_T
for T, expected in left.items():
    beta = linear_beta_schedule(T, rescale=False)
    log_alpha_bar_T = (1 - beta).log().sum()
    name = f"T = {T}: alpha_bar_T = {expected}, in logarithms"
    verify(name, math.log(expected), log_alpha_bar_T, tol=1e-3)
    verify("    to second order", -beta.sum() - (beta**2).sum() / 2, log_alpha_bar_T, tol=1e-4)
    verify(f"    sum of beta = {beta.sum():.2f}", T * (1e-4 + 0.02) / 2, beta.sum())

# %% [markdown]
# **The remedy:** multiply all $\beta_t$ by $1000/T$. Then $\sum\beta_t=\frac{1000}{T}\cdot T\,\frac{\beta_1+\beta_T}{2}$ no longer contains $T$, and chains of 100 steps or more end close to where the one of 1000 does: $\bar\alpha_T$ is 2 to 4 in 100,000. (In much shorter ones $\frac12\sum\beta_t^2$ counts. Improved-diffusion's code does this; `rescale=True` is our default.)
#
# Look at the dot: the signal left at $t=T$. Shorten $T$, change $\beta_T$, then tick *times 1000/T*. ($\beta_T$ acts on the linear schedule only.)

# %%
live_figure, live_axis = plots.new_figure(size=(8, 3.8))
long = schedules["linear"].alpha_bar.numpy()
live_axis.plot(range(1001), long, color="0.55", label="linear, $T=1000$")
(curve,) = live_axis.plot([], [], label="yours")
(dot,) = live_axis.plot([], [], "o", ms=11, color="#D55E00")
live_axis.set(xlim=(0, 1020), ylim=(-0.03, 1.03), xlabel="$t$", ylabel=r"$\bar\alpha_t$", title=" ")
live_axis.legend(loc="upper right")


def what_is_left(T: int, beta_T: float, schedule: str, rescale: bool) -> object:
    """alpha_bar over t, with a dot at t = T: the signal that the chain leaves."""
    options = {"beta_T": beta_T, "rescale": rescale} if schedule == "linear" else {}
    alpha_bar = GaussianDiffusion(beta_schedule(schedule, T, **options)).alpha_bar.numpy()
    curve.set_data(range(T + 1), alpha_bar)
    dot.set_data([T], alpha_bar[-1:])
    live_axis.set_title(rf"$\bar\alpha_T$ = {alpha_bar[-1]:.3g} at $T$ = {T}")
    return live_figure


alt = "The unscaled schedule stops at T = 200 with alpha_bar = 0.13; 1000 steps lead to almost 0."
plots.show(what_is_left(200, 0.02, "linear", False), alt=alt)

# %%
widgets.explore(
    what_is_left, T=(100, 1000, 50, 200), beta_T=(0.005, 0.05, 0.005, 0.02),
    schedule=names, rescale=False, names={"beta_T": "β_T", "rescale": "times 1000/T"},
)

# %% [markdown]
# ## The bug that nobody sees
#
# Sampling starts from $x_T\sim\mathcal N(0,I)$, although the short chain never gets there. The loss looks fine, the samples are digits, and nobody looks at $x_T$. Let us: take one number of the whole image, its **brightness** $z=\frac1{28}\sum_i x_i$ over the $28^2$ pixels. The noise in it has variance $28^2/28^2$: again $\mathcal N(0,1)$. So
#
# $$z_t=\sqrt{\bar\alpha_t}\,z_0+\sqrt{1-\bar\alpha_t}\,\epsilon .$$
#
# Look at the gap: in training, a network would hardly ever meet an image as bright as those it starts from.

# %%
def brightness(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1).sum(1) / 28  # (B, 1, 28, 28) -> (B,)


digits = data.batch(torch.arange(len(data)))
short = GaussianDiffusion(linear_beta_schedule(200, rescale=False))
z_0, z_T = brightness(digits), brightness(short.q_sample(digits, 200, generator=generator))
a, b = short.sqrt_alpha_bar[200], short.sqrt_one_minus_alpha_bar[200]
verify("mean brightness of x_T", a * z_0.mean(), z_T.mean(), se=b / len(z_T) ** 0.5)

figure, axis = plots.new_figure(size=(8, 3.4))
start = torch.randn(len(z_T), generator=generator)
bins = torch.linspace(-13, 5, 73)
axis.hist(z_T, bins, density=True, label="$x_T$, where the chain ends")
axis.hist(start, bins, density=True, label=r"$\mathcal{N}(0, I)$, where sampling starts")
axis.set(xlabel="brightness $z_T$", ylabel="density", ylim=(0, 0.62))
axis.legend(loc="upper left")
plots.show(figure, alt="Brightness: x_T of the chain lies around -7.5, pure noise around 0.")

# %% [markdown]
# Let $z_0\sim\mathcal N(m,\sigma^2)$, $a^2=\bar\alpha_T$, and $v=a^2\sigma^2+1-a^2$, the variance of $z_T$. For Gaussians, the mean of $y$ given $z$ is $\mathrm E[y]+\frac{\mathrm{Cov}(y,z)}{\mathrm{Var}(z)}(z-\mathrm E[z])$, a line. As $\mathrm{Cov}(z_0,z_T)=a\,\sigma^2$,
#
# $$\mathrm E[z_0\mid z_T]=m+\frac{a\,\sigma^2}{v}\,(z_T-a\,m).$$
#
# Reverse steps with exact means are lines too. As all that $z_{t+1}$ tells of $z_0$ it tells through $z_t$, $\mathrm E\big[\mathrm E[z_0\mid z_t]\mid z_{t+1}\big]=\mathrm E[z_0\mid z_{t+1}]$: the chain of them ends at this line. Start at mean 0 instead of $a\,m=0.36\cdot(-20.6)=-7.5$, the gap in the picture:
#
# $$\mathrm E[\text{sample}]=m-\frac{a^2\sigma^2}{v}\,m=\frac{v-a^2\sigma^2}{v}\,m=\frac{1-\bar\alpha_T}{v}\,m .$$

# %%
from ddpm_lite import GaussianOracle, sample

m, sigma, n = float(z_0.mean()), float(z_0.std()), 10_000
verify("a m, where the short chain ends", -7.5, a * m, tol=0.01)
chains = {"unscaled": short, "times 1000/T": GaussianDiffusion(linear_beta_schedule(200))}
for name, diffusion in chains.items():
    oracle = GaussianOracle(diffusion, torch.tensor([m]), sigma)  # the best possible denoiser
    alpha_bar_T = float(diffusion.alpha_bar[-1])
    v = alpha_bar_T * sigma**2 + 1 - alpha_bar_T
    right = alpha_bar_T**0.5 * m + v**0.5 * torch.randn(n, 1, generator=generator)
    wrong_mean = (1 - alpha_bar_T) / v * m
    for start, x_T, expected in [("N(0, 1)", None, wrong_mean), ("q(x_T)", right, m)]:
        options = {"sampler": "ddpm", "clip": False, "generator": generator, "batch_size": n}
        z = sample(diffusion, oracle, (n, 1), x_T=x_T, **options)
        verify(f"{name}, from {start}: mean", expected, z.mean(), se=z.std() / n**0.5)

# %% [markdown]
# The denoiser is exact, so are the sampler's means, and still the samples are too bright: $-10.8$ where the data has $-20.6$.
#
# Real digits are not Gaussian, but for a finite data set the exact denoiser is known too: it gives back the digits of the set. So each sample on the left is real. Look at the right, at *which* come back (lines: standard errors): a bright start favors broad strokes, and 1s become rare. No single picture gives it away.

# %%
from ddpm_lite import FiniteOracle

subset, labels, shares = digits[:300], data.labels[:300], {}
figure, (left, right) = plots.new_figure(1, 2, size=(11, 3.2))
for name, diffusion in chains.items():
    oracle = FiniteOracle(diffusion, subset)
    x = sample(diffusion, oracle, (200, 1, 28, 28), sampler="ddpm", generator=generator)
    nearest = torch.cdist(x.flatten(1), subset.flatten(1)).argmin(1)  # which one came back
    shares[name] = labels[nearest].bincount(minlength=10) / 200
    if name == "unscaled":
        left.imshow(plots.image_grid(x[:32], 8), vmin=0, vmax=255)
shares["data"], z = labels.bincount(minlength=10) / 300, brightness(x)
assert shares["unscaled"][1] < shares["data"][1] / 3
verify("times 1000/T: mean brightness", brightness(subset).mean(), z.mean(), se=z.std() / 200**0.5)
for i, (name, share) in enumerate(shares.items()):
    se = None if name == "data" else (share * (1 - share) / 200) ** 0.5
    right.bar(torch.arange(10) + 0.28 * (i - 1), share, 0.28, yerr=se, label=name)
right.set(xticks=range(10), xlabel="digit", ylabel="share", ylim=(0, 0.25))
right.legend(loc="upper right", ncols=3, columnspacing=1)
left.set_title("sampled with the unscaled schedule")
left.set_axis_off()
alt = "Samples of the unscaled schedule are real digits, but few are 1s, and twice as many are 0s."
plots.show(figure, alt=alt)

# %% [markdown]
# ## The same thing in the library
#
# `GaussianDiffusion(beta)` holds all tables; `terminal_snr(beta)` tells what a schedule leaves.
#
# The rescaled schedule leaves little, not nothing. Lin et al. (2023) ask for **zero terminal SNR**, and found that Stable Diffusion's schedule, at 0.0047, kept its images near medium brightness. With exactly 0, $x_T$ no longer contains $x_0$, so predicting $\epsilon$ there tells nothing about it: such models predict a mix of $\epsilon$ and $x_0$ (lesson 04).

# %%
from ddpm_lite import cosine_beta_schedule, terminal_snr

library = GaussianDiffusion(linear_beta_schedule(1000))
torch.testing.assert_close(library.alpha_bar, alpha_bar.float())
torch.testing.assert_close(library.snr[1:], snr.float())
torch.testing.assert_close(cosine_beta_schedule(1000), cosine_beta(1000))
print({name: f"{terminal_snr(beta_schedule(name, 1000)):.1e}" for name in names})
stable = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
verify("Stable Diffusion: SNR at t = T", 0.0047, terminal_snr(stable), tol=5e-5)

# %% [markdown]
# ## What we saw
#
# - A step shrinks by $\sqrt{1-\beta_t}$ and adds $\sqrt{\beta_t}\,\epsilon$, so that a variance of 1 stays 1.
# - $\bar\alpha_t$ says everything: signal rate, noise rate, SNR.
# - Linear gives $\beta_t$; cosine and sigmoid give $\bar\alpha_t$ and take $\beta_t$ from it.
# - $\sum\beta_t$ sets what is left at the end. Change $T$, and you must rescale.
# - A chain that stops early shifts what you sample, and every single sample may still look right.

# %% [markdown]
# ## Exercises
#
# Each cell says "Not attempted yet." until you fill in the stub. A wrong answer is told what is wrong with it.
#
# ### Exercise 1: Build the table (easy, 5 minutes)
#
# Given $\beta_1,\dots,\beta_T$, return $\bar\alpha_0,\dots,\bar\alpha_T$. Which entry has to be 1?

# %%
from ddpm_lite.checks import check_alpha_bar


def my_alpha_bar(beta: torch.Tensor) -> torch.Tensor:
    """(T,) -> (T+1,)"""
    raise NotImplementedError


check_alpha_bar(my_alpha_bar)

# %% [markdown]
# ### Exercise 2: Read off the half-time (easy, 5 minutes)
#
# Given the table $\bar\alpha_0,\dots,\bar\alpha_T$, return the first $t$ at which the image has lost half of its *signal rate*. Guess it from the plot of the three schedules first.

# %%
from ddpm_lite.checks import check_half_signal


def half_signal(alpha_bar: torch.Tensor) -> int:
    """(T+1,) -> the first t with signal rate below 1/2"""
    raise NotImplementedError


check_half_signal(half_signal)

# %% [markdown]
# ### Exercise 3: Repair a short chain by hand (medium, 10 minutes)
#
# You want $T=200$ without the factor $1000/T$. Keep $\beta_1=10^{-4}$: from which $\beta_T$ on does the linear schedule end with an SNR below a given limit? Answer to within 0.0002. Search with `terminal_snr` and `linear_beta_schedule(T, beta_T=..., rescale=False)`.

# %%
from ddpm_lite.checks import check_smallest_beta_T


def smallest_beta_T(T: int, snr: float) -> float:
    raise NotImplementedError


check_smallest_beta_T(smallest_beta_T)

# %% [markdown]
# ### Exercise 4: End at exactly zero (medium, 10 minutes)
#
# Let $a_t=\sqrt{\bar\alpha_t}$. Find the straight-line map of the signal rate, $a_t\mapsto k\,(a_t-c)$, that keeps $a_0=1$ and brings $a_T$ to 0. Return the new $\bar\alpha$. (Lin et al. keep $a_1$ in place of $a_0$; their tables have no entry for the clean image.)

# %%
from ddpm_lite.checks import check_zero_terminal


def zero_terminal(alpha_bar: torch.Tensor) -> torch.Tensor:
    """(T+1,) -> (T+1,)"""
    raise NotImplementedError


check_zero_terminal(zero_terminal)

# %% [markdown]
# [**More exercises**](exercises/01_noise_schedules.ipynb), with hints ([in Colab](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/01_noise_schedules.ipynb)).
#
# ## References
#
# - Ho, Jain & Abbeel 2020, *Denoising Diffusion Probabilistic Models*, [arXiv 2006.11239](https://arxiv.org/abs/2006.11239): the linear schedule.
# - Nichol & Dhariwal 2021, *Improved Denoising Diffusion Probabilistic Models*, [arXiv 2102.09672](https://arxiv.org/abs/2102.09672): cosine, eq. 17.
# - Kingma et al. 2021, *Variational Diffusion Models*, [arXiv 2107.00630](https://arxiv.org/abs/2107.00630): SNR.
# - Jabri, Fleet & Chen 2022, *Scalable Adaptive Computation for Iterative Generation*, [arXiv 2212.11972](https://arxiv.org/abs/2212.11972): sigmoid.
# - Lin et al. 2023, *Common Diffusion Noise Schedules and Sample Steps are Flawed*, [arXiv 2305.08891](https://arxiv.org/abs/2305.08891): zero terminal SNR.
