"""Answers to the exercises that only the set of lesson 01 has: right ones in several forms, and named mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lite import plots
from ddpm_lite.checks import check_half_chain, check_log_snr_plot, choice


def drawn(
    y: Callable[[Tensor, Tensor], Any] | None = None, x: Callable[[int], Any] | None = None, label: str = "log SNR"
) -> Callable[[Tensor], Any]:
    """The right picture, of which one thing may be changed; y is a function of beta and alpha_bar, t = 1..T."""

    def answer(beta: Tensor) -> Any:
        figure, axis = plots.new_figure()
        alpha_bar = (1 - beta).cumprod(0)
        times = (x or (lambda T: range(1, T + 1)))(len(beta))
        axis.plot(times, (y or (lambda b, a: (a / (1 - a)).log()))(beta, alpha_bar), label=label)
        return figure

    return answer


def by_pyplot(beta: Tensor) -> Any:
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots()
    left, values = 1.0, []
    for b in beta.tolist():
        left *= 1 - b
        values.append(math.log(left) - math.log1p(-left))
    axis.plot([t + 1 for t in range(len(values))], values, "o-", label="log SNR")
    axis.axhline(0, color="grey", label="equal")
    return figure, axis


def by_logit(beta: Tensor) -> Any:
    from matplotlib.figure import Figure

    axis = Figure().subplots()
    axis.plot(torch.arange(1, len(beta) + 1), torch.logit((1 - beta.float()).cumprod(0)), label="log SNR")  # float32
    return axis


def with_the_clean_image(beta: Tensor) -> Any:
    """With t = 0, where the SNR is infinite."""
    figure, axis = plots.new_figure()
    alpha_bar = torch.cat([torch.ones(1), (1 - beta).cumprod(0)])
    axis.plot((alpha_bar / (1 - alpha_bar)).log(), label="log SNR")
    return figure


def product(beta: Tensor, alpha_bar: Tensor) -> Tensor:
    wrong = beta.cumprod(0)
    return (wrong / (1 - wrong)).log()


RIGHT: list[tuple[Any, Any]] = [
    (check_half_chain, choice("c", because=2)),
    (check_half_chain, choice(" C", 2)),
    (check_half_chain, ("c", 2)),
    (check_log_snr_plot, drawn()),
    (check_log_snr_plot, by_pyplot),
    (check_log_snr_plot, by_logit),
]

WRONG: list[tuple[Any, Any, str]] = [
    (check_half_chain, choice("a", because=1), "^not a: the two ends stay"),
    (check_half_chain, choice("b", because=2), "^not b: a sum halves"),
    (check_half_chain, choice("d", because=2), "^not d: its square would be smaller"),
    (check_half_chain, choice("c", because=1), "the average variance of a step"),
    (check_half_chain, choice("c", because=3), "is a root at every T"),
    (check_half_chain, choice("c", because=4), "what it falls to depends on all steps"),
    (check_half_chain, choice("f", because=2), "there is no option 'f'"),
    (check_half_chain, choice("c", because="2"), "there is no reason '2'"),
    (check_half_chain, "c", "answer as choice"),
    (check_log_snr_plot, drawn(lambda b, a: a / (1 - a)), "the SNR itself"),
    (check_log_snr_plot, drawn(lambda b, a: (a / (1 - a)).log10()), "base 10"),
    (check_log_snr_plot, drawn(lambda b, a: (a / (1 - a)).log2()), "base 2"),
    (check_log_snr_plot, drawn(lambda b, a: ((1 - a) / a).log()), "upside down"),
    (check_log_snr_plot, drawn(lambda b, a: (a / (1 - a)).sqrt().log()), "a ratio of rates"),
    (check_log_snr_plot, drawn(lambda b, a: a.log()), "divide by the noise's variance"),
    (check_log_snr_plot, drawn(lambda b, a: ((1 - b) / b).log()), "alpha_t and beta_t, one step"),
    (check_log_snr_plot, drawn(lambda b, a: (a / (1 - a).sqrt()).log()), "you divide by the noise rate"),
    (check_log_snr_plot, drawn(lambda b, a: (a / b).log()), "the noise of step t alone"),
    (check_log_snr_plot, drawn(product), "the product of the beta_t"),
    (check_log_snr_plot, drawn(x=range), "begins at t = 0"),
    (check_log_snr_plot, drawn(x=lambda T: torch.arange(1, T + 1) / T), "your x is t / T"),
    (check_log_snr_plot, with_the_clean_image, "begin at t = 1"),
    (check_log_snr_plot, drawn(label="SNR"), "no line with the label 'log SNR'; its labels are 'SNR'"),
    (check_log_snr_plot, lambda b: plots.show(drawn()(b)), "there is no figure"),
    (check_log_snr_plot, drawn(lambda b, a: (a / (1 - a)).log() + 1), "is wrong: where"),
]
