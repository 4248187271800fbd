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


RIGHT: list[tuple[Any, Callable[..., Any]]] = [
    (check_alpha_bar, lambda beta: torch.cat([one(), (1 - beta).cumprod(0)])),
    (check_alpha_bar, lambda beta: torch.cat([one(), (1 - beta).log().cumsum(0).exp()])),
    (check_alpha_bar, alpha_bar_loop),
    (check_half_signal, lambda alpha_bar: int((alpha_bar.sqrt() < 0.5).nonzero()[0])),
    (check_half_signal, lambda alpha_bar: (alpha_bar >= 0.25).sum()),
    (check_half_signal, half_signal_loop),
    (check_smallest_beta_T, smallest_bisect),
    (check_smallest_beta_T, smallest_grid),
    (check_zero_terminal, lambda a: mapped(a.sqrt()) ** 2),
    (check_zero_terminal, zero_terminal_loop),
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
    (check_half_signal, lambda a: a.nothing, "your code stopped with AttributeError"),
    (check_smallest_beta_T, lambda T, snr: smallest_bisect(T, snr, rescale=True), "pass rescale=False"),
    (check_smallest_beta_T, lambda T, snr: 2 * math.log(1 + 1 / snr) / T - 1e-4, "which is close only while beta"),
    (check_smallest_beta_T, lambda T, snr: smallest_bisect(T, snr, power=0.5), "a ratio of rates"),
    (check_smallest_beta_T, lambda T, snr: T * (1e-4 + smallest_bisect(T, snr)) / 2, "the sum of the beta_t"),
    (check_smallest_beta_T, lambda T, snr: 0.02, "is wrong: where"),
    (check_smallest_beta_T, lambda T, snr: smallest_bisect(T, snr) + 5e-4, "is close, but too coarse"),
    (check_zero_terminal, lambda a: mapped(a.sqrt()), "you returned the signal rate"),
    (check_zero_terminal, mapped, "you moved alpha_bar itself"),
    (check_zero_terminal, lambda a: (a.sqrt() - a[-1].sqrt()) ** 2, "you took a_T off and stopped"),
    (check_zero_terminal, last_set_to_zero, "you set the last entry to 0"),
    (check_zero_terminal, first_kept, "you kept a_1 in place"),
    (check_zero_terminal, lambda a: mapped(a.sqrt())[1:] ** 2, "should have shape"),
]
