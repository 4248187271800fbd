# %% [markdown]
# # Exercises: build the network that predicts the noise
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/05_unet.ipynb)
#
# These go with [lesson 05](../05_unet.ipynb). You turn the clock of the time, count weights, follow shapes, and write a block and attention yourself. Write your answer in place of `raise NotImplementedError` or `...`,
# run the cell, then the check below it. Stuck? Open the first hint, then the second.
#
# **Minutes:** 80

# %%
import importlib.util, subprocess, sys

if importlib.util.find_spec("ddpm_lite") is None:  # Colab, or a bare environment
    address = "git+https://github.com/ddpm-lite/ddpm_lite@v0.1.0"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", address], check=True)
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()

import math, torch
from torch import nn
from torch.nn import functional as F
from ddpm_lite.checks import (
    check_attention,
    check_block_parameters,
    check_residual_block,
    check_turn_the_hands,
    check_up_shapes,
    check_walk_the_u,
)

# %% [markdown]
# ### Exercise 1: Turn the hands (medium, 10 minutes)
#
# Make $e(t+k)$ from $e(t)$, without knowing $t$: turn each hand by its angle $w_ik$, with $w_i=P^{-i/(d/2)}$ and $P$ = `max_period`. First write $\cos(a+b)$ and $\sin(a+b)$ in sines and cosines of $a$ and $b$.
#
# *Practises: the embedding of the time; angles that add; tensors in place of a loop.*
#
# <details>
# <summary>First hint</summary>
#
# $\cos(a+b)=\cos a\cos b-\sin a\sin b$ and $\sin(a+b)=\sin a\cos b+\cos a\sin b$. Which of these four numbers stand in $e(t)$, and which do you have to compute?
#
# <details>
# <summary>Second hint</summary>
#
# `cos, sin = e.chunk(2, dim=1)` gives $\cos(w_it)$ and $\sin(w_it)$. Make `angle`, $(d/2,)$, from `torch.arange(d // 2)`; it broadcasts over the rows. Compute both new halves from the old ones before you overwrite anything, then `torch.cat` them.
#
# </details>
# </details>

# %%
from torch import Tensor


def turn_the_hands(e: Tensor, k: int, max_period: float) -> Tensor:
    """(B, d), e(t) in each row -> (B, d), e(t + k): all cosines, then all sines"""
    ### BEGIN SOLUTION
    cos, sin = e.chunk(2, dim=1)  # (B, d/2) each
    half = cos.shape[1]
    angle = k * max_period ** (-torch.arange(half, dtype=e.dtype) / half)  # (d/2,)
    new_cos = cos * angle.cos() - sin * angle.sin()
    new_sin = sin * angle.cos() + cos * angle.sin()
    return torch.cat([new_cos, new_sin], dim=1)
    ### END SOLUTION

# %%
check_turn_the_hands(turn_the_hands)

# %% [markdown]
# ### Exercise 2: Count the weights of a block (medium, 10 minutes)
#
# How many parameters does a `ResidualBlock` from `c_in` to `c_out` channels have, with a time vector of `D` numbers? Two norms (a factor and a shift a channel), two $3\times3$ convolutions, the linear layer that makes scale *and* shift, and, only if `c_in` differs from `c_out`, a $1\times1$ convolution. Mind the biases.
#
# *Practises: counting parameters; which layer sees how many channels.*
#
# <details>
# <summary>First hint</summary>
#
# Write down each layer with what goes in and what comes out. The first norm acts before the channels change, the second one after. A layer has one bias for each of its outputs.
#
# <details>
# <summary>Second hint</summary>
#
# A $k\times k$ convolution from $a$ to $b$ channels has $k^2ab+b$ parameters, a linear layer $ab+b$, a norm of $a$ channels $2a$. The second convolution goes from `c_out` to `c_out`; the linear layer from `D` to `2 * c_out`.
#
# </details>
# </details>

# %%
def block_parameters(c_in: int, c_out: int, D: int) -> int:
    ### BEGIN SOLUTION
    norms = 2 * c_in + 2 * c_out
    convolutions = 9 * c_in * c_out + c_out + 9 * c_out * c_out + c_out
    time = D * 2 * c_out + 2 * c_out
    skip = c_in * c_out + c_out if c_in != c_out else 0
    return norms + convolutions + time + skip
    ### END SOLUTION

# %%
check_block_parameters(block_parameters)

# %% [markdown]
# ### Exercise 3: Pay attention (medium, 10 minutes)
#
# The lesson took one pixel; write attention for all pixels and heads at once, with `@` and `softmax` and without a loop or PyTorch's own. Each row of weights belongs to one query and sums to 1.
#
# *Practises: matrix products over the last two axes; which axis a softmax runs over.*
#
# <details>
# <summary>First hint</summary>
#
# Entry $(i,j)$ of the scores is $q_i\cdot k_j/\sqrt d$. Which product of the matrices `q` and `k`, each $(n,d)$, has these entries? Over which index does each row sum to 1?
#
# <details>
# <summary>Second hint</summary>
#
# `k.mT` swaps the last two axes and leaves batch and heads alone, and `@` multiplies over the last two. `d` is `q.shape[-1]`. Take the softmax over the last axis, the keys, and multiply by `v`.
#
# </details>
# </details>

# %%
def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """(B, heads, n, d) each -> (B, heads, n, d)"""
    ### BEGIN SOLUTION
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # (B, heads, n, n)
    return scores.softmax(-1) @ v
    ### END SOLUTION

# %%
check_attention(attend)

# %% [markdown]
# ### Exercise 4: Walk through the U (hard, 15 minutes)
#
# `h` comes from the stem. `down`, `middle`, `up` are lists of layers, functions of one tensor. Keep `h` and what every layer of `down` makes. Each layer of `up` gets what is there, and *behind it* what was kept, the latest first, set side by side along the channels.
#
# *Practises: the forward pass of a U-Net; a list used as a stack.*
#
# <details>
# <summary>First hint</summary>
#
# Three loops, one after the other, in which `h` is always what the layer before has made. What has to be in the list before the first loop begins?
#
# <details>
# <summary>Second hint</summary>
#
# Start with `kept = [h]`, and append after each layer of `down`, not before. On the way up, `kept.pop()` takes off the latest. `torch.cat` along `dim=1` sets channels side by side; `h` stands first.
#
# </details>
# </details>

# %%
from collections.abc import Callable

Layers = list[Callable[[Tensor], Tensor]]


def walk_the_u(h: Tensor, down: Layers, middle: Layers, up: Layers) -> Tensor:
    """(B, C, H, W) -> what the last layer of up makes"""
    ### BEGIN SOLUTION
    kept = [h]
    for layer in down:
        h = layer(h)
        kept.append(h)
    for layer in middle:
        h = layer(h)
    for layer in up:
        h = layer(torch.cat([h, kept.pop()], dim=1))
    return h
    ### END SOLUTION

# %%
check_walk_the_u(walk_the_u)

# %% [markdown]
# ### Exercise 5: Write a residual block (hard, 20 minutes)
#
# Write the lesson's block. `norm_1`, `norm_2` are `nn.GroupNorm(4, channels)`.
#
# $$\begin{aligned}h&=\mathrm{conv}_1(\mathrm{silu}(\mathrm{norm}_1(x)))\\(a,b)&=\mathrm{linear}(\mathrm{silu}(\mathrm{emb}))\\h&=\mathrm{norm}_2(h)\,(1+a)+b\\\mathrm{out}&=\mathrm{skip}(x)+\mathrm{conv}_2(\mathrm{silu}(h))\end{aligned}$$
#
# Where `c_in` and `c_out` are equal, $\mathrm{skip}(x)=x$; elsewhere it is a $1\times1$ convolution. A new block must return $\mathrm{skip}(x)$ exactly, whatever `emb` is.
#
# *Practises: layers in PyTorch; a layer that starts at zero; the time as scale and shift.*
#
# <details>
# <summary>First hint</summary>
#
# Which of the layers must start at zero, weights and bias, so that nothing is added at first and a gradient still arrives there? `x` is $(B,C,H,W)$ and `emb` is $(B,D)$: which shape must $a$ and $b$ have to act on channels?
#
# <details>
# <summary>Second hint</summary>
#
# `nn.init.zeros_` sets `conv_2.weight` and `conv_2.bias` to zero. The linear layer has `2 * c_out` outputs; `[:, :, None, None]` gives them a row and a column, `.chunk(2, dim=1)` splits them. `nn.Identity()` returns what it gets. A 3x3 convolution needs `padding=1`.
#
# </details>
# </details>

# %%
class Block(nn.Module):
    """x (B, c_in, H, W), emb (B, D) -> (B, c_out, H, W)"""

    def __init__(self, c_in: int, c_out: int, D: int):
        super().__init__()
        ### BEGIN SOLUTION
        self.norm_1, self.conv_1 = nn.GroupNorm(4, c_in), nn.Conv2d(c_in, c_out, 3, padding=1)
        self.linear = nn.Linear(D, 2 * c_out)
        self.norm_2, self.conv_2 = nn.GroupNorm(4, c_out), nn.Conv2d(c_out, c_out, 3, padding=1)
        nn.init.zeros_(self.conv_2.weight)
        nn.init.zeros_(self.conv_2.bias)
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()
        ### END SOLUTION

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        h = self.conv_1(F.silu(self.norm_1(x)))
        a, b = self.linear(F.silu(emb))[:, :, None, None].chunk(2, dim=1)  # (B, c_out, 1, 1)
        h = self.norm_2(h) * (1 + a) + b
        return self.skip(x) + self.conv_2(F.silu(h))
        ### END SOLUTION

# %%
check_residual_block(Block)

# %% [markdown]
# ### Exercise 6: Follow the shapes (medium, 15 minutes)
#
# A U-Net keeps what the stem makes (`channels`), and on the way down what each level's block makes (`channels * mult[i]`), and each stride-2 convolution between levels: same channels, $H\to\lceil H/2\rceil$. From the last level, the way up has two blocks a level. Each gets `h` beside the latest tensor kept, at the resolution of that tensor, and makes `channels * mult[i]`. Which shapes $(C,H,W)$ go *into* these blocks, in their order?
#
# *Practises: shapes through a network; why the way up has the most channels.*
#
# <details>
# <summary>First hint</summary>
#
# Do it by hand for `channels=16`, `mult=[1, 2]` and 28 rows and columns: how many shapes are kept, and which? Take them off from the end, and keep the channels of `h` in a variable.
#
# <details>
# <summary>Second hint</summary>
#
# Write two loops like those of exercise 4, with shapes in place of tensors. Down: append `(channels * m, H, W)`; unless it is the last level, halve, and append again. Up: for each `m` in reverse, twice: pop, note the sum of channels, and set `c = channels * m`.
#
# </details>
# </details>

# %%
def up_shapes(channels: int, mult: list[int], height: int, width: int) -> list[tuple]:
    """-> [(C, H, W), ...], two for each level, the coarsest first"""
    ### BEGIN SOLUTION
    H, W, c = height, width, channels
    kept = [(c, H, W)]
    for i, m in enumerate(mult):
        c = channels * m
        kept.append((c, H, W))
        if i < len(mult) - 1:
            H, W = (H + 1) // 2, (W + 1) // 2
            kept.append((c, H, W))
    shapes = []
    for m in reversed(mult):
        for _ in range(2):
            beside, H, W = kept.pop()
            shapes.append((c + beside, H, W))
            c = channels * m
    return shapes
    ### END SOLUTION

# %%
check_up_shapes(up_shapes)
