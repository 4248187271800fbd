"""Gaussian diffusion: the tables, q(x_t | x_0), the posterior, p(x_{t-1} | x_t), the loss and the variational bound.

One index convention: t runs 1..T, and t = 0 is the clean image. Tables have T + 1 entries, so ``alpha_bar[t]`` is the
paper's alpha_bar_t, ``alpha_bar[0] == 1`` and ``beta_tilde[1] == 0``. The t here is the t of diffusers plus 1.

A denoiser is anything callable as ``model(x_t, t) -> eps_hat``, with x_t (B, ...) and t (B,) int64.

Equation numbers are those of Ho, Jain & Abbeel 2020, "Denoising Diffusion Probabilistic Models" (arXiv 2006.11239).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._validate import check_choice, check_generator, check_t, check_tensor
from .likelihood import discretized_log_likelihood, gaussian_kl

Denoiser = Callable[[Tensor, Tensor], Tensor]
SIGMAS = ("beta_tilde", "beta")


class GaussianDiffusion(nn.Module):
    """The fixed forward process, and all that follows from it in closed form.

    ``beta``: (T,), the variances beta_1..beta_T, each in (0, 1); a schedule from ``ddpm_lite.schedules``.
    ``dtype``: of the tables; they are computed in float64 and rounded once.

    Buffers, all (T+1,): ``beta``, ``alpha``, ``alpha_bar``, ``sqrt_alpha_bar``, ``sqrt_one_minus_alpha_bar``,
    ``beta_tilde``, ``snr`` (infinite at t = 0), ``mu_coef_x_0`` and ``mu_coef_x_t`` (the two weights of eq. 7).

    Raises: TypeError, ValueError if beta is not a (T,) tensor with values in (0, 1).
    """

    beta: Tensor
    alpha: Tensor
    alpha_bar: Tensor
    sqrt_alpha_bar: Tensor
    sqrt_one_minus_alpha_bar: Tensor
    beta_tilde: Tensor
    snr: Tensor
    mu_coef_x_0: Tensor
    mu_coef_x_t: Tensor

    def __init__(self, beta: Tensor, *, dtype: torch.dtype = torch.float32):
        super().__init__()
        if not isinstance(beta, Tensor) or not beta.is_floating_point():
            raise TypeError("beta must be a floating-point tensor of shape (T,), such as linear_beta_schedule(T=1000)")
        if beta.ndim != 1 or not len(beta):
            raise ValueError(f"beta must have shape (T,), got {tuple(beta.shape)}")
        if not bool(((beta > 0) & (beta < 1)).all()):
            raise ValueError("beta must lie in (0, 1) at every t")
        beta = torch.cat([torch.zeros(1), beta.detach().double().cpu()])  # (T+1,): beta_0 = 0
        alpha = 1 - beta
        alpha_bar = alpha.cumprod(0)
        noise = 1 - alpha_bar  # 1 - alpha_bar_t
        signal_before = torch.cat([torch.ones(1), alpha_bar[:-1]])  # alpha_bar_{t-1}
        noise_before = torch.cat([torch.zeros(1), noise[:-1]])  # 1 - alpha_bar_{t-1}
        ratio = beta / noise.clamp(min=1e-300)  # at t = 0 both are 0
        tables = {
            "beta": beta,
            "alpha": alpha,
            "alpha_bar": alpha_bar,
            "sqrt_alpha_bar": alpha_bar.sqrt(),
            "sqrt_one_minus_alpha_bar": noise.sqrt(),
            "beta_tilde": noise_before * ratio,  # eq. 7
            "snr": alpha_bar / noise,
            "mu_coef_x_0": signal_before.sqrt() * ratio,  # eq. 7
            "mu_coef_x_t": alpha.sqrt() * noise_before / noise.clamp(min=1e-300),  # eq. 7
        }
        for name, table in tables.items():
            self.register_buffer(name, table.to(dtype), persistent=False)
        self.schedule = beta[1:]  # (T,) float64, as given; not a buffer: it must not be rounded on its way to a device

    @property
    def T(self) -> int:
        """The number of steps."""
        return len(self.beta) - 1

    def extra_repr(self) -> str:
        return f"T={self.T}, alpha_bar_T={float(self.alpha_bar[-1]):.3g}"

    @staticmethod
    def _at(table: Tensor, t: Tensor, like: Tensor) -> Tensor:
        """table[t], shaped (B, 1, 1, ...) so that it multiplies ``like``."""
        return table[t].to(like.dtype).view(-1, *[1] * (like.ndim - 1))

    # ---- q: the fixed process ------------------------------------------------------------------------------------

    def q_sample(
        self, x_0: Tensor, t: int | Tensor, eps: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw x_t from q(x_t | x_0) in one jump, for t in 0..T.

        ``x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps, eps ~ N(0, I)``, eq. 4.

        x_0: (B, ...); t: int or (B,) int64; eps: as x_0, drawn with ``generator`` if None. Returns: x_t, as x_0.
        Raises: TypeError, ValueError for a wrong dtype, shape or range, or NaN.
        """
        check_tensor("x_0", x_0)
        t = check_t(t, len(x_0), self.T, x_0.device, low=0)
        eps = randn_like(x_0, generator) if eps is None else check_tensor("eps", eps, like=x_0, like_name="x_0")
        return self._at(self.sqrt_alpha_bar, t, x_0) * x_0 + self._at(self.sqrt_one_minus_alpha_bar, t, x_0) * eps

    def q_posterior(self, x_0: Tensor, x_t: Tensor, t: int | Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of q(x_{t-1} | x_t, x_0), for t in 1..T.

        ``mu_tilde = sqrt(alpha_bar_{t-1}) beta_t / (1 - alpha_bar_t) x_0
        + sqrt(alpha_t) (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) x_t``,
        ``beta_tilde_t = (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) beta_t``, eq. 6 and 7.

        x_0, x_t: (B, ...); t: int or (B,). Returns: mu_tilde (B, ...), beta_tilde_t (B, 1, ...), which is 0 at t = 1.
        """
        check_tensor("x_0", x_0, like=check_tensor("x_t", x_t))
        t = check_t(t, len(x_t), self.T, x_t.device)
        mu_tilde = self._at(self.mu_coef_x_0, t, x_t) * x_0 + self._at(self.mu_coef_x_t, t, x_t) * x_t
        return mu_tilde, self._at(self.beta_tilde, t, x_t)

    def predict_x0(self, x_t: Tensor, t: int | Tensor, eps: Tensor) -> Tensor:
        """Return the x_0 from which ``eps`` made x_t: eq. 4 solved for x_0, for t in 0..T.

        ``x_0 = (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t)``. All (B, ...); t: int or (B,).
        """
        check_tensor("eps", eps, like=check_tensor("x_t", x_t))
        t = check_t(t, len(x_t), self.T, x_t.device, low=0)
        return (x_t - self._at(self.sqrt_one_minus_alpha_bar, t, x_t) * eps) / self._at(self.sqrt_alpha_bar, t, x_t)

    def predict_eps(self, x_t: Tensor, t: int | Tensor, x_0: Tensor) -> Tensor:
        """Return the noise that leads from x_0 to x_t: eq. 4 solved for eps, for t in 1..T.

        ``eps = (x_t - sqrt(alpha_bar_t) x_0) / sqrt(1 - alpha_bar_t)``. All (B, ...); t: int or (B,).
        """
        check_tensor("x_0", x_0, like=check_tensor("x_t", x_t))
        t = check_t(t, len(x_t), self.T, x_t.device)
        return (x_t - self._at(self.sqrt_alpha_bar, t, x_t) * x_0) / self._at(self.sqrt_one_minus_alpha_bar, t, x_t)

    # ---- p: the learned process ----------------------------------------------------------------------------------

    def p_mean_variance(
        self, eps_hat: Tensor, x_t: Tensor, t: int | Tensor, *, sigma: str = "beta_tilde", clip: bool = True
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and variance of p(x_{t-1} | x_t), and the x0_hat behind them, for t in 1..T.

        The predicted image x0_hat takes the place of x_0 in eq. 7. With ``clip`` it is first cut to [-1, 1]; without,
        the mean is eq. 11, ``(x_t - beta_t / sqrt(1 - alpha_bar_t) eps_hat) / sqrt(alpha_t)``.
        The variance sigma_t^2 is beta_tilde_t or beta_t (section 3.2).

        eps_hat, x_t: (B, ...); t: int or (B,). Returns: mean (B, ...), variance (B, 1, ...), x0_hat (B, ...).
        """
        check_choice("sigma", sigma, SIGMAS)
        x0_hat = self.predict_x0(x_t, t, check_tensor("eps_hat", eps_hat, like=x_t))
        if clip:
            x0_hat = x0_hat.clamp(-1, 1)
        mean, variance = self.q_posterior(x0_hat, x_t, t)
        if sigma == "beta":
            variance = self._at(self.beta, check_t(t, len(x_t), self.T, x_t.device), x_t)
        return mean, variance, x0_hat

    # ---- training ------------------------------------------------------------------------------------------------

    def loss(
        self,
        model: Denoiser,
        x_0: Tensor,
        t: int | Tensor | None = None,
        eps: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return L_simple: the mean squared error of the predicted noise, per dimension.

        ``L_simple = E |eps - eps_theta(sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps, t)|^2, t ~ U{1..T}``, eq. 14.

        x_0: (B, ...); t: int or (B,), eps: as x_0; each is drawn with ``generator`` if None. Returns: a scalar, 1 for a
        model that always answers 0. Raises: as ``q_sample``; for no image, or an answer not of the shape of x_t.
        """
        if not check_tensor("x_0", x_0).numel():
            raise ValueError(f"x_0 must hold one image at least, got shape {tuple(x_0.shape)}")
        if t is None:
            t = torch.randint(1, self.T + 1, (len(x_0),), generator=generator, device=_device(generator, x_0))
        t = check_t(t, len(x_0), self.T, x_0.device)
        eps = randn_like(x_0, generator) if eps is None else eps
        x_t = self.q_sample(x_0, t, eps)
        return F.mse_loss(check_tensor("eps_hat", model(x_t, t), like=x_t, finite=False), eps)

    @torch.no_grad()
    def bound_terms(
        self,
        model: Denoiser,
        x_0: Tensor,
        t: int | Tensor,
        eps: Tensor | None = None,
        *,
        sigma: str = "beta_tilde",
        clip: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return one sample of the bound's term L_{t-1} per example, in bits per dimension, for t in 1..T.

        ``L_{t-1} = KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t))`` for t > 1, and ``L_0 = -log p(x_0 | x_1)``, eq. 5.
        L_0 takes x_0 to hold 256 levels and integrates the Gaussian over each level's bin, eq. 13. As in the authors'
        code, beta_tilde_1 = 0 is replaced by beta_tilde_2 there. The bound on -log2 p(x_0) per dimension is the sum
        over t of these terms plus ``prior_term``. With ``clip``, the default, x0_hat is first cut to [-1, 1], as in
        ``p_mean_variance``: near t = T this makes the terms much smaller than eq. 12, which knows no cut.

        x_0: (B, ...) in [-1, 1] on 256 levels; t: int or (B,). Returns: (B,) bits per dimension.
        """
        check_tensor("x_0", x_0)
        t = check_t(t, len(x_0), self.T, x_0.device)
        x_t = self.q_sample(x_0, t, eps, generator=generator)
        mean, variance, _ = self.p_mean_variance(model(x_t, t), x_t, t, sigma=sigma, clip=clip)
        mu_tilde, beta_tilde = self.q_posterior(x_0, x_t, t)
        first = t.view(-1, *[1] * (x_0.ndim - 1)) == 1
        fallback = self.beta_tilde[min(2, self.T)] if self.T > 1 else self.beta[1]
        variance = torch.where(variance > 0, variance, fallback.to(variance.dtype))
        kl = gaussian_kl(mu_tilde, torch.where(first, variance, beta_tilde), mean, variance)
        nats = torch.where(first, -discretized_log_likelihood(x_0, mean, variance.sqrt()), kl)
        return nats.flatten(1).mean(1) / math.log(2)

    def prior_term(self, x_0: Tensor) -> Tensor:
        """Return L_T = KL(q(x_T | x_0) || N(0, I)) per example, in bits per dimension: eq. 5, nothing to learn in it.

        x_0: (B, ...). Returns: (B,).
        """
        check_tensor("x_0", x_0)
        one = torch.ones((), dtype=x_0.dtype, device=x_0.device)
        noise = self.sqrt_one_minus_alpha_bar[-1].to(x_0.dtype) ** 2
        kl = gaussian_kl(self.sqrt_alpha_bar[-1].to(x_0.dtype) * x_0, noise, 0 * one, one)
        return kl.flatten(1).mean(1) / math.log(2)


def randn_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise like x, drawn on the generator's device and moved to that of x."""
    return torch.randn(x.shape, dtype=x.dtype, generator=generator, device=_device(generator, x)).to(x.device)


def _device(generator: torch.Generator | None, x: Tensor) -> torch.device:
    return x.device if generator is None else check_generator(generator).device
