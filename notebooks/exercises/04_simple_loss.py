# %% [markdown]
# # Exercises: weigh the bound, then drop the weights
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/04_simple_loss.ipynb)
#
# These go with [lesson 04](../04_simple_loss.ipynb). You compute a KL divergence and the weights it gives to a loss, then write out $L_{\rm simple}$ and see what it leaves out. Write your answer in place of `raise NotImplementedError` or `...`,
# run the cell, then the check below it. Stuck? Open the first hint, then the second.
#
# **Minutes:** 60

# %%
import importlib.util, subprocess, sys

if importlib.util.find_spec("ddpm_lite") is None:  # Colab, or a bare environment
    address = "git+https://github.com/ddpm-lite/ddpm_lite@v0.1.0"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", address], check=True)
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()

import math, torch
from matplotlib import pyplot as plt
from ddpm_lite.checks import (
    check_bound_weight,
    check_dropped_weights,
    check_kl_bits,
    check_loss_by_time,
    check_v_target,
    check_weighted_loss,
    choice,
)

# %% [markdown]
# ### Exercise 1: Count the bits of a KL (easy, 10 minutes)
#
# Two means, each a batch of images, and two variances: return KL$(q\,\|\,p)$ in **bits per dimension**, one number an image.
#
# *Practises: the KL divergence of two Gaussians; nats and bits; which axes a mean is taken over.*
#
# <details>
# <summary>First hint</summary>
#
# Use the boxed formula of the lesson, with one pixel of each image in place of $\mu_q$ and $\mu_p$. Independent pixels have a sum of KLs. What makes a number *per dimension*, and what makes nats bits?
#
# <details>
# <summary>Second hint</summary>
#
# `nats = (math.log(variance_p / variance_q) - 1 + ...) / 2` has the shape of the images. `flatten(1)` sets the pixels of an image side by side; take their mean over that axis. A bit is $\ln 2$ nats, so divide.
#
# </details>
# </details>

# %%
from torch import Tensor


def kl_bits(mean_q: Tensor, variance_q: float, mean_p: Tensor, variance_p: float) -> Tensor:
    """(B, C, H, W), a number, (B, C, H, W), a number -> (B,); of a number: math.log"""
    ### BEGIN SOLUTION
    distance = (mean_q - mean_p) ** 2  # (B, C, H, W)
    log_ratio = math.log(variance_p / variance_q)
    nats = (log_ratio - 1 + (variance_q + distance) / variance_p) / 2
    return nats.flatten(1).mean(1) / math.log(2)  # (B,)
    ### END SOLUTION

# %%
check_kl_bits(kl_bits)

# %% [markdown]
# ### Exercise 2: Write the loss (easy, 5 minutes)
#
# A loss with a weight: the **mean** over batch and pixels of $w_t(\epsilon-\hat\epsilon)^2$. `weight` is a table of $T+1$ entries, and image $b$ has its own $t_b$.
#
# *Practises: reading a table at a batch of times; broadcasting.*
#
# <details>
# <summary>First hint</summary>
#
# `weight[t]` is one number for each image, $(B,)$. The squares are $(B,C,H,W)$. Which shape must the weights have so that each meets the pixels of its own image?
#
# <details>
# <summary>Second hint</summary>
#
# `weight[t][:, None, None, None]` has shape $(B,1,1,1)$. Multiply after squaring, and take one mean over everything; the weights do not divide it.
#
# </details>
# </details>

# %%
def weighted_loss(eps: Tensor, eps_hat: Tensor, t: Tensor, weight: Tensor) -> Tensor:
    """(B, C, H, W), (B, C, H, W), (B,) int64, (T+1,) -> a scalar"""
    ### BEGIN SOLUTION
    w = weight[t][:, None, None, None]  # (B, 1, 1, 1)
    return (w * (eps - eps_hat) ** 2).mean()
    ### END SOLUTION

# %%
check_weighted_loss(weighted_loss)

# %% [markdown]
# ### Exercise 3: Tabulate the bound's weight (medium, 10 minutes)
#
# Given $\bar\alpha_0,\dots,\bar\alpha_T$ in a table, return the weight of $|\epsilon-\hat\epsilon|^2$ in $L_{t-1}$ for $\sigma_t^2=\tilde\beta_t$, in nats, at $t=2,\dots,T$. Why not at $t=1$?
#
# *Practises: ratios of neighbors in a table; the index convention.*
#
# <details>
# <summary>First hint</summary>
#
# The lesson ends with a form that needs nothing but $\mathrm{SNR}_{t-1}$ and $\mathrm{SNR}_t$. What is $\mathrm{SNR}_0$?
#
# <details>
# <summary>Second hint</summary>
#
# Make the table of the SNR for $t=1,\dots,T$ from `alpha_bar[1:]`. All but its last entry are the $\mathrm{SNR}_{t-1}$, all but its first the $\mathrm{SNR}_t$. Subtract 1 from their ratio, and halve.
#
# </details>
# </details>

# %%
def bound_weight(alpha_bar: Tensor) -> Tensor:
    """(T+1,) -> (T-1,)"""
    ### BEGIN SOLUTION
    snr = alpha_bar[1:] / (1 - alpha_bar[1:])  # t = 1 .. T
    return (snr[:-1] / snr[1:] - 1) / 2  # t = 2 .. T
    ### END SOLUTION

# %%
check_bound_weight(bound_weight)

# %% [markdown]
# ### Exercise 4: Predict a fourth target (hard, 15 minutes)
#
# Salimans & Ho predict $v=\sqrt{\bar\alpha_t}\,\epsilon-\sqrt{1-\bar\alpha_t}\,x_0$. Find $x_0$ and $\epsilon$ from $x_t$ and $v$: multiply both lines by the rates, and add. Then: which $r$ makes $|v-\hat v|^2=r\,|\epsilon-\hat\epsilon|^2$? Return all three. (At zero SNR, $\hat\epsilon$ tells nothing of $x_0$, lesson 01. What is $v$ there?)
#
# *Practises: solving two linear equations; how the error of one target becomes that of another.*
#
# <details>
# <summary>First hint</summary>
#
# Call the rates $a=\sqrt{\bar\alpha_t}$ and $b=\sqrt{1-\bar\alpha_t}$, so that $x_t=a\,x_0+b\,\epsilon$ and $v=a\,\epsilon-b\,x_0$. What is $a\,x_t-b\,v$? For $r$: $x_t$ is known, so an error of $\hat\epsilon$ makes one of $\hat x_0$.
#
# <details>
# <summary>Second hint</summary>
#
# $a^2+b^2=1$ leaves $x_0=a\,x_t-b\,v$ and $\epsilon=b\,x_t+a\,v$. From $x_t$ fixed, $x_0-\hat x_0=-\frac ba(\epsilon-\hat\epsilon)$. Put it into $v-\hat v=a(\epsilon-\hat\epsilon)-b(x_0-\hat x_0)$, collect, and square.
#
# </details>
# </details>

# %%
def v_target(x_t: Tensor, v: Tensor, alpha_bar_t: float) -> tuple[Tensor, Tensor, float]:
    """-> x_0, eps, r"""
    ### BEGIN SOLUTION
    signal, noise = math.sqrt(alpha_bar_t), math.sqrt(1 - alpha_bar_t)
    x_0 = signal * x_t - noise * v
    eps = noise * x_t + signal * v
    return x_0, eps, 1 / alpha_bar_t  # (a + b^2 / a)^2, and a^2 + b^2 = 1
    ### END SOLUTION

# %%
check_v_target(v_target)

# %% [markdown]
# ### Exercise 5: Write out the simple loss (medium, 15 minutes)
#
# For each $t=1..T$, draw $\epsilon$ with the `generator`, make $x_t$ of all images, ask `model(x_t, t)` with `t` an int64 tensor $(B,)$, and average $(\epsilon-\hat\epsilon)^2$ over batch and pixels. Return a figure with two lines over $t$:
#
# - `label="L_simple"`: these averages; $L_{\rm simple}$ is their mean.
# - `label="bound"`, for $t=2..T$: each times exercise 3's $w_t$.
#
# `alpha_bar` has $T+1$ entries.
#
# *Practises: the loop behind the training loss; a loss looked at by $t$; a plot with labels.*
#
# <details>
# <summary>First hint</summary>
#
# The jump of lesson 02 is $x_t=\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\epsilon$. Keep the $\epsilon$ that you drew: the network's answer is compared with this one. `torch.randn` takes a `generator`.
#
# <details>
# <summary>Second hint</summary>
#
# Loop over `range(1, T + 1)`; `torch.full((len(x_0),), t)` tells the time to all images. Collect `((eps - eps_hat) ** 2).mean()` in a list. Then `figure, axis = plt.subplots()`, `axis.plot(times, loss, label=...)`; for the second line `times[1:]`, and `bound_weight(alpha_bar)` times `loss[1:]`.
#
# </details>
# </details>

# %%
def loss_by_time(model, x_0: Tensor, alpha_bar: Tensor, generator: torch.Generator) -> plt.Figure:
    """x_0 (B, C, H, W), alpha_bar (T+1,) -> a figure with the lines L_simple and bound"""
    ### BEGIN SOLUTION
    loss, times = [], torch.arange(1, len(alpha_bar))
    for t in times.tolist():
        eps = torch.randn(x_0.shape, generator=generator)
        x_t = alpha_bar[t].sqrt() * x_0 + (1 - alpha_bar[t]).sqrt() * eps
        eps_hat = model(x_t, torch.full((len(x_0),), t))
        loss.append(((eps - eps_hat) ** 2).mean())
    loss = torch.stack(loss)  # (T,)
    figure, axis = plt.subplots()
    axis.plot(times, loss, label="L_simple")
    axis.plot(times[1:], bound_weight(alpha_bar) * loss[1:], label="bound")
    axis.set(xlabel="t", yscale="log")
    axis.legend()
    return figure
    ### END SOLUTION

# %%
check_loss_by_time(loss_by_time)

# %% [markdown]
# ### Exercise 6: Say what was dropped (easy, 5 minutes)
#
# Linear schedule, $T=1000$, weights of bound and $L_{\rm simple}$ scaled to mean 1. Going from the bound to $L_{\rm simple}$:
#
# - **a** the first hundred $t$ count less, nearly all others more
# - **b** the first hundred count more, others less
# - **c** all count as before
# - **d** the last $t$ stop counting
#
# because
#
# 1. at small $t$ one step divides the SNR by most
# 2. at large $t$ the errors of $\hat\epsilon$ are largest
# 3. no weight changes the best $\hat\epsilon$
# 4. $L_T$ has no parameters
#
# Answer as `choice("c", because=4)`.
#
# *Practises: reading a weight; what a loss asks of a network that cannot do everything.*
#
# <details>
# <summary>First hint</summary>
#
# $w_t=\frac12(\mathrm{SNR}_{t-1}/\mathrm{SNR}_t-1)$ is large where one step changes the SNR by a large factor. Look at the lesson's picture of the weights, orange against gray.
#
# <details>
# <summary>Second hint</summary>
#
# Compute it: `beta = torch.linspace(1e-4, 0.02, 1000)`, then `alpha_bar`, with a 1 in front, and your `bound_weight`, divided by its mean. Where is it above 1? Then ask of each reason: is it about the weight, and is it true?
#
# </details>
# </details>

# %%
### BEGIN SOLUTION
dropped = choice("a", because=1)
### END SOLUTION

# %%
check_dropped_weights(dropped)
