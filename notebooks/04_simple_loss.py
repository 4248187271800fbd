# %% [markdown]
# # Weigh the bound, then drop the weights
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/04_simple_loss.ipynb)
#
# **What you will do:** Derive the loss from the likelihood, count its bits, and see what the simple loss leaves out.
#
# **Learn:**
#
# - how a bound on $-\log p(x_0)$ falls apart into one problem for each step
# - why predicting $\tilde\mu_t$, $x_0$ or $\epsilon$ is the same, up to a weight
# - at which $t$ the bits are, and why the usual loss cares less for them
#
# **Need:** lessons 01 to 03; densities, expectations and logarithms.
#
# **Minutes:** 90

# %%
import importlib.util, subprocess, sys

if importlib.util.find_spec("ddpm_lite") is None:  # Colab, or a bare environment
    address = "git+https://github.com/ddpm-lite/ddpm_lite@v0.1.0"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", address], check=True)
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()

import itertools, math, numpy as np, torch
from ddpm_lite import GaussianDiffusion, linear_beta_schedule, plots, targets, widgets
from ddpm_lite.checks import verify
plots.use_style()
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## A model whose latents are noise
#
# A latent-variable model explains $x_0$ by things it does not see. Ours are the noisy images $x_{1:T}=(x_1,\dots,x_T)$:
#
# $$p_\theta(x_{0:T})=p(x_T)\prod_{t=1}^{T}p_\theta(x_{t-1}\mid x_t),\qquad p(x_T)=\mathcal N(0,I).$$
#
# The way from $x_0$ to its latents is the **encoder** $q(x_{1:T}\mid x_0)=\prod_t q(x_t\mid x_{t-1})$, the way back the **decoder** $p_\theta$, whose parameters are $\theta$. Compare with a hierarchical VAE: what is blue is learned. Which arrows turned gray?

# %%
alt = "Two chains: in a hierarchical VAE both ways are learned; in diffusion only the way back."
plots.show(plots.plot_latent_models(), alt=alt)

# %% [markdown]
# ## The bound
#
# We would like $p_\theta(x_0)$ to be large for real images; here is one, and training averages over all. Multiply and divide its integral by $q$, and it is an average ($\log$ is $\ln$):
#
# $$\begin{aligned}-\log p_\theta(x_0)&=-\log\int p_\theta(x_{0:T})\,dx_{1:T}\\&=-\log\int q(x_{1:T}\mid x_0)\,\frac{p_\theta(x_{0:T})}{q(x_{1:T}\mid x_0)}\,dx_{1:T}\\&=-\log\mathrm E_q\Big[\frac{p_\theta(x_{0:T})}{q(x_{1:T}\mid x_0)}\Big]&&\text{(a)}\\&\le\mathrm E_q\Big[-\log\frac{p_\theta(x_{0:T})}{q(x_{1:T}\mid x_0)}\Big]=:L&&\text{(b)}\end{aligned}$$
#
# Step (b), **Jensen's inequality**: $-\log$ is convex, so its value at an average is at most its average value. What did it cost? Split $p_\theta(x_{0:T})=p_\theta(x_0)\,p_\theta(x_{1:T}\mid x_0)$; the first factor has no latents and leaves the average:
#
# $$L=-\log p_\theta(x_0)+\underbrace{\mathrm E_q\Big[\log\frac{q(x_{1:T}\mid x_0)}{p_\theta(x_{1:T}\mid x_0)}\Big]}_{\mathrm{KL}\,\ge\,0}.\qquad\text{(c)}$$
#
# We test this where all is known: one pixel, three steps, a decoder $x_{t-1}\sim\mathcal N(a\,x_t,v)$.

# %%
T, x_0, a, v, n = 3, 0.8, 0.8, 0.4, 100_000
tiny = GaussianDiffusion(torch.tensor([0.3, 0.5, 0.7], dtype=torch.float64), dtype=torch.float64)
steps = range(1, T + 1)


def log_normal(x, mean, v):
    return -((x - mean) ** 2) / (2 * v) - math.log(2 * math.pi * v) / 2


x = [torch.full((n,), x_0, dtype=torch.float64)]  # x[t]: n walkers from the one x_0
for t in steps:
    noise = torch.randn(n, generator=generator, dtype=torch.float64)
    x.append(tiny.alpha[t].sqrt() * x[t - 1] + tiny.beta[t].sqrt() * noise)
log_q = sum(log_normal(x[t], tiny.alpha[t].sqrt() * x[t - 1], tiny.beta[t]) for t in steps)
log_p = log_normal(x[T], 0, 1) + sum(log_normal(x[t - 1], a * x[t], v) for t in steps)
ratio = (log_p - log_q).exp()  # p(x_0..x_T) / q(x_1..x_T | x_0) for each walker
L = (log_q - log_p).mean()

V = [1.0]  # variances under p: of x_T, then of x_{T-1}, ..., x_0 in front
for _ in steps:
    V = [a**2 * V[0] + v, *V]
log_p_x_0 = log_normal(x_0, 0, V[0])
verify("(a) p(x_0) by averaging over q", math.exp(log_p_x_0), ratio.mean(), se=ratio.std() / n**0.5)
# Bayes turns p around: p(x_t | x_{t-1}) from p(x_t) = N(0, V_t) and p(x_{t-1} | x_t)
part = [1, *(V[t] / V[t - 1] for t in steps)]
log_p_latents = sum(log_normal(x[t], a * part[t] * x[t - 1], v * part[t]) for t in steps)
gap = (log_q - log_p_latents).mean()
verify("(c) L = -log p(x_0) + KL", L, gap - log_p_x_0, tol=1e-9)
print(f"-log p(x_0) = {-log_p_x_0:.2f}, the bound (b) L = {L:.2f}, and KL = {gap:.2f}")
assert gap > 0

# %% [markdown]
# ## Its $T+1$ terms
#
# Put in both products, then turn the encoder around by Bayes, for $t>1$. ($x_{t-1}$ tells all that $x_0$ could tell about $x_t$, so we may add $x_0$ to the condition.)
#
# $$q(x_t\mid x_{t-1})=q(x_t\mid x_{t-1},x_0)=\frac{q(x_{t-1}\mid x_t,x_0)\;q(x_t\mid x_0)}{q(x_{t-1}\mid x_0)}$$
#
# $$\begin{aligned}L&=\mathrm E_q\Big[-\log p(x_T)-\sum_{t>1}\log\frac{p_\theta(x_{t-1}\mid x_t)}{q(x_t\mid x_{t-1})}-\log\frac{p_\theta(x_0\mid x_1)}{q(x_1\mid x_0)}\Big]\\&=\mathrm E_q\Big[-\log p(x_T)-\sum_{t>1}\log\frac{p_\theta(x_{t-1}\mid x_t)}{q(x_{t-1}\mid x_t,x_0)}-\underbrace{\sum_{t>1}\log\frac{q(x_{t-1}\mid x_0)}{q(x_t\mid x_0)}}_{\log q(x_1\mid x_0)-\log q(x_T\mid x_0)}-\log\frac{p_\theta(x_0\mid x_1)}{q(x_1\mid x_0)}\Big]\\&=\mathrm E_q\Big[\log\frac{q(x_T\mid x_0)}{p(x_T)}+\sum_{t>1}\log\frac{q(x_{t-1}\mid x_t,x_0)}{p_\theta(x_{t-1}\mid x_t)}-\log p_\theta(x_0\mid x_1)\Big]&&\text{(d)}\end{aligned}$$
#
# The braced sum telescopes: each denominator cancels against the next numerator. Now average in two steps: first over $x_{t-1}$ given $x_t,x_0$, which makes each log-ratio a KL divergence, then over $x_t$:
#
# $$L=\underbrace{\mathrm{KL}\big(q(x_T| x_0)\,\|\,p(x_T)\big)}_{L_T}+\sum_{t>1}\underbrace{\mathrm E_q\,\mathrm{KL}\big(q(x_{t-1}| x_t,x_0)\,\|\,p_\theta(x_{t-1}| x_t)\big)}_{L_{t-1}}+\underbrace{\mathrm E_q\big[-\log p_\theta(x_0| x_1)\big]}_{L_0}$$
#
# $L_T$ has nothing to learn. Each $L_{t-1}$ compares two Gaussians, for one step: a random $t$ gives an unbiased estimate, and no step waits for another.

# %% [markdown]
# ## The KL divergence of two Gaussians
#
# Let $q=\mathcal N(\mu_q,v_q)$ and $p=\mathcal N(\mu_p,v_p)$; here $v$ is always a *variance*. Write $d=\mu_q-\mu_p$.
#
# $$\begin{aligned}\mathrm{KL}(q\,\|\,p)&=\mathrm E_q[\ln q(x)-\ln p(x)]\\&=\mathrm E_q\Big[-\tfrac12\ln(2\pi v_q)-\frac{(x-\mu_q)^2}{2v_q}+\tfrac12\ln(2\pi v_p)+\frac{(x-\mu_p)^2}{2v_p}\Big]\end{aligned}$$
#
# Two averages are needed. $\mathrm E_q(x-\mu_q)^2=v_q$ is the definition of the variance, and
#
# $$\mathrm E_q(x-\mu_p)^2=\mathrm E_q\big[(x-\mu_q)^2+2(x-\mu_q)\,d+d^2\big]=v_q+0+d^2 .$$
#
# $$\boxed{\;\mathrm{KL}(q\,\|\,p)=\tfrac12\Big[\ln\frac{v_p}{v_q}-1+\frac{v_q+(\mu_q-\mu_p)^2}{v_p}\Big]\;}$$
#
# (Below, the box is checked on a grid; then (d) and the three steps, walker by walker.) For equal variances only $(\mu_q-\mu_p)^2/2v_p$ is left: **a KL becomes a squared error.** Independent pixels have a product of densities, hence a sum of KLs. The unit is *nats*; divide by $\ln2$ for bits.

# %%
def kl(mu_q, v_q, mu_p, v_p):
    return (math.log(v_p / v_q) - 1 + (v_q + (mu_q - mu_p) ** 2) / v_p) / 2


z = torch.linspace(-15, 15, 3001, dtype=torch.float64)
for q, p in [((0.3, 0.6), (-0.2, 1.5)), ((1.0, 2.0), (0.0, 0.5)), ((0.7, 0.8), (0.0, 0.8))]:
    log_qz, log_pz = log_normal(z, *q), log_normal(z, *p)
    square = torch.trapezoid(log_qz.exp() * (z - p[0]) ** 2, z)
    verify("E_q(x - mu_p)^2 = v_q + d^2", q[1] + (q[0] - p[0]) ** 2, square, tol=1e-9)
    verify(f"KL of {q} to {p}", kl(*q, *p), torch.trapezoid(log_qz.exp() * (log_qz - log_pz), z))

# %%
def given_x_0(t):  # log q(x_t | x_0), the jump of lesson 02
    return log_normal(x[t], tiny.sqrt_alpha_bar[t] * x_0, 1 - tiny.alpha_bar[t])


def turned(t):  # log q(x_{t-1} | x_t, x_0), the posterior of lesson 03
    mu_tilde, _ = tiny.q_posterior(x[0], x[t], t)
    return log_normal(x[t - 1], mu_tilde, tiny.beta_tilde[t])


for t in (2, 3):
    forward = log_normal(x[t], tiny.alpha[t].sqrt() * x[t - 1], tiny.beta[t])
    verify(f"Bayes at t = {t}, each walker", forward, turned(t) + given_x_0(t) - given_x_0(t - 1))
middle = sum(turned(t) - log_normal(x[t - 1], a * x[t], v) for t in (2, 3))
last = log_normal(x[0], a * x[1], v)
verify("(d), each walker", log_q - log_p, given_x_0(T) - log_normal(x[T], 0, 1) + middle - last)

terms = {"L_T": kl(tiny.sqrt_alpha_bar[T] * x_0, 1 - tiny.alpha_bar[T], 0.0, 1.0)}
for t in (3, 2):  # now the boxed formula; the averages E_q are taken over the walkers
    terms[f"L_{t - 1}"] = kl(tiny.q_posterior(x[0], x[t], t)[0], tiny.beta_tilde[t], a * x[t], v)
terms["L_0"] = -last
difference = sum(terms.values()) - (log_q - log_p)  # its mean should be 0
verify("T + 1 terms = L", 0.0, difference.mean(), se=difference.std() / n**0.5)
print({name: round(float(term.mean()), 2) for name, term in terms.items()}, f"sum {L:.2f} nats")

# %% [markdown]
# ## Three things to predict
#
# We set the decoder's variance to a fixed $\sigma_t^2$, so only its mean $\hat\mu$ is learned. With $\sigma_t^2=\tilde\beta_t$ the variances are equal: for one $x_0$ and $x_t$, $L_{t-1}=\frac{1}{2\sigma_t^2}|\tilde\mu_t-\hat\mu|^2$.
#
# Lesson 03 gave $\tilde\mu_t=c_t\,x_0+d_t\,x_t$ with $c_t=\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}$, lesson 02 $x_0=\big(x_t-\sqrt{1-\bar\alpha_t}\,\epsilon\big)/\sqrt{\bar\alpha_t}$. The network knows $x_t$. If it predicts $\hat x_0$ or $\hat\epsilon$ and we fill in these formulas, the $x_t$ cancels:
#
# $$\begin{aligned}\tilde\mu_t-\hat\mu&=c_t\,(x_0-\hat x_0),\qquad x_0-\hat x_0=-\sqrt{\tfrac{1-\bar\alpha_t}{\bar\alpha_t}}\,(\epsilon-\hat\epsilon)\\[3pt]|\tilde\mu_t-\hat\mu|^2&=\frac{\bar\alpha_{t-1}\beta_t^2}{(1-\bar\alpha_t)^2}\cdot\frac{1-\bar\alpha_t}{\bar\alpha_t}\,|\epsilon-\hat\epsilon|^2=\frac{\beta_t^2}{\alpha_t(1-\bar\alpha_t)}\,|\epsilon-\hat\epsilon|^2\\[3pt]L_{t-1}&=\frac{1}{2\sigma_t^2}\,|\tilde\mu_t-\hat\mu|^2=\underbrace{\frac{\beta_t^2}{2\sigma_t^2\,\alpha_t(1-\bar\alpha_t)}}_{w_t}\,|\epsilon-\hat\epsilon|^2\end{aligned}$$
#
# (We used $\bar\alpha_t=\alpha_t\bar\alpha_{t-1}$; this is not lesson 03's $w_t$.) Three targets, **one loss, up to a weight in $t$**. At $t=1$ there is no KL, but a Gaussian's $-\log p_\theta(x_0\mid x_1)$ gives the same square, with $\tilde\mu_1=x_0$.

# %%
from ddpm_lite.likelihood import gaussian_kl

ho = GaussianDiffusion(linear_beta_schedule(1000), dtype=torch.float64)  # Ho et al. 2020
t = torch.arange(2, 1001)  # all t with a KL, in one batch
image, eps, eps_hat = torch.randn(3, 999, 16, generator=generator, dtype=torch.float64)
x_t = ho.q_sample(image, t, eps)
hats = {name: targets.convert(ho, eps_hat, x_t, t, "eps", name) for name in targets.TARGETS}
truth = {name: targets.make_target(ho, image, x_t, t, name) for name in targets.TARGETS}
square = {name: ((truth[name] - hats[name]) ** 2).sum(1) for name in targets.TARGETS}  # each (999,)

beta, alpha, alpha_bar, before = ho.beta[t], ho.alpha[t], ho.alpha_bar[t], ho.alpha_bar[t - 1]
c = before.sqrt() * beta / (1 - alpha_bar)
share = c**2 * square["x_0"] / square["mu_tilde"]
verify("mu_tilde's error is c_t times x_0's", torch.ones(999), share)
odds = (1 - alpha_bar) / alpha_bar
share = (odds * square["eps"]) / square["x_0"]
verify("x_0's error, by that of eps", torch.ones(999), share)
mean, variance = ho.q_posterior(image, x_t, t)
term = gaussian_kl(mean, variance, hats["mu_tilde"], variance).sum(1)  # the boxed formula
w = beta**2 / (2 * variance[:, 0] * alpha * (1 - alpha_bar))
verify("L_{t-1} = w_t |eps - eps_hat|^2", torch.ones(999), w * square["eps"] / term)

# %% [markdown]
# ## The weight, and the simple loss
#
# With $\sigma_t^2=\tilde\beta_t=\frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\beta_t$ and $\mathrm{SNR}_t=\frac{\bar\alpha_t}{1-\bar\alpha_t}$, put in and use $\alpha_t=\bar\alpha_t/\bar\alpha_{t-1}$, hence $\frac{\beta_t}{\alpha_t}=\frac1{\alpha_t}-1=\frac{\bar\alpha_{t-1}-\bar\alpha_t}{\bar\alpha_t}$:
#
# $$\begin{aligned}w_t&=\frac{\beta_t}{2\alpha_t(1-\bar\alpha_{t-1})}=\frac{\bar\alpha_{t-1}-\bar\alpha_t}{2\,\bar\alpha_t\,(1-\bar\alpha_{t-1})}\\&=\frac{\bar\alpha_{t-1}(1-\bar\alpha_t)-\bar\alpha_t(1-\bar\alpha_{t-1})}{2\,\bar\alpha_t(1-\bar\alpha_{t-1})}=\tfrac12\Big(\frac{\mathrm{SNR}_{t-1}}{\mathrm{SNR}_t}-1\Big).\end{aligned}$$
#
# Ho et al. drop it:
#
# $$L_{\rm simple}=\mathrm E_{t,x_0,\epsilon}\,\big|\epsilon-\hat\epsilon(x_t,t)\big|^2,\qquad t\text{ uniform on }1..T .$$
#
# In the picture (linear schedule, log axes), each curve is the weight that a loss gives to $|\epsilon-\hat\epsilon|^2$, scaled to mean 1. Left: how much more than $L_{\rm simple}$ does the bound care for $t<10$? Right: a *plain* square of $x_0$ sees only large $t$; that of $\tilde\mu_t$ stays within a factor 4 of $L_{\rm simple}$. (With a cosine schedule, whose $\beta_T$ is 0.999, the bound's last weight is large too.)

# %%
snr = ho.snr[t]
verify("w_t by the SNR", (ho.snr[t - 1] / snr - 1) / 2, w, tol=1e-9)
verify("    and in the library", targets.bound_weight(ho)[2:], w, tol=1e-9)
for name in targets.TARGETS:
    ratio = square[name] / square["eps"] / targets.relative_weight(ho, name)[2:]
    verify(f"plain square of {name}", torch.ones(999), ratio)
alt = "At t = 2 the bound weighs 30 to 60 times more; a plain x_0 8 powers of ten less than at T."
plots.show(plots.plot_target_weights(ho), alt=alt)

# %% [markdown]
# ## Where are the bits? Exact denoisers first
#
# A coder that knows $p$ stores $x_0$ in $-\log_2p(x_0)$ bits, on average never fewer than the data's **entropy**. With 256 levels, $L_0$ takes a bin's probability (the bins of black and white reach to infinity):
#
# $$p_\theta(x_0\mid x_1)=\int_{x_0-1/255}^{x_0+1/255}\mathcal N(x;\hat\mu,\sigma_1^2)\,dx$$
#
# For $\sigma_1^2$ we take $\tilde\beta_2$, as $\tilde\beta_1=0$.
#
# **Pixels from $\mathcal N(0,s^2)$:** $x_t/\sqrt{\bar\alpha_t}$ is $x_0$ plus noise of variance $1/\mathrm{SNR}_t$. Precisions (1/variance) add, as in lesson 03's line (c), so the best $\hat x_0$ is off by $e_t=\mathrm E|x_0-\hat x_0|^2=(1/s^2+\mathrm{SNR}_t)^{-1}$. By the boxed formula,
#
# $$L_{t-1}=\tfrac12\Big[\ln\frac{\sigma_t^2}{\tilde\beta_t}-1+\frac{\tilde\beta_t+c_t^2\,e_t}{\sigma_t^2}\Big].$$
#
# Which $\sigma_t^2$ comes down to the entropy?

# %%
from ddpm_lite import FiniteOracle, GaussianOracle, load_pretrained, mnist
from ddpm_lite.evaluation import bits_per_dim

model, diffusion = load_pretrained("mnist")  # its schedule is cosine, T = 1000
exact = GaussianDiffusion(diffusion.schedule, dtype=torch.float64)  # the same, with finer tables
s = 0.25
pixels = (s * torch.randn(1000, 64, generator=generator)).clamp(-1, 1)
pixels = ((pixels + 1) * 127.5).round() / 127.5 - 1  # 256 levels
edges = (torch.arange(257, dtype=torch.float64) - 0.5) / 127.5 - 1  # between the bins
edges[0], edges[-1] = -math.inf, math.inf
chance = torch.special.ndtr(edges / s).diff()  # of each level
entropy = -torch.special.xlogy(chance, chance).sum() / math.log(2)

e, c, beta_tilde = 1 / (1 / s**2 + exact.snr), exact.mu_coef_x_0, exact.beta_tilde
oracle = GaussianOracle(diffusion, torch.zeros(64), s)
for sigma, sigma2 in {"beta_tilde": beta_tilde, "beta": exact.beta}.items():
    kl_at = (sigma2 / beta_tilde).log() - 1 + (beta_tilde + c**2 * e) / sigma2
    kl_at = kl_at / 2 / math.log(2)  # kl_at[t] is L_{t-1} in bits, for t > 1
    for k in (2, 30, 300, 900):
        bits = diffusion.bound_terms(oracle, pixels, k, sigma=sigma, generator=generator)
        verify(f"{sigma}: L_{k - 1}", kl_at[k], bits.mean(), se=bits.std() / len(bits) ** 0.5)
    parts = bits_per_dim(diffusion, oracle, pixels, sigma=sigma, generator=generator)
    L_sum, total = parts["L_sum"], parts["total"]["mean"]
    verify(f"{sigma}: L_1 + ... + L_T-1", kl_at[2:].sum(), L_sum["mean"], se=L_sum["se"])
    print(f"    bound {total:.2f} bits/dim, entropy {entropy:.2f}")
    assert entropy - 0.02 < total < entropy + (0.05 if sigma == "beta" else 0.8)
best = (1 + c**2 * e / beta_tilde)[2:].log().sum() / 2 / math.log(2)  # the best sigma_t^2
assert 0 < kl_at[2:].sum() - best < 0.01  # beta_t is hardly worse

# %% [markdown]
# For smooth data $\beta_t$ is right, since over small steps $\tilde\beta_t+c_t^2e_t\approx\beta_t$ (lesson 03, exercise 4), and the bound is tight: a Gaussian chain loses next to nothing. Now the other extreme: **64 digits, each as likely as the others**. Their entropy is $\log_264=6$ bits an image. Here the posterior's own $\tilde\beta_t$ is right, and the exact denoiser is known too. At which $t$ will it pay its 6 bits?

# %%
digits = mnist("train", full=False).batch(torch.arange(64))
oracle_64 = FiniteOracle(diffusion, digits)


def measure(denoiser, x_0, times, generator):
    """The term of each t with its standard error, and the error of eps_hat."""
    rows = []
    for t in times:
        eps = torch.randn(x_0.shape, generator=generator)
        with torch.no_grad():
            eps_hat = denoiser(diffusion.q_sample(x_0, t, eps), torch.full((len(x_0),), t))
        # x0_hat is cut to [-1, 1], as in sampling
        bits = diffusion.bound_terms(lambda x, t, hat=eps_hat: hat, x_0, t, eps)
        rows.append([t, bits.mean(), bits.std() / len(x_0) ** 0.5, ((eps_hat - eps) ** 2).mean()])
    return dict(zip(["t", "mean", "se", "error"], torch.tensor(rows).T, strict=True))


times = [1, 2, 10, 100, *range(600, 1001, 10)]
exact_64 = measure(oracle_64, digits.repeat(2, 1, 1, 1), times, generator)
bits, se = 784 * exact_64["mean"], 784 * exact_64["se"]  # of an image
paid, paid_se = 10 * bits[4:].sum(), 10 * (se[4:] ** 2).sum() ** 0.5  # every tenth t, times 10
print(f"L_1 to L_T-1: {paid:.1f} +- {paid_se:.1f} bits an image; L_0: {bits[0]:.0f} bits an image")
assert bits[0] > 100 and bits[1:4].max() < 1e-6
assert 6 - 4 * paid_se < paid < 7 + 4 * paid_se

# %% [markdown]
# It pays 6 bits at large $t$ (orange below, near 900), where your eye sees noise. Yet $L_0$ costs hundreds, although $\hat x_0$ is perfect: with $\sigma_1=\sqrt{\tilde\beta_2}$, 0.6 of a level, the bell spills into other bins. Learned variances would save most of it.
#
# ## The trained network
#
# Now the checkpoint, on new test digits. $\hat x_0$ is cut to $[-1,1]$; without the cut, $t=T$ alone may cost thousands of times more. Left: which $t$ are expensive? Right: by which $t$ are half of all bits counted?

# %% tags=["cover"]
test = mnist("test", full=False)
chosen = test.batch(torch.randperm(len(test), generator=generator)[:40])
times = sorted({round(1000 ** (k / 23)) for k in range(24)} | {2, 3, 4, 900, 960, 985})
trained = measure(model, chosen, times, generator)
curves = {"trained network, test digits": trained, "exact denoiser, 64 digits": exact_64}
alt = "The network's terms fall by powers of ten from t = 1 on; the exact one pays near t = 900."
plots.show(plots.plot_bound_terms(curves), alt=alt)

# %%
parts = bits_per_dim(diffusion, model, chosen, generator=generator)
for name, part in zip(["L_T", "L_1 + ... + L_T-1", "L_0", "total"], parts.values(), strict=True):
    print(f"{name}: {part['mean']:.3f} +- {part['se']:.3f} bits/dim")
assert 0.6 < parts["total"]["mean"] < 3 and parts["L_T"]["mean"] < 1e-4
width = diffusion.bound_terms(FiniteOracle(diffusion, chosen), chosen, 1, generator=generator)
print(f"of L_0, {width.mean():.2f} is what a perfect answer pays for the width of sigma_1")
assert parts["L_0"]["mean"] > width.mean() > 0.2

# %% [markdown]
# Move $t$ from the right end to the left, as sampling does. The curves tell which share of each loss lies at times **above** the cursor. Stop where each $\hat x_0$ is its digit to your eye: which share of the bound is paid, and which of $L_{\rm simple}$?
#
# Both are small, but that of $L_{\rm simple}$ is several times the bound's. Below, the bound pays mostly for the last gray levels, which nobody sees; $L_{\rm simple}$ spreads its weight: about half for $t<200$, the rest for edges and strokes.

# %%
film = [round(1000 * (k / 44) ** 2) for k in range(45)]  # 0, 1, 2, 5, 8, ..., 1000
eps = torch.randn(6, 1, 28, 28, generator=generator)
noisy, guess = [chosen[:6]], [chosen[:6]]
for t in film[1:]:
    noisy.append(diffusion.q_sample(chosen[:6], t, eps))
    with torch.no_grad():
        eps_hat = model(noisy[-1], torch.full((6,), t))
    guess.append(diffusion.predict_x0(noisy[-1], t, eps_hat).clamp(-1, 1))


def above(y):  # which share of the sum over t lies above each t of the film
    every = np.interp(range(1, 1001), trained["t"], y)  # between measured t: a straight line
    return (1 - np.array([0, *every.cumsum()])[film] / every.sum()).round(6).clip(0)


curve = {"bound": above(trained["mean"]), "L_simple": above(trained["error"])}
assert curve["bound"][9] < 0.4 and curve["L_simple"][9] > 0.6  # above t = 42
i = film.index(633)  # about where the guesses become digits
assert 2 * curve["bound"][i] < curve["L_simple"][i] < 0.5
rows = zip(film, *curve.values(), strict=True)
labels = [f"t = {t}, bound {L:.0%}, L_simple {simple:.0%}" for t, L, simple in rows]
views = {"x_t": torch.stack(noisy), "x0_hat": torch.stack(guess)}
alt = "Six digits from t = 0 to 1000: the guesses are right long before most bits are paid."
plots.show(plots.plot_strip(views, labels, n=6), alt=alt)
widgets.scrub(views, labels=labels, curve=curve, value=len(film) - 1)

# %% [markdown]
# ## Train all of them, side by side
#
# Three targets, each with its **plain** square and with the weight of the **bound** ($\sigma_t^2=\beta_t$, finite at $t=1$ too): six losses, for points in the plane. All get the same network, batches and budget; three seeds, for $x_0$ six.
#
# How far are samples from data? Project both on a direction, sort both, and take the mean distance of partners; we average over 32 directions (a sliced Wasserstein distance). Data against other data is the **floor**.

# %%
from ddpm_lite import MLPDenoiser, ddpm_steps
from ddpm_lite.data import GaussianMixture

torch.set_num_threads(1)  # all tensors here are small
plane = GaussianDiffusion(linear_beta_schedule(50))
spots = GaussianMixture.ring(4)  # four small Gaussians on a circle
data, fresh, others = spots.sample(4000, generator=generator).split([2000, 1000, 1000])
weights = {
    "plain": {y: torch.ones(51) for y in targets.TARGETS},
    "bound": {y: targets.bound_weight(plane, y, sigma="beta").float() for y in targets.TARGETS},
}
share = weights["bound"]["x_0"][1] / weights["bound"]["x_0"].sum()  # of t = 1
assert 0.8 < share < 0.85


def train(target, weighting, seed, n_steps=300):
    torch.manual_seed(seed)  # the same first weights and batches for each loss
    network, w = MLPDenoiser(width=64), weights[weighting][target]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    slower = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.01, n_steps)
    for _ in range(n_steps):
        x_0, t = data[torch.randint(2000, (256,))], torch.randint(1, 51, (256,))
        x_t = plane.q_sample(x_0, t)
        # times 4: a small network learns sooner if its inputs lie apart
        error = targets.make_target(plane, x_0, x_t, t, target) - network(4 * x_t, t)
        loss = (w[t] / w[1:].mean() * error.square().mean(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(), slower.step()
    return targets.as_eps(plane, lambda x_t, t: network(4 * x_t, t), target)

# %%
angle = torch.arange(32) * math.pi / 32
directions = torch.stack([angle.cos(), angle.sin()])  # (2, 32)


def distance(one, other):
    one, other = ((points @ directions).sort(0).values for points in (one, other))
    return float((one - other).abs().mean())


names = ["bound, its trainable part", r"$L_{\rm simple}$", "distance of samples to data"]
scores, walks = {name: {} for name in names}, dict.fromkeys(f"plain, {y}" for y in targets.TARGETS)
walks["data"] = fresh.expand(51, -1, -1)  # the panel between plain and bound
start = torch.randn(1000, 2, generator=generator)
x_0, t = others.repeat(10, 1), torch.randint(1, 51, (10_000,), generator=generator)
eps = torch.randn(x_0.shape, generator=generator)
x_t, options = plane.q_sample(x_0, t, eps), {"sigma": "beta", "clip": False, "x_T": start}
for weighting, target in itertools.product(["plain", "bound"], targets.TARGETS):
    runs, key = [], f"{weighting}, {target}"
    for seed in range(6 if target == "x_0" else 3):  # runs with x_0 differ most
        denoiser = train(target, weighting, seed)
        steps = ddpm_steps(plane, denoiser, start.shape, generator=generator, **options)
        walks[key] = torch.stack([start, *(step.x for step in steps)])  # (51, 1000, 2)
        with torch.no_grad():
            square = (denoiser(x_t, t) - eps).square().mean(1)
        bound = plane.T * (weights["bound"]["eps"][t] * square).mean()  # the sum over t, nats/dim
        runs.append([bound, square.mean(), distance(walks[key][-1], fresh)])
    for name, values in zip(names, torch.tensor(runs).T, strict=True):
        scores[name][key] = values

# %% [markdown]
# Every dot is a training run, the bar their mean, the dashed line the floor; lower is better. (Of the bound, the part that training can change.)
#
# - *same weight, other target*: equal on paper, but $\epsilon$ is learned soonest.
# - *same target, other weight*: for $\epsilon$ almost no difference. For $x_0$, the bound puts four fifths of its weight on $t=1$; the plain square weighs each $t$ alike; its samples come nearer on average.
#
# Then go down with $t$: which clouds part into four spots, and when?

# %%
bounds, _, distances = scores.values()
floor = sum(distance(spots.sample(1000, generator=generator), fresh) for _ in range(20)) / 20
plots.show(plots.plot_scores(scores, {names[2]: floor}), alt="eps is best by all three measures.")
for kind, score in itertools.product(("plain", "bound"), (bounds, distances)):
    assert score[f"{kind}, eps"].max() < score[f"{kind}, mu_tilde"].min()
    assert score[f"{kind}, eps"].mean() < score[f"{kind}, x_0"].mean()
assert distances["plain, x_0"].mean() < distances["bound, x_0"].mean()
assert abs(distances["plain, eps"].mean() - distances["bound, eps"].mean()) < 2 * floor

# %%
figure = plots.plot_clouds({key: walk[-1] for key, walk in walks.items()}, n_columns=4)
plots.show(figure, alt="Samples: four spots with eps, a square with x_0, a blur with mu_tilde.")
film_2d = [*range(10), *range(10, 51, 2)]


def update(i):  # frame 0 is t = 0; walks begin at t = 50
    for axis, walk in zip(figure.axes, walks.values(), strict=True):
        axis.collections[0].set_offsets(walk[50 - film_2d[i]])


frames = plots.render_frames(figure, update, len(film_2d))
widgets.scrub(frames, labels=[f"t = {t}" for t in film_2d], value=len(film_2d) - 1, fps=8)

# %% [markdown]
# ## The same thing in the library
#
# `diffusion.bound_terms` and `bits_per_dim` are the bound, `diffusion.loss` is $L_{\rm simple}$, and `ddpm_lite.targets` holds the three targets and the weights. Here are all three again, in our own lines, and what the cut does at $t=T$.

# %%
t, eps = torch.full((40,), 200), torch.randn(chosen.shape, generator=generator)
x_t = diffusion.q_sample(chosen, t, eps)
with torch.no_grad():
    square = (model(x_t, t) - eps).square()
    torch.testing.assert_close(diffusion.loss(model, chosen, t, eps), square.mean())
bits = (exact.snr[199] / exact.snr[200] - 1) / 2 * square.double().mean((1, 2, 3)) / math.log(2)
library = diffusion.bound_terms(model, chosen, t, eps, clip=False)  # the derivation knows no cut
torch.testing.assert_close(library.double(), bits, rtol=1e-3, atol=1e-7)
last = [diffusion.bound_terms(model, chosen, 1000, eps, clip=clip) for clip in (True, False)]
cut, raw = (term.mean() for term in last)
print(f"the term of t = T: {cut:.0e} bits/dim, without the cut {raw:.0e}")
assert raw > 10 * cut

# %% [markdown]
# ## What we saw
#
# - $L=L_T+\sum L_{t-1}+L_0$ exceeds $-\log p_\theta(x_0)$ by a KL.
# - Targets differ by a weight.
# - With exact denoisers and the right $\sigma_t^2$, KLs cost what they must; $\sigma_1$ shows in $L_0$.
# - Most bits buy gray levels; $L_{\rm simple}$ cares less for them. On CIFAR-10: 3.75 bits/dim, FID (a Frechet distance) 3.17; the bound 3.70, 13.51.
#
# ## Exercises
#
# ### Exercise 1: Count the bits of a KL (easy, 10 minutes)
#
# Two means, each a batch of images, and two variances: return KL$(q\,\|\,p)$ in **bits per dimension**, one number an image.

# %%
from torch import Tensor
from ddpm_lite.checks import check_kl_bits


def kl_bits(mean_q: Tensor, variance_q: float, mean_p: Tensor, variance_p: float) -> Tensor:
    """(B, C, H, W), a number, (B, C, H, W), a number -> (B,); of a number: math.log"""
    raise NotImplementedError


check_kl_bits(kl_bits)

# %% [markdown]
# ### Exercise 2: Write the loss (easy, 5 minutes)
#
# A loss with a weight: the **mean** over batch and pixels of $w_t(\epsilon-\hat\epsilon)^2$. `weight` is a table of $T+1$ entries, and image $b$ has its own $t_b$.

# %%
from ddpm_lite.checks import check_weighted_loss


def weighted_loss(eps: Tensor, eps_hat: Tensor, t: Tensor, weight: Tensor) -> Tensor:
    """(B, C, H, W), (B, C, H, W), (B,) int64, (T+1,) -> a scalar"""
    raise NotImplementedError


check_weighted_loss(weighted_loss)

# %% [markdown]
# ### Exercise 3: Tabulate the bound's weight (medium, 10 minutes)
#
# Given $\bar\alpha_0,\dots,\bar\alpha_T$ in a table, return the weight of $|\epsilon-\hat\epsilon|^2$ in $L_{t-1}$ for $\sigma_t^2=\tilde\beta_t$, in nats, at $t=2,\dots,T$. Why not at $t=1$?

# %%
from ddpm_lite.checks import check_bound_weight


def bound_weight(alpha_bar: Tensor) -> Tensor:
    """(T+1,) -> (T-1,)"""
    raise NotImplementedError


check_bound_weight(bound_weight)

# %% [markdown]
# ### Exercise 4: Predict a fourth target (hard, 15 minutes)
#
# Salimans & Ho predict $v=\sqrt{\bar\alpha_t}\,\epsilon-\sqrt{1-\bar\alpha_t}\,x_0$. Find $x_0$ and $\epsilon$ from $x_t$ and $v$: multiply both lines by the rates, and add. Then: which $r$ makes $|v-\hat v|^2=r\,|\epsilon-\hat\epsilon|^2$? Return all three. (At zero SNR, $\hat\epsilon$ tells nothing of $x_0$, lesson 01. What is $v$ there?)

# %%
from ddpm_lite.checks import check_v_target


def v_target(x_t: Tensor, v: Tensor, alpha_bar_t: float) -> tuple[Tensor, Tensor, float]:
    """-> x_0, eps, r"""
    raise NotImplementedError


check_v_target(v_target)

# %% [markdown]
# [**More exercises**](exercises/04_simple_loss.ipynb), with hints ([in Colab](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/04_simple_loss.ipynb)).
#
# ## References
#
# - Ho, Jain & Abbeel 2020, *Denoising Diffusion Probabilistic Models*, [arXiv 2006.11239](https://arxiv.org/abs/2006.11239): eq. 3, 5, 8, 12 to 14, Tables 1 and 2, appendix A.
# - Sohl-Dickstein et al. 2015, [arXiv 1503.03585](https://arxiv.org/abs/1503.03585): the bound for a diffusion.
# - Kingma et al. 2021, *Variational Diffusion Models*, [arXiv 2107.00630](https://arxiv.org/abs/2107.00630): its weights as differences of SNRs.
# - Salimans & Ho 2022, *Progressive Distillation for Fast Sampling of Diffusion Models*, [arXiv 2202.00512](https://arxiv.org/abs/2202.00512): $v$.
# - Sønderby et al. 2016, *Ladder Variational Autoencoders*, [arXiv 1602.02282](https://arxiv.org/abs/1602.02282): hierarchical VAEs.
