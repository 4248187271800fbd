"""What is wrong with a walk of DDIM: whom it asks when, and each of its steps (for the set of lesson 07)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .machinery import WrongAnswer, diagnose

__all__ = ["judge_calls", "judge_step"]


def judge_calls(calls: list[tuple[Tensor, int, Tensor]], tau: list[int], result: Any, x_T: Tensor) -> None:
    """Raise unless the network was asked once at each kept time, from the last down, and first about x_T."""
    n, told, down = len(tau), [t for _, t, _ in calls], tau[::-1]
    mistakes = {
        "your walk goes up: it begins at T, the last of tau": tau,
        "you tell the network k, 1 to n; it knows the time tau_k of the long chain": [*range(n, 0, -1)],
        "you visit every time of the long chain; visit those in tau alone": [*range(tau[-1], 0, -1)],
        "you ask the network at t = 0 too: the last step goes from tau_1 to 0, and none from there": [*down, 0],
        "you ask at the time where a step ends; the noise is that of x_t, where it begins": [*down[1:], 0],
        "your last step is missing: from tau_1 to the clean image, 0": down[:-1],
        "your first step is missing: it begins at T, the last of tau": down[1:],
        "you tell the network tau_k - 1; here t runs from 1 to T": [t - 1 for t in down],
        "you ask the network twice in each step; once is enough, and it is what takes the time": (
            [t for t in down for _ in range(2)]
        ),
        "you take equal strides; tau holds the times": [round(tau[-1] * (n - i) / n) for i in range(n)],
        "your strides are those of T // n; tau holds the times": [tau[-1] - i * (tau[-1] // n) for i in range(n)],
    }
    if not told:
        raise WrongAnswer("you never ask the network: call model(x, t) at each time of tau")
    if told != down:
        for why, wrong in mistakes.items():
            if told == wrong:
                raise WrongAnswer(why)
        raise WrongAnswer(f"the network should be asked at t = {down}, you asked at {told}")
    first = calls[0][0]
    if first.shape != x_T.shape or not torch.allclose(first.double(), x_T, atol=1e-5):
        raise WrongAnswer("the network should see x_T itself first; you showed it something else")
    if result is None:
        raise WrongAnswer("your function returns None: does it return the last x?")
    if isinstance(result, (list, tuple)):
        raise WrongAnswer("return the last x alone, a tensor, not all of them")


def judge_step(
    x: Tensor, t: int, s: int, eps_hat: Tensor, after: Any, alpha_bar: Tensor, eta: float, drawn: list[Tensor],
    tau: list[int],
) -> None:  # fmt: skip
    """Raise unless ``after`` is the step from x at t to s, with one of the noises that were drawn."""
    a, x, eps_hat = alpha_bar[t], x.double(), eps_hat.double()
    x0_hat = (x - (1 - a).sqrt() * eps_hat) / a.sqrt()

    def variance(b: Tensor, eta: float = eta) -> Tensor:
        return eta**2 * (1 - b) / (1 - a) * (1 - a / b)

    def step(
        z: Tensor, b: Tensor = alpha_bar[s], *, v: Tensor | None = None, less: Tensor | None = None,
        sigma: Tensor | None = None, image: Tensor = x0_hat, e: Tensor = eps_hat, scale: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        v = variance(b) if v is None else v  # sigma^2; less: what is taken from 1 - alpha_bar_s in place of it
        direction = (1 - b - (v if less is None else less)).clamp(min=0).sqrt()
        return (
            (b.sqrt() if scale is None else scale) * image + direction * e + (v.sqrt() if sigma is None else sigma) * z
        )

    b, none = alpha_bar[s], torch.zeros_like(x)
    noises = drawn or [none]
    if isinstance(after, Tensor) and after.shape == x.shape:
        value = after.detach().double()
        if any(torch.allclose(value, step(z), rtol=1e-5, atol=1e-5) for z in noises):
            return
        if s == 0:
            left = (value - x0_hat).flatten()
            for z in drawn:
                share = left @ z.flatten() / z.square().sum()
                if abs(share) > 1e-3 and torch.allclose(left, share * z.flatten(), atol=1e-5):
                    raise WrongAnswer(
                        "you add noise in the last step; alpha_bar_0 = 1, so sigma is 0, and x0_hat is left"
                    )
    kept = [0, *tau]
    beyond, v, one = alpha_bar[kept[max(kept.index(s) - 1, 0)]], variance(b), torch.ones_like(a)
    cut = x0_hat.clamp(-1, 1)
    for z in noises:
        mistakes = {
            "your step ends at t - 1; it goes to the kept time before t, s": step(z, alpha_bar[t - 1]),
            "your step ends one kept time too early: it goes to the one right before t": step(z, beyond),
            "your step ends at t - T // n; the strides differ: it goes to the kept time before t": step(
                z, alpha_bar[max(t - tau[-1] // len(tau), 0)]
            ),
            "your step ends at k - 1, which counts the kept times; it goes to tau_{k-1}": step(
                z, alpha_bar[tau.index(t)]
            ),
            "your step leaves x where it was: x0_hat comes from x_t with the rates of t, and goes into x_s with those "
            "of s, the kept time before": x,
            "your walk is that of eta = 0, whatever eta is; each step but the last has noise, sigma z": step(
                z, v=0 * v
            ),
            "you left sigma^2 out of the direction: eps_hat has sqrt(1 - alpha_bar_s - sigma^2), or there is too much "
            "noise in all": step(z, less=0 * v),
            "you take sigma from 1 - alpha_bar_s; take sigma^2": step(z, less=v.sqrt()),
            "you take sigma^2 from 1 - alpha_bar_s, and add no noise in its place": step(z, sigma=0 * v),
            "you multiply z by sigma^2, the variance; it is sigma": step(z, sigma=v),
            "your sigma lacks its first root, of (1 - alpha_bar_s) / (1 - alpha_bar_t)": step(
                z, v=eta**2 * (1 - a / b)
            ),
            "your sigma lacks its second root, of 1 - alpha_bar_t / alpha_bar_s": step(z, v=eta**2 * (1 - b) / (1 - a)),
            "your sigma does not know eta": step(z, v=variance(b, 1.0)),
            "eta stands before sigma, and so eta^2 in sigma^2; in yours it is under the root": step(
                z, v=variance(b) / (eta or 1)
            ),
            "your sigma is upside down: (1 - alpha_bar_s) / (1 - alpha_bar_t) is below 1": step(
                z, v=eta**2 * (1 - a) / (1 - b).clamp(min=1e-9) * (1 - a / b)
            ),
            "your sigma is eta itself": step(z, v=eta**2 * one),
            "you clip x0_hat; here nothing is clipped": step(z, image=cut),
            "you clip x0_hat, and take eps_hat anew from it; here nothing is clipped": step(
                z, image=cut, e=(x - a.sqrt() * cut) / (1 - a).sqrt()
            ),
            "your x0_hat is not divided by sqrt(alpha_bar_t)": step(z, image=x0_hat * a.sqrt()),
            "your x0_hat is divided by alpha_bar_t; it is its root": step(z, image=x0_hat / a.sqrt()),
            "your x0_hat has the wrong sign before eps_hat: take the noise away": step(
                z, image=(x + (1 - a).sqrt() * eps_hat) / a.sqrt()
            ),
            "your x0_hat lacks the root of 1 - alpha_bar_t": step(z, image=(x - (1 - a) * eps_hat) / a.sqrt()),
            "x0_hat comes in whole; it has the rate sqrt(alpha_bar_s)": step(z, scale=one),
            "x0_hat comes in with alpha_bar_s; its rate is the root": step(z, scale=b),
            "x0_hat comes in with sqrt(alpha_bar_t), the rate of where you are; you go to s": step(z, scale=a.sqrt()),
            "your direction lacks its root: sqrt(1 - alpha_bar_s - sigma^2)": (
                b.sqrt() * x0_hat + (1 - b - v) * eps_hat + v.sqrt() * z
            ),
            "your direction has 1 - alpha_bar_t; it is that of s, where you go": (
                b.sqrt() * x0_hat + (1 - a - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z
            ),
            "you left the direction out: sqrt(1 - alpha_bar_s - sigma^2) eps_hat": b.sqrt() * x0_hat + v.sqrt() * z,
            "you returned x0_hat, or showed it to the network; noise of s comes back in": x0_hat,
        }
        for why, wrong in mistakes.items():
            if isinstance(after, Tensor) and after.shape == x.shape and torch.allclose(value, wrong, atol=1e-5):
                raise WrongAnswer(why)
    if isinstance(after, Tensor) and after.isnan().any():
        raise WrongAnswer("there is NaN in your x: alpha_bar falls, so alpha_bar_t / alpha_bar_s is below 1, not above")
    diagnose(f"x at {s}, from x at {t}, with eta = {eta:g},", after, step(noises[0]), tol=1e-5)
