# %% [markdown]
# # Exercises: choose a noise schedule
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/01_noise_schedules.ipynb)
#
# These go with [lesson 01](../01_noise_schedules.ipynb). You build the tables of a schedule, read them, and repair a chain that stops too early. Write your answer in place of `raise NotImplementedError` or `...`,
# run the cell, then the check below it. Stuck? Open the first hint, then the second.
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
from ddpm_lite import linear_beta_schedule, plots, terminal_snr
from ddpm_lite.checks import (
    check_alpha_bar,
    check_half_chain,
    check_half_signal,
    check_log_snr_plot,
    check_smallest_beta_T,
    check_zero_terminal,
    choice,
)

# %% [markdown]
# ### Exercise 1: Build the table (easy, 5 minutes)
#
# Given $\beta_1,\dots,\beta_T$, return $\bar\alpha_0,\dots,\bar\alpha_T$. Which entry has to be 1?
#
# *Practises: cumulative products; the index convention.*
#
# <details>
# <summary>First hint</summary>
#
# Step $s$ keeps the share $1-\beta_s$ of the variance of $x_0$. What do $t$ steps keep, one after the other?
#
# <details>
# <summary>Second hint</summary>
#
# `cumprod` of `1 - beta` holds the products for $t=1,\dots,T$. Put a 1 in front of it, for $t=0$, where no step was taken.
#
# </details>
# </details>

# %%
def my_alpha_bar(beta: torch.Tensor) -> torch.Tensor:
    """(T,) -> (T+1,)"""
    ### BEGIN SOLUTION
    one = torch.ones(1, dtype=beta.dtype)
    return torch.cat([one, (1 - beta).cumprod(0)])  # (T+1,)
    ### END SOLUTION

# %%
check_alpha_bar(my_alpha_bar)

# %% [markdown]
# ### Exercise 2: Read off the half-time (easy, 5 minutes)
#
# Given the table $\bar\alpha_0,\dots,\bar\alpha_T$, return the first $t$ at which the image has lost half of its *signal rate*. Guess it from the plot of the three schedules first.
#
# *Practises: reading a table; signal rate and variance.*
#
# <details>
# <summary>First hint</summary>
#
# The signal rate is $\sqrt{\bar\alpha_t}$. Which value of $\bar\alpha_t$ belongs to a rate of 1/2?
#
# <details>
# <summary>Second hint</summary>
#
# Compare the whole table with that value. `nonzero()` lists the places where a comparison holds; entry $t$ of the table belongs to $t$, so nothing has to be added.
#
# </details>
# </details>

# %%
def half_signal(alpha_bar: torch.Tensor) -> int:
    """(T+1,) -> the first t with signal rate below 1/2"""
    ### BEGIN SOLUTION
    return int((alpha_bar.sqrt() < 0.5).nonzero()[0])
    ### END SOLUTION

# %%
check_half_signal(half_signal)

# %% [markdown]
# ### Exercise 3: Repair a short chain by hand (medium, 10 minutes)
#
# You want $T=200$ without the factor $1000/T$. Keep $\beta_1=10^{-4}$: from which $\beta_T$ on does the linear schedule end with an SNR below a given limit? Answer to within 0.0002. Search with `terminal_snr` and `linear_beta_schedule(T, beta_T=..., rescale=False)`.
#
# *Practises: solving numerically what has no formula.*
#
# <details>
# <summary>First hint</summary>
#
# The SNR at $t=T$ falls when $\beta_T$ grows. So there is one value at which it crosses the limit; you can close in on it from both sides.
#
# <details>
# <summary>Second hint</summary>
#
# Begin with `low = 1e-4` and `high = 0.999`. Ask `terminal_snr` about the middle, and move the end that lies on the same side of the limit. Thirty halvings are more than enough.
#
# </details>
# </details>

# %%
def smallest_beta_T(T: int, snr: float) -> float:
    ### BEGIN SOLUTION
    low, high = 1e-4, 0.999
    for _ in range(30):
        middle = (low + high) / 2
        beta = linear_beta_schedule(T, beta_T=middle, rescale=False)
        if terminal_snr(beta) < snr:
            high = middle
        else:
            low = middle
    return high
    ### END SOLUTION

# %%
check_smallest_beta_T(smallest_beta_T)

# %% [markdown]
# ### Exercise 4: End at exactly zero (medium, 10 minutes)
#
# Let $a_t=\sqrt{\bar\alpha_t}$. Find the straight-line map of the signal rate, $a_t\mapsto k\,(a_t-c)$, that keeps $a_0=1$ and brings $a_T$ to 0. Return the new $\bar\alpha$. (Lin et al. keep $a_1$ in place of $a_0$; their tables have no entry for the clean image.)
#
# *Practises: a linear map from two conditions; rates against variances.*
#
# <details>
# <summary>First hint</summary>
#
# Two conditions fix the two numbers $k$ and $c$: write down $k\,(a_0-c)=1$ and $k\,(a_T-c)=0$, with $a_0=1$.
#
# <details>
# <summary>Second hint</summary>
#
# The second gives $c=a_T$, the first then $k=1/(1-a_T)$. Apply the map to the square roots of the table, and square the result.
#
# </details>
# </details>

# %%
def zero_terminal(alpha_bar: torch.Tensor) -> torch.Tensor:
    """(T+1,) -> (T+1,)"""
    ### BEGIN SOLUTION
    a = alpha_bar.sqrt()
    return ((a - a[-1]) / (1 - a[-1])) ** 2
    ### END SOLUTION

# %%
check_zero_terminal(zero_terminal)

# %% [markdown]
# ### Exercise 5: Take half the steps (easy, 5 minutes)
#
# A linear schedule runs from $\beta_1=10^{-4}$ to $\beta_T=0.02$ in $T=1000$ steps. Take $T=500$ with the same ends. The new $\bar\alpha_T$ is, roughly,
#
# - **a** the old one
# - **b** twice the old one
# - **c** the square root of the old one
# - **d** the square of the old one
#
# because
#
# 1. the ends of the schedule did not change
# 2. $\sum_t\beta_t$ is halved
# 3. the signal rate is a square root
# 4. $\bar\alpha_t$ falls from 1
#
# Answer as `choice("a", because=1)`.
#
# *Practises: products in logarithms; why $\beta$ has to be rescaled.*
#
# <details>
# <summary>First hint</summary>
#
# Write $\bar\alpha_T$ as a product, and take its logarithm. What is the sum, roughly, for small $\beta_t$?
#
# <details>
# <summary>Second hint</summary>
#
# $\log\bar\alpha_T\approx-T\,(\beta_1+\beta_T)/2$. Halve $T$ in it, and ask what that does to $\bar\alpha_T$ itself.
#
# </details>
# </details>

# %%
### BEGIN SOLUTION
half_chain = choice("c", because=2)
### END SOLUTION

# %%
check_half_chain(half_chain)

# %% [markdown]
# ### Exercise 6: Draw the fall of the SNR (medium, 10 minutes)
#
# Given $\beta_1,\dots,\beta_T$, draw
#
# $$\log\mathrm{SNR}_t=\log\frac{\bar\alpha_t}{1-\bar\alpha_t}$$
#
# over $t=1,\dots,T$, as one line with the label `log SNR`. Return the figure. The check reads the line's data.
#
# *Practises: the signal-to-noise ratio; a plot that says what it shows.*
#
# <details>
# <summary>First hint</summary>
#
# From $\beta_t$ to $\bar\alpha_t$ as in exercise 1. What is the variance of the noise in $x_t$? At $t=0$ there is none, so begin at $t=1$.
#
# <details>
# <summary>Second hint</summary>
#
# `figure, axis = plots.new_figure()` makes both. Call `axis.plot(t, y, label="log SNR")` with `t = torch.arange(1, T + 1)` and `y` the natural logarithm of $\bar\alpha_t/(1-\bar\alpha_t)$; return `figure`.
#
# </details>
# </details>

# %%
def log_snr_plot(beta: torch.Tensor):
    """(T,) -> a matplotlib figure"""
    ### BEGIN SOLUTION
    alpha_bar = (1 - beta).cumprod(0)  # t = 1..T
    figure, axis = plots.new_figure()
    axis.plot(range(1, len(beta) + 1), (alpha_bar / (1 - alpha_bar)).log(), label="log SNR")
    axis.set(xlabel="$t$", ylabel="log SNR")
    axis.legend()
    return figure
    ### END SOLUTION

# %%
check_log_snr_plot(log_snr_plot)
