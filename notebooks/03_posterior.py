# %% [markdown]
# # Look one step back
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/03_posterior.ipynb)
#
# **What you will do:** Turn one noisy step around with Bayes' rule, complete the square, and see why a Gaussian reverse step is good enough.
#
# **Learn:**
#
# - how $q(x_{t-1}\mid x_t,x_0)$ follows, with no line left out
# - what $\tilde\mu_t$ mixes, and how much noise $\tilde\beta_t$ is left
# - why steps must be small when $x_0$ is not known
#
# **Need:** lesson 02; Bayes' rule; a little PyTorch.
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
from ddpm_lite import GaussianDiffusion, cosine_beta_schedule, plots, widgets

plots.use_style()
torch.set_num_threads(1)  # all tensors here are small: one core is enough
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## Where was it one step ago?
#
# The fixed chain $q$ takes an image $x_0$ apart, $x_t=\sqrt{\alpha_t}\,x_{t-1}+\sqrt{\beta_t}\,\epsilon_t$. A model that makes images must go back, from $x_t$ to $x_{t-1}$. Many $x_{t-1}$ may have led to one $x_t$: the answer is a distribution.
#
# First with $x_0$ **given**, and without algebra: a million walkers start at a white pixel, $x_0=1$; black are those that arrive near $x_5=-0.5$. Where were they at $t=4$? Look at the place, the width and the shape of the black ones. ($T=10$ wide steps, so that there is something to see.)

# %%
torch.set_default_dtype(torch.float64)  # as many digits as there are, in all that follows
T, n = 10, 1_000_000  # its beta_t run from 0.03 to 0.999
diffusion = GaussianDiffusion(cosine_beta_schedule(T), dtype=torch.float64)
beta, alpha, alpha_bar = diffusion.beta, diffusion.alpha, diffusion.alpha_bar  # (T+1,)


def walkers_near(t, x_t, x_0=1.0):  # where those that end within 0.02 of x_t were at t - 1
    noise = torch.randn(2, n, generator=generator)
    before = alpha_bar[t - 1].sqrt() * x_0 + (1 - alpha_bar[t - 1]).sqrt() * noise[0]  # the jump
    after = alpha[t].sqrt() * before + beta[t].sqrt() * noise[1]  # one step more
    return before[(after - x_t).abs() < 0.02], before


kept, everyone = walkers_near(5, -0.5)
figure, axis = plots.new_figure(size=(8, 3.4))
bins, mark = torch.linspace(-3, 3, 121), {"ms": 12, "clip_on": False, "zorder": 5}
axis.hist(everyone, bins, density=True, color="0.75", label="all")
axis.hist(kept, bins, density=True, histtype="step", color="black", lw=2, label="near $x_5$ later")
axis.plot([-0.5], [0], "^", color=plots.PALETTE[1], label="$x_5$", **mark)
axis.plot([1], [0], "s", color=plots.PALETTE[0], label="$x_0$", **mark)
axis.set(xlabel="$x_4$", ylabel="density", xlim=(-3, 3))
axis.legend(loc="upper left")
plots.show(figure, alt="Walkers that arrive at -0.5 were in a narrow bell between x_5 and x_0.")

# %% [markdown]
# A bell, it seems, between $x_5$ and $x_0$, narrower than the gray one. Now we derive it.
#
# ## Bayes
#
# For three variables, $q(a\mid b,c)=\dfrac{q(b\mid a,c)\,q(a\mid c)}{q(b\mid c)}$. With $a=x_{t-1}$, $b=x_t$, $c=x_0$:
#
# $$q(x_{t-1}\mid x_t,x_0)=\frac{q(x_t\mid x_{t-1},x_0)\;q(x_{t-1}\mid x_0)}{q(x_t\mid x_0)} .$$
#
# A step looks at $x_{t-1}$ only, its noise is fresh: $q(x_t\mid x_{t-1},x_0)=q(x_t\mid x_{t-1})$. All three are known:
#
# $$\begin{aligned}\text{likelihood:}\quad q(x_t\mid x_{t-1})&=\mathcal N\big(x_t;\,\sqrt{\alpha_t}\,x_{t-1},\,\beta_t I\big)&&\text{lesson 01}\\\text{prior:}\quad q(x_{t-1}\mid x_0)&=\mathcal N\big(x_{t-1};\,\sqrt{\bar\alpha_{t-1}}\,x_0,\,(1-\bar\alpha_{t-1})I\big)&&\text{lesson 02}\\\text{area (evidence):}\quad q(x_t\mid x_0)&=\mathcal N\big(x_t;\,\sqrt{\bar\alpha_t}\,x_0,\,(1-\bar\alpha_t)I\big)&&\text{lesson 02}\end{aligned}$$

# %%
from ddpm_lite.checks import verify


def normal(x, mean, v):  # the density of N(mean, v) at x
    return torch.exp(-((x - mean) ** 2) / (2 * v)) / (2 * torch.pi * v) ** 0.5


x = torch.linspace(-8, 8, 4001)  # the axis of x_{t-1}
product = normal(-0.5, alpha[5].sqrt() * x, beta[5])  # t = 5, x_0 = 1, x_5 = -0.5
product *= normal(x, alpha_bar[4].sqrt(), 1 - alpha_bar[4])
area = normal(-0.5, alpha_bar[5].sqrt(), 1 - alpha_bar[5])
verify("q(x_t | x_0) is the area of the product", area, torch.trapezoid(product, x))

# %% [markdown]
# ## Complete the square
#
# Let $t\ge2$ (at $t=1$ the prior has no width). Covariances are multiples of $I$: one pixel is enough. Write $x$ for $x_{t-1}$. The right side of Bayes' rule is $e^{-\frac12[\,\cdot\,]}$ times a factor without $x$; the bracket is
#
# $$\begin{aligned}&\frac{(x_t-\sqrt{\alpha_t}\,x)^2}{\beta_t}+\frac{(x-\sqrt{\bar\alpha_{t-1}}\,x_0)^2}{1-\bar\alpha_{t-1}}-\frac{(x_t-\sqrt{\bar\alpha_t}\,x_0)^2}{1-\bar\alpha_t}&&\text{(a)}\\=\;&\frac{x_t^2-2\sqrt{\alpha_t}\,x\,x_t+\alpha_tx^2}{\beta_t}+\frac{x^2-2\sqrt{\bar\alpha_{t-1}}\,x\,x_0+\bar\alpha_{t-1}x_0^2}{1-\bar\alpha_{t-1}}-\frac{(x_t-\sqrt{\bar\alpha_t}\,x_0)^2}{1-\bar\alpha_t}&&\text{(b)}\\=\;&x^2\underbrace{\Big(\frac{\alpha_t}{\beta_t}+\frac1{1-\bar\alpha_{t-1}}\Big)}_{\textstyle1/\tilde\beta_t}-2x\underbrace{\Big(\frac{\sqrt{\alpha_t}}{\beta_t}x_t+\frac{\sqrt{\bar\alpha_{t-1}}}{1-\bar\alpha_{t-1}}x_0\Big)}_{\textstyle\tilde\mu_t/\tilde\beta_t}+C&&\text{(c)}\end{aligned}$$
#
# The braces define $\tilde\beta_t$ and $\tilde\mu_t$; $C$ has no $x$. Then
#
# $$\frac{x^2-2x\tilde\mu_t}{\tilde\beta_t}+C=\frac{(x-\tilde\mu_t)^2}{\tilde\beta_t}-\frac{\tilde\mu_t^2}{\tilde\beta_t}+C .\qquad\text{(d)}$$
#
# The last two terms only scale the curve, and $e^{-(x-\tilde\mu_t)^2/2\tilde\beta_t}$ scaled to area 1 is a Gaussian:
#
# $$q(x_{t-1}\mid x_t,x_0)=\mathcal N\big(x_{t-1};\,\tilde\mu_t,\,\tilde\beta_tI\big).$$
#
# **Tidy up.** Only $\beta_t=1-\alpha_t$ and $\alpha_t\bar\alpha_{t-1}=\bar\alpha_t$ are needed:
#
# $$\frac1{\tilde\beta_t}=\frac{\alpha_t(1-\bar\alpha_{t-1})+\beta_t}{\beta_t(1-\bar\alpha_{t-1})}=\frac{\alpha_t-\bar\alpha_t+1-\alpha_t}{\beta_t(1-\bar\alpha_{t-1})}=\frac{1-\bar\alpha_t}{\beta_t(1-\bar\alpha_{t-1})},$$
#
# $$\boxed{\;\tilde\beta_t=\frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\,\beta_t\;}$$
#
# $$\tilde\mu_t=\tilde\beta_t\Big(\frac{\sqrt{\bar\alpha_{t-1}}}{1-\bar\alpha_{t-1}}x_0+\frac{\sqrt{\alpha_t}}{\beta_t}x_t\Big)=\boxed{\;\underbrace{\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}}_{\textstyle c_t}\,x_0+\underbrace{\frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}}_{\textstyle d_t}\,x_t\;}$$
#
# (Eq. 6, 7 of Ho et al. 2020.) Computer algebra proves every line; `a` is $\alpha_t$, `A` is $\bar\alpha_{t-1}$.

# %%
import sympy
from sympy import sqrt  # sympy comes with torch

a, A = sympy.symbols("a A", positive=True)
X, X_t, X_0 = sympy.symbols("x x_t x_0", real=True)
b, N = 1 - a, 1 - a * A  # beta_t, and 1 - alpha_bar_t


def prove(name, left, right):
    assert sympy.simplify(left - right) == 0, name  # 0 means equal
    print("proved:", name)


rest = (X_t - sqrt(a * A) * X_0) ** 2 / N
line_a = (X_t - sqrt(a) * X) ** 2 / b + (X - sqrt(A) * X_0) ** 2 / (1 - A) - rest
line_b = (X_t**2 - 2 * sqrt(a) * X * X_t + a * X**2) / b - rest
line_b += (X**2 - 2 * sqrt(A) * X * X_0 + A * X_0**2) / (1 - A)
precision, brace = a / b + 1 / (1 - A), sqrt(a) / b * X_t + sqrt(A) / (1 - A) * X_0
C = X_t**2 / b + A * X_0**2 / (1 - A) - rest  # no x in it
prove("(a) = (b)", line_a, line_b)
prove("(b) = (c)", line_b, X**2 * precision - 2 * X * brace + C)
b_tilde = (1 - A) / N * b  # eq. 7
mu = sqrt(A) * b / N * X_0 + sqrt(a) * (1 - A) / N * X_t  # eq. 7
square = (X - mu) ** 2 / b_tilde
prove("1 / beta_tilde is the first brace, the precision", 1 / b_tilde, precision)
prove("mu_tilde / beta_tilde is the other brace", mu / b_tilde, brace)
prove("(c) = (d)", X**2 * precision - 2 * X * brace + C, square - mu**2 / b_tilde + C)
prove("what follows the square is even 0", C - mu**2 / b_tilde, 0)
# factors 1 / sqrt(2 pi v), squared and times 2 pi: likelihood * prior / area, and posterior
prove("and the factors in front agree", N / (b * (1 - A)), 1 / b_tilde)

# %% [markdown]
# ### On a grid, and by walkers
#
# Algebra may be right and the start wrong. Two checks know nothing of the square. **The grid:** multiply prior and likelihood point by point, divide by the area. **The walkers:** those that arrived near $x_t$, with their mean, their variance, and the shares below $\tilde\mu_t-\sqrt{\tilde\beta_t}$, $\tilde\mu_t$ and $\tilde\mu_t+\sqrt{\tilde\beta_t}$. (To be near is to be within 0.02; this width matters far less than the standard errors.)

# %%
noise_bar = 1 - alpha_bar  # (T+1,)


def q_posterior(x_0, x_t, t):
    c = alpha_bar[t - 1].sqrt() * beta[t] / noise_bar[t]
    d = alpha[t].sqrt() * noise_bar[t - 1] / noise_bar[t]
    return c * x_0 + d * x_t, noise_bar[t - 1] / noise_bar[t] * beta[t]  # mu_tilde, beta_tilde


verify("eq. (6) on a grid", normal(x, *q_posterior(1.0, -0.5, 5)), product / area, tol=1e-12)
z = torch.tensor([-1.0, 0.0, 1.0])
for t, x_t in [(2, 0.8), (5, -0.5), (8, 0.5)]:
    mu_tilde, beta_tilde = q_posterior(1.0, x_t, t)
    kept, _ = walkers_near(t, x_t)
    count = len(kept)
    verify(f"t = {t}: mean", mu_tilde, kept.mean(), se=(beta_tilde / count).sqrt())
    verify(f"t = {t}: variance", beta_tilde, kept.var(), se=beta_tilde * (2 / count) ** 0.5)
    share = (kept < (mu_tilde + beta_tilde.sqrt() * z)[:, None]).double().mean(1)
    p = torch.special.ndtr(z)
    verify(f"t = {t}: shares below three marks", p, share, se=(p * (1 - p) / count).sqrt())

# %% [markdown]
# ## Watch the product
#
# Blue: where $x_0$ says that $x_{t-1}$ is. Orange: how well each $x_{t-1}$ explains $x_t$, a likelihood, not a density in $x_{t-1}$. The dashed product has a small area; divided by it, it is the black posterior. Check whether the black curve is narrower than both: two witnesses know more than one.
#
# Then move $x_t$: does the black curve keep its width? Move $t$ to 10: which curve does it follow? And to 1: why is it a single line?

# %% tags=["cover"]
picture = plots.PosteriorPicture(diffusion, 1.0)
alt = "Blue prior around 0.8, orange likelihood around -0.6, the narrower black posterior between."
plots.show(picture(5, -0.5), alt=alt)
sliders = {"t": (1, T, 1, 5), "x_t": (-2.0, 2.0, 0.1, -0.5)}
widgets.explore(picture, names={"x_t": "xₜ"}, alt="Prior, likelihood and posterior.", **sliders)

# %% [markdown]
# ## Two guesses, weighed
#
# The prior guesses $x_{t-1}$ as $\sqrt{\bar\alpha_{t-1}}\,x_0$. Undoing the shrinking of the step guesses $x_t/\sqrt{\alpha_t}$. With
#
# $$w_t=\frac{\beta_t}{1-\bar\alpha_t},\qquad1-w_t=\frac{1-\beta_t-\bar\alpha_t}{1-\bar\alpha_t}=\frac{\alpha_t-\bar\alpha_t}{1-\bar\alpha_t}=\frac{\alpha_t(1-\bar\alpha_{t-1})}{1-\bar\alpha_t},$$
#
# the boxes say
#
# $$\tilde\mu_t=w_t\,\sqrt{\bar\alpha_{t-1}}\,x_0+(1-w_t)\,\frac{x_t}{\sqrt{\alpha_t}},\qquad\tilde\beta_t=(1-w_t)\,\frac{\beta_t}{\alpha_t}.$$
#
# A weighted mean: the larger the last step's share $w_t$ of all noise, the less $x_t$ counts.
#
# Draw $x_t$ from $q(x_t\mid x_0)$, then $x_{t-1}$ from the boxes: it has the law $q(x_{t-1}\mid x_0)$ again (proved below). One step back undoes one step forward.
#
# Below, $T=1000$. **Look left** where $c_t=w_t\sqrt{\bar\alpha_{t-1}}$ and $d_t=(1-w_t)/\sqrt{\alpha_t}$ cross. **Look right** at the dot: at $t=1$ the prior is a point, but the boxes still hold, $\tilde\mu_1=x_0$, $\tilde\beta_1=0$. From $t=100$ on, $\tilde\beta_t$ and $\beta_t$ hardly differ.

# %%
from ddpm_lite import linear_beta_schedule

w = b / N
prove("mu_tilde is a weighted mean", w * sqrt(A) * X_0 + (1 - w) * X_t / sqrt(a), mu)
prove("beta_tilde with the same weight", (1 - w) * b / a, b_tilde)
c, d = mu.coeff(X_0), mu.coeff(X_t)
# x_t ~ N(sqrt(a A) x_0, N), then x_{t-1} = c x_0 + d x_t + sqrt(b_tilde) * noise
prove("drawn steps back have the mean of q(x_{t-1} | x_0)", c + d * sqrt(a * A), sqrt(A))
prove("and its variance", d**2 * N + b_tilde, 1 - A)

long = GaussianDiffusion(linear_beta_schedule(1000), dtype=torch.float64)
ratio = (1 - long.alpha_bar[:-1]) / (1 - long.alpha_bar[1:])  # t = 1 .. 1000
verify("beta_tilde_t / beta_t", ratio, long.beta_tilde[1:] / long.beta[1:])
assert long.beta_tilde[1] == 0 and ratio[99:].min() > 0.97
x_0_counts_more = (long.mu_coef_x_0 > long.mu_coef_x_t)[:4]  # t = 0 (no step), 1, 2, 3
assert x_0_counts_more.tolist() == [False, True, True, False]
assert long.mu_coef_x_0[10:].max() < 0.15
alt = "The weight of x_0 falls from 1, that of x_t rises; beta_tilde / beta rises from 0 to 1."
plots.show(plots.plot_posterior_weights(long), alt=alt)

# %% [markdown]
# ### The same with $\epsilon$
#
# Given $x_t$, knowing $x_0$ is knowing the noise of the jump: $x_0=(x_t-\sqrt{1-\bar\alpha_t}\,\epsilon)/\sqrt{\bar\alpha_t}$. Put it in, and use $\sqrt{\bar\alpha_{t-1}/\bar\alpha_t}=1/\sqrt{\alpha_t}$:
#
# $$\begin{aligned}\tilde\mu_t&=\frac{w_t}{\sqrt{\alpha_t}}\big(x_t-\sqrt{1-\bar\alpha_t}\,\epsilon\big)+\frac{1-w_t}{\sqrt{\alpha_t}}\,x_t\\&=\frac1{\sqrt{\alpha_t}}\big(x_t-w_t\sqrt{1-\bar\alpha_t}\,\epsilon\big)=\frac1{\sqrt{\alpha_t}}\Big(x_t-\frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\epsilon\Big).\end{aligned}$$
#
# A network that guesses $\epsilon$ therefore guesses $\tilde\mu_t$. This is the line that samplers run (eq. 11).

# %%
E = sympy.symbols("epsilon", real=True)
jump_back = (X_t - sqrt(N) * E) / sqrt(a * A)  # x_0
first = w / sqrt(a) * (X_t - sqrt(N) * E) + (1 - w) / sqrt(a) * X_t
prove("x_0 put in", mu.subs(X_0, jump_back), first)
prove("collected", first, (X_t - w * sqrt(N) * E) / sqrt(a))
prove("eq. (11)", first, (X_t - b / sqrt(N) * E) / sqrt(a))

# %% [markdown]
# ## On digits
#
# $T=20$ wide steps, one $\epsilon$ a digit; last row: a true $x_{t-1}$, drawn from $\mathcal N(\tilde\mu_t,\tilde\beta_tI)$. Look at $t=4$ and 6: $\tilde\mu_t$ is cleaner than $x_t$, but not clean; a step back is no jump to the end. It is a *mean*, with less noise than a true $x_{t-1}$. At $t=20$ almost only noise is left. At $t=1$, $\tilde\mu_1=x_0$. (With 1000 steps, at $t=500$: $\tilde\mu_t$ lies 0.6 gray levels from $x_t$, and the noise is 13.)

# %%
from ddpm_lite import mnist

test = mnist(split="test", full=False)
digits = test.batch([int((test.labels == k).nonzero()[0]) for k in (2, 3, 5, 8)]).double()
coarse = GaussianDiffusion(cosine_beta_schedule(20), dtype=torch.float64)
eps = torch.randn(digits.shape, generator=generator)
fresh = torch.randn(digits.shape, generator=generator)
frames = {"x_0": [], "x_t": [], "mu_tilde": [], "x": []}  # "x" is x_{t-1}
for t in range(1, 21):
    x_t = coarse.q_sample(digits, t, eps)
    mu_tilde, beta_tilde = coarse.q_posterior(digits, x_t, t)
    views = digits, x_t, mu_tilde, mu_tilde + beta_tilde.sqrt() * fresh
    for view, x_ in zip(frames.values(), views, strict=True):
        view.append(x_.float())
verify("mu_tilde at t = 1 is x_0", digits, frames["mu_tilde"][0])
x_500 = long.q_sample(digits, 500, eps)
mu_tilde, beta_tilde = long.q_posterior(digits, x_500, 500)
moved, shaken = (mu_tilde - x_500).abs().mean() * 127.5, beta_tilde.sqrt().mean() * 127.5
print(f"t = 500 of 1000: the mean moves {moved:.1f} of 256 levels, the noise is {shaken:.1f}")
assert 0.55 < moved < 0.65 and 12.5 < shaken < 13.5

table = enumerate(zip(coarse.mu_coef_x_0[1:], coarse.mu_coef_x_t[1:], strict=True), 1)
labels = [f"t = {t}, x_0 weighs {c:.2f}, x_t weighs {d:.2f}" for t, (c, d) in table]
times = (1, 2, 4, 6, 10, 15, 19, 20)
strip = {name: [frames[name][t - 1][1] for t in times] for name in ("x_t", "mu_tilde", "x")}
alt = "A three: mu_tilde is cleaner than x_t and than a drawn x_{t-1}, and is x_0 at t = 1."
plots.show(plots.plot_strip(strip, [f"t = {t}" for t in times]), alt=alt)
widgets.scrub(frames, labels=labels, value=4, fps=4, n_columns=2)

# %% [markdown]
# ## Without $x_0$
#
# A model that generates has no $x_0$. What is $q(x_{t-1}\mid x_t)$? Bayes again:
#
# $$q(x_{t-1}\mid x_t)=\frac{q(x_t\mid x_{t-1})\,q(x_{t-1})}{q(x_t)},\qquad q(x_{t-1})=\int q(x_{t-1}\mid x_0)\,q(x_0)\,dx_0 .$$
#
# This prior contains $q(x_0)$, the density of all images: the very thing that we want to learn. Or average the posterior over every $x_0$ that may have been:
#
# $$q(x_{t-1}\mid x_t)=\int\mathcal N\big(x_{t-1};\tilde\mu_t(x_t,x_0),\tilde\beta_t\big)\,q(x_0\mid x_t)\,dx_0 .$$
#
# Its weights, $q(x_0\mid x_t)$, need $q(x_0)$ too. It is a mixture of Gaussians, and a mixture need not be a Gaussian: it may have several bumps. In one dimension, with a density that we choose, we can compute both.

# %%
from ddpm_lite.data import GaussianMixture

means, std, weights = [[-1.0], [1.0], [0.0]], [0.1, 0.1, 0.5], [0.35, 0.5, 0.15]
data = GaussianMixture(means, std, weights)  # q(x_0): dark pixels, white ones, some gray


def density(mixture, x):
    return mixture.log_prob(x[:, None]).exp()


t, x_t = 8, 0.1
x_0_grid = torch.linspace(-4, 4, 1601)
q_x_0 = density(data, x_0_grid) * normal(x_t, alpha_bar[t].sqrt() * x_0_grid, 1 - alpha_bar[t])
q_x_0 = q_x_0 / torch.trapezoid(q_x_0, x_0_grid)  # q(x_0 | x_t)
prior = density(data.diffused(alpha_bar[t - 1]), x)  # q(x_{t-1})
exact = prior * normal(x_t, alpha[t].sqrt() * x, beta[t])
exact = exact / torch.trapezoid(exact, x)
mu_tilde, beta_tilde = q_posterior(x_0_grid, x_t, t)  # one mean for each x_0
average = torch.trapezoid(normal(x[::10, None], mu_tilde, beta_tilde) * q_x_0, x_0_grid)
verify("both ways to q(x_{t-1} | x_t)", exact[::10], average, tol=1e-9)

# %% [markdown]
# ### How far from a Gaussian?
#
# We measure with the **total variation**, the largest difference in probability that any event can have: $\mathrm{TV}(p,g)=\frac12\int|p-g|\,dx$, from 0 to 1. (The best event is $p>g$.) Here $p$ is $q(x_{t-1}\mid x_t)$, $g$ the Gaussian of its mean and variance.
#
# Light blue, scaled, is $q(x_{t-1})$ at $\bar\alpha_{t-1}=0.9$. Look at the large step, $\beta_t=0.63$: black has two bumps, *came from dark* or *from white*, and no Gaussian can say that. Make $\beta_t$ smaller: when do the bumps become one? Then move $x_t$: is it one everywhere?

# %%
reverse = plots.ReversePicture(data.diffused(0.9))
alt = "A large step back: the exact law has two bumps, the Gaussian has one between them."
plots.show(reverse(-0.2, 0.1), alt=alt)
sliders = {"log10_beta": (-3.0, -0.1, 0.1, -0.2), "x_t": (-1.5, 1.5, 0.1, 0.1)}
names = {"log10_beta": "log₁₀ βₜ", "x_t": "xₜ"}
widgets.explore(reverse, names=names, alt="One step back without x_0.", **sliders)

# %% [markdown]
# ### Why small steps are Gaussian
#
# A small step moves little: $x_{t-1}$ lies a few $\sqrt{\beta_t}$ from $x_t$. Over so short a distance $\log q(x_{t-1})$ is almost a straight line; its slope at $x_t$, $s=\frac{d}{dx_{t-1}}\log q(x_{t-1})$, is the **score** (in more dimensions, the gradient). Then, up to terms without $x=x_{t-1}$,
#
# $$\begin{aligned}\log q(x\mid x_t)&\approx-\frac{(x_t-\sqrt{\alpha_t}\,x)^2}{2\beta_t}+s\,x\\&=-\frac{\alpha_t}{2\beta_t}\Big[x^2-2x\,\frac{x_t}{\sqrt{\alpha_t}}\Big]+s\,x\\&=-\frac{\alpha_t}{2\beta_t}\Big[x^2-2x\,\Big(\frac{x_t}{\sqrt{\alpha_t}}+\frac{\beta_t}{\alpha_t}\,s\Big)\Big]\\&=-\frac{\alpha_t}{2\beta_t}\,(x-m)^2,\qquad m=\frac{x_t}{\sqrt{\alpha_t}}+\frac{\beta_t}{\alpha_t}\,s .\end{aligned}$$
#
# A Gaussian of variance $\beta_t/\alpha_t$: the likelihood decides the shape; the data only moves the mean. A curvature $h$ of $\log q$, left out, would make the precision $\alpha_t/\beta_t-h$: a change by a share of $h\beta_t/\alpha_t$. So the distance should shrink like $\beta_t$. Does it?

# %%
S = sympy.symbols("s", real=True)
top = X_t / sqrt(a) + b / a * S  # m
log_q = -((X_t - sqrt(a) * X) ** 2) / (2 * b) + S * X
prove("up to terms without x", sympy.diff(log_q + a / (2 * b) * (X - top) ** 2, X), 0)


def one_step_back(prior, x, x_t, beta):  # q(x_{t-1} | x_t) on the grid x, (..., n)
    p = prior * normal(x_t, (1 - beta) ** 0.5 * x, beta)
    return p / torch.trapezoid(p, x)[..., None]


def total_variation(p, g, x):
    return torch.trapezoid((p - g).abs(), x) / 2


law, x_t, gaps = data.diffused(0.9), torch.tensor([0.6]), []
near = torch.linspace(-0.4, 1.6, 8001)
for beta_t in (4e-4, 2e-4, 1e-4):
    p = one_step_back(density(law, near), near, x_t, beta_t)
    m = x_t / (1 - beta_t) ** 0.5 + beta_t / (1 - beta_t) * law.score(x_t)
    gaps.append(total_variation(p, normal(near, m, beta_t / (1 - beta_t)), near))
print("total variation:", ", ".join(f"{gap:.1e}" for gap in gaps))
halved = torch.stack([gaps[1] / gaps[0], gaps[2] / gaps[1]])
verify("half the beta_t, half the distance", torch.full((2,), 0.5), halved, tol=0.02)

# %% [markdown]
# ### The distance over $\beta_t$
#
# A Gaussian with the right mean *and* variance does better: what is left is skew, from the cubic term of $\log q$. As $(x-x_t)^3$ is of size $\beta_t^{3/2}$, we expect that exponent.
#
# The picture averages the distance over $x_t\sim q(x_t)$. Look at the straight parts, at the gray band of usual $\beta_t$, and at the order of the curves: the sharper $q(x_{t-1})$ is, the smaller a step has to be. One reason to begin a schedule with tiny $\beta_t$.

# %%
grid, x_t = torch.linspace(-4, 4, 1601), torch.linspace(-3, 3, 41)[:, None]
beta_values = torch.logspace(-3, -0.01, 24)


def distance(signal, beta_t):  # signal is alpha_bar_(t-1); averaged over x_t ~ q(x_t)
    before = data.diffused(signal)
    p = one_step_back(density(before, grid), grid, x_t, beta_t)  # (41, 1601)
    mean = torch.trapezoid(p * grid, grid)[:, None]
    variance = torch.trapezoid(p * (grid - mean) ** 2, grid)[:, None]
    share = density(before.diffused(1 - beta_t), x_t[:, 0])  # q(x_t)
    return (total_variation(p, normal(grid, mean, variance), grid) * share).sum() / share.sum()


curves = {}
for signal in (0.99, 0.9, 0.5):
    curve = torch.stack([distance(signal, beta_t) for beta_t in beta_values.tolist()])
    exponent = float((curve[2] / curve[0]).log() / (beta_values[2] / beta_values[0]).log())
    verify(f"exponent {exponent:.3f} at alpha_bar_(t-1) = {signal}", 1.5, exponent, tol=0.05)
    curves[rf"$\bar\alpha_{{t-1}}={signal}$"] = curve
sharp, middle, smooth = curves.values()
assert (sharp > middle).all() and (middle > smooth).all()
alt = "Total variation falls with beta_t on straight lines; the sharper density lies highest."
plots.show(plots.plot_gaussian_distance(beta_values, curves), alt=alt)
of_20 = [float(distance(coarse.alpha_bar[t - 1], float(coarse.beta[t]))) for t in range(1, 21)]
print(f"at beta_t = 0.3: {distance(0.99, 0.3):.2f} and {distance(0.5, 0.3):.3f}")
print(f"20 cosine steps: at most {max(of_20):.3f}")
assert max(of_20) < 0.03 and abs(distance(0.99, 0.3) - 0.33) < 0.005

# %% [markdown]
# Is $T=20$ too wide? At $\beta_t=0.3$ the distance may be 0.33; cosine steps are wide at small $\bar\alpha_{t-1}$ only: none exceeds 0.03.
#
# ### So $p_\theta$ may be Gaussian
#
# With small steps a Gaussian $p_\theta(x_{t-1}\mid x_t)=\mathcal N(\mu_\theta(x_t,t),\sigma_t^2I)$ will do. Which mean and variance? With $\tilde\mu_t=c_t\,x_0+d_t\,x_t$, the variance is the average of $\tilde\beta_t$ plus the variance of $\tilde\mu_t$:
#
# $$\begin{aligned}\mathrm E[x_{t-1}\mid x_t]&=c_t\,\mathrm E[x_0\mid x_t]+d_t\,x_t=\tilde\mu_t\big(x_t,\,\mathrm E[x_0\mid x_t]\big)\\\mathrm{Var}(x_{t-1}\mid x_t)&=\tilde\beta_t+c_t^2\,\mathrm{Var}(x_0\mid x_t).\end{aligned}$$
#
# For an image this is a matrix that depends on $x_t$; $\sigma_t^2I$ keeps one number. At most steps $c_t$ is small: little is lost. The mean needs one number a pixel, the best guess of $x_0$: what networks learn.

# %%
def moments(p, x):
    mean = torch.trapezoid(p * x, x)
    return mean, torch.trapezoid(p * (x - mean) ** 2, x)


# t = 8, x_t = 0.1; `exact` and `q_x_0` from above
guess, doubt = moments(q_x_0, x_0_grid)  # of x_0, given x_t
mu_tilde, beta_tilde = q_posterior(guess, 0.1, 8)
computed = torch.stack([mu_tilde, beta_tilde + diffusion.mu_coef_x_0[8] ** 2 * doubt])
verify("mean and variance", computed, torch.stack(moments(exact, x)), tol=1e-9)

# %% [markdown]
# ## The same thing in the library
#
# `diffusion.q_posterior(x_0, x_t, t)` returns $\tilde\mu_t$ and $\tilde\beta_t$; `p_mean_variance(eps_hat, x_t, t)` puts a guess in the place of $x_0$; `mixture.reverse(x_t, beta)` is $q(x_{t-1}\mid x_t)$ for a mixture, by the same square, one component at a time.

# %%
x_t = diffusion.q_sample(digits, 5, eps)
mu_tilde, beta_tilde = q_posterior(digits, x_t, 5)
perfect = diffusion.p_mean_variance(eps, x_t, 5, clip=False)  # true eps; gives x0_hat too
for mean, variance, *_ in (diffusion.q_posterior(digits, x_t, 5), perfect):
    torch.testing.assert_close(mean, mu_tilde)
    torch.testing.assert_close(variance, beta_tilde.expand(4, 1, 1, 1))
law = data.diffused(alpha_bar[7]).reverse(0.1, float(beta[8]))
torch.testing.assert_close(density(law, x), exact)

# %% [markdown]
# ## What we saw
#
# - Prior times likelihood, a square completed: $q(x_{t-1}\mid x_t,x_0)=\mathcal N(\tilde\mu_t,\tilde\beta_tI)$; proved, and met again on a grid and by walkers.
# - $\tilde\mu_t$ weighs two guesses; $\tilde\beta_t$ depends on $t$ alone: first $\tilde\beta_1=0$, later $\tilde\beta_t\approx\beta_t$.
# - Without $x_0$ a step back needs the density of the data, and may have two bumps.
# - Small steps make it nearly Gaussian; its mean needs only the best guess of $x_0$, or of $\epsilon$.
#
# Next: what a network must minimize to learn that guess.

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: Write the posterior (easy, 10 minutes)
#
# Only the table $\bar\alpha_0,\dots,\bar\alpha_T$ is given, and one $t$ from 1 to $T$. Return $\tilde\mu_t$ and $\tilde\beta_t$, without `ddpm_lite`. Where do $\alpha_t$ and $\beta_t$ come from?

# %%
from torch import Tensor
from ddpm_lite.checks import check_q_posterior


def my_q_posterior(x_0: Tensor, x_t: Tensor, t: int, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """(B, C, H, W), (B, C, H, W), int, (T+1,) -> mu_tilde (B, C, H, W), beta_tilde_t ()"""
    raise NotImplementedError


check_q_posterior(my_q_posterior)

# %% [markdown]
# ### Exercise 2: Step with the noise (easy, 5 minutes)
#
# Now $\epsilon$ is given in place of $x_0$, and two numbers, $\bar\alpha_{t-1}$ and $\bar\alpha_t$. Return $\tilde\mu_t$. It is eq. 11, with neither $\alpha_t$ nor $\beta_t$ at hand.

# %%
from ddpm_lite.checks import check_mu_from_eps


def mu_from_eps(x_t: Tensor, eps: Tensor, alpha_bar_before: float, alpha_bar_t: float) -> Tensor:
    raise NotImplementedError


check_mu_from_eps(mu_from_eps)

# %% [markdown]
# ### Exercise 3: Skip steps on the way back (medium, 15 minutes)
#
# You stand at $x_t$, know $x_0$, and ask for $x_s$ with any $s<t$. Lesson 02, exercise 3, gave $q(x_t\mid x_s)$. Repeat the square with it: $q(x_s\mid x_t,x_0)=\mathcal N(c\,x_0+d\,x_t,\,v\,I)$. Return $c$, $d$, $v$ in terms of $\bar\alpha_s$ and $\bar\alpha_t$. What must $s=0$ give?

# %%
from ddpm_lite.checks import check_posterior_skip


def posterior_skip(alpha_bar_s: float, alpha_bar_t: float) -> tuple[float, float, float]:
    """-> c, d, v"""
    raise NotImplementedError


check_posterior_skip(posterior_skip)

# %% [markdown]
# ### Exercise 4: Do without $x_0$ (hard, 20 minutes)
#
# Let $x_0\sim\mathcal N(0,s^2)$. Return $\mathrm{Var}(x_{t-1}\mid x_t)$. (For $\mathrm{Var}(x_0\mid x_t)$ complete the square with prior $\mathcal N(0,s^2)$ and likelihood $q(x_t\mid x_0)$; multiply out, so that $s=0$ works. Or treat $x_{t-1}$ itself as the Gaussian prior of the last step.) Then look at $s=0$ and $s=1$: these are the two values that Ho et al. tried for $\sigma_t^2$.

# %%
from ddpm_lite.checks import check_variance_without_x_0


def variance_without_x_0(s: float, alpha_bar_before: float, alpha_bar_t: float) -> float:
    raise NotImplementedError


check_variance_without_x_0(variance_without_x_0)

# %% [markdown]
# [**More exercises**](exercises/03_posterior.ipynb), with hints ([in Colab](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/03_posterior.ipynb)).
#
# ## References
#
# - Ho, Jain & Abbeel 2020, *Denoising Diffusion Probabilistic Models*, [arXiv 2006.11239](https://arxiv.org/abs/2006.11239): eq. 6, 7, 11; section 3.2 on $\sigma_t^2$.
# - Sohl-Dickstein et al. 2015, *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*, [arXiv 1503.03585](https://arxiv.org/abs/1503.03585): small Gaussian steps can be undone by Gaussian steps.
# - Feller 1949, *On the Theory of Stochastic Processes, with Particular Reference to Applications*: where they take that from.
# - Bao et al. 2022, *Analytic-DPM*, [arXiv 2201.06503](https://arxiv.org/abs/2201.06503): the variance without $x_0$, put to use.
