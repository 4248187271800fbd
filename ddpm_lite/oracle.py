"""Exact denoisers: data so simple that the best possible eps_hat is known in closed form.

With x_0 from a mixture of Gaussians, x_t is one too, and so ``E[eps | x_t]``, the minimizer of L_simple, is a formula.
One Gaussian and a finite data set are its two special cases. No training, no error: what a sampler gets wrong with an
exact denoiser is the sampler's own fault.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._validate import check_t, check_tensor
from .diffusion import GaussianDiffusion


class MixtureOracle(nn.Module):
    """The exact denoiser for ``x_0 ~ sum_k w_k N(m_k, s_k^2 I)``.

    ``x_t | k ~ N(sqrt(alpha_bar_t) m_k, v_k I), v_k = alpha_bar_t s_k^2 + 1 - alpha_bar_t``; with r_k the
    probability of component k given x_t,
    ``E[eps | x_t] = sqrt(1 - alpha_bar_t) sum_k r_k (x_t - sqrt(alpha_bar_t) m_k) / v_k``.

    mean: (K, ...); std: a float or (K,), >= 0; weights: (K,), > 0, equal if None.
    Call: ``oracle(x_t, t) -> eps_hat``, x_t (B, ...), t int or (B,) in 1..T. Computed in float64, returned in the
    dtype of x_t.
    Raises: TypeError, ValueError for a wrong shape, a negative std, weights that are not positive.
    Source: Bishop 2006, eq. 2.116, per component, through eq. 4 of Ho et al. 2020 (arXiv 2006.11239).
    """

    def __init__(
        self,
        diffusion: GaussianDiffusion,
        mean: Tensor,
        std: float | Tensor = 0.0,
        weights: Tensor | None = None,
    ):
        super().__init__()
        check_tensor("mean", mean)
        if mean.ndim < 2 or not len(mean):
            raise ValueError(f"mean must have shape (K, ...), one row per component, got {tuple(mean.shape)}")
        n = len(mean)
        std = torch.as_tensor(std, dtype=torch.float64).expand(n)
        weights = torch.ones(n, dtype=torch.float64) if weights is None else weights.double()
        if weights.shape != (n,) or not bool((weights > 0).all()):
            raise ValueError(f"weights must be a positive tensor of shape ({n},)")
        if not bool((std >= 0).all()):
            raise ValueError("std must not be negative")
        self.diffusion = diffusion
        self.shape = mean.shape[1:]
        self.mean = mean.detach().double().flatten(1)  # (K, D)
        self.variance = std**2  # (K,)
        self.log_weight = (weights / weights.sum()).log()  # (K,)

    def forward(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        check_tensor("x_t", x_t)
        if x_t.shape[1:] != self.shape:
            raise ValueError(f"x_t must have shape (B, {', '.join(map(str, self.shape))}), got {tuple(x_t.shape)}")
        t = check_t(t, len(x_t), self.diffusion.T, x_t.device)
        x = x_t.double().flatten(1)  # (B, D)
        mean, own, log_weight = (a.to(x.device) for a in (self.mean, self.variance, self.log_weight))
        noise = self.diffusion.sqrt_one_minus_alpha_bar[t].double()[:, None] ** 2  # (B, 1)
        signal = self.diffusion.sqrt_alpha_bar[t].double()[:, None]  # (B, 1)
        v = signal**2 * own + noise  # (B, K)
        distance = (x**2).sum(1, keepdim=True) - 2 * signal * (x @ mean.T) + signal**2 * (mean**2).sum(1)  # (B, K)
        r = (log_weight - distance / (2 * v) - x.shape[1] / 2 * v.log()).softmax(1) / v  # r_k / v_k, (B, K)
        eps_hat = noise.sqrt() * (x * r.sum(1, keepdim=True) - signal * (r @ mean))
        return eps_hat.view_as(x_t).to(x_t.dtype)


class GaussianOracle(MixtureOracle):
    """The exact denoiser for ``x_0 ~ N(mean, std^2 I)``: ``MixtureOracle`` with one component.

    ``E[eps | x_t] = sqrt(1 - alpha_bar_t) (x_t - sqrt(alpha_bar_t) mean) / (alpha_bar_t std^2 + 1 - alpha_bar_t)``.

    mean: (...), the shape of one example; std: >= 0.
    """

    def __init__(self, diffusion: GaussianDiffusion, mean: Tensor, std: float):
        super().__init__(diffusion, check_tensor("mean", mean)[None], std)


class FiniteOracle(MixtureOracle):
    """The exact denoiser for a finite data set: ``MixtureOracle`` with std = 0.

    Its x0_hat is the average of the data set, weighted by how likely each example made x_t. Sampling with it gives back
    the data set: a denoiser that fits its training set perfectly has memorized it.

    x_0: (N, ...), the data; weights: (N,), equal if None.
    """

    def __init__(self, diffusion: GaussianDiffusion, x_0: Tensor, weights: Tensor | None = None):
        super().__init__(diffusion, check_tensor("x_0", x_0), 0.0, weights)
