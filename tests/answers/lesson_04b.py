"""Answers to the further exercises of lesson 04: right ones in several forms, and mistakes with the words that name
them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_lite.checks import check_dropped_weights, check_loss_by_time, choice


def loss_by_time(model: Any, x_0: Tensor, alpha_bar: Tensor, generator: torch.Generator) -> Any:
    snr, loss = alpha_bar / (1 - alpha_bar), []
    times = range(1, len(alpha_bar))
    for t in times:
        eps = torch.randn(x_0.shape, generator=generator)
        x_t = alpha_bar[t].sqrt() * x_0 + (1 - alpha_bar[t]).sqrt() * eps
        eps_hat = model(x_t, torch.full((len(x_0),), t))
        loss.append((eps - eps_hat).square().mean())
    figure, axis = plt.subplots()
    axis.plot(times, loss, label="L_simple")
    axis.plot(times[1:], [(snr[t - 1] / snr[t] - 1) / 2 * loss[t - 1] for t in times[1:]], label="bound")
    axis.set_yscale("log")
    return figure


def all_at_once(model: Any, x_0: Tensor, alpha_bar: Tensor, generator: torch.Generator) -> Any:
    """One call for all t, other variances for w_t, from T down, in two panels."""
    T, B = len(alpha_bar) - 1, len(x_0)
    t = torch.arange(T, 0, -1).repeat_interleave(B)
    clean = x_0.repeat(T, 1, 1, 1)
    eps = torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    a = alpha_bar[t][:, None, None, None]
    square = (model(a**0.5 * clean + (1 - a) ** 0.5 * eps, t) - eps).pow(2).reshape(T, -1).mean(1)
    before, after = alpha_bar[:-1].flip(0)[:-1], alpha_bar[1:].flip(0)[:-1]
    beta = 1 - after / before
    weight = beta / (2 * (1 - beta) * (1 - before))
    figure, (left, right) = plt.subplots(1, 2)
    left.semilogy(t[::B], square, label="L_simple")
    right.plot(t[::B][:-1], weight * square[:-1], "o-", label="bound")
    return figure, (left, right)


def image_by_image(model: Any, x_0: Tensor, alpha_bar: Tensor, generator: torch.Generator) -> Any:
    """In float32, one image at a time, averaged over three draws; an Axes without pyplot."""
    x, y, z = [], [], []
    table = alpha_bar.float().tolist()
    for t in range(1, len(table)):
        total = 0.0
        for image in x_0.float():
            for _ in range(3):
                eps = torch.empty_like(image).normal_(generator=generator)
                x_t = math.sqrt(table[t]) * image + math.sqrt(1 - table[t]) * eps
                total += float(torch.nn.functional.mse_loss(model(x_t[None], torch.tensor([t]))[0], eps))
        x, y = [*x, t], [*y, total / len(x_0) / 3]
        z += [y[-1] * 0.5 * (table[t - 1] * (1 - table[t]) / (1 - table[t - 1]) / table[t] - 1)] if t > 1 else []
    axis = Figure().add_subplot()
    axis.plot(x, y, label="L_simple"), axis.plot(x[1:], z, label="bound"), axis.axhline(1)
    return axis


def wrong(
    *,
    x_t: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
    loss: Callable[..., Tensor] | None = None,
    weight: Callable[[Tensor], Tensor] | None = None,
    bound: Callable[[Tensor, Tensor], Tensor] | None = None,
    line: Callable[[Tensor], Tensor] = lambda y: y,
    draw: Callable[..., Tensor] = torch.randn,
    noise: Callable[[Tensor], Tensor] = lambda x_0: x_0,
    tell: int = 0,
    read: int = 0,
    plot: str = "",
) -> Callable[..., Any]:
    """An answer with one mistake."""

    def run(model: Any, x_0: Tensor, alpha_bar: Tensor, generator: torch.Generator) -> Any:
        T, y = len(alpha_bar) - 1, []
        for t in range(1, T + 1):
            a = alpha_bar[t + read]
            eps = draw(noise(x_0).shape, generator=generator, dtype=torch.float64).expand(x_0.shape)
            noisy = (x_t or (lambda a, x, e: a.sqrt() * x + (1 - a).sqrt() * e))(a, x_0, eps)
            eps_hat = model(noisy, torch.full((len(x_0),), t + tell))
            if loss is not None:
                y.append(loss(eps, eps_hat, x_0, noisy, generator))
            else:
                y.append((eps - eps_hat).square().mean())
        values, snr = torch.stack(y), alpha_bar[1:] / (1 - alpha_bar[1:])
        w = weight(snr) if weight else (snr[:-1] / snr[1:] - 1) / 2
        second = bound(w, values[1:]) if bound else w * values[1:]
        t, first = torch.arange(1, T + 1), line(values)
        figure, axis = plt.subplots()
        axis.plot(t - int(plot == "from 0"), first, label="simple" if plot == "label" else "L_simple")
        if plot == "inf":
            axis.plot(t, torch.cat([torch.tensor([math.inf]), second]), label="bound")
        elif plot != "one line":
            axis.plot(t[1:] - 2 * int(plot == "bound from 0"), second, label="bound")
        return None if plot == "none" else figure

    return run


def other_noise(eps: Tensor, eps_hat: Tensor, x_0: Tensor, x_t: Tensor, generator: torch.Generator) -> Tensor:
    return (torch.randn(eps.shape, generator=generator) - eps_hat).square().mean()


def number_for_t(model: Any, x_0: Tensor, alpha_bar: Tensor, generator: torch.Generator) -> Any:
    return model(x_0, 1)


def one_t(model: Any, x_0: Tensor, alpha_bar: Tensor, generator: torch.Generator) -> Any:
    return model(x_0, torch.tensor([1]))


def global_draws(model: Any, x_0: Tensor, alpha_bar: Tensor, generator: torch.Generator) -> Any:
    return loss_by_time(model, x_0, alpha_bar, torch.default_generator)


def never_asks(model: Any, x_0: Tensor, alpha_bar: Tensor, generator: torch.Generator) -> Any:
    return loss_by_time(lambda x, t: 0 * x, x_0, alpha_bar, generator)


def uniform_t(model: Any, x_0: Tensor, alpha_bar: Tensor, generator: torch.Generator) -> Any:
    """Training's own draw of t, with which some t do not come up."""
    return loss_by_time(lambda x, t: model(x, torch.ones_like(t)), x_0, alpha_bar, generator)


RIGHT: list[tuple[Any, Any]] = [
    (check_loss_by_time, loss_by_time),
    (check_loss_by_time, all_at_once),
    (check_loss_by_time, image_by_image),
    (check_dropped_weights, choice("a", because=1)),
    (check_dropped_weights, choice(" A", 1)),
    (check_dropped_weights, ("a", 1)),
]

WRONG: list[tuple[Any, Any, str]] = [
    (check_loss_by_time, wrong(x_t=lambda a, x, e: a * x + (1 - a) * e), "lacks both roots"),
    (check_loss_by_time, wrong(x_t=lambda a, x, e: a.sqrt() * x + (1 - a) * e), "your noise rate lacks its root"),
    (check_loss_by_time, wrong(x_t=lambda a, x, e: a * x + (1 - a).sqrt() * e), "your signal rate lacks its root"),
    (check_loss_by_time, wrong(x_t=lambda a, x, e: (1 - a).sqrt() * x + a.sqrt() * e), "your two rates are swapped"),
    (check_loss_by_time, wrong(x_t=lambda a, x, e: x + (1 - a).sqrt() * e), "all of x_0 in it"),
    (check_loss_by_time, wrong(x_t=lambda a, x, e: a.sqrt() * x + e), "all of eps in it"),
    (check_loss_by_time, wrong(read=-1), "the table's entry t - 1"),
    (check_loss_by_time, wrong(tell=-1), r"about t = 0 \.\. T - 1"),
    (check_loss_by_time, wrong(loss=lambda e, hat, x, n, g: (x - hat).square().mean()), "compare the answer with x_0"),
    (check_loss_by_time, wrong(loss=lambda e, hat, x, n, g: (n - hat).square().mean()), "compare the answer with x_t"),
    (check_loss_by_time, wrong(loss=lambda e, hat, *_: (e - hat).square().sum() / len(e)), "you sum over the pixels"),
    (check_loss_by_time, wrong(loss=lambda e, hat, *_: (e - hat).square().sum()), "you sum over batch and pixels"),
    (check_loss_by_time, wrong(loss=lambda e, hat, *_: (e - hat).square().mean((1, 2, 3)).sum()), "over the batch;"),
    (check_loss_by_time, wrong(loss=lambda e, hat, *_: (e - hat).abs().mean()), "the absolute error"),
    (check_loss_by_time, wrong(loss=lambda e, hat, *_: (e - hat).square().mean().sqrt()), "you took the root"),
    (check_loss_by_time, wrong(loss=lambda e, hat, *_: (e - hat).square().mean() / 2), "a factor 1/2"),
    (
        check_loss_by_time,
        wrong(loss=lambda e, hat, *_: (e - hat).mean((1, 2, 3)).square().mean()),
        "over the pixels before",
    ),
    (check_loss_by_time, wrong(loss=lambda e, hat, *_: (e - hat).mean().square()), "you averaged before squaring"),
    (check_loss_by_time, wrong(loss=lambda e, hat, *_: (e - hat)[0].square().mean()), "only the first image"),
    (check_loss_by_time, wrong(loss=other_noise), "not the noise in x_t"),
    (check_loss_by_time, wrong(line=torch.log), "you drew the logarithm; draw the loss itself"),
    (check_loss_by_time, wrong(line=lambda y: y / y.mean()), "divided by its sum or mean"),
    (check_loss_by_time, wrong(line=lambda y: y.mean().expand(len(y))), "the mean over all t, everywhere"),
    (check_loss_by_time, wrong(line=lambda y: y.cumsum(0)), "the sum over t so far"),
    (check_loss_by_time, wrong(line=lambda y: y.flip(0)), "runs from t = T down"),
    (check_loss_by_time, wrong(draw=torch.rand), r"torch\.rand is uniform"),
    (check_loss_by_time, wrong(noise=lambda x_0: x_0[:1]), "all images get the same noise"),
    (check_loss_by_time, wrong(noise=lambda x_0: x_0[:, :1, :1, :1]), "one number for an image"),
    (check_loss_by_time, wrong(plot="from 0"), "lies over 0, 1"),
    (check_loss_by_time, wrong(plot="bound from 0"), r"'bound' lies over 0, 1.*from 2"),
    (check_loss_by_time, wrong(plot="label"), "no line with the label 'L_simple'"),
    (check_loss_by_time, wrong(plot="one line"), "no line with the label 'bound'"),
    (check_loss_by_time, wrong(plot="inf"), "begins at t = 1, where SNR_0 is infinite"),
    (check_loss_by_time, wrong(plot="none"), "does your function return it"),
    (check_loss_by_time, number_for_t, r"int64 tensor \(8,\), one t for each image; got int"),
    (check_loss_by_time, one_t, r"int64 tensor \(8,\), one t for each image; got torch.int64 of shape \(1,\)"),
    (check_loss_by_time, global_draws, "draw with generator=generator"),
    (check_loss_by_time, never_asks, "you never call model"),
    (check_loss_by_time, uniform_t, "you never ask the model about t = 2"),
    (check_loss_by_time, wrong(bound=lambda w, y: y), "your two lines are the same"),
    (check_loss_by_time, wrong(bound=lambda w, y: w), "w_t alone"),
    (check_loss_by_time, wrong(bound=lambda w, y: y / w), "you divide by w_t"),
    (check_loss_by_time, wrong(weight=lambda s: s[:-1] / s[1:] - 1), "lacks the factor 1/2"),
    (check_loss_by_time, wrong(weight=lambda s: s[:-1] / s[1:] / 2), "lacks the -1"),
    (check_loss_by_time, wrong(weight=lambda s: (s[1:] / s[:-1] - 1) / 2), "your ratio is upside down"),
    (check_loss_by_time, wrong(weight=lambda s: (s[:-1] - s[1:]) / 2), r"the weight of \|x_0 - x0_hat\|\^2"),
    (check_loss_by_time, wrong(bound=lambda w, y: w.flip(0) * y), "run from t = T down"),
    (check_loss_by_time, wrong(bound=lambda w, y: w / w.mean() * y), "your w_t is scaled to mean 1"),
    (check_loss_by_time, wrong(bound=lambda w, y: w * y / math.log(2)), "your line is in bits"),
    (check_dropped_weights, choice("b", because=1), "not b: at t = 2 the bound's weight is 59 times its mean"),
    (check_dropped_weights, choice("b", because=2), "not b"),
    (check_dropped_weights, choice("c", because=3), "not c: the weight is no constant"),
    (check_dropped_weights, choice("d", because=4), "not d: each t from 1 to T has weight 1"),
    (check_dropped_weights, choice("a", because=2), "not because of 2: the error of eps_hat is smallest at large t"),
    (check_dropped_weights, choice("a", because=3), "not because of 3: true for a network that could do everything"),
    (check_dropped_weights, choice("a", because=4), "not because of 4: true, and so in both losses"),
    (check_dropped_weights, choice("e", because=1), "there is no option 'e'"),
    (check_dropped_weights, choice("a", because=5), "there is no reason 5"),
    (check_dropped_weights, "a", "answer as choice"),
]
