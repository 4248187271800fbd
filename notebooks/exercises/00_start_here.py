# %% [markdown]
# # Exercises: start here: watch noise become digits
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/00_start_here.ipynb)
#
# These go with [lesson 00](../00_start_here.ipynb). You ask the sampler for digits, count its work, and see where the two factors of idea 1 lead. Write your answer in place of `raise NotImplementedError` or `...`,
# run the cell, then the check below it. Stuck? Open the first hint, then the second.
#
# **Minutes:** 40

# %%
import importlib.util, subprocess, sys

if importlib.util.find_spec("ddpm_lite") is None:  # Colab, or a bare environment
    address = "git+https://github.com/ddpm-lite/ddpm_lite@v0.1.0"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", address], check=True)
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()

import torch
from ddpm_lite import ddim_steps, plots, sample
from ddpm_lite.checks import (
    check_count_evaluations,
    check_digits_from_seed,
    check_error_of_guess,
    check_factors_plot,
    check_noised_moments,
    check_unit_variance,
    choice,
)

# %% [markdown]
# ### Exercise 1: Name a digit by its seed (easy, 5 minutes)
#
# DDIM with `eta=0` adds no noise on its way: $x_T$ and the number of steps decide the digit. Write a function whose result depends on its seed alone.
# `sample` and `ddim_steps` both take a `generator`.
#
# *Practises: calling a sampler; where its randomness comes from.*
#
# <details>
# <summary>First hint</summary>
#
# All that is random is $x_T$. A `torch.Generator` of your own, seeded with `seed`, decides it, and nobody else is disturbed.
#
# <details>
# <summary>Second hint</summary>
#
# Make the generator inside of the function: `torch.Generator().manual_seed(seed)`. Hand it to `sample`, with the shape and `n_steps=10`; its default is `eta=0`.
#
# </details>
# </details>

# %%
def digits_from_seed(diffusion, model, seed: int) -> torch.Tensor:
    """Four digits, (4, 1, 28, 28), by 10 DDIM steps with eta = 0."""
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(seed)
    return sample(diffusion, model, (4, 1, 28, 28), n_steps=10, generator=generator)
    ### END SOLUTION

# %%
check_digits_from_seed(digits_from_seed)

# %% [markdown]
# ### Exercise 2: Count the network's work (easy, 5 minutes)
#
# For a sampler, a model is anything that can be called as `model(x_t, t)`: also a function of yours that counts and then asks
# the real one. `run(counter)` runs some sampler. How many images is the network asked about, all calls together?
#
# *Practises: a denoiser is anything that can be called; what sampling costs.*
#
# <details>
# <summary>First hint</summary>
#
# Write an inner function with the arguments of a model. What does it have to return, so that the sampler notices nothing?
#
# <details>
# <summary>Second hint</summary>
#
# Keep a list outside of the inner function; append `len(x_t)` to it in each call, and return `model(x_t, t)`. After `run(counter)` add the list up.
#
# </details>
# </details>

# %%
def count_evaluations(run, model) -> int:
    """The number of images that the network is asked about while run(...) runs."""
    ### BEGIN SOLUTION
    seen = []

    def counter(x_t, t):
        seen.append(len(x_t))
        return model(x_t, t)

    run(counter)
    return sum(seen)
    ### END SOLUTION

# %%
check_count_evaluations(count_evaluations)

# %% [markdown]
# ### Exercise 3: Predict the end of time (medium, 10 minutes)
#
# A pixel of $x_0$ has a mean and a variance. From idea 1, where $\epsilon$ has mean 0 and variance 1 and is independent of
# $x_0$: what are the mean and the variance of that pixel of $x_t$? Then put in $t = T$. What does that say about
# where sampling starts?
#
# *Practises: mean and variance of a sum of independent parts.*
#
# <details>
# <summary>First hint</summary>
#
# For independent parts, means add and variances add. What does a factor in front do to a mean, and what to a variance?
#
# <details>
# <summary>Second hint</summary>
#
# A factor $c$ multiplies the mean by $c$ and the variance by $c^2$. The two factors are $\sqrt{\bar\alpha_t}$ and $\sqrt{1-\bar\alpha_t}$, and the noise has mean 0 and variance 1.
#
# </details>
# </details>

# %%
def noised_moments(diffusion, mean: float, variance: float, t: int) -> tuple:
    """Mean and variance of x_t, from diffusion.alpha_bar, a table of T + 1 entries."""
    ### BEGIN SOLUTION
    left = diffusion.alpha_bar[t]
    return left.sqrt() * mean, left * variance + 1 - left
    ### END SOLUTION

# %%
check_noised_moments(noised_moments)

# %% [markdown]
# ### Exercise 4: Follow an error (easy, 5 minutes)
#
# In one pixel the network's $\hat\epsilon$ is off by `error`. By how much is the guess
#
# $$\hat x_0=\frac{x_t-\sqrt{1-\bar\alpha_t}\,\hat\epsilon}{\sqrt{\bar\alpha_t}}$$
#
# then off in that pixel? Return a positive number. Try it at $\bar\alpha_t=0.9$ and at $\bar\alpha_t=0.0001$.
#
# *Practises: solving idea 1 for the image; why early guesses are bad.*
#
# <details>
# <summary>First hint</summary>
#
# Write down $\hat x_0$ once with $\hat\epsilon$ and once with the true $\epsilon$, and subtract. What is left of $x_t$?
#
# <details>
# <summary>Second hint</summary>
#
# $x_t$ goes away. What remains is $\epsilon-\hat\epsilon$ times the ratio of the two square roots, that of the noise above.
#
# </details>
# </details>

# %%
def error_of_guess(alpha_bar_t: float, error: float) -> float:
    """|x0_hat - x_0|, where |eps_hat - eps| = error"""
    ### BEGIN SOLUTION
    return ((1 - alpha_bar_t) / alpha_bar_t) ** 0.5 * error
    ### END SOLUTION

# %%
check_error_of_guess(error_of_guess)

# %% [markdown]
# ### Exercise 5: Keep the variance (easy, 5 minutes)
#
# A pixel of $x_0$ is $-1$ or $1$, each in half of the images: mean 0, variance 1. As $t$ grows, the variance of that pixel of $x_t$
#
# - **a** grows
# - **b** stays 1
# - **c** falls
# - **d** falls, then grows again
#
# because
#
# 1. the two factors add up to 1
# 2. standard deviations add
# 3. the squares of the two factors add up to 1
# 4. the mean stays 0
#
# Answer as `choice("a", because=1)`.
#
# *Practises: what the two roots are for.*
#
# <details>
# <summary>First hint</summary>
#
# Use exercise 3, with the variance of $x_0$ set to 1.
#
# <details>
# <summary>Second hint</summary>
#
# The variance of $x_t$ is $\bar\alpha_t\cdot1+(1-\bar\alpha_t)$. Which of the reasons is this sum?
#
# </details>
# </details>

# %%
### BEGIN SOLUTION
unit_variance = choice("b", because=3)
### END SOLUTION

# %%
check_unit_variance(unit_variance)

# %% [markdown]
# ### Exercise 6: Draw the two factors (medium, 10 minutes)
#
# Idea 1 mixes image and noise. Given the table $\bar\alpha_0,\dots,\bar\alpha_T$, draw both factors over $t=0,\dots,T$, as two lines with the labels `image` and `noise`. Return the figure. The check reads the lines' data.
#
# *Practises: reading a table; a plot that says what it shows.*
#
# <details>
# <summary>First hint</summary>
#
# The factors are square roots: one of $\bar\alpha_t$, the other of what is missing to 1. Which times does a table of $T+1$ entries cover?
#
# <details>
# <summary>Second hint</summary>
#
# `figure, axis = plots.new_figure()` makes both. Draw `alpha_bar.sqrt()` and `(1 - alpha_bar).sqrt()` over `range(len(alpha_bar))` with `axis.plot(x, y, label=...)`, then return `figure`.
#
# </details>
# </details>

# %%
def factors_plot(alpha_bar: torch.Tensor):
    """(T+1,) -> a matplotlib figure"""
    ### BEGIN SOLUTION
    figure, axis = plots.new_figure()
    times = range(len(alpha_bar))  # t = 0..T
    axis.plot(times, alpha_bar.sqrt(), label="image")
    axis.plot(times, (1 - alpha_bar).sqrt(), label="noise")
    axis.set(xlabel="$t$", ylabel="factor")
    axis.legend()
    return figure
    ### END SOLUTION

# %%
check_factors_plot(factors_plot)
