# %% [markdown]
# # Jump to any step at once
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/02_closed_form.ipynb)
#
# **What you will do:** Replace a thousand noisy steps by one jump, prove and test that they agree, and watch digits and a density melt.
#
# **Learn:**
#
# - why independent Gaussians add up to a Gaussian
# - how $q(x_t\mid x_0)$ follows, with no line left out
# - how to test a formula so that a wrong one fails
#
# **Need:** lesson 01; densities and integrals; a little PyTorch.
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

import math, torch
from ddpm_lite import GaussianDiffusion, linear_beta_schedule, mnist, plots, widgets
from ddpm_lite.checks import verify
plots.use_style()
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## The walk
#
# Lesson 01 took an image $x_0$ apart in $T$ small steps. Step $t$ shrinks what is there and adds fresh noise $\epsilon_t\sim\mathcal N(0,I)$, independent of all that came before:
#
# $$x_t=\sqrt{\alpha_t}\,x_{t-1}+\sqrt{\beta_t}\,\epsilon_t,\qquad \alpha_t=1-\beta_t .$$
#
# To see $x_{500}$, this draws 500 noise images. Must we walk? Look at the strip: every picture is made from the one to its left.

# %%
T = 1000
beta = torch.cat([torch.zeros(1), linear_beta_schedule(T)])  # (T+1,) float64, beta[0] = 0
alpha = 1 - beta
alpha_bar = alpha.cumprod(0)  # alpha_bar[0] = 1: the clean image


def walk(x):
    yield x  # x_0
    for t in range(1, T + 1):
        eps = torch.randn(x.shape, dtype=x.dtype, generator=generator)
        x = alpha[t].sqrt() * x + beta[t].sqrt() * eps
        yield x  # x_t


data = mnist(split="test", full=False)
x_0 = data.batch([int((data.labels == k).nonzero()[0]) for k in range(8)])  # (8, 1, 28, 28)
stops = [0, 50, 100, 200, 300, 500, 700, 1000]
seven = [x for t, x in enumerate(walk(x_0[7])) if t in stops]
strip = plots.plot_strip(seven, [f"t = {t}" for t in stops])
plots.show(strip, alt="A seven at t = 0 to 1000 of the walk: hard to see at 300, gone at 500.")

# %% [markdown]
# ## A sample is a function of noise
#
# To draw $x\sim\mathcal N(\mu,\sigma^2)$, draw $\epsilon\sim\mathcal N(0,1)$ and set $x=\mu+\sigma\epsilon$. Proof, with $\Phi$ and $\phi$ the distribution function and density of $\epsilon$, at any number $c$:
#
# $$\begin{aligned}P(\mu+\sigma\epsilon\le c)&=P\big(\epsilon\le\tfrac{c-\mu}{\sigma}\big)=\Phi\big(\tfrac{c-\mu}{\sigma}\big)\\p(c)=\tfrac{d}{dc}\,\Phi\big(\tfrac{c-\mu}{\sigma}\big)&=\tfrac1\sigma\,\phi\big(\tfrac{c-\mu}{\sigma}\big)=\tfrac{1}{\sqrt{2\pi}\,\sigma}\,e^{-(c-\mu)^2/2\sigma^2}.\end{aligned}$$
#
# This is **reparameterization**. All chance sits in $\epsilon$, which knows nothing of $\mu$ and $\sigma$. (The code calls $\Phi$ `ndtr`.) So we can hold $\epsilon$ fixed and vary the rest, and gradients pass through a sample: $\partial x/\partial\sigma=\epsilon$.

# %%
def normal(x, variance):  # the density of N(0, variance)
    return torch.exp(-(x**2) / (2 * variance)) / (2 * math.pi * variance) ** 0.5


mu, sigma = 0.5, torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
c = torch.linspace(-8, 9, 500, dtype=torch.float64, requires_grad=True)
(p,) = torch.autograd.grad(torch.special.ndtr((c - mu) / sigma).sum(), c)  # a slope for each c
verify("p(c), the slope of Phi((c - mu) / sigma)", normal(c - mu, sigma**2), p)
(slope,) = torch.autograd.grad(mu + sigma * 0.7, sigma)  # a sample with eps = 0.7
verify("dx / d sigma = eps", 0.7, slope)

# %% [markdown]
# ## The sum of two Gaussians
#
# Let $u\sim\mathcal N(0,\sigma_1^2)$ and $v\sim\mathcal N(0,\sigma_2^2)$ be independent. Since $\mathrm E[uv]=\mathrm E[u]\,\mathrm E[v]=0$,
#
# $$\mathrm{Var}(u+v)=\mathrm E[u^2]+2\,\mathrm E[uv]+\mathrm E[v^2]=\sigma_1^2+\sigma_2^2=:\sigma^2 .$$
#
# That holds for any two independent variables of mean 0. The *shape* needs more: the density of $z=u+v$ adds up all ways to split $z$,
#
# $$p(z)=\int\mathcal N(u;0,\sigma_1^2)\,\mathcal N(z-u;0,\sigma_2^2)\,du=\frac{1}{2\pi\sigma_1\sigma_2}\int e^{-\frac12\left[\frac{u^2}{\sigma_1^2}+\frac{(z-u)^2}{\sigma_2^2}\right]}du .$$
#
# Complete the square in $u$, with $m=\sigma_1^2z/\sigma^2$ and $\tau=\sigma_1\sigma_2/\sigma$. Then
#
# $$\frac1{\sigma_1^2}+\frac1{\sigma_2^2}=\frac{\sigma_2^2+\sigma_1^2}{\sigma_1^2\sigma_2^2}=\frac1{\tau^2},\qquad\frac m{\tau^2}=\frac{\sigma_1^2z}{\sigma^2}\cdot\frac{\sigma^2}{\sigma_1^2\sigma_2^2}=\frac z{\sigma_2^2},$$
#
# so that (a) becomes (b). The bracket is
#
# $$\begin{aligned}&u^2\Big(\frac1{\sigma_1^2}+\frac1{\sigma_2^2}\Big)-\frac{2uz}{\sigma_2^2}+\frac{z^2}{\sigma_2^2}&&\text{(a)}\\=\;&\frac{u^2}{\tau^2}-\frac{2um}{\tau^2}+\frac{z^2}{\sigma_2^2}&&\text{(b)}\\=\;&\frac{(u-m)^2}{\tau^2}-\frac{m^2}{\tau^2}+\frac{z^2}{\sigma_2^2}&&\text{(c)}\\=\;&\frac{(u-m)^2}{\tau^2}-\frac{\sigma_1^2z^2}{\sigma_2^2\sigma^2}+\frac{\sigma^2z^2}{\sigma_2^2\sigma^2}=\frac{(u-m)^2}{\tau^2}+\frac{z^2}{\sigma^2}.&&\text{(d)}\end{aligned}$$
#
# Line (d) uses $\frac{m^2}{\tau^2}=m\cdot\frac z{\sigma_2^2}=\frac{\sigma_1^2z^2}{\sigma_2^2\sigma^2}$, and then $\sigma^2-\sigma_1^2=\sigma_2^2$. What is left to integrate over $u$ is a Gaussian bell of area $\sqrt{2\pi}\,\tau$:
#
# $$p(z)=\frac{\sqrt{2\pi}\,\tau}{2\pi\sigma_1\sigma_2}\,e^{-z^2/2\sigma^2}=\frac{1}{\sqrt{2\pi}\,\sigma}\,e^{-z^2/2\sigma^2}=\mathcal N(z;0,\sigma^2).$$

# %%
s1, s2, n = 0.6, 1.1, 100_000
sigma = (s1**2 + s2**2) ** 0.5
u, z = torch.randn(2, 1000, generator=generator, dtype=torch.float64)
m, tau = s1**2 * z / sigma**2, s1 * s2 / sigma
verify("1 / tau^2", 1 / tau**2, 1 / s1**2 + 1 / s2**2)
verify("m / tau^2", z / s2**2, m / tau**2)
bracket = u**2 / s1**2 + (z - u) ** 2 / s2**2
verify("line (a)", bracket, u**2 * (1 / s1**2 + 1 / s2**2) - 2 * u * z / s2**2 + z**2 / s2**2)
verify("line (b)", bracket, u**2 / tau**2 - 2 * u * m / tau**2 + z**2 / s2**2)
verify("line (c)", bracket, (u - m) ** 2 / tau**2 - m**2 / tau**2 + z**2 / s2**2)
verify("line (d)", bracket, (u - m) ** 2 / tau**2 + z**2 / sigma**2)

u = torch.linspace(-9, 9, 1801, dtype=torch.float64)
z = torch.linspace(-4, 4, 81, dtype=torch.float64)[:, None]
bell = torch.exp(-((u - 0.3) ** 2) / (2 * tau**2))
verify("area of the bell", (2 * math.pi) ** 0.5 * tau, torch.trapezoid(bell, u), tol=1e-12)
p = torch.trapezoid(normal(u, s1**2) * normal(z - u, s2**2), u)  # (81,): one integral for each z
verify("p(z) by integration on a grid", normal(z[:, 0], sigma**2), p, tol=1e-12)
noise = torch.randn(2, n, generator=generator, dtype=torch.float64)
total = s1 * noise[0] + s2 * noise[1]
verify("Var(u + v) by Monte Carlo", sigma**2, total.var(), se=sigma**2 * (2 / n) ** 0.5)

# %% [markdown]
# **Look at the gray histograms.** On the left, two Gaussians were added: the sum fits the bell of variance $\sigma_1^2+\sigma_2^2$. On the right, two uniform variables with the same variances: these add too, but the shape is neither a box nor a bell.
#
# Gaussians stay Gaussian at *every* step; other noise only comes close, after many. Move the sliders: the right side is most like a box where one $\sigma$ is far larger, and most like a bell where both are equal.

# %%
sums, axes = plots.new_figure(1, 2, size=(9.6, 3.6), sharey=True)
grid, edges = torch.linspace(-5, 5, 501), torch.linspace(-5, 5, 101)
samples = {  # of u and v, before scaling
    "Gaussian": torch.randn(2, n, generator=generator),
    "uniform": (torch.rand(2, n, generator=generator) - 0.5) * 12**0.5,  # variance 1
}
parts = []
for axis in axes:
    bars = axis.stairs(edges[1:] * 0, edges, fill=True, color="0.75", label="$u + v$")
    (bell,) = axis.plot(grid, grid, color=plots.PALETTE[1], label=r"$N(0, \sigma^2)$")
    axis.set(xlim=(-5, 5), ylim=(0, 0.72), xlabel="$z$", ylabel="density", title=" ")
    parts.append((axis, bars, bell))
axes[0].legend(loc="upper right")


def sum_picture(sigma_1, sigma_2):
    """Histograms of the sum of two Gaussians and of two uniform variables, over N(0, sigma^2)."""
    sigma = math.hypot(sigma_1, sigma_2)
    for (axis, bars, bell), (name, (u, v)) in zip(parts, samples.items(), strict=True):
        z = sigma_1 * u + sigma_2 * v
        bars.set_data(torch.histc(z, 100, -5, 5).numpy() / (len(z) * 0.1))
        bell.set_ydata(normal(grid, sigma**2))
        axis.set_title(f"{name}: standard deviation {z.std():.2f}")
    return sums


alt = "Sums of two Gaussians fill the bell; those of two uniforms do not."
plots.show(sum_picture(0.4, 1.0), alt=alt)
controls = {"sigma_1": (0.4, 1.2, 0.1, 0.4), "sigma_2": (0.4, 1.2, 0.1, 1.0)}
widgets.explore(sum_picture, names={"sigma_1": "σ₁", "sigma_2": "σ₂"}, **controls)

# %% [markdown]
# ## Two steps are one
#
# Put step 1 into step 2:
#
# $$\begin{aligned}x_2&=\sqrt{\alpha_2}\,x_1+\sqrt{\beta_2}\,\epsilon_2\\&=\sqrt{\alpha_2}\,\big(\sqrt{\alpha_1}\,x_0+\sqrt{\beta_1}\,\epsilon_1\big)+\sqrt{\beta_2}\,\epsilon_2\\&=\sqrt{\alpha_1\alpha_2}\,x_0+\underbrace{\sqrt{\alpha_2\beta_1}\,\epsilon_1+\sqrt{\beta_2}\,\epsilon_2}_{\text{two independent Gaussians}}\end{aligned}$$
#
# Their sum is, pixel by pixel, one Gaussian, of variance
#
# $$\alpha_2\beta_1+\beta_2=\alpha_2(1-\alpha_1)+(1-\alpha_2)=1-\alpha_1\alpha_2 .$$
#
# With one noise $\bar\epsilon_2\sim\mathcal N(0,I)$ in place of two, and $\bar\alpha_2=\alpha_1\alpha_2$,
#
# $$x_2=\sqrt{\bar\alpha_2}\,x_0+\sqrt{1-\bar\alpha_2}\;\bar\epsilon_2 .$$
#
# ## So are $t$ steps
#
# **Claim:** $x_t=\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\;\bar\epsilon_t$, with $\bar\epsilon_t\sim\mathcal N(0,I)$ made of $\epsilon_1,\dots,\epsilon_t$ alone. It holds at $t=1$: there $\bar\alpha_1=\alpha_1$, $1-\bar\alpha_1=\beta_1$. Suppose it holds at $t-1$. Then
#
# $$x_t=\sqrt{\alpha_t}\,\big(\sqrt{\bar\alpha_{t-1}}\,x_0+\sqrt{1-\bar\alpha_{t-1}}\;\bar\epsilon_{t-1}\big)+\sqrt{\beta_t}\,\epsilon_t .$$
#
# Signal: $\sqrt{\alpha_t\bar\alpha_{t-1}}=\sqrt{\bar\alpha_t}$. The two noises are independent; their variances add to
#
# $$\alpha_t(1-\bar\alpha_{t-1})+\beta_t=\alpha_t-\bar\alpha_t+1-\alpha_t=1-\bar\alpha_t,$$
#
# and the claim holds at $t$. (Autograd, below, tells what each draw contributes to $x_{500}$.) This is eq. 4 of Ho et al. 2020:
#
# $$\boxed{\;q(x_t\mid x_0)=\mathcal N\big(x_t;\,\sqrt{\bar\alpha_t}\,x_0,\,(1-\bar\alpha_t)I\big)\;}$$

# %%
verify("two steps: signal", alpha_bar[2].sqrt(), alpha[2].sqrt() * alpha[1].sqrt())
verify("two steps: noise", 1 - alpha_bar[2], alpha[2] * beta[1] + beta[2], tol=1e-15)
verify("step t: signal", alpha_bar[1:].sqrt(), alpha[1:].sqrt() * alpha_bar[:-1].sqrt(), tol=1e-14)
verify("step t: noise", 1 - alpha_bar[1:], alpha[1:] * (1 - alpha_bar[:-1]) + beta[1:], tol=1e-14)

# %%
begin = torch.ones((), dtype=torch.float64, requires_grad=True)
draws = torch.randn(T + 1, generator=generator, dtype=torch.float64).requires_grad_()
x = begin
for t in range(1, 501):
    x = alpha[t].sqrt() * x + beta[t].sqrt() * draws[t]
signal, weights = torch.autograd.grad(x, [begin, draws])  # x is linear in them: their weights
verify("500 steps: signal", alpha_bar[500].sqrt(), signal, tol=1e-12)
verify("500 steps: sum of squared weights", 1 - alpha_bar[500], (weights**2).sum(), tol=1e-12)

# %% [markdown]
# ## Thirty thousand walkers
#
# Does the walk agree? We send $n$ walkers from a white pixel, $x_0=1$, and $n$ from a black one, $x_0=-1$. With $v=1-\bar\alpha_t$, the standard error of their mean is $\sqrt{v/n}$, that of their variance (for Gaussians) $v\sqrt{2/(n-1)}$. `verify` allows about 4 of them: a false alarm in one of 10,000 calls.
#
# **In the picture**, the bands are the formula, $\sqrt{\bar\alpha_t}\,x_0\pm2\sqrt{1-\bar\alpha_t}$; the thin lines are walkers. Watch how two clouds that start a distance of 2 apart end in one and the same bell.

# %%
n, stops = 15_000, [1, 10, 50, 100, 200, 500, 1000]
start = torch.tensor([1.0, -1.0], dtype=torch.float64)[:, None]  # (2, 1): white, black
walkers = {t: x for t, x in enumerate(walk(start.expand(2, n))) if t in stops}  # each (2, n)
for t, x in walkers.items():
    mean, v = alpha_bar[t].sqrt() * start[:, 0], 1 - alpha_bar[t]
    verify(f"t = {t}, mean", mean, x.mean(1), se=(v / n).sqrt())
    verify(f"t = {t}, variance", v.expand(2), x.var(1), se=v * (2 / (n - 1)) ** 0.5)

# %% tags=["cover"]
figure, (axis, right) = plots.new_figure(1, 2, size=(11, 4.2), sharey=True, width_ratios=[4, 1])
paths = torch.stack(list(walk(start.expand(2, 6))))  # (T+1, 2, 6)
time = torch.arange(T + 1)
band = 2 * (1 - alpha_bar).sqrt()
for i, (name, color) in enumerate([("$x_0=1$", "#D55E00"), ("$x_0=-1$", "#0072B2")]):
    mean = alpha_bar.sqrt() * start[i]
    axis.plot(time, paths[:, i], color=color, linewidth=0.7, alpha=0.7)
    axis.fill_between(time, mean - band, mean + band, color=color, alpha=0.15, linewidth=0)
    axis.plot(time, mean, color=color, linewidth=3, label=name)
    right.hist(walkers[T][i], 60, density=True, orientation="horizontal", color=color, alpha=0.4)
height = torch.linspace(-3.6, 3.6, 200)
right.plot(normal(height, 1), height, color="black", label="$N(0,1)$")
axis.set(xlabel="$t$", ylabel="$x_t$", xlim=(0, T), ylim=(-3.6, 3.6))
right.set(xlabel="density", xticks=[])
axis.legend(loc="upper left", ncols=2)
right.legend(loc="upper right", handlelength=1)
plots.show(figure, alt="Walkers from 1 and -1 spread inside the bands, into one bell at t = T.")

# %% [markdown]
# ## A test that a wrong formula fails
#
# Mean and variance do not fix a shape. The **Kolmogorov-Smirnov distance** compares whole distributions: sort $n$ samples $z_i$ and take the largest gap between the share $F_n(z)$ of samples up to $z$ and $\Phi(z)$. It is reached at a sample, just before or just after its jump of $1/n$:
#
# $$D=\max_i\,\max\!\big(\tfrac in-\Phi(z_i),\;\Phi(z_i)-\tfrac{i-1}n\big).$$
#
# If the $z_i$ do follow $\Phi$, then $P(D>c/\sqrt n)\le2e^{-2c^2}$ (Massart 1990). For a chance of $10^{-4}$: $c=\sqrt{\tfrac12\ln\tfrac{2}{10^{-4}}}=2.23$. In the picture, see which curve leaves the band.

# %%
def ks(F):  # F: the supposed distribution function at the samples; more than 2.23 refutes it
    F, n = F.flatten().double().sort().values, F.numel()
    after = torch.arange(1, n + 1) / n
    return n**0.5 * torch.maximum(after - F, F - after + 1 / n).max()


critical = math.sqrt(math.log(2 / 1e-4) / 2)
verify("the chance of a false alarm", 1e-4, 2 * math.exp(-2 * critical**2), tol=1e-12)
noise = torch.randn(2, n, generator=generator, dtype=torch.float64)
F_walk, F_bug = {}, {}
for t, x in walkers.items():
    mean, rate = alpha_bar[t].sqrt() * start, (1 - alpha_bar[t]).sqrt()
    F_walk[t] = torch.special.ndtr((x - mean) / rate)
    x_bug = mean + rate**2 * noise  # a jump without the square root
    F_bug[t] = torch.special.ndtr((x_bug - mean) / rate)
    assert ks(F_walk[t]) < critical, f"t = {t}: the walkers do not follow the formula"
    assert ks(F_bug[t]) > critical or t > 200
assert ks(F_bug[T]) < critical  # at the end of the chain, the bug escapes

figure, axis = plots.new_figure(size=(8, 3.4))
for name, F in [("walk", F_walk[200]), ("jump without the root", F_bug[200])]:
    F = F.flatten().sort().values
    share = torch.arange(1, len(F) + 1) / len(F)
    axis.plot(torch.special.ndtri(F), share - F, label=name)
axis.axhspan(-critical / len(F) ** 0.5, critical / len(F) ** 0.5, color="0.8", label="allowed")
axis.set(xlabel="$z$", ylabel=r"$F_n(z)-\Phi(z)$", xlim=(-3, 3))
axis.legend()
plots.show(figure, alt="The walk's gap stays in the allowed band; the bug's leaves it far.")

# %% [markdown]
# The code asserts more: at every $t$ the walk passes, and up to $t=200$ the bug fails. At $t=500$ that is a matter of luck, and at $t=T$ it escapes: there $1-\bar\alpha_T$ is almost its own root.
#
# ## On digits
#
# Now whole images: all 8 digits **walk**, and all 8 **jump** with fresh noise. Each image has 784 pixels, so the residuals $(x_t-\sqrt{\bar\alpha_t}\,x_0)/\sqrt{1-\bar\alpha_t}$ are 6,272 numbers, which should be standard normal. Without the labels, could you tell which row walked? You should not.

# %%
stops = [50, 100, 200, 300, 500, 1000]
rows = {"walk": [x for t, x in enumerate(walk(x_0)) if t in stops], "jump": []}
for t in stops:
    eps = torch.randn(x_0.shape, generator=generator)
    rows["jump"].append(alpha_bar[t].sqrt() * x_0 + (1 - alpha_bar[t]).sqrt() * eps)

for name, row in rows.items():
    pairs = zip(stops, row, strict=True)
    z = [(x - alpha_bar[t].sqrt() * x_0) / (1 - alpha_bar[t]).sqrt() for t, x in pairs]
    z = torch.stack(z)  # (6, 8, 1, 28, 28)
    size = z[0].numel()
    verify(f"{name}: means", torch.zeros(6), z.flatten(1).mean(1), se=size**-0.5)
    verify(f"{name}: variances", torch.ones(6), z.flatten(1).var(1), se=(2 / size) ** 0.5)
    assert all(ks(torch.special.ndtr(residual)) < critical for residual in z)
views = {name: [x[3] for x in row] for name, row in rows.items()}
strip = plots.plot_strip(views, [f"t = {t}" for t in stops])
plots.show(strip, alt="A three at six times, walked and jumped: other noise, the same look.")

# %% [markdown]
# ## One noise, any time
#
# Reparameterization also lets us fix one $\epsilon$ for each digit and change $t$ alone: nothing moves but the two rates, drawn under the slider.
#
# One caution: each frame is a true sample of $q(x_t\mid x_0)$, but the film is no walk. A walk draws fresh noise at every step, and forgets its old noise as it forgets the image.

# %%
times = torch.arange(0, T + 1, 20)
eps = torch.randn(x_0.shape, generator=generator)
rates = {"signal rate": alpha_bar[times].sqrt(), "noise rate": (1 - alpha_bar[times]).sqrt()}
table = list(zip(times, *rates.values(), strict=True))  # rows of t, signal rate, noise rate
frames = torch.stack([a.float() * x_0 + b.float() * eps for _, a, b in table])
labels = [f"t = {t}, signal {a:.2f}, noise {b:.2f}" for t, a, b in table]
plots.show(plots.plot_strip(frames[:, 3], labels), alt="A three fades under one noise.")
widgets.scrub(frames, labels=labels, n_columns=4, curve=rates)

# %% [markdown]
# ## Watch a density melt
#
# Where $x_0$ is random too, all of $q(x_t)$ melts. Draw $x_0=m_k+\sigma\epsilon'$ from one of 8 Gaussian components in the plane. The jump gives
#
# $$x_t=\sqrt{\bar\alpha_t}\,m_k+\sqrt{\bar\alpha_t}\,\sigma\,\epsilon'+\sqrt{1-\bar\alpha_t}\;\epsilon .$$
#
# The two noises are independent, so with $v_t=\bar\alpha_t\sigma^2+1-\bar\alpha_t$,
#
# $$q(x_t)=\tfrac18\sum_k\mathcal N\big(x_t;\,\sqrt{\bar\alpha_t}\,m_k,\,v_tI\big).$$
#
# **The points walk, step by step; the color is the formula,** its scale set anew in each frame. Watch whether the points ever leave the color, and when the eight spots become one ring.

# %%
from ddpm_lite.data import GaussianMixture

ring = GaussianMixture.ring()  # 8 components on a circle
times = [round(T * (i / 40) ** 2) for i in range(41)]  # closer together where most happens
points = walk(ring.sample(15_000, generator=generator))
points = {t: x for t, x in enumerate(points) if t in times}  # each (15000, 2)

side = torch.linspace(-2, 2, 101, dtype=torch.float64)
plane = torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1)  # (101, 101, 2)
for t in (times[8], times[16], times[24], T):
    means, v = alpha_bar[t].sqrt() * ring.means, alpha_bar[t] * ring.std[0] ** 2 + 1 - alpha_bar[t]
    bells = normal(plane[..., None, :] - means, v).prod(-1)  # (101, 101, 8)
    library = ring.diffused(alpha_bar[t]).log_prob(plane).exp()
    verify(f"t = {t}: q(x_t), ours and the library's", library, bells.mean(-1))
    F = torch.special.ndtr((points[t][:, :1] - means[:, 0]) / v.sqrt()).mean(1)
    assert ks(F) < critical, f"t = {t}: the first coordinate of the walk does not follow q(x_t)"

# %%
figure, axis = plots.new_figure(size=(3.2, 3.2))
box = {"extent": (-2, 2, -2, 2), "origin": "lower", "interpolation": "bilinear"}
heat = axis.imshow(torch.zeros(101, 101), cmap="Blues", vmin=0, vmax=1, **box)
dots = axis.scatter([], [], s=12, color="#D55E00", linewidths=0)
axis.set(xlim=(-2, 2), ylim=(-2, 2))
axis.set_axis_off()


def melt(i):
    density = ring.diffused(alpha_bar[times[i]]).log_prob(plane).exp()
    heat.set_data(density / density.max())
    dots.set_offsets(points[times[i]][:200])


frames = plots.render_frames(figure, melt, len(times))
labels = [f"t = {t}, signal {alpha_bar[t].sqrt():.2f}" for t in times]
shown = [0, 4, 6, 8, 11, 14, 17, 40]
strip = plots.plot_strip(frames[shown], [labels[i] for i in shown])
plots.show(strip, alt="Eight spots become a ring and then a cloud; the points stay in the color.")
widgets.scrub(frames, labels=labels, fps=8)

# %% [markdown]
# ## At $t=T$ it is almost pure noise
#
# How far is $\mathcal N(\mu,v)$ from $\mathcal N(0,1)$? Their Kullback-Leibler divergence is the mean of $\ln\mathcal N(x;\mu,v)-\ln\mathcal N(x;0,1)$ over $x\sim\mathcal N(\mu,v)$. With $\mathrm E[(x-\mu)^2]=v$ and $\mathrm E[x^2]=v+\mu^2$,
#
# $$\begin{aligned}\mathrm{KL}&=\mathrm E\Big[-\tfrac12\ln(2\pi v)-\tfrac{(x-\mu)^2}{2v}+\tfrac12\ln(2\pi)+\tfrac{x^2}{2}\Big]\\&=-\tfrac12\ln v-\tfrac12+\tfrac12(v+\mu^2).\end{aligned}$$
#
# A pixel has $\mu^2=\bar\alpha_t\,x_0^2$ and $v=1-\bar\alpha_t$:
#
# $$\mathrm{KL}_t=\tfrac12\big(\bar\alpha_t\,x_0^2-\bar\alpha_t-\ln(1-\bar\alpha_t)\big).$$
#
# Averaged over the pixels and divided by $\ln2$, these are **bits per dimension**. In the picture, look at the two dots: the ends of a good and of a bad chain.

# %%
x, mu, v = torch.linspace(-9, 9, 2001, dtype=torch.float64), 0.3, 0.6
ours, standard = normal(x - mu, v), normal(x, 1)
kl = torch.trapezoid(ours * (ours / standard).log(), x)
verify("KL on a grid", (v + mu**2 - 1 - math.log(v)) / 2, kl, tol=1e-9)


def bits(alpha_bar, x_0):  # KL of q(x_t | x_0) to N(0, I), bits per dimension
    a = alpha_bar[..., None]
    return ((a * x_0.flatten() ** 2 - a - torch.log1p(-a)) / 2).mean(-1) / math.log(2)


figure, axis = plots.new_figure(size=(8, 3.6))
for name, steps, rescale in [("$T=1000$", 1000, True), ("$T=200$, not rescaled", 200, False)]:
    diffusion = GaussianDiffusion(linear_beta_schedule(steps, rescale=rescale), dtype=torch.float64)
    curve = bits(diffusion.alpha_bar[1:], x_0)
    L_T = diffusion.prior_term(x_0.double()).mean()
    verify(f"{steps} steps: the library's prior_term", curve[-1], L_T, tol=1e-9)
    (line,) = axis.semilogy(range(1, steps + 1), curve, label=name)
    axis.plot([steps], curve[-1:], "o", ms=10, color=line.get_color())
    print(f"{steps} steps: {L_T:.1e} bits per dimension, {784 * L_T:.2f} bits per image")
axis.set(xlabel="$t$", ylabel="bits per dimension")
axis.legend()
plots.show(figure, alt="KL falls with t, to 3e-5 bits at T = 1000, but to 0.095 only at T = 200.")

# %% [markdown]
# ## The same thing in the library
#
# `diffusion.q_sample(x_0, t, eps)` is the jump. Here `t` may differ from image to image, and that is what the jump is *for*: training needs $x_t$ at random $t$. A walk there draws $t$ noise images, on average 500; the jump draws one. Look at the strip: 8 images, 8 times, one call. (Training draws the times; we chose some at which there is something to see.)

# %%
diffusion = GaussianDiffusion(linear_beta_schedule(T))
t = torch.tensor([10, 60, 120, 180, 240, 300, 400, 900])
eps = torch.randn(x_0.shape, generator=generator)
a = alpha_bar[t].view(-1, 1, 1, 1)  # (B, 1, 1, 1): one rate for each image
x_t = diffusion.q_sample(x_0, t, eps)
torch.testing.assert_close(x_t, (a.sqrt() * x_0 + (1 - a).sqrt() * eps).float())
strip = plots.plot_strip(x_t, [f"t = {i}" for i in t], n=8)
plots.show(strip, alt="Eight digits, each at its own t: a batch as training uses it.")

# %% tags=["nbval-ignore-output"]
from itertools import islice
from timeit import repeat


def walk_to_500():
    return next(islice(walk(x_0), 500, None))  # x_500


slow = min(repeat(walk_to_500, number=1, repeat=5))
fast = min(repeat(lambda: diffusion.q_sample(x_0, 500, generator=generator), number=1, repeat=50))
print(f"noise images drawn: 500 against 1; time: {slow / fast:.0f} times as long")

# %% [markdown]
# ## What we saw
#
# - A sample is a function of noise, $x=\mu+\sigma\epsilon$.
# - Independent Gaussians add up to a Gaussian, and their variances add.
# - Hence $t$ steps are one jump: $q(x_t\mid x_0)=\mathcal N(\sqrt{\bar\alpha_t}\,x_0,(1-\bar\alpha_t)I)$. Walkers agree in mean, variance and shape; the bug did not.
# - At $t=T$ a whole image is about 0.02 bits away from pure noise.
#
# Next we want to walk *back*. That needs $q(x_{t-1}\mid x_t,x_0)$, and the jump will give it to us.

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: Jump (easy, 5 minutes)
#
# Write the jump for a batch, without `ddpm_lite`. Image $b$ has its own time $t_b$, and `alpha_bar` is the table of $T+1$ entries. Use the `eps` that is given, so that your answer can be compared.

# %%
from torch import Tensor
from ddpm_lite.checks import check_q_sample


def q_sample(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    """(B, C, H, W), (B,) int64, (B, C, H, W), (T+1,) -> x_t (B, C, H, W)"""
    raise NotImplementedError


check_q_sample(q_sample)

# %% [markdown]
# ### Exercise 2: Recover the noise (easy, 5 minutes)
#
# You are given $x_t$ and the $x_0$ it came from. Which $\epsilon$ was it? This is what the network of the later lessons must guess, without being shown $x_0$. (`alpha_bar_t` is a plain number, without a method `sqrt`.)

# %%
from ddpm_lite.checks import check_recover_eps


def recover_eps(x_t: Tensor, x_0: Tensor, alpha_bar_t: float) -> Tensor:
    # the root of a number: alpha_bar_t ** 0.5
    raise NotImplementedError


check_recover_eps(recover_eps)

# %% [markdown]
# ### Exercise 3: Jump from the middle (medium, 10 minutes)
#
# You stand at $x_s$ and want $x_t$, with $s<t$. Derive $q(x_t\mid x_s)=\mathcal N(a\,x_s,\,v\,I)$ by the argument of *So are $t$ steps*, and return $a$ and $v$ in terms of $\bar\alpha_s$ and $\bar\alpha_t$. Try $s=0$ and $s=t-1$ first: what must come out?

# %%
from ddpm_lite.checks import check_jump_from


def jump_from(alpha_bar_s: float, alpha_bar_t: float) -> tuple[float, float]:
    """-> a, v"""
    raise NotImplementedError


check_jump_from(jump_from)

# %% [markdown]
# ### Exercise 4: Catch a bug by its variance (medium, 10 minutes)
#
# This line is easy to write. It runs, and its pictures look plausible.
#
# ```python
# x_t = alpha_bar[t].sqrt() * x_0 + (1 - alpha_bar[t]) * eps
# ```
#
# Let each pixel of $x_0$ have mean 0 and variance 1, independent of $\epsilon$. What is the variance of this $x_t$, for every $t$ in the table? Return it, then find where it is furthest from 1.

# %%
from ddpm_lite.checks import check_buggy_variance


def buggy_variance(alpha_bar: Tensor) -> Tensor:
    """(T+1,) -> (T+1,)"""
    raise NotImplementedError


check_buggy_variance(buggy_variance)

# %% [markdown]
# [**More exercises**](exercises/02_closed_form.ipynb), with hints ([in Colab](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/02_closed_form.ipynb)).
#
# ## References
#
# - Ho, Jain & Abbeel 2020, *Denoising Diffusion Probabilistic Models*, [arXiv 2006.11239](https://arxiv.org/abs/2006.11239): eq. 2 and 4; $L_T$ in eq. 5.
# - Sohl-Dickstein et al. 2015, *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*, [arXiv 1503.03585](https://arxiv.org/abs/1503.03585): where the chain comes from.
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*, [arXiv 1312.6114](https://arxiv.org/abs/1312.6114): reparameterization.
# - Massart 1990, *The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality*, Annals of Probability 18(3): the limit of our test.
