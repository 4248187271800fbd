"""Answers to the exercises of lesson 02: right ones in several forms, and mistakes with the words that name them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lite.checks import (
    check_buggy_variance,
    check_jump_from,
    check_q_sample,
    check_recover_eps,
)


def jump(x_0: Tensor, eps: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
    return signal[:, None, None, None] * x_0 + noise[:, None, None, None] * eps


def q_sample_loop(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    x_t = [math.sqrt(alpha_bar[i]) * x + math.sqrt(1 - alpha_bar[i]) * e for x, i, e in zip(x_0, t, eps, strict=True)]
    return torch.stack(x_t)


def q_sample_float32(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    a = alpha_bar.float()[t].reshape(len(t), 1, 1, 1)
    return a**0.5 * x_0.float() + (1 - a) ** 0.5 * eps.float()


def q_sample_in_place(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    a = alpha_bar.index_select(0, t).reshape(-1, 1, 1, 1)
    x_0 *= a.sqrt()
    return x_0.add_(eps.mul_((1 - a).sqrt()))


def table(function: Callable[[Tensor], tuple[Tensor, Tensor]], shift: int = 0) -> Callable[..., Tensor]:
    """An answer to exercise 1 with these two rates."""
    return lambda x_0, t, eps, alpha_bar: jump(x_0, eps, *function(alpha_bar[t - shift]))


def one_t(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    a = alpha_bar[t[0]]
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


def recover_eps_in_place(x_t: Tensor, x_0: Tensor, alpha_bar_t: float) -> Tensor:
    x_0 *= math.sqrt(alpha_bar_t)
    x_t -= x_0
    x_t /= math.sqrt(1 - alpha_bar_t)
    return x_t


def recover_eps_by_autograd(x_t: Tensor, x_0: Tensor, alpha_bar_t: float) -> Tensor:
    """A quadratic has its minimum one Newton step away; the result still has a gradient."""
    eps = torch.zeros_like(x_t, requires_grad=True)
    loss = (alpha_bar_t**0.5 * x_0 + (1 - alpha_bar_t) ** 0.5 * eps - x_t).square().sum() / 2
    (slope,) = torch.autograd.grad(loss, eps)
    return eps - slope / (1 - alpha_bar_t)


def jump_list(alpha_bar_s: float, alpha_bar_t: float) -> list[Any]:
    alpha = torch.tensor(alpha_bar_t) / alpha_bar_s  # float32
    return [alpha.sqrt().reshape(1), 1 - alpha]


def jump_log(alpha_bar_s: float, alpha_bar_t: float) -> tuple[float, float]:
    log = math.log(alpha_bar_t) - math.log(alpha_bar_s)
    return math.exp(log / 2), -math.expm1(log)


def jump_variances(alpha_bar_s: float, alpha_bar_t: float) -> Tensor:
    a = (alpha_bar_t / alpha_bar_s) ** 0.5
    return torch.tensor([a, 1 - alpha_bar_t - a**2 * (1 - alpha_bar_s)])


RIGHT: list[tuple[Any, Callable[..., Any]]] = [
    (check_q_sample, table(lambda a: (a.sqrt(), (1 - a).sqrt()))),
    (check_q_sample, q_sample_loop),
    (check_q_sample, q_sample_float32),
    (check_q_sample, q_sample_in_place),
    (check_recover_eps, lambda x_t, x_0, a: (x_t - a**0.5 * x_0) / (1 - a) ** 0.5),
    (check_recover_eps, lambda x_t, x_0, a: x_t / math.sqrt(1 - a) - math.sqrt(a / (1 - a)) * x_0),
    (check_recover_eps, lambda x_t, x_0, a: (x_t.float() - a**0.5 * x_0.float()) / (1 - a) ** 0.5),
    (check_recover_eps, recover_eps_in_place),
    (check_recover_eps, recover_eps_by_autograd),
    (check_jump_from, lambda s, t: (math.sqrt(t / s), 1 - t / s)),
    (check_jump_from, jump_log),
    (check_jump_from, jump_variances),
    (check_jump_from, jump_list),
    (check_buggy_variance, lambda a: a + (1 - a) ** 2),
    (check_buggy_variance, lambda a: 1 - a * (1 - a)),
    (check_buggy_variance, lambda a: a.float() + (1 - a.float()).square()),
    (check_buggy_variance, lambda a: torch.stack([a.sqrt(), 1 - a]).square_().sum(0)),
    (check_buggy_variance, lambda a: torch.tensor([x - 2 * x + 1 + x * x for x in a.tolist()])),
]

WRONG: list[tuple[Any, Callable[..., Any], str]] = [
    (check_q_sample, table(lambda a: (a.sqrt(), 1 - a)), "your noise has standard deviation 1 - alpha_bar_t"),
    (check_q_sample, table(lambda a: (a, (1 - a).sqrt())), "your image is multiplied by alpha_bar_t"),
    (check_q_sample, table(lambda a: (a, 1 - a)), "your two rates lack their square roots"),
    (check_q_sample, table(lambda a: (a.sqrt(), 1 - a.sqrt())), "so that squares sum to 1"),
    (check_q_sample, table(lambda a: ((1 - a).sqrt(), a.sqrt())), "your two rates are swapped"),
    (check_q_sample, table(lambda a: (a.sqrt(), (1 - a).sqrt()), shift=1), "your t is one too small"),
    (check_q_sample, one_t, "the first image's t for the whole batch"),
    (check_q_sample, lambda x_0, t, eps, a: a[t].sqrt() * x_0 + (1 - a[t]).sqrt() * eps, r"view\(-1, 1, 1, 1\)"),
    (check_q_sample, lambda x_0, t, eps, a: q_sample_loop(x_0, t, eps, a) + 0 * a[t].view(-1, 1, 1), r"view\(-1, 1"),
    (check_q_sample, lambda x_0, t, eps, a: x_0.view(7, 7), "your code stopped with RuntimeError in line"),
    (check_q_sample, lambda x_0, t, eps, a: x_0[:1], "x_t should have shape"),
    (check_q_sample, lambda x_0, t, eps, a: q_sample_loop(x_0, t, torch.randn_like(eps), a), "use the eps that is"),
    (check_q_sample, lambda x_0, t, eps, a: None, "x_t is None"),
    (check_q_sample, lambda x_0, t, eps, a: x_0, "x_t is wrong"),
    (check_recover_eps, lambda x_t, x_0, a: (x_t - a**0.5 * x_0) / (1 - a), "you divided by 1 - alpha_bar_t"),
    (check_recover_eps, lambda x_t, x_0, a: (x_t - x_0) / (1 - a) ** 0.5, "you took away x_0 itself"),
    (check_recover_eps, lambda x_t, x_0, a: (x_t - a * x_0) / (1 - a) ** 0.5, "you took away alpha_bar_t x_0"),
    (check_recover_eps, lambda x_t, x_0, a: x_t - a**0.5 * x_0, "the noise as it stands in x_t"),
    (check_recover_eps, lambda x_t, x_0, a: (a**0.5 * x_0 - x_t) / (1 - a) ** 0.5, "your eps has the wrong sign"),
    (check_recover_eps, lambda x_t, x_0, a: (x_t - a**0.5 * x_0) / a**0.5, "you divided by the signal rate"),
    (check_recover_eps, lambda x_t, x_0, a: (x_t - a**0.5 * x_0) / (1 - a**0.5), r"your noise rate is 1 - sqrt"),
    (check_recover_eps, lambda x_t, x_0, a: x_t - a**0.5 * x_0 / (1 - a) ** 0.5, "in parentheses"),
    (check_recover_eps, lambda x_t, x_0, a: (x_t - a**0.5 * x_0) * (1 - a) ** 0.5, "you multiply by the noise rate"),
    (check_recover_eps, lambda x_t, x_0, a: (x_t - (1 - a) ** 0.5 * x_0) / a**0.5, "you swapped the two rates"),
    (check_recover_eps, lambda x_t, x_0, a: (x_t + a**0.5 * x_0) / (1 - a) ** 0.5, "you add the image"),
    (check_recover_eps, lambda x_t, x_0, a: (x_t - a.sqrt() * x_0) / (1 - a).sqrt(), "stopped with AttributeError"),
    (check_recover_eps, lambda x_t, x_0, a: (x_t - a**0.5 * x_0).mean(), "eps should have shape"),
    (check_jump_from, lambda s, t: (t / s, 1 - t / s), "a is its root"),
    (check_jump_from, lambda s, t: (math.sqrt(t / s), math.sqrt(1 - t / s)), "your v is a standard deviation"),
    (check_jump_from, lambda s, t: (math.sqrt(t), 1 - t), r"are those of q\(x_t \| x_0\)"),
    (check_jump_from, lambda s, t: (math.sqrt(t / s), s - t), "as if x_s kept its noise"),
    (check_jump_from, lambda s, t: (math.sqrt(t / s), 1 - t), "x_s has brought part of it"),
    (check_jump_from, lambda s, t: (math.sqrt(s / t), 1 - s / t), "your ratio is upside down"),
    (check_jump_from, lambda s, t: (math.sqrt(t / s), 1 - math.sqrt(t / s)), "your v is 1 - a; the squares"),
    (check_jump_from, lambda s, t: math.sqrt(t / s), "should return two numbers"),
    (check_jump_from, lambda s, t: (1 - t / s, math.sqrt(t / s)), "you return v first"),
    (check_jump_from, lambda s, t: (None, None), "a or v is None"),
    (check_buggy_variance, lambda a: torch.ones_like(a), "that is 1 everywhere"),
    (check_buggy_variance, lambda a: a + (1 - a), "that is 1 everywhere"),
    (check_buggy_variance, lambda a: a**2 + (1 - a) ** 2, "your signal term lost its root"),
    (check_buggy_variance, lambda a: a.sqrt() + (1 - a) ** 2, "your signal term is the rate"),
    (check_buggy_variance, lambda a: a.sqrt() + 1 - a, "you added the two standard deviations"),
    (check_buggy_variance, lambda a: (a.sqrt() + 1 - a) ** 2, "there is no mixed term"),
    (check_buggy_variance, lambda a: (a + (1 - a) ** 2).sqrt(), "you returned the standard deviation"),
    (check_buggy_variance, lambda a: (1 - a) ** 2, "that is the noise's variance alone"),
    (check_buggy_variance, lambda a: a, "the image's part alone"),
    (check_buggy_variance, lambda a: a + 1 - a**2, "mind the parentheses"),
    (check_buggy_variance, lambda a: a + (1 - a) ** 0.5, "your second term has the standard deviation"),
    (check_buggy_variance, lambda a: (a + (1 - a) ** 2).argmin(), "should have shape .16,., got one number"),
    (check_buggy_variance, lambda a: (a + (1 - a) ** 2)[1:], "should have shape"),
]
