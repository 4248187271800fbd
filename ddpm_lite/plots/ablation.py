"""Pictures of a study that takes parts away: what each part of a network buys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .base import PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAR = 1.5  # times the loss of the full network: what is beyond stands at the edge, as an arrow and a number


def plot_ablation(study: Mapping[str, Any]) -> Figure:
    """Draw a study that `benchmarks/ablation.py` wrote: a dot for each seed, their mean, and two standard errors.

    study: the file's content; the first arm is what the others are compared with. Panels: L_simple on held-out digits,
    where an arm of more than 1.5 times the first one's is only named at the edge, so that the others are told apart;
    the Frechet distance of samples; and the share of them that the classifier recognizes; beneath, what real digits
    reach.
    Raises: ValueError if an arm has fewer than two seeds, for then there is no error to draw.
    """
    arms = study["arms"]
    if not arms or any(len(arm["runs"]) < 2 for arm in arms.values()):
        raise ValueError("study: every arm must have at least two runs, or there is no standard error")
    panels = {"L_simple": "$L_{simple}$, held out", "frechet_distance": "Frechet distance", "recognized": "recognized"}
    figure, axes = new_figure(1, 3, size=(11.5, 1.4 + 0.42 * len(arms)), sharey=True)
    for axis, (field, title) in zip(axes, panels.items(), strict=True):
        for i, arm in enumerate(arms.values()):
            mean, se = mean_and_se([run[field] for run in arm["runs"]])
            color = PALETTE[0] if i == 0 else PALETTE[1]
            axis.errorbar(mean, i, xerr=2 * se, fmt="o", ms=8, lw=2.2, capsize=5, color=color)
            axis.plot([run[field] for run in arm["runs"]], [i + 0.27] * len(arm["runs"]), ".", ms=6, color="0.45")
            if i == 0:
                axis.axvline(mean, color="0.8", lw=1.5, zorder=0)
        axis.set_title(title)
    _cut(axes[0], [[run["L_simple"] for run in arm["runs"]] for arm in arms.values()])
    runs = [run for arm in arms.values() for run in arm["runs"]]
    axes[0].set_xlabel("lower is better", fontsize=12)
    for axis, better, field, format in (
        (axes[1], "lower", "frechet_floor", ".0f"), (axes[2], "higher", "recognized_real", ".1%")
    ):  # fmt: skip
        real = mean_and_se([run[field] for run in runs])[0]
        axis.set_xlabel(f"{better} is better; real digits: {real:{format}}", fontsize=12)
    axes[2].xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes[0].set_yticks(range(len(arms)), list(arms))
    axes[0].set_ylim(len(arms) - 0.4, -0.6)
    return figure


def _cut(axis: Any, arms: Sequence[Sequence[float]]) -> None:
    """Leave room for the arms near the first one, and put a number at the right edge for each that is far beyond."""
    far = FAR * mean_and_se(arms[0])[0]
    ends = [mean + side * 2 * se for mean, se in map(mean_and_se, arms) if mean <= far for side in (-1, 1)]
    ends += [value for values in arms for value in values if mean_and_se(values)[0] <= far]
    low, high = min(ends), max(ends)
    axis.set_xlim(low - 0.08 * (high - low), high + 0.35 * (high - low))
    for i, values in enumerate(arms):
        if (mean := mean_and_se(values)[0]) > far:
            axis.text(0.99, i, f"{mean:.2f} →", transform=axis.get_yaxis_transform(), ha="right", va="center", size=13)


def mean_and_se(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean of two or more values and its standard error, ``s / sqrt(n)``."""
    n = len(values)
    if n < 2:
        raise ValueError(f"values: got {n}, wanted at least 2")
    mean = sum(values) / n
    return mean, (sum((v - mean) ** 2 for v in values) / (n - 1) / n) ** 0.5
