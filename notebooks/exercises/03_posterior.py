# %% [markdown]
# # Exercises: look one step back
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/03_posterior.ipynb)
#
# These go with [lesson 03](../03_posterior.ipynb). You turn single steps and strides around, multiply two Gaussians once and for all, and find how large a step may be. Write your answer in place of `raise NotImplementedError` or `...`,
# run the cell, then the check below it. Stuck? Open the first hint, then the second.
#
# **Minutes:** 95

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
from ddpm_lite.checks import (
    check_largest_step,
    check_mu_from_eps,
    check_posterior_skip,
    check_product_of_gaussians,
    check_q_posterior,
    check_there_and_back,
    check_variance_without_x_0,
    choice,
)

# %% [markdown]
# ### Exercise 1: Write the posterior (easy, 10 minutes)
#
# Only the table $\bar\alpha_0,\dots,\bar\alpha_T$ is given, and one $t$ from 1 to $T$. Return $\tilde\mu_t$ and $\tilde\beta_t$, without `ddpm_lite`. Where do $\alpha_t$ and $\beta_t$ come from?
#
# *Practises: eq. 6 and 7; reading $\alpha_t$ and $\beta_t$ off the table.*
#
# <details>
# <summary>First hint</summary>
#
# $\bar\alpha_t$ is the product of all $\alpha$ up to $t$. What is $\bar\alpha_t/\bar\alpha_{t-1}$?
#
# <details>
# <summary>Second hint</summary>
#
# With `before = alpha_bar[t - 1]` and `after = alpha_bar[t]`: `alpha = after / before`, `beta = 1 - alpha`. Then copy the two boxes. They divide by `1 - after` only, so $t=1$ needs no special case.
#
# </details>
# </details>

# %%
def my_q_posterior(x_0: Tensor, x_t: Tensor, t: int, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """(B, C, H, W), (B, C, H, W), int, (T+1,) -> mu_tilde (B, C, H, W), beta_tilde_t ()"""
    ### BEGIN SOLUTION
    before, after = alpha_bar[t - 1], alpha_bar[t]
    alpha = after / before
    beta = 1 - alpha
    c = before.sqrt() * beta / (1 - after)
    d = alpha.sqrt() * (1 - before) / (1 - after)
    return c * x_0 + d * x_t, (1 - before) / (1 - after) * beta
    ### END SOLUTION

# %%
check_q_posterior(my_q_posterior)

# %% [markdown]
# ### Exercise 2: Step with the noise (easy, 5 minutes)
#
# Now $\epsilon$ is given in place of $x_0$, and two numbers, $\bar\alpha_{t-1}$ and $\bar\alpha_t$. Return $\tilde\mu_t$. It is eq. 11, with neither $\alpha_t$ nor $\beta_t$ at hand.
#
# *Practises: eq. 11.*
#
# <details>
# <summary>First hint</summary>
#
# The lesson derives it in *The same with* $\epsilon$. Express its $\alpha_t$ and $\beta_t$ by the two numbers that you have.
#
# <details>
# <summary>Second hint</summary>
#
# $\alpha_t$ is the later number over the earlier one, $\beta_t=1-\alpha_t$. Take $\beta_t/\sqrt{1-\bar\alpha_t}$ times $\epsilon$ off $x_t$, and divide all of it by $\sqrt{\alpha_t}$.
#
# </details>
# </details>

# %%
def mu_from_eps(x_t: Tensor, eps: Tensor, alpha_bar_before: float, alpha_bar_t: float) -> Tensor:
    ### BEGIN SOLUTION
    alpha = alpha_bar_t / alpha_bar_before
    return (x_t - (1 - alpha) / (1 - alpha_bar_t) ** 0.5 * eps) / alpha**0.5
    ### END SOLUTION

# %%
check_mu_from_eps(mu_from_eps)

# %% [markdown]
# ### Exercise 3: Skip steps on the way back (medium, 15 minutes)
#
# You stand at $x_t$, know $x_0$, and ask for $x_s$ with any $s<t$. Lesson 02, exercise 3, gave $q(x_t\mid x_s)$. Repeat the square with it: $q(x_s\mid x_t,x_0)=\mathcal N(c\,x_0+d\,x_t,\,v\,I)$. Return $c$, $d$, $v$ in terms of $\bar\alpha_s$ and $\bar\alpha_t$. What must $s=0$ give?
#
# *Practises: completing the square with another prior and likelihood.*
#
# <details>
# <summary>First hint</summary>
#
# Nothing in the square knew that the step was one step. What takes the place of $\alpha_t$, $\beta_t$ and $\bar\alpha_{t-1}$?
#
# <details>
# <summary>Second hint</summary>
#
# Put $\bar\alpha_t/\bar\alpha_s$ for $\alpha_t$, 1 minus that for $\beta_t$, and $\bar\alpha_s$ for $\bar\alpha_{t-1}$ into the boxes. At $s=0$, $x_s$ is $x_0$: $c=1$, $d=0$, $v=0$.
#
# </details>
# </details>

# %%
def posterior_skip(alpha_bar_s: float, alpha_bar_t: float) -> tuple[float, float, float]:
    """-> c, d, v"""
    ### BEGIN SOLUTION
    kept = alpha_bar_t / alpha_bar_s
    c = alpha_bar_s**0.5 * (1 - kept) / (1 - alpha_bar_t)
    d = kept**0.5 * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    return c, d, (1 - alpha_bar_s) * (1 - kept) / (1 - alpha_bar_t)
    ### END SOLUTION

# %%
check_posterior_skip(posterior_skip)

# %% [markdown]
# ### Exercise 4: Do without $x_0$ (hard, 20 minutes)
#
# Let $x_0\sim\mathcal N(0,s^2)$. Return $\mathrm{Var}(x_{t-1}\mid x_t)$. (For $\mathrm{Var}(x_0\mid x_t)$ complete the square with prior $\mathcal N(0,s^2)$ and likelihood $q(x_t\mid x_0)$; multiply out, so that $s=0$ works. Or treat $x_{t-1}$ itself as the Gaussian prior of the last step.) Then look at $s=0$ and $s=1$: these are the two values that Ho et al. tried for $\sigma_t^2$.
#
# *Practises: a Gaussian prior for the data; where two choices of $\sigma_t^2$ come from.*
#
# <details>
# <summary>First hint</summary>
#
# The shorter way: before $x_t$ is seen, $x_{t-1}$ is a Gaussian of variance $\bar\alpha_{t-1}s^2+1-\bar\alpha_{t-1}$. Precisions of prior and likelihood add.
#
# <details>
# <summary>Second hint</summary>
#
# The likelihood of the last step has, in $x_{t-1}$, the precision $\alpha_t/\beta_t$. Add $1/(\bar\alpha_{t-1}s^2+1-\bar\alpha_{t-1})$, and take the inverse.
#
# </details>
# </details>

# %%
def variance_without_x_0(s: float, alpha_bar_before: float, alpha_bar_t: float) -> float:
    ### BEGIN SOLUTION
    alpha = alpha_bar_t / alpha_bar_before
    prior = alpha_bar_before * s**2 + 1 - alpha_bar_before  # Var(x_{t-1})
    return 1 / (1 / prior + alpha / (1 - alpha))
    ### END SOLUTION

# %%
check_variance_without_x_0(variance_without_x_0)

# %% [markdown]
# ### Exercise 5: Multiply two Gaussians (medium, 15 minutes)
#
# The square of this lesson, once and for all. For two densities of one $x$,
#
# $$\mathcal N(x;m_1,v_1)\,\mathcal N(x;m_2,v_2)=Z\,\mathcal N(x;m,v).$$
#
# Return $m$, $v$ and the area $Z$. (For which $m_1-m_2$ is $Z$ large? It is a Gaussian in it: of which variance?) The check multiplies on a grid.
#
# *Practises: completing the square; precisions add.*
#
# <details>
# <summary>First hint</summary>
#
# Add the two exponents and collect $x^2$ and $x$, as from (a) to (c). The factor of $x^2$ is the precision $1/v$.
#
# <details>
# <summary>Second hint</summary>
#
# $1/v=1/v_1+1/v_2$ and $m/v=m_1/v_1+m_2/v_2$. For $Z$: if $y_1=x+\sqrt{v_1}\,\epsilon_1$ and $y_2=x+\sqrt{v_2}\,\epsilon_2$, then $y_1-y_2$ has variance $v_1+v_2$. So $Z=\mathcal N(m_1-m_2;0,v_1+v_2)$.
#
# </details>
# </details>

# %%
def product_of_gaussians(
    m_1: float, v_1: float, m_2: float, v_2: float
) -> tuple[float, float, float]:
    """-> m, v, Z"""
    ### BEGIN SOLUTION
    v = 1 / (1 / v_1 + 1 / v_2)
    m = v * (m_1 / v_1 + m_2 / v_2)
    total = torch.tensor(v_1 + v_2)
    Z = torch.exp(-((m_1 - m_2) ** 2) / (2 * total)) / (2 * torch.pi * total).sqrt()
    return m, v, float(Z)
    ### END SOLUTION

# %%
check_product_of_gaussians(product_of_gaussians)

# %% [markdown]
# ### Exercise 6: Make two bumps one (hard, 25 minutes)
#
# A pixel is black or white, $x_0=\pm1$ with equal odds, and you see $x_t=0$. After a large step $q(x_{t-1}\mid x_t)$ has two bumps, after a small one a single bump. Given $\bar\alpha_{t-1}>\frac12$, return the largest $\beta_t$ that leaves one bump, to within 1 %. Search for it, or derive it: two Gaussians of equal weight and variance $v$ at $-c$ and $c$ have one bump if $c^2\le v$.
#
# *Practises: the posterior without $x_0$; why steps must be small.*
#
# <details>
# <summary>First hint</summary>
#
# Given $x_0=\pm1$ and $x_t=0$, $x_{t-1}$ is Gaussian. Where are the two means, and what is the variance?
#
# <details>
# <summary>Second hint</summary>
#
# The means are $\pm c_t$, the variance $\tilde\beta_t$, both from the boxes. Set $c_t^2=\tilde\beta_t$, put $\bar\alpha_t=\bar\alpha_{t-1}(1-\beta_t)$ in and solve for $\beta_t$; or compare the two in a loop that halves an interval.
#
# </details>
# </details>

# %%
def largest_step(alpha_bar_before: float) -> float:
    """-> beta_t"""
    ### BEGIN SOLUTION
    return ((1 - alpha_bar_before) / alpha_bar_before) ** 2
    ### END SOLUTION

# %%
check_largest_step(largest_step)

# %% [markdown]
# ### Exercise 7: Go there and back (medium, 5 minutes)
#
# Fix $x_0$. Draw $x_t\sim q(x_t\mid x_0)$, then $x_{t-1}\sim q(x_{t-1}\mid x_t,x_0)$. Over many such draws, the variance of $x_{t-1}$ is
#
# - **a** $\tilde\beta_t$
# - **b** $1-\bar\alpha_{t-1}$
# - **c** $\tilde\beta_t+1-\bar\alpha_t$
# - **d** $1-\bar\alpha_t$
#
# because
#
# 1. $x_0$ is fixed, and then only the step's own noise is left
# 2. $x_t$ is random: $d_t$ times it adds its variance
# 3. the noise of $x_t$ is kept and more is added
# 4. a step back takes no noise away
#
# Answer as `choice("a", because=1)`.
#
# *Practises: a conditional variance is not the variance.*
#
# <details>
# <summary>First hint</summary>
#
# Write the drawn $x_{t-1}$ as a function of $x_0$ and two noises. Which of them are independent?
#
# <details>
# <summary>Second hint</summary>
#
# $x_{t-1}=c_tx_0+d_tx_t+\sqrt{\tilde\beta_t}\,\epsilon'$, and $x_t$ has variance $1-\bar\alpha_t$. Work out $d_t^2(1-\bar\alpha_t)+\tilde\beta_t$.
#
# </details>
# </details>

# %%
### BEGIN SOLUTION
there_and_back = choice("b", because=2)
### END SOLUTION

# %%
check_there_and_back(there_and_back)
