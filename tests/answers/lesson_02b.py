"""Answers to the further exercises of lesson 02: right ones in several forms, and mistakes with their messages."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_lite import plots
from ddpm_lite.checks import check_film_or_walk, check_spread, choice

GENERATOR = torch.Generator().manual_seed(0)


def noise(x: Tensor) -> Tensor:
    return torch.randn(x.shape, dtype=x.dtype, generator=GENERATOR)


def walk(x: Tensor, a: Tensor, keep: Any = None, add: Any = None) -> list[Tensor]:
    """States x_0 to x_T; keep and add make the two rates of a step from alpha_t and beta_t."""
    states = [x]
    for t in range(1, len(a)):
        alpha = a[t] / a[t - 1]
        x = (keep or torch.sqrt)(alpha) * x + (add or torch.sqrt)(1 - alpha) * noise(x)
        states.append(x)
    return states


def closed_form(x_0: Tensor, a: Tensor) -> Tensor:
    return (a * x_0.var() + 1 - a).sqrt()


def draw(measured: Any, formula: Any, t: Any = None, labels: tuple[str, str] = ("walk", "formula")) -> Figure:
    figure, axis = plots.new_figure()
    t = range(len(formula)) if t is None else t
    axis.plot(t, measured, label=labels[0])
    axis.plot(t, formula, label=labels[1])
    return figure


def spread(
    states: Callable[[Tensor, Tensor], Any] = walk, formula: Callable[[Tensor, Tensor], Any] = closed_form,
    of: Callable[[Tensor], Any] = torch.std, **options: Any,
) -> Callable[[Tensor, Tensor], Figure]:  # fmt: skip
    """An answer with these parts, some of them as a student might write them."""
    return lambda x_0, a: draw([float(of(x)) for x in states(x_0, a)], formula(x_0, a), **options)


def spread_in_place(x_0: Tensor, alpha_bar: Tensor) -> Any:
    """Single precision, in place, y alone; pyplot's figure; variances divided by n."""
    v, x, y = x_0.float().var(correction=0), x_0.float(), []
    beta = 1 - (alpha_bar[1:] / alpha_bar[:-1]).float()
    for b in [torch.zeros(()), *beta]:
        x.mul_((1 - b).sqrt())
        x += b.sqrt() * torch.randn(len(x), generator=GENERATOR)
        y.append(x.std(correction=0))
    figure, axis = plt.subplots()
    axis.plot(torch.stack(y), label="walk")
    axis.plot((alpha_bar.float() * v + 1 - alpha_bar.float()) ** 0.5, "--", label="formula")
    axis.legend()
    plt.close(figure)
    return figure


def spread_walker_by_walker(x_0: Tensor, alpha_bar: Tensor) -> Any:
    """Loops over numbers, numpy for the rest; returns the axes."""
    a, rng = alpha_bar.tolist(), np.random.default_rng(1)
    rates = [(math.sqrt(y / x), math.sqrt(1 - y / x)) for x, y in zip(a[:-1], a[1:], strict=True)]
    walks = []
    for x, noises in zip(x_0.tolist(), rng.standard_normal((len(x_0), len(rates))).tolist(), strict=True):
        path = [x]
        for (signal, noise), eps in zip(rates, noises, strict=True):
            path += [signal * path[-1] + noise * eps]
        walks.append(path)
    paths = np.array(walks).T
    axis = Figure().subplots()
    axis.plot(np.arange(len(a)), np.sqrt(np.array(a) * x_0.numpy().var() + 1 - np.array(a)), label="formula")
    axis.plot(np.arange(len(a)), paths.std(axis=1), ".", label="walk")
    axis.axhline(1, color="gray")
    return axis


def jump(x_0: Tensor, a: Tensor) -> list[Tensor]:
    return [s.sqrt() * x_0 + (1 - s).sqrt() * noise(x_0) for s in a]


def one_noise_jump(x_0: Tensor, a: Tensor) -> list[Tensor]:
    eps = noise(x_0)
    return [s.sqrt() * x_0 + (1 - s).sqrt() * eps for s in a]


def one_noise_walk(x: Tensor, a: Tensor) -> list[Tensor]:
    eps, states = noise(x), [x]
    for t in range(1, len(a)):
        x = (a[t] / a[t - 1]).sqrt() * x + (1 - a[t] / a[t - 1]).sqrt() * eps
        states.append(x)
    return states


def one_noise_for_all_walkers(x: Tensor, a: Tensor) -> list[Tensor]:
    return [x] + [s.sqrt() * x + (1 - s).sqrt() * torch.randn(1, generator=GENERATOR) for s in a[1:]]


def rates_of_the_jump(x: Tensor, a: Tensor) -> list[Tensor]:
    states = [x]
    for s in a[1:]:
        x = s.sqrt() * x + (1 - s).sqrt() * noise(x)
        states.append(x)
    return states


def difference_for_beta(x: Tensor, a: Tensor) -> list[Tensor]:
    states = [x]
    for t in range(1, len(a)):
        beta = a[t - 1] - a[t]
        x = (1 - beta).sqrt() * x + beta.sqrt() * noise(x)
        states.append(x)
    return states


def one_step_late(x: Tensor, a: Tensor) -> list[Tensor]:
    alpha = a[1:] / a[:-1]
    fake = torch.cat([a[:1], alpha[:1], alpha[:-1]]).cumprod(0)
    return walk(x, fake)


def same(x: Any) -> Any:
    return x


def by(text: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A formula in a, the table, and v, s, m: variance, standard deviation and mean of x_0."""
    return lambda x_0, a: eval(text, {"a": a, "v": x_0.var(), "s": x_0.std(), "m": x_0.mean(), "torch": torch})


def late(x_0: Tensor, a: Tensor) -> Tensor:
    return closed_form(x_0, torch.cat([a[:1], a[:-1]]))


def both_measured(x_0: Tensor, a: Tensor) -> Figure:
    y = torch.stack(walk(x_0, a)).std(1)
    return draw(y, y)


def both_formula(x_0: Tensor, a: Tensor) -> Figure:
    return draw(closed_form(x_0, a), closed_form(x_0, a))


def from_t_1(x_0: Tensor, a: Tensor) -> Figure:
    y = torch.stack(walk(x_0, a)).std(1)
    return draw(y[1:], closed_form(x_0, a)[1:], t=range(1, len(a)))


RIGHT: list[tuple[Any, Any]] = [
    (check_spread, spread()),
    (check_spread, spread_in_place),
    (check_spread, spread_walker_by_walker),
    (check_film_or_walk, choice("b", because=2)),
    (check_film_or_walk, choice("B", 2)),
    (check_film_or_walk, ("b", 2)),
]

WRONG: list[tuple[Any, Any, str]] = [
    (check_spread, spread(formula=by("a * v + 1 - a")), "your formula is the variance"),
    (check_spread, spread(formula=by("(1 - a).sqrt()")), "your formula is that of one fixed x_0"),
    (check_spread, spread(formula=by("a.sqrt() * s + (1 - a).sqrt()")), "adds two standard deviations"),
    (check_spread, spread(formula=by("torch.ones_like(a)")), "your formula is 1 everywhere"),
    (check_spread, spread(formula=by("(a * s + 1 - a).sqrt()")), "where its variance belongs"),
    (check_spread, spread(formula=by("(a**2 * v + 1 - a).sqrt()")), r"multiplies Var\(x_0\) by alpha_bar_t\^2"),
    (check_spread, spread(formula=by("(a * v + (1 - a)**2).sqrt()")), "the bug of exercise 4"),
    (check_spread, spread(formula=by("(a * (v + m**2) + 1 - a).sqrt()")), r"the mean of x_0\^2"),
    (check_spread, spread(formula=by("a.sqrt() * s")), "the signal alone"),
    (check_spread, spread(formula=late), "your formula is one entry late"),
    (check_spread, both_measured, 'your curve "formula" is measured'),
    (check_spread, both_formula, "both your curves are the formula"),
    (check_spread, spread(labels=("formula", "walk")), "your labels are swapped"),
    (check_spread, spread(labels=("Monte Carlo", "formula")), "has no line with the label 'walk'"),
    (check_spread, spread(t=range(1, 32)), "your curves begin at t = 1"),
    (check_spread, from_t_1, 'your curve "walk" has T points'),
    (check_spread, spread(of=torch.var), 'your curve "walk" is the variance'),
    (check_spread, spread(lambda x, a: walk(x, a, add=same)), "your steps add beta_t eps"),
    (check_spread, spread(lambda x, a: walk(x, a, keep=same)), "your steps multiply by alpha_t"),
    (check_spread, spread(lambda x, a: walk(x, a, keep=same, add=same)), "your steps lack both roots"),
    (check_spread, spread(lambda x, a: walk(x, a, keep=torch.ones_like)), "do not shrink"),
    (check_spread, spread(rates_of_the_jump), "your steps have the rates of the jump"),
    (check_spread, spread(difference_for_beta), "your beta_t is alpha_bar_"),
    (check_spread, spread(one_step_late), "your rates of step t are those of step t - 1"),
    (check_spread, spread(jump), "your walkers jump from x_0 to each t anew"),
    (check_spread, spread(one_noise_jump), "with one noise for all times"),
    (check_spread, spread(one_noise_walk), "you draw the noise once, before the loop"),
    (check_spread, spread(one_noise_for_all_walkers), "draw an own noise for each walker"),
    (check_spread, spread(lambda x, a: walk(0 * x, a)), 'your curve "walk" begins at 0'),
    (check_spread, spread(lambda x, a: walk(x, a, add=lambda b: 2 * b.sqrt())), "your walk goes wrong at step"),
    (check_spread, lambda x_0, a: None, "there is no figure"),
    (check_spread, lambda x_0, a: closed_form(x_0, a), "return a matplotlib Figure or Axes"),
    *((check_film_or_walk, choice("a", because=k), "^not a: each picture alone is right") for k in (1, 2, 3, 4)),
    *((check_film_or_walk, choice("c", because=k), "^not c: the film's x_s and x_t") for k in (1, 2, 4)),
    *((check_film_or_walk, choice("d", because=k), "^not d: one eps of variance 1") for k in (1, 3, 4)),
    (check_film_or_walk, choice("b", because=1), "b it is, but not because of 1: that a sum"),
    (check_film_or_walk, choice("b", because=3), "b it is, but not because of 3: the t noises shrink"),
    (check_film_or_walk, choice("b", because=4), "b it is, but not because of 4: in the film"),
    (check_film_or_walk, choice("e", because=2), "there is no option 'e'"),
    (check_film_or_walk, choice("b", because=5), "there is no reason 5"),
    (check_film_or_walk, "b", "answer as choice"),
]
