"""The exercises of lesson 01: alpha_bar, reading a schedule, the signal left at t = T, and none at all."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..schedules import cosine_beta_schedule, linear_beta_schedule, sigmoid_beta_schedule, terminal_snr
from .machinery import WrongAnswer, diagnose, exercise, fresh_generator

__all__ = ["check_alpha_bar", "check_half_signal", "check_smallest_beta_T", "check_zero_terminal"]


def _table(beta: Tensor) -> Tensor:
    """alpha_bar_0 .. alpha_bar_T, (T,) -> (T+1,)."""
    return torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])


@exercise
def check_alpha_bar(answer: Callable[[Tensor], Tensor]) -> str:
    """Check ``alpha_bar(beta)``: (T,) -> (T+1,), ``alpha_bar_t = prod_{s <= t} (1 - beta_s)``, entry 0 = 1."""
    beta = 0.05 + 0.25 * torch.rand(12, generator=fresh_generator(), dtype=torch.float64)
    want, one = _table(beta), torch.ones(1, dtype=torch.float64)
    got = answer(beta.clone())
    if isinstance(got, Tensor) and got.shape == beta.shape:
        raise WrongAnswer(
            "alpha_bar has T entries; it needs T + 1. Put alpha_bar[0] = 1, the clean image, in front, "
            "so that entry t belongs to t"
        )
    mistakes = {
        "alpha_bar[0] should be 1: your 1 stands at the end of the table, not in front": torch.cat([want[1:], one]),
        "your table is the product of the beta_t; alpha_bar is the product of the alpha_t = 1 - beta_t": torch.cat(
            [one, beta.cumprod(0)]
        ),
        "your table adds the alpha_t up (cumsum); alpha_bar multiplies them (cumprod)": torch.cat(
            [one, (1 - beta).cumsum(0)]
        ),
        "your table is 1 - the sum of the beta_t, close for small beta only; multiply the 1 - beta_t": torch.cat(
            [one, 1 - beta.cumsum(0)]
        ),
        "your table holds alpha_t itself; alpha_bar_t is the product of alpha_1 .. alpha_t": torch.cat([one, 1 - beta]),
        "your table holds the signal rate, sqrt(alpha_bar_t); alpha_bar_t is its square": want.sqrt(),
        "your table holds 1 - alpha_bar_t, the variance of the noise": 1 - want,
    }
    diagnose("alpha_bar", got, want, mistakes)
    return "Entry t is what t steps leave of the variance of x_0."


@exercise
def check_half_signal(answer: Callable[[Tensor], int]) -> str:
    """Check ``half_signal(alpha_bar)``: the first t whose signal rate ``sqrt(alpha_bar_t)`` is below 1/2."""
    T = int(torch.randint(150, 1000, (1,), generator=fresh_generator()))
    for schedule in (linear_beta_schedule, cosine_beta_schedule, sigmoid_beta_schedule):
        alpha_bar = _table(schedule(T))

        def first(below: float, table: Tensor = alpha_bar) -> Tensor:
            return (table < below).nonzero()[0, 0]

        mistakes = {
            "your t is where alpha_bar falls below 1/2; the signal rate is its square root": first(1 / 2),
            "your t is one too small: entry t of the table belongs to t (entry 0 is the clean image), "
            "and the first t below 1/2 is wanted": first(1 / 4) - 1,
            "your t is one too large: entry t of the table belongs to t, with no 1 to add": first(1 / 4) + 1,
            "your t is where the noise rate first exceeds 1/2; the question is about the signal rate": first(3 / 4),
            "your t is where the SNR falls below 1/2; the signal rate is the square root of alpha_bar": first(1 / 3),
            "you squared alpha_bar; the signal rate is its square root": first(1 / math.sqrt(2)),
            "you counted the t below 1/2; wanted is the first of them": T + 1 - first(1 / 4),
            "your t is T, the last one below 1/2; wanted is the first": torch.tensor(T),
            "you return the signal rate; wanted is the t that it belongs to": alpha_bar[first(1 / 4)].sqrt(),
        }
        diagnose("the t that you read", answer(alpha_bar.clone()), first(1 / 4), mistakes)
    return "Linear at T = 1000: t = 369. Cosine: t = 665."


@exercise
def check_zero_terminal(answer: Callable[[Tensor], Tensor]) -> str:
    """Check ``zero_terminal(alpha_bar)``: (T+1,) -> (T+1,), signal rate ``(a_t - a_T) / (1 - a_T)``, squared."""
    T = int(torch.randint(100, 300, (1,), generator=fresh_generator()))
    alpha_bar = _table(linear_beta_schedule(T, rescale=False))
    a = alpha_bar.sqrt()
    want = ((a - a[-1]) / (1 - a[-1])) ** 2
    cut, lin = alpha_bar.clone(), (a - a[-1]) * a[1] / (a[1] - a[-1])
    cut[-1], lin[0] = 0, 1
    mistakes = {
        "you returned the signal rate; alpha_bar is its square": want.sqrt(),
        "you moved alpha_bar itself; take its root first, move the signal rate, then square": (
            (alpha_bar - alpha_bar[-1]) / (1 - alpha_bar[-1])
        ),
        "you took a_T off and stopped: the table should still begin at 1, so divide by 1 - a_T": (a - a[-1]) ** 2,
        "you set the last entry to 0 and left the others: the last step then removes all the signal at once": cut,
        "your table runs from 0 to 1; it is to begin at 1 and end at 0": ((1 - a) / (1 - a[-1])) ** 2,
        "you took alpha_bar_T off, not a_T, and did not divide: the map is for a, the square root, and keeps its 1": (
            alpha_bar - alpha_bar[-1]
        ),
        "you divide by a_T; for a_0 = 1 to stay, divide by 1 - a_T": ((a - a[-1]) / a[-1]) ** 2,
        "you returned 1 - alpha_bar, the variance of the noise": 1 - want,
        "you divide by 1 - alpha_bar_T; with a the divisor is 1 - a_T": ((a - a[-1]) / (1 - alpha_bar[-1])) ** 2,
        "you kept a_1 in place, as Lin et al. do; here a_0 = 1 is the end that stays": lin**2,
    }
    diagnose("alpha_bar", answer(alpha_bar.clone()), want, mistakes)
    return "x_T is now pure noise, and sampling starts where the chain ends."


def _smallest_beta_T(T: int, snr: float, *, rescale: bool = False) -> float:
    """The beta_T whose linear schedule ends at this SNR, by bisection: SNR_T falls as beta_T grows."""
    low, high = 1e-4, 0.999 * (T / 1000 if rescale else 1)
    for _ in range(40):
        middle = (low + high) / 2
        if terminal_snr(linear_beta_schedule(T, beta_T=middle, rescale=rescale)) > snr:
            low = middle
        else:
            high = middle
    return high


@exercise(library=("ddpm_lite.schedules",))
def check_smallest_beta_T(answer: Callable[[int, float], float]) -> str:
    """Check ``smallest_beta_T(T, snr)``, within 2e-4: where the unscaled linear schedule begins to end below snr."""
    other = int(torch.randint(120, 190, (1,), generator=fresh_generator()))
    for T, snr in ((200, 1e-4), (other, 3e-4)):
        mistakes = {
            "your schedule is rescaled by 1000 / T; pass rescale=False": _smallest_beta_T(T, snr, rescale=True),
            "your answer takes log alpha_bar_T for -sum beta_t, which is close only while beta is small; "
            "ask terminal_snr": 2 * math.log1p(1 / snr) / T - 1e-4,
            "your answer holds sqrt(SNR), a ratio of rates, below the limit; SNR is a ratio of squares": (
                _smallest_beta_T(T, snr**2)
            ),
            "your answer is the sum of the beta_t; beta_T, the last of them, is wanted": (
                T * (1e-4 + _smallest_beta_T(T, snr)) / 2
            ),
            "this is the beta_T of T = 1000; use the T that you are given": _smallest_beta_T(1000, snr),
            "your search ended at beta_1: it moves the wrong end. A larger beta_T makes the SNR smaller": 1e-4,
            "this is the SNR that your schedule ends with; wanted is its beta_T": snr,
        }
        if T == other:
            mistakes["this is the beta_T of T = 200; use the T that you are given"] = _smallest_beta_T(200, snr)
            mistakes["this is the beta_T of an SNR of 1e-4; use the limit that you are given"] = _smallest_beta_T(
                T, 1e-4
            )
        wrong = {why: torch.tensor(value, dtype=torch.float64) for why, value in mistakes.items()}
        got, want = answer(T, snr), _smallest_beta_T(T, snr)
        if isinstance(got, (int, float)) and 0.9 < got <= 1:
            raise WrongAnswer(
                f"with beta_T = {got:.3g} one step destroys everything: your search moves the wrong end. A larger "
                "beta_T makes the SNR smaller"
            )
        if isinstance(got, (int, float)) and 2e-4 < abs(got - want) < 1.5e-3:
            raise WrongAnswer(f"{got:.5g} is close, but too coarse: answer to within 0.0002 of the smallest beta_T")
        diagnose(f"beta_T for T = {T}, SNR {snr:g}", got, torch.tensor(want, dtype=torch.float64), wrong, tol=2e-4)
    return "More than four times the 0.02 that was chosen for T = 1000."
