"""The exercises of lesson 04: a KL in bits per dimension, a weighted loss, the bound's weight, and a fourth target."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..likelihood import gaussian_kl
from .machinery import WrongAnswer, diagnose, exercise, fresh_generator, random_alpha_bar


@exercise
def check_kl_bits(answer: Callable[[Tensor, float, Tensor, float], Tensor]) -> str:
    """Check ``kl_bits(mean_q, variance_q, mean_p, variance_p)``: KL(q || p) of images, bits per dimension, (B,)."""
    generator, ln2 = fresh_generator(), math.log(2)
    for shape in ((4, 1, 5, 6), (3, 2, 4, 4)):
        m_q, m_p = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
        v_q, v_p = (0.2 + 0.3 * torch.rand(2, generator=generator, dtype=torch.float64)).tolist()

        def bits(v_q: float, v_p: float, a: Tensor = m_q, b: Tensor = m_p) -> Tensor:
            v = torch.tensor([v_q, v_p], dtype=torch.float64)
            return gaussian_kl(a, v[0], b, v[1]).flatten(1).mean(1) / ln2

        got = answer(m_q.clone(), v_q, m_p.clone(), v_p)
        want, n = bits(v_q, v_p), m_q[0].numel()
        if isinstance(got, Tensor) and got.shape == shape:
            raise WrongAnswer("you return one number a pixel; average over the pixels of each image, (B,)")
        if isinstance(got, Tensor) and got.ndim == 0:
            raise WrongAnswer("you return one number for the whole batch; one for each image is wanted, (B,)")
        d2, log = (m_q - m_p).square().flatten(1).mean(1), math.log(v_p / v_q)
        mistakes = {
            "your KL is in nats; divide by ln 2 for bits": want * ln2,
            "you multiplied by ln 2; a nat is 1 / ln 2 bits, so divide": want * ln2**2,
            "your KL is the sum over the pixels, bits per image; bits per dimension are its mean": want * n,
            "your KL is the sum over the pixels, in nats; wanted is the mean, in bits": want * n * ln2,
            "you took the variances for standard deviations and squared them": bits(v_q**2, v_p**2),
            "you took the roots of the variances: v in the formula is the variance itself": bits(
                math.sqrt(v_q), math.sqrt(v_p)
            ),
            "your KL is KL(p || q): the average is taken over q, so v_q + d^2 stands above v_p": bits(
                v_p, v_q, m_p, m_q
            ),
            "your logarithm is upside down: it is ln(v_p / v_q)": (-log - 1 + (v_q + d2) / v_p) / 2 / ln2,
            "your KL lacks the -1: for q = p it would not be 0": (log + (v_q + d2) / v_p) / 2 / ln2,
            "your KL lacks the factor 1/2": 2 * want,
            "your KL counts the distance of the means only; the variances differ too": d2 / (2 * v_p) / ln2,
            "your KL lacks v_q beside d^2: q spreads around its own mean": (log - 1 + d2 / v_p) / 2 / ln2,
            "you did not square the distance of the means": (
                (log - 1 + (v_q + (m_q - m_p).flatten(1).mean(1)) / v_p) / 2 / ln2
            ),
        }
        diagnose("the KL", got, want, mistakes)
    return "With v_q = v_p, this is a mean squared error with a weight."


@exercise
def check_weighted_loss(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> str:
    """Check ``weighted_loss(eps, eps_hat, t, weight)``: the mean over batch and pixels of w_t (eps - eps_hat)^2."""
    generator = fresh_generator()
    for B, T in ((6, 9), (4, 20)):
        eps, eps_hat = torch.randn(2, B, 1, 4, 5, generator=generator, dtype=torch.float64)
        t = torch.randperm(T, generator=generator)[:B] + 1
        t[0] = T
        weight = 0.2 + 3 * torch.rand(T + 1, generator=generator, dtype=torch.float64)
        error, w = (eps - eps_hat).flatten(1), weight[t]  # (B, D), (B,)
        square = error.square().mean(1)  # (B,)
        want = (w * square).mean()
        got = answer(eps.clone(), eps_hat.clone(), t.clone(), weight.clone())
        if isinstance(got, Tensor) and got.ndim > 0:
            raise WrongAnswer(f"a loss is one number; you return shape {tuple(got.shape)}: take the mean of all")
        mistakes = {
            "your weight is inverted: w_t multiplies the square": (square / w).mean(),
            "your loss is L_simple; the weight is missing": square.mean(),
            "you sum over batch and pixels; with the mean, a learning rate fits any image size": (w * square).sum()
            * error.shape[1],
            "you sum over the pixels of an image; take their mean": want * error.shape[1],
            "you sum over the batch; take its mean": (w * square).sum(),
            "your weight is read at t - 1; the table has T + 1 entries, and entry t belongs to t": (
                weight[t - 1] * square
            ).mean(),
            "you used the first image's t for the whole batch; image b has its own t_b": (w[0] * square).mean(),
            "you averaged weights and squares apart; each square has its own weight": w.mean() * square.mean(),
            "you took the absolute error; the loss has its square": (w * error.abs().mean(1)).mean(),
            "you squared the weight too: multiply after squaring": (w**2 * square).mean(),
            "you took the root; the loss is the mean square itself": want.sqrt(),
            "you averaged before squaring: errors of opposite sign cancel": (w * error.mean(1).square()).mean(),
        }
        diagnose("the loss", got, want, mistakes)
    return "A weight of 1 gives L_simple, w_t = (SNR_{t-1} / SNR_t - 1) / 2 the bound's KL terms."


@exercise
def check_bound_weight(answer: Callable[[Tensor], Tensor]) -> str:
    """Check ``bound_weight(alpha_bar)``: (T+1,) -> (T-1,), ``w_t = (SNR_{t-1} / SNR_t - 1) / 2`` for t = 2..T."""
    for T in (8, 15):
        alpha_bar = random_alpha_bar(T, fresh_generator())
        snr = alpha_bar[1:] / (1 - alpha_bar[1:])  # t = 1 .. T
        want = (snr[:-1] / snr[1:] - 1) / 2
        got = answer(alpha_bar.clone())
        if isinstance(got, Tensor) and got.shape in ((T,), (T + 1,)):
            raise WrongAnswer(
                f"your table has {len(got)} entries; t = 2 .. T are T - 1. At t = 0 and t = 1 there is no KL"
            )
        rates = (alpha_bar[1:] / (1 - alpha_bar[1:])).sqrt()
        alpha = alpha_bar[2:] / alpha_bar[1:-1]
        mistakes = {
            "your ratio is upside down: SNR_{t-1} is the larger one, and a weight is positive": (snr[1:] / snr[:-1] - 1)
            / 2,
            "your weight is inverted: 1 / w_t": 1 / want,
            "your weight lacks the factor 1/2": 2 * want,
            "your weight lacks the -1": (want + 0.5),
            "this is the weight of |x_0 - x0_hat|^2, a difference of SNRs; that of eps is divided by SNR_t": (
                snr[:-1] - snr[1:]
            )
            / 2,
            "this is the weight for sigma_t^2 = beta_t; wanted is beta_tilde_t": (1 - alpha)
            / (2 * alpha * (1 - alpha_bar[2:])),
            "your SNR is a ratio of rates; take the ratio of their squares": (rates[:-1] / rates[1:] - 1) / 2,
            "your SNR is 1 / (1 - alpha_bar): alpha_bar belongs above": (
                (1 - alpha_bar[2:]) / (1 - alpha_bar[1:-1]) - 1
            )
            / 2,
            "your weight is in bits; a loss is in nats, as derived": want / math.log(2),
            "your weights run from t = T down; t should rise": want.flip(0),
        }
        diagnose("w", got, want, mistakes)
    return "The library calls it targets.bound_weight(diffusion)."


@exercise
def check_v_target(answer: Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor, float]]) -> str:
    """Check ``v_target(x_t, v, alpha_bar_t)``: x_0, eps and the weight of |v - v_hat|^2 beside L_simple.

    ``v = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0``.
    """
    generator = fresh_generator()
    for _ in range(2):
        A = float(0.15 + 0.3 * torch.rand(1, generator=generator))
        a, b = math.sqrt(A), math.sqrt(1 - A)
        x_0, eps = torch.randn(2, 4, 6, generator=generator, dtype=torch.float64)
        x_t, v = a * x_0 + b * eps, a * eps - b * x_0
        got = answer(x_t.clone(), v.clone(), A)
        if not isinstance(got, (tuple, list)) or len(got) != 3:
            raise WrongAnswer("your function should return three things: x_0, eps and the weight")
        swapped = "you return eps first; wanted are x_0, eps and the weight"
        sign = "a sign is wrong: put x_t = a x_0 + b eps and v = a eps - b x_0 in, and see what cancels"
        lost = "your rates lack their square roots"
        mistakes = {swapped: eps, sign: a * x_t + b * v, lost: A * x_t - (1 - A) * v}
        mistakes["you divide by the signal rate once too often: a^2 + b^2 = 1"] = x_0 / a
        diagnose("x_0", got[0], x_0, mistakes)
        mistakes = {sign: b * x_t - a * v, lost: (1 - A) * x_t + A * v}
        mistakes["the two rates are swapped: x_t carries eps with the noise rate"] = a * x_t + b * v
        diagnose("eps", got[1], eps, mistakes)
        weights = {
            "your weight is inverted: |v - v_hat|^2 is the larger square": A,
            "your weight is the ratio of the errors; the loss has their squares": 1 / a,
            "this is the weight beside the squares of x_0; wanted is that beside the squares of eps": 1 / (1 - A),
            "your weight is that of x_0; v mixes the errors of both": (1 - A) / A,
            "your two errors cancel in part; they have opposite signs, and v subtracts one, so they add up": (
                a - (1 - A) / a
            )
            ** 2,
            "your weight is 1, as if the two errors were independent; x_t fixes one by the other": 1.0,
        }
        number = {text: torch.tensor(value, dtype=torch.float64) for text, value in weights.items()}
        diagnose("the weight", got[2], torch.tensor(1 / A, dtype=torch.float64), number)
    return "1 / alpha_bar_t = 1 + 1 / SNR_t: the squares of eps and of x_0 together. It works at zero SNR too."
