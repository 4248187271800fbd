"""What a network may predict: the noise eps, the clean image x_0, or the posterior's mean mu_tilde.

All three say the same, for x_t and t are known to whoever asks the network:

    x_0      = (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t)      eq. 4, solved for x_0
    mu_tilde = c_t x_0 + d_t x_t                                          eq. 7, which defines c_t and d_t

In both lines x_t stands outside, so the errors are in proportion, y the target and y_hat the network's answer:

    x_0 - x_0_hat           = -sqrt((1 - alpha_bar_t) / alpha_bar_t) (eps - eps_hat)
    mu_tilde - mu_tilde_hat =  c_t (x_0 - x_0_hat)

The squared errors then differ by a factor in t, and a loss is one of the three with some weight. Two weights matter:
that of L_simple, which is 1 for eps, and that of the bound, whose term L_{t-1} is |mu_tilde - mu_tilde_hat|^2 / (2
sigma_t^2). ``relative_weight`` and ``bound_weight`` are their tables.

Equation numbers: Ho et al. 2020, "Denoising Diffusion Probabilistic Models" (arXiv 2006.11239).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._validate import check_choice, check_t, check_tensor
from .diffusion import SIGMAS, Denoiser, GaussianDiffusion

TARGETS = ("mu_tilde", "x_0", "eps")


def convert(diffusion: GaussianDiffusion, y: Tensor, x_t: Tensor, t: int | Tensor, source: str, target: str) -> Tensor:
    """Return the ``target`` that says the same as ``y``, a value of ``source``, at x_t, for t in 1..T.

    Eq. 4 and 7, as in the head of this module. The way leads through x_0.

    y, x_t: (B, ...); t: int or (B,); source, target: "mu_tilde", "x_0" or "eps". Returns: as x_t.
    Raises: TypeError, ValueError for a wrong shape, dtype, range of t, or an unknown name.
    """
    check_choice("source", source, TARGETS), check_choice("target", target, TARGETS)
    check_tensor("y", y, like=check_tensor("x_t", x_t))
    t = check_t(t, len(x_t), diffusion.T, x_t.device)
    if source == target:
        return y
    if source == "mu_tilde":
        c, d = (_at(table, t, x_t) for table in (diffusion.mu_coef_x_0, diffusion.mu_coef_x_t))
        x_0 = (y - d * x_t) / c  # eq. 7, solved for x_0
    else:
        x_0 = y if source == "x_0" else diffusion.predict_x0(x_t, t, y)
    if target == "eps":
        return diffusion.predict_eps(x_t, t, x_0)
    return x_0 if target == "x_0" else diffusion.q_posterior(x_0, x_t, t)[0]


def make_target(diffusion: GaussianDiffusion, x_0: Tensor, x_t: Tensor, t: int | Tensor, target: str) -> Tensor:
    """Return what a network that predicts ``target`` should answer at x_t, when x_t was made from x_0.

    x_0, x_t: (B, ...); t: int or (B,); target: "mu_tilde", "x_0" or "eps". Returns: as x_t. Raises: as ``convert``.
    """
    return convert(diffusion, check_tensor("x_0", x_0, like=x_t), x_t, t, "x_0", target)


def as_eps(diffusion: GaussianDiffusion, network: Denoiser, target: str) -> Denoiser:
    """Return a denoiser ``model(x_t, t) -> eps_hat`` made of a network that predicts ``target``.

    Every sampler and ``diffusion.bound_terms`` takes it. Raises: ValueError for an unknown name.
    """
    check_choice("target", target, TARGETS)

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        return convert(diffusion, network(x_t, t), x_t, t, target, "eps")

    return model


def relative_weight(diffusion: GaussianDiffusion, target: str) -> Tensor:
    """Return r_t, the weight in t that a plain squared error of ``target`` has beside L_simple, for t in 0..T.

    ``|y - y_hat|^2 = r_t |eps - eps_hat|^2``, with r_t = 1 for eps, ``(1 - alpha_bar_t) / alpha_bar_t = 1 / SNR_t`` for
    x_0, and ``beta_t^2 / (alpha_t (1 - alpha_bar_t))`` for mu_tilde.

    Returns: (T+1,) float64, entry 0 is 0: at t = 0 nothing is predicted. Raises: ValueError for an unknown name.
    """
    check_choice("target", target, TARGETS)
    beta, alpha, alpha_bar, _ = _tables(diffusion)
    if target == "eps":
        r = torch.ones_like(beta)
    elif target == "x_0":
        r = (1 - alpha_bar) / alpha_bar
    else:
        r = beta**2 / (alpha * (1 - alpha_bar))
    return _with_0(r)


def bound_weight(diffusion: GaussianDiffusion, target: str = "eps", *, sigma: str = "beta_tilde") -> Tensor:
    """Return w_t, the weight of a squared error of ``target`` in the bound's term L_{t-1}, for t in 0..T.

    ``L_{t-1} = w_t |y - y_hat|^2 + C_t``, in nats if the square is summed over dimensions, in nats per dimension if it
    is averaged. Eq. 8 has ``w_t = 1 / (2 sigma_t^2)`` for mu_tilde, eq. 12 ``beta_t^2 / (2 sigma_t^2 alpha_t (1 -
    alpha_bar_t))`` for eps. With sigma_t^2 = beta_tilde_t, C_t = 0 and w_t is ``(SNR_{t-1} - SNR_t) / 2`` for x_0,
    ``(SNR_{t-1} / SNR_t - 1) / 2`` for eps, as in Kingma et al. 2021 (arXiv 2107.00630), section 4.

    sigma: "beta_tilde" or "beta", the choice of sigma_t^2. At t = 1, where beta_tilde is 0, its weight is infinite: L_0
    is no KL, and is computed otherwise (``diffusion.bound_terms``).
    Returns: (T+1,) float64, entry 0 is 0. Raises: ValueError for an unknown name.
    """
    check_choice("target", target, TARGETS), check_choice("sigma", sigma, SIGMAS)
    beta, _, _, beta_tilde = _tables(diffusion)
    mu_weight = 1 / (2 * (beta if sigma == "beta" else beta_tilde))  # eq. 8
    return _with_0(mu_weight * relative_weight(diffusion, "mu_tilde")[1:] / relative_weight(diffusion, target)[1:])


def _tables(diffusion: GaussianDiffusion) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """beta, alpha, alpha_bar and beta_tilde for t = 1..T, (T,) float64."""
    beta = diffusion.schedule
    alpha = 1 - beta
    alpha_bar = alpha.cumprod(0)
    before = torch.cat([torch.ones(1, dtype=beta.dtype), alpha_bar[:-1]])  # alpha_bar_{t-1}
    return beta, alpha, alpha_bar, (1 - before) / (1 - alpha_bar) * beta


def _with_0(table: Tensor) -> Tensor:
    return torch.cat([torch.zeros(1, dtype=table.dtype), table])


def _at(table: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """table[t], shaped (B, 1, 1, ...) so that it multiplies ``like``."""
    return table[t].to(like.dtype).view(-1, *[1] * (like.ndim - 1))
