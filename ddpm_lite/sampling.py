"""Samplers: generators that walk from noise at t = T to an image at t = 0 and hand out every step on the way.

The contract: ``model(x_t, t) -> eps_hat``, where x_t is (B, ...) and t is (B,) int64 in 1..T.

    for step in ddpm_steps(diffusion, model, (64, 1, 28, 28)):
        ...                     # step.t, step.x, step.x0_hat, step.eps_hat
    images = step.x             # (64, 1, 28, 28)

A step does not know what is done with it: keep the list and a slider only indexes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ._validate import check_choice, check_float, check_generator, check_int, check_tensor
from .diffusion import SIGMAS, Denoiser, GaussianDiffusion, randn_like


class Step(NamedTuple):
    """One reverse step: what it saw at t and what it made.

    ``t``: where it started, T..1. ``x``: what it made, x_{t-1} (in DDIM with fewer steps: x at the next t on the list);
    after the last step, the sample. ``x0_hat``: the clean image as predicted at t (clipped if asked for);
    ``eps_hat``: the noise as predicted at t. All (B, ...).
    """

    t: int
    x: Tensor
    x0_hat: Tensor
    eps_hat: Tensor


def ddpm_steps(
    diffusion: GaussianDiffusion,
    model: Denoiser,
    shape: Sequence[int],
    *,
    sigma: str = "beta_tilde",
    clip: bool = True,
    x_T: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Yield the T steps of ancestral sampling, from t = T to t = 1.

    ``x_{t-1} = mean + sigma_t z, z ~ N(0, I)``, and z = 0 at t = 1, Algorithm 2. The mean is that of
    ``diffusion.p_mean_variance``: predict x_0, clip it to [-1, 1], take the posterior mean.

    shape: (B, ...), of the samples. sigma: "beta_tilde" or "beta", the two ends of section 3.2. clip: cut x0_hat to
    [-1, 1]; False gives Algorithm 2 to the letter. x_T: (B, ...) to start from, drawn if None.
    Raises: TypeError, ValueError for a wrong argument, at once and not at the first step.
    Source: Ho et al. 2020 (arXiv 2006.11239), Algorithm 2.
    """
    check_choice("sigma", sigma, SIGMAS)
    x = _start(diffusion, shape, x_T, generator)

    @torch.no_grad()
    def steps(x: Tensor) -> Iterator[Step]:
        for t in range(diffusion.T, 0, -1):
            eps_hat = model(x, _times(t, x))
            mean, variance, x0_hat = diffusion.p_mean_variance(eps_hat, x, t, sigma=sigma, clip=clip)
            x = mean + variance.sqrt() * randn_like(x, generator) if t > 1 else mean
            yield Step(t, x, x0_hat, eps_hat)

    return steps(x)


def ddim_steps(
    diffusion: GaussianDiffusion,
    model: Denoiser,
    shape: Sequence[int],
    *,
    n_steps: int = 50,
    eta: float = 0.0,
    clip: bool = True,
    x_T: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Yield the steps of DDIM, which visits ``n_steps`` of the T times, from t = T on.

    ``x_s = sqrt(alpha_bar_s) x0_hat + sqrt(1 - alpha_bar_s - sigma^2) eps_hat + sigma z``, eq. 12, where s is the next
    time and ``sigma = eta sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t)) sqrt(1 - alpha_bar_t / alpha_bar_s)``, eq. 16.

    With ``clip``, x0_hat is cut to [-1, 1] and eps_hat is taken anew from x_t and the clipped x0_hat, so that the two
    still explain x_t. eta = 0 has no noise: x_T decides the sample. eta = 1 with n_steps = T is ``ddpm_steps`` with
    beta_tilde.

    shape: (B, ...). n_steps: 1..T. eta: [0, 1]. x_T: (B, ...) to start from, drawn if None.
    Raises: TypeError, ValueError for a wrong argument, at once and not at the first step.
    Source: Song et al. 2021 (arXiv 2010.02502), eq. 12 and 16.
    """
    times = ddim_times(diffusion.T, n_steps)
    eta = check_float("eta", eta, 0, 1)
    x = _start(diffusion, shape, x_T, generator)

    @torch.no_grad()
    def steps(x: Tensor) -> Iterator[Step]:
        for t, s in zip(times, [*times[1:], 0], strict=True):
            eps_hat = model(x, _times(t, x))
            x0_hat = diffusion.predict_x0(x, t, eps_hat)
            direction = eps_hat
            if clip:
                x0_hat = x0_hat.clamp(-1, 1)
                direction = diffusion.predict_eps(x, t, x0_hat)
            alpha_bar_t, alpha_bar_s = diffusion.alpha_bar[t], diffusion.alpha_bar[s]
            noise_t, noise_s = diffusion.sqrt_one_minus_alpha_bar[t] ** 2, diffusion.sqrt_one_minus_alpha_bar[s] ** 2
            variance = eta**2 * noise_s / noise_t * (1 - alpha_bar_t / alpha_bar_s)
            x = alpha_bar_s.sqrt() * x0_hat + (noise_s - variance).clamp(min=0).sqrt() * direction
            if eta > 0 and s > 0:
                x = x + variance.sqrt() * randn_like(x, generator)
            yield Step(t, x, x0_hat, eps_hat)

    return steps(x)


def ddim_times(T: int, n_steps: int) -> list[int]:
    """Return the ``n_steps`` times that DDIM visits: evenly spaced, first T, each in 1..T, falling.

    ``t_i = round(T (1 - i / n_steps)), i = 0..n_steps - 1``; 0, the clean image, would come next. (diffusers calls this
    spacing "trailing".) Raises: ValueError if n_steps is not in 1..T.
    """
    n_steps = check_int("n_steps", n_steps, 1, T)
    return [round(T - i * T / n_steps) for i in range(n_steps)]


def sample(
    diffusion: GaussianDiffusion,
    model: Denoiser,
    shape: Sequence[int],
    *,
    sampler: str = "ddim",
    batch_size: int = 256,
    progress: bool = False,
    generator: torch.Generator | None = None,
    **options: Any,
) -> Tensor:
    """Return finished samples: run a sampler to its end, in batches.

    shape: (n, ...) of all samples. sampler: "ddim" or "ddpm"; ``options`` go to it (n_steps, eta, sigma, clip, x_T).
    progress: show a bar. A torch module is switched to evaluation mode meanwhile. Returns: shape, float32, on the
    diffusion's device. Source: as ``ddim_steps`` and ``ddpm_steps``.
    """
    check_choice("sampler", sampler, SAMPLERS)
    shape, batch_size = _check_shape(shape), check_int("batch_size", batch_size, 1)
    x_T = options.pop("x_T", None)
    if x_T is not None:
        x_T = _start(diffusion, shape, x_T, None)
    done: list[Tensor] = []
    n_steps = options.get("n_steps", 50) if sampler == "ddim" else diffusion.T
    module = model if isinstance(model, torch.nn.Module) else torch.nn.Identity()
    was_training = module.training
    module.eval()
    try:
        for first in range(0, shape[0], batch_size):
            size = min(batch_size, shape[0] - first)
            start = None if x_T is None else x_T[first : first + size]
            steps = SAMPLERS[sampler](diffusion, model, (size, *shape[1:]), x_T=start, generator=generator, **options)
            for step in with_progress(steps, n_steps, f"{sampler}, {size} samples") if progress else steps:
                x = step.x
            done.append(x)
    finally:
        module.train(was_training)
    return torch.cat(done)


SAMPLERS: dict[str, Callable[..., Iterator[Step]]] = {"ddim": ddim_steps, "ddpm": ddpm_steps}


def with_progress(steps: Iterable[Any], total: int, description: str) -> Iterable[Any]:
    """Pass ``steps`` through a progress bar (in a notebook or in a terminal)."""
    from tqdm.auto import tqdm

    return tqdm(steps, total=total, desc=description, leave=False)


def _check_shape(shape: Sequence[int]) -> tuple[int, ...]:
    if isinstance(shape, int) or not isinstance(shape, Sequence) or len(shape) < 2:
        raise ValueError(f"shape must be (B, ...), such as (64, 1, 28, 28), got {shape!r}")
    return tuple(check_int(f"shape[{i}]", size, 1) for i, size in enumerate(shape))


def _start(
    diffusion: GaussianDiffusion, shape: Sequence[int], x_T: Tensor | None, generator: torch.Generator | None
) -> Tensor:
    """x_T as given or drawn from N(0, I), on the diffusion's device."""
    like = torch.empty(_check_shape(shape), dtype=diffusion.beta.dtype, device=diffusion.beta.device)
    if generator is not None:
        check_generator(generator)
    if x_T is None:
        return randn_like(like, generator)
    return check_tensor("x_T", x_T, like=like, like_name="shape").to(like)


def _times(t: int, x: Tensor) -> Tensor:
    return torch.full((len(x),), t, dtype=torch.int64, device=x.device)  # (B,)
