"""Answers to the exercises of lesson 04: right ones in several forms, and mistakes with the words that name them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from ddpm_lite import GaussianDiffusion
from ddpm_lite.checks import check_bound_weight, check_kl_bits, check_v_target, check_weighted_loss
from ddpm_lite.targets import bound_weight


def nats(m_q: Tensor, v_q: float, m_p: Tensor, v_p: float) -> Tensor:
    return (math.log(v_p / v_q) - 1 + (v_q + (m_q - m_p) ** 2) / v_p) / 2


def per_dim(x: Tensor) -> Tensor:
    return x.flatten(1).mean(1) / math.log(2)


def kl_torch(m_q: Tensor, v_q: float, m_p: Tensor, v_p: float) -> Tensor:
    kl = kl_divergence(Normal(m_q, math.sqrt(v_q)), Normal(m_p, math.sqrt(v_p)))
    return torch.stack([image.sum() / image.numel() / math.log(2) for image in kl])


def loss_loop(eps: Tensor, eps_hat: Tensor, t: Tensor, weight: Tensor) -> float:
    total = 0.0
    for e, hat, time in zip(eps, eps_hat, t.tolist(), strict=True):
        total += float(weight[time]) * float(((e - hat) ** 2).mean())
    return total / len(eps)


def square(eps: Tensor, eps_hat: Tensor) -> Tensor:
    return ((eps - eps_hat) ** 2).flatten(1).mean(1)


def snr(alpha_bar: Tensor) -> Tensor:
    return alpha_bar[1:] / (1 - alpha_bar[1:])


def ours(alpha_bar: Tensor) -> Tensor:
    s = snr(alpha_bar)
    return (s[:-1] / s[1:] - 1) / 2


def from_library(alpha_bar: Tensor) -> Tensor:
    return bound_weight(GaussianDiffusion(1 - alpha_bar[1:] / alpha_bar[:-1]))[2:]


def v_rotation(x_t: Tensor, v: Tensor, A: float) -> tuple[Tensor, Tensor, float]:
    phi = math.acos(math.sqrt(A))
    return math.cos(phi) * x_t - math.sin(phi) * v, math.sin(phi) * x_t + math.cos(phi) * v, 1 + math.tan(phi) ** 2


def v_with(weight: Callable[[float], float]) -> Callable[..., Any]:
    return lambda x, v, A: (*v_rotation(x, v, A)[:2], weight(A))


def kl_in_place(m_q: Tensor, v_q: float, m_p: Tensor, v_p: float) -> list[float]:
    """In float32, on the tensors that were handed in, with logarithms of base 2."""
    d = m_q.sub_(m_p).float().pow_(2).flatten(1)
    bits = math.log2(v_p / v_q) / 2 + (d.add_(v_q).div_(v_p).sub_(1) / 2 / math.log(2)).mean(1)
    return [float(b) for b in bits]


def loss_einsum(eps: Tensor, eps_hat: Tensor, t: Tensor, weight: Tensor) -> Tensor:
    """In float32, the weights collected by gather, one product for all."""
    e = eps.float().sub_(eps_hat.float())
    w = weight.float().gather(0, t)
    return torch.einsum("b,bchw,bchw->", w, e, e).div(e.numel())


def weight_loop(alpha_bar: Tensor) -> list[float]:
    """Term by term, from beta_t and beta_tilde_t as the lesson first has it."""
    a, w = alpha_bar.tolist(), []
    for t in range(2, len(a)):
        alpha = a[t] / a[t - 1]
        beta_tilde = (1 - a[t - 1]) / (1 - a[t]) * (1 - alpha)
        w.append((1 - alpha) ** 2 / (2 * beta_tilde * alpha * (1 - a[t])))
    return w


def weight_of_rates(alpha_bar: Tensor) -> Tensor:
    """From the ratio of neighbors, in place, in float32."""
    a = alpha_bar.float()
    before, after = a[1:-1].clone(), a[2:]
    odds = (1 - after) / after
    return before.div_(1 - before).mul_(odds).sub_(1).mul_(0.5)


def v_by_solving(x_t: Tensor, v: Tensor, A: float) -> list[Any]:
    """Two equations solved by a matrix; r as the square of the sum of the errors; a list."""
    a, b = A**0.5, (1 - A) ** 0.5
    both = torch.linalg.solve(torch.tensor([[a, b], [-b, a]], dtype=x_t.dtype), torch.stack([x_t, v]).flatten(1))
    x_0, eps = both.reshape(2, *x_t.shape)
    return [x_0.float(), eps.float(), torch.tensor((a + b * b / a) ** 2)]


RIGHT: list[tuple[Any, Callable[..., Any]]] = [
    (check_kl_bits, kl_in_place),
    (check_weighted_loss, loss_einsum),
    (check_bound_weight, weight_loop),
    (check_bound_weight, weight_of_rates),
    (check_v_target, v_by_solving),
    (check_kl_bits, lambda a, v, b, w: per_dim(nats(a, v, b, w))),
    (check_kl_bits, kl_torch),
    (check_weighted_loss, lambda e, h, t, w: (w[t].view(-1, 1, 1, 1) * (e - h) ** 2).mean()),
    (check_weighted_loss, loss_loop),
    (check_bound_weight, ours),
    (check_v_target, v_rotation),
    (check_v_target, lambda x, v, A: (A**0.5 * x - (1 - A) ** 0.5 * v, (1 - A) ** 0.5 * x + A**0.5 * v, 1 / A)),
]

WRONG: list[tuple[Any, Callable[..., Any], str]] = [
    (check_bound_weight, from_library, "your answer calls ddpm_lite"),
    (check_kl_bits, lambda a, v, b, w: nats(a, v, b, w), "one number a pixel"),
    (check_kl_bits, lambda a, v, b, w: per_dim(nats(a, v, b, w)).mean(), "one number for the whole batch"),
    (check_kl_bits, lambda a, v, b, w: per_dim(nats(a, v, b, w)) * math.log(2), "your KL is in nats; divide"),
    (check_kl_bits, lambda a, v, b, w: per_dim(nats(a, v, b, w)) * math.log(2) ** 2, "you multiplied by ln 2"),
    (check_kl_bits, lambda a, v, b, w: nats(a, v, b, w).flatten(1).sum(1) / math.log(2), "bits per image"),
    (check_kl_bits, lambda a, v, b, w: nats(a, v, b, w).flatten(1).sum(1), "sum over the pixels, in nats"),
    (check_kl_bits, lambda a, v, b, w: per_dim(nats(a, v**2, b, w**2)), "for standard deviations and squared"),
    (check_kl_bits, lambda a, v, b, w: per_dim(nats(a, v**0.5, b, w**0.5)), "you took the roots of the variances"),
    (check_kl_bits, lambda a, v, b, w: per_dim(nats(b, w, a, v)), r"your KL is KL\(p \|\| q\)"),
    (check_kl_bits, lambda a, v, b, w: per_dim(nats(a, v, b, w) - math.log(w / v)), "upside down"),
    (check_kl_bits, lambda a, v, b, w: per_dim(nats(a, v, b, w) + 0.5), "lacks the -1"),
    (check_kl_bits, lambda a, v, b, w: per_dim(2 * nats(a, v, b, w)), "lacks the factor 1/2"),
    (check_kl_bits, lambda a, v, b, w: per_dim((a - b) ** 2 / (2 * w)), "distance of the means only"),
    (check_kl_bits, lambda a, v, b, w: per_dim(nats(a, v, b, w) - v / w / 2), "lacks v_q"),
    (check_kl_bits, lambda a, v, b, w: per_dim(nats(a, v, b, w) + (a - b - (a - b) ** 2) / w / 2), "did not square"),
    (check_kl_bits, lambda a, v, b, w: nats(a, v, b, w).mean(1), "average over channels, rows and columns"),
    (check_kl_bits, lambda a, v, b, w: nats(a, v, b, w).mean((2, 3)), "average over channels, rows and columns"),
    (
        check_kl_bits,
        lambda a, v, b, w: per_dim(nats(a, v, b, w) - math.log(w / v) / 2) * math.log(2) + math.log2(w / v) / 2,
        "only your logarithm is in bits",
    ),
    (check_kl_bits, lambda a, v, b, w: per_dim((math.log(w / v) + (a - b) ** 2 / v) / 2), "by that of q"),
    (check_kl_bits, lambda a, v, b, w: per_dim((a - b) ** 2 / (2 * v)), "for equal variances, with v_q below"),
    (check_kl_bits, lambda a, v, b, w: per_dim(2 * nats(a, v, b, w) - math.log(w / v) / 2), "the logarithm alone"),
    (check_kl_bits, lambda a, v, b, w: per_dim(nats(a, v, b, w) - 0.5), "so it is halved too"),
    (
        check_kl_bits,
        lambda a, v, b, w: per_dim(nats((a - b).flatten(1).mean(1, keepdim=True), v, 0 * a[:, 0, 0, :1], w)),
        "averaged the distances before squaring",
    ),
    (check_kl_bits, lambda a, v, b, w: None, "does your function return its result"),
    (check_weighted_loss, lambda e, h, t, w: w[t] * square(e, h), "a loss is one number"),
    (check_weighted_loss, lambda e, h, t, w: (square(e, h) / w[t]).mean(), "your weight is inverted"),
    (check_weighted_loss, lambda e, h, t, w: square(e, h).mean(), "the weight is missing"),
    (check_weighted_loss, lambda e, h, t, w: (w[t] * square(e, h)).sum() * 20, "you sum over batch and pixels"),
    (check_weighted_loss, lambda e, h, t, w: (w[t] * square(e, h)).mean() * 20, "you sum over the pixels of an image"),
    (check_weighted_loss, lambda e, h, t, w: (w[t] * square(e, h)).sum(), "you sum over the batch"),
    (check_weighted_loss, lambda e, h, t, w: (w[t - 1] * square(e, h)).mean(), "read at t - 1"),
    (check_weighted_loss, lambda e, h, t, w: (w[t[0]] * square(e, h)).mean(), "the first image's t"),
    (check_weighted_loss, lambda e, h, t, w: w[t].mean() * square(e, h).mean(), "averaged weights and squares apart"),
    (check_weighted_loss, lambda e, h, t, w: (w[t].view(-1, 1, 1, 1) * (e - h).abs()).mean(), "the absolute error"),
    (check_weighted_loss, lambda e, h, t, w: ((w[t].view(-1, 1, 1, 1) * (e - h)) ** 2).mean(), "squared the weight"),
    (check_weighted_loss, lambda e, h, t, w: (w[t] * square(e, h)).mean().sqrt(), "you took the root"),
    (check_weighted_loss, lambda e, h, t, w: (w[t] * (e - h).flatten(1).mean(1) ** 2).mean(), "before squaring"),
    (check_weighted_loss, lambda e, h, t, w: (w[t] * (e - h) ** 2).mean(), r"the shape \(B, 1, 1, 1\)"),
    (check_weighted_loss, lambda e, h, t, w: (w * (e - h) ** 2).mean(), r"the shape \(B, 1, 1, 1\)"),
    (check_weighted_loss, lambda e, h, t, w: (1 - (t == 0)) * e.mean(), "your code stopped with NotImplementedError"),
    (check_weighted_loss, lambda e, h, t, w: torch.ones(2) @ torch.ones(3), "your code stopped with RuntimeError"),
    (check_weighted_loss, lambda e, h, t, w: (w[t] * square(e, h)).mean() / 2, "a factor 1/2"),
    (check_weighted_loss, lambda e, h, t, w: (w[t] * square(e, h)).sum() / w[t].sum(), "the batch's mean weight"),
    (check_weighted_loss, lambda e, h, t, w: (t * square(e, h)).mean(), "your weight is t itself"),
    (check_bound_weight, lambda a: (a[:-2] / (1 - a[:-2]) / snr(a)[:-1] - 1) / 2, "begins at t = 1"),
    (check_bound_weight, lambda a: (1 - a[2:] / a[1:-1]) / (2 * a[2:] * (1 - a[1:-1])), "where alpha_t belongs"),
    (
        check_bound_weight,
        lambda a: ours(a) * ((1 - a[1:-1]) / (1 - a[2:])) ** 2,
        "your beta_tilde_t is upside down",
    ),
    (
        check_bound_weight,
        lambda a: (1 - a[2:]) / (1 - a[1:-1]) / (1 - a[2:] / a[1:-1]) / 2,
        r"the weight of \|mu_tilde - mu_hat\|\^2",
    ),
    (check_bound_weight, lambda a: torch.ones(len(a)), r"t = 2 .. T are T - 1"),
    (check_bound_weight, lambda a: (snr(a)[1:] / snr(a)[:-1] - 1) / 2, "your ratio is upside down"),
    (check_bound_weight, lambda a: 1 / ours(a), "your weight is inverted"),
    (check_bound_weight, lambda a: 2 * ours(a), "lacks the factor 1/2"),
    (check_bound_weight, lambda a: ours(a) + 0.5, "lacks the -1"),
    (check_bound_weight, lambda a: (snr(a)[:-1] - snr(a)[1:]) / 2, r"the weight of \|x_0 - x0_hat\|\^2"),
    (check_bound_weight, lambda a: (a[1:-1] / a[2:] - 1) / (1 - a[2:]) / 2, r"for sigma_t\^2 = beta_t"),
    (check_bound_weight, lambda a: ((snr(a)[:-1] / snr(a)[1:]).sqrt() - 1) / 2, "a ratio of rates"),
    (check_bound_weight, lambda a: ((1 - a[2:]) / (1 - a[1:-1]) - 1) / 2, "alpha_bar belongs above"),
    (check_bound_weight, lambda a: ours(a) / math.log(2), "your weight is in bits"),
    (check_bound_weight, lambda a: ours(a).flip(0), "from t = T down"),
    (check_v_target, lambda x, v, A: v_rotation(x, v, A)[:2], "three things"),
    (check_v_target, lambda x, v, A: [v_rotation(x, v, A)[i] for i in (1, 0, 2)], "you return eps first"),
    (check_v_target, lambda x, v, A: (A**0.5 * x + (1 - A) ** 0.5 * v, x, 1), "a sign is wrong"),
    (check_v_target, lambda x, v, A: (A * x - (1 - A) * v, x, 1), "lack their square roots"),
    (check_v_target, lambda x, v, A: (x - (1 / A - 1) ** 0.5 * v, x, 1), "once too often"),
    (
        check_v_target,
        lambda x, v, A: (v_rotation(x, v, A)[0], (1 - A) ** 0.5 * x - A**0.5 * v, 1),
        "a sign is wrong",
    ),
    (check_v_target, lambda x, v, A: (v_rotation(x, v, A)[0], (1 - A) * x + A * v, 1), "lack their square roots"),
    (
        check_v_target,
        lambda x, v, A: (v_rotation(x, v, A)[0], A**0.5 * x + (1 - A) ** 0.5 * v, 1),
        "the two rates are swapped",
    ),
    (
        check_v_target,
        lambda x, v, A: (v_rotation(x, v, A)[0], A**0.5 * v - (1 - A) ** 0.5 * x, 1),
        "a sign is wrong, and then all of it",
    ),
    (check_v_target, v_with(lambda A: A), "your r is inverted"),
    (check_v_target, v_with(lambda A: A**-0.5), "the loss has their squares"),
    (check_v_target, v_with(lambda A: 1 / (1 - A)), "the r for the squares of x_0"),
    (check_v_target, v_with(lambda A: (1 - A) / A), "your r is that of x_0"),
    (check_v_target, v_with(lambda A: A / (1 - A)), "your r is SNR_t"),
    (check_v_target, v_with(lambda A: A + (1 - A) ** 2 / A), "you added the squares of the two errors"),
    (check_v_target, v_with(lambda A: (A**0.5 - (1 - A) / A**0.5) ** 2), "your two errors cancel in part"),
    (check_v_target, v_with(lambda A: 1), "as if the two errors were independent"),
]
