"""The exercises that only the set of lesson 02 has: a formula drawn over a walk, a film that is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .machinery import WrongAnswer, curve, diagnose, exercise, fresh_generator, multiple_choice, random_alpha_bar

__all__ = ["check_film_or_walk", "check_spread"]


def _innovations(V: Tensor, keep: Tensor, add: Tensor, n: int) -> Tensor:
    """How far each variance in V, (T+1,), of n walkers is from ``keep V + add``, in standard errors, (T,). For a walk
    ``x' = sqrt(keep) x + sqrt(add) eps`` these are T independent standard normal numbers."""
    kept = keep * V[:-1]
    return (V[1:] - kept - add) / ((4 * kept * add + 2 * add**2) / n).sqrt()


def _is_walk(V: Tensor, keep: Tensor, add: Tensor, n: int) -> bool:
    z = _innovations(V, keep, add, n)
    return bool(z.abs().max() < 6) and 5 < float((z**2).sum()) < 95  # T = 30: one false alarm in 10 million


def _one_noise(V: Tensor, signal: Tensor, weight: Tensor) -> bool:
    """Whether V is the variance of ``sqrt(signal) x_0 + weight eps`` with the same eps at every time."""
    rest = (V - signal * V[0])[:, None]
    basis = torch.stack([signal.sqrt() * weight, weight**2], dim=1)
    return bool((basis @ torch.linalg.lstsq(basis, rest).solution - rest).abs().max() < 1e-4)


@exercise(library=("ddpm_lite.plots",), seconds=20)
def check_spread(answer: Callable[[Tensor, Tensor], Any]) -> str:
    """Check ``draw_spread(x_0, alpha_bar)``: a figure with the standard deviation of x_t over t, of walkers from x_0,
    (n,), as the curve "walk", and of the closed form as the curve "formula"."""
    generator, n, T = fresh_generator(), 5000, 30
    a = random_alpha_bar(T, generator)
    center, width = (torch.tensor([1.0, 2.0]) + torch.rand(2, generator=generator)).tolist()
    x_0 = center + width * (torch.rand(n, generator=generator, dtype=torch.float64) - 0.5) * 12**0.5
    figure = answer(x_0.clone(), a.clone())
    curves = {}
    for label in ("walk", "formula"):
        t, y = curve(figure, label)
        if len(t) == T:
            raise WrongAnswer(f'your curve "{label}" has T points; with t = 0, where x_0 stands, it has T + 1')
        diagnose(f'the t of your curve "{label}"', t, torch.arange(T + 1.0, dtype=torch.float64), {
            "your curves begin at t = 1; their first point, that of x_0, belongs to t = 0": torch.arange(1.0, T + 2)
        })  # fmt: skip
        curves[label] = y
    walk, formula = curves["walk"], curves["formula"]
    v, s, mean = float(x_0.var()), float(x_0.std()), float(x_0.mean())
    want = (a * v + 1 - a).sqrt()
    if bool((walk - want).abs().max() < 3e-4):
        swapped = bool((formula - want).abs().max() > 3e-4)
        what = "your labels are swapped" if swapped else "both your curves are the formula"
        raise WrongAnswer(f'{what}: the curve "walk" is too smooth for a measurement; it should be that of n walkers')
    mistakes = {
        "your formula is the variance; draw its root": want**2,
        "your formula is that of one fixed x_0; here x_0 has a variance too, of which alpha_bar_t is left": (
            1 - a
        ).sqrt(),
        "your formula adds two standard deviations; variances add": a.sqrt() * s + (1 - a).sqrt(),
        "your formula is 1 everywhere; that holds where x_0 has variance 1": torch.ones_like(a),
        "your formula has the standard deviation of x_0 where its variance belongs": (a * s + 1 - a).sqrt(),
        "your formula multiplies Var(x_0) by alpha_bar_t^2; the rate is sqrt(alpha_bar_t), its square alpha_bar_t": (
            a**2 * v + 1 - a
        ).sqrt(),
        "your formula has the noise rate 1 - alpha_bar_t, the bug of exercise 4": (a * v + (1 - a) ** 2).sqrt(),
        "your formula takes the mean of x_0^2 for the variance of x_0; take its mean off first": (
            a * (v + mean**2) + 1 - a
        ).sqrt(),
        "your formula is the signal alone; the noise has a variance too": a.sqrt() * s,
        "your formula is one entry late: alpha_bar[t] belongs to t": torch.cat([want[:1], want[:-1]]),
        'your curve "formula" is measured on the walkers; draw the closed form there': walk,
    }  # fmt: skip
    diagnose('your curve "formula"', formula, want, mistakes, tol=3e-4)
    _diagnose_walk(walk, a, v, n)
    return "A formula and a measurement that knows nothing of it: where both agree, both may be believed."


def _diagnose_walk(walk: Tensor, a: Tensor, v: float, n: int) -> None:
    """Raise ``WrongAnswer`` unless ``walk`` is the standard deviation of n walkers, step by step as it should be."""
    alpha = a[1:] / a[:-1]
    beta, drop, V = 1 - alpha, a[:-1] - a[1:], walk**2
    if torch.allclose(V[1:], alpha * V[:-1], rtol=1e-4):
        raise WrongAnswer("your walkers only shrink: draw an own noise for each walker, torch.randn of shape (n,)")
    coherent = [torch.zeros((), dtype=torch.float64)]  # what the steps add up to if all have the same noise
    for keep, add in zip(alpha, beta, strict=True):
        coherent.append(keep.sqrt() * coherent[-1] + add.sqrt())
    if _one_noise(V, a, torch.stack(coherent)):
        raise WrongAnswer("you draw the noise once, before the loop: such steps add up; draw a fresh one each step")
    if _one_noise(V, a, (1 - a).sqrt()):
        raise WrongAnswer("your walkers jump from x_0 with one noise for all times; walk, with a fresh noise each step")
    if _is_walk(V, alpha, beta, n) and abs(float(V[0]) / v - 1) < 1e-3:
        return
    if _is_walk(walk, alpha, beta, n) and abs(float(walk[0]) / v - 1) < 1e-3:
        raise WrongAnswer('your curve "walk" is the variance; draw its root, the standard deviation')
    if abs(float(V[0]) / v - 1) > 1e-3:
        raise WrongAnswer(
            f'your curve "walk" begins at {float(walk[0]):.4g}; at t = 0 nobody has moved: {v**0.5:.4g}, that of x_0'
        )
    late = torch.cat([alpha[:1], alpha[:-1]])
    steps = {
        "your steps add beta_t eps; the standard deviation of a step's noise is sqrt(beta_t)": (alpha, beta**2),
        "your steps multiply by alpha_t; it is sqrt(alpha_t)": (alpha**2, beta),
        "your steps lack both roots: sqrt(alpha_t) and sqrt(beta_t)": (alpha**2, beta**2),
        "your steps add noise but do not shrink x_{t-1} by sqrt(alpha_t)": (torch.ones_like(alpha), beta),
        "your steps have the rates of the jump from x_0; one step has alpha_t and beta_t": (a[1:], 1 - a[1:]),
        "your beta_t is alpha_bar_{t-1} - alpha_bar_t; it is 1 - alpha_bar_t / alpha_bar_{t-1}": (1 - drop, drop),
        "your rates of step t are those of step t - 1": (late, 1 - late),
    }
    for why, (keep, add) in steps.items():
        if _is_walk(V, keep, add, n):
            raise WrongAnswer(why)
    z = _innovations(V, alpha, beta, n)
    if bool(((V - a * v - 1 + a).abs() < 6 * (4 * a * v * (1 - a) + 2 * (1 - a) ** 2).div(n).sqrt() + 1e-3).all()):
        raise WrongAnswer("your walkers jump from x_0 to each t anew; x_t is made from x_{t-1}, so errors last")
    t = int((z.abs() > 6).nonzero()[0]) if bool((z.abs() > 6).any()) else int(z.abs().argmax())
    raise WrongAnswer(
        f"your walk goes wrong at step {t + 1}: the variance goes from {V[t]:.4g} to {V[t + 1]:.4g}; alpha_t times the "
        f"first plus beta_t is {alpha[t] * V[t] + beta[t]:.4g}"
    )


@exercise
def check_film_or_walk(answer: Any) -> str:
    """Check a choice: what a film ``x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps``, with one eps for all t,
    has in common with a walk."""
    a_s, a_t = random_alpha_bar(9, fresh_generator())[[3, 7]].tolist()
    variance = {"film": 1 - a_t, "walk": a_t / a_s * (1 - a_s) + 1 - a_t / a_s}  # of x_t, given x_0
    covariance = {"film": ((1 - a_s) * (1 - a_t)) ** 0.5, "walk": (a_t / a_s) ** 0.5 * (1 - a_s)}  # of x_s and x_t
    if abs(variance["film"] - variance["walk"]) > 1e-9:
        right = "d"
    else:
        right = "b" if covariance["film"] > covariance["walk"] + 1e-9 else "c"
    options = {
        "a": "each picture alone is right, but look at two at once: how much of the noise in x_t is that in x_s?",
        "c": "the film's x_s and x_t hold the very same noise: can they be less alike than two that share only a part?",
        "d": "one eps of variance 1, times sqrt(1 - alpha_bar_t), has the variance that eq. 4 asks for, at each t",
    }
    reasons = {
        1: "that a sum of Gaussians is a Gaussian speaks of x_t alone; it says nothing of x_s and x_t together",
        3: "the t noises shrink on their way, and their variances add up to 1 - alpha_bar_t: the same as in the film",
        4: "in the film x_s and x_t have one eps in common, so they go together although neither is made of the other",
    }
    multiple_choice(answer, right=(right, 2), options=options, reasons=reasons)
    return "Training looks at one t at a time, so it may jump. To walk back takes the law of two neighbors: lesson 03."
