# %% [markdown]
# # Exercises: walk back from noise to a digit
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/07_sampling.ipynb)
#
# These go with [lesson 07](../07_sampling.ipynb). You write the steps of DDPM and of DDIM, foresee what a chain does, and count what it costs. Write your answer in place of `raise NotImplementedError` or `...`,
# run the cell, then the check below it. Stuck? Open the first hint, then the second.
#
# **Minutes:** 75

# %%
import importlib.util, subprocess, sys

if importlib.util.find_spec("ddpm_lite") is None:  # Colab, or a bare environment
    address = "git+https://github.com/ddpm-lite/ddpm_lite@v0.1.0"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", address], check=True)
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()

import torch
from ddpm_lite import cosine_beta_schedule
from ddpm_lite.checks import (
    check_clipped_mean,
    check_ddim,
    check_last_noise,
    check_network_calls,
    check_reverse_step,
    check_short_beta,
    check_spoiled_variance,
    choice,
)

T = 1000
one = torch.ones(1, dtype=torch.float64)
tables = {"cosine": torch.cat([one, (1 - cosine_beta_schedule(T)).cumprod(0)])}  # (T+1,)

# %% [markdown]
# ### Exercise 1: Take one step back (easy, 5 minutes)
#
# A step of Algorithm 2, with $\sigma_t^2=\beta_t$. `beta`, `alpha_bar`: tables of $T+1$ entries; `t` may be 1.
#
# *Practises: the step of DDPM; a variance and its standard deviation; the last step.*
#
# <details>
# <summary>First hint</summary>
#
# It is $x_{t-1}=\frac1{\sqrt{\alpha_t}}\Big(x_t-\frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\hat\epsilon\Big)+\sigma_tz$. Which of the two tables holds $\alpha_t$, if you subtract from 1? And what is special at $t=1$?
#
# <details>
# <summary>Second hint</summary>
#
# Entry `t` belongs to $t$, and $\alpha_t$ is `1 - beta[t]`. The mean is what stands before $\sigma_tz$. At $t=1$ return the mean; else add `beta[t].sqrt() * z`: a variance of $\beta_t$ needs the factor $\sqrt{\beta_t}$.
#
# </details>
# </details>

# %%
from torch import Tensor


def reverse_step(
    x_t: Tensor, t: int, eps_hat: Tensor, z: Tensor, beta: Tensor, alpha_bar: Tensor
) -> Tensor:
    """-> x_{t-1}"""
    ### BEGIN SOLUTION
    mean = (x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat) / (1 - beta[t]).sqrt()
    return mean + beta[t].sqrt() * z if t > 1 else mean
    ### END SOLUTION

# %%
check_reverse_step(reverse_step)

# %% [markdown]
# ### Exercise 2: Clip in the right place (easy, 10 minutes)
#
# Return the mean of $x_{t-1}$ as the code takes it: $\hat x_0$, clipped, into the posterior mean. Use nothing but the table $\bar\alpha_0,\dots,\bar\alpha_T$; from it comes $\alpha_t=\bar\alpha_t/\bar\alpha_{t-1}$.
#
# *Practises: $\hat x_0$ and the posterior mean; what a clip may touch.*
#
# <details>
# <summary>First hint</summary>
#
# Three lines: solve $x_t=\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\hat\epsilon$ for $x_0$; clip that, and nothing else; weigh it and $x_t$ as the lesson's $\tilde\mu_t$ does. Which of the three quantities has to lie in $[-1,1]$?
#
# <details>
# <summary>Second hint</summary>
#
# With `a = alpha_bar[t] / alpha_bar[t - 1]`, $\beta_t$ is `1 - a`. The weight of $\hat x_0$ is $\sqrt{\bar\alpha_{t-1}}\,\beta_t/(1-\bar\alpha_t)$, that of $x_t$ is $\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})/(1-\bar\alpha_t)$. Clip by `.clamp(-1, 1)`.
#
# </details>
# </details>

# %%
def clipped_mean(x_t: Tensor, t: int, eps_hat: Tensor, alpha_bar: Tensor) -> Tensor:
    ### BEGIN SOLUTION
    a_bar, before = alpha_bar[t], alpha_bar[t - 1]
    a = a_bar / before
    x0_hat = ((x_t - (1 - a_bar).sqrt() * eps_hat) / a_bar.sqrt()).clamp(-1, 1)
    w_0, w_t = before.sqrt() * (1 - a) / (1 - a_bar), a.sqrt() * (1 - before) / (1 - a_bar)
    return w_0 * x0_hat + w_t * x_t
    ### END SOLUTION

# %%
check_clipped_mean(clipped_mean)

# %% [markdown]
# ### Exercise 3: Shorten a chain (medium, 10 minutes)
#
# You keep the times `tau`, a list that rises and does not hold 0, of a chain with table `alpha_bar`. Return the variances $\beta_k'$ of the short chain, one for each time. (Its first step comes from the clean image.)
#
# *Practises: what a step between two kept times does; the entry for 0.*
#
# <details>
# <summary>First hint</summary>
#
# A step from $\tau_{k-1}$ to $\tau_k$ takes the signal's share of variance from $\bar\alpha_{\tau_{k-1}}$ to $\bar\alpha_{\tau_k}$. Which factor is that? Where does the first step come from?
#
# <details>
# <summary>Second hint</summary>
#
# Put 0 in front of the list, where $\bar\alpha_0=1$, and read the table there: `kept = alpha_bar[[0, *tau]]` has one entry more than there are steps. Neighbors in it, later over earlier, are the $\alpha_k'$, and $\beta_k'=1-\alpha_k'$.
#
# </details>
# </details>

# %%
def short_beta(alpha_bar: Tensor, tau: list[int]) -> Tensor:
    """(T+1,), n times -> (n,)"""
    ### BEGIN SOLUTION
    kept = alpha_bar[[0, *tau]]  # (n+1,)
    return 1 - kept[1:] / kept[:-1]
    ### END SOLUTION

# %%
check_short_beta(short_beta)

# %% [markdown]
# ### Exercise 4: Foresee the spoiled network (hard, 20 minutes)
#
# One pixel, data $\mathcal N(0,s^2)$. The exact answer is $\hat\epsilon=\sqrt{1-\bar\alpha_t}\,x_t/(\bar\alpha_ts^2+1-\bar\alpha_t)$; the spoiled one is $c$ times that. Algorithm 2 starts from $\mathcal N(0,1)$, with $\sigma_t^2=\beta_t$. Every step is a factor times $x_t$ plus noise: which variance do the samples have?
#
# Then call it for `tables["cosine"][:: T // n]`, $n=20,50,200,1000$ steps, with $s=0.5$: what does $c=1.02$ do to $\sqrt v/s$, and $c=0.8$?
#
# *Practises: a recursion of variances; how errors grow in short and in long chains.*
#
# <details>
# <summary>First hint</summary>
#
# Put $\hat\epsilon$ into Algorithm 2: $x_{t-1}=f_tx_t+\sigma_tz$ with a number $f_t$. The variance of a sum of independent terms is the sum of theirs; what does the factor $f_t$ do to a variance?
#
# <details>
# <summary>Second hint</summary>
#
# $f_t=\Big(1-\frac{\beta_t\,c}{\bar\alpha_ts^2+1-\bar\alpha_t}\Big)/\sqrt{\alpha_t}$: the roots of $1-\bar\alpha_t$ cancel. Start with $v=1$; for $t=T,\dots,1$ set $v\leftarrow f_t^2v+\beta_t$, at $t=1$ without $\beta_t$.
#
# </details>
# </details>

# %%
def spoiled_variance(alpha_bar: Tensor, s: float, c: float) -> float:
    """The variance of x_0 as sampled, without clipping."""
    ### BEGIN SOLUTION
    v = 1.0
    for t in range(len(alpha_bar) - 1, 0, -1):
        a_bar = float(alpha_bar[t])
        a = float(alpha_bar[t] / alpha_bar[t - 1])
        f = (1 - c * (1 - a) / (a_bar * s**2 + 1 - a_bar)) / a**0.5
        v = f**2 * v + (1 - a if t > 1 else 0)
    return v
    ### END SOLUTION

# %%
check_spoiled_variance(spoiled_variance)

# %% [markdown]
# ### Exercise 5: Walk in strides (medium, 15 minutes)
#
# DDIM goes from a kept time $t$ to the one before, $s$ (the last: 0), by
#
# $$x_s=\sqrt{\bar\alpha_s}\,\hat x_0+\sqrt{1-\bar\alpha_s-\sigma^2}\,\hat\epsilon+\sigma z,\qquad\sigma=\eta\sqrt{\frac{1-\bar\alpha_s}{1-\bar\alpha_t}}\sqrt{1-\frac{\bar\alpha_t}{\bar\alpha_s}},$$
#
# with $\hat x_0$ not clipped. From `x_T`, $t=T$, visit the times `tau` (a list that rises to $T$, without 0), and return the last $x$. `model(x, t)` wants `t` as an int64 tensor $(B,)$; `noise()` returns a new $z$.
#
# *Practises: the step of DDIM; strides; where noise leaves the direction room.*
#
# <details>
# <summary>First hint</summary>
#
# First $\hat x_0$, from $x_t$ with the rates of $t$; then forward again to $s$, with those of $s$. Write down the pairs $(t,s)$ for `tau = [3, 7, 10]`: how many are there, and what is $\sigma$ in the last?
#
# <details>
# <summary>Second hint</summary>
#
# `zip(tau[::-1], [*tau[-2::-1], 0])` gives (10, 7), (7, 3), (3, 0). Read `a = alpha_bar[t]` and `b = alpha_bar[s]`, ask `model(x, torch.full((len(x),), t))` once, and write the two formulas in `a` and `b`. At $s=0$ is $1-\bar\alpha_s=0$, so $\sigma=0$ without an `if`.
#
# </details>
# </details>

# %%
def ddim(model, x_T: Tensor, alpha_bar: Tensor, tau: list[int], eta: float, noise) -> Tensor:
    """x_T: (B, 1, H, W) -> x_0"""
    ### BEGIN SOLUTION
    x = x_T
    for t, s in zip(tau[::-1], [*tau[-2::-1], 0], strict=True):
        a, b = alpha_bar[t], alpha_bar[s]
        eps_hat = model(x, torch.full((len(x),), t))
        x0_hat = (x - (1 - a).sqrt() * eps_hat) / a.sqrt()
        sigma = eta * ((1 - b) / (1 - a)).sqrt() * (1 - a / b).sqrt()
        x = b.sqrt() * x0_hat + (1 - b - sigma**2).sqrt() * eps_hat + sigma * noise()
    return x
    ### END SOLUTION

# %%
check_ddim(ddim)

# %% [markdown]
# ### Exercise 6: Forget the last `if` (easy, 10 minutes)
#
# A sampler clips $\hat x_0$ and has $\sigma_t^2=\beta_t$, but no `if t > 1`: the last step adds noise. Cosine schedule. Which grain, in gray levels of 255, have samples of 1000 steps, and of 20?
#
# - a. 127, in both.
# - b. 0.8, in both.
# - c. 0.8; 11.
# - d. None, in neither.
#
# Why?
#
# 1. Noises of all steps are left in.
# 2. It is $\sqrt{\beta_1}$; the short chain's first step is longer.
# 3. It is $\sqrt{\tilde\beta_1}$.
# 4. The network removes most of it.
#
# Answer as `choice("a", because=1)`.
#
# *Practises: the last step; what the clip sees; the unit of a pixel.*
#
# <details>
# <summary>First hint</summary>
#
# At $t=1$ the mean is the clipped $\hat x_0$; what stands behind it, and with which factor? A pixel of $[-1,1]$ has 127.5 gray levels a unit.
#
# <details>
# <summary>Second hint</summary>
#
# Compute the grain: $127.5\,\sqrt{\beta_1}$, with $\beta_1=1-\bar\alpha_1$ in the long chain. In 20 steps, the first goes from 0 to $t=50$: $\beta_1'=1-\bar\alpha_{50}$. The table is `tables["cosine"]`. Which reason says this?
#
# </details>
# </details>

# %%
### BEGIN SOLUTION
grain = choice("c", because=2)
### END SOLUTION

# %%
check_last_noise(grain)

# %% [markdown]
# ### Exercise 7: Count the calls (easy, 5 minutes)
#
# `sample` draws `n` images in batches of `batch_size`, the last batch smaller if need be. How often does it call the network? `sampler` is `"ddpm"`, which visits all `T` times, or `"ddim"`, which visits `n_steps` of them.
#
# *Practises: what a sampler costs; which times are visited.*
#
# <details>
# <summary>First hint</summary>
#
# A call takes a whole batch, at one time. So: how many batches, and how many times visited in each? Is the network asked at $t=0$? Is it asked in the last step, which adds no noise?
#
# <details>
# <summary>Second hint</summary>
#
# Batches: `n / batch_size`, rounded *up*; that is `-(-n // batch_size)`. Each goes through all steps: `T` of them, or `n_steps`. DDPM does not look at `n_steps`.
#
# </details>
# </details>

# %%
def network_calls(n: int, batch_size: int, sampler: str, T: int, n_steps: int) -> int:
    ### BEGIN SOLUTION
    batches = -(-n // batch_size)
    return batches * (T if sampler == "ddpm" else n_steps)
    ### END SOLUTION

# %%
check_network_calls(network_calls)
