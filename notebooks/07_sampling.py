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

import json, torch
from importlib.resources import files
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
# Open the code of Ho et al.: that line is not there. It solves $x_t=\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\epsilon$ for the image, **clips** it to the range of pixels, and puts it into the posterior's mean ($w_0,w_t$: lesson 03's $c_t,d_t$):
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
# as in Algorithm 2. The code checks each line.

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
# Second, what does clipping do? Run the whole chain with the trained network: four noises $x_T$, and the same $z$ for both means, with $\sigma_t^2=\tilde\beta_t$, the posterior's variance. ($8\times1000$ evaluations: one of the two longest cells here, about 20 seconds.)
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

assert clipped.abs().max() <= 1 + 1e-6 and plain.square().mean() < 1.2  # both are images
rows = {"clipped": clipped, "Algorithm 2": plain, "difference": plain - clipped}
figure, axes = plots.new_figure(3, 1, size=(5, 4.2))
for axis, (name, images) in zip(axes, rows.items(), strict=True):
    axis.imshow(plots.image_grid(images, 4), cmap="gray", vmin=0, vmax=255)
    axis.set_ylabel(name, fontsize=11)
    axis.set(xticks=[], yticks=[])
plots.show(figure, alt="Four noises walked back with clipping and without, and the difference.")

# %% [markdown]
# ## Where an error goes
#
# Let $\hat\epsilon$ be off by $\delta$. Then $\hat x_0$ is off by $-r_t\,\delta$, $r_t=\sqrt{1-\bar\alpha_t}/\sqrt{\bar\alpha_t}$: near $t=T$ we divide by almost nothing. The step passes on $w_0r_t\,\delta$.
#
# *Shorter chains* pass on more. Keep $n$ times, $0=\tau_0<\tau_1<\dots<\tau_n=T$. A step from $\tau_{k-1}$ to $\tau_k$ scales signal by $\sqrt{\bar\alpha_{\tau_k}/\bar\alpha_{\tau_{k-1}}}$, so
#
# $$\beta_k'=1-\bar\alpha_{\tau_k}/\bar\alpha_{\tau_{k-1}} .$$
#
# For another schedule, we tell the network the time at which its own has nearly the same noise rate.
#
# Right ends, where sampling begins: blue, what a step passes on of an error of 1; orange, of a *clipped* $\hat x_0$.

# %%
def shorten(n, table=alpha_bar):
    """A chain of n steps of a schedule, and the network, asked at the times of nearest noise."""
    kept = table[torch.arange(n + 1) * T // n]  # (n+1,): alpha_bar of the chain
    angle, angles = kept.sqrt().acos()[:, None], alpha_bar.sqrt().acos()  # noise rate = sin(angle)
    tau = (angles - angle).abs().argmin(1)  # (n+1,): the network's times
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
# Now the test: 50 steps, both schedules, and the same network, each $\hat\epsilon$ multiplied by $c$. With $c>1$ it exaggerates, as a poor network may, and guidance (a later lesson) does on purpose.
#
# Three rows: $\hat x_0$ is clipped in every step; in the first step only; never. Before you look: which columns of the last row will hold digits? Does the middle cosine column, the network as it is, need the clip?

# %%
c = torch.tensor([0.8, 1.0, 1.2]).repeat_interleave(4).view(-1, 1, 1, 1)  # (12, 1, 1, 1)
x_T = torch.randn(4, 1, 28, 28, generator=generator).repeat(3, 1, 1, 1)
rows = {"every step": 0, "first step": 49, "never": 50}  # steps k above it are clipped
grids, jumps = {name: [] for name in rows}, []
for table in tables.values():
    chain, _, network = shorten(50, table)
    for name, free in rows.items():
        x, noise = x_T, torch.Generator().manual_seed(1)  # the same noise for all
        for k in range(50, 0, -1):
            with torch.no_grad():
                eps_hat = c * network(x, torch.full((12,), k))
            mean, variance, _ = chain.p_mean_variance(eps_hat, x, k, clip=k > free)
            x = mean + variance.sqrt() * torch.randn(x.shape, generator=noise)
            jumps += [float(x[:4].square().mean().sqrt())] if k == 50 == free else []
        grids[name] += x.view(3, 4, 1, 28, 28)
size = {name: [float(x.square().mean().sqrt()) for x in row] for name, row in grids.items()}
assert abs(jumps[0] / (0.2 * 632) - 1) < 0.05  # a fifth of the noise, times 632
assert max(size["every step"]) <= 1 and size["never"][0] > 1.2  # no image: cosine, c = 0.8
assert max(size["first step"]) < 1.2 > jumps[1]
print("never clipped, root mean square of pixels:", *(f"{x:.2g}" for x in size["never"]))
with torch.no_grad():  # at t = T, x_T is eps but for sqrt(alpha_bar_T): the error can be measured
    error = float((model(x_T[:4], torch.full((4,), T)) - x_T[:4]).square().mean().sqrt())
for n, times in [(50, 632), (T, 32)]:
    chain = chains[f"cosine, {n} steps"]
    factor = float(chain.mu_coef_x_0[-1] * (1 / chain.alpha_bar[-1] - 1).sqrt())
    assert round(factor) == times
    print(f"{n} steps, c = 1: first error {error:.3f}, passed on: {factor * error:.2g}")
labels = [f"{schedule}, c = {value}" for schedule in tables for value in (0.8, 1, 1.2)]
figure = plots.plot_strip({name: torch.stack(row) for name, row in grids.items()}, labels, n=6)
plots.show(figure, alt="Digits by two schedules; never clipped, cosine, c = 0.8 is noise.")

# %% [markdown]
# Only cosine with $c=0.8$ fails unclipped: a fifth of the noise stays, times 632 (exercise 4). At $c=1.2$ this network recovers; another might not. In 1000 steps: 32 times; later steps forget.
#
# ## Which sigma?
#
# The paper has $\sigma_t^2=\beta_t$ and $\sigma_t^2=\tilde\beta_t=\frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\beta_t$. Each is right for some data. *One image*: $q(x_{t-1}\mid x_t)$ is the posterior, variance $\tilde\beta_t$. *Gaussian*, $\mathcal N(0,I)$: so is $x_t=\sqrt{\alpha_t}\,x_{t-1}+\sqrt{\beta_t}\,\epsilon_t$; its covariance with $x_{t-1}$ is $\sqrt{\alpha_t}$, and
#
# $$\mathrm E(x_{t-1}\mid x_t)=\sqrt{\alpha_t}\,x_t,\qquad\mathrm{Var}(x_{t-1}\mid x_t)=1-\sqrt{\alpha_t}^{\,2}=\beta_t .$$
#
# Let the image be 0, $v_t$ the variance of $x_t$. Both means are $f_tx_t$: $f_t=\sqrt{\alpha_t}$, or $w_t$ for the image; so $v_{t-1}=f_t^2v_t+\sigma_t^2$.

# %%
from ddpm_lite import GaussianOracle


def spreads(a_bar, s, sigma):
    """The spreads of x_1..x_n in a chain for data N(0, s^2), over the right ones: (n,)."""
    before, exact = a_bar[:-1], 1 - a_bar + s**2 * a_bar  # exact: the variances of x_0..x_n
    a = a_bar[1:] / before
    f = a.sqrt() * exact[:-1] / exact[1:]  # w_t for s = 0, sqrt(alpha_t) for s = 1
    noise = (1 - a) * (1 if sigma == "beta" else (1 - before) / (1 - a_bar[1:]))
    v = [skip[0] + 1]  # v_n: the chain starts from N(0, 1)
    for k in range(len(a) - 1, 0, -1):  # entry k belongs to step k + 1
        v.append(f[k] ** 2 * v[-1] + noise[k])
    return (torch.stack(v[::-1]) / exact[1:]).sqrt()


(coarse, _, coarse_model), n, spread = shorten(20), 20_000, {}
print(f"spread of x_1 over the right one in {T}, 50 and 20 steps:")
for data, s in [("one image", 0.0), ("Gaussian", 1.0)]:
    oracle = GaussianOracle(coarse, torch.zeros(1), s)  # the exact denoiser
    for name in ("beta", "beta_tilde"):
        by_n = {k: spreads(alpha_bar[:: T // k], s, name) for k in (T, 50, 20)}
        print(f"{data}, {name}: {', '.join(f'{float(x[0]):.3f}' for x in by_n.values())}")
        options = {"sigma": name, "clip": False, "generator": generator}
        x_1 = [step.x.double() for step in ddpm_steps(coarse, oracle, (n, 1), **options)][-2]
        measured = x_1.std() / (1 - (1 - s**2) * coarse.alpha_bar[1]).sqrt()
        verify("20 steps", by_n[20][0], measured, se=by_n[20][0] / (2 * n) ** 0.5)
        spread |= {(data, name, k): by_n[k] for k in (20, T)}
figure = plots.plot_sigmas({20: coarse, T: diffusion}, spread)
plots.show(figure, alt="Each sigma is right for one kind of data; the other errs, in 20 steps.")

# %% [markdown]
# A wrong choice shows at every $t$ of short chains; of 1000 steps only near $t=0$. Digits lie in between.
#
# ## No noise in the last step
#
# At $t=1$, $\bar\alpha_0=1$ and $1-\bar\alpha_1=\beta_1$. So $\tilde\mu_1=\frac{\beta_1}{\beta_1}\hat x_0+0\,x_1=\hat x_0$: the last step returns the network's image, and clipped samples lie in $[-1,1]$ (asserted above). As $\tilde\beta_1=0$, the rule $z=0$ then keeps itself. With $\beta_t$ it needs an `if`, easily forgotten: then samples have grain of standard deviation $\sqrt{\beta_1}$. Why does the bug live long? The picture shows 20 steps, dark grays stretched.

# %%
verify("w_0, w_t, beta_tilde at t = 1", [1.0, 0, 0], [w_0[1], w_t[1], diffusion.beta_tilde[1]])
for chain in (diffusion, coarse):
    print(f"{chain.T} steps: the grain has {chain.beta[1].sqrt() * 127.5:.1f} gray levels of 255")
x = sample(coarse, coarse_model, (4, 1, 28, 28), sampler="ddpm", sigma="beta", generator=generator)
grain = coarse.beta[1].sqrt() * torch.randn(x.shape, generator=generator)
stretched = (4 * (torch.cat([x, x + grain]) + 1) - 1).clamp(-1, 1)  # the darkest quarter
figure = plots.plot_images(stretched, n_columns=4, width=7)
plots.show(figure, alt="Four digits in 20 steps; below, the same with grain from a last noise.")

# %% [markdown]
# ## How often is it clipped?
#
# A study behind this page drew many digits in all $T$ steps, by each choice that we met, and noted at each $t$ what $\hat x_0$ was *before* clipping.
#
# Left: the share of pixels outside $[-1,1]$. Black is exactly $-1$, so half of all tiny errors count; dashed, errors above 0.1. Middle: the first steps. Right: how far outside. Then look where the chain ends, at $t=1$: which curve is lower? (One chain clipped before.)

# %%
from ddpm_lite import pretrained_card

study = json.loads((files("ddpm_lite") / "assets" / "clipping.json").read_text("utf-8"))
floor, real, sha256 = study["floor"], study["recognized_real"], study["checkpoint"]["sha256"]
print(f"{study['n']} digits an arm; made by {study['command']}")
if study["n"] < 100 or sha256 != pretrained_card("mnist")["sha256"]:
    print("TOO FEW, or by another network: run python benchmarks/clipping.py --n 500")
assert all(arm["x0_hat"]["outside"][-1] > 0.9 for arm in study["arms"][:4])  # at t = T
plots.show(plots.plot_saturation(study), alt="Outside: at T nearly all, later few by 0.1.")

# %% [markdown]
# ## Is the result better?
#
# *Recognized*: a classifier is more than 90 % sure. *Distance* (Frechet): from the crowd of real digits, in its features; lower is better; as many other real digits have the **floor**. *Haze*: mean gray (of 255) where no training digit has ink. On black, a clip cuts errors below $-1$, none above: have clipped rows more haze?
#
# All arms used the same noises: compare with the first (last column). A difference below two standard errors may be chance.

# %%
print(f"{'arm':<27}{'recognized':<16}{'haze':<7}{'distance':<15}minus the first")
for arm in study["arms"]:
    share, haze = arm["recognized"], 255 * arm["background"]["untouched_mean"]
    print(f"{arm['name']:<27}{share['mean']:.1%} ± {share['se']:<8.1%}{haze:<7.2f}", end="")
    d, less = arm["frechet"], arm["frechet_minus_first"]
    print(f"{d['mean']:.1f} ± {d['se']:<8.1f}{less['mean']:+.1f} ± {less['se']:.1f}")
print(f"{'real':<27}{real:<23.1%}{floor['mean']:.1f} ± {floor['se']:.1f}\n{floor['compared']}")
plots.show(plots.plot_arms(study), alt="Both scores of each arm, with bars of two standard errors.")

# %% [markdown]
# ## Sixty-four trajectories
#
# Now watch one chain of 50 steps: $x_t$, the guess $\hat x_0$, and the noise $\hat\epsilon$ seen in $x_t$. Go from right to left in the middle row: first specks (noise, blown up and clipped); then a blur, an average of many digits; then a shape; then strokes. Can you find a digit that changes its mind? And in the last row: at which end does the noise keep a shadow of the digit?

# %% tags=["cover"]
short, tau, short_model = shorten(50)
x_T = torch.randn(64, 1, 28, 28, generator=generator)
steps = list(ddpm_steps(short, short_model, x_T.shape, x_T=x_T, generator=generator))
path = [x_T, *(step.x for step in steps)]  # path[i] is x at t = tau[50 - i]
shown = [*range(49, 0, -2), 0]  # the last step first, that at T last
views = {
    "x_t": torch.stack([path[i] for i in shown]),  # (26, 64, 1, 28, 28)
    "x0_hat": torch.stack([steps[i].x0_hat for i in shown]),
    "eps_hat": torch.stack([steps[i].eps_hat for i in shown]),
}
labels = [f"t = {tau[50 - i]}" for i in shown]
figure = plots.plot_strip({name: frames[:, :16] for name, frames in views.items()}, labels, n=7)
plots.show(figure, alt="Sixteen digits at seven times: x_t; x0_hat from specks to digit; eps_hat.")
widgets.scrub(views, labels=labels)

# %% [markdown]
# ## What is settled when?
#
# Stop a trajectory at $x_t$ and go on from there several times, each with other noise: a **fork**. What all forks share was settled at $t$.
#
# We fork eight samples of which a classifier is sure. In each picture the top row holds four of them, and each column below three of its forks. At $t=0$ all agree. Going right, what do you lose first: an edge, the slant, or the digit?

# %%
from ddpm_lite.evaluation import features_and_p

p = features_and_p(path[-1])[1]  # (64, 10): the classifier's probabilities
chosen = (p.amax(1) > 0.99).nonzero()[:8, 0]
K, forks = 4, {0: path[-1][chosen].repeat(4, 1, 1, 1)}  # t -> (K * 8, 1, 28, 28)
for left in (4, 8, 12, 16, 20, 25, 30, 35, 40, 45, 50):  # steps to go
    x = path[50 - left][chosen].repeat(K, 1, 1, 1)
    for k in range(left, 0, -1):
        with torch.no_grad():
            eps_hat = short_model(x, torch.full((len(x),), k))
        mean, variance, _ = short.p_mean_variance(eps_hat, x, k)
        x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator)
    forks[int(tau[left])] = x
frames = torch.stack([torch.cat([path[-1][chosen], x]) for x in forks.values()])  # (12, 40, ...)
some = frames.view(12, K + 1, 8, 1, 28, 28)[[0, 4, 6, 8, 9, 11], :4, :4].flatten(1, 2)
labels = [f"t = {t}" for t in forks]
shown = [labels[i] for i in (0, 4, 6, 8, 9, 11)]
figure = plots.plot_strip([plots.image_grid(x, 4) for x in some], shown, n=6)
plots.show(figure, alt="Four digits and their forks: near copies at small t, strangers at t = T.")

# %% [markdown]
# In numbers. *Same digit*: the share of forks that a classifier calls like their original. *Coarse*: means over $7\times7$ pixels; *fine*: the rest. With $D_t$ the mean squared distance of forks from their original, and $D_t'$ that from the other originals, $1-D_t/D_t'$ is settled: 1 at $t=0$, about 0 at $t=T$.
#
# Compare orange with green: which falls first, coarse or fine? Blue is a share of forks, no variance: where does it leave 1? (32 forks: a half is uncertain by 0.09 or more.)

# %%
def distances(x, y):  # of the coarse parts, and of the rest
    d = x - y
    means = torch.nn.functional.avg_pool2d(d, 7).repeat_interleave(7, -1).repeat_interleave(7, -2)
    return torch.stack([means.square().mean(), (d - means).square().mean()])


originals, settled = path[-1][chosen].repeat(K, 1, 1, 1), []
for x in forks.values():
    by_fork = x.view(K, 8, 1, 28, 28)
    rolled = [by_fork.roll(i, 1).flatten(0, 1) for i in range(1, 8)]  # forks of other originals
    others = torch.stack([distances(y, originals) for y in rolled]).mean(0)
    settled.append(1 - distances(x, originals) / others)  # coarse, fine
settled, digits = torch.stack(settled), p.argmax(1)  # (12, 2), (64,)
calls = [features_and_p(x)[1].argmax(1) for x in forks.values()]
same = torch.stack([(call == digits[chosen].repeat(K)).float().mean() for call in calls])
assert settled[0].min() == 1 and same[0] == 1
assert (settled[1:-1, 0] - settled[1:-1, 1]).mean() > 0.03  # coarse before fine
curves = {"same digit": same, "coarse": settled[:, 0], "fine": settled[:, 1]}
chance = (digits.bincount(minlength=10) / 64)[digits[chosen]].mean()  # that any sample is called so
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
finished = path[-1]
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
# Copies would rise at the left. Samples farther away than test images need not be inventions: a scribble is far from every digit, too. Two limits: this page searches 10,000 of the 60,000 images that the network saw (the printed lines say what the study searched); and every 1 is near to some 1.
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
# - Clipping bounds what a step does wrong. Where one passes on hundreds of times its error (short cosine chains), it can decide; elsewhere it adds some haze.
# - $\beta_t$ or $\tilde\beta_t$: short chains show it; the last step adds none.
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
# One pixel, data $\mathcal N(0,s^2)$. The exact answer is $\hat\epsilon=\sqrt{1-\bar\alpha_t}\,x_t/(\bar\alpha_ts^2+1-\bar\alpha_t)$; the spoiled one is $c$ times that. Algorithm 2 starts from $\mathcal N(0,1)$, with $\sigma_t^2=\beta_t$. Every step is a factor times $x_t$ plus noise: which variance do the samples have?
#
# Then call it for `tables["cosine"][:: T // n]`, $n=20,50,200,1000$ steps, with $s=0.5$: what does $c=1.02$ do to $\sqrt v/s$, and $c=0.8$?

# %%
from ddpm_lite.checks import check_spoiled_variance


def spoiled_variance(alpha_bar: Tensor, s: float, c: float) -> float:
    """The variance of x_0 as sampled, without clipping."""
    raise NotImplementedError


check_spoiled_variance(spoiled_variance)

# %% [markdown]
# [**More exercises**](exercises/07_sampling.ipynb), with hints ([in Colab](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/07_sampling.ipynb)).
#
# ## References
#
# - Ho, Jain & Abbeel 2020, [arXiv 2006.11239](https://arxiv.org/abs/2006.11239): Algorithm 2; eq. 7, 11; section 3.2 on $\sigma_t$. Their code clips.
# - The question: [hojonathanho/diffusion, issue 5](https://github.com/hojonathanho/diffusion/issues/5), open since 2021.
# - Nichol & Dhariwal 2021, [arXiv 2102.09672](https://arxiv.org/abs/2102.09672): shortened chains.
# - Saharia et al. 2022, [arXiv 2205.11487](https://arxiv.org/abs/2205.11487): why not always clip: under guidance, pixels pile up at the ends; a clip that adapts.
# - Choi et al. 2022, [arXiv 2204.00227](https://arxiv.org/abs/2204.00227): coarse first.
# - Carlini et al. 2023, [arXiv 2301.13188](https://arxiv.org/abs/2301.13188): large models that do copy.
