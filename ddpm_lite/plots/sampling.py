"""Pictures of sampling: where an error goes, what clipping does, the two sigmas, forks, and copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pixels import as_array
from .base import LINES, PALETTE, new_figure

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
    n, highest = len(diffusions), 0.0
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
        axis.annotate(text, (1, passed_on[-1]), (-10, 4), textcoords="offset points", ha="right")
        highest = max(highest, *passed_on, *(2 * w_0))
    axes[0, 0].set(ylabel="passed on, of an error of 1", ylim=(None, 8 * highest))  # the numbers stay below the titles
    axes[0, -1].legend(loc="upper left")
    return figure


def plot_saturation(study: Mapping[str, Any]) -> Figure:
    """Draw which share of x0_hat's pixels lies outside [-1, 1] at each t, and how far outside, with and without clip.

    Left over all t, in the middle from 0.95 T on; right over T - t + 1, the number of the step, on a logarithmic axis.

    study: what ``benchmarks/clipping.py`` writes; its arms with ``x0_hat`` and sigma^2 = beta_tilde are drawn.
    """
    arms = [arm for arm in study["arms"] if "x0_hat" in arm and arm["sigma"] == "beta_tilde"]
    if not arms:
        raise ValueError("study: got no arm with x0_hat and beta_tilde, wanted what benchmarks/clipping.py writes")
    figure, (left, middle, right) = new_figure(1, 3, size=(13, 3.9))
    for arm, color in zip(arms, (BLUE, ORANGE), strict=False):
        noted = {key: np.asarray(values, dtype=float)[1:] for key, values in arm["x0_hat"].items()}  # t = 0: samples
        t, name = noted["t"], "chain with clipping" if arm["clip"] else "chain without"
        for axis in (left, middle):
            axis.plot(t, 100 * noted["outside"], color=color, label=name)
            axis.plot(t, 100 * noted["far"], color=color, linestyle="--")
        right.loglog(t[-1] - t + 1, noted["largest"] - 1, color=color, label=name)
        right.loglog(t[-1] - t + 1, noted["excess"], color=color, linestyle="--")
    for axis in (left, middle):
        axis.set(title=r"$\hat x_0$ outside (dashed: by 0.1)", xlabel="$t$", ylabel="% of pixels", ylim=(-3, 103))
    T = study["T"]
    middle.set(title="the same, first steps", xlim=(0.95 * T, 1.002 * T))
    right.set(title="how far: at most (dashed: mean)", xlabel="step $T-t+1$", ylabel=r"$|\hat x_0| - 1$")
    left.legend(loc="upper center")
    return figure


def _wilson(share: float, n: int, z: float = 2.0) -> tuple[float, float]:
    """Return the ends of Wilson's interval for a share of n, always in [0, 1] and never empty.

    ``(p + z^2/2n -+ z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n)``: all shares from which p lies within z of *their*
    standard errors. Source: Wilson 1927, J. Am. Stat. Assoc. 22.
    """
    middle, half = share + z**2 / (2 * n), z * (share * (1 - share) / n + (z / (2 * n)) ** 2) ** 0.5
    return (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)


def plot_arms(study: Mapping[str, Any]) -> Figure:
    """Draw both scores of each arm of a study with two standard errors, beside what real digits get (a band: likewise).

    Bars of a share are Wilson's intervals, which stay in [0, 1]. study: what ``benchmarks/clipping.py`` writes.
    """
    arms = study["arms"]
    if not arms:
        raise ValueError("study: got no arms, wanted what benchmarks/clipping.py writes")
    figure, (left, right) = new_figure(1, 2, size=(11, 0.8 + 0.48 * (len(arms) + 1)), sharey=True)
    y = np.arange(len(arms))
    for axis, key, scale in [(left, "recognized", 100), (right, "frechet", 1)]:
        values = np.array([arm[key]["mean"] for arm in arms])
        errors = 2 * np.array([arm[key]["se"] for arm in arms])
        ends = np.array([np.maximum(values - errors, 0), values + errors])  # no distance is below 0
        if key == "recognized":
            ends = np.array([_wilson(share, arm["n"]) for share, arm in zip(values, arms, strict=True)]).T
        below, above = np.maximum([values - ends[0], ends[1] - values], 0)  # 0 where rounding makes it negative
        bars = (scale * below, scale * above)
        axis.errorbar(scale * values, y, xerr=bars, fmt="o", color=BLUE, capsize=5, markersize=9)
    left.axvline(100 * study["recognized_real"], color=GREEN, linestyle="--")
    floor, wide = study["floor"]["mean"], 2 * study["floor"]["se"]
    right.axvline(floor, color=GREEN, linestyle="--")
    right.axvspan(floor - wide, floor + wide, color=GREEN, alpha=0.15, linewidth=0)
    left.set(yticks=y, yticklabels=[arm["name"] for arm in arms], xlabel="recognized (%)", ylim=(len(arms) - 0.5, -0.5))
    right.set(xlabel="Frechet distance", xlim=(0, None))
    for axis in (left, right):
        axis.set_title("dashed: real digits")
    return figure


def plot_sigmas(chains: Mapping[int, Any], spread: Mapping[tuple[str, str, int], Any]) -> Figure:
    """Draw both choices of sigma_t over t / T, and what each does to the spread of x_t for data whose spread is known.

    chains: steps -> ``GaussianDiffusion``, at most two of them; the second one is dashed. spread: (data, sigma, steps)
    -> standard deviations of x_1..x_n in the chain over the right ones, (n,); each kind of data has its panel.
    Raises: ValueError for a sigma or a number of steps that is not there, or for another length.
    """
    data_kinds = list(dict.fromkeys(data for data, _, _ in spread))
    colors = {"beta": (BLUE, r"\beta_t"), "beta_tilde": (ORANGE, r"\tilde\beta_t")}
    styles = dict(zip(chains, ("-", "--"), strict=False))
    n = 1 + len(data_kinds)
    figure, axes = new_figure(1, n, size=(0.8 + 4.1 * n, 3.9), squeeze=False)
    left, panels = axes[0, 0], dict(zip(data_kinds, axes[0, 1:], strict=True))
    for steps, diffusion in chains.items():
        t = np.arange(1, steps + 1) / steps
        for sigma, (color, symbol) in colors.items():
            first = 1 if sigma == "beta_tilde" else 0  # beta_tilde_1 = 0 has no place on a logarithmic axis
            y = as_array(sigma, getattr(diffusion, sigma))[1:] ** 0.5
            left.loglog(t[first:], y[first:], color=color, linestyle=styles[steps],
                        label=rf"$\sigma_t^2 = {symbol}$, {steps} steps")  # fmt: skip
    for (data, sigma, steps), values in spread.items():
        if sigma not in colors or steps not in chains:
            raise ValueError(f"spread: got {(data, sigma, steps)!r}, wanted beta or beta_tilde, steps {list(chains)}")
        y = as_array("spread", values)
        if y.shape != (steps,):
            raise ValueError(f"spread: {(data, sigma, steps)!r} has shape {y.shape}, wanted ({steps},)")
        panels[data].semilogx(np.arange(1, steps + 1) / steps, y, color=colors[sigma][0], linestyle=styles[steps])
    left.set(title=r"$\sigma_t$", xlabel="$t/T$")
    left.legend(fontsize=10)
    for data, axis in panels.items():
        axis.set(title=data, xlabel="$t/T$", ylabel="spread of $x_t$ / right one")
    return figure


def plot_settled(times: Sequence[int], curves: Mapping[str, Any], *, chance: float | None = None) -> Figure:
    """Draw shares of a sample that are settled at t, over the t at which its trajectory was forked.

    times: (N,), rising. curves: name -> shares (N,), at most 1. chance: where unrelated samples lie on the first curve.
    Raises: ValueError if a curve has another length.
    """
    figure, axis = new_figure(size=(8, 3.9))
    for (name, values), color, marker in zip(curves.items(), LINES, "osD^v", strict=False):
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
    for (name, d), color, style in zip(values.items(), LINES * 2, ("-", "-", "--", ":") * 2, strict=False):
        x, share = np.concatenate([[0], d, [end]]), np.concatenate([np.arange(len(d) + 1) / len(d), [1]])
        axis.step(x, share, where="post", color=color, linestyle=style, label=f"{name} ({len(d)})")
    axis.set(xlabel="distance to the nearest training image", ylabel="share nearer", xlim=(0, end), ylim=(0, 1.03))
    axis.legend(loc="lower right")
    return figure
