# %% [markdown]
# # Exercises: jump to any step at once
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/02_closed_form.ipynb)
#
# These go with [lesson 02](../02_closed_form.ipynb). You write the jump and undo it, start it in the middle, and hold it against a walk. Write your answer in place of `raise NotImplementedError` or `...`,
# run the cell, then the check below it. Stuck? Open the first hint, then the second.
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
from torch import Tensor
from ddpm_lite import plots
from ddpm_lite.checks import (
    check_buggy_variance,
    check_film_or_walk,
    check_jump_from,
    check_q_sample,
    check_recover_eps,
    check_spread,
    choice,
)

# %% [markdown]
# ### Exercise 1: Jump (easy, 5 minutes)
#
# Write the jump for a batch, without `ddpm_lite`. Image $b$ has its own time $t_b$, and `alpha_bar` is the table of $T+1$ entries. Use the `eps` that is given, so that your answer can be compared.
#
# *Practises: eq. 4; one rate for each image of a batch.*
#
# <details>
# <summary>First hint</summary>
#
# Eq. 4 is one line: signal rate times $x_0$ plus noise rate times $\epsilon$. Which shape has `alpha_bar[t]`, and which has $x_0$?
#
# <details>
# <summary>Second hint</summary>
#
# Pick the entries with `alpha_bar[t]`, shape (B,), and make them (B, 1, 1, 1) with `view(-1, 1, 1, 1)`. The rates are the roots of that and of 1 minus that.
#
# </details>
# </details>

# %%
def q_sample(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    """(B, C, H, W), (B,) int64, (B, C, H, W), (T+1,) -> x_t (B, C, H, W)"""
    ### BEGIN SOLUTION
    a = alpha_bar[t].view(-1, 1, 1, 1)  # (B, 1, 1, 1)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps
    ### END SOLUTION

# %%
check_q_sample(q_sample)

# %% [markdown]
# ### Exercise 2: Recover the noise (easy, 5 minutes)
#
# You are given $x_t$ and the $x_0$ it came from. Which $\epsilon$ was it? This is what the network of the later lessons must guess, without being shown $x_0$. (`alpha_bar_t` is a plain number, without a method `sqrt`.)
#
# *Practises: solving eq. 4 for the noise.*
#
# <details>
# <summary>First hint</summary>
#
# Write eq. 4 down and move everything but $\epsilon$ to the other side.
#
# <details>
# <summary>Second hint</summary>
#
# First take the image's part, signal rate times $x_0$, off $x_t$; then divide the whole difference by the noise rate. Mind the parentheses.
#
# </details>
# </details>

# %%
def recover_eps(x_t: Tensor, x_0: Tensor, alpha_bar_t: float) -> Tensor:
    # the root of a number: alpha_bar_t ** 0.5
    ### BEGIN SOLUTION
    return (x_t - alpha_bar_t**0.5 * x_0) / (1 - alpha_bar_t) ** 0.5
    ### END SOLUTION

# %%
check_recover_eps(recover_eps)

# %% [markdown]
# ### Exercise 3: Jump from the middle (medium, 10 minutes)
#
# You stand at $x_s$ and want $x_t$, with $s<t$. Derive $q(x_t\mid x_s)=\mathcal N(a\,x_s,\,v\,I)$ by the argument of *So are $t$ steps*, and return $a$ and $v$ in terms of $\bar\alpha_s$ and $\bar\alpha_t$. Try $s=0$ and $s=t-1$ first: what must come out?
#
# *Practises: variances of independent Gaussians add; products of $\alpha$.*
#
# <details>
# <summary>First hint</summary>
#
# The steps $s+1,\dots,t$ are a chain of their own, which begins at $x_s$. What is the product of their $\alpha$?
#
# <details>
# <summary>Second hint</summary>
#
# $\alpha_{s+1}\cdots\alpha_t=\bar\alpha_t/\bar\alpha_s$ takes the place of $\bar\alpha_t$ in eq. 4: its root is $a$, and 1 minus it is $v$.
#
# </details>
# </details>

# %%
def jump_from(alpha_bar_s: float, alpha_bar_t: float) -> tuple[float, float]:
    """-> a, v"""
    ### BEGIN SOLUTION
    ratio = alpha_bar_t / alpha_bar_s
    return ratio**0.5, 1 - ratio
    ### END SOLUTION

# %%
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
#
# *Practises: the variance of a sum; a test that a wrong formula fails.*
#
# <details>
# <summary>First hint</summary>
#
# The two terms are independent, so their variances add. What does a factor $c$ do to a variance?
#
# <details>
# <summary>Second hint</summary>
#
# A factor $c$ multiplies it by $c^2$. The first factor is $\sqrt{\bar\alpha_t}$; the second is $1-\bar\alpha_t$ itself.
#
# </details>
# </details>

# %%
def buggy_variance(alpha_bar: Tensor) -> Tensor:
    """(T+1,) -> (T+1,)"""
    ### BEGIN SOLUTION
    return alpha_bar + (1 - alpha_bar) ** 2
    ### END SOLUTION

# %%
check_buggy_variance(buggy_variance)

# %% [markdown]
# ### Exercise 5: Draw theory over a walk (medium, 15 minutes)
#
# `x_0` holds $n$ points on a line, of any mean and spread. Walk all of them, step by step, and draw their standard deviation at $t=0,\dots,T$ as a curve with the label `walk`. Draw the closed form as a second curve, with the label `formula`: $x_0$ has a variance of its own. Return the figure; the check reads its curves.
#
# *Practises: a simulation that knows nothing of the formula; the variance of $x_t$.*
#
# <details>
# <summary>First hint</summary>
#
# A step needs $\alpha_t=\bar\alpha_t/\bar\alpha_{t-1}$ and $\beta_t=1-\alpha_t$, and fresh noise for each point. In eq. 4 both $x_0$ and $\epsilon$ are random now.
#
# <details>
# <summary>Second hint</summary>
#
# In a loop over $t$, replace `x` by `alpha.sqrt() * x + (1 - alpha).sqrt() * torch.randn_like(x)`, and note `x.std()`, also before the first step. The formula is the root of $\bar\alpha_t\,\mathrm{Var}(x_0)+1-\bar\alpha_t$. To see it: `draw_spread(2 * torch.randn(5000), torch.linspace(1, 0.05, 31))`.
#
# </details>
# </details>

# %%
def draw_spread(x_0: Tensor, alpha_bar: Tensor):
    """(n,), (T+1,) -> a figure with two curves over t"""
    figure, axis = plots.new_figure()
    ### BEGIN SOLUTION
    x, walk = x_0, [x_0.std()]
    for t in range(1, len(alpha_bar)):
        alpha = alpha_bar[t] / alpha_bar[t - 1]
        x = alpha.sqrt() * x + (1 - alpha).sqrt() * torch.randn_like(x)
        walk.append(x.std())
    axis.plot(walk, label="walk")
    axis.plot((alpha_bar * x_0.var() + 1 - alpha_bar).sqrt(), label="formula")
    axis.set(xlabel="$t$", ylabel="standard deviation of $x_t$")
    axis.legend()
    return figure
    ### END SOLUTION

# %%
check_spread(draw_spread)

# %% [markdown]
# ### Exercise 6: Tell a film from a walk (medium, 5 minutes)
#
# The film of *One noise, any time* shows $x_t=\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\epsilon$, with one $\epsilon$ for all $t$. Compare many films with many walks of one $x_0$; $s<t$.
#
# - **a** Both have one distribution.
# - **b** Each $x_t$ has; but in a film $x_s$ and $x_t$ are more alike.
# - **c** Each $x_t$ has; but in a film $x_s$ and $x_t$ are less alike.
# - **d** Not even $x_t$ alone has.
#
# because
#
# 1. sums of Gaussians are Gaussian
# 2. a walk draws new noise after $s$
# 3. $t$ steps draw $t$ noises
# 4. only a walk makes $x_t$ from $x_s$
#
# Answer as `choice("a", because=1)`.
#
# *Practises: the law of $x_t$ alone, and that of two times together.*
#
# <details>
# <summary>First hint</summary>
#
# Take $x_0=0$. What is the correlation of $x_s$ and $x_t$ in a film, and when could a walk have it too?
#
# <details>
# <summary>Second hint</summary>
#
# On a walk, $x_t=a\,x_s+\sqrt v\,\epsilon'$ by exercise 3, with an $\epsilon'$ that $x_s$ does not know. In a film, $x_s$ and $x_t$ hold the same noise, up to a factor.
#
# </details>
# </details>

# %%
### BEGIN SOLUTION
film = choice("b", because=2)
### END SOLUTION

# %%
check_film_or_walk(film)
