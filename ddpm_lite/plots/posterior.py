"""Pictures of one step back: Bayes in one dimension, the posterior's two weights, and what is left without x_0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .._validate import check_int
from ..pixels import as_array
from .base import LINES, PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..diffusion import GaussianDiffusion
    from ..toys import GaussianMixture

__all__ = [
    "PosteriorPicture", "ReversePicture", "plot_gaussian_distance", "plot_posterior", "plot_posterior_weights",
    "plot_reverse",
]  # fmt: skip

PRIOR, LIKELIHOOD, POSTERIOR = PALETTE[0], PALETTE[1], "black"


class PosteriorPicture:
    """Prior, likelihood, their product and the posterior of one pixel's x_{t-1}; called with t and x_t, it redraws.

    ``q(x_{t-1} | x_t, x_0) = q(x_t | x_{t-1}) q(x_{t-1} | x_0) / q(x_t | x_0)``, one step before eq. 6 and 7 of Ho et
    al. 2020 (arXiv 2006.11239). The product is multiplied out on a grid, the posterior is drawn from the formula.

    diffusion: a short chain shows most, its steps are wide. x_0: the pixel. One figure is kept and its lines are moved,
    so a call is fast enough for ``explore``. The axis ends at height, or at half of it where all curves fit below.
    Raises: TypeError, ValueError for an x that is no finite number or a t outside 1..T.
    """

    def __init__(self, diffusion: GaussianDiffusion, x_0: float, *, limit: float = 3.0, height: float = 3.0) -> None:
        self.diffusion, self.x_0 = diffusion, _number("x_0", x_0)
        self.x, self.height = np.linspace(-limit, limit, 1201), height
        self.figure, self.axis = new_figure(size=(8.5, 4.2))
        names = {
            "prior": r"prior $q(x_{t-1}|x_0)$", "likelihood": r"likelihood $q(x_t|x_{t-1})$", "product": "product",
            "posterior": r"posterior $q(x_{t-1}|x_t,x_0)$",
        }  # fmt: skip
        styles: dict[str, dict[str, Any]] = {
            "prior": {"color": PRIOR}, "likelihood": {"color": LIKELIHOOD}, "product": {"color": "0.45", "ls": "--"},
            "posterior": {"color": POSTERIOR, "lw": 3},
        }  # fmt: skip
        self.lines = {key: self.axis.plot(self.x, 0 * self.x, label=names[key], **styles[key])[0] for key in names}
        on_axis = {"ms": 12, "ls": "none", "clip_on": False, "zorder": 5}
        (self.given,) = self.axis.plot([0], [0], "^", color=LIKELIHOOD, label="$x_t$, given", **on_axis)
        self.axis.plot([self.x_0], [0], "s", color=PRIOR, label="$x_0$, given", **on_axis)
        self.axis.set(xlim=(-limit, limit), xlabel="$x_{t-1}$", ylabel="density", title=" ")
        self.axis.legend(loc="upper left", fontsize=11)

    def __call__(self, t: int, x_t: float) -> Figure:
        d, x, x_0 = self.diffusion, self.x, self.x_0
        t, x_t = check_int("t", t, 1, d.T), _number("x_t", x_t)
        alpha, before, after = float(d.alpha[t]), float(d.alpha_bar[t - 1]), float(d.alpha_bar[t])
        mean = float(d.mu_coef_x_0[t]) * x_0 + float(d.mu_coef_x_t[t]) * x_t
        prior = _bell(x, before**0.5 * x_0, 1 - before)
        likelihood = _bell(x_t, alpha**0.5 * x, 1 - alpha)
        self._set("likelihood", likelihood)
        if t == 1:  # prior and posterior have no width: all their probability lies at x_0
            for name in ("prior", "posterior"):
                self.lines[name].set_data([x_0, x_0], [0, self.height])
            self.lines["product"].set_data([], [])
        else:
            self._set("prior", prior)
            self._set("product", prior * likelihood)
            self._set("posterior", _bell(x, mean, float(d.beta_tilde[t])))
        highest = max(float(np.max(line.get_ydata(), initial=0.0)) for line in self.lines.values())
        self.axis.set_ylim(0, self.height / 2 if highest < 0.45 * self.height else self.height)
        self.given.set_xdata([x_t])
        area = float(_bell(x_t, after**0.5 * x_0, 1 - after))
        self.axis.set_title(
            rf"$t={t}$: area of the product {area:.2g};  $\tilde\mu_t={mean:.2f}$,"
            rf" $\sqrt{{\tilde\beta_t}}={float(d.beta_tilde[t]) ** 0.5:.2f}$"
        )
        return self.figure

    def _set(self, name: str, y: np.ndarray) -> None:
        self.lines[name].set_data(self.x, y)


def plot_posterior(diffusion: GaussianDiffusion, x_0: float, x_t: float, t: int) -> Figure:
    """Draw how prior times likelihood becomes the posterior of x_{t-1}, for one pixel: see `PosteriorPicture`."""
    return PosteriorPicture(diffusion, x_0)(t, x_t)


def plot_posterior_weights(diffusion: GaussianDiffusion) -> Figure:
    """Draw the posterior's coefficients over t, mu_tilde = c_t x_0 + d_t x_t, and the ratio beta_tilde_t / beta_t."""
    t = np.arange(1, diffusion.T + 1)
    tables = {name: as_array(name, getattr(diffusion, name)).astype(float)[1:] for name in (
        "mu_coef_x_0", "mu_coef_x_t", "beta_tilde", "beta",
    )}  # fmt: skip
    figure, (left, right) = new_figure(1, 2, size=(11, 3.8))
    left.plot(t, tables["mu_coef_x_0"], color=PRIOR, label="$c_t$, weight of $x_0$")
    left.plot(t, tables["mu_coef_x_t"], color=LIKELIHOOD, label="$d_t$, weight of $x_t$")
    ratio = tables["beta_tilde"] / tables["beta"]
    right.plot(t, ratio, color=POSTERIOR)
    right.plot(t[:1], ratio[:1], "o", ms=11, color=POSTERIOR, clip_on=False, zorder=5)
    left.set(title=r"$\tilde\mu_t=c_t\,x_0+d_t\,x_t$", xscale="log", xlabel="$t$", ylim=(-0.03, 1.05))
    right.set(title=r"$\tilde\beta_t/\beta_t$", xscale="log", xlabel="$t$", ylim=(-0.03, 1.05))
    left.legend(loc="center right")
    return figure


class ReversePicture:
    """The exact law of x_{t-1} given x_t alone, for x_{t-1} from a mixture, over the Gaussian of its mean and variance.

    ``q(x_{t-1} | x_t) = q(x_t | x_{t-1}) q(x_{t-1}) / q(x_t)``. Called with log10 of beta_t and x_t, it redraws.

    mixture: the law of x_{t-1}, in one dimension. One figure is kept and its lines are moved. Raises: TypeError,
    ValueError for a mixture in more dimensions, a beta outside (0, 1) or an x_t that is no finite number.
    """

    def __init__(self, mixture: GaussianMixture, *, limit: float = 2.5) -> None:
        if mixture.means.shape[1] != 1:
            raise ValueError(f"mixture must have one dimension, got {mixture.means.shape[1]}")
        self.mixture, self.limit, self.x = mixture, limit, np.linspace(-limit, limit, 2001)
        self.figure, self.axis = new_figure(size=(8.5, 4.2))
        everywhere = self._density(mixture)
        self.axis.fill_between(self.x, everywhere / everywhere.max() * 0.25, color=PRIOR, alpha=0.25, lw=0)
        self.axis.plot([], [], color=PRIOR, alpha=0.25, lw=8, label="$q(x_{t-1})$, scaled")
        dashed = {"color": LIKELIHOOD, "ls": "--", "zorder": 4, "label": "Gaussian, same mean and variance"}
        (self.gaussian,) = self.axis.plot([], [], **dashed)
        (self.exact,) = self.axis.plot([], [], color=POSTERIOR, lw=3, label="$q(x_{t-1}|x_t)$, exact")
        style = {"ms": 12, "ls": "none", "clip_on": False, "zorder": 5}
        (self.given,) = self.axis.plot([0], [0], "^", color=LIKELIHOOD, label="$x_t$, given", **style)
        self.axis.set(xlim=(-limit, limit), ylim=(0, 1.75), xlabel="$x_{t-1}$", title=" ")
        self.axis.set(ylabel="density / highest value", yticks=(0, 0.5, 1))
        self.axis.legend(loc="upper left", fontsize=11, ncols=2)

    def __call__(self, log10_beta: float, x_t: float) -> Figure:
        beta, x_t = 10 ** _number("log10_beta", log10_beta), _number("x_t", x_t)
        law = self.mixture.reverse(x_t, beta)
        exact = self._density(law)
        mean = float((law.weights * law.means[:, 0]).sum())
        variance = float((law.weights * (law.std**2 + law.means[:, 0] ** 2)).sum()) - mean**2
        gaussian = _bell(self.x, mean, variance)
        self.exact.set_data(self.x, exact / exact.max())
        self.gaussian.set_data(self.x, gaussian / exact.max())
        self.given.set_xdata([x_t])
        distance = 0.5 * float(np.abs(exact - gaussian).sum()) * (self.x[1] - self.x[0])
        self.axis.set_title(rf"$\beta_t={beta:.3g}$:  total variation from the Gaussian {distance:.2g}")
        return self.figure

    def _density(self, mixture: GaussianMixture) -> np.ndarray:
        import torch

        return np.exp(mixture.log_prob(torch.from_numpy(self.x)[:, None]).numpy())


def plot_reverse(mixture: GaussianMixture, beta: float, x_t: float) -> Figure:
    """Draw q(x_{t-1} | x_t) without x_0, over the Gaussian of its mean and variance: see `ReversePicture`."""
    if not 0 < beta < 1:
        raise ValueError(f"beta: got {beta}, wanted a number in (0, 1)")
    return ReversePicture(mixture)(float(np.log10(beta)), x_t)


def plot_gaussian_distance(beta: Any, curves: Mapping[str, Any]) -> Figure:
    """Draw how far one step back is from a Gaussian, over the size of the step, in a double logarithmic plot.

    beta: (N,), in (0, 1); curves: label -> total variation, (N,). Grey: the range of beta_t of the linear schedule with
    T = 1000. Raises: ValueError for no curve, or lengths that differ.
    """
    x = as_array("beta", beta).astype(float)
    if not curves:
        raise ValueError("curves: got an empty dict, wanted label -> total variation, one number for each beta")
    figure, axis = new_figure(size=(8, 4))
    axis.axvspan(1e-4, 0.02, color="0.9", lw=0, label=r"$\beta_t$ at $T=1000$, linear")
    for color, (label, curve) in zip(LINES * 2, curves.items(), strict=False):
        y = as_array(f"curves[{label!r}]", curve).astype(float)
        if y.shape != x.shape:
            raise ValueError(f"curves[{label!r}]: got shape {y.shape}, wanted {x.shape}, one number for each beta")
        axis.plot(x, y, color=color, label=label)
    axis.set(xscale="log", yscale="log", xlim=(x.min(), x.max()), xlabel=r"$\beta_t$")
    axis.set_ylabel("total variation")
    axis.legend(loc="lower right", fontsize=11)
    return figure


def _bell(x: Any, mean: Any, variance: float) -> np.ndarray:
    """The density of N(mean, variance) at x; 0 everywhere where the variance is 0."""
    if variance <= 0:
        return 0.0 * (x - mean)
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def _number(name: str, x: Any) -> float:
    try:
        value = float(x)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: got {type(x).__name__}, wanted a number") from None
    if not np.isfinite(value):
        raise ValueError(f"{name}: got {value}, wanted a finite number")
    return value
