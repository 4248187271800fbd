"""Answers to the further exercises of lesson 07: right ones in several forms, and mistakes with the words that name
them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lite import GaussianDiffusion, ddim_steps
from ddpm_lite.checks import check_ddim, check_last_noise, check_network_calls, choice


def ddim(
    step: Callable[..., Tensor] | None = None, end: Callable[..., int] = lambda t, s, k, tau: s, **change: Any
) -> Callable[..., Any]:
    """The walk; its step(x, eps_hat, a, b, sigma, z), and one thing of it, may be changed."""

    def answer(model: Any, x_T: Tensor, alpha_bar: Tensor, tau: list[int], eta: float, noise: Any) -> Any:
        x, n = x_T, len(tau)
        times = change.get("times", lambda tau: tau[::-1])(tau)
        ends = change.get("ends", lambda tau: [*tau[-2::-1], 0])(tau)
        for i, (t, s) in enumerate(zip(times, ends, strict=False)):
            told = change.get("told", lambda t, s, k: t)(t, s, n - i)
            for _ in range(change.get("asked", 1)):
                eps_hat = model(x, torch.full((len(x),), told))
            a, b = alpha_bar[t], alpha_bar[end(t, s, n - i, tau)]
            variance = change.get("variance", lambda a, b, eta: eta**2 * (1 - b) / (1 - a) * (1 - a / b))(a, b, eta)
            sigma = variance.sqrt()
            x = (step or right_step)(x, eps_hat, a, b, sigma, noise())
            if s == 0 and change.get("grain"):
                x = x + change["grain"] * noise()
        return change.get("result", lambda x: x)(x)

    return answer


def right_step(x: Tensor, eps_hat: Tensor, a: Tensor, b: Tensor, sigma: Tensor, z: Tensor) -> Tensor:
    return mix(image(x, eps_hat, a), eps_hat, b, sigma, z)


def image(x: Tensor, eps_hat: Tensor, a: Tensor) -> Tensor:
    return (x - (1 - a).sqrt() * eps_hat) / a.sqrt()


def mix(x0_hat: Tensor, eps_hat: Tensor, b: Tensor, sigma: Tensor, z: Tensor) -> Tensor:
    return b.sqrt() * x0_hat + (1 - b - sigma**2).clamp(min=0).sqrt() * eps_hat + sigma * z


def recut(x: Tensor, eps_hat: Tensor, a: Tensor, b: Tensor, sigma: Tensor, z: Tensor) -> Tensor:
    x0_hat = image(x, eps_hat, a).clamp(-1, 1)
    return mix(x0_hat, (x - a.sqrt() * x0_hat) / (1 - a).sqrt(), b, sigma, z)


def ddim_backwards(model: Any, x_T: Tensor, alpha_bar: Tensor, tau: list[int], eta: float, noise: Any) -> Tensor:
    """By index; all noises drawn before, and used from the last; none drawn where eta is 0; float32."""
    z = [noise() for _ in tau[1:]] if eta else []
    x, table = x_T.float(), alpha_bar.float().tolist()
    for k in range(len(tau), 0, -1):
        t, s = tau[k - 1], (tau[k - 2] if k > 1 else 0)
        e = model(x, torch.tensor([t] * x.shape[0]))
        sigma = eta * math.sqrt((1 - table[s]) / (1 - table[t])) * math.sqrt(1 - table[t] / table[s])
        x0_hat = (x - math.sqrt(1 - table[t]) * e) / math.sqrt(table[t])
        x = math.sqrt(table[s]) * x0_hat + math.sqrt(1 - table[s] - sigma**2) * e
        if s > 0 and eta > 0:
            x += sigma * z[k - 2]
    return x


@torch.no_grad()
def ddim_by_posterior(model: Any, x_T: Tensor, alpha_bar: Tensor, tau: list[int], eta: float, noise: Any) -> Tensor:
    """Recursive, in place, with coefficients of x and eps_hat in place of x0_hat."""
    if not tau:
        return x_T
    *rest, t = tau
    a, b = alpha_bar[t], alpha_bar[rest[-1]] if rest else torch.ones(())
    eps_hat = model(x_T, torch.full_like(x_T[:, 0, 0, 0], t, dtype=torch.int64))
    spread = eta * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
    of_eps = (1 - b - spread.square()).sqrt() - (b / a).sqrt() * (1 - a).sqrt()
    x_T *= (b / a).sqrt()
    x_T += of_eps * eps_hat
    if rest:
        x_T += spread * noise()
    return ddim_by_posterior(model, x_T, alpha_bar, rest, eta, noise)


def ddim_by_library(model: Any, x_T: Tensor, alpha_bar: Tensor, tau: list[int], eta: float, noise: Any) -> Tensor:
    diffusion = GaussianDiffusion(1 - alpha_bar[1:] / alpha_bar[:-1], dtype=torch.float64)
    *_, last = ddim_steps(diffusion, model, x_T.shape, n_steps=len(tau), eta=eta, clip=False, x_T=x_T)
    return last.x


def ddim_with_an_int(model: Any, x_T: Tensor, alpha_bar: Tensor, tau: list[int], eta: float, noise: Any) -> Tensor:
    return model(x_T, tau[-1])


def ddim_with_floats(model: Any, x_T: Tensor, alpha_bar: Tensor, tau: list[int], eta: float, noise: Any) -> Tensor:
    return model(x_T, torch.full((len(x_T),), float(tau[-1])))


def ddim_that_draws(model: Any, x_T: Tensor, alpha_bar: Tensor, tau: list[int], eta: float, noise: Any) -> Tensor:
    return ddim()(model, noise(), alpha_bar, tau, eta, noise)


def ddim_for_ever(model: Any, x_T: Tensor, alpha_bar: Tensor, tau: list[int], eta: float, noise: Any) -> Tensor:
    while x_T.abs().max() >= 0:
        x_T = noise()
    return x_T


def by_variance(of: Callable[..., Tensor]) -> Callable[..., Any]:
    return ddim(variance=of)


def part(form: Callable[..., Tensor]) -> Callable[..., Any]:
    """form(x0_hat, eps_hat, b, sigma, z, a) in place of eq. 12."""
    return ddim(lambda x, e, a, b, sigma, z: form(image(x, e, a), e, b, sigma, z, a))


def of_image(form: Callable[..., Tensor]) -> Callable[..., Any]:
    """form(x, eps_hat, a, b) in place of x0_hat."""
    return ddim(lambda x, e, a, b, sigma, z: mix(form(x, e, a, b), e, b, sigma, z))


def calls(
    batches: Callable[[int, int], float] = lambda n, size: math.ceil(n / size),
    steps: Callable[[str, int, int], int] = lambda sampler, T, n_steps: n_steps if sampler == "ddim" else T,
) -> Callable[..., Any]:
    return lambda n, batch_size, sampler, T, n_steps: batches(n, batch_size) * steps(sampler, T, n_steps)


def calls_by_loop(n: int, batch_size: int, sampler: str, T: int, n_steps: int) -> int:
    count = 0
    while n > 0:
        count += len(range(T, 0, -1)) if sampler == "ddpm" else n_steps
        n -= batch_size
    return count


def calls_as_tensor(n: int, batch_size: int, sampler: str, T: int, n_steps: int) -> Tensor:
    return torch.tensor((n - 1) // batch_size + 1) * {"ddim": n_steps, "ddpm": T}[sampler]


RIGHT: list[tuple[Any, Any]] = [
    (check_ddim, ddim()),
    (check_ddim, ddim_backwards),
    (check_ddim, ddim_by_posterior),
    (check_last_noise, choice("c", because=2)),
    (check_last_noise, choice("C ", 2)),
    (check_last_noise, ("c", 2)),
    (check_network_calls, calls()),
    (check_network_calls, calls_by_loop),
    (check_network_calls, calls_as_tensor),
]

WRONG: list[tuple[Any, Any, str]] = [
    (check_ddim, ddim_by_library, "your answer calls ddpm_lite"),
    (check_ddim, ddim(end=lambda t, s, k, tau: t - 1), "your step ends at t - 1"),
    (check_ddim, ddim(end=lambda t, s, k, tau: max(t - tau[-1] // len(tau), 0)), "your step ends at t - T // n"),
    (check_ddim, ddim(end=lambda t, s, k, tau: k - 1), "your step ends at k - 1"),
    (check_ddim, ddim(ends=lambda tau: [*tau[-3::-1], 0, 0]), "one kept time too early"),
    (check_ddim, ddim(ends=lambda tau: tau[::-1]), "your step leaves x where it was"),
    (
        check_ddim,
        ddim(lambda x, e, a, b, sigma, z: mix(image(x, e, a), e, b, 0 * sigma, z)),
        "your walk is that of eta = 0",
    ),
    (check_ddim, part(lambda i, e, b, s, z, a: b.sqrt() * i + (1 - b).sqrt() * e + s * z), "out of the direction"),
    (
        check_ddim,
        part(lambda i, e, b, s, z, a: b.sqrt() * i + (1 - b - s).clamp(min=0).sqrt() * e + s * z),
        r"you take sigma from 1 - alpha_bar_s; take sigma\^2",
    ),
    (
        check_ddim,
        part(lambda i, e, b, s, z, a: b.sqrt() * i + (1 - b - s**2).sqrt() * e),
        "and add no noise in its place",
    ),
    (
        check_ddim,
        part(lambda i, e, b, s, z, a: b.sqrt() * i + (1 - b - s**2).sqrt() * e + s**2 * z),
        r"you multiply z by sigma\^2",
    ),
    (check_ddim, by_variance(lambda a, b, eta: eta**2 * (1 - a / b)), "your sigma lacks its first root"),
    (check_ddim, by_variance(lambda a, b, eta: eta**2 * (1 - b) / (1 - a)), "your sigma lacks its second root"),
    (check_ddim, by_variance(lambda a, b, eta: (1 - b) / (1 - a) * (1 - a / b)), "your sigma does not know eta"),
    (check_ddim, by_variance(lambda a, b, eta: eta * (1 - b) / (1 - a) * (1 - a / b)), "in yours it is under the root"),
    (
        check_ddim,
        by_variance(lambda a, b, eta: eta**2 * (1 - a) / (1 - b).clamp(min=1e-9) * (1 - a / b)),
        "your sigma is upside down",
    ),
    (check_ddim, by_variance(lambda a, b, eta: torch.tensor(eta**2)), "your sigma is eta itself"),
    (check_ddim, by_variance(lambda a, b, eta: eta**2 * (1 - b) / (1 - a) * (1 - b / a)), "there is NaN in your x"),
    (check_ddim, ddim(grain=0.1), "you add noise in the last step"),
    (check_ddim, of_image(lambda x, e, a, b: image(x, e, a).clamp(-1, 1)), "you clip x0_hat; here nothing"),
    (check_ddim, ddim(recut), "and take eps_hat anew"),
    (check_ddim, of_image(lambda x, e, a, b: x - (1 - a).sqrt() * e), r"is not divided by sqrt\(alpha_bar_t\)"),
    (check_ddim, of_image(lambda x, e, a, b: (x - (1 - a).sqrt() * e) / a), "divided by alpha_bar_t; it is its root"),
    (check_ddim, of_image(lambda x, e, a, b: image(x, -e, a)), "the wrong sign before eps_hat"),
    (check_ddim, of_image(lambda x, e, a, b: (x - (1 - a) * e) / a.sqrt()), "lacks the root of 1 - alpha_bar_t"),
    (check_ddim, of_image(lambda x, e, a, b: image(x, e, b)), "your step leaves x where it was"),
    (check_ddim, part(lambda i, e, b, s, z, a: mix(i / b.sqrt(), e, b, s, z)), "x0_hat comes in whole"),
    (check_ddim, part(lambda i, e, b, s, z, a: mix(i * b.sqrt(), e, b, s, z)), "x0_hat comes in with alpha_bar_s"),
    (
        check_ddim,
        part(lambda i, e, b, s, z, a: mix(i * (a / b).sqrt(), e, b, s, z)),
        r"comes in with sqrt\(alpha_bar_t\)",
    ),
    (
        check_ddim,
        part(lambda i, e, b, s, z, a: b.sqrt() * i + (1 - b - s**2) * e + s * z),
        "your direction lacks its root",
    ),
    (
        check_ddim,
        part(lambda i, e, b, s, z, a: b.sqrt() * i + (1 - a - s**2).sqrt() * e + s * z),
        "your direction has 1 - alpha_bar_t",
    ),
    (check_ddim, part(lambda i, e, b, s, z, a: b.sqrt() * i + s * z), "you left the direction out"),
    (check_ddim, part(lambda i, e, b, s, z, a: i), "you returned x0_hat"),
    (check_ddim, ddim(times=lambda tau: tau, ends=lambda tau: [0, *tau]), "your walk goes up"),
    (check_ddim, ddim(told=lambda t, s, k: k), "you tell the network k"),
    (check_ddim, ddim(told=lambda t, s, k: s), "you ask at the time where a step ends"),
    (check_ddim, ddim(told=lambda t, s, k: t - 1), "you tell the network tau_k - 1"),
    (check_ddim, ddim(asked=2), "you ask the network twice"),
    (check_ddim, ddim(ends=lambda tau: tau[-2::-1]), "your last step is missing"),
    (
        check_ddim,
        ddim(times=lambda tau: tau[-2::-1], ends=lambda tau: [*tau[-3::-1], 0]),
        "your first step is missing",
    ),
    (
        check_ddim,
        ddim(times=lambda tau: range(tau[-1], 0, -1), ends=lambda tau: range(tau[-1] - 1, -1, -1)),
        "you visit every time of the long chain",
    ),
    (
        check_ddim,
        ddim(times=lambda tau: [*tau[::-1], 0], ends=lambda tau: [*tau[-2::-1], 0, 0]),
        "you ask the network at t = 0 too",
    ),
    (
        check_ddim,
        ddim(
            times=lambda tau: [tau[-1] - i * (tau[-1] // len(tau)) for i in range(len(tau))],
            ends=lambda tau: [tau[-1] - i * (tau[-1] // len(tau)) for i in range(1, len(tau) + 1)],
        ),
        r"your strides are those of T // n",
    ),
    (
        check_ddim,
        ddim(
            times=lambda tau: [round(tau[-1] * (5 - i) / 5) for i in range(5)],
            ends=lambda tau: [round(tau[-1] * (4 - i) / 5) for i in range(5)],
        ),
        "you take equal strides",
    ),
    (check_ddim, lambda model, x_T, *rest: x_T, "you never ask the network"),
    (check_ddim, ddim_with_an_int, "wants its t as a tensor"),
    (check_ddim, ddim_with_floats, "wants its t as int64"),
    (check_ddim, ddim_that_draws, "the network should see x_T itself first"),
    (check_ddim, ddim_for_ever, "you draw noise more than 20 times in 5 steps"),
    (check_ddim, ddim(result=lambda x: None), "does it return the last x"),
    (check_ddim, ddim(result=lambda x: [x]), "return the last x alone"),
    (check_last_noise, choice("a", because=2), "it comes in times sigma_1"),
    (check_last_noise, choice("b", because=2), "50 long ones together"),
    (check_last_noise, choice("d", because=2), "nothing cuts it off"),
    (check_last_noise, choice("c", because=1), "earlier noises are gone"),
    (check_last_noise, choice("c", because=3), "beta_tilde_1 is 0"),
    (check_last_noise, choice("c", because=4), "not asked again after the last step"),
    (check_last_noise, choice("e", because=2), "there is no option"),
    (check_last_noise, choice("c", because=0), "there is no reason 0"),
    (check_last_noise, 0.8, r"answer as choice\("),
    (check_network_calls, calls(lambda n, size: n // size), "you leave out the last batch"),
    (check_network_calls, calls(lambda n, size: round(n / size)), "you leave out the last batch"),
    (check_network_calls, calls(lambda n, size: n // size + 1), "you count a batch too many"),
    (check_network_calls, calls(lambda n, size: n), "you count images"),
    (check_network_calls, calls(lambda n, size: 1), "you count one batch"),
    (check_network_calls, calls(steps=lambda sampler, T, n: 1), "you count batches"),
    (check_network_calls, calls(lambda n, size: size * math.ceil(n / size)), "you multiply by batch_size"),
    (check_network_calls, calls(lambda n, size: n / size), "a part of a batch as part of a call"),
    (check_network_calls, calls(steps=lambda s, T, n: (n if s == "ddim" else T) + 1), "you count a call at t = 0"),
    (check_network_calls, calls(steps=lambda s, T, n: (n if s == "ddim" else T) - 1), "you leave out a step"),
    (check_network_calls, calls(steps=lambda s, T, n: T), "you count all T"),
    (check_network_calls, calls(steps=lambda s, T, n: n), "n_steps belongs to DDIM"),
    (check_network_calls, lambda *a: 7.5, "the number of calls for n = .* is wrong: where"),
]
