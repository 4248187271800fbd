# %% [markdown]
# # Exercises: a small set
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/01_noise_schedules.ipynb)
#
# These go with [lesson 01](../01_noise_schedules.ipynb), and are what the tests of release and grade work on.
#
# **Minutes:** 20

# %%
import math

import torch
from torch import Tensor

from ddpm_lite.checks import check_alpha_bar, check_half_signal, check_zero_terminal

# %% [markdown]
# ### Exercise 1: Build the table (easy, 5 minutes)
#
# Return the table.


# %%
def alpha_bar(beta: Tensor) -> Tensor:  # (T,) -> (T+1,)
    ### BEGIN SOLUTION
    one = torch.ones(1, dtype=beta.dtype)
    return torch.cat([one, (1 - beta).cumprod(0)])  # (T+1,)
    ### END SOLUTION


# %%
check_alpha_bar(alpha_bar)

# %% [markdown]
# ### Exercise 2: Read off the half-time (medium, 5 minutes)
#
# Return the first t.


# %%
def half_signal(alpha_bar: Tensor) -> int:
    ### BEGIN SOLUTION
    return int((alpha_bar.sqrt() < 1 / 2).nonzero()[0])
    ### END SOLUTION


# %%
check_half_signal(half_signal)

# %% [markdown]
# ### Exercise 3: End at zero (hard, 10 minutes)
#
# Return the new table.


# %%
def zero_terminal(alpha_bar: Tensor) -> Tensor:
    ### BEGIN SOLUTION
    a = alpha_bar.sqrt()
    return ((a - a[-1]) / (1 - a[-1])) ** 2
    ### END SOLUTION


# %%
check_zero_terminal(zero_terminal)

# %% [markdown]
# ### Exercise 4: A number (easy, 1 minute)
#
# The signal rate where alpha_bar is one quarter.

# %%
### BEGIN SOLUTION
rate = 0.5
### END SOLUTION


# %%
def check_rate(value: float) -> None:
    assert value is not ..., "not attempted"
    assert math.isclose(value, 0.5), "the signal rate is the square root of alpha_bar"
    print("Correct. It is a half.")


check_rate(rate)
### BEGIN HIDDEN TESTS
assert type(rate) is float, "a float is wanted"
### END HIDDEN TESTS
