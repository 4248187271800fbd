"""The spoiled network of lesson 07, and what only its set has: strides by DDIM, the last noise, a count of calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..diffusion import GaussianDiffusion
from ..sampling import sample
from ..schedules import cosine_beta_schedule
from .lesson_07 import _tables
from .machinery import WrongAnswer, choice, diagnose, exercise, fresh_generator, multiple_choice
from .strides import judge_calls, judge_step

__all__ = ["check_ddim", "check_last_noise", "check_network_calls", "check_spoiled_variance"]


def _variance(
    alpha_bar: Tensor, s: float, c: float, *, square: bool = True, last: bool = False, root: float = 0.5,
    sigma: str = "beta", grow: bool = True, up: bool = False,
) -> float:  # fmt: skip
    """The recursion v_{t-1} = f_t^2 v_t + beta_t, from v_T = 1, no noise at t = 1; or one of its known mistakes."""
    v, T = torch.ones((), dtype=torch.float64), len(alpha_bar) - 1
    for t in range(1, T + 1) if up else range(T, 0, -1):
        a_bar = alpha_bar[t]
        a = a_bar / alpha_bar[t - 1]
        eps_over_x = (1 - a_bar) ** root / (a_bar * s**2 + 1 - a_bar)
        factor = (1 - (1 - a) / (1 - a_bar).sqrt() * c * eps_over_x) / (a.sqrt() if grow else 1)
        noise = {"beta": 1 - a, "beta^2": (1 - a) ** 2, "tilde": (1 - a) * (1 - alpha_bar[t - 1]) / (1 - a_bar)}[sigma]
        v = (factor**2 if square else factor) * v + (noise if t > 1 or last else 0)
    return float(v)


@exercise
def check_spoiled_variance(answer: Callable[[Tensor, float, float], float]) -> str:
    """Check ``spoiled_variance(alpha_bar, s, c)``: the variance of samples of N(0, s^2) with eps_hat times c."""
    generator = fresh_generator()
    _, alpha_bar = _tables(12, generator)
    s = float(0.3 + 0.3 * torch.rand(1, generator=generator))
    for c in (1.0, 1.1, 0.9):
        want = _variance(alpha_bar, s, c)
        mistakes = {
            "this is the standard deviation; wanted is its square, the variance": math.sqrt(want),
            "you add noise at t = 1; the last step has none": _variance(alpha_bar, s, c, last=True),
            "a factor f in front of x_t multiplies the variance by f^2, not by f": _variance(
                alpha_bar, s, c, square=False
            ),
            "this is the variance of the data; the samples of a chain with sigma_t^2 = beta_t have another": s**2,
            "your eps_hat lacks a root: it is sqrt(1 - alpha_bar_t) x_t / (...)": _variance(alpha_bar, s, c, root=1),
            "your steps add beta_tilde_t; here sigma_t^2 = beta_t": _variance(alpha_bar, s, c, sigma="tilde"),
            "your steps add beta_t^2; beta_t is a variance already": _variance(alpha_bar, s, c, sigma="beta^2"),
            "your factor lacks the division by sqrt(alpha_t)": _variance(alpha_bar, s, c, grow=False),
            "you have s where s^2 should stand: s is the standard deviation of the data": _variance(
                alpha_bar, math.sqrt(s), c
            ),
            "your loop runs from t = 1 up; the chain starts at T": _variance(alpha_bar, s, c, up=True),
        }
        if c != 1:
            mistakes["c is not in your answer: the network answers c times the exact eps_hat"] = _variance(
                alpha_bar, s, 1.0
            )
            mistakes["you divide by c; the network answers c times the exact eps_hat"] = _variance(alpha_bar, s, 1 / c)
        as_tensor = {why: torch.tensor(value, dtype=torch.float64) for why, value in mistakes.items()}
        got = answer(alpha_bar.clone(), s, c)
        diagnose(f"the variance, c = {c:g},", got, torch.tensor(want, dtype=torch.float64), as_tensor, tol=1e-5)
    return (
        "Fresh noise lets a long chain forget the first error: with c = 0.8 and s = 0.5 the spread is "
        "66 times too large in 20 cosine steps, 1.3 times in 1000."
    )


class _Record:
    """eps_hat = tanh(a x_t + t / 5), and what it was asked: ``calls`` holds x_t, t, and the answer."""

    def __init__(self, a: float) -> None:
        self.a, self.calls = a, list[tuple[Tensor, int, Tensor]]()

    def __call__(self, x_t: Tensor, t: Any) -> Tensor:
        made = "torch.full((len(x),), t) makes it"
        if not isinstance(t, Tensor) or t.shape != x_t.shape[:1]:
            raise WrongAnswer(f"the network wants its t as a tensor (B,), one for each image: {made}")
        if t.dtype != torch.int64:
            raise WrongAnswer(f"the network wants its t as int64, got {t.dtype}: {made}")
        eps_hat = torch.tanh(self.a * x_t + t.view(-1, 1, 1, 1) / 5)
        self.calls.append((x_t.detach().clone(), int(t[0]), eps_hat.detach().clone()))
        return eps_hat


@exercise
def check_ddim(answer: Callable[..., Any]) -> str:
    """Check ``ddim(model, x_T, alpha_bar, tau, eta, noise) -> x_0``: eq. 12 and 16 of DDIM, from each kept time to the
    one before, the last to 0; every step by itself, from what the network was shown and what it answered."""
    g = fresh_generator()
    _, alpha_bar = _tables(16, g)
    strides = torch.tensor([3, 2, 4, 3])[torch.randperm(4, generator=g)].tolist()
    tau = [16 - sum(strides[i:]) for i in range(5)]  # 4, ..., 16, in strides of 2, 3 and 4
    x_T = torch.randn(2, 1, 3, 4, generator=g, dtype=torch.float64)
    for eta in (0.0, 0.6):
        model, drawn = _Record(0.5 + float(torch.rand(1, generator=g))), list[Tensor]()

        def noise(drawn: list[Tensor] = drawn) -> Tensor:
            drawn.append(torch.randn(x_T.shape, generator=g, dtype=torch.float64))
            if len(drawn) > 4 * len(tau):
                raise WrongAnswer(f"you draw noise more than {4 * len(tau)} times in {len(tau)} steps; once is enough")
            return drawn[-1].clone()

        result = answer(model, x_T.clone(), alpha_bar.clone(), list(tau), eta, noise)
        judge_calls(model.calls, tau, result, x_T)
        made = [x for x, *_ in model.calls[1:]] + [result]
        for (x, t, eps_hat), s, after in zip(model.calls, [*tau[-2::-1], 0], made, strict=True):
            judge_step(x, t, s, eps_hat, after, alpha_bar, eta, drawn, tau)
    return "With eta = 0, x_T decides the image. With eta = 1 and all times kept, this is Algorithm 2 with beta_tilde."


@exercise
def check_network_calls(answer: Callable[[int, int, str, int, int], int]) -> str:
    """Check ``network_calls(n, batch_size, sampler, T, n_steps)``: as counted while ``sample`` runs on tiny images."""
    g = fresh_generator()
    for sampler in ("ddim", "ddpm"):
        batch = int(torch.randint(3, 6, (), generator=g))
        full = int(torch.randint(2, 5, (), generator=g))
        T, n_steps = 17 + full, 6 + batch
        diffusion = GaussianDiffusion(cosine_beta_schedule(T))
        for n in (full * batch + 1, full * batch, batch - 1):
            visited = list[int]()

            def model(x_t: Tensor, t: Tensor, visited: list[int] = visited) -> Tensor:
                visited.append(int(t[0]))
                return torch.zeros_like(x_t)

            options: dict[str, Any] = {"n_steps": n_steps} if sampler == "ddim" else {}
            sample(diffusion, model, (n, 2), sampler=sampler, batch_size=batch, generator=g, **options)
            steps, other = (n_steps, T) if sampler == "ddim" else (T, n_steps)
            batches = -(-n // batch)
            wrong_sampler = {
                "ddim": "DDIM visits n_steps of the T times; you count all T",
                "ddpm": "n_steps belongs to DDIM; DDPM visits all T times",
            }
            mistakes = {
                "you leave out the last batch, which is smaller; it takes as many calls as a full one": (
                    n // batch * steps
                ),
                "you count a batch too many: where n is a multiple of batch_size, no smaller one is left": (
                    (n // batch + 1) * steps
                ),
                "you count images; a call takes a whole batch": n * steps,
                "you count one batch; each batch takes its own calls": steps,
                "you count batches; each goes through the network once in each step": batches,
                "you multiply by batch_size; a batch goes through the network in one call": batches * batch * steps,
                "you count a part of a batch as part of a call; it is a whole one": n / batch * steps,
                "you count a call at t = 0; there the image is done, and the last call is at the last time visited": (
                    batches * (steps + 1)
                ),
                "you leave out a step: the last one draws no noise, but it asks the network": batches * (steps - 1),
                wrong_sampler[sampler]: batches * other,
            }
            what = f"the number of calls for n = {n}, batch_size = {batch}, {sampler}, T = {T}, n_steps = {n_steps},"
            want = torch.tensor(float(len(visited)))
            diagnose(
                what,
                answer(n, batch, sampler, T, n_steps),
                want,
                {k: torch.tensor(float(v)) for k, v in mistakes.items()},
            )
    return "These calls are nearly all of the time that sampling takes: the price of a sampler is counted in them."


def grain(n_steps: int) -> float:
    """The standard deviation, in gray levels of 255, that a z in the last step leaves: cosine, T = 1000, beta_t."""
    alpha_bar = (1 - cosine_beta_schedule(1000)).cumprod(0)  # entry i belongs to t = i + 1
    return float((1 - alpha_bar[1000 // n_steps - 1]).sqrt() * 127.5)


@exercise
def check_last_noise(answer: choice) -> str:
    """Check the choice of what a forgotten ``if t > 1`` does to samples in 1000 and in 20 steps, and why."""
    long, short = grain(1000), grain(20)
    options = {
        "a": "z has standard deviation 1, but it comes in times sigma_1; how large is beta_1?",
        "b": f"beta_1 of a chain of 20 steps is the noise of {1000 // 20} long ones together, 1 - alpha_bar_50; its "
        f"root is {short / 127.5:.3f}, against {long / 127.5:.4f} in the long chain",
        "d": "the clip acts on x0_hat; the noise is added to the mean, after it, and nothing cuts it off",
    }
    reasons = {
        1: "earlier noises are gone: at t = 1 the mean is x0_hat alone (w_t = 0), so only the last one stays",
        3: "beta_tilde_1 is 0, but here sigma_t^2 = beta_t; and with beta_tilde there would be no grain at all",
        4: "the network is not asked again after the last step: nobody takes this noise away",
    }
    multiple_choice(answer, ("c", 2), options, reasons)
    return f"Grain of {long:.1f} gray levels in 1000 steps, {short:.0f} in 20: so the bug lives long in long chains."
