# %% [markdown]
# # Exercises: train a network until it draws digits
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/06_train_mnist.ipynb)
#
# These go with [lesson 06](../06_train_mnist.ipynb). You write each part of the training loop, then ask what its loss curve says. Write your answer in place of `raise NotImplementedError` or `...`,
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

import math, torch
from ddpm_lite import plots
from ddpm_lite.checks import (
    check_draw_batch,
    check_learning_rate,
    check_loss_curve,
    check_plot_loss_by_t,
    check_training_step,
    check_update_average,
    choice,
)
from ddpm_lite.measure import pretrained_history

plots.use_style()

# %% [markdown]
# ### Exercise 1: Draw a batch (easy, 5 minutes)
#
# `images` are stored as bytes, 0 (black) to 255 (white). Return `n` of them, drawn with the `generator`, as float32 in $[-1,1]$, and a $t$ from $1..T$ for each.
#
# *Practises: ranges of pixels, indices and times; draws that can be repeated.*
#
# <details>
# <summary>First hint</summary>
#
# Draw `n` indices into the images and `n` times, both with `torch.randint`. Does it ever return its upper end? Which line takes 0 to -1, and 255 to 1?
#
# <details>
# <summary>Second hint</summary>
#
# `torch.randint(low, high, (n,), generator=generator)` stops before `high`: the indices have `high = len(images)`, the times `low = 1` and `high = T + 1`. A byte divided by 127.5 lies in $[0,2]$ and is float32 already; subtract 1.
#
# </details>
# </details>

# %%
def draw_batch(images: torch.Tensor, n: int, T: int, generator: torch.Generator) -> tuple:
    """(N, 1, H, W) uint8 -> x_0 (n, 1, H, W) float32, t (n,) int64"""
    ### BEGIN SOLUTION
    index = torch.randint(len(images), (n,), generator=generator)
    t = torch.randint(1, T + 1, (n,), generator=generator)
    return images[index] / 127.5 - 1, t
    ### END SOLUTION

# %%
check_draw_batch(draw_batch)

# %% [markdown]
# ### Exercise 2: Take one step (medium, 10 minutes)
#
# Make one update with the given images, times and noise, and return the loss. Use `diffusion.sqrt_alpha_bar` and `diffusion.sqrt_one_minus_alpha_bar`. The check calls it twice.
#
# *Practises: Algorithm 1; indexing a table by a batch of times; the three calls of an update.*
#
# <details>
# <summary>First hint</summary>
#
# Mix $x_t=\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\epsilon$, each image with its own $t$. Then compare the network's answer with $\epsilon$. What do gradients of the call before do to the second update?
#
# <details>
# <summary>Second hint</summary>
#
# `table[t].view(-1, 1, 1, 1)` holds one rate for each image, in a shape that multiplies `(B, 1, H, W)`. The loss is the mean of the squared difference of `eps` and `model(x_t, t)`. Then: `optimizer.zero_grad()`, `loss.backward()`, `optimizer.step()`; return `loss.item()`.
#
# </details>
# </details>

# %%
def training_step(model, optimizer, diffusion, x_0, t, eps) -> float:
    """x_0, eps: (B, 1, H, W); t: (B,)"""
    ### BEGIN SOLUTION
    signal = diffusion.sqrt_alpha_bar[t].view(-1, 1, 1, 1)  # (B, 1, 1, 1)
    noise = diffusion.sqrt_one_minus_alpha_bar[t].view(-1, 1, 1, 1)
    x_t = signal * x_0 + noise * eps
    loss = ((eps - model(x_t, t)) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION

# %%
check_training_step(training_step)

# %% [markdown]
# ### Exercise 3: Set the learning rate (easy, 5 minutes)
#
# Write $\eta_k$ from the section on the learning rate. Which are the first and the last $k$? What is $r_k$ during the warm-up?
#
# *Practises: a formula with cases; counting from 1.*
#
# <details>
# <summary>First hint</summary>
#
# It is $\eta_k=\eta\,\min\big(1,\frac kw\big)\,\frac{1-\cos(\pi r_k)}2$ with $r_k=\min\big(1,\frac{K-k+1}{K-w}\big)$, for $k=1,\dots,K$. Try $k=1$, $k=w$ and $k=K$ on paper: none of the three gives 0.
#
# <details>
# <summary>Second hint</summary>
#
# Three lines: the share that is left, `min(1, (K - k + 1) / (K - w))`, which is 1 up to $k=w+1$; the rise, `min(1, k / w)`; and `lr` times rise times `(1 - math.cos(math.pi * left)) / 2`.
#
# </details>
# </details>

# %%
def learning_rate(k: int, K: int, w: int, lr: float) -> float:
    ### BEGIN SOLUTION
    left = min(1, (K - k + 1) / (K - w))
    return lr * min(1, k / w) * (1 - math.cos(math.pi * left)) / 2
    ### END SOLUTION

# %%
check_learning_rate(learning_rate)

# %% [markdown]
# ### Exercise 4: Keep the average (medium, 10 minutes)
#
# `n` updates are in the averages already. Bring in the next, **in place**, with $d_n=\min\big(d,\frac{1+n}{10+n}\big)$, where $d$ is `decay`: the tensors themselves must change, as a network holds them. The weights require gradients; the averages must not.
#
# *Practises: an exponential moving average (EMA) of weights; changing tensors in place; leaving the graph.*
#
# <details>
# <summary>First hint</summary>
#
# The old average keeps the share $d_n$, the new weights come in with $1-d_n$. `average[i] = ...` puts another tensor into the list; which operations change the one that is there?
#
# <details>
# <summary>Second hint</summary>
#
# Under `with torch.no_grad():`, go through pairs `a, w` of both lists. `a.mul_(d).add_(w, alpha=1 - d)` shrinks the old one and adds the new; `a.lerp_(w, 1 - d)` does both. (A name with an underscore at its end: in place.)
#
# </details>
# </details>

# %%
def update_average(average: list, weights: list, decay: float, n: int) -> None:
    ### BEGIN SOLUTION
    d = min(decay, (1 + n) / (10 + n))
    with torch.no_grad():
        for a, w in zip(average, weights, strict=True):
            a.mul_(d).add_(w, alpha=1 - d)
    ### END SOLUTION

# %%
check_update_average(update_average)

# %% [markdown]
# ### Exercise 5: Read this loss curve (easy, 5 minutes)
#
# The shipped network's loss in 32,000 updates. Near the end it bends down. What happened?
#
# - a. The network began to learn images by heart.
# - b. The learning rate began to fall.
# - c. It left a plateau.
# - d. The batches were lucky.
#
# Why does that lower the loss?
#
# 1. Smaller steps tremble less around good weights.
# 2. Smaller steps go downhill faster.
# 3. The moving average takes over.
# 4. AdamW's division no longer weakens the gradients.
#
# Answer as `choice("a", because=2)`.
#
# *Practises: reading a curve; telling what the recipe did from what the network learned.*
#
# <details>
# <summary>First hint</summary>
#
# What in a recipe changes during a run? The commands that made the run are stored beside the curve: `pretrained_history("mnist")["command"]`. Compare the numbers in the first with the place of the bend.
#
# <details>
# <summary>Second hint</summary>
#
# The noise of a gradient throws the weights to and fro around a good place, the farther the larger the step: look at the gray line in the lesson's picture of one weight and its average. How large is the trembling once the steps shrink to 0?
#
# </details>
# </details>

# %%
history = pretrained_history("mnist")["loss"]
figure, axis = plots.new_figure(size=(7, 3))
axis.plot(history["step"][:64], history["loss"][:64])
axis.set(xlabel="update", ylabel="loss", ylim=(0.036, 0.05))
plots.show(figure, alt="The loss falls ever more slowly, and bends down again near the end.")
### BEGIN SOLUTION
bend = choice("b", because=1)
### END SOLUTION

# %%
check_loss_curve(bend)

# %% [markdown]
# ### Exercise 6: Plot where the loss comes from (medium, 15 minutes)
#
# Return a figure with a line labeled `loss`: over each $t$ of the list `times`, the mean of $\big(\epsilon-\epsilon_\theta(x_t,t)\big)^2$ over all pixels and images, where $x_t$ is made of *these* $x_0$ and $\epsilon$ at every $t$. `model(x_t, t)` takes `t` as an int64 tensor $(B,)$.
#
# Then draw it for `load_pretrained("mnist")` and 64 digits: which times have most of the loss?
#
# *Practises: evaluating a network; one noise for all times; a plot as a measurement.*
#
# <details>
# <summary>First hint</summary>
#
# One pass for each time, all images at this one time, without gradients. Keep the noise that is given: with new noise at each $t$ a part of what you see is chance.
#
# <details>
# <summary>Second hint</summary>
#
# In a loop over `times`: make `x_t` with `diffusion.sqrt_alpha_bar[t]` and `diffusion.sqrt_one_minus_alpha_bar[t]`, ask `model(x_t, torch.full((len(x_0),), t))`, and append the mean square as a float. Then `figure, axis = plots.new_figure()`, `axis.plot(times, losses, label="loss")`, and return the figure.
#
# </details>
# </details>

# %%
def plot_loss_by_t(model, diffusion, x_0: torch.Tensor, eps: torch.Tensor, times: list[int]):
    """x_0, eps: (B, 1, H, W) -> a Figure"""
    ### BEGIN SOLUTION
    losses = []
    for t in times:
        signal, noise = diffusion.sqrt_alpha_bar[t], diffusion.sqrt_one_minus_alpha_bar[t]
        x_t = signal * x_0 + noise * eps
        with torch.no_grad():
            eps_hat = model(x_t, torch.full((len(x_0),), t))
        losses.append(float(((eps - eps_hat) ** 2).mean()))
    figure, axis = plots.new_figure()
    axis.plot(times, losses, label="loss")
    axis.set(xlabel="$t$", ylabel="loss", xscale="log")
    return figure
    ### END SOLUTION

# %%
check_plot_loss_by_t(plot_loss_by_t)
