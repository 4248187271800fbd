# %% [markdown]
# # Exercises: find the bug behind each picture
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/90_museum_of_bugs.ipynb)
#
# These go with [lesson 90](../90_museum_of_bugs.ipynb). Functions with a bug: name the line, mend it, say what it does, and write the test that catches it. Write your answer in place of `raise NotImplementedError`,
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

from collections.abc import Callable
import torch
from torch import Tensor
from ddpm_lite.checks import check_foggy_pixel, check_mend_prepare, check_mend_previous
from ddpm_lite.checks import check_my_test, check_wrong_line, choice

# %% [markdown]
# ### Exercise 1: Name the line (easy, 5 minutes)
#
# DDIM, in strides. Samples keep specks of noise. Which line is wrong, and why?
#
# ```python
# for t in range(T, 0, -stride):
#     eps_hat = model(x, t)
#     x0_hat = (x - (1 - A[t]).sqrt() * eps_hat) / A[t].sqrt()  # a
#     x0_hat = x0_hat.clamp(-1, 1)                              # b
#     s = max(t - stride, 0)                                    # c
#     x = A[s].sqrt() * x0_hat + (1 - A[t]).sqrt() * eps_hat    # d
# ```
#
# 1. the clip must come after the last line
# 2. both rates must be those of the time where $x$ arrives
# 3. the loop must end at $s=1$
# 4. a division by $\sqrt{\bar\alpha_t}$ is unstable
#
# Answer as `choice("a", because=1)`.
#
# *Practises: reading an update against its equation.*
#
# <details>
# <summary>First hint</summary>
#
# Put in a perfect `eps_hat`. Which line then gives something else than it should?
#
# <details>
# <summary>Second hint</summary>
#
# Follow the last round, $s=0$: $\bar\alpha_0=1$. What is left of the noise, and what should be?
#
# </details>
# </details>

# %%
### BEGIN SOLUTION
wrong_line = choice("d", because=2)
### END SOLUTION

# %%
check_wrong_line(wrong_line)

# %% [markdown]
# ### Exercise 2: Mend the table (easy, 5 minutes)
#
# Tables of $T$ entries: entry $i$ belongs to $t=i+1$. This line should make the table of $\bar\alpha_{t-1}$:
#
# ```python
# return torch.nn.functional.pad(alpha_bar[:-1], (0, 1), value=1.0)
# ```
#
# Write what it should be.
#
# *Practises: the index convention; which end is which.*
#
# <details>
# <summary>First hint</summary>
#
# Write both tables down for $T=3$.
#
# <details>
# <summary>Second hint</summary>
#
# The result begins with $\bar\alpha_0=1$ and ends with $\bar\alpha_{T-1}$. `pad` takes (left, right).
#
# </details>
# </details>

# %%
def previous(alpha_bar: Tensor) -> Tensor:  # (T,) -> (T,)
    ### BEGIN SOLUTION
    return torch.nn.functional.pad(alpha_bar[:-1], (1, 0), value=1.0)
    ### END SOLUTION

# %%
check_mend_previous(previous)

# %% [markdown]
# ### Exercise 3: Foresee the fog (medium, 10 minutes)
#
# A bug found by its mean. Someone draws `eps = torch.rand_like(x_0)`, uniform on $[0,1]$, and jumps as in equation (4):
#
# $$x_t=\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\;\epsilon .$$
#
# Which mean has $x_t$, for one pixel with the value $x_0$?
#
# *Practises: means of sums; predicting what a bug will do.*
#
# <details>
# <summary>First hint</summary>
#
# The mean of a sum is the sum of the means, and a factor stays a factor.
#
# <details>
# <summary>Second hint</summary>
#
# The mean of a uniform number between 0 and 1 is $\frac12$; with Gaussian noise it would be 0.
#
# </details>
# </details>

# %%
def foggy_pixel(x_0: float, alpha_bar_t: float) -> float:
    ### BEGIN SOLUTION
    return alpha_bar_t**0.5 * x_0 + (1 - alpha_bar_t) ** 0.5 / 2
    ### END SOLUTION

# %%
check_foggy_pixel(foggy_pixel)

# %% [markdown]
# ### Exercise 4: Mend the pixels (easy, 5 minutes)
#
# ```python
# def prepare(images):  # uint8, 0..255
#     return images.float() / 255
# ```
#
# Samples of a network that was trained on these look as if seen through mist. Mend the function: wanted are float32, black $-1$, white $1$, whichever pixels a batch happens to hold.
#
# *Practises: ranges; uint8.*
#
# <details>
# <summary>First hint</summary>
#
# A straight line through (0, -1) and (255, 1).
#
# <details>
# <summary>Second hint</summary>
#
# Its slope is 2 / 255, the same as dividing by 127.5. Make the pixels float *before* you subtract.
#
# </details>
# </details>

# %%
def prepare(images: Tensor) -> Tensor:  # uint8 -> float32
    ### BEGIN SOLUTION
    return images.float() / 127.5 - 1
    ### END SOLUTION

# %%
check_mend_prepare(prepare)

# %% [markdown]
# ### Exercise 5: Write the test (hard, 20 minutes)
#
# The museum's `test_11` added up signed errors. Write a better one: `my_test(q_sample)` calls `q_sample(x_0, t, eps, alpha_bar)` on inputs of your own, and raises `AssertionError` if it is wrong. `x_0`, `eps`: (B, C, H, W); `t`: (B,) int64; `alpha_bar`: (T+1,), entry 0 is 1.
#
# Five wrong functions must fail; right ones must pass, whatever their rounding.
#
# *Practises: testing a test.*
#
# <details>
# <summary>First hint</summary>
#
# Work out the right answer for a small batch, with *different* $t$ and images without any symmetry, and compare every entry.
#
# <details>
# <summary>Second hint</summary>
#
# Take a short, steep table such as $1, 0.7, 0.4, 0.1$, so that neighbors differ. Compare by `torch.testing.assert_close`, or by the largest absolute error.
#
# </details>
# </details>

# %%
def my_test(q_sample: Callable[..., Tensor]) -> None:
    ### BEGIN SOLUTION
    g, alpha_bar = torch.Generator().manual_seed(0), torch.tensor([1, 0.7, 0.4, 0.1])
    x_0, eps = torch.randn(2, 3, 1, 4, 5, generator=g)
    t = torch.tensor([2, 1, 3])
    a = alpha_bar[t].view(-1, 1, 1, 1)
    wanted = a.sqrt() * x_0 + (1 - a).sqrt() * eps
    torch.testing.assert_close(q_sample(x_0, t, eps, alpha_bar), wanted, rtol=1e-4, atol=1e-5)
    ### END SOLUTION

# %%
check_my_test(my_test)
