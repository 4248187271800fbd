"""The exercises that only the set of lesson 01 has: half a chain, and the SNR as a curve."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from ..schedules import linear_beta_schedule
from .machinery import WrongAnswer, choice, curve, diagnose, exercise, fresh_generator, multiple_choice

__all__ = ["check_half_chain", "check_log_snr_plot"]


@exercise
def check_half_chain(answer: choice) -> str:
    """Check the choice: with T halved and the same two ends, alpha_bar_T becomes (about) its own square root."""
    long, short = (float((1 - linear_beta_schedule(T, rescale=False)).log().sum()) for T in (1000, 500))
    claims = {"a": long, "b": math.log(2) + long, "c": long / 2, "d": 2 * long}  # log alpha_bar_T at T = 500
    right = min(claims, key=lambda letter: abs(claims[letter] - short))
    options = {
        "a": f"the two ends stay, but alpha_bar_T is a product over all steps, and half of them are gone: "
        f"at T = 500 it is {math.exp(short):.2g}, at T = 1000 {math.exp(long):.2g}",
        "b": "a sum halves when half of its terms go; alpha_bar_T is a product. Halve its logarithm",
        "d": "its square would be smaller, less signal, as if the chain had become longer",
    }
    reasons = {
        1: "the average variance of a step, (beta_1 + beta_T) / 2, has not changed; the number of steps has",
        3: "the rate sqrt(alpha_bar_T) is a root at every T; this says nothing about two values of T",
        4: "alpha_bar does fall from 1, but what it falls to depends on all steps",
    }
    multiple_choice(answer, (right, 2), options, reasons)
    return f"From {math.exp(long):.1e} to {math.exp(short):.1e}: 160 times the signal, unless beta is multiplied by 2."


@exercise(library=("ddpm_lite.plots",))
def check_log_snr_plot(answer: Callable[[torch.Tensor], Any]) -> str:
    """Check ``log_snr_plot(beta)``: a figure whose line "log SNR" is log(alpha_bar_t / (1 - alpha_bar_t)), t = 1..T."""
    generator = fresh_generator()
    T = int(torch.randint(20, 40, (1,), generator=generator))
    beta = 0.02 + 0.2 * torch.rand(T, generator=generator, dtype=torch.float64)
    x, y = curve(answer(beta.clone()), "log SNR")
    alpha_bar, times = (1 - beta).cumprod(0), torch.arange(1, T + 1, dtype=torch.float64)
    if len(x) == T + 1:
        raise WrongAnswer(
            "your line has T + 1 points; at t = 0 there is no noise and the SNR is infinite: begin at t = 1"
        )
    want = (alpha_bar / (1 - alpha_bar)).log()
    alpha = 1 - beta
    diagnose(
        "x of the line",
        x,
        times,
        {"your line begins at t = 0; the first entry of beta belongs to t = 1": times - 1,
         "your x is t / T; draw over t": times / T},
    )  # fmt: skip
    mistakes = {
        "your line is the SNR itself; draw its logarithm": want.exp(),
        "your logarithm has base 10; draw the natural one, torch.log": want / math.log(10),
        "your logarithm has base 2; draw the natural one, torch.log": want / math.log(2),
        "your line is upside down: the SNR is signal over noise": -want,
        "your line is the logarithm of a ratio of rates; the SNR is a ratio of variances, its square": want / 2,
        "you draw log alpha_bar_t; divide by the noise's variance, 1 - alpha_bar_t, first": alpha_bar.log(),
        "you take alpha_t and beta_t, one step; the SNR at t is what all t steps leave: alpha_bar_t": (
            (alpha / beta).log()
        ),
        "you divide by the noise rate, sqrt(1 - alpha_bar_t); the SNR has its square": (
            (alpha_bar / (1 - alpha_bar).sqrt()).log()
        ),
        "you divide alpha_bar_t by beta_t, the noise of step t alone; all t steps have added noise": (
            (alpha_bar / beta).log()
        ),
    }
    mistakes["your alpha_bar is the product of the beta_t; it is the product of 1 - beta_t"] = (
        beta.cumprod(0) / (1 - beta.cumprod(0))
    ).log()
    diagnose("y of the line", y, want, mistakes)
    return "It falls through 0 where noise overtakes signal; on this axis schedules are easy to compare."
