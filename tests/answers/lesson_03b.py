"""Answers to the further exercises of lesson 03: right ones in several forms, and mistakes with their messages."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lite.checks import check_largest_step, check_product_of_gaussians, check_there_and_back, choice

NAMES = {"sqrt": math.sqrt, "exp": math.exp, "pi": math.pi}


def product(
    m_1: float, v_1: float, m_2: float, v_2: float, *, m: str = "(m_1 * v_2 + m_2 * v_1) / (v_1 + v_2)",
    v: str = "v_1 * v_2 / (v_1 + v_2)", Z: str = "exp(-d * d / 2 / (v_1 + v_2)) / sqrt(2 * pi * (v_1 + v_2))",
) -> tuple[float, float, float]:  # fmt: skip
    """The product of two Gaussian densities, with one part written as a student might."""
    names = {**NAMES, "m_1": m_1, "v_1": v_1, "m_2": m_2, "v_2": v_2, "d": m_1 - m_2}
    names["v"] = v_1 * v_2 / (v_1 + v_2)
    a, b, c = (eval(text, names) for text in (m, v, Z))
    return a, b, c


def product_by_precisions(m_1: float, v_1: float, m_2: float, v_2: float) -> list[Tensor]:
    """In single precision; Z from the two densities and the third, at one x."""
    mean, variance = torch.tensor([m_1, m_2]), torch.tensor([v_1, v_2])
    v = 1 / (1 / variance).sum()
    m = v * (mean / variance).sum()
    log = torch.distributions.Normal(mean, variance.sqrt()).log_prob(m).sum()
    return [m, v, (log + 0.5 * torch.log(2 * torch.pi * v)).exp()]


def product_on_a_grid(m_1: float, v_1: float, m_2: float, v_2: float) -> Tensor:
    dx = 0.001
    x = torch.arange(-12, 12, dx, dtype=torch.float64)
    p = torch.exp(-((x - m_1) ** 2) / (2 * v_1) - (x - m_2) ** 2 / (2 * v_2)) / (2 * math.pi * math.sqrt(v_1 * v_2))
    Z = p.sum() * dx
    m = (p * x).sum() * dx / Z
    return torch.stack([m, (p * x**2).sum() * dx / Z - m**2, Z])


def product_step_by_step(m_1: float, v_1: float, m_2: float, v_2: float) -> Any:
    """The square of lesson 03, by its three coefficients, a x^2 - 2 b x + c."""
    a, b, c = 1 / v_1 + 1 / v_2, m_1 / v_1 + m_2 / v_2, m_1**2 / v_1 + m_2**2 / v_2
    return (
        b / a,
        1 / a,
        math.exp(b**2 / a / 2 - c / 2) * math.sqrt(2 * math.pi / a) / (2 * math.pi * (v_1 * v_2) ** 0.5),
    )


def product_bug(**parts: str) -> Callable[..., Any]:
    return lambda *four: product(*four, **parts)


def step(text: str) -> Callable[[float], float]:
    return lambda A: float(eval(text, {**NAMES, "A": A, "want": (1 - A) ** 2 / A**2}))


def density(x: Tensor, A: float, beta: float) -> Tensor:
    """q(x_{t-1} | x_t = 0), up to a factor."""
    prior = sum(torch.exp(-((x - m) ** 2) / (2 * (1 - A))) for m in (-math.sqrt(A), math.sqrt(A)))
    return prior * torch.exp(-((1 - beta) * x**2) / (2 * beta))


def step_by_bisection(A: float) -> float:
    """Is there a dip at 0?"""
    x = torch.tensor([0.0, 1e-3], dtype=torch.float64)
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        at_0, beside = density(x, A, middle).tolist()
        low, high = (low, middle) if beside > at_0 else (middle, high)
    return low


def step_by_counting_bumps(A: float) -> Tensor:
    x = torch.linspace(-1.5, 1.5, 3001, dtype=torch.float64)
    good = torch.tensor(0.0)
    for beta in torch.logspace(-2, 0, 1000)[:-1].tolist():
        p = density(x, A, beta)
        if int(((p[1:-1] > p[:-2]) & (p[1:-1] >= p[2:])).sum()) == 1:
            good = torch.tensor([beta])
    return good


def step_by_posterior(A: float) -> float:
    """c_t^2 = beta_tilde_t, put into itself until it stands."""
    beta = 0.01
    for _ in range(100):
        n = 1 - A * (1 - beta)
        beta = (1 - A) * n / A
    return beta


def step_by_coarse_search(A: float) -> float:
    return (1 - A) ** 2 / A**2 * 0.98


RIGHT: list[tuple[Any, Any]] = [
    (check_product_of_gaussians, product),
    (check_product_of_gaussians, product_by_precisions),
    (check_product_of_gaussians, product_on_a_grid),
    (check_product_of_gaussians, product_step_by_step),
    (check_largest_step, step("((1 - A) / A) ** 2")),
    (check_largest_step, lambda A: torch.tensor(1 / A - 1).square()),
    (check_largest_step, step_by_bisection),
    (check_largest_step, step_by_counting_bumps),
    (check_largest_step, step_by_posterior),
    (check_there_and_back, choice("b", because=2)),
    (check_there_and_back, choice("B", 2)),
    (check_there_and_back, ("b", 2)),
]

TOTAL = "sqrt(2 * pi * (v_1 + v_2))"
DECAY = "exp(-d * d / 2 / (v_1 + v_2))"
WRONG: list[tuple[Any, Any, str]] = [
    (check_product_of_gaussians, product_bug(m="(m_1 + m_2) / 2"), "your m is the plain average"),
    (check_product_of_gaussians, product_bug(m="(m_1 * v_1 + m_2 * v_2) / (v_1 + v_2)"), "the vaguer one counts more"),
    (check_product_of_gaussians, product_bug(m="m_1 / v_1 + m_2 / v_2"), r"the brace of \(c\)"),
    (
        check_product_of_gaussians,
        product_bug(m="(m_1 / sqrt(v_1) + m_2 / sqrt(v_2)) / (1 / sqrt(v_1) + 1 / sqrt(v_2))"),
        r"your m weighs by 1 / sqrt\(v\)",
    ),
    (check_product_of_gaussians, product_bug(m="m_1 + m_2"), "your m is that of a sum of two variables"),
    (
        check_product_of_gaussians,
        product_bug(m="(m_1 / v_1**2 + m_2 / v_2**2) / (v_1**-2 + v_2**-2)"),
        "you squared the variances",
    ),
    (check_product_of_gaussians, product_bug(v="v_1 + v_2"), "your v is v_1 . v_2, as for a sum"),
    (check_product_of_gaussians, product_bug(v="1 / v_1 + 1 / v_2"), "v is its inverse"),
    (check_product_of_gaussians, product_bug(v="v_1 * v_2"), "divide it by v_1"),
    (check_product_of_gaussians, product_bug(v="(v_1 + v_2) / 2"), "your v is the average"),
    (check_product_of_gaussians, product_bug(v="sqrt(v)"), "your v is a standard deviation"),
    (check_product_of_gaussians, product_bug(v="2 / (1 / v_1 + 1 / v_2)"), "twice too large"),
    (check_product_of_gaussians, product_bug(v="(1 / (v_1**-0.5 + v_2**-0.5)) ** 2"), r"you added 1 / sqrt\(v_1\)"),
    (check_product_of_gaussians, product_bug(Z="1"), "your Z is 1; the product"),
    (check_product_of_gaussians, product_bug(Z=f"1 / {TOTAL}"), "does not see how far apart"),
    (check_product_of_gaussians, product_bug(Z=DECAY), "your Z is the exponential alone"),
    (check_product_of_gaussians, product_bug(Z=f"{DECAY} ** 2 / {TOTAL}"), "your Z lacks the 2"),
    (check_product_of_gaussians, product_bug(Z="exp(-d * d / 2 / v) / sqrt(2 * pi * v)"), "your Z has the variance v"),
    (check_product_of_gaussians, product_bug(Z=f"{DECAY} / (2 * pi * sqrt(v_1 * v_2))"), "integrate the bell too"),
    (check_product_of_gaussians, product_bug(Z=f"{DECAY} / (2 * pi * (v_1 + v_2))"), "your Z lacks a square root"),
    (check_product_of_gaussians, product_bug(Z=f"{DECAY} / sqrt(v_1 + v_2)"), "your Z lacks 2 pi"),
    (
        check_product_of_gaussians,
        product_bug(Z=f"exp(-(m_1 + m_2)**2 / 2 / (v_1 + v_2)) / {TOTAL}"),
        "m_1 . m_2.*falls",
    ),
    (check_product_of_gaussians, product_bug(Z="0.5"), r"^Z for N\(.*is wrong: where"),
    (check_product_of_gaussians, lambda *four: product(*four)[:2], "should return 3 results, m, v, Z"),
    (check_product_of_gaussians, lambda *four: None, "your function returned None"),
    (check_largest_step, step("1 / A - 1"), "your beta_t is 1 / SNR_{t-1}, the root"),
    (check_largest_step, step("sqrt(1 / A - 1)"), "the ratio of the two rates"),
    (check_largest_step, step("(1 - A)**2 / A / (3 + A)"), "you compared the distance of the two means"),
    (check_largest_step, step("(1 - A)**2 / A / (2 * A - 1)"), "your c has alpha_bar_{t-1} without"),
    (check_largest_step, step("((2 * A - 1) - sqrt((2 * A - 1)**2 - 4 * (1 - A)**2)) / 2 / A"), "the variance beta_t"),
    (check_largest_step, step("(1 - A)**2 / A"), "your 1 - alpha_bar_t is 1 - alpha_bar_{t-1}"),
    (check_largest_step, step("(1 - A)**2 / (2 * A - 1)"), "your likelihood forgets that the step shrinks"),
    (check_largest_step, step("(A / (1 - A))**2"), "your answer is upside down"),
    (check_largest_step, step("1 - want"), "you returned alpha_t"),
    (check_largest_step, step("A * (1 - want)"), "you returned alpha_bar_t"),
    (check_largest_step, step_by_coarse_search, "search on a finer grid"),
    (check_largest_step, step("0.3 * A"), "is too large: it leaves two bumps, with a dip at 0"),
    (check_largest_step, step("1e-4 * A"), "is not the largest: it leaves one bump, and so does 0.0"),
    (check_largest_step, step("-A"), "lies between 0 and 1, yours is -0"),
    (check_largest_step, step("0.0625"), "does not depend on alpha_bar_{t-1}"),
    (check_largest_step, lambda A: None, "your function returned None"),
    (check_largest_step, lambda A: torch.linspace(0, 1, 50), r"beta_t should be one number, got shape \(50,\)"),
    *((check_there_and_back, choice("a", because=k), "^not a: that is the variance for one given") for k in (1, 2)),
    *((check_there_and_back, choice("c", because=k), "^not c: x_t counts with the weight") for k in (2, 3)),
    *((check_there_and_back, choice("d", because=k), "^not d: that is the variance of x_t") for k in (3, 4)),
    (check_there_and_back, choice("b", because=1), "b it is, but not because of 1: x_t is drawn too"),
    (check_there_and_back, choice("b", because=3), "b it is, but not because of 3: the step back keeps"),
    (check_there_and_back, choice("b", because=4), "b it is, but not because of 4: it does"),
    (check_there_and_back, choice("e", because=2), "there is no option 'e'"),
    (check_there_and_back, "b", "answer as choice"),
]
