"""The exercises of lesson 07: a step of Algorithm 2, the clip, a shorter chain (the last one is in ``lesson_07b``)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .machinery import WrongAnswer, diagnose, exercise, fresh_generator

__all__ = ["check_clipped_mean", "check_reverse_step", "check_short_beta"]


def _tables(T: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A random beta and its alpha_bar, both (T+1,), entry 0 for the clean image."""
    beta = 0.03 + 0.3 * torch.rand(T, generator=generator, dtype=torch.float64)
    beta = torch.cat([torch.zeros(1, dtype=torch.float64), beta])
    return beta, (1 - beta).cumprod(0)


def _images(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """x_t, eps_hat and z, (3, 1, 5, 4): some pixels of the image behind them lie far outside [-1, 1]."""
    x_t, eps_hat, z = torch.randn(3, 3, 1, 5, 4, generator=generator, dtype=torch.float64)
    return 1.5 * x_t, eps_hat, z


@exercise
def check_reverse_step(answer: Callable[[Tensor, int, Tensor, Tensor, Tensor, Tensor], Tensor]) -> str:
    """Check ``reverse_step(x_t, t, eps_hat, z, beta, alpha_bar)``: Algorithm 2, line 4, with sigma_t^2 = beta_t."""
    generator = fresh_generator()
    beta, alpha_bar = _tables(9, generator)
    for t in (5, 9, 1):
        x_t, eps_hat, z = _images(generator)
        b, a, a_bar = beta[t], 1 - beta[t], alpha_bar[t]

        def step(
            noise: Tensor, eps_weight: Tensor, scale: Tensor, x: Tensor = x_t, e: Tensor = eps_hat, z: Tensor = z
        ) -> Tensor:
            return (x - eps_weight * e) / scale + noise * z

        right, root = b / (1 - a_bar).sqrt(), a.sqrt()
        sigma = b.sqrt() if t > 1 else torch.zeros_like(b)
        beta_tilde = b * (1 - alpha_bar[t - 1]) / (1 - a_bar)
        mistakes = {
            "your noise has standard deviation beta_t, which is the variance; multiply z by its square root": step(
                b, right, root
            ),
            "you divide by 1 - alpha_bar_t; Algorithm 2 has its square root": step(sigma, b / (1 - a_bar), root),
            "you have 1 - alpha_t under the root before eps_hat; it is 1 - alpha_bar_t, the noise of all t steps": (
                step(sigma, b / (1 - a).sqrt(), root)
            ),
            "you add the noise that the network sees; take it away": step(sigma, -right, root),
            "you divide by alpha_t; it is its square root": step(sigma, right, a),
            "you multiply by sqrt(alpha_t), which shrinks x_t once more; the way back divides": step(
                sigma, right, 1 / root
            ),
            "you have forgotten to divide by sqrt(alpha_t): step t had shrunk the image": step(
                sigma, right, torch.ones_like(b)
            ),
            "you divide by sqrt(alpha_bar_t), which undoes all t steps; only step t is to be undone": step(
                sigma, right, a_bar.sqrt()
            ),
            "you take eps_hat away whole, with sqrt(1 - alpha_bar_t); a step removes beta_t / sqrt(1 - alpha_bar_t) of "
            "it": step(sigma, (1 - a_bar).sqrt(), root),
            "you take beta_tilde_t for the variance; here beta_t was asked for": step(beta_tilde.sqrt(), right, root),
            "you add no noise; only the step at t = 1 has none": step(0 * b, right, root),
            "your tables are read at t - 1; they have T + 1 entries, and entry t belongs to t": step(
                beta[t - 1].sqrt(), beta[t - 1] / (1 - alpha_bar[t - 1]).sqrt(), (1 - beta[t - 1]).sqrt()
            ),
            "you divide z by sqrt(alpha_t) too; sigma_t z stands outside the bracket": step(sigma / root, right, root),
            "you divide eps_hat alone by sqrt(alpha_t); the bracket holds x_t too: x_t - (...) eps_hat, all of it": (
                x_t - right * eps_hat / root + sigma * z
            ),
            "you take the root of beta_t too; before eps_hat only 1 - alpha_bar_t has one": step(
                sigma, (b / (1 - a_bar)).sqrt(), root
            ),
            "you take sigma_t z away; the equation adds it (a random z would not tell, this one does)": step(
                -sigma, right, root
            ),
        }
        if t + 1 < len(beta):
            mistakes["your tables are read at t + 1; they have T + 1 entries, and entry t belongs to t"] = step(
                beta[t + 1].sqrt(), beta[t + 1] / (1 - alpha_bar[t + 1]).sqrt(), (1 - beta[t + 1]).sqrt()
            )
        if t == 1:  # alpha_bar_1 = alpha_1, and the noise is all that may be wrong
            mistakes = {"you add noise at t = 1; the last step returns its mean, z = 0": step(b.sqrt(), right, root)}
        got, again = (
            answer(x_t.clone(), t, eps_hat.clone(), z.clone(), beta.clone(), alpha_bar.clone()) for _ in range(2)
        )
        if isinstance(got, Tensor) and isinstance(again, Tensor) and not torch.equal(got, again):
            raise WrongAnswer("two calls with one z gave two answers: use the z that you are given, and draw none")
        diagnose(f"x_{t - 1}, from x_{t},", got, step(sigma, right, root), mistakes, tol=1e-5)
    return "T of these, and noise is a digit."


@exercise
def check_clipped_mean(answer: Callable[[Tensor, int, Tensor, Tensor], Tensor]) -> str:
    """Check ``clipped_mean(x_t, t, eps_hat, alpha_bar)``: eq. 7 with x0_hat, cut to [-1, 1], for x_0."""
    generator = fresh_generator()
    _, alpha_bar = _tables(9, generator)
    for t in (6, 3, 1):
        x_t, eps_hat, _ = _images(generator)
        a_bar, before = alpha_bar[t], alpha_bar[t - 1]
        a = a_bar / before
        w_0, w_t = before.sqrt() * (1 - a) / (1 - a_bar), a.sqrt() * (1 - before) / (1 - a_bar)

        def image(x: Tensor, e: Tensor, a_bar: Tensor = a_bar) -> Tensor:
            return (x - (1 - a_bar).sqrt() * e) / a_bar.sqrt()

        x0_hat, cut = image(x_t, eps_hat), x_t.clamp(-1, 1)
        mistakes = {
            "nothing is clipped: this is the mean of Algorithm 2": w_0 * x0_hat + w_t * x_t,
            "you clip x_t; it is a noisy image, and its values may go beyond 1. Clip x0_hat": (
                w_0 * image(cut, eps_hat) + w_t * cut
            ),
            "you clip x0_hat, and x_t too in the mean; x_t is a noisy image: leave it": w_0 * x0_hat.clamp(-1, 1)
            + w_t * cut,
            "you clip the mean; clip x0_hat before it goes into the mean": (w_0 * x0_hat + w_t * x_t).clamp(-1, 1),
            "you clip eps_hat; noise may well be larger than 1. Clip x0_hat": (
                w_0 * image(x_t, eps_hat.clamp(-1, 1)) + w_t * x_t
            ),
            "you clip to [0, 1]; pixels here lie in [-1, 1]": w_0 * x0_hat.clamp(0, 1) + w_t * x_t,
            "you return x0_hat, clipped; it has to go into the posterior mean": x0_hat.clamp(-1, 1),
            "your two weights are swapped: x0_hat has sqrt(alpha_bar_{t-1}) beta_t / (1 - alpha_bar_t)": (
                w_t * x0_hat.clamp(-1, 1) + w_0 * x_t
            ),
            "your x0_hat has the wrong sign in front of eps_hat: take the noise away": (
                w_0 * image(x_t, -eps_hat).clamp(-1, 1) + w_t * x_t
            ),
            "your weight of x0_hat has sqrt(alpha_bar_t) where sqrt(alpha_bar_{t-1}) should stand": (
                w_0 * a.sqrt() * x0_hat.clamp(-1, 1) + w_t * x_t
            ),
            "your weight of x_t lacks its root: it is sqrt(alpha_t)": w_0 * x0_hat.clamp(-1, 1) + w_t * a.sqrt() * x_t,
            "you clip x0_hat at -1 only; a pixel may not be above 1 either": w_0 * x0_hat.clamp(min=-1) + w_t * x_t,
            "you clip x0_hat at 1 only; a pixel may not be below -1 either": w_0 * x0_hat.clamp(max=1) + w_t * x_t,
            "you clip x0_hat, and the mean once more; x_{t-1} is a noisy image, so leave its mean": (
                w_0 * x0_hat.clamp(-1, 1) + w_t * x_t
            ).clamp(-1, 1),
            "this is the step of DDIM, which puts eps_hat in again; the posterior mean has x0_hat and x_t": (
                before.sqrt() * x0_hat.clamp(-1, 1) + (1 - before).sqrt() * eps_hat
            ),
            "your beta_t is 1 - alpha_bar_t; it is 1 - alpha_bar_t / alpha_bar_{t-1}": (
                before.sqrt() * x0_hat.clamp(-1, 1) + w_t * x_t
            ),
            "your alpha_t is alpha_bar_t; it is alpha_bar_t / alpha_bar_{t-1}, and beta_t is 1 minus that": (
                before.sqrt() * x0_hat.clamp(-1, 1) + a_bar.sqrt() * (1 - before) / (1 - a_bar) * x_t
            ),
        }
        if t == 1:  # w_0 = 1, w_t = 0: several coincide, and some are right
            mistakes = {"nothing is clipped: this is the mean of Algorithm 2": x0_hat}
        got = answer(x_t.clone(), t, eps_hat.clone(), alpha_bar.clone())
        diagnose(f"the mean at t = {t}", got, w_0 * x0_hat.clamp(-1, 1) + w_t * x_t, mistakes, tol=1e-5)
    return "At t = 1 it is the clipped x0_hat itself: so samples lie in [-1, 1]."


@exercise
def check_short_beta(answer: Callable[[Tensor, list[int]], Tensor]) -> str:
    """Check ``short_beta(alpha_bar, tau)``: (n,), ``beta'_k = 1 - alpha_bar[tau_k] / alpha_bar[tau_{k-1}]``."""
    generator = fresh_generator()
    beta, alpha_bar = _tables(20, generator)
    chosen = torch.randperm(17, generator=generator)[:4] + 2  # of 2..18
    tau = sorted([*chosen.tolist(), 20])
    kept = alpha_bar[[0, *tau]]
    want = 1 - kept[1:] / kept[:-1]
    got = answer(alpha_bar.clone(), list(tau))
    n, given = len(tau), got.tolist() if isinstance(got, Tensor) and got.ndim == 1 else got
    if isinstance(given, (list, tuple)) and len(given) == n + 1:
        raise WrongAnswer(f"you return {n + 1} variances for {n} times; tau_0 = 0, the clean image, is no step")
    if (
        isinstance(given, (list, tuple))
        and len(given) == n - 1
        and torch.allclose(torch.tensor(given), want[1:].float())
    ):
        raise WrongAnswer("your chain lacks its first step, from the clean image (tau_0 = 0, alpha_bar_0 = 1) to tau_1")
    early = torch.cat([alpha_bar[:1], alpha_bar[[t - 1 for t in tau]]])
    sums = torch.stack([beta[i + 1 : j + 1].sum() for i, j in zip([0, *tau], tau, strict=False)])
    mistakes = {
        "these are the long chain's beta at the times you keep; a step that skips times adds more noise": beta[tau],
        "these are alpha_bar[tau_k] / alpha_bar[tau_{k-1}], the alpha of the short chain; beta = 1 - alpha": (
            kept[1:] / kept[:-1]
        ),
        "your ratio is upside down: alpha_bar falls, so alpha_bar[tau_k] / alpha_bar[tau_{k-1}] is below 1": (
            1 - kept[:-1] / kept[1:]
        ),
        "you took the root of the ratio; beta is a variance: 1 - alpha_bar[tau_k] / alpha_bar[tau_{k-1}]": (
            1 - (kept[1:] / kept[:-1]).sqrt()
        ),
        "these are differences of alpha_bar; divide by alpha_bar[tau_{k-1}]": kept[:-1] - kept[1:],
        "you add up the beta between two times; the alpha multiply": sums,
        "your table is read at t - 1; it has T + 1 entries, and entry t belongs to t": 1 - early[1:] / early[:-1],
        "these are the 1 - alpha_bar at your times: the noise since the clean image, not since the time before": (
            1 - kept[1:]
        ),
    }
    diagnose("beta'", got, want, mistakes)
    return "GaussianDiffusion(beta') is the short chain; the network has to be told tau_k, not k."
