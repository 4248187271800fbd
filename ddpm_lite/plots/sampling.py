"""Pictures of sampling: where an error goes, what clipping does, the two sigmas, forks, and copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pixels import as_array
from .base import PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN = PALETTE[:3]


def plot_error_factors(diffusions: Mapping[str, Any]) -> Figure:
    """Draw what a step passes on to x_{t-1} of an error 1 of eps_hat, over t / T: one panel for each chain.

    ``w_0 r_t``, with ``r_t = sqrt(1 - alpha_bar_t) / sqrt(alpha_bar_t)`` the error of x0_hat, and
    ``w_0 = sqrt(alpha_bar_{t-1}) beta_t / (1 - alpha_bar_t)`` its weight in eq. 7. Dashed: ``2 w_0``, the most that an
    x0_hat cut to [-1, 1] can be wrong by, if x_0 lies there too.

    diffusions: name -> ``GaussianDiffusion``, or anything with its ``schedule``, (T,).
    """
    if not diffusions:
        raise ValueError("diffusions: got an empty dict, wanted name -> GaussianDiffusion")
    n = len(diffusions)
    figure, axes = new_figure(1, n, size=(1.2 + 2.9 * n, 3.4), sharey=True, squeeze=False)
    for axis, (name, diffusion) in zip(axes[0], diffusions.items(), strict=True):
        beta = as_array("schedule", diffusion.schedule).astype(np.float64)
        alpha_bar, T = np.cumprod(1 - beta), len(beta)
        w_0 = np.concatenate([[1.0], alpha_bar[:-1]]) ** 0.5 * beta / (1 - alpha_bar)
        t = np.arange(1, T + 1) / T
        passed_on = w_0 * np.sqrt(1 / alpha_bar - 1)
        axis.semilogy(t, passed_on, color=BLUE, marker="o" if T <= 100 else "", markersize=3, label="not clipped")
        axis.semilogy(t, 2 * w_0, color=ORANGE, linestyle="--", label="clipped, at most")
        axis.set(title=name, xlabel="$t/T$", xlim=(-0.03, 1.05))
        text = f"{passed_on[-1]:.0f}" if passed_on[-1] >= 10 else f"{passed_on[-1]:.2g}"
        axis.annotate(text, (1, passed_on[-1]), (-8, 4), textcoords="offset points", ha="right")
    axes[0, 0].set_ylabel("passed on, for an error 1")
    axes[0, -1].legend(loc="upper left")
    return figure


def plot_saturation(study: Mapping[str, Any]) -> Figure:
    """Draw which share of x0_hat's pixels lies outside [-1, 1] at each t, and how far outside, with and without clip.

    study: what ``benchmarks/clipping.py`` writes; its arms with ``x0_hat`` and sigma^2 = beta_tilde are drawn.
    """
    arms = [arm for arm in study["arms"] if "x0_hat" in arm and arm["sigma"] == "beta_tilde"]
    if not arms:
        raise ValueError("study: got no arm with x0_hat and beta_tilde, wanted what benchmarks/clipping.py writes")
    figure, (left, right) = new_figure(1, 2, size=(11, 3.9))
    for arm, color in zip(arms, (BLUE, ORANGE), strict=False):
        noted = {key: np.asarray(values, dtype=float)[1:] for key, values in arm["x0_hat"].items()}  # t = 0: samples
        t, name = noted["t"], "chain with clipping" if arm["clip"] else "chain without"
        left.plot(t, 100 * noted["outside"], color=color, label=name)
        left.plot(t, 100 * noted["far"], color=color, linestyle="--")
        right.semilogy(t, noted["largest"] - 1, color=color, label=name)
        right.semilogy(t, noted["excess"], color=color, linestyle="--")
    left.set(title=r"pixels of $\hat x_0$ outside (dashed: by 0.1)", xlabel="$t$", ylabel="%", ylim=(-3, 103))
    right.set(title="how far outside: at most (dashed: mean)", xlabel="$t$", ylabel=r"$|\hat x_0| - 1$")
    left.legend(loc="upper center")
    return figure


def plot_arms(study: Mapping[str, Any]) -> Figure:
    """Draw both scores of each arm of a study with two standard errors, beside what real digits get.

    study: what ``benchmarks/clipping.py`` writes.
    """
    arms = study["arms"]
    if not arms:
        raise ValueError("study: got no arms, wanted what benchmarks/clipping.py writes")
    figure, (left, right) = new_figure(1, 2, size=(11, 0.8 + 0.48 * (len(arms) + 1)), sharey=True)
    y = np.arange(len(arms))
    for axis, key, scale in [(left, "recognized", 100), (right, "frechet", 1)]:
        values = [scale * arm[key]["mean"] for arm in arms]
        errors = [2 * scale * arm[key]["se"] for arm in arms]
        axis.errorbar(values, y, xerr=errors, fmt="o", color=BLUE, capsize=5, markersize=9)
    left.axvline(100 * study["recognized_real"], color=GREEN, linestyle="--")
    right.axvline(study["floor"]["mean"], color=GREEN, linestyle="--")
    left.set(yticks=y, yticklabels=[arm["name"] for arm in arms], xlabel="recognized (%)", ylim=(len(arms) - 0.5, -0.5))
    right.set(xlabel="Frechet distance", xlim=(0, None))
    for axis in (left, right):
        axis.set_title("dashed: real digits")
    return figure


def plot_sigmas(diffusion: Any, spread: Mapping[tuple[str, str], Any]) -> Figure:
    """Draw sigma_t for both choices over t, and what they do to the spread of x_t for data whose right one is known.

    diffusion: a ``GaussianDiffusion``. spread: (data, sigma) -> standard deviations of x_1..x_T in the chain over the
    right ones, (T,).
    """
    t = np.arange(1, diffusion.T + 1)
    figure, (left, right) = new_figure(1, 2, size=(11, 3.9))
    left.loglog(t, as_array("beta", diffusion.beta)[1:] ** 0.5, color=BLUE, label=r"$\sqrt{\beta_t}$")
    left.loglog(t[1:], as_array("beta_tilde", diffusion.beta_tilde)[2:] ** 0.5, color=ORANGE, linestyle="--",
                label=r"$\sqrt{\tilde\beta_t}$")  # fmt: skip
    colors = {"beta": BLUE, "beta_tilde": ORANGE}
    symbols = {"beta": r"\beta_t", "beta_tilde": r"\tilde\beta_t"}
    for (data, sigma), values in spread.items():
        if sigma not in colors:
            raise ValueError(f"spread: got sigma {sigma!r}, wanted 'beta' or 'beta_tilde'")
        style = "-" if data == "Gaussian" else "--"
        label = rf"{data}, $\sigma_t^2 = {symbols[sigma]}$"
        right.semilogx(t, as_array("spread", values), color=colors[sigma], linestyle=style, label=label)
    left.set(title=r"$\sigma_t$", xlabel="$t$")
    right.set(title="spread of $x_t$, over the right one", xlabel="$t$")
    left.legend()
    right.legend(fontsize=11)
    return figure


def plot_settled(times: Sequence[int], curves: Mapping[str, Any], *, chance: float | None = None) -> Figure:
    """Draw shares of a sample that are settled at t, over the t at which its trajectory was forked.

    times: (N,), rising. curves: name -> shares (N,), at most 1. chance: where unrelated samples lie on the first curve.
    Raises: ValueError if a curve has another length.
    """
    figure, axis = new_figure(size=(8, 3.9))
    for (name, values), color, marker in zip(curves.items(), PALETTE, "osD^v", strict=False):
        y = as_array(name, values)
        if y.shape != (len(times),):
            raise ValueError(f"curves: {name!r} has shape {y.shape}, wanted ({len(times)},), one number for each time")
        axis.plot(times, y, marker=marker, color=color, label=name)
    if chance is not None:
        axis.axhline(chance, color=PALETTE[0], linestyle=":", label="same digit, by chance")
    axis.set(xlabel="$t$ of the fork", ylabel="share settled", ylim=(min(-0.1, axis.get_ylim()[0]), 1.05))
    axis.legend()
    return figure


def plot_nearest(distances: Mapping[str, Any]) -> Figure:
    """Draw which share of images is nearer to a training image than a distance, over the distance, for several kinds.

    distances: name -> (N,), each image's distance to its nearest training image, at most 8 kinds.
    """
    values = {name: np.sort(as_array(name, d).astype(float).ravel()) for name, d in distances.items()}
    if not values or any(not len(d) for d in values.values()):
        raise ValueError("distances: got none, wanted name -> distances, at least one of each kind")
    end = 1.03 * max(d[-1] for d in values.values())
    figure, axis = new_figure(size=(8, 3.6))
    for (name, d), color, style in zip(values.items(), PALETTE, ("-", "-", "--", ":") * 2, strict=False):
        x, share = np.concatenate([[0], d, [end]]), np.concatenate([np.arange(len(d) + 1) / len(d), [1]])
        axis.step(x, share, where="post", color=color, linestyle=style, label=f"{name} ({len(d)})")
    axis.set(xlabel="distance to the nearest training image", ylabel="share nearer", xlim=(0, end), ylim=(0, 1.03))
    axis.legend(loc="lower right")
    return figure
