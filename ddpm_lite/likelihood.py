"""Two quantities of the variational bound: the KL of two Gaussians, and a Gaussian's probability of a gray level.

Source: Ho et al. 2020 (arXiv 2006.11239), sections 2 and 3.3.
"""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian_kl(mean_q: Tensor, variance_q: Tensor, mean_p: Tensor, variance_p: Tensor) -> Tensor:
    """Return KL(N(mean_q, variance_q) || N(mean_p, variance_p)) per element, in nats.

    ``(log(variance_p / variance_q) + (variance_q + (mean_q - mean_p)^2) / variance_p - 1) / 2``.
    """
    ratio = variance_q / variance_p
    return 0.5 * (ratio - 1 - ratio.log() + (mean_q - mean_p) ** 2 / variance_p)


def discretized_log_likelihood(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return the log-probability of x, one of 256 levels in [-1, 1], under a Gaussian cut into 256 bins.

    ``log integral over [x - 1/255, x + 1/255] of N(mean, std^2)``, where the two outer bins reach to infinity, eq. 13.

    Computed from the tail nearer to x, so that it keeps its digits far from the mean. Returns: as x, in nats.
    """
    distance = (x - mean).abs()  # by symmetry, look from the upper side only
    outer = torch.where(x > mean, x, -x) > 1 - 1 / 255  # the bin runs to infinity away from the mean
    inner = torch.where(x > mean, x, -x) < -1 + 1 / 255  # the bin runs to infinity across the mean
    upper = torch.special.log_ndtr(-(distance - 1 / 255) / std)  # log P(beyond the near edge)
    lower = torch.special.log_ndtr(-(distance + 1 / 255) / std)  # log P(beyond the far edge)
    both = upper + torch.log(-torch.expm1((lower - upper).clamp(max=-1e-7)))
    return torch.where(outer, upper, torch.where(inner, torch.log1p(-lower.exp()), both))
