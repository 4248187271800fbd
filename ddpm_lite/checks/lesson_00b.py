"""The exercises that only the set of lesson 00 has: how an error grows, a variance that stays, two factors drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from ..diffusion import GaussianDiffusion
from ..schedules import linear_beta_schedule
from .machinery import WrongAnswer, choice, curve, diagnose, exercise, fresh_generator, multiple_choice

__all__ = ["check_error_of_guess", "check_factors_plot", "check_unit_variance"]


@exercise
def check_error_of_guess(answer: Callable[[float, float], float]) -> str:
    """Check ``error_of_guess(alpha_bar_t, error)``: ``|x0_hat - x_0| = sqrt(1 / alpha_bar_t - 1) error``."""
    draw = torch.rand(3, 2, generator=fresh_generator(), dtype=torch.float64)
    for a, error in (0.02 + 0.4 * draw[0], 0.55 + 0.4 * draw[1], torch.stack([1e-4 * (1 + draw[2, 0]), draw[2, 1]])):
        a, error = float(a), 0.01 + 0.1 * float(error)
        mistakes = {
            "your factor is upside down: x0_hat is divided by sqrt(alpha_bar_t), so a small alpha_bar_t makes it large":
                error * math.sqrt(a / (1 - a)),
            "you forgot the roots: what stands before eps and x_0 in idea 1 are square roots": error * (1 - a) / a,
            "you forgot to divide by sqrt(alpha_bar_t): this is the error of the noise that is taken away": (
                error * math.sqrt(1 - a)
            ),
            "you forgot the factor sqrt(1 - alpha_bar_t) before eps_hat": error / math.sqrt(a),
            "this is the error of eps_hat itself; it is multiplied on its way into x0_hat": error,
            "you divide by alpha_bar_t; before x_0 stands its root": error * math.sqrt(1 - a) / a,
            "you have 1 - alpha_bar_t without its root": error * (1 - a) / math.sqrt(a),
            "this is the squared error; wanted is how far x0_hat is off, its root": error**2 * (1 - a) / a,
            "you wrote 1 - sqrt(alpha_bar_t) for sqrt(1 - alpha_bar_t); a root is no such thing": (
                error * (1 - math.sqrt(a)) / math.sqrt(a)
            ),
            "an error has a size here, no sign: return a positive number": -error * math.sqrt((1 - a) / a),
            "you return the factor alone; multiply it by the error of eps_hat": math.sqrt((1 - a) / a),
        }  # fmt: skip
        numbers = {why: torch.tensor(value, dtype=torch.float64) for why, value in mistakes.items()}
        want = torch.tensor(error * math.sqrt((1 - a) / a), dtype=torch.float64)
        diagnose(f"the error of x0_hat for alpha_bar_t = {a:.3g}", answer(a, error), want, numbers, tol=1e-5)
    return "At alpha_bar_t = 1/2 errors stay as they are; before that they shrink, after it they grow without bound."


@exercise
def check_unit_variance(answer: choice) -> str:
    """Check the choice: a pixel of variance 1 keeps it at all t, as alpha_bar_t + (1 - alpha_bar_t) = 1."""
    alpha_bar = GaussianDiffusion(linear_beta_schedule(100), dtype=torch.float64).alpha_bar
    variance = alpha_bar * 1 + (1 - alpha_bar)
    grows, falls = float(variance.diff().max()) > 1e-9, float(variance.diff().min()) < -1e-9
    right = {(False, False): "b", (True, False): "a", (False, True): "c", (True, True): "d"}[grows, falls]
    options = {
        "a": "noise adds variance, but x_0 is scaled down at the same time and loses some",
        "c": "x_0 fades, but the noise that comes in has a variance of its own",
        "d": "what x_0 loses and what the noise adds are equal at every t: alpha_bar_t and 1 - alpha_bar_t make 1",
    }
    reasons = {
        1: "the factors do not add up to 1 (at alpha_bar_t = 1/2 both are 0.71); it is their squares that do",
        2: "standard deviations of independent things do not add; variances do",
        4: "the mean says nothing about the variance, and here it is 0 at all t",
    }
    multiple_choice(answer, (right, 3), options, reasons)
    return "This is what the two roots are for: an x_t of variance 1 is what the network sees at every t."


@exercise(library=("ddpm_lite.plots",))
def check_factors_plot(answer: Callable[[torch.Tensor], Any]) -> str:
    """Check ``factors_plot(alpha_bar)``: the lines "image", sqrt(alpha_bar_t), and "noise", sqrt(1 - alpha_bar_t)."""
    generator = fresh_generator()
    beta = 0.02 + 0.2 * torch.rand(
        int(torch.randint(15, 30, (1,), generator=generator)), generator=generator, dtype=torch.float64
    )
    alpha_bar = GaussianDiffusion(beta, dtype=torch.float64).alpha_bar
    figure = answer(alpha_bar.clone())
    times = torch.arange(len(alpha_bar), dtype=torch.float64)
    image, noise = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    for label, want, other in (("image", image, noise), ("noise", noise, image)):
        x, y = curve(figure, label)
        if len(x) == len(times) - 1:
            raise WrongAnswer(f"the line {label!r} lacks a time: draw t = 0, the clean image, and all t up to T")
        diagnose(
            f"x of the line {label!r}",
            x,
            times,
            {f"the line {label!r} begins at t = 1; entry 0 of the table, the clean image, belongs to t = 0": times + 1,
             "your x is t / T; draw over t": times / times[-1]},
        )  # fmt: skip
        mistakes = {
            "your labels are swapped: the image has all at t = 0, the noise nothing": other,
            f"the line {label!r} lacks its root: the factors are square roots": want**2,
            f"the line {label!r} is its factor's square twice over: take the root of alpha_bar_t, no square": want**4,
        }
        if label == "noise":
            mistakes |= {
                "your noise is 1 - sqrt(alpha_bar_t); the factor is sqrt(1 - alpha_bar_t)": 1 - image,
                "your noise is sqrt(alpha_bar_t) - 1, upside down": image - 1,
                "you draw what is left of the variance for the noise, alpha_bar_t; the noise has 1 - alpha_bar_t": (
                    alpha_bar
                ),
                "your noise is the ratio sqrt(1 - alpha_bar_t) / sqrt(alpha_bar_t); draw the factor itself": (
                    noise / image
                ),
                "your noise is that of one step, sqrt(beta_t); by t all steps have added theirs": (
                    torch.cat([torch.zeros(1, dtype=torch.float64), beta.sqrt()])
                ),
            }
        else:
            mistakes["your image is the ratio sqrt(alpha_bar_t) / sqrt(1 - alpha_bar_t); draw the factor itself"] = (
                image / noise
            )
            mistakes["your image is what one step leaves, sqrt(1 - beta_t); take the table, what t steps leave"] = (
                torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).sqrt()])
            )
        diagnose(f"y of the line {label!r}", y, want, mistakes)
    return "They cross where the image has lost half of its variance, and their squares always make 1."
