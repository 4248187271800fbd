"""The exercises of lesson 03: the posterior, its mean from the noise, several steps back, its variance without x_0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .machinery import WrongAnswer, diagnose, exercise, fresh_generator

__all__ = ["check_mu_from_eps", "check_posterior_skip", "check_q_posterior", "check_variance_without_x_0"]

BETA = "your beta_t is alpha_bar_{t-1} - alpha_bar_t; it should be 1 - alpha_bar_t / alpha_bar_{t-1}"


def _table(T: int, generator: torch.Generator) -> Tensor:
    """A random alpha_bar table, (T+1,) float64: beta_t between 0.05 and 0.25, no two alike."""
    beta = 0.05 + 0.2 * torch.rand(T, generator=generator, dtype=torch.float64)
    return torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])


def _numbers(got: Any, names: str) -> list[Tensor]:
    """The parts of an answer that should be as many numbers as there are names."""
    n = len(names.split(", "))
    if got is None:
        raise WrongAnswer(f"your function returned None; it should return {names}")
    if not isinstance(got, (tuple, list, Tensor)) or (isinstance(got, Tensor) and got.ndim == 0) or len(got) != n:
        raise WrongAnswer(f"your function should return {n} results, {names}")
    return [torch.as_tensor(x) for x in got]


def _number(name: str, x: Tensor) -> Tensor:
    if x.numel() != 1:
        raise WrongAnswer(f"{name} should be one number, got shape {tuple(x.shape)}")
    return x.double().reshape(())


def _doubles(mistakes: Mapping[str, Any]) -> dict[str, Tensor]:
    return {why: torch.tensor(wrong, dtype=torch.float64) for why, wrong in mistakes.items()}


def _at_an_end(answer: Callable[..., Any], arguments: tuple[Any, ...], advice: str) -> Any:
    """What the answer returns where a careless formula divides by zero; there, an error or a NaN gets this advice."""
    try:
        got = answer(*arguments)
    except ZeroDivisionError as error:
        raise WrongAnswer(advice) from error
    parts = got if isinstance(got, (tuple, list)) else [got]
    if any(bool(torch.as_tensor(x).isnan().any()) for x in parts if isinstance(x, (int, float, Tensor))):
        raise WrongAnswer(advice)
    return got


def _mean(x_0: Tensor, x_t: Tensor, before: float, after: float) -> Tensor:
    """mu_tilde from alpha_bar at the earlier and the later time."""
    ratio = after / before
    return (math.sqrt(before) * (1 - ratio) * x_0 + math.sqrt(ratio) * (1 - before) * x_t) / (1 - after)


@exercise
def check_q_posterior(answer: Callable[[Tensor, Tensor, int, Tensor], tuple[Tensor, Tensor]]) -> str:
    """Check ``q_posterior(x_0, x_t, t, alpha_bar)``: mu_tilde and beta_tilde_t, eq. 6 and 7, at the ends too."""
    generator = fresh_generator()
    T = 12
    table = _table(T, generator)
    x_0, x_t = torch.randn(2, 3, 2, 4, 4, generator=generator, dtype=torch.float64)
    for t in (int(torch.randint(3, T - 1, (1,), generator=generator)), T, 2, 1):
        given = x_0.clone(), x_t.clone(), t, table.clone()
        what = "at t = 1, 1 - alpha_bar_0 is 0: do not divide by it; the boxed formulas divide by 1 - alpha_bar_t only"
        got = _numbers(answer(*given) if t > 1 else _at_an_end(answer, given, what), "mu_tilde, beta_tilde_t")
        before, after = float(table[t - 1]), float(table[t])
        a, b, n = after / before, 1 - after / before, 1 - after
        s, r = math.sqrt(before) * x_0, math.sqrt(a) * (1 - before) / n * x_t  # the two terms, s without its factor
        wrong_alpha, drop = a * (1 - before) / n * x_t, before - after
        means = {
            "your weight of x_0 has sqrt(alpha_bar_t); eq. 7 has sqrt(alpha_bar_{t-1})": (
                math.sqrt(after) * b / n * x_0 + r
            ),
            "your weights have 1 - alpha_bar_t and 1 - alpha_bar_{t-1} swapped; the later one, 1 - alpha_bar_t, "
            "stands below": s * b / max(1 - before, 1e-300) + math.sqrt(a) * n / max(1 - before, 1e-300) * x_t,
            "your weight of x_0 has alpha_bar_{t-1} without its square root": before * b / n * x_0 + r,
            "your weight of x_t has alpha_t without its square root": s * b / n + wrong_alpha,
            "both your weights lack their square roots: sqrt(alpha_bar_{t-1}) and sqrt(alpha_t)": (
                before * b / n * x_0 + wrong_alpha
            ),
            "your weight of x_0 has sqrt(beta_t); eq. 7 has beta_t itself": s * math.sqrt(b) / n + r,
            "your weights divide by sqrt(1 - alpha_bar_t); eq. 7 has 1 - alpha_bar_t, a variance": (s * b / n + r)
            * math.sqrt(n),
            "your weight of x_t has 1 - alpha_bar_t, which cancels with what stands below; it should be "
            "1 - alpha_bar_{t-1}": s * b / n + math.sqrt(a) * x_t,
            "x_0 and x_t have each other's weights": (
                math.sqrt(before) * b / n * x_t + math.sqrt(a) * (1 - before) / n * x_0
            ),
            "your alpha_t is alpha_bar_t; alpha_t = alpha_bar_t / alpha_bar_{t-1} is what one step keeps": (
                math.sqrt(before) * (1 - after) / n * x_0 + math.sqrt(after) * (1 - before) / n * x_t
            ),
            BETA: s * drop / n + r,
            BETA + ", and alpha_t that ratio": s * drop / n + math.sqrt(1 - drop) * (1 - before) / n * x_t,
            "you returned mu_tilde / beta_tilde_t, the brace in (c); multiply it by beta_tilde_t": (
                (s * b / n + r) / max((1 - before) / n * b, 1e-300)
            ),
        }  # fmt: skip
        if t > 1:
            earlier = float(table[t - 2])
            means["your t is off by one: alpha_bar[t] belongs to t, and alpha_bar[0] to the clean image"] = _mean(
                x_0, x_t, earlier, before
            )
        if t < T:
            later = float(table[t + 1])
            means["your t is off by one: you used alpha_bar[t + 1] and alpha_bar[t]"] = _mean(x_0, x_t, after, later)
        variance = (1 - before) / n * b
        variances = {
            "your variance is beta_t, that of the step forward; beta_tilde_t is smaller, for x_0 is known": b,
            "you returned the standard deviation; beta_tilde_t is its square": math.sqrt(variance),
            "your ratio in beta_tilde_t is upside down: 1 - alpha_bar_{t-1} belongs above": (
                n / max(1 - before, 1e-9) * b
            ),
            "your variance lacks the factor beta_t": (1 - before) / n,
            "you returned 1 / beta_tilde_t, the precision": 1 / max(variance, 1e-9),
            "your variance is 1 - alpha_bar_{t-1}, that of the prior q(x_{t-1} | x_0); x_t narrows it": 1 - before,
            BETA: (1 - before) / n * drop,
        }
        if t > 1:
            again = _numbers(answer(*given), "mu_tilde, beta_tilde_t")[0]
            if again.shape == got[0].shape and not torch.equal(again, got[0]) and not bool(again.isnan().any()):
                raise WrongAnswer("two calls give two values of mu_tilde: you drew a sample; return its mean, no noise")
            diagnose(f"mu_tilde at t = {t}", got[0], _mean(x_0, x_t, before, after), means)
            want = torch.tensor(variance, dtype=torch.float64)
            diagnose(f"beta_tilde at t = {t}", _number("beta_tilde_t", got[1]), want, _doubles(variances))
        else:  # several mistakes coincide here
            diagnose("mu_tilde at t = 1, which is x_0,", got[0], x_0)
            zero = torch.zeros((), dtype=torch.float64)
            what = "beta_tilde at t = 1, where x_{t-1} is the x_0 that is given,"
            diagnose(what, _number("beta_tilde_t", got[1]), zero)
    return "At t = 1 it is x_0 with no doubt left."


@exercise
def check_mu_from_eps(answer: Callable[[Tensor, Tensor, float, float], Tensor]) -> str:
    """Check ``mu_from_eps(x_t, eps, alpha_bar_before, alpha_bar_t)``: eq. 11 with the true noise."""
    generator = fresh_generator()
    table = _table(20, generator)
    for t in (int(torch.randint(4, 19, (1,), generator=generator)), 2):
        before, after = float(table[t - 1]), float(table[t])
        a, b, n = after / before, 1 - after / before, 1 - after
        x_t, eps = torch.randn(2, 4, 3, 5, 5, generator=generator, dtype=torch.float64)
        want, drop = (x_t - b / math.sqrt(n) * eps) / math.sqrt(a), before - after
        mistakes = {
            "you return x_0, the jump all the way; mu_tilde is one step": (x_t - math.sqrt(n) * eps) / math.sqrt(after),
            "you take off all the noise, sqrt(1 - alpha_bar_t) eps, in one step; one step takes off beta_t / "
            "sqrt(1 - alpha_bar_t) eps": (x_t - math.sqrt(n) * eps) / math.sqrt(a),
            "your noise has beta_t / (1 - alpha_bar_t); the lower part is a square root": (
                (x_t - b / n * eps) / math.sqrt(a)
            ),
            "your noise has sqrt(beta_t); that is the noise of the step forward, added without knowing the rest": (
                (x_t - math.sqrt(b) * eps) / math.sqrt(a)
            ),
            "your noise has beta_t alone; it is divided by sqrt(1 - alpha_bar_t)": (x_t - b * eps) / math.sqrt(a),
            "your noise has sqrt(1 - alpha_bar_{t-1}) below; eps made x_t, so it is sqrt(1 - alpha_bar_t)": (
                (x_t - b / math.sqrt(1 - before) * eps) / math.sqrt(a)
            ),
            "you divide by alpha_t; its square root is wanted": (x_t - b / math.sqrt(n) * eps) / a,
            "you multiply by sqrt(alpha_t), the step forward; the way back divides": (
                (x_t - b / math.sqrt(n) * eps) * math.sqrt(a)
            ),
            "you forgot to divide by sqrt(alpha_t)": x_t - b / math.sqrt(n) * eps,
            "you divide by sqrt(alpha_bar_t); only one step is undone, so it is sqrt(alpha_t)": (
                (x_t - b / math.sqrt(n) * eps) / math.sqrt(after)
            ),
            "you add the noise; it is to be taken off": (x_t + b / math.sqrt(n) * eps) / math.sqrt(a),
            "your alpha_t is upside down: alpha_t = alpha_bar_t / alpha_bar_{t-1}, below 1": (
                (x_t - (1 - 1 / a) / math.sqrt(n) * eps) * math.sqrt(a)
            ),
            BETA: (x_t - drop / math.sqrt(n) * eps) / math.sqrt(a),
            BETA + ", and alpha_t that ratio": (x_t - drop / math.sqrt(n) * eps) / math.sqrt(1 - drop),
        }  # fmt: skip
        diagnose("mu_tilde", answer(x_t.clone(), eps.clone(), before, after), want, mistakes)
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
        got = _numbers(answer(S, A) if s else _at_an_end(answer, (S, A), advice), "c, d, v")
        ratio, n, drop = A / S, 1 - A, S - A
        c, d = math.sqrt(S) * (1 - ratio) / n, math.sqrt(ratio) * (1 - S) / n
        v = (1 - S) * (1 - ratio) / n
        noise = "your noise between s and t is alpha_bar_s - alpha_bar_t; it should be 1 - alpha_bar_t / alpha_bar_s"
        together = {
            noise: (math.sqrt(S) * drop / n, d, (1 - S) * drop / n),
            noise + ", and what is kept that ratio": (
                math.sqrt(S) * drop / n, math.sqrt(1 - drop) * (1 - S) / n, (1 - S) * drop / n
            ),
            "you multiplied alpha_bar_s and alpha_bar_t; from s to t the ratio alpha_bar_t / alpha_bar_s is kept": (
                math.sqrt(S) * (1 - S * A) / n, math.sqrt(S * A) * (1 - S) / n, (1 - S) * (1 - S * A) / n
            ),
            "your c and d are swapped: c belongs to x_0": (d, c, v),
            "your c and d lack their square roots: sqrt(alpha_bar_s) and sqrt(alpha_bar_t / alpha_bar_s)": (
                S * (1 - ratio) / n, ratio * (1 - S) / n, v
            ),
            "your s and t are swapped: s < t, and alpha_bar_s is the larger one": (
                math.sqrt(A) * (1 - S / A) / max(1 - S, 1e-9), math.sqrt(S / A) * n / max(1 - S, 1e-9),
                n * (1 - S / A) / max(1 - S, 1e-9),
            ),
        }  # fmt: skip
        alone = {
            "c": {
                "your c has alpha_bar_s without its square root": S * (1 - ratio) / n,
                "your c has sqrt(alpha_bar_t); the prior of x_s has sqrt(alpha_bar_s)": math.sqrt(A) * (1 - ratio) / n,
            },
            "d": {"your d has alpha_bar_t / alpha_bar_s without its square root": ratio * (1 - S) / n},
            "v": {
                "your v is a standard deviation; the variance is its square": math.sqrt(v),
                "your v is 1 - alpha_bar_t / alpha_bar_s, the noise added between s and t; x_0 narrows it": 1 - ratio,
                "your v is 1 - alpha_bar_s, that of the prior; x_t narrows it": 1 - S,
            },
        }
        place = f"for alpha_bar_s = {S:.3g}, alpha_bar_t = {A:.3g}"
        three = [_number("each of c, d, v", x) for x in got]
        if s > 0:  # at s = 0, x_s is x_0, which is given: c = 1, d = 0, v = 0, and several mistakes coincide
            for why, wrong in _doubles(together).items():
                if torch.allclose(torch.stack(three), wrong, rtol=0, atol=1e-6):
                    raise WrongAnswer(why)
        for name, x, right in zip("cdv", three, (c, d, v), strict=True):
            named = _doubles(alone[name]) if s > 0 else {}
            diagnose(f"{name} {place}", x, torch.tensor(right, dtype=torch.float64), named)
    return "s = t - 1 gives eq. 7, and s = 0 gives x_0. Samplers that skip steps start from here."


@exercise
def check_variance_without_x_0(answer: Callable[[float, float, float], float]) -> str:
    """Check ``variance_without_x_0(s, alpha_bar_before, alpha_bar_t)``: Var(x_{t-1} | x_t) for x_0 ~ N(0, s^2)."""
    generator = fresh_generator()
    table = _table(20, generator)
    t = int(torch.randint(3, 19, (1,), generator=generator))
    spread = 0.3 + 0.5 * float(torch.rand(1, generator=generator, dtype=torch.float64))
    before, after = float(table[t - 1]), float(table[t])
    b, n = 1 - after / before, 1 - after
    tilde, c = (1 - before) / n * b, math.sqrt(before) * b / n
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
            "you returned the standard deviation; the variance is its square": math.sqrt(tilde + c**2 * doubt),
            "your variance is that of x_{t-1} before x_t is known": before * s**2 + 1 - before,
            "your variance is that of x_t": after * s**2 + n,
            "your variance is beta_t / alpha_t, that of the likelihood; the prior narrows it": b * before / after,
            "you returned Var(x_0 | x_t); wanted is Var(x_{t-1} | x_t), of which it is a part": doubt,
            lacks: tilde + c**2 * careless,
            lacks + "; and Var(x_0 | x_t) is one part only": careless,
        }
        named = _doubles(mistakes)
        want = torch.tensor(tilde + c**2 * doubt, dtype=torch.float64)
        if s != spread:  # there several mistakes are right
            named = {}
        given = s, before, after
        got = answer(*given) if s else _at_an_end(answer, given, "at s = 0, 1 / s^2 does not exist: multiply out first")
        place = f"for s = {s:.2f}, alpha_bar_{{t-1}} = {before:.3g}, alpha_bar_t = {after:.3g}"
        diagnose(f"the variance {place}", got, want, named, tol=1e-7)
    return (
        "s = 0 gives beta_tilde_t, and s = 1 gives beta_t. For data of variance at most 1, the average over x_t lies "
        "between; at one x_t it may be larger, where two values of x_0 compete."
    )
