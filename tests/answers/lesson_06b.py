"""Answers to the further exercises of lesson 06: right ones in several forms, and mistakes with the words that name
them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_lite.checks import check_loss_curve, check_plot_loss_by_t, choice


@torch.no_grad()
def losses(
    model: Any, d: Any, x_0: Tensor, eps: Tensor, times: list[int], what: Callable[[Tensor], Any] | None = None,
    **change: Any,
) -> list[float]:  # fmt: skip
    """The loss at each time; ``what`` makes it of the errors, and parts of it may be changed."""
    signal, noise = d.sqrt_alpha_bar, d.sqrt_one_minus_alpha_bar
    signal = change.get("signal", lambda d: signal)(d)
    noise = change.get("noise", lambda d: noise)(d)
    values = []
    for time in times:
        t = change.get("at", lambda t, times: t)(time, times)
        e = torch.randn_like(eps) if change.get("own") else eps
        x_t = x_0 if change.get("clean") else signal[t] * x_0 + noise[t] * e
        told = torch.full((len(x_0),), change.get("told", lambda t: t)(t))
        error = (x_0 if change.get("image") else e) - model(x_t, told)
        values.append(float((what or (lambda error: error.square().mean()))(error)))
    return values


def plot(
    what: Callable[[Tensor], Any] | None = None, y: Callable[[list[float]], Any] = lambda y: y,
    x: Callable[[list[int], Any], Any] = lambda times, d: times, label: str = "loss", **change: Any,
) -> Callable[..., Figure]:  # fmt: skip
    """The right figure; one thing of it may be changed."""

    def answer(model: Any, diffusion: Any, x_0: Tensor, eps: Tensor, times: list[int]) -> Figure:
        figure = Figure()
        axis = figure.subplots()
        axis.plot(x(times, diffusion), y(losses(model, diffusion, x_0, eps, times, what, **change)), label=label)
        axis.set(xlabel="t", ylabel="loss")
        return figure

    return answer


def plot_by_pyplot(model: Any, diffusion: Any, x_0: Tensor, eps: Tensor, times: list[int]) -> Any:
    """In the current figure, points from the last time to the first, float32, q_sample; with another line beside."""
    curve = []
    for t in reversed(times):
        t_batch = torch.full((x_0.shape[0],), t)
        x_t = diffusion.q_sample(x_0, t_batch, eps)
        curve.append(((model(x_t, t_batch) - eps) ** 2).mean().detach().float())
    pyplot.plot(list(reversed(times)), curve, "o-", label="Loss")
    pyplot.axhline(1.0, label="a network that answers 0")
    pyplot.legend()
    return pyplot.gca()


def plot_at_once(model: Any, diffusion: Any, x_0: Tensor, eps: Tensor, times: list[int]) -> Any:
    """All times in one batch, in place, with numpy; (figure, axes), as subplots returns them."""
    n, B = len(times), len(x_0)
    t = torch.tensor(times).repeat_interleave(B)
    x, e = x_0.repeat(n, 1, 1, 1), eps.repeat(n, 1, 1, 1)
    x *= diffusion.alpha_bar[t].sqrt()[:, None, None, None]
    x += (1 - diffusion.alpha_bar[t]).sqrt()[:, None, None, None] * e
    with torch.no_grad():
        loss = torch.nn.functional.mse_loss(model(x, t), e, reduction="none").view(n, -1).mean(1).numpy()
    figure, axes = pyplot.subplots(1, 2)
    axes[0].semilogx(np.array(times), loss, label="loss")
    return figure, axes


def plot_by_library(model: Any, diffusion: Any, x_0: Tensor, eps: Tensor, times: list[int]) -> Any:
    figure = Figure()
    figure.subplots().plot(times, [diffusion.loss(model, x_0, t, eps).item() for t in times], label="loss")
    return figure


def plot_and_forget(*arguments: Any) -> None:
    plot()(*arguments)


def plot_scattered(model: Any, diffusion: Any, x_0: Tensor, eps: Tensor, times: list[int]) -> Any:
    figure = Figure()
    figure.subplots().scatter(times, losses(model, diffusion, x_0, eps, times), label="loss")
    return figure


def plot_with_an_int(model: Any, diffusion: Any, x_0: Tensor, eps: Tensor, times: list[int]) -> Any:
    return [model(diffusion.sqrt_alpha_bar[t] * x_0, t) for t in times]


def plot_with_one_t(model: Any, diffusion: Any, x_0: Tensor, eps: Tensor, times: list[int]) -> Any:
    return [model(x_0, torch.tensor([t])) for t in times]


def plot_with_floats(model: Any, diffusion: Any, x_0: Tensor, eps: Tensor, times: list[int]) -> Any:
    return [model(x_0, torch.full((len(x_0),), float(t))) for t in times]


def by_image(error: Tensor) -> Tensor:
    return error.square().sum((1, 2, 3)).mean()


def plot_swapped(model: Any, diffusion: Any, x_0: Tensor, eps: Tensor, times: list[int]) -> Any:
    figure = Figure()
    figure.subplots().plot(losses(model, diffusion, x_0, eps, times), times, label="loss")
    return figure


RIGHT: list[tuple[Any, Any]] = [
    (check_loss_curve, choice("b", because=1)),
    (check_loss_curve, choice(" B", 1)),
    (check_loss_curve, ("b", 1)),
    (check_plot_loss_by_t, plot()),
    (check_plot_loss_by_t, plot_by_pyplot),
    (check_plot_loss_by_t, plot_at_once),
]

WRONG: list[tuple[Any, Any, str]] = [
    (check_loss_curve, choice("a", because=1), "learns its images by heart"),
    (check_loss_curve, choice("c", because=1), "no sign of a plateau"),
    (check_loss_curve, choice("d", because=1), "Luck|luck of single batches"),
    (check_loss_curve, choice("b", because=2), "smaller steps go less far"),
    (check_loss_curve, choice("b", because=3), "the loss of the raw weights"),
    (check_loss_curve, choice("b", because=4), "the typical size of the gradient"),
    (check_loss_curve, choice("e", because=1), "there is no option 'e'"),
    (check_loss_curve, choice("b", because=5), "there is no reason 5"),
    (check_loss_curve, "b", r'answer as choice\("a", because=1\)'),
    (check_plot_loss_by_t, plot_by_library, "your answer calls diffusion.loss"),
    (check_plot_loss_by_t, plot(lambda e: e.square().sum()), "your loss is the sum of the squares"),
    (check_plot_loss_by_t, plot(by_image), "you add up the squares of each image"),
    (check_plot_loss_by_t, plot(lambda e: e.square().mean().sqrt()), "the root of the loss"),
    (check_plot_loss_by_t, plot(y=lambda y: [math.log(v) for v in y]), "the logarithm of the loss"),
    (check_plot_loss_by_t, plot(y=np.log10), "the logarithm of base 10"),
    (check_plot_loss_by_t, plot(lambda e: e.abs().mean()), "the absolute error"),
    (check_plot_loss_by_t, plot(y=lambda y: [v / sum(y) for v in y]), "these are shares"),
    (check_plot_loss_by_t, plot(y=np.cumsum), "all times so far"),
    (check_plot_loss_by_t, plot(y=lambda y: y[::-1]), "in falling order"),
    (check_plot_loss_by_t, plot(lambda e: e[0].square().mean()), "the first image alone"),
    (check_plot_loss_by_t, plot(lambda e: e.mean().square()), "errors of both signs cancel"),
    (check_plot_loss_by_t, plot(image=True), "you compare its answer with x_0"),
    (check_plot_loss_by_t, plot(clean=True), "you show the network x_0"),
    (check_plot_loss_by_t, plot(signal=lambda d: d.alpha_bar, noise=lambda d: 1 - d.alpha_bar), "they need their root"),
    (check_plot_loss_by_t, plot(noise=lambda d: 1 - d.alpha_bar), "the rate of your noise lacks its root"),
    (
        check_plot_loss_by_t,
        plot(signal=lambda d: d.sqrt_one_minus_alpha_bar, noise=lambda d: d.sqrt_alpha_bar),
        "the two rates are swapped",
    ),
    (check_plot_loss_by_t, plot(told=lambda t: t - 1), "the network is told t - 1"),
    (check_plot_loss_by_t, plot(told=lambda t: t + 1, at=lambda t, times: t - 1), "your rates are those of t - 1"),
    (check_plot_loss_by_t, plot(told=lambda t: t - 1, at=lambda t, times: t + 1), r"your rates are those of t \+ 1"),
    (check_plot_loss_by_t, plot(at=lambda t, times: t - 1), "that of t - 1 throughout"),
    (check_plot_loss_by_t, plot(at=lambda t, times: times[0]), "all times have the loss of the first"),
    (check_plot_loss_by_t, plot(at=lambda t, times: times[-1]), "all times have the loss of the last"),
    (check_plot_loss_by_t, plot(own=True), "two calls gave two curves"),
    (check_plot_loss_by_t, plot(x=lambda times, d: range(len(times))), "your x counts the times, 0, 1, 2"),
    (check_plot_loss_by_t, plot(x=lambda times, d: range(1, len(times) + 1)), "your x counts the times, 1, 2, 3"),
    (check_plot_loss_by_t, plot(x=lambda times, d: [t / d.T for t in times]), "your x is t / T"),
    (check_plot_loss_by_t, plot(x=lambda times, d: [t - 1 for t in times]), "your x is t - 1"),
    (check_plot_loss_by_t, plot(x=lambda times, d: np.log(times)), "your x is the logarithm"),
    (check_plot_loss_by_t, plot(x=lambda times, d: [2 * t for t in times]), "your x should be the times"),
    (check_plot_loss_by_t, plot_swapped, "your x and y are swapped"),
    (check_plot_loss_by_t, plot(x=lambda times, d: times[:-1], y=lambda y: y[:-1]), "has 6 points; there are 7 times"),
    (check_plot_loss_by_t, plot(label="mse"), "no line with the label 'loss'; its labels are 'mse'"),
    (check_plot_loss_by_t, plot_and_forget, "there is no figure: does your function return it"),
    (check_plot_loss_by_t, plot_scattered, "has no lines at all|no line"),
    (check_plot_loss_by_t, plot_with_an_int, "wants its t as a tensor, one for each image"),
    (check_plot_loss_by_t, plot_with_one_t, "wants t of shape"),
    (check_plot_loss_by_t, plot_with_floats, "wants t as int64"),
    (
        check_plot_loss_by_t,
        lambda model, d, x_0, eps, times: losses(model, d, x_0, eps, times),
        "return a matplotlib Fig",
    ),
]
