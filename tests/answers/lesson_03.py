"""Answers to the exercises of lesson 03: right ones in several forms, and mistakes with the words that name them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lite import GaussianDiffusion
from ddpm_lite.checks import (
    check_mu_from_eps,
    check_posterior_skip,
    check_q_posterior,
    check_variance_without_x_0,
)


def posterior_by_precisions(x_0: Tensor, x_t: Tensor, t: int, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """The product of two Gaussians; at t = 1 the prior is a point."""
    alpha = alpha_bar[t] / alpha_bar[t - 1]
    if t == 1:
        return x_0, torch.zeros(())
    prior, likelihood = 1 / (1 - alpha_bar[t - 1]), alpha / (1 - alpha)
    mean = prior * alpha_bar[t - 1].sqrt() * x_0 + likelihood * x_t / alpha.sqrt()
    return mean / (prior + likelihood), 1 / (prior + likelihood)


def posterior_in_place(x_0: Tensor, x_t: Tensor, t: int, alpha_bar: Tensor) -> list[Any]:
    """Overwrites what it is given, in single precision, and returns a list."""
    before, after = alpha_bar[t - 1].float(), alpha_bar[t].float()
    alpha = after / before
    alpha_bar[:] = 0
    x_0.mul_(before.sqrt() * (1 - alpha) / (1 - after))
    x_t *= alpha**0.5 * (1 - before) / (1 - after)
    x_t += x_0
    return [x_t.float(), (1 - before) / (1 - after) * (1 - alpha)]


def posterior_pixel_by_pixel(x_0: Tensor, x_t: Tensor, t: int, alpha_bar: Tensor) -> tuple[Tensor, float]:
    a = alpha_bar.tolist()
    w = (1 - a[t] / a[t - 1]) / (1 - a[t])  # the last step's share of all noise
    x, y = math.sqrt(a[t - 1]), math.sqrt(a[t - 1] / a[t])
    flat = [w * x * p + (1 - w) * y * q for p, q in zip(x_0.flatten(), x_t.flatten(), strict=True)]
    return torch.stack(flat).view_as(x_0), (1 - w) * (a[t - 1] / a[t] - 1)


def posterior_by_library(x_0: Tensor, x_t: Tensor, t: int, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    diffusion = GaussianDiffusion(1 - alpha_bar[1:] / alpha_bar[:-1], dtype=torch.float64)
    mu_tilde, beta_tilde = diffusion.q_posterior(x_0, x_t, t)
    return mu_tilde, beta_tilde[0].flatten()


def posterior(
    x_0: Tensor, x_t: Tensor, t: int, alpha_bar: Tensor, *, c: str = "sqrt(before) * b / n",
    d: str = "sqrt(a) * (1 - before) / n", v: str = "(1 - before) / n * b", swap: bool = False, shift: int = 0,
) -> tuple[Tensor, Any]:  # fmt: skip
    """Eq. 6 and 7, with one part written as a student might."""
    t += shift
    before, after = float(alpha_bar[t - 1]), float(alpha_bar[t])
    names = {"before": before, "after": after, "a": after / before, "b": 1 - after / before, "n": 1 - after}
    c_t, d_t, variance = (eval(text, {"sqrt": math.sqrt, **names}) for text in (c, d, v))
    return (d_t * x_0 + c_t * x_t if swap else c_t * x_0 + d_t * x_t), variance


def posterior_sampled(x_0: Tensor, x_t: Tensor, t: int, alpha_bar: Tensor) -> tuple[Tensor, Any]:
    mu_tilde, variance = posterior(x_0, x_t, t, alpha_bar)
    return mu_tilde + math.sqrt(variance) * torch.randn_like(x_t), variance


def posterior_as_in_c(x_0: Tensor, x_t: Tensor, t: int, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """The braces of (c), never tidied up."""
    alpha, before = alpha_bar[t] / alpha_bar[t - 1], alpha_bar[t - 1]
    variance = 1 / (alpha / (1 - alpha) + 1 / (1 - before))
    return variance * (alpha.sqrt() / (1 - alpha) * x_t + before.sqrt() / (1 - before) * x_0), variance


def posterior_as_in_c_in_floats(x_0: Tensor, x_t: Tensor, t: int, alpha_bar: Tensor) -> tuple[Tensor, Any]:
    before, after = alpha_bar[t - 1].item(), alpha_bar[t].item()
    a = after / before
    variance = 1 / (a / (1 - a) + 1 / (1 - before))
    return variance * (math.sqrt(a) / (1 - a) * x_t + math.sqrt(before) / (1 - before) * x_0), variance


def bug(**parts: Any) -> Callable[..., Any]:
    return lambda *arguments: posterior(*arguments, **parts)


def table_from_zero(x_0: Tensor, x_t: Tensor, t: int, alpha_bar: Tensor) -> tuple[Tensor, Any]:
    """As if entry 0 belonged to t = 1."""
    return posterior(x_0, x_t, t, torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar]))


def mu(
    x_t: Tensor, eps: Tensor, before: float, after: float, noise: str = "b / sqrt(n)", scale: str = "1 / sqrt(a)"
) -> Tensor:
    names = {"before": before, "after": after, "a": after / before, "b": 1 - after / before, "n": 1 - after}
    factor, whole = (eval(text, {"sqrt": math.sqrt, **names}) for text in (noise, scale))
    return whole * (x_t - factor * eps)


def mu_bug(**parts: str) -> Callable[..., Any]:
    return lambda *arguments: mu(*arguments, **parts)


def mu_by_x_0(x_t: Tensor, eps: Tensor, before: float, after: float) -> Tensor:
    x_0 = (x_t - math.sqrt(1 - after) * eps) / math.sqrt(after)
    return posterior(x_0, x_t, 2, torch.tensor([1.0, before, after], dtype=torch.float64))[0]


def mu_in_place(x_t: Tensor, eps: Tensor, before: float, after: float) -> Tensor:
    x_t, eps = x_t.float(), eps.float()
    eps *= (before - after) / before / math.sqrt(1 - after)
    x_t -= eps
    return x_t.mul_(math.sqrt(before / after))


def mu_by_image(x_t: Tensor, eps: Tensor, before: float, after: float) -> Tensor:
    out = torch.empty_like(x_t)
    for i, (x, e) in enumerate(zip(x_t, eps, strict=True)):
        out[i] = x * (before / after) ** 0.5 - e * (1 - after / before) / (1 - after) ** 0.5 * (before / after) ** 0.5
    return out


def skip(
    S: float, A: float, c: str = "sqrt(S) * r / n", d: str = "sqrt(A / S) * (1 - S) / n", v: str = "(1 - S) * r / n"
) -> Any:
    names = {"S": S, "A": A, "r": 1 - A / S, "n": 1 - A, "sqrt": math.sqrt}
    return tuple(eval(text, names) for text in (c, d, v))


def skip_by_weights(S: float, A: float) -> Tensor:
    w = (1 - A / S) / (1 - A)
    return torch.tensor([w * S**0.5, (1 - w) * (S / A) ** 0.5, (1 - w) * (S / A) * (1 - A / S)])  # float32


def skip_in_braces(S: float, A: float) -> Any:
    v = 1 / (A / S / (1 - A / S) + 1 / (1 - S))
    return v * math.sqrt(S) / (1 - S), v * math.sqrt(A / S) / (1 - A / S), v


def skip_by_conditioning(S: float, A: float) -> list[Any]:
    """Given x_0, x_s and x_t are two Gaussians with a covariance."""
    covariance = torch.tensor((A / S) ** 0.5 * (1 - S), dtype=torch.float64)
    d = covariance / (1 - A)
    return [S**0.5 - d * A**0.5, d.reshape(1), (1 - S) - covariance * d]


def skip_bug(**parts: str) -> Callable[..., Any]:
    return lambda S, A: skip(S, A, **parts)


def without(s: float, before: float, after: float, text: str = "tilde + c**2 * doubt") -> float:
    b, n = 1 - after / before, 1 - after
    names = {"tilde": (1 - before) / n * b, "c": math.sqrt(before) * b / n, "doubt": s**2 * n / (after * s**2 + n)}
    return eval(text, {**names, "s": s, "b": b, "n": n, "before": before, "after": after, "sqrt": math.sqrt})


def without_by_bayes(s: float, before: float, after: float) -> float:
    """The prior of x_{t-1} is N(0, before s^2 + 1 - before): precisions add."""
    a = after / before
    return 1 / (1 / (before * s**2 + 1 - before) + a / (1 - a))


def without_by_conditioning(s: float, before: float, after: float) -> Tensor:
    """x_t = sqrt(a) x_{t-1} + noise: what the covariance explains goes off."""
    V, a = torch.tensor(before * s**2 + 1 - before), after / before  # float32
    return V - (a**0.5 * V) ** 2 / (a * V + 1 - a)


def without_bug(text: str) -> Callable[..., Any]:
    return lambda *arguments: without(*arguments, text=text)


RIGHT: list[tuple[Any, Callable[..., Any]]] = [
    (check_q_posterior, posterior),
    (check_q_posterior, posterior_by_precisions),
    (check_q_posterior, posterior_in_place),
    (check_q_posterior, posterior_pixel_by_pixel),
    (check_mu_from_eps, mu),
    (check_mu_from_eps, mu_by_x_0),
    (check_mu_from_eps, mu_in_place),
    (check_mu_from_eps, mu_by_image),
    (check_posterior_skip, skip),
    (check_posterior_skip, skip_by_weights),
    (check_posterior_skip, skip_by_conditioning),
    (check_variance_without_x_0, without),
    (check_variance_without_x_0, without_by_bayes),
    (check_variance_without_x_0, without_by_conditioning),
]

WRONG: list[tuple[Any, Callable[..., Any], str]] = [
    (check_q_posterior, posterior_by_library, "your answer calls ddpm_lite"),
    (check_q_posterior, bug(c="sqrt(after) * b / n"), r"has sqrt\(alpha_bar_t\); eq. 7 has sqrt\(alpha_bar_\{t-1\}\)"),
    (check_q_posterior, bug(c="sqrt(before) * b / (1 - before)", d="sqrt(a) * n / (1 - before)"), "swapped; the later"),
    (check_q_posterior, bug(c="before * b / n"), "weight of x_0 has alpha_bar_{t-1} without its square root"),
    (check_q_posterior, bug(d="a * (1 - before) / n"), "weight of x_t has alpha_t without its square root"),
    (check_q_posterior, bug(c="before * b / n", d="a * (1 - before) / n"), "both your weights lack"),
    (check_q_posterior, bug(c="sqrt(before * b) / n"), r"has sqrt\(beta_t\); eq. 7 has beta_t itself"),
    (check_q_posterior, bug(c="sqrt(before) * b / sqrt(n)", d="sqrt(a) * (1 - before) / sqrt(n)"), "weights divide"),
    (check_q_posterior, bug(d="sqrt(a)"), "above, where it cancels"),
    (check_q_posterior, bug(swap=True), "each other's weights"),
    (check_q_posterior, bug(c="sqrt(before) * (1 - after) / n", d="sqrt(after) * (1 - before) / n"), "is alpha_bar_t;"),
    (check_q_posterior, bug(shift=-1), r"off by one: alpha_bar\[t\] belongs to t"),
    (check_q_posterior, table_from_zero, r"off by one: alpha_bar\[t\] belongs to t"),
    (check_q_posterior, bug(shift=1), r"off by one: you used alpha_bar\[t \+ 1\]"),
    (check_q_posterior, bug(v="b"), "your variance is beta_t, that of the step forward"),
    (check_q_posterior, bug(v="sqrt((1 - before) / n * b)"), "you returned the standard deviation"),
    (check_q_posterior, bug(v="n / (1 - before) * b"), "upside down"),
    (check_q_posterior, bug(v="(1 - before) / n"), "lacks the factor beta_t"),
    (check_q_posterior, bug(v="n / (1 - before) / b"), "the precision"),
    (check_q_posterior, bug(v="1 - before"), "that of the prior"),
    (check_q_posterior, bug(v="max((1 - before) / n * b, 1e-4)"), "at t = 1, where x_{t-1} is the x_0 that is given"),
    (check_q_posterior, lambda *arguments: posterior(*arguments)[0], "should return 2 results, mu_tilde, beta_tilde_t"),
    (check_q_posterior, lambda *arguments: None, "your function returned None"),
    (check_q_posterior, lambda *arguments: (posterior(*arguments)[0], None), "one of your results is None"),
    (check_q_posterior, lambda x_0, x_t, t, a: (x_0, a), r"beta_tilde_t should be one number|mu_tilde at t"),
    (check_q_posterior, bug(c="sqrt(before) * (before - after) / n"), r"alpha_bar_\{t-1\} - alpha_bar_t; it should"),
    (
        check_q_posterior,
        bug(c="sqrt(before) * (before - after) / n", d="sqrt(1 - before + after) * (1 - before) / n"),
        ", and alpha_t that ratio",
    ),
    (check_q_posterior, bug(v="(1 - before) / n * (before - after)"), r"alpha_bar_\{t-1\} - alpha_bar_t; it should"),
    (check_q_posterior, bug(c="sqrt(before) / (1 - before)", d="sqrt(a) / b"), r"the brace in \(c\)"),
    (check_q_posterior, posterior_sampled, "you drew a sample"),
    (check_q_posterior, posterior_as_in_c, "at t = 1, 1 - alpha_bar_0 is 0: do not divide by it"),
    (check_q_posterior, posterior_as_in_c_in_floats, "at t = 1, 1 - alpha_bar_0 is 0: do not divide by it"),
    (check_mu_from_eps, mu_bug(noise="sqrt(n)", scale="1 / sqrt(after)"), "you return x_0"),
    (check_mu_from_eps, mu_bug(noise="sqrt(n)"), "you take off all the noise"),
    (check_mu_from_eps, mu_bug(noise="b / n"), "the lower part is a square root"),
    (check_mu_from_eps, mu_bug(noise="sqrt(b)"), r"your noise has sqrt\(beta_t\)"),
    (check_mu_from_eps, mu_bug(noise="b"), "your noise has beta_t alone"),
    (check_mu_from_eps, mu_bug(noise="b / sqrt(1 - before)"), "eps made x_t"),
    (check_mu_from_eps, mu_bug(scale="1 / a"), "you divide by alpha_t"),
    (check_mu_from_eps, mu_bug(scale="sqrt(a)"), "the way back divides"),
    (check_mu_from_eps, mu_bug(scale="1"), r"you forgot to divide by sqrt\(alpha_t\)"),
    (check_mu_from_eps, mu_bug(scale="1 / sqrt(after)"), "only one step is undone"),
    (check_mu_from_eps, mu_bug(noise="-b / sqrt(n)"), "you add the noise"),
    (check_mu_from_eps, mu_bug(noise="(1 - 1 / a) / sqrt(n)", scale="sqrt(a)"), "your alpha_t is upside down"),
    (check_mu_from_eps, mu_bug(noise="(before - after) / sqrt(n)"), r"alpha_bar_\{t-1\} - alpha_bar_t; it should"),
    (
        check_mu_from_eps,
        mu_bug(noise="(before - after) / sqrt(n)", scale="1 / sqrt(1 - before + after)"),
        ", and alpha_t that ratio",
    ),
    (check_mu_from_eps, mu_bug(noise="b / sqrt(n) / sqrt(a)", scale="1"), "mind the parentheses"),
    (check_mu_from_eps, lambda x_t, eps, before, after: x_t[0], "should have shape"),
    (check_posterior_skip, skip_bug(c="sqrt(S) * (S - A) / n", v="(1 - S) * (S - A) / n"), "alpha_bar_s - alpha_bar_t"),
    (check_posterior_skip, skip_bug(v="sqrt((1 - S) * r / n)"), "your v is a standard deviation"),
    (check_posterior_skip, skip_bug(v="r"), "the noise added between s and t"),
    (check_posterior_skip, skip_bug(v="1 - S"), "that of the prior"),
    (check_posterior_skip, lambda S, A: (skip(S, A)[1], skip(S, A)[0], skip(S, A)[2]), "c and d are swapped"),
    (check_posterior_skip, skip_bug(d="A / S * (1 - S) / n"), "alpha_bar_t / alpha_bar_s without its square root"),
    (check_posterior_skip, skip_bug(c="S * r / n"), "alpha_bar_s without its square root"),
    (check_posterior_skip, skip_bug(c="sqrt(A) * r / n"), r"your c has sqrt\(alpha_bar_t\)"),
    (check_posterior_skip, lambda S, A: skip(A, S), "s and t are swapped"),
    (
        check_posterior_skip,
        skip_bug(c="sqrt(S) * (S - A) / n", d="sqrt(1 - S + A) * (1 - S) / n", v="(1 - S) * (S - A) / n"),
        ", and what is kept that ratio",
    ),
    (check_posterior_skip, skip_bug(c="S * r / n", d="A / S * (1 - S) / n"), "c and d lack their square roots"),
    (
        check_posterior_skip,
        skip_bug(c="sqrt(S) * (1 - S * A) / n", d="sqrt(S * A) * (1 - S) / n", v="(1 - S) * (1 - S * A) / n"),
        "you multiplied alpha_bar_s and alpha_bar_t",
    ),
    (check_posterior_skip, skip_bug(c="0.5"), r"^c for alpha_bar_s = 0\.\d+, alpha_bar_t = 0\.\d+ is wrong: where"),
    (check_posterior_skip, skip_bug(d="0.5"), r"^d for alpha_bar_s = 0\.\d+, alpha_bar_t = 0\.\d+ is wrong: where"),
    (check_posterior_skip, skip_bug(v="2.0"), r"^v for alpha_bar_s = 0\.\d+, alpha_bar_t = 0\.\d+ is wrong: where"),
    (check_posterior_skip, skip_bug(c="1 / 2", v="sqrt((1 - S) * r / n)"), "^c for"),  # one after the other
    (check_posterior_skip, skip_in_braces, "at s = 0, 1 - alpha_bar_s is 0: tidy up first"),
    (check_posterior_skip, lambda S, A: skip(S, A)[:2], "should return 3 results, c, d, v"),
    (check_posterior_skip, lambda S, A: 1.0, "should return 3 results, c, d, v"),
    (check_variance_without_x_0, without_bug("tilde"), "as if x_0 were known"),
    (check_variance_without_x_0, without_bug("b"), "that holds at s = 1 only"),
    (check_variance_without_x_0, without_bug("tilde + c**2 * s**2"), "x_t tells much about x_0"),
    (check_variance_without_x_0, without_bug("tilde + c * doubt"), r"multiplies a variance by c\^2"),
    (check_variance_without_x_0, without_bug("c**2 * doubt"), "you forgot beta_tilde_t"),
    (check_variance_without_x_0, without_bug("tilde + c**2 * s * n / (after * s + n)"), r"s\^2 belongs"),
    (check_variance_without_x_0, without_bug("tilde + c**2 * n"), "where Var"),
    (check_variance_without_x_0, without_bug("sqrt(tilde + c**2 * doubt)"), "you returned the standard deviation"),
    (check_variance_without_x_0, without_bug("before * s**2 + 1 - before"), "before x_t is known"),
    (check_variance_without_x_0, without_bug("after * s**2 + n"), "that of x_t$"),
    (check_variance_without_x_0, without_bug("b * before / after"), "that of the likelihood; the prior narrows it"),
    (check_variance_without_x_0, without_bug("doubt"), r"you returned Var\(x_0"),
    (check_variance_without_x_0, without_bug("1 / (1 / s**2 + 1 / n)"), "your likelihood has precision"),
    (check_variance_without_x_0, without_bug("tilde + c**2 / (1 / s**2 + 1 / n)"), "your likelihood has precision"),
    (check_variance_without_x_0, without_bug("tilde + c**2 / (1 / s**2 + after / n)"), "at s = 0, 1 / s.2 does not"),
    (
        check_variance_without_x_0,
        without_bug("1 / s"),
        r"^the variance for s = 0\.\d\d, alpha_bar_{t-1} = 0\.\d+, alpha_bar_t = 0\.\d+ is wrong: where",
    ),
]
