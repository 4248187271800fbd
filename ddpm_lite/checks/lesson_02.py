"""The exercises of lesson 02: the jump, the noise behind it, the jump from the middle, a bug caught by its variance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .machinery import WrongAnswer, diagnose, exercise, fresh_generator, random_alpha_bar

__all__ = ["check_buggy_variance", "check_jump_from", "check_q_sample", "check_recover_eps"]


@exercise
def check_q_sample(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> str:
    """Check ``q_sample(x_0, t, eps, alpha_bar)``: eq. 4 for a batch whose images have a time each."""
    generator = fresh_generator()
    for B, C, T in ((6, 1, 9), (3, 3, 20)):
        alpha_bar = random_alpha_bar(T, generator)
        t = torch.randperm(T, generator=generator)[:B] + 1
        t[0] = T  # the last entry is drawn in every test
        x_0 = torch.rand(B, C, 5, 4, generator=generator, dtype=torch.float64) * 2 - 1
        eps = torch.randn(B, C, 5, 4, generator=generator, dtype=torch.float64)

        def jump(signal: Tensor, noise: Tensor, x: Tensor = x_0, e: Tensor = eps) -> Tensor:
            return signal.view(-1, 1, 1, 1) * x + noise.view(-1, 1, 1, 1) * e

        a, early = alpha_bar[t], alpha_bar[t - 1]
        mistakes = {
            "your noise has standard deviation 1 - alpha_bar_t; eq. 4 has its square root": jump(a.sqrt(), 1 - a),
            "your image is multiplied by alpha_bar_t; the signal rate is its square root": jump(a, (1 - a).sqrt()),
            "your two rates lack their square roots: 1 - alpha_bar_t is a variance, and a factor c gives c^2": jump(
                a, 1 - a
            ),
            "your noise rate is 1 - sqrt(alpha_bar_t); it is sqrt(1 - alpha_bar_t), so that squares sum to 1": jump(
                a.sqrt(), 1 - a.sqrt()
            ),
            "your two rates are swapped: at t = 0 the image should be clean": jump((1 - a).sqrt(), a.sqrt()),
            "your t is one too small: the table has T + 1 entries, and alpha_bar[t] belongs to t": jump(
                early.sqrt(), (1 - early).sqrt()
            ),
            "you used the first image's t for the whole batch; image b has its own t_b": jump(
                a[:1].expand(B).sqrt(), (1 - a[:1].expand(B)).sqrt()
            ),
        }
        got, again = (_call(answer, x_0, t, eps, alpha_bar) for _ in range(2))
        if not _same(got, again):
            raise WrongAnswer("two calls with the same eps gave two results: use the eps that is given, draw none")
        diagnose("x_t", got, jump(a.sqrt(), (1 - a).sqrt()), mistakes, tol=1e-5)
    return "This is the line that training calls, once a batch."


def _same(a: Any, b: Any) -> bool:
    tensors = isinstance(a, Tensor) and isinstance(b, Tensor)
    return not tensors or a.shape != b.shape or torch.allclose(a, b, equal_nan=True)


def _call(answer: Callable[..., Tensor], x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    """Ask for x_t; where the rates do not fit the images, say which shape they should have."""
    advice = (
        "your rates do not fit the images: alpha_bar[t] has shape (B,); make it (B, 1, 1, 1), one number for each "
        "image, by alpha_bar[t].view(-1, 1, 1, 1)"
    )
    try:
        got = answer(x_0.clone(), t.clone(), eps.clone(), alpha_bar.clone())
    except RuntimeError as error:
        if "must match the size" in str(error):
            raise WrongAnswer(advice) from error
        raise
    if isinstance(got, Tensor) and got.numel() > x_0.numel():
        raise WrongAnswer(advice)
    return got


@exercise
def check_recover_eps(answer: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Check ``recover_eps(x_t, x_0, alpha_bar_t)``: eq. 4 solved for eps."""
    generator = fresh_generator()
    for _ in range(2):
        a = float(0.2 + 0.6 * torch.rand(1, generator=generator))
        x_0 = torch.rand(4, 1, 5, 5, generator=generator, dtype=torch.float64) * 2 - 1
        eps = torch.randn(4, 1, 5, 5, generator=generator, dtype=torch.float64)
        x_t = math.sqrt(a) * x_0 + math.sqrt(1 - a) * eps
        mistakes = {
            "you divided by 1 - alpha_bar_t, the variance; divide by its root": (x_t - math.sqrt(a) * x_0) / (1 - a),
            "you took away x_0 itself; x_t contains sqrt(alpha_bar_t) x_0": (x_t - x_0) / math.sqrt(1 - a),
            "you took away alpha_bar_t x_0; the signal rate is sqrt(alpha_bar_t)": (x_t - a * x_0) / math.sqrt(1 - a),
            "you have the noise as it stands in x_t, sqrt(1 - alpha_bar_t) eps; divide by the rate": (
                x_t - math.sqrt(a) * x_0
            ),
            "your eps has the wrong sign": -eps,
            "you divided by the signal rate; eps was multiplied by the noise rate": (x_t - math.sqrt(a) * x_0)
            / math.sqrt(a),
            "your noise rate is 1 - sqrt(alpha_bar_t); it is sqrt(1 - alpha_bar_t)": (x_t - math.sqrt(a) * x_0)
            / (1 - math.sqrt(a)),
            "you divide only x_0 by the noise rate: put x_t - sqrt(alpha_bar_t) x_0 in parentheses": (
                x_t - math.sqrt(a) * x_0 / math.sqrt(1 - a)
            ),
            "you multiply by the noise rate; eps came into x_t by it, so divide": (x_t - math.sqrt(a) * x_0)
            * math.sqrt(1 - a),
            "you swapped the two rates: this solves eq. 4 for x_0, with eps taken for x_0": (
                (x_t - math.sqrt(1 - a) * x_0) / math.sqrt(a)
            ),
            "you add the image; take it away from x_t": (x_t + math.sqrt(a) * x_0) / math.sqrt(1 - a),
        }
        diagnose("eps", answer(x_t.clone(), x_0.clone(), a), eps, mistakes, tol=1e-5)
    return "The library calls it predict_eps."


@exercise
def check_jump_from(answer: Callable[[float, float], tuple[float, float]]) -> str:
    """Check ``jump_from(alpha_bar_s, alpha_bar_t)``: a and v of ``q(x_t | x_s) = N(a x_s, v I)``, s < t."""
    generator = fresh_generator()
    table = random_alpha_bar(30, generator)
    i = int(torch.randint(3, 12, (1,), generator=generator))
    for s, t in ((i, i + 9), (i, i + 1), (0, 17)):
        A, B = float(table[s]), float(table[t])
        got = answer(A, B)
        if not hasattr(got, "__len__") or getattr(got, "ndim", 1) == 0 or len(got) != 2:
            raise WrongAnswer("your function should return two numbers, a and v")
        if any(part is None for part in got):
            raise WrongAnswer("a or v is None: your function should return two numbers, a and v")
        ratio = B / A
        mistakes = {
            "your a is the ratio alpha_bar_t / alpha_bar_s; variances have that ratio, so a is its root": (
                ratio, 1 - ratio
            ),
            "your v is a standard deviation; the variance is its square": (math.sqrt(ratio), math.sqrt(1 - ratio)),
            "your a and v are those of q(x_t | x_0): x_s has already lost signal": (math.sqrt(B), 1 - B),
            "your v is (1 - alpha_bar_t) - (1 - alpha_bar_s), as if x_s kept its noise; the steps from s to t shrink "
            "that too. Try s = t - 1, where v must be beta_t": (math.sqrt(ratio), A - B),
            "your v is the variance of all noise in x_t; x_s has brought part of it, a^2 (1 - alpha_bar_s)": (
                math.sqrt(ratio), 1 - B
            ),
            "your ratio is upside down: alpha_bar_t is the smaller one, and a is below 1": (
                math.sqrt(1 / ratio), 1 - 1 / ratio
            ),
            "your v is 1 - a; the squares sum to 1: v = 1 - a^2": (math.sqrt(ratio), 1 - math.sqrt(ratio)),
            "you return v first; wanted are a, then v": (1 - ratio, math.sqrt(ratio)),
        }  # fmt: skip
        as_tensor = {why: torch.tensor(pair, dtype=torch.float64) for why, pair in mistakes.items()}
        if s == 0:  # there the formula of q(x_t | x_0) is right, and several mistakes coincide
            as_tensor = {}
        pair = torch.stack([torch.as_tensor(x, dtype=torch.float64).reshape(()) for x in got])
        want = torch.tensor([math.sqrt(ratio), 1 - ratio], dtype=torch.float64)
        diagnose("(a, v)", pair, want, as_tensor, tol=2e-6)
    return "s = 0 gives eq. 4, and s = t - 1 a single step."


@exercise
def check_buggy_variance(answer: Callable[[Tensor], Tensor]) -> str:
    """Check ``buggy_variance(alpha_bar)``: Var(sqrt(alpha_bar_t) x_0 + (1 - alpha_bar_t) eps), Var(x_0) = 1."""
    a = random_alpha_bar(15, fresh_generator())
    mistakes = {
        "that is 1 everywhere, as the right line has it; here the noise is multiplied by 1 - alpha_bar_t, and a factor "
        "c multiplies the variance by c^2": torch.ones_like(a),
        "your signal term lost its root: (sqrt(alpha_bar_t))^2 is alpha_bar_t": a**2 + (1 - a) ** 2,
        "your signal term is the rate; its square belongs into a variance": a.sqrt() + (1 - a) ** 2,
        "you added the two standard deviations; variances add": a.sqrt() + 1 - a,
        "you squared the sum of the rates; x_0 and eps are independent, so there is no mixed term": (a.sqrt() + 1 - a)
        ** 2,
        "you returned the standard deviation; the variance is its square": (a + (1 - a) ** 2).sqrt(),
        "that is the noise's variance alone; x_0 has variance 1 and contributes too": (1 - a) ** 2,
        "that is the variance of the image's part alone; the noise contributes too": a,
        "you squared alpha_bar_t alone; the factor of eps is all of 1 - alpha_bar_t: mind the parentheses": a
        + 1
        - a**2,
        "your second term has the standard deviation of the right line, sqrt(1 - alpha_bar_t)": a + (1 - a).sqrt(),
    }
    diagnose("the variance", answer(a.clone()), a + (1 - a) ** 2, mistakes, tol=2e-6)
    return "It is 1 at both ends and 3/4 at worst, where alpha_bar_t = 1/2: too weak a bug to see, and easy to measure."
