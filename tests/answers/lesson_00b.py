"""Answers to the exercises that only the set of lesson 00 has: right ones in several forms, and named mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lite import plots
from ddpm_lite.checks import check_error_of_guess, check_factors_plot, check_unit_variance, choice


def by_two_guesses(alpha_bar_t: float, error: float) -> Tensor:
    """Guess twice, with the true noise and with one that is off."""
    x_t, eps, left = torch.tensor(0.3, dtype=torch.float64), 0.7, torch.tensor(alpha_bar_t, dtype=torch.float64)
    first, second = ((x_t - (1 - left).sqrt() * e) / left.sqrt() for e in (eps, eps + error))
    return (first - second).abs()


def by_gradient(alpha_bar_t: float, error: float) -> Any:
    eps = torch.zeros((), requires_grad=True)  # float32
    guess = (1 - math.sqrt(1 - alpha_bar_t) * eps) / math.sqrt(alpha_bar_t)
    return abs(torch.autograd.grad(guess, eps)[0].item()) * error


def drawn(
    image: Callable[[Tensor], Any] | None = None, noise: Callable[[Tensor], Any] | None = None,
    times: Callable[[int], Any] = range, labels: tuple[str, str] = ("image", "noise"), start: int = 0,
) -> Callable[[Tensor], Any]:  # fmt: skip
    """The right picture, of which one thing may be changed."""

    def answer(alpha_bar: Tensor) -> Any:
        figure, axis = plots.new_figure()
        x = list(times(len(alpha_bar)))[start:]
        axis.plot(x, (image or (lambda a: a.sqrt()))(alpha_bar)[start:], label=labels[0])
        axis.plot(x, (noise or (lambda a: (1 - a).sqrt()))(alpha_bar)[start:], label=labels[1])
        return figure

    return answer


def by_pyplot(alpha_bar: Tensor) -> Any:
    import matplotlib.pyplot as plt

    a = alpha_bar.numpy()
    plt.figure()
    plt.plot(a**0.5, label="image")
    plt.plot((1 - a) ** 0.5, label="noise")
    plt.legend()
    return plt.gca()


def in_two_axes(alpha_bar: Tensor) -> Any:
    from matplotlib.figure import Figure

    figure = Figure()
    left, right = axes = figure.subplots(1, 2)
    for t, a in enumerate(alpha_bar.tolist()):  # dots, of which none is a line with the label
        left.plot([t], [a], "o")
    left.plot(range(len(alpha_bar)), [math.sqrt(a) for a in alpha_bar.tolist()], label="Image")
    right.plot(range(len(alpha_bar)), [math.sqrt(1 - a) for a in alpha_bar.tolist()], label="Noise")
    return axes


def steps(alpha_bar: Tensor) -> Tensor:
    """alpha_t, with 1 in front."""
    return torch.cat([alpha_bar[:1], alpha_bar[1:] / alpha_bar[:-1]])


def only_image(alpha_bar: Tensor) -> Any:
    figure, axis = plots.new_figure()
    axis.plot(alpha_bar.sqrt(), label="image")
    return figure


def without_labels(alpha_bar: Tensor) -> Any:
    figure, axis = plots.new_figure()
    axis.plot(alpha_bar.sqrt())
    axis.plot((1 - alpha_bar).sqrt())
    axis.legend(["picture", "noise"])
    return figure


def ratio(alpha_bar_t: float) -> float:
    return math.sqrt(1 - alpha_bar_t) / math.sqrt(alpha_bar_t)


RIGHT: list[tuple[Any, Any]] = [
    (check_error_of_guess, lambda a, error: ((1 - a) / a) ** 0.5 * error),
    (check_error_of_guess, lambda a, error: torch.tensor(1 / a - 1).sqrt() * error),  # float32
    (check_error_of_guess, by_two_guesses),
    (check_error_of_guess, by_gradient),
    (check_unit_variance, choice("b", because=3)),
    (check_unit_variance, choice("B", 3)),
    (check_unit_variance, ("b", 3)),
    (check_factors_plot, drawn()),
    (check_factors_plot, by_pyplot),
    (check_factors_plot, in_two_axes),
    (check_factors_plot, lambda alpha_bar: drawn(labels=("Image", "NOISE"))(alpha_bar).axes),
]

WRONG: list[tuple[Any, Any, str]] = [
    (check_error_of_guess, lambda a, error: error / ratio(a), "upside down"),
    (check_error_of_guess, lambda a, error: error * ratio(a) ** 2, "you forgot the roots"),
    (check_error_of_guess, lambda a, error: error * math.sqrt(1 - a), "forgot to divide by sqrt"),
    (check_error_of_guess, lambda a, error: error / math.sqrt(a), r"forgot the factor sqrt\(1 - alpha_bar_t\)"),
    (check_error_of_guess, lambda a, error: error, "the error of eps_hat itself"),
    (check_error_of_guess, lambda a, error: error * math.sqrt(1 - a) / a, "before x_0 stands its root"),
    (check_error_of_guess, lambda a, error: error * (1 - a) / math.sqrt(a), "1 - alpha_bar_t without its root"),
    (check_error_of_guess, lambda a, error: (error * ratio(a)) ** 2, "this is the squared error"),
    (check_error_of_guess, lambda a, error: error * (1 - a**0.5) / a**0.5, "a root is no such thing"),
    (check_error_of_guess, lambda a, error: -error * ratio(a), "no sign"),
    (check_error_of_guess, lambda a, error: ratio(a), "the factor alone"),
    (check_error_of_guess, lambda a, error: print(error), "return its result"),
    (check_error_of_guess, lambda a, error: error + ratio(a), "is wrong: where"),
    (check_unit_variance, choice("a", because=3), "^not a: noise adds variance, but x_0 is scaled down"),
    (check_unit_variance, choice("c", because=1), "^not c: x_0 fades, but the noise"),
    (check_unit_variance, choice("d", because=2), "^not d: what x_0 loses"),
    (check_unit_variance, choice("b", because=1), "the factors do not add up to 1"),
    (check_unit_variance, choice("b", because=2), "standard deviations of independent things"),
    (check_unit_variance, choice("b", because=4), "the mean says nothing about the variance"),
    (check_unit_variance, choice("e", because=3), "there is no option 'e'"),
    (check_unit_variance, choice("b", because=0), "there is no reason 0"),
    (check_unit_variance, "b", "answer as choice"),
    (check_factors_plot, drawn(labels=("noise", "image")), "your labels are swapped"),
    (check_factors_plot, drawn(image=lambda a: a), "the line 'image' lacks its root"),
    (check_factors_plot, drawn(noise=lambda a: 1 - a), "the line 'noise' lacks its root"),
    (check_factors_plot, drawn(image=lambda a: a**2), "'image' is its factor's square twice over"),
    (check_factors_plot, drawn(noise=lambda a: 1 - a.sqrt()), r"your noise is 1 - sqrt\(alpha_bar_t\)"),
    (check_factors_plot, drawn(noise=lambda a: a.sqrt() - 1), "upside down"),
    (check_factors_plot, drawn(noise=lambda a: a), "what is left of the variance for the noise"),
    (check_factors_plot, drawn(noise=lambda a: ((1 - a) / a).sqrt()), "your noise is the ratio"),
    (check_factors_plot, drawn(noise=lambda a: (1 - steps(a)).sqrt()), "your noise is that of one step"),
    (check_factors_plot, drawn(image=lambda a: steps(a).sqrt()), "your image is what one step leaves"),
    (check_factors_plot, drawn(start=1), "lacks a time"),
    (check_factors_plot, drawn(times=lambda n: range(1, n + 1)), "begins at t = 1"),
    (check_factors_plot, drawn(times=lambda n: torch.linspace(0, 1, n)), "your x is t / T"),
    (check_factors_plot, only_image, "no line with the label 'noise'; its labels are 'image'"),
    (check_factors_plot, without_labels, "none of its lines has a label: axis.plot"),
    (check_factors_plot, lambda a: (drawn()(a), None)[1], "there is no figure"),
    (check_factors_plot, lambda a: a.sqrt(), "return a matplotlib Figure or Axes, got Tensor"),
    (check_factors_plot, drawn(image=lambda a: a.sqrt() + 0.1), "is wrong: where"),
]
