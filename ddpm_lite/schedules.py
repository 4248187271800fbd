"""Noise schedules: T -> beta_1 .. beta_T, the variances of the forward steps.

Every schedule returns a float64 tensor of shape (T,), with entry [t - 1] = beta_t; ``GaussianDiffusion`` puts beta_0 =
0 in front, so that from there on the index is the paper's t.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ._validate import check_choice, check_float, check_int


def linear_beta_schedule(T: int, beta_1: float = 1e-4, beta_T: float = 0.02, *, rescale: bool = True) -> Tensor:
    """Return variances that grow linearly from beta_1 to beta_T.

    ``beta_t = k (beta_1 + (t - 1) / (T - 1) (beta_T - beta_1))``, with k = 1000 / T if ``rescale``, else 1.

    The two ends were chosen for T = 1000. With ``rescale`` the signal left at t = T hardly depends on T; without it,
    T = 200 leaves alpha_bar_T = 0.13, although sampling starts from pure noise.

    Returns: (T,) float64, dimensionless.
    Raises: ValueError if an end leaves (0, 1), or a scaled variance reaches 1 (T <= 20 with the default ends).
    Source: Ho et al. 2020 (arXiv 2006.11239), section 4; the factor 1000 / T: Nichol & Dhariwal 2021, code.
    """
    T = check_int("T", T, 1)
    beta_1 = check_float("beta_1", beta_1, 0, 1, open_low=True)
    beta_T = check_float("beta_T", beta_T, 0, 1, open_low=True)
    if beta_T < beta_1:
        raise ValueError(f"beta_T must not be below beta_1 = {beta_1:g}, got {beta_T:g}")
    beta = torch.linspace(beta_1, beta_T, T, dtype=torch.float64)
    if T == 1:
        beta = torch.tensor([beta_T], dtype=torch.float64)
    if rescale:
        beta = beta * (1000 / T)
    if float(beta[-1]) >= 1:
        raise ValueError(
            f"beta_T must stay below 1, but beta_T * 1000 / T = {float(beta[-1]):.3g} at T = {T}; "
            "take more steps, a smaller beta_T, or rescale=False"
        )
    return beta


def cosine_beta_schedule(T: int, s: float = 0.008, beta_max: float = 0.999) -> Tensor:
    """Return the variances whose alpha_bar falls like a squared cosine.

    ``alpha_bar_t = f(t) / f(0), f(t) = cos^2(pi / 2 (t / T + s) / (1 + s))``, eq. 17; beta_t is cut at ``beta_max``.

    Returns: (T,) float64, dimensionless.
    Raises: ValueError if s or beta_max leaves its range.
    Source: Nichol & Dhariwal 2021 (arXiv 2102.09672), eq. 17.
    """
    T = check_int("T", T, 1)
    s = check_float("s", s, 0, 1)
    time = torch.arange(T + 1, dtype=torch.float64) / T
    alpha_bar = torch.cos((time + s) / (1 + s) * math.pi / 2) ** 2
    return _beta_from_alpha_bar(alpha_bar, beta_max)


def sigmoid_beta_schedule(
    T: int, start: float = -3.0, end: float = 3.0, tau: float = 1.0, beta_max: float = 0.999
) -> Tensor:
    """Return the variances whose alpha_bar falls like a sigmoid.

    ``alpha_bar_t = (S(end) - S(start + t / T (end - start))) / (S(end) - S(start)), S(x) = sigmoid(x / tau)``.

    A smaller ``tau`` makes the fall steeper; beta_t is cut at ``beta_max``.

    Returns: (T,) float64, dimensionless.
    Raises: ValueError if end <= start, tau or beta_max leaves its range, or S is too flat or too steep for float64.
    Source: Jabri et al. 2022 (arXiv 2212.11972), algorithm 2; Chen 2023 (arXiv 2301.10972), section 2.2.
    """
    T = check_int("T", T, 1)
    start, end = check_float("start", start, -100, 100), check_float("end", end, -100, 100)
    tau = check_float("tau", tau, 0, 100, open_low=True)
    if end <= start:
        raise ValueError(f"end must be above start = {start:g}, got {end:g}")
    time = torch.arange(T + 1, dtype=torch.float64) / T
    level = torch.sigmoid((start + time * (end - start)) / tau)
    beta = _beta_from_alpha_bar(level[-1] - level, beta_max)
    if not bool(((beta > 0) & (beta < 1)).all()):
        got = f"start = {start:g}, end = {end:g}, tau = {tau:g}"
        raise ValueError(f"start, end and tau must give betas in (0, 1), but the sigmoid is flat somewhere at {got}")
    return beta


def _beta_from_alpha_bar(alpha_bar: Tensor, beta_max: float) -> Tensor:
    """beta_t = 1 - alpha_bar_t / alpha_bar_{t-1}, cut at ``beta_max``; (T+1,) -> (T,). A common factor cancels."""
    beta_max = check_float("beta_max", beta_max, 0, 1, open_low=True)
    if beta_max == 1:
        raise ValueError("beta_max must be below 1, or the last step would leave nothing to divide by, got 1")
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=beta_max)


SCHEDULES: dict[str, Callable[..., Tensor]] = {
    "linear": linear_beta_schedule,
    "cosine": cosine_beta_schedule,
    "sigmoid": sigmoid_beta_schedule,
}


def beta_schedule(name: str, T: int, **options: Any) -> Tensor:
    """Return a schedule by its name: "linear", "cosine" or "sigmoid".

    ``options`` go to the schedule's own function. Returns: (T,) float64. Raises: ValueError for an unknown name.
    """
    return SCHEDULES[check_choice("name", name, SCHEDULES)](T, **options)


def terminal_snr(beta: Tensor) -> float:
    """Return the signal-to-noise ratio left at t = T, which sampling takes to be zero.

    ``SNR_T = alpha_bar_T / (1 - alpha_bar_T), alpha_bar_T = prod_t (1 - beta_t)``.

    ``beta``: (T,). Returns: a dimensionless float; 4.0e-5 for the linear schedule of Ho et al. 2020.
    Source: Kingma et al. 2021 (arXiv 2107.00630), eq. 3; Lin et al. 2023 (arXiv 2305.08891) on why it should be 0.
    """
    if not isinstance(beta, Tensor) or beta.ndim != 1 or not len(beta):
        raise ValueError("beta must be a tensor of shape (T,)")
    alpha_bar_T = float(torch.prod(1 - beta.double()))
    return alpha_bar_T / (1 - alpha_bar_T)
