"""The exercises only in the set of lesson 03: a product of Gaussians, the step that leaves one bump, there and back."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, pi, sqrt
from typing import Any

import torch
from torch import Tensor

from .lesson_03 import _ask, _doubles, _number, _numbers, _table
from .machinery import WrongAnswer, diagnose, exercise, fresh_generator, multiple_choice

__all__ = ["check_largest_step", "check_product_of_gaussians", "check_there_and_back"]


def _bell(x: Tensor, mean: float, variance: float) -> Tensor:
    return torch.exp(-((x - mean) ** 2) / (2 * variance)) / sqrt(2 * pi * variance)


@exercise
def check_product_of_gaussians(answer: Callable[[float, float, float, float], tuple[float, float, float]]) -> str:
    """Check ``product_of_gaussians(m_1, v_1, m_2, v_2)``: m, v, Z of ``N(x; m_1, v_1) N(x; m_2, v_2) = Z N(x; m, v)``,
    as they come out on a grid."""
    grid = torch.linspace(-15, 15, 6001, dtype=torch.float64)
    for _ in range(2):
        u = torch.rand(4, generator=fresh_generator(), dtype=torch.float64).tolist()
        m_1, v_1, v_2 = 1.6 + 0.4 * u[0], 0.3 + 0.2 * u[1], 0.9 + 0.5 * u[2]  # no two mistakes alike
        m_2 = m_1 - 0.8 - 0.5 * u[3]
        product = _bell(grid, m_1, v_1) * _bell(grid, m_2, v_2)
        Z = float(torch.trapezoid(product, grid))
        m = float(torch.trapezoid(product * grid, grid)) / Z
        v = float(torch.trapezoid(product * (grid - m) ** 2, grid)) / Z
        three = [
            _number(f"your {name}", x)
            for name, x in zip("mvZ", _numbers(_ask(answer, m_1, v_1, m_2, v_2), "m, v, Z"), strict=True)
        ]
        total, d = v_1 + v_2, m_1 - m_2
        s_1, s_2 = sqrt(v_1), sqrt(v_2)
        height, decay = 1 / sqrt(2 * pi * total), exp(-(d**2) / (2 * total))
        means = {
            "your m is the plain average; the sharper Gaussian counts more, by its precision 1 / v": (m_1 + m_2) / 2,
            "your m weighs each mean by its own variance: the vaguer one counts more; weigh by the precision 1 / v": (
                v_1 * m_1 + v_2 * m_2
            ) / total,
            "your m is m_1 / v_1 + m_2 / v_2, the brace of (c), which is m / v; multiply by v": m_1 / v_1 + m_2 / v_2,
            "your m weighs by 1 / sqrt(v); a precision is 1 / v": (m_1 / s_1 + m_2 / s_2) / (1 / s_1 + 1 / s_2),
            "your m is that of a sum of two variables; here two densities of one x are multiplied": m_1 + m_2,
            "you squared the variances: v_1 and v_2 are variances already": (
                (m_1 * v_2**2 + m_2 * v_1**2) / (v_1**2 + v_2**2)
            ),
        }  # fmt: skip
        variances = {
            "your v is v_1 + v_2, as for a sum of two variables; a product is narrower: precisions add": total,
            "your v is 1 / v_1 + 1 / v_2, the precision; v is its inverse": 1 / v_1 + 1 / v_2,
            "your v is v_1 v_2; divide it by v_1 + v_2": v_1 * v_2,
            "your v is the average of the two variances; precisions add": total / 2,
            "your v is a standard deviation; the variance is its square": sqrt(v),
            "your v is twice too large: 1 / v is the sum of 1 / v_1 and 1 / v_2, not their average": 2 * v,
            "you added 1 / sqrt(v_1) and 1 / sqrt(v_2); precisions, 1 / v, add": (s_1 * s_2 / (s_1 + s_2)) ** 2,
        }
        areas = {
            "your Z is 1; the product of two densities is no density, its area is smaller": 1.0,
            "your Z does not see how far apart the means are: it lacks exp(-(m_1 - m_2)^2 / (2 (v_1 + v_2)))": height,
            "your Z is the exponential alone; it lacks 1 / sqrt(2 pi (v_1 + v_2))": decay,
            "your Z lacks the 2 below the square, in the exponent": height * decay**2,
            "your Z has the variance v of the product; as a density of m_1 - m_2 it has v_1 + v_2": float(
                _bell(torch.tensor(d), 0, v)
            ),
            "your Z is the factor in front of the square; integrate the bell too, of area sqrt(2 pi v)": (
                decay / (2 * pi * s_1 * s_2)
            ),
            "your Z lacks a square root: a density of variance V begins with 1 / sqrt(2 pi V)": height**2 * decay,
            "your Z lacks 2 pi below its square root": decay / sqrt(total),
            "your Z has (m_1 + m_2)^2; it falls with the distance m_1 - m_2": float(
                _bell(torch.tensor(m_1 + m_2), 0, total)
            ),
        }
        place = f"for N({m_1:.2f}, {v_1:.2f}) and N({m_2:.2f}, {v_2:.2f})"
        named = zip("mvZ", three, (m, v, Z), (means, variances, areas), strict=True)
        for name, x, right, mistakes in named:
            want = torch.tensor(right, dtype=torch.float64)
            diagnose(f"{name} {place}", x, want, _doubles(mistakes), tol=1e-5)
    return "With the prior and the likelihood of x_{t-1} in the two places, m is mu_tilde and v is beta_tilde_t."


@exercise
def check_largest_step(answer: Callable[[float], float]) -> str:
    """Check ``largest_step(alpha_bar_before)``: the largest beta_t for which q(x_{t-1} | x_t = 0) has one bump, where
    x_0 is -1 or 1 with equal odds; within 1 %."""
    signals = (torch.tensor([0.82, 0.76]) + 0.03 * torch.rand(2, generator=fresh_generator())).tolist()
    steps = [_ask(answer, A) for A in signals]
    if any(beta is None for beta in steps):
        raise WrongAnswer("your function returned None; it should return beta_t")
    steps = [float(_number("beta_t", torch.as_tensor(beta))) for beta in steps]
    if steps[0] == steps[1]:
        raise WrongAnswer("your beta_t does not depend on alpha_bar_{t-1}: a clearer x_{t-1} needs a smaller step")
    for A, beta in zip(signals, steps, strict=True):
        m = 1 - A
        want = (m / A) ** 2  # at x = 0 the second derivatives of log prior and log likelihood cancel
        mistakes = {
            "your beta_t is 1 / SNR_{t-1}, the root of what is wanted": m / A,
            "your beta_t is the ratio of the two rates of x_{t-1}; put c_t and beta_tilde_t into c^2 = v": sqrt(m / A),
            "you compared the distance of the two means, 2 c, with sqrt(v); c itself decides, c^2 <= v": (
                m**2 / (A * (3 + A))
            ),
            "your c has alpha_bar_{t-1} without its square root": m**2 / (A * (2 * A - 1)),
            "you gave the two Gaussians the variance beta_t of the step forward; here it is beta_tilde_t": (
                ((2 * A - 1) - sqrt((2 * A - 1) ** 2 - 4 * m**2)) / (2 * A)
            ),
            "your 1 - alpha_bar_t is 1 - alpha_bar_{t-1}; but alpha_bar_t = alpha_bar_{t-1} (1 - beta_t)": m**2 / A,
            "your likelihood forgets that the step shrinks x_{t-1} by sqrt(alpha_t)": m**2 / (2 * A - 1),
            "your answer is upside down: SNR_{t-1}^2 where its inverse belongs; beta_t lies below 1": 1 / want,
            "you returned alpha_t; wanted is beta_t = 1 - alpha_t": 1 - want,
            "you returned alpha_bar_t; wanted is beta_t": A * (1 - want),
        }
        place = f"for alpha_bar_{{t-1}} = {A:.4f}"
        if abs(beta / want - 1) <= 0.0101:
            continue
        if not 0 < beta < 1 and abs(beta * want - 1) > 0.01:
            raise WrongAnswer(f"beta_t {place} lies between 0 and 1, yours is {beta:.4g}")
        for why, wrong in mistakes.items():
            if abs(beta / wrong - 1) < 0.005:
                raise WrongAnswer(why)
        if abs(beta / want - 1) < 0.08:
            raise WrongAnswer(f"your beta_t {place}, {beta:.5f}, is near, but 1 % is wanted: search on a finer grid")
        if beta > want:
            raise WrongAnswer(f"{place}, your beta_t = {beta:.4g} is too large: it leaves two bumps, with a dip at 0")
        larger = f"and so does {(beta + want) / 2:.4g}"
        raise WrongAnswer(f"{place}, your beta_t = {beta:.4g} is not the largest: it leaves one bump, {larger}")
    return "It is 1 / SNR_{t-1}^2: where the image is clear, a step must be tiny. So schedules begin with small beta_t."


@exercise
def check_there_and_back(answer: Any) -> str:
    """Check a choice: the variance of ``x_{t-1} ~ q(x_{t-1} | x_t, x_0)`` over all ``x_t ~ q(x_t | x_0)``."""
    before, after = _table(9, fresh_generator())[[4, 5]].tolist()
    alpha, n = after / before, 1 - after
    tilde, d = (1 - before) / n * (1 - alpha), sqrt(alpha) * (1 - before) / n
    values = {"a": tilde, "b": 1 - before, "c": tilde + n, "d": n}
    right = next(letter for letter, value in values.items() if abs(value - (d**2 * n + tilde)) < 1e-9)
    options = {
        "a": "that is the variance for one given x_t; over many draws x_t varies too, and the mean follows it",
        "c": "x_t counts with the weight d_t, which shrinks its variance 1 - alpha_bar_t by d_t^2",
        "d": "that is the variance of x_t; one step earlier there is less noise",
    }
    reasons = {
        1: "x_t is drawn too, and the mean of x_{t-1} moves with it",
        3: "the step back keeps d_t^2 of the variance of x_t only",
        4: "it does: 1 - alpha_bar_{t-1} is smaller than 1 - alpha_bar_t",
    }
    multiple_choice(answer, right=(right, 2), options=options, reasons=reasons)
    return "Drawn steps back have the law of q(x_{t-1} | x_0): one step back undoes one step forward."
