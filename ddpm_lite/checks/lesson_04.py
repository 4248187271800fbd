"""The exercises of lesson 04: a KL in bits per dimension, a weighted loss, the bound's weight, and a fourth target."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..likelihood import gaussian_kl
from .machinery import WrongAnswer, diagnose, exercise, fresh_generator, random_alpha_bar

__all__ = ["check_bound_weight", "check_kl_bits", "check_v_target", "check_weighted_loss"]


@exercise
def check_kl_bits(answer: Callable[[Tensor, float, Tensor, float], Tensor]) -> str:
    """Check ``kl_bits(mean_q, variance_q, mean_p, variance_p)``: KL(q || p) of images, bits per dimension, (B,)."""
    generator, ln2 = fresh_generator(), math.log(2)
    for shape in ((4, 1, 5, 6), (3, 2, 4, 4)):
        m_q, m_p = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
        u = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        v_q = 0.2 + 0.1 * u[0]
        v_p = v_q * (1.3 + 0.4 * u[1])  # far enough from v_q for mistakes to differ
        v_q, v_p = (v_q, v_p) if u[2] < 0.5 else (v_p, v_q)

        def bits(v_q: float, v_p: float, a: Tensor = m_q, b: Tensor = m_p) -> Tensor:
            v = torch.tensor([v_q, v_p], dtype=torch.float64)
            return gaussian_kl(a, v[0], b, v[1]).flatten(1).mean(1) / ln2

        got = answer(m_q.clone(), v_q, m_p.clone(), v_p)
        want, n = bits(v_q, v_p), m_q[0].numel()
        if isinstance(got, Tensor) and got.shape == shape:
            raise WrongAnswer("you return one number a pixel; average over the pixels of each image, (B,)")
        if isinstance(got, Tensor) and got.ndim == 0:
            raise WrongAnswer("you return one number for the whole batch; one for each image is wanted, (B,)")
        if isinstance(got, Tensor) and 1 < got.ndim < 4:
            raise WrongAnswer(
                f"your KL has shape {tuple(got.shape)}: average over channels, rows and columns, so that (B,) is left"
            )
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
            "only your logarithm is in bits; the whole bracket is divided by ln 2": (
                (log / ln2 - 1 + (v_q + d2) / v_p) / 2
            ),
            "d^2 and v_q stand over v_p, the variance of p; you divided by that of q": (
                (log - 1 + (v_q + d2) / v_q) / 2 / ln2
            ),
            "this is the formula for equal variances, with v_q below": d2 / (2 * v_q) / ln2,
            "the factor 1/2 belongs to the whole bracket; you gave it to the logarithm alone": (
                (log / 2 - 1 + (v_q + d2) / v_p) / ln2
            ),
            "the -1 stands inside the bracket, so it is halved too": ((log + (v_q + d2) / v_p) / 2 - 1) / ln2,
            "you averaged the distances before squaring: those of opposite sign cancel": (
                (log - 1 + (v_q + (m_q - m_p).flatten(1).mean(1).square()) / v_p) / 2 / ln2
            ),
            "you did not square the distance of the means": (
                (log - 1 + (v_q + (m_q - m_p).flatten(1).mean(1)) / v_p) / 2 / ln2
            ),
        }
        diagnose("the KL", got, want, mistakes, tol=1e-5)
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
        try:
            got = answer(eps.clone(), eps_hat.clone(), t.clone(), weight.clone())
        except RuntimeError as refusal:
            if "must match the size" not in str(refusal):
                raise
            raise WrongAnswer(
                "weights and squares do not fit: weight[t] has shape (B,), the squares have (B, C, H, W); give the"
                f" weights of the batch the shape (B, 1, 1, 1). (PyTorch says: {refusal})"
            ) from refusal
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
            "your loss has a factor 1/2; this one has none": want / 2,
            "you divided by the batch's mean weight: a mean over all squares, no more, is wanted": want / w.mean(),
            "your weight is t itself; it is the table's entry at t": (t * square).mean(),
            "you averaged before squaring: errors of opposite sign cancel": (w * error.mean(1).square()).mean(),
        }
        diagnose("the loss", got, want, mistakes, tol=1e-5)
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
        if isinstance(got, Tensor) and got.shape == (T - 1,) and bool(got[0].isinf()):
            raise WrongAnswer("your table begins at t = 1, where beta_tilde is 0; it should begin at t = 2")
        rates = (alpha_bar[1:] / (1 - alpha_bar[1:])).sqrt()
        alpha = alpha_bar[2:] / alpha_bar[1:-1]
        beta, after, before = 1 - alpha, 1 - alpha_bar[2:], 1 - alpha_bar[1:-1]
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
            "your denominator has alpha_bar_t where alpha_t belongs": beta / (2 * alpha_bar[2:] * before),
            "your beta_tilde_t is upside down: 1 - alpha_bar_{t-1} stands above 1 - alpha_bar_t": (
                beta * before / (2 * alpha * after**2)
            ),
            "this is the weight of |mu_tilde - mu_hat|^2, 1 / (2 beta_tilde_t); wanted is that of eps": after
            / (2 * before * beta),
            "your SNR is a ratio of rates; take the ratio of their squares": (rates[:-1] / rates[1:] - 1) / 2,
            "your SNR is 1 / (1 - alpha_bar): alpha_bar belongs above": (
                (1 - alpha_bar[2:]) / (1 - alpha_bar[1:-1]) - 1
            )
            / 2,
            "your weight is in bits; a loss is in nats, as derived": want / math.log(2),
            "your weights run from t = T down; t should rise": want.flip(0),
        }
        diagnose("w", got, want, mistakes, tol=1e-5)
    return "The library: targets.bound_weight(diffusion). At t = 1, SNR_0 and w_1 are infinite, since beta_tilde_1 = 0."


@exercise
def check_v_target(answer: Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor, float]]) -> str:
    """Check ``v_target(x_t, v, alpha_bar_t)``: x_0, eps and r, with |v - v_hat|^2 = r |eps - eps_hat|^2.

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
            raise WrongAnswer("your function should return three things: x_0, eps and r")
        swapped = "you return eps first; wanted are x_0, eps and r"
        sign = "a sign is wrong: put x_t = a x_0 + b eps and v = a eps - b x_0 in, and see what cancels"
        lost = "your rates lack their square roots"
        mistakes = {swapped: eps, sign: a * x_t + b * v, lost: A * x_t - (1 - A) * v}
        mistakes["you divide by the signal rate once too often: a^2 + b^2 = 1"] = x_0 / a
        diagnose("x_0", got[0], x_0, mistakes, tol=1e-5)
        mistakes = {sign: b * x_t - a * v, lost: (1 - A) * x_t + A * v}
        mistakes["the two rates are swapped: x_t carries eps with the noise rate"] = a * x_t + b * v
        mistakes["a sign is wrong, and then all of it: eps is b x_t + a v"] = a * v - b * x_t
        diagnose("eps", got[1], eps, mistakes, tol=1e-5)
        weights = {
            "your r is inverted: |v - v_hat|^2 is the larger square": A,
            "your r is the ratio of the errors; the loss has their squares": 1 / a,
            "this is the r for the squares of x_0; wanted is that for the squares of eps": 1 / (1 - A),
            "your r is that of x_0, 1 / SNR_t; v mixes the errors of both": (1 - A) / A,
            "your r is SNR_t; an error of x_0 is 1 / SNR_t times that of eps, and v mixes both": A / (1 - A),
            "you added the squares of the two errors, but x_t fixes one by the other: add first, then square": (
                A + (1 - A) ** 2 / A
            ),
            "your two errors cancel in part; they have opposite signs, and v subtracts one, so they add up": (
                a - (1 - A) / a
            )
            ** 2,
            "your r is 1, as if the two errors were independent and alike; x_t fixes one by the other": 1.0,
        }
        number = {text: torch.tensor(value, dtype=torch.float64) for text, value in weights.items()}
        diagnose("r", got[2], torch.tensor(1 / A, dtype=torch.float64), number, tol=1e-5)
    return "1 / alpha_bar_t = 1 + 1 / SNR_t: the squares of eps and of x_0 together. It works at zero SNR too."
