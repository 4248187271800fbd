"""Answers to the exercises of lesson 00: right ones in several forms, and mistakes with the words that name them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lite import ddim_steps, sample
from ddpm_lite.checks import check_count_evaluations, check_digits_from_seed, check_noised_moments

SHAPE = (4, 1, 28, 28)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def run(diffusion: Any, model: Any, seed: int, **options: Any) -> list[Any]:
    return list(ddim_steps(diffusion, model, SHAPE, generator=seeded(seed), **{"n_steps": 10, **options}))


def by_sample(diffusion: Any, model: Any, seed: int) -> Tensor:
    return sample(diffusion, model, SHAPE, n_steps=10, generator=seeded(seed))


def by_steps(diffusion: Any, model: Any, seed: int) -> Tensor:
    x_T = torch.randn(SHAPE, generator=seeded(seed))
    for step in ddim_steps(diffusion, model, SHAPE, n_steps=10, x_T=x_T):
        x = step.x
    return x


def by_hand(diffusion: Any, model: Any, seed: int) -> Tensor:
    """DDIM written out, on the times that the library takes."""
    x = torch.randn(SHAPE, generator=seeded(seed))
    times = [step.t for step in ddim_steps(diffusion, model, SHAPE, n_steps=10, generator=seeded(0))]
    for t, s in zip(times, [*times[1:], 0], strict=True):
        x0_hat = diffusion.predict_x0(x, t, model(x, torch.full((4,), t))).clamp(-1, 1)
        x = diffusion.q_sample(x0_hat, s, diffusion.predict_eps(x, t, x0_hat)) if s else x0_hat
    return x


def with_global_noise(diffusion: Any, model: Any, seed: int) -> Tensor:
    return sample(diffusion, model, SHAPE, n_steps=10, x_T=torch.randn(SHAPE))


def with_global_seed(diffusion: Any, model: Any, seed: int) -> Tensor:
    torch.manual_seed(seed)
    return sample(diffusion, model, SHAPE, n_steps=10)


SHARED = seeded(0)


def counted(run: Callable[..., object], model: Any) -> int:
    seen = []

    def counter(x_t: Tensor, t: Tensor) -> Tensor:
        seen.append(len(x_t))
        return model(x_t, t)

    run(counter)
    return sum(seen)


def counted_in_a_model(run: Callable[..., object], model: Any) -> Tensor:
    """A torch module around the model, with a buffer that counts."""

    class Counting(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("n", torch.zeros((), dtype=torch.int64))

        def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
            self.n += x_t.size(0)
            return model(x_t, t)

    counting = Counting()
    run(counting)
    return counting.n


class Counter:
    def __init__(self, model: Any) -> None:
        self.model, self.n = model, 0

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.n += t.shape[0]
        return self.model(x_t, t)


def counted_by_class(run: Callable[..., object], model: Any) -> int:
    counter = Counter(model)
    run(counter)
    return counter.n


def counting(weigh: Callable[[list[int]], int]) -> Callable[..., int]:
    """A wrong counter: it makes something else of the batch sizes that it saw."""

    def count(run: Callable[..., object], model: Any) -> int:
        seen: list[int] = []
        run(lambda x_t, t: (seen.append(len(x_t)), model(x_t, t))[1])
        return weigh(seen)

    return count


def forgets_to_answer(run: Callable[..., object], model: Any) -> int:
    run(lambda x_t, t: None)
    return 0


KEPT: list[int] = []


def goes_on(run: Callable[..., object], model: Any) -> int:
    run(lambda x_t, t: (KEPT.append(len(x_t)), model(x_t, t))[1])
    return sum(KEPT)


def moments_by_table(diffusion: Any, mean: float, variance: float, t: int) -> tuple[Tensor, Tensor]:
    left = diffusion.alpha_bar[t]
    return left.sqrt() * mean, left * variance + 1 - left


def moments_by_rates(diffusion: Any, mean: float, variance: float, t: int) -> list[float]:
    signal, noise = float(diffusion.sqrt_alpha_bar[t]), float(diffusion.sqrt_one_minus_alpha_bar[t])
    return [signal * mean, signal**2 * variance + noise**2]


def moments_by_sampling_two_values(diffusion: Any, mean: float, variance: float, t: int) -> tuple[Any, Any]:
    """A pixel that is mean +- sqrt(variance), a noise that is +- 1: all four cases, exactly."""
    x_0 = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64) * variance**0.5 + mean
    eps = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    x_t = diffusion.q_sample(x_0.view(4, 1, 1, 1), t, eps.view(4, 1, 1, 1))
    return x_t.mean(), x_t.var(correction=0)


def moments(mean: Callable[..., Any], variance: Callable[..., Any]) -> Callable[..., Any]:
    """An answer from a = alpha_bar_t, b = alpha_bar_{t-1}, m, v."""

    def answer(diffusion: Any, m: float, v: float, t: int) -> Any:
        a, b = diffusion.alpha_bar[t], diffusion.alpha_bar[t - 1]
        return mean(a, b, m, v), variance(a, b, m, v)

    return answer


def right_mean(a: Tensor, b: Tensor, m: float, v: float) -> Tensor:
    return a.sqrt() * m


def right_variance(a: Tensor, b: Tensor, m: float, v: float) -> Tensor:
    return a * v + 1 - a


RIGHT = [
    (check_digits_from_seed, by_sample),
    (check_digits_from_seed, by_steps),
    (check_digits_from_seed, by_hand),
    (check_count_evaluations, counted),
    (check_count_evaluations, counted_by_class),
    (check_count_evaluations, counted_in_a_model),
    (check_noised_moments, moments_by_table),
    (check_noised_moments, moments_by_rates),
    (check_noised_moments, moments_by_sampling_two_values),
]
WRONG: list[tuple[Any, Any, str]] = [
    (check_digits_from_seed, with_global_noise, "two calls with the same seed"),
    (check_digits_from_seed, lambda d, m, s: sample(d, m, SHAPE, n_steps=10, generator=SHARED), "two calls with the"),
    (check_digits_from_seed, with_global_seed, "torch's global generator"),
    (check_digits_from_seed, lambda d, m, s: by_sample(d, m, 0), "two seeds gave the same"),
    (check_digits_from_seed, lambda d, m, s: torch.randn(SHAPE, generator=seeded(s)), "this is x_T"),
    (check_digits_from_seed, lambda d, m, s: run(d, m, s)[0].x, "the first step"),
    (check_digits_from_seed, lambda d, m, s: run(d, m, s)[-1].eps_hat, "this is eps_hat"),
    (check_digits_from_seed, lambda d, m, s: run(d, m, s)[-1], "a whole Step"),
    (check_digits_from_seed, lambda d, m, s: run(d, m, s, eta=1.0)[-1].x, "eta = 1"),
    (check_digits_from_seed, lambda d, m, s: run(d, m, s, n_steps=50)[-1].x, "by 50 steps"),
    (check_digits_from_seed, lambda d, m, s: run(d, m, s, n_steps=d.T)[-1].x, "by T steps"),
    (check_digits_from_seed, lambda d, m, s: by_sample(d, m, s)[0], "shape"),
    (check_digits_from_seed, lambda d, m, s: None, "return its result"),
    (check_digits_from_seed, lambda d, m, s: sample(d, m, SHAPE, n_steps=10, generator=s), "not the seed itself"),
    (check_digits_from_seed, lambda d, m, s: torch.randn(SHAPE, generator=s), "not the seed itself"),
    (check_digits_from_seed, lambda d, m, s: sample(d, m, SHAPE, n_steps="10"), "your code stopped with TypeError"),
    (check_digits_from_seed, lambda d, m, s: ddim_steps(d, m, SHAPE, generator=seeded(s)), "before it took a step"),
    (check_digits_from_seed, lambda d, m, s: run(d, m, s), "you return all steps"),
    (check_count_evaluations, counting(len), "you counted calls"),
    (check_count_evaluations, lambda run, model: counted(run, model) and 10**6, "is wrong: where"),
    (check_count_evaluations, counting(lambda seen: seen[0]), "counted the images once"),
    (check_count_evaluations, counting(lambda seen: sum(seen) * 784), "you counted pixels"),
    (check_count_evaluations, counting(lambda seen: sum(seen[1:])), "one call too few"),
    (check_count_evaluations, lambda run, model: [run(model), 0][1], "your count is 0"),
    (check_count_evaluations, lambda run, model: 0, "the sampler never ran"),
    (check_count_evaluations, forgets_to_answer, "return what the model answers"),
    (check_count_evaluations, goes_on, "start it at 0"),
    (check_noised_moments, lambda d, m, v, t: m, "two values"),
    (check_noised_moments, moments(lambda a, b, m, v: a * m, right_variance), "not by alpha_bar_t"),
    (check_noised_moments, moments(lambda a, b, m, v: m, right_variance), "the mean shrinks"),
    (check_noised_moments, moments(lambda a, b, m, v: b.sqrt() * m, right_variance), "read at t - 1"),
    (check_noised_moments, moments(right_variance, right_mean), "variance first"),
    (check_noised_moments, moments(right_mean, lambda a, b, m, v: a * v + (1 - a).sqrt()), "standard deviation, sqrt"),
    (check_noised_moments, moments(right_mean, lambda a, b, m, v: a.sqrt() * v + 1 - a), "c\\^2"),
    (check_noised_moments, moments(right_mean, lambda a, b, m, v: 1 - a), "the noise alone"),
    (check_noised_moments, moments(right_mean, lambda a, b, m, v: a * v), "the noise adds its own"),
    (check_noised_moments, moments(right_mean, lambda a, b, m, v: (a * v + 1 - a).sqrt()), "this is the standard"),
    (
        check_noised_moments,
        moments(right_mean, lambda a, b, m, v: ((a * v).sqrt() + (1 - a).sqrt()) ** 2),
        "deviations do not add",
    ),
    (check_noised_moments, moments(right_mean, lambda a, b, m, v: b * v + 1 - b), "read at t - 1"),
]
