"""The exercises of lesson 03: the posterior, its mean from the noise, several steps back, its variance without x_0."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from .machinery import WrongAnswer, diagnose, exercise, fresh_generator

__all__ = ["check_mu_from_eps", "check_posterior_skip", "check_q_posterior", "check_variance_without_x_0"]

BETA = "your beta_t is alpha_bar_{t-1} - alpha_bar_t; it should be 1 - alpha_bar_t / alpha_bar_{t-1}"
ALPHA = BETA + ", and alpha_t that ratio"


def _table(T: int, generator: torch.Generator) -> Tensor:
    """A random alpha_bar table, (T+1,) float64: beta_t between 0.05 and 0.25, no two alike."""
    beta = 0.05 + 0.2 * torch.rand(T, generator=generator, dtype=torch.float64)
    return torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])


def _numbers(got: Any, names: str) -> list[Tensor]:
    """The parts of an answer that should be as many tensors or numbers as there are names."""
    n = len(names.split(", "))
    if got is None:
        raise WrongAnswer(f"your function returned None; it should return {names}")
    if not hasattr(got, "__len__") or getattr(got, "ndim", 1) == 0 or len(got) != n:
        raise WrongAnswer(f"your function should return {n} results, {names}")
    if any(x is None for x in got):
        raise WrongAnswer(f"one of your results is None; your function should return {names}")
    return [torch.as_tensor(x) for x in got]


def _number(name: str, x: Tensor) -> Tensor:
    if x.numel() != 1:
        raise WrongAnswer(f"{name} should be one number, got shape {tuple(x.shape)}")
    return x.double().reshape(())


def _doubles(mistakes: Mapping[str, Any]) -> dict[str, Tensor]:
    return {why: torch.tensor(wrong, dtype=torch.float64) for why, wrong in mistakes.items()}


def _ask(answer: Callable[..., Any], *arguments: Any, advice: str = "") -> Any:
    """What the answer makes of copies of the arguments. With ``advice``, for where a careless formula divides by zero,
    that error and a NaN get this advice."""
    try:
        got = answer(*(x.clone() if isinstance(x, Tensor) else x for x in arguments))
    except ZeroDivisionError as error:
        raise WrongAnswer(advice or "you divide by zero") from error
    parts = got if isinstance(got, (tuple, list)) else [got]
    if advice and any(bool(torch.as_tensor(x).isnan().any()) for x in parts if isinstance(x, (int, float, Tensor))):
        raise WrongAnswer(advice)
    return got


@exercise
def check_q_posterior(answer: Callable[[Tensor, Tensor, int, Tensor], tuple[Tensor, Tensor]]) -> str:
    """Check ``q_posterior(x_0, x_t, t, alpha_bar)``: mu_tilde and beta_tilde_t, eq. 6 and 7, at the ends too."""
    generator = fresh_generator()
    T = 12
    table = _table(T, generator)
    x_0, x_t = torch.randn(2, 3, 2, 4, 4, generator=generator, dtype=torch.float64)
    names = "mu_tilde, beta_tilde_t"
    for t in (int(torch.randint(3, T - 1, (1,), generator=generator)), T, 2):
        got, again = (_numbers(_ask(answer, x_0, x_t, t, table), names) for _ in range(2))
        if got[0].shape == again[0].shape and not torch.allclose(got[0], again[0], equal_nan=True):
            raise WrongAnswer("two calls give two values of mu_tilde: you drew a sample; return its mean, no noise")
        before, after = float(table[t - 1]), float(table[t])
        a, b, n, m, drop = after / before, 1 - after / before, 1 - after, 1 - before, before - after
        c, d, v = sqrt(before) * b / n, sqrt(a) * m / n, m / n * b
        weights = {  # of x_0 and of x_t
            "your weight of x_0 has sqrt(alpha_bar_t); eq. 7 has sqrt(alpha_bar_{t-1})": (sqrt(after) * b / n, d),
            "your 1 - alpha_bar_t and 1 - alpha_bar_{t-1} are swapped; the later one stands below": (
                sqrt(before) * b / m, sqrt(a) * n / m
            ),
            "your weight of x_0 has alpha_bar_{t-1} without its square root": (before * b / n, d),
            "your weight of x_t has alpha_t without its square root": (c, a * m / n),
            "both your weights lack their roots, of alpha_bar_{t-1} and of alpha_t": (before * b / n, a * m / n),
            "your weight of x_0 has sqrt(beta_t); eq. 7 has beta_t itself": (sqrt(before * b) / n, d),
            "your weights divide by sqrt(1 - alpha_bar_t); eq. 7 has no root there": (c * sqrt(n), d * sqrt(n)),
            "your weight of x_t has 1 - alpha_bar_t above, where it cancels; it is 1 - alpha_bar_{t-1}": (c, sqrt(a)),
            "x_0 and x_t have each other's weights": (d, c),
            "your alpha_t is alpha_bar_t; alpha_t = alpha_bar_t / alpha_bar_{t-1} is what one step keeps": (
                sqrt(before), sqrt(after) * m / n
            ),
            BETA: (sqrt(before) * drop / n, d),
            ALPHA: (sqrt(before) * drop / n, sqrt(1 - drop) * m / n),
            "you returned mu_tilde / beta_tilde_t, the brace in (c); multiply it by beta_tilde_t": (c / v, d / v),
        }  # fmt: skip
        for shift, used in ((-1, "alpha_bar[t] belongs to t, and alpha_bar[0] to the clean image"),
                            (1, "you used alpha_bar[t + 1] and alpha_bar[t]")):  # fmt: skip
            if t + shift <= T:
                r, s = (float(table[t + shift - i]) for i in (1, 0))
                pair = sqrt(r) * (1 - s / r) / (1 - s), sqrt(s / r) * (1 - r) / (1 - s)
                weights[f"your t is off by one: {used}"] = pair
        variances = {
            "your variance is beta_t, that of the step forward; beta_tilde_t is smaller, for x_0 is known": b,
            "you returned the standard deviation; beta_tilde_t is its square": sqrt(v),
            "your ratio in beta_tilde_t is upside down: 1 - alpha_bar_{t-1} belongs above": n / m * b,
            "your variance lacks the factor beta_t": m / n,
            "you returned 1 / beta_tilde_t, the precision": 1 / v,
            "your variance is 1 - alpha_bar_{t-1}, that of the prior q(x_{t-1} | x_0); x_t narrows it": m,
            BETA: m / n * drop,
        }
        means = {why: p * x_0 + q * x_t for why, (p, q) in weights.items()}
        diagnose(f"mu_tilde at t = {t}", got[0], c * x_0 + d * x_t, means, tol=1e-5)
        want = torch.tensor(v, dtype=torch.float64)
        diagnose(f"beta_tilde at t = {t}", _number("beta_tilde_t", got[1]), want, _doubles(variances))
    advice = "at t = 1, 1 - alpha_bar_0 is 0: do not divide by it; the boxed formulas divide by 1 - alpha_bar_t only"
    mean, variance = _numbers(_ask(answer, x_0, x_t, 1, table, advice=advice), names)  # several mistakes coincide here
    diagnose("mu_tilde at t = 1, which is x_0,", mean, x_0, tol=1e-5)
    what = "beta_tilde at t = 1, where x_{t-1} is the x_0 that is given,"
    diagnose(what, _number("beta_tilde_t", variance), torch.zeros((), dtype=torch.float64))
    return "At t = 1 it is x_0 with no doubt left."


@exercise
def check_mu_from_eps(answer: Callable[[Tensor, Tensor, float, float], Tensor]) -> str:
    """Check ``mu_from_eps(x_t, eps, alpha_bar_before, alpha_bar_t)``: eq. 11 with the true noise."""
    generator = fresh_generator()
    table = _table(20, generator)
    for t in (int(torch.randint(4, 19, (1,), generator=generator)), 2):
        before, after = float(table[t - 1]), float(table[t])
        a, b, n, drop = after / before, 1 - after / before, 1 - after, before - after
        x_t, eps = torch.randn(2, 4, 3, 5, 5, generator=generator, dtype=torch.float64)
        right, scale = b / sqrt(n), 1 / sqrt(a)
        factors = {  # of eps, and of all
            "you return x_0, the jump all the way, as alpha_bar_t in the place of alpha_t does; mu_tilde is one step": (
                sqrt(n), 1 / sqrt(after)
            ),
            "you take off all the noise in one step; it is beta_t / sqrt(1 - alpha_bar_t) eps": (sqrt(n), scale),
            "your noise has beta_t / (1 - alpha_bar_t); the lower part is a square root": (b / n, scale),
            "your noise has sqrt(beta_t), as the step forward; it is beta_t / sqrt(1 - alpha_bar_t)": (sqrt(b), scale),
            "your noise has beta_t alone; it is divided by sqrt(1 - alpha_bar_t)": (b, scale),
            "your noise has sqrt(1 - alpha_bar_{t-1}) below; eps made x_t, so it is sqrt(1 - alpha_bar_t)": (
                b / sqrt(1 - before), scale
            ),
            "you divide by alpha_t; its square root is wanted": (right, 1 / a),
            "you multiply by sqrt(alpha_t), the step forward; the way back divides": (right, sqrt(a)),
            "you forgot to divide by sqrt(alpha_t)": (right, 1),
            "you divide by sqrt(alpha_bar_t); only one step is undone: sqrt(alpha_t)": (right, 1 / sqrt(after)),
            "you add the noise; it is to be taken off": (-right, scale),
            "your alpha_t is upside down: alpha_t = alpha_bar_t / alpha_bar_{t-1}, below 1": (
                (1 - 1 / a) / sqrt(n), sqrt(a)
            ),
            BETA: (drop / sqrt(n), scale),
            ALPHA: (drop / sqrt(n), 1 / sqrt(1 - drop)),
        }  # fmt: skip
        mistakes = {why: whole * (x_t - factor * eps) for why, (factor, whole) in factors.items()}
        mistakes["only your noise is divided by sqrt(alpha_t); x_t is too: mind the parentheses"] = (
            x_t - right * scale * eps
        )
        want = scale * (x_t - right * eps)
        diagnose("mu_tilde", _ask(answer, x_t, eps, before, after), want, mistakes, tol=1e-5)
    return "Put a network's guess in the place of eps, and this is the mean of a sampling step."


@exercise
def check_posterior_skip(answer: Callable[[float, float], tuple[float, float, float]]) -> str:
    """Check ``posterior_skip(alpha_bar_s, alpha_bar_t)``: c, d, v of ``q(x_s | x_t, x_0) = N(c x_0 + d x_t, v I)``."""
    generator = fresh_generator()
    table = _table(20, generator)
    i = int(torch.randint(3, 8, (1,), generator=generator))
    for s, t in ((i, i + 7), (i, i + 1), (0, 9)):
        S, A = float(table[s]), float(table[t])
        advice = "at s = 0, 1 - alpha_bar_s is 0: tidy up first (multiply out), so that nothing divides by it"
        got = _numbers(_ask(answer, S, A, advice="" if s else advice), "c, d, v")
        three = [_number("each of c, d, v", x) for x in got]
        ratio, n, drop, m = A / S, 1 - A, S - A, 1 - S
        c, d, v = sqrt(S) * (1 - ratio) / n, sqrt(ratio) * m / n, m * (1 - ratio) / n
        noise = "your noise between s and t is alpha_bar_s - alpha_bar_t; it should be 1 - alpha_bar_t / alpha_bar_s"
        together: dict[str, Any] = {
            noise: (sqrt(S) * drop / n, d, m * drop / n),
            noise + ", and what is kept that ratio": (sqrt(S) * drop / n, sqrt(1 - drop) * m / n, m * drop / n),
            "you multiplied alpha_bar_s and alpha_bar_t; from s to t the ratio alpha_bar_t / alpha_bar_s is kept": (
                sqrt(S) * (1 - S * A) / n, sqrt(S * A) * m / n, m * (1 - S * A) / n
            ),
            "your c and d are swapped: c belongs to x_0": (d, c, v),
            "your c and d lack their square roots: sqrt(alpha_bar_s) and sqrt(alpha_bar_t / alpha_bar_s)": (
                S * (1 - ratio) / n, ratio * m / n, v
            ),
            "your s and t are swapped: s < t, and alpha_bar_s is the larger one": (
                sqrt(A) * (1 - S / A) / max(m, 1e-9), sqrt(S / A) * n / max(m, 1e-9), n * (1 - S / A) / max(m, 1e-9)
            ),
        }  # fmt: skip
        alone: dict[str, dict[str, float]] = {
            "c": {
                "your c has alpha_bar_s without its square root": S * (1 - ratio) / n,
                "your c has sqrt(alpha_bar_t); the prior of x_s has sqrt(alpha_bar_s)": sqrt(A) * (1 - ratio) / n,
            },
            "d": {"your d has alpha_bar_t / alpha_bar_s without its square root": ratio * m / n},
            "v": {
                "your v is a standard deviation; the variance is its square": sqrt(v),
                "your v is 1 - alpha_bar_t / alpha_bar_s, the noise added between s and t; x_0 narrows it": 1 - ratio,
                "your v is 1 - alpha_bar_s, that of the prior; x_t narrows it": m,
            },
        }
        if s == 0:  # x_s is x_0, which is given: c = 1, d = 0, v = 0, and several mistakes coincide
            together, alone = {}, {}
        for why, wrong in _doubles(together).items():
            if torch.allclose(torch.stack(three), wrong, rtol=0, atol=1e-6):
                raise WrongAnswer(why)
        place = f"for alpha_bar_s = {S:.3g}, alpha_bar_t = {A:.3g}"
        for name, x, right in zip("cdv", three, (c, d, v), strict=True):
            diagnose(f"{name} {place}", x, torch.tensor(right, dtype=torch.float64), _doubles(alone.get(name, {})))
    return "s = t - 1 gives eq. 7, and s = 0 gives x_0. Samplers that skip steps start from here."


@exercise
def check_variance_without_x_0(answer: Callable[[float, float, float], float]) -> str:
    """Check ``variance_without_x_0(s, alpha_bar_before, alpha_bar_t)``: Var(x_{t-1} | x_t) for x_0 ~ N(0, s^2)."""
    generator = fresh_generator()
    table = _table(9, generator)
    t = int(torch.randint(3, 9, (1,), generator=generator))  # later, x_0 hardly counts, and mistakes look alike
    spread = 0.3 + 0.5 * float(torch.rand(1, generator=generator, dtype=torch.float64))
    before, after = float(table[t - 1]), float(table[t])
    b, n = 1 - after / before, 1 - after
    tilde, c = (1 - before) / n * b, sqrt(before) * b / n
    lacks = "your likelihood has precision 1 / (1 - alpha_bar_t); of x_0 it is alpha_bar_t / (1 - alpha_bar_t)"
    for s in (spread, 0.0, 1.0):
        doubt, careless = s**2 * n / (after * s**2 + n), s**2 * n / (s**2 + n)  # Var(x_0 | x_t); without alpha_bar_t
        mistakes = {
            "your variance is beta_tilde_t, as if x_0 were known": tilde,
            "your variance is beta_t; that holds at s = 1 only, where Var(x_0 | x_t) = 1 - alpha_bar_t": b,
            "you took Var(x_0) = s^2; x_t tells much about x_0, so Var(x_0 | x_t) is smaller": tilde + c**2 * s**2,
            "you multiplied Var(x_0 | x_t) by c_t; a factor c multiplies a variance by c^2": tilde + c * doubt,
            "you forgot beta_tilde_t: even with x_0 known, x_{t-1} is not": c**2 * doubt,
            "you used s where s^2 belongs": tilde + c**2 * s * n / (after * s + n),
            "you returned the standard deviation; the variance is its square": sqrt(tilde + c**2 * doubt),
            "your variance is that of x_{t-1} before x_t is known": before * s**2 + 1 - before,
            "your variance is that of x_t": after * s**2 + n,
            "your variance is beta_t / alpha_t, that of the likelihood; the prior narrows it": b * before / after,
            "you returned Var(x_0 | x_t); wanted is Var(x_{t-1} | x_t), of which it is a part": doubt,
            lacks: tilde + c**2 * careless,
            lacks + "; and Var(x_0 | x_t) is one part only": careless,
        }
        named = _doubles(mistakes) if s == spread else {}  # elsewhere several mistakes are right
        got = _ask(answer, s, before, after, advice="" if s else "at s = 0, 1 / s^2 does not exist: multiply out first")
        place = f"for s = {s:.2f}, alpha_bar_{{t-1}} = {before:.3g}, alpha_bar_t = {after:.3g}"
        want = torch.tensor(tilde + c**2 * doubt, dtype=torch.float64)
        diagnose(f"the variance {place}", got, want, named, tol=1e-6)
    return (
        "s = 0 gives beta_tilde_t, and s = 1 gives beta_t. For data of variance at most 1, the average over x_t lies "
        "between; at one x_t it may be larger, where two values of x_0 compete."
    )
