"""The exercises of lesson 00: a digit's seed, the work of the network, and what noise does to mean and variance."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..diffusion import Denoiser, GaussianDiffusion
from ..oracle import MixtureOracle
from ..sampling import Step, ddim_steps, ddpm_steps
from ..schedules import linear_beta_schedule
from .machinery import WrongAnswer, diagnose, exercise, fresh_generator

__all__ = ["check_count_evaluations", "check_digits_from_seed", "check_noised_moments"]


def _world() -> tuple[torch.Generator, GaussianDiffusion, MixtureOracle]:
    """Fresh randomness, and of it fresh data, five kinds of "digit", with their exact denoiser."""
    generator = fresh_generator()
    diffusion = GaussianDiffusion(linear_beta_schedule(60))
    return generator, diffusion, MixtureOracle(diffusion, torch.rand(5, 1, 28, 28, generator=generator) * 2 - 1, 0.3)


@exercise(library=("ddpm_lite.diffusion", "ddpm_lite.oracle", "ddpm_lite.sampling"))
def check_digits_from_seed(answer: Callable[[GaussianDiffusion, Denoiser, int], Tensor]) -> str:
    """Check ``digits_from_seed(diffusion, model, seed)``: (4, 1, 28, 28), 10 DDIM steps, eta = 0, from one seed."""
    generator, diffusion, model = _world()
    shape, seed = (4, 1, 28, 28), int(torch.randint(1, 10_000, (1,), generator=generator))

    def run(seed: int, n_steps: int = 10, eta: float = 0.0) -> list[Step]:
        generator = torch.Generator().manual_seed(seed)
        return list(ddim_steps(diffusion, model, shape, n_steps=n_steps, eta=eta, generator=generator))

    before = torch.get_rng_state()
    try:
        got = answer(diffusion, model, seed)
    except (TypeError, AttributeError) as error:
        if "torch.Generator" not in str(error) and "'int' object has no attribute 'device'" not in str(error):
            raise
        raise WrongAnswer(
            "generator= wants a torch.Generator, not the seed itself: torch.Generator().manual_seed(seed)"
        ) from error
    touched = not torch.equal(before, torch.get_rng_state())
    if isinstance(got, Iterator):
        raise WrongAnswer(
            "you return the sampler before it took a step: go through its steps with `for step in ...` and return the "
            "last step.x, or let `sample` do it"
        )
    if isinstance(got, list) and got and isinstance(got[-1], Step):
        raise WrongAnswer("you return all steps; the digits are what the last one made, its x")
    if isinstance(got, Step):
        raise WrongAnswer("you return a whole Step; the images it made are step.x")
    if isinstance(got, Tensor) and got.shape == shape:
        if not torch.equal(got, answer(diffusion, model, seed)):
            raise WrongAnswer(
                "two calls with the same seed gave different digits: draw the noise from a torch.Generator() that is "
                "made and seeded inside of your function, and hand it on"
            )
        if torch.equal(got, answer(diffusion, model, seed + 1)):
            raise WrongAnswer("two seeds gave the same digits: seed the generator with `seed`, not with a fixed number")
    if touched:
        torch.set_rng_state(before)
        raise WrongAnswer(
            "your function draws from torch's global generator, or seeds it, which changes what everybody else draws "
            "after it. Make your own: torch.Generator().manual_seed(seed)"
        )
    steps, start = run(seed), torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    mistakes = {
        "this is x_T, the noise at the start; return what the last step made": start,
        "this is what the first step made; go on to the last": steps[0].x,
        "this is eps_hat, the noise that the network saw last; the images are step.x": steps[-1].eps_hat,
        "this is the sample with eta = 1, which adds noise in every step; wanted is eta = 0": run(seed, eta=1.0)[-1].x,
        "this is the sample by 50 steps; wanted are 10": run(seed, n_steps=50)[-1].x,
        "this is the sample by T steps; wanted are 10": run(seed, n_steps=diffusion.T)[-1].x,
    }
    diagnose("the batch of digits", got, steps[-1].x, mistakes, tol=1e-4)
    return "With eta = 0 and 10 steps, the noise at the start decides everything: the seed names the digits."


@exercise(library=("ddpm_lite.oracle",))
def check_count_evaluations(answer: Callable[[Callable[[Denoiser], object], Denoiser], int]) -> str:
    """Check ``count_evaluations(run, model)``: how many images the network is asked about while ``run(model)`` runs."""
    generator, diffusion, model = _world()
    n_images, n_steps = torch.randperm(9, generator=generator)[:2].add(3).tolist()  # never equal: nor are wrong counts
    made: list[Step] = []

    def ddim(model: Denoiser) -> None:
        made.extend(ddim_steps(diffusion, model, (n_images, 1, 28, 28), n_steps=n_steps, generator=generator))

    def ancestral(model: Denoiser) -> None:
        made.extend(ddpm_steps(diffusion, model, (2, 1, 28, 28), generator=generator))

    try:
        got = answer(ddim, model)
    except TypeError as error:
        if "eps_hat" in str(error) or "eps must be" in str(error):
            raise WrongAnswer("the sampler got no eps_hat: your counter has to return what the model answers") from None
        raise
    if not made:
        raise WrongAnswer("the sampler never ran: call run(...) in your function, with your counter as its model")
    want = n_images * n_steps
    mistakes = {
        "your count is 0: give `run` your counter, which calls the model, not the model itself": 0,
        "you counted calls (or channels: x_t is (B, 1, 28, 28)); a call asks about a batch of len(x_t) images": n_steps,
        "you counted the images once; the network looks at each of them in every step": n_images,
        "you counted pixels; count images, len(x_t) of them in a call": want * 28 * 28,
        "you counted one call too few: count each, also the first": want - n_images,
    }
    number = {text: torch.tensor(float(value)) for text, value in mistakes.items()}
    diagnose("your count", got, torch.tensor(float(want)), number)
    more, again = answer(ancestral, model), 2 * diffusion.T
    number = {"your count goes on from the run before; start it at 0 in each call": torch.tensor(float(want + again))}
    diagnose("your count for the ancestral sampler", more, torch.tensor(float(again)), number)
    return "64 digits: 3,200 evaluations by 50 DDIM steps, 64,000 by T = 1000 ancestral ones."


@exercise(library=("ddpm_lite.diffusion",))
def check_noised_moments(answer: Callable[[GaussianDiffusion, float, float, int], tuple[Tensor, Tensor]]) -> str:
    """Check ``noised_moments(diffusion, mean, variance, t)``: mean and variance of x_t, from those of x_0."""
    diffusion = GaussianDiffusion(linear_beta_schedule(50), dtype=torch.float64)
    mean, variance = (0.2 + 0.6 * torch.rand(2, generator=fresh_generator(), dtype=torch.float64)).tolist()
    for t in (20, diffusion.T):
        got = answer(diffusion, mean, variance, t)
        if not isinstance(got, (tuple, list)) or len(got) != 2:
            raise WrongAnswer(f"return two values, the mean and the variance of x_t; got {type(got).__name__}")
        root, left = diffusion.sqrt_alpha_bar[t], diffusion.alpha_bar[t]
        noise = 1 - left
        earlier = diffusion.alpha_bar[t - 1]
        index = "your table is read at t - 1; here tables have T + 1 entries, and entry t belongs to t"
        diagnose(
            f"the mean of x_t at t = {t}",
            got[0],
            root * mean,
            {
                "the mean is scaled by sqrt(alpha_bar_t), the factor before x_0, not by alpha_bar_t": left * mean,
                "the mean shrinks with x_0: it is scaled by sqrt(alpha_bar_t)": torch.tensor(mean),
                index: earlier.sqrt() * mean,
                "you return the variance first; wanted are mean, then variance": left * variance + noise,
            },
        )
        diagnose(
            f"the variance of x_t at t = {t}",
            got[1],
            left * variance + noise,
            {
                "the noise enters with its standard deviation, sqrt(1 - alpha_bar_t); its variance is 1 - alpha_bar_t":
                    left * variance + noise.sqrt(),
                "a factor c before x_0 multiplies its variance by c^2: sqrt(alpha_bar_t) becomes alpha_bar_t":
                    root * variance + noise,
                "this is the variance of the noise alone; x_0 varies too": noise,
                "this is what is left of the variance of x_0; the noise adds its own": left * variance,
                "this is the standard deviation; wanted is its square, the variance": (left * variance + noise).sqrt(),
                "standard deviations do not add, variances do": (root * variance**0.5 + noise.sqrt()) ** 2,
                index: earlier * variance + 1 - earlier,
            },
        )  # fmt: skip
    return "At t = T = 1000 they lie within 0.01 of 0 and 1, whatever the image: noise to the eye."
