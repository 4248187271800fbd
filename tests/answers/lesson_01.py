"""Answers to the exercises of lesson 01: right ones in several forms, and mistakes with the words that name them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lite import linear_beta_schedule, terminal_snr
from ddpm_lite.checks import (
    check_alpha_bar,
    check_half_signal,
    check_smallest_beta_T,
    check_zero_terminal,
)


def one() -> Tensor:
    return torch.ones(1, dtype=torch.float64)


def alpha_bar_loop(beta: Tensor) -> Tensor:
    table = [1.0]
    for b in beta.tolist():
        table.append(table[-1] * (1 - b))
    return torch.tensor(table)  # float32


def half_signal_loop(alpha_bar: Tensor) -> int:
    t = 0
    while math.sqrt(alpha_bar[t]) >= 0.5:
        t += 1
    return t


def zero_terminal_loop(alpha_bar: Tensor) -> Tensor:
    rates = [math.sqrt(value) for value in alpha_bar.tolist()]
    return torch.tensor([((a - rates[-1]) / (rates[0] - rates[-1])) ** 2 for a in rates])  # float32


def smallest_grid(T: int, snr: float) -> float:
    beta_T = 0.03
    while terminal_snr(linear_beta_schedule(T, beta_T=beta_T, rescale=False)) >= snr:
        beta_T += 1e-4
    return beta_T


def smallest_bisect(T: int, snr: float, power: float = 1, rescale: bool = False) -> float:
    low, high = 1e-4, 0.999 * (T / 1000 if rescale else 1)
    for _ in range(30):
        middle = (low + high) / 2
        left = terminal_snr(linear_beta_schedule(T, beta_T=middle, rescale=rescale)) ** power
        low, high = (low, middle) if left < snr else (middle, high)
    return high


def mapped(a: Tensor) -> Tensor:
    return (a - a[-1]) / (1 - a[-1])


def last_set_to_zero(alpha_bar: Tensor) -> Tensor:
    alpha_bar[-1] = 0
    return alpha_bar


def first_kept(alpha_bar: Tensor) -> Tensor:
    a = alpha_bar[1:].sqrt()
    return torch.cat([one(), ((a - a[-1]) * a[0] / (a[0] - a[-1])) ** 2])


def half_signal_bisect(alpha_bar: Tensor) -> int:
    """The table falls: halve the range in which its rate passes 1/2."""
    low, high = 0, len(alpha_bar) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if alpha_bar[middle] >= 0.25 else (low, middle)
    return high


def smallest_by_logarithm(T: int, snr: float) -> Tensor:
    """By Newton's method on log SNR, with the derivative by autograd."""
    beta_T = torch.tensor(0.03, dtype=torch.float64, requires_grad=True)
    weights = torch.linspace(0, 1, T, dtype=torch.float64)
    for _ in range(20):
        log_left = torch.log1p(-(1e-4 + (beta_T - 1e-4) * weights)).sum()
        gap = log_left - torch.log(-torch.expm1(log_left)) - math.log(snr)
        (slope,) = torch.autograd.grad(gap, beta_T)
        beta_T = (beta_T - gap / slope).detach().requires_grad_()
    return beta_T.detach() + 1e-9


def wrong_way(T: int, snr: float) -> float:
    """A search that moves the wrong end."""
    low, high = 1e-4, 0.999
    for _ in range(30):
        middle = (low + high) / 2
        left = terminal_snr(linear_beta_schedule(T, beta_T=middle, rescale=False))
        low, high = (middle, high) if left < snr else (low, middle)
    return high


def zero_terminal_in_place(alpha_bar: Tensor) -> Tensor:
    alpha_bar.sqrt_()
    end = alpha_bar[-1].clone()
    alpha_bar -= end
    alpha_bar /= 1 - end
    return alpha_bar.square_()


RIGHT: list[tuple[Any, Callable[..., Any]]] = [
    (check_alpha_bar, lambda beta: torch.cat([one(), (1 - beta).cumprod(0)])),
    (check_alpha_bar, lambda beta: torch.cat([one(), (1 - beta).log().cumsum(0).exp()])),
    (check_alpha_bar, alpha_bar_loop),
    (check_half_signal, lambda alpha_bar: int((alpha_bar.sqrt() < 0.5).nonzero()[0])),
    (check_half_signal, lambda alpha_bar: (alpha_bar >= 0.25).sum()),
    (check_half_signal, half_signal_loop),
    (check_half_signal, half_signal_bisect),
    (check_smallest_beta_T, smallest_bisect),
    (check_smallest_beta_T, smallest_grid),
    (check_smallest_beta_T, smallest_by_logarithm),
    (check_zero_terminal, lambda a: mapped(a.sqrt()) ** 2),
    (check_zero_terminal, zero_terminal_loop),
    (check_zero_terminal, zero_terminal_in_place),
]

WRONG: list[tuple[Any, Callable[..., Any], str]] = [
    (check_alpha_bar, lambda b: (1 - b).cumprod(0), r"alpha_bar has T entries; it needs T \+ 1"),
    (check_alpha_bar, lambda b: torch.cat([(1 - b).cumprod(0), one()]), "your 1 stands at the end"),
    (check_alpha_bar, lambda b: torch.cat([one(), b.cumprod(0)]), "the product of the beta_t"),
    (check_alpha_bar, lambda b: torch.cat([one(), (1 - b).cumsum(0)]), "adds the alpha_t up"),
    (check_alpha_bar, lambda b: torch.cat([one(), 1 - b.cumsum(0)]), "1 - the sum of the beta_t"),
    (check_alpha_bar, lambda b: torch.cat([one(), 1 - b]), "your table holds alpha_t itself"),
    (check_alpha_bar, lambda b: torch.cat([one(), (1 - b).cumprod(0)]).sqrt(), "your table holds the signal rate"),
    (check_alpha_bar, lambda b: 1 - torch.cat([one(), (1 - b).cumprod(0)]), "the variance of the noise"),
    (check_alpha_bar, lambda b: None, "does your function return its result"),
    (check_half_signal, lambda a: int((a < 0.5).nonzero()[0]), "where alpha_bar falls below 1/2"),
    (check_half_signal, lambda a: int((a[1:].sqrt() < 0.5).nonzero()[0]), "one too small"),
    (check_half_signal, lambda a: int((a.sqrt() >= 0.5).nonzero()[-1]), "one too small"),
    (check_half_signal, lambda a: int((a.sqrt() < 0.5).nonzero()[0]) + 1, "one too large"),
    (check_half_signal, lambda a: int(((1 - a).sqrt() > 0.5).nonzero()[0]), "where the noise rate first exceeds"),
    (check_half_signal, lambda a: int((a / (1 - a) < 0.5).nonzero()[0]), "where the SNR falls below"),
    (check_half_signal, lambda a: int((a**2 < 0.5).nonzero()[0]), "you squared alpha_bar"),
    (check_half_signal, lambda a: int((a.sqrt() < 0.5).sum()), "you counted the t below 1/2"),
    (check_half_signal, lambda a: int((a.sqrt() < 0.5).nonzero()[-1]), "your t is T, the last one"),
    (check_half_signal, lambda a: a.sqrt()[a.sqrt() < 0.5][0], "you return the signal rate"),
    (check_half_signal, lambda a: (a.sqrt() < 0.5).nonzero(), "should be one number"),
    (check_half_signal, lambda a: a.nothing, "your code stopped with AttributeError"),
    (check_smallest_beta_T, lambda T, snr: smallest_bisect(T, snr, rescale=True), "pass rescale=False"),
    (check_smallest_beta_T, lambda T, snr: 2 * math.log(1 + 1 / snr) / T - 1e-4, "which is close only while beta"),
    (check_smallest_beta_T, lambda T, snr: smallest_bisect(T, snr, power=0.5), "a ratio of rates"),
    (check_smallest_beta_T, lambda T, snr: T * (1e-4 + smallest_bisect(T, snr)) / 2, "the sum of the beta_t"),
    (check_smallest_beta_T, lambda T, snr: 0.02, "is wrong: where"),
    (check_smallest_beta_T, lambda T, snr: smallest_bisect(1000, snr), "the beta_T of T = 1000"),
    (check_smallest_beta_T, lambda T, snr: smallest_bisect(200, snr), "the beta_T of T = 200"),
    (check_smallest_beta_T, lambda T, snr: smallest_bisect(T, 1e-4), "the beta_T of an SNR of 1e-4"),
    (check_smallest_beta_T, lambda T, snr: 1e-4, "your search ended at beta_1"),
    (check_smallest_beta_T, wrong_way, "one step destroys everything"),
    (check_smallest_beta_T, lambda T, snr: 0.999, "one step destroys everything"),
    (check_smallest_beta_T, lambda T, snr: smallest_bisect(T, snr) + 5e-4, "is close, but too coarse"),
    (check_zero_terminal, lambda a: mapped(a.sqrt()), "you returned the signal rate"),
    (check_zero_terminal, mapped, "you moved alpha_bar itself"),
    (check_zero_terminal, lambda a: (a.sqrt() - a[-1].sqrt()) ** 2, "you took a_T off and stopped"),
    (check_zero_terminal, last_set_to_zero, "you set the last entry to 0"),
    (check_zero_terminal, first_kept, "you kept a_1 in place"),
    (check_zero_terminal, lambda a: ((1 - a.sqrt()) / (1 - a[-1].sqrt())) ** 2, "your table runs from 0 to 1"),
    (check_zero_terminal, lambda a: a - a[-1], "you took alpha_bar_T off, not a_T"),
    (check_zero_terminal, lambda a: ((a.sqrt() - a[-1].sqrt()) / a[-1].sqrt()) ** 2, "you divide by a_T"),
    (check_zero_terminal, lambda a: 1 - mapped(a.sqrt()) ** 2, "the variance of the noise"),
    (check_zero_terminal, lambda a: ((a.sqrt() - a[-1].sqrt()) / (1 - a[-1])) ** 2, "with a the divisor is 1 - a_T"),
    (check_zero_terminal, lambda a: mapped(a.sqrt())[1:] ** 2, "should have shape"),
]
