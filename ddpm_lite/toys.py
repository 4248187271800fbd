"""Points in the plane: sets on which a diffusion model trains in seconds, and one whose density is known exactly.

``ddpm_lite.data`` hands these on; import them from there.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ._validate import check_choice, check_float, check_generator, check_int, check_tensor

TOYS = ("swiss_roll", "moons", "gaussian_mixture")


def toy(name: str, n: int, *, generator: torch.Generator) -> Tensor:
    """Return ``n`` points of a set in the plane, float32 (n, 2), scaled to about [-1, 1]^2 as images are.

    name: "swiss_roll", a spiral with Gaussian noise of std 0.02; "moons", two interleaved half circles, noise 0.04;
    "gaussian_mixture", eight Gaussians on a ring, ``GaussianMixture.ring()``, whose density is known.
    Less than 1 % of the points lie outside [-1, 1]^2, by about 0.1; samplers that clip (``clip=True``) move those.
    Raises: TypeError, ValueError. Source: the shapes are those of scikit-learn's make_swiss_roll and make_moons.
    """
    check_choice("name", name, TOYS)
    n, generator = check_int("n", n, 0), check_generator(generator)
    if name == "gaussian_mixture":
        return GaussianMixture.ring().sample(n, generator=generator)
    u = torch.rand(n, generator=generator, device=generator.device)
    noise = torch.randn(n, 2, generator=generator, device=generator.device)
    if name == "swiss_roll":
        phi = 1.5 * math.pi * (1 + 2 * u)  # one and a half turns
        curve = torch.stack([phi * phi.cos(), phi * phi.sin()], dim=1) / (4.5 * math.pi)
        return curve + 0.02 * noise
    upper = torch.rand(n, generator=generator, device=generator.device) < 0.5
    phi = math.pi * u
    x = torch.where(upper, phi.cos(), 1 - phi.cos())
    y = torch.where(upper, phi.sin(), 0.5 - phi.sin())
    return torch.stack([x - 0.5, y - 0.25], dim=1) / 1.6 + 0.04 * noise


class GaussianMixture:
    """A mixture of round Gaussians, ``p(x) = sum_k w_k N(x; m_k, s_k^2 I)``, any dimension D; computes in float64.

    means: (K, D), finite. std: one positive number, or (K,). weights: (K,), positive, summing to 1; equal if None.
    Attributes: ``means`` (K, D), ``std`` (K,), ``weights`` (K,), all float64. Raises: TypeError, ValueError.
    Source: Bishop 2006, Pattern Recognition and Machine Learning, section 2.3.9.
    """

    def __init__(self, means: Any, std: Any, weights: Any = None) -> None:
        self.means = _float64("means", means)
        if self.means.ndim != 2 or not self.means.numel():
            raise ValueError(f"means must have shape (K, D) with K, D >= 1, got {tuple(self.means.shape)}")
        k = len(self.means)
        self.std = _float64("std", std)
        self.std = self.std.expand(k).clone() if self.std.ndim == 0 else self.std
        self.weights = _float64("weights", [1 / k] * k if weights is None else weights)
        for name, x in [("std", self.std), ("weights", self.weights)]:
            if x.shape != (k,):
                raise ValueError(f"{name} must have shape ({k},), one per component, got {tuple(x.shape)}")
            if not bool((x > 0).all()):
                raise ValueError(f"{name} must be positive, got {x.tolist()}")
        if abs(float(self.weights.sum()) - 1) > 1e-6:
            raise ValueError(f"weights must sum to 1, got {float(self.weights.sum()):g}")
        self.weights = self.weights / self.weights.sum()

    @classmethod
    def ring(cls, n: int = 8, radius: float = 0.75, std: float = 0.06) -> GaussianMixture:
        """Return ``n`` equal components, evenly on a circle in the plane."""
        n = check_int("n", n, 1)
        radius = check_float("radius", radius, 0.0, 1e6)
        angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
        return cls(radius * torch.stack([angle.cos(), angle.sin()], dim=1), std)

    def __repr__(self) -> str:
        k, d = self.means.shape
        return f"GaussianMixture({k} components in {d} dimensions)"

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Return ``n`` points, float32 (n, D). Raises: TypeError, ValueError."""
        n, device = check_int("n", n, 0), check_generator(generator).device
        means, std, weights = (x.to(device) for x in (self.means, self.std, self.weights))
        if n == 0:
            return means[:0].float()
        k = torch.multinomial(weights, n, replacement=True, generator=generator)  # (n,)
        noise = torch.randn(n, means.shape[1], generator=generator, device=device, dtype=torch.float64)
        return (means[k] + std[k, None] * noise).float()

    def log_prob(self, x: Tensor) -> Tensor:
        """Return ``log p(x)``, in nats: x (..., D) -> (...), in the dtype of x. Raises: TypeError, ValueError."""
        return self._log_joint(x)[0].logsumexp(-1).to(x.dtype)

    def score(self, x: Tensor) -> Tensor:
        """Return ``grad log p(x) = sum_k p(k | x) (m_k - x) / s_k^2``: x (..., D) -> (..., D), in the dtype of x."""
        log_joint, difference, variance = self._log_joint(x)
        share = log_joint.softmax(-1) / variance  # (..., K)
        return (share.unsqueeze(-1) * difference).sum(-2).to(x.dtype)

    def diffused(self, alpha_bar: float | Tensor) -> GaussianMixture:
        """Return the law of ``x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps`` with x_0 from this mixture.

        ``m_k -> sqrt(alpha_bar) m_k, s_k^2 -> alpha_bar s_k^2 + 1 - alpha_bar`` (from eq. 4 of Ho et al. 2020).
        alpha_bar: one number in [0, 1]. Raises: TypeError, ValueError.
        """
        if isinstance(alpha_bar, Tensor) and alpha_bar.numel() != 1:
            raise ValueError(f"alpha_bar must be one number, got shape {tuple(alpha_bar.shape)}")
        a = check_float("alpha_bar", alpha_bar, 0.0, 1.0)
        return GaussianMixture(math.sqrt(a) * self.means, (a * self.std**2 + 1 - a).sqrt(), self.weights)

    def reverse(self, x_t: float | Tensor, beta: float) -> GaussianMixture:
        """Return the law of x given ``x_t = sqrt(1 - beta) x + sqrt(beta) eps``, x from this mixture: Bayes.

        ``1 / v_k = 1 / s_k^2 + (1 - beta) / beta, m_k -> v_k (m_k / s_k^2 + sqrt(1 - beta) x_t / beta), s_k^2 -> v_k,
        w_k -> w_k N(x_t; sqrt(1 - beta) m_k, ((1 - beta) s_k^2 + beta) I)``, normalized.
        x_t: (D,), or a number where D = 1; beta: in (0, 1). Raises: TypeError, ValueError.
        Source: Bishop 2006, eq. 2.116 and 2.117, per component.
        """
        b = check_float("beta", beta, 0.0, 1.0)
        if not 0 < b < 1:
            raise ValueError(f"beta must lie in (0, 1), got {b}")
        x_t, d = _float64("x_t", x_t), self.means.shape[1]
        x_t = x_t[None] if x_t.ndim == 0 else x_t
        if x_t.shape != (d,):
            raise ValueError(f"x_t must have shape ({d},), got {tuple(x_t.shape)}")
        v = 1 / (1 / self.std**2 + (1 - b) / b)  # (K,)
        means = v[:, None] * (self.means / self.std[:, None] ** 2 + math.sqrt(1 - b) * x_t / b)
        share = self.diffused(1 - b)._log_joint(x_t)[0].softmax(-1)  # (K,)
        return GaussianMixture(means, v.sqrt(), share.clamp(min=1e-300))

    def _log_joint(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log w_k N(x; m_k, s_k^2 I) (..., K), m_k - x (..., K, D) and s_k^2 (K,)."""
        check_tensor("x", x)
        d = self.means.shape[1]
        if x.shape[-1] != d:
            raise ValueError(f"x must have shape (..., {d}), got {tuple(x.shape)}")
        means, std, weights = (y.to(x.device) for y in (self.means, self.std, self.weights))
        difference = means - x.double().unsqueeze(-2)  # (..., K, D)
        variance = std**2  # (K,)
        square = difference.square().sum(-1) / variance  # (..., K)
        return weights.log() - 0.5 * (square + d * (2 * math.pi * variance).log()), difference, variance


def _float64(name: str, x: Any) -> Tensor:
    try:
        x = torch.as_tensor(x, dtype=torch.float64, device="cpu").detach().clone()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} must be numbers, got {type(x).__name__}") from None
    if not bool(x.isfinite().all()):
        raise ValueError(f"{name} contains NaN or infinite values")
    return x
