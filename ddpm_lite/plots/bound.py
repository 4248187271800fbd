"""Pictures of the variational bound: the two models behind it, what its terms cost over t, and how it weighs errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pixels import as_array
from .base import LINES, PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA, LATENT, LEARNED, FIXED = "white", "#FBE3B5", PALETTE[0], "#666666"
NAMES = {"mu_tilde": r"$\tilde\mu_t$", "x_0": "$x_0$", "eps": r"$\epsilon$"}


def plot_latent_models() -> Figure:
    """Draw a hierarchical VAE above a diffusion model: what is learned is blue, what is fixed is grey.

    Boxes shrink where a latent has fewer dimensions than the data.
    """
    figure, axes = new_figure(2, 1, size=(11, 4.6))
    rows = {
        "Hierarchical VAE: encoder and decoder are learned, each step has its own networks, latents are small": (
            ["$x$", "$z_1$", "$z_2$", "…", "$z_L$"], [1.0, 0.75, 0.6, 0.0, 0.48], LEARNED,
        ),
        "Diffusion: the encoder is fixed, one network serves all steps, latents are as large as the data": (
            ["$x_0$", "$x_1$", "$x_2$", "…", "$x_T$"], [1.0, 1.0, 1.0, 0.0, 1.0], FIXED,
        ),
    }  # fmt: skip
    for axis, (title, (names, sizes, encoder)) in zip(axes, rows.items(), strict=True):
        x = np.linspace(0.08, 0.92, len(names))
        axis.set(xlim=(0, 1), ylim=(-0.1, 1), frame_on=False, xticks=[], yticks=[])
        axis.set_title(title, fontsize=13)
        for i, (name, size) in enumerate(zip(names, sizes, strict=True)):
            width, height = 0.07 * size, 0.6 * size
            if size:
                fill = DATA if i == 0 else LATENT
                axis.add_patch(_box(x[i] - width / 2, 0.45 - height / 2, width, height, fill))
            axis.text(x[i], 0.45, name, ha="center", va="center", fontsize=15)
        for left, right in zip(x[:-1], x[1:], strict=True):
            for y, start, end, color in [(0.6, left, right, encoder), (0.3, right, left, LEARNED)]:
                gap = 0.045 * np.sign(end - start)
                arrow = {"arrowstyle": "-|>", "lw": 2.2, "color": color, "mutation_scale": 18}
                axis.annotate("", (end - gap, y), (start + gap, y), arrowprops=arrow)
        q, p = ("q_\\phi", "p_\\theta") if encoder == LEARNED else ("q", "p_\\theta")
        middle = (x[0] + x[1]) / 2
        axis.text(middle, 0.76, f"${q}$", color=encoder, ha="center", fontsize=15)
        axis.text(middle, 0.04, f"${p}$", color=LEARNED, ha="center", fontsize=15)
    return figure


def plot_bound_terms(curves: Mapping[str, Mapping[str, Any]], *, unit: str = "bits/dim") -> Figure:
    """Draw the terms L_{t-1} of the bound over t with their standard errors, and what they add up to.

    curves: name -> {"t": (K,), rising, "mean": (K,), "se": (K,)}; the term of t = 1 is L_0, no KL, and drawn as a
    square that stands alone, its bar two standard errors each way.
    Left: one term, in a double logarithmic plot; the band is two standard errors each way. Right: the sum of all
    terms from 1 up to t, where terms between two measured t lie on the straight line between them.
    Raises: ValueError for no curve, lengths that differ, t that does not rise from 1, or a mean that is not finite.
    """
    if not curves:
        raise ValueError('curves: got an empty dict, wanted name -> {"t": ..., "mean": ..., "se": ...}')
    figure, (left, right) = new_figure(1, 2, size=(11, 4.2))
    for color, (name, curve) in zip(LINES * 2, curves.items(), strict=False):
        t, mean, se = (as_array(f"curves[{name!r}][{key!r}]", curve[key]).astype(float) for key in ("t", "mean", "se"))
        if not (t.ndim == 1 and t.shape == mean.shape == se.shape and len(t) > 1):
            raise ValueError(
                f"curves[{name!r}]: got shapes {t.shape}, {mean.shape}, {se.shape}, wanted one (K,) with K > 1"
            )
        if t[0] < 1 or not (np.diff(t) > 0).all():
            raise ValueError(f"curves[{name!r}]['t']: got {t}, wanted times that rise from 1 on")
        if not (np.isfinite(mean).all() and np.isfinite(se).all()):
            raise ValueError(f"curves[{name!r}]: got NaN or infinite values")
        tiny = 1e-12  # a logarithmic axis has no place for what is not positive
        low, high, first = np.maximum(mean - 2 * se, tiny), np.maximum(mean + 2 * se, tiny), int(t[0] == 1)
        left.fill_between(t[first:], low[first:], high[first:], color=color, alpha=0.25)
        left.plot(t[first:], np.maximum(mean, tiny)[first:], color=color, lw=1.5, marker="o", ms=4, label=name)
        if first:
            left.plot(t[:1], mean[:1], "s", ms=10, color=color)
            left.vlines(1, low[0], high[0], color=color)
        every = np.arange(t[0], t[-1] + 1)
        right.plot(every, np.cumsum(np.interp(every, t, mean)), color=color, label=name)
    left.set(xscale="log", yscale="log", xlabel="$t$", ylabel=rf"$L_{{t-1}}$, {unit}", title="one term (square: $L_0$)")
    right.set(xscale="log", xlabel="$t$", ylabel=unit, title="all terms from 1 up to $t$")
    right.set_ylim(bottom=0)
    top = max(float(np.max(as_array("mean", curve["mean"]))) for curve in curves.values())
    left.set_ylim(top * 1e-7, top * 3)
    left.legend(loc="lower left" if len(curves) < 3 else "upper right", fontsize=11)
    right.legend(loc="best", fontsize=11)
    return figure


def plot_target_weights(diffusion: Any) -> Figure:
    """Draw what losses weigh beside L_simple over t: the bound for both sigma, and plain squares of each target.

    diffusion: a `GaussianDiffusion`. Every curve is divided by its mean over t = 2..T, so L_simple is the line at 1.
    """
    from ..targets import TARGETS, bound_weight, relative_weight

    figure, (left, right) = new_figure(1, 2, size=(11, 4.0), sharey=True)
    t = np.arange(2, diffusion.T + 1)

    def scaled(table: Any) -> np.ndarray:
        w = np.asarray(table, dtype=float)[2:]
        return w / w.mean()

    names = {"beta_tilde": r"\tilde\beta_t", "beta": r"\beta_t"}
    for i, (sigma, text) in enumerate(names.items()):
        weight, style = scaled(bound_weight(diffusion, sigma=sigma)), "-" if i == 0 else "--"
        left.plot(t, weight, style, color=PALETTE[i], label=rf"bound, $\sigma_t^2={text}$")
    left.plot(t, np.ones(len(t)), color="black", label=r"$L_{\rm simple}$")
    for color, target in zip((PALETTE[2], PALETTE[3], "black"), TARGETS, strict=True):
        right.plot(t, scaled(relative_weight(diffusion, target)), color=color, label=f"plain square of {NAMES[target]}")
    for axis, title in ((left, "the bound"), (right, "a plain square of each target")):
        axis.set(xscale="log", yscale="log", xlabel="$t$", title=title)
        axis.legend(loc="best", fontsize=11)
    left.set_ylabel(r"weight of $|\epsilon-\hat\epsilon|^2$")
    return figure


def plot_scores(scores: Mapping[str, Mapping[str, Any]], floor: Mapping[str, float] | None = None) -> Figure:
    """Draw what several methods score, one row a method, one column a measure, one dot a run; the bar is the mean.

    scores: measure -> method -> (runs,), the same methods for each measure; in a method's name, "mu_tilde", "x_0" and
    "eps" are written as symbols. floor: measure -> a dashed line.
    Raises: ValueError for no measure, methods that differ, or a score that is not finite.
    """
    if not scores:
        raise ValueError("scores: got an empty dict, wanted measure -> method -> scores of the runs")
    methods = list(next(iter(scores.values())))
    figure, axes = new_figure(1, len(scores), size=(11, 0.8 + 0.4 * len(methods)), sharey=True, squeeze=False)
    for axis, (measure, rows) in zip(axes[0], scores.items(), strict=True):
        if list(rows) != methods:
            raise ValueError(f"scores[{measure!r}]: got methods {list(rows)}, wanted {methods}")
        for i, (method, runs) in enumerate(rows.items()):
            y = as_array(f"scores[{measure!r}][{method!r}]", runs).astype(float).reshape(-1)
            if not len(y) or not np.isfinite(y).all():
                raise ValueError(f"scores[{measure!r}][{method!r}]: got {y}, wanted finite numbers")
            axis.plot(y, np.full(len(y), i), "o", color=PALETTE[0], alpha=0.6)
            axis.plot([y.mean()], [i], "|", ms=22, mew=2.5, color=PALETTE[1])
        if floor and measure in floor:
            axis.axvline(floor[measure], color="black", linestyle="--", lw=1.5)
        axis.set_xlabel(measure)
        axis.set_xlim(left=0)
    axes[0, 0].set(
        yticks=range(len(methods)), yticklabels=[_label(name) for name in methods], ylim=(len(methods) - 0.5, -0.5)
    )
    return figure


def plot_clouds(clouds: Mapping[str, Any], *, n_columns: int = 3, limit: float = 1.5) -> Figure:
    """Draw clouds of points in the plane, one panel each; ``axis.collections[0].set_offsets`` moves them afterwards.

    clouds: name -> (N, 2); in a name, "mu_tilde", "x_0" and "eps" are written as symbols. limit: the panels show
    [-limit, limit]^2. The figure has as many axes as clouds. Raises: ValueError for no cloud or another shape.
    """
    if not clouds:
        raise ValueError("clouds: got an empty dict, wanted name -> points (N, 2)")
    n_rows = -(-len(clouds) // n_columns)
    figure, axes = new_figure(n_rows, n_columns, size=(2.2 * n_columns, 2.4 * n_rows), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, cloud) in zip(axes.flat, clouds.items(), strict=False):
        points = as_array(f"clouds[{name!r}]", cloud)
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"clouds[{name!r}]: got shape {points.shape}, wanted (N, 2)")
        axis.scatter(points[:, 0], points[:, 1], s=3, color=PALETTE[0], linewidths=0)
        axis.set_title(_label(name), fontsize=11)
        axis.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    for axis in axes.flat[len(clouds) :]:
        axis.remove()
    return figure


def _label(name: str) -> str:
    """The name of a method, such as "plain, x_0", with symbols for the targets."""
    return ", ".join(NAMES.get(part, part) for part in name.split(", "))


def _box(x: float, y: float, width: float, height: float, fill: str) -> Any:
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.01"
    return FancyBboxPatch((x, y), width, height, boxstyle=style, fc=fill, ec="black", mutation_aspect=4)
