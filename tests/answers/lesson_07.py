"""Answers to the exercises of lesson 07: right ones in several forms, and mistakes with the words that name them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lite import GaussianDiffusion
from ddpm_lite.checks import (
    check_clipped_mean,
    check_reverse_step,
    check_short_beta,
    check_spoiled_variance,
)

GENERATOR = torch.Generator().manual_seed(0)


def step(
    sigma: str = "beta", last: bool = False, weight: Callable[..., Tensor] | None = None, scale: str = "root"
) -> Callable[..., Tensor]:
    """Algorithm 2 with parts to replace."""

    def answer(x_t: Tensor, t: int, eps_hat: Tensor, z: Tensor, beta: Tensor, alpha_bar: Tensor) -> Tensor:
        b, a_bar = beta[t], alpha_bar[t]
        tilde = b * (1 - alpha_bar[t - 1]) / (1 - a_bar)
        noise = {"beta": b.sqrt(), "variance": b, "tilde": tilde.sqrt(), "none": 0 * b}[sigma]
        root = (1 - b).sqrt()
        by = {"root": root, "alpha": 1 - b, "times": 1 / root, "not": 1, "all": a_bar.sqrt()}[scale]
        w = b / (1 - a_bar).sqrt() if weight is None else weight(b, a_bar)
        return (x_t - w * eps_hat) / by + (noise * z if t > 1 or last else 0)

    return answer


def whole(form: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Algorithm 2 from its parts: form(x_t, w, eps_hat, root, sigma, z, b, a_bar)."""

    def answer(x_t: Tensor, t: int, eps_hat: Tensor, z: Tensor, beta: Tensor, alpha_bar: Tensor) -> Tensor:
        b, a_bar = beta[t], alpha_bar[t]
        sigma = b.sqrt() if t > 1 else 0 * b
        return form(x_t, b / (1 - a_bar).sqrt(), eps_hat, (1 - b).sqrt(), sigma, z, b, a_bar)

    return answer


def own_noise(x_t: Tensor, t: int, eps_hat: Tensor, z: Tensor, beta: Tensor, alpha_bar: Tensor) -> Tensor:
    drawn = torch.randn(z.shape, dtype=z.dtype, generator=GENERATOR)
    return step()(x_t, t, eps_hat, drawn, beta, alpha_bar)


def one_too_large(x_t: Tensor, t: int, eps_hat: Tensor, z: Tensor, beta: Tensor, alpha_bar: Tensor) -> Tensor:
    return step()(x_t, t + 1, eps_hat, z, beta, alpha_bar)


def by_diffusion(x_t: Tensor, t: int, eps_hat: Tensor, z: Tensor, beta: Tensor, alpha_bar: Tensor) -> Tensor:
    diffusion = GaussianDiffusion(beta[1:], dtype=torch.float64)
    mean, variance, _ = diffusion.p_mean_variance(eps_hat, x_t, t, sigma="beta", clip=False)
    return mean + (variance.sqrt() * z if t > 1 else 0)


def one_too_small(x_t: Tensor, t: int, eps_hat: Tensor, z: Tensor, beta: Tensor, alpha_bar: Tensor) -> Tensor:
    if t == 1:
        return x_t
    return step()(x_t, t - 1, eps_hat, z, beta, alpha_bar) + (beta[1].sqrt() * z if t == 2 else 0)


def clipped(
    image: Callable[[Tensor], Tensor] = lambda x0_hat: x0_hat.clamp(-1, 1),
    before: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = lambda x, e: (x, e),
    weights: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] = lambda w_0, w_t, a: (w_0, w_t),
    mean_of: Callable[[Tensor], Tensor] = lambda x: x,
    outer: Callable[[Tensor], Tensor] = lambda mean: mean,
) -> Callable[..., Tensor]:
    """The clipped posterior mean with parts to replace."""

    def answer(x_t: Tensor, t: int, eps_hat: Tensor, alpha_bar: Tensor) -> Tensor:
        x_t, eps_hat = before(x_t, eps_hat)
        a_bar, earlier = alpha_bar[t], alpha_bar[t - 1]
        a = a_bar / earlier
        x0_hat = image((x_t - (1 - a_bar).sqrt() * eps_hat) / a_bar.sqrt())
        w_0, w_t = earlier.sqrt() * (1 - a) / (1 - a_bar), a.sqrt() * (1 - earlier) / (1 - a_bar)
        w_0, w_t = weights(w_0, w_t, a)
        return outer(w_0 * x0_hat + w_t * mean_of(x_t))

    return answer


def clipped_by_diffusion(x_t: Tensor, t: int, eps_hat: Tensor, alpha_bar: Tensor) -> Tensor:
    diffusion = GaussianDiffusion(1 - alpha_bar[1:] / alpha_bar[:-1], dtype=torch.float64)
    return diffusion.p_mean_variance(eps_hat, x_t, t)[0]


def only_image(x_t: Tensor, t: int, eps_hat: Tensor, alpha_bar: Tensor) -> Tensor:
    return ((x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()).clamp(-1, 1)


def ddim(x_t: Tensor, t: int, eps_hat: Tensor, alpha_bar: Tensor) -> Tensor:
    before = alpha_bar[t - 1]
    return before.sqrt() * only_image(x_t, t, eps_hat, alpha_bar) + (1 - before).sqrt() * eps_hat


def all_steps(both: bool) -> Callable[..., Tensor]:
    """1 - alpha_bar_t taken for beta_t, and if both, alpha_bar_t for alpha_t too."""

    def answer(x_t: Tensor, t: int, eps_hat: Tensor, alpha_bar: Tensor) -> Tensor:
        a_bar, before = alpha_bar[t], alpha_bar[t - 1]
        a = a_bar if both else a_bar / before
        x0_hat, beta = only_image(x_t, t, eps_hat, alpha_bar), 1 - a_bar
        return (before.sqrt() * beta * x0_hat + a.sqrt() * (1 - before) * x_t) / (1 - a_bar)

    return answer


def short_loop(alpha_bar: Tensor, tau: list[int]) -> list[float]:
    last, beta = 1.0, []
    for t in tau:
        beta.append(1 - float(alpha_bar[t]) / last)
        last = float(alpha_bar[t])
    return beta


def ratios(alpha_bar: Tensor, tau: list[int]) -> Tensor:
    kept = alpha_bar[[0, *tau]]
    return kept[1:] / kept[:-1]


def variance(
    power: int = 2,
    last: bool = False,
    invert: bool = False,
    ignore: bool = False,
    root: float = 0.5,
    sigma: Callable[[float, float, float], float] = lambda b, before, a_bar: b,
    grow: bool = True,
    up: bool = False,
) -> Any:
    """The variance of spoiled samples, with parts to replace."""

    def answer(alpha_bar: Tensor, s: float, c: float) -> float:
        c, v = (1 / c if invert else 1.0 if ignore else c), 1.0
        for t in sorted(range(1, len(alpha_bar)), reverse=not up):
            a_bar, a = float(alpha_bar[t]), float(alpha_bar[t] / alpha_bar[t - 1])
            answer = c * (1 - a_bar) ** root / (a_bar * s**2 + 1 - a_bar)
            factor = (1 - (1 - a) / math.sqrt(1 - a_bar) * answer) / (math.sqrt(a) if grow else 1)
            v = factor**power * v + (sigma(1 - a, float(alpha_bar[t - 1]), a_bar) if t > 1 or last else 0)
        return v

    return answer


def variance_by_weights(alpha_bar: Tensor, s: float, c: float) -> Tensor:
    """The same, from what each noise contributes to the sample, by autograd through the library's steps."""
    diffusion = GaussianDiffusion(1 - alpha_bar[1:] / alpha_bar[:-1], dtype=torch.float64)
    noises = torch.zeros(diffusion.T + 1, 1, 1, dtype=torch.float64, requires_grad=True)
    x = noises[diffusion.T]
    for t in range(diffusion.T, 0, -1):
        eps_hat = c * (1 - alpha_bar[t]).sqrt() / (alpha_bar[t] * s**2 + 1 - alpha_bar[t]) * x
        x, sigma, _ = diffusion.p_mean_variance(eps_hat, x, t, sigma="beta", clip=False)
        x = x + sigma.sqrt() * noises[t - 1] * (t > 1)
    return torch.autograd.grad(x.sum(), noises)[0].square().sum()


def step_by_pixels(x_t: Tensor, t: int, eps_hat: Tensor, z: Tensor, beta: Tensor, alpha_bar: Tensor) -> Tensor:
    """Number by number, in float32."""
    weight = float(beta[t]) / math.sqrt(1 - float(alpha_bar[t]))
    sigma = math.sqrt(float(beta[t])) if t != 1 else 0.0
    triples = zip(x_t.flatten().tolist(), eps_hat.flatten().tolist(), z.flatten().tolist(), strict=True)
    pixels = [(x - weight * e) / math.sqrt(1 - float(beta[t])) + sigma * noise for x, e, noise in triples]
    return torch.tensor(pixels, dtype=torch.float32).view_as(x_t)


def step_in_place(x_t: Tensor, t: int, eps_hat: Tensor, z: Tensor, beta: Tensor, alpha_bar: Tensor) -> Tensor:
    """By x0_hat and the posterior's weights, and in place; alpha from the table alpha_bar."""
    a = alpha_bar[t] / alpha_bar[t - 1]
    x0_hat = x_t.sub(eps_hat.mul_((1 - alpha_bar[t]).sqrt())).div_(alpha_bar[t].sqrt())
    x_t *= a.sqrt() * (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t])
    x_t += alpha_bar[t - 1].sqrt() * beta[t] / (1 - alpha_bar[t]) * x0_hat
    if t == 1:
        return x_t
    return x_t.add_(z.mul_(beta[t] ** 0.5))


def clipped_by_minimum(x_t: Tensor, t: int, eps_hat: Tensor, alpha_bar: Tensor) -> Tensor:
    """In float32, with plain numbers for the table and minimum and maximum for the clip."""
    now, before = alpha_bar[t].item(), alpha_bar[t - 1].item()
    x, e, one = x_t.float(), eps_hat.float(), torch.ones(())
    x0_hat = torch.minimum(torch.maximum(x / now**0.5 - (1 / now - 1) ** 0.5 * e, -one), one)
    alpha, beta = now / before, 1 - now / before
    return (before**0.5 * beta * x0_hat + alpha**0.5 * (1 - before) * x) / (1 - now)


def clipped_by_change(x_t: Tensor, t: int, eps_hat: Tensor, alpha_bar: Tensor) -> Tensor:
    """Algorithm 2's mean, corrected by what the clip changes in x0_hat; in place."""
    alpha = alpha_bar[1:] / alpha_bar[:-1]
    a, a_bar = alpha[t - 1], alpha_bar[t]
    x0_hat = (x_t - eps_hat * (1 - a_bar).sqrt()) / a_bar.sqrt()
    mean = (x_t - (1 - a) / (1 - a_bar).sqrt() * eps_hat) / a.sqrt()
    mean += alpha_bar[t - 1].sqrt() * (1 - a) / (1 - a_bar) * (x0_hat.clip(-1.0, 1.0) - x0_hat)
    return mean


def short_in_place(alpha_bar: Tensor, tau: list[int]) -> Tensor:
    """From the product of the long chain's alpha between two times, float32."""
    alpha = (alpha_bar[1:] / alpha_bar[:-1]).float()
    beta = torch.zeros(len(tau))
    for k, (first, last) in enumerate(zip([0, *tau], tau, strict=False)):
        beta[k] = 1 - alpha[first:last].prod()
    return beta


def variance_float32(alpha_bar: Tensor, s: float, c: float) -> Tensor:
    """The same recursion with tensors, float32, as f^2 v + beta in one line."""
    table, v = alpha_bar.float(), torch.ones(1)[0]
    for t in reversed(range(1, table.shape[0])):
        alpha = table[t] / table[t - 1]
        f = (1 - c * (1 - alpha) / (table[t] * s * s + 1 - table[t])) / torch.sqrt(alpha)
        v = f.square() * v + (t > 1) * (1 - alpha)
    return v


def variance_of_noises(alpha_bar: Tensor, s: float, c: float) -> float:
    """What each noise contributes: the square of the product of the factors after it."""
    alpha = alpha_bar[1:] / alpha_bar[:-1]
    f = (1 - c * (1 - alpha) / (alpha_bar[1:] * s**2 + 1 - alpha_bar[1:])) / alpha.sqrt()  # (T,), of t = 1..T
    reach = f.cumprod(0)  # of x_t in x_0
    return float(reach[-1] ** 2 + (reach[:-1] ** 2 * (1 - alpha[1:])).sum())


RIGHT: list[tuple[Any, Callable[..., Any]]] = [
    (check_reverse_step, step()),
    (check_reverse_step, step_by_pixels),
    (check_reverse_step, step_in_place),
    (check_clipped_mean, clipped()),
    (check_clipped_mean, clipped_by_minimum),
    (check_clipped_mean, clipped_by_change),
    (check_short_beta, lambda alpha_bar, tau: 1 - ratios(alpha_bar, tau)),
    (check_short_beta, short_loop),
    (check_short_beta, short_in_place),
    (check_spoiled_variance, variance()),
    (check_spoiled_variance, variance_float32),
    (check_spoiled_variance, variance_of_noises),
]

WRONG: list[tuple[Any, Callable[..., Any], str]] = [
    (check_spoiled_variance, variance_by_weights, "your answer calls ddpm_lite"),
    (check_clipped_mean, clipped_by_diffusion, "your answer calls ddpm_lite"),
    (check_reverse_step, by_diffusion, "your answer calls ddpm_lite"),
    (check_reverse_step, step(sigma="variance"), "standard deviation beta_t, which is the variance"),
    (check_reverse_step, step(last=True), "you add noise at t = 1"),
    (check_reverse_step, step(weight=lambda b, a_bar: b / (1 - a_bar)), "you divide by 1 - alpha_bar_t"),
    (check_reverse_step, step(weight=lambda b, a_bar: b / b.sqrt()), "you have 1 - alpha_t under the root"),
    (check_reverse_step, step(weight=lambda b, a_bar: -b / (1 - a_bar).sqrt()), "take it away"),
    (check_reverse_step, step(weight=lambda b, a_bar: (1 - a_bar).sqrt()), "you take eps_hat away whole"),
    (check_reverse_step, step(scale="alpha"), "you divide by alpha_t; it is its square root"),
    (check_reverse_step, step(scale="times"), "the way back divides"),
    (check_reverse_step, step(scale="not"), r"forgotten to divide by sqrt\(alpha_t\)"),
    (check_reverse_step, step(scale="all"), r"you divide by sqrt\(alpha_bar_t\)"),
    (check_reverse_step, step(sigma="tilde"), "you take beta_tilde_t for the variance"),
    (check_reverse_step, step(sigma="none"), "you add no noise"),
    (check_reverse_step, one_too_small, "your tables are read at t - 1"),
    (check_reverse_step, whole(lambda x, w, e, r, s, z, b, a: (x - w * e + s * z) / r), "you divide z by sqrt"),
    (check_reverse_step, whole(lambda x, w, e, r, s, z, b, a: x - w * e / r + s * z), "you divide eps_hat alone"),
    (check_reverse_step, whole(lambda x, w, e, r, s, z, b, a: (x - w * e) / r - s * z), "you take sigma_t z away"),
    (check_reverse_step, step(weight=lambda b, a_bar: (b / (1 - a_bar)).sqrt()), "you take the root of beta_t too"),
    (check_reverse_step, own_noise, "two calls with one z gave two answers"),
    (check_reverse_step, one_too_large, r"read at t \+ 1"),
    (check_reverse_step, lambda *a: None, "does your function return its result"),
    (check_clipped_mean, clipped(image=lambda x: x), "nothing is clipped"),
    (check_clipped_mean, clipped(lambda x: x, lambda x, e: (x.clamp(-1, 1), e)), "you clip x_t; it is a noisy image"),
    (check_clipped_mean, clipped(mean_of=lambda x: x.clamp(-1, 1)), "and x_t too in the mean"),
    (check_clipped_mean, clipped(lambda x: x, outer=lambda m: m.clamp(-1, 1)), "you clip the mean"),
    (check_clipped_mean, clipped(lambda x: x, lambda x, e: (x, e.clamp(-1, 1))), "you clip eps_hat"),
    (check_clipped_mean, clipped(lambda x: x.clamp(0, 1)), r"you clip to \[0, 1\]"),
    (check_clipped_mean, only_image, "you return x0_hat, clipped"),
    (check_clipped_mean, clipped(weights=lambda w_0, w_t, a: (w_t, w_0)), "your two weights are swapped"),
    (check_clipped_mean, clipped(before=lambda x, e: (x, -e)), "wrong sign in front of eps_hat"),
    (check_clipped_mean, clipped(weights=lambda w_0, w_t, a: (w_0 * a.sqrt(), w_t)), "where sqrt"),
    (check_clipped_mean, clipped(weights=lambda w_0, w_t, a: (w_0, w_t * a.sqrt())), "lacks its root"),
    (check_clipped_mean, clipped(lambda x: x.clamp(min=-1)), "you clip x0_hat at -1 only"),
    (check_clipped_mean, clipped(lambda x: x.clamp(max=1)), "you clip x0_hat at 1 only"),
    (check_clipped_mean, clipped(outer=lambda m: m.clamp(-1, 1)), "and the mean once more"),
    (check_clipped_mean, ddim, "the step of DDIM"),
    (check_clipped_mean, all_steps(both=False), "your beta_t is 1 - alpha_bar_t"),
    (check_clipped_mean, all_steps(both=True), "your alpha_t is alpha_bar_t"),
    (check_short_beta, lambda a, tau: (1 - ratios(a, tau))[1:], "lacks its first step"),
    (check_short_beta, lambda a, tau: (1 - ratios(a, tau))[1:].tolist(), "lacks its first step"),
    (
        check_short_beta,
        lambda a, tau: torch.cat([0 * a[:1], 1 - ratios(a, tau)]),
        "tau_0 = 0, the clean image, is no step",
    ),
    (check_short_beta, lambda a, tau: [0.0, *short_loop(a, tau)], "is no step"),
    (check_short_beta, lambda a, tau: short_loop(torch.cat([a[:1], a[:-1]]), tau), "read at t - 1"),
    (check_short_beta, lambda a, tau: (1 - a[1:] / a[:-1])[[t - 1 for t in tau]], "at the times you keep"),
    (check_short_beta, ratios, "the alpha of the short chain"),
    (check_short_beta, lambda a, tau: 1 - 1 / ratios(a, tau), "upside down"),
    (check_short_beta, lambda a, tau: 1 - ratios(a, tau).sqrt(), "you took the root"),
    (check_short_beta, lambda a, tau: a[[0, *tau[:-1]]] - a[tau], "differences of alpha_bar"),
    (
        check_short_beta,
        lambda a, tau: [(1 - a[i + 1 : j + 1] / a[i:j]).sum() for i, j in zip([0, *tau], tau, strict=False)],
        "you add up the beta",
    ),
    (check_short_beta, lambda a, tau: 1 - a[tau], "not since the time before"),
    (check_spoiled_variance, lambda *a: math.sqrt(variance()(*a)), "this is the standard deviation"),
    (check_spoiled_variance, variance(last=True), "you add noise at t = 1"),
    (check_spoiled_variance, variance(power=1), r"multiplies the variance by f\^2"),
    (check_spoiled_variance, lambda a, s, c: s**2, "the variance of the data"),
    (check_spoiled_variance, variance(root=1), "your eps_hat lacks a root"),
    (check_spoiled_variance, variance(ignore=True), "c is not in your answer"),
    (check_spoiled_variance, variance(invert=True), "you divide by c"),
    (check_spoiled_variance, variance(sigma=lambda b, before, a: b * (1 - before) / (1 - a)), "add beta_tilde_t"),
    (check_spoiled_variance, variance(sigma=lambda b, before, a: b**2), r"add beta_t\^2"),
    (check_spoiled_variance, variance(grow=False), r"lacks the division by sqrt\(alpha_t\)"),
    (check_spoiled_variance, lambda a, s, c: variance()(a, math.sqrt(s), c), "you have s where"),
    (check_spoiled_variance, variance(up=True), "your loop runs from t = 1 up"),
]
