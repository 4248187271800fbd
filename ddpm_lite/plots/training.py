"""Pictures of a training run: while it goes on, replaced in place, and its history once it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pixels import image_grid
from .base import GREY, PALETTE, new_figure, with_alt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LivePicture", "plot_history", "plot_training", "running_mean"]

COLORS = (PALETTE[1], PALETTE[0], PALETTE[2], PALETTE[3])  # of the networks, in the order of their names


class LivePicture:
    """A picture in a notebook that changes in place: each ``update`` replaces what the one before showed.

    alt: one sentence that says what is to be seen, as in ``show``. The last picture is the one that a saved notebook
    keeps.
    """

    def __init__(self, alt: str) -> None:
        if not alt.strip():
            raise ValueError(f"alt: got {alt!r}, wanted one sentence that says what is to be seen")
        self.alt, self.handle = alt, None

    def update(self, picture: Any, *, colors: int | None = 256) -> None:
        """Show a Figure or an image array in place of the picture before."""
        from IPython.display import display

        options = with_alt(picture, self.alt, colors)
        data = options.pop("data")
        if self.handle is None:
            self.handle = display(data, display_id=True, **options)
        else:
            self.handle.update(data, **options)


def running_mean(values: Sequence[float], n: int = 50) -> np.ndarray:
    """Return, for each value, the mean of it and of up to n - 1 before it: (N,) -> (N,) float64."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"values: got shape {x.shape}, wanted (N,) with N >= 1")
    if n < 1:
        raise ValueError(f"n: got {n}, wanted at least 1")
    total = np.concatenate([[0.0], np.cumsum(x)])
    last = np.arange(1, len(x) + 1)
    first = np.maximum(last - n, 0)
    return (total[last] - total[first]) / (last - first)


def plot_training(
    losses: Sequence[float], looks: Sequence[Mapping[str, Any]] = (), *, n_steps: int | None = None, smooth: int = 50
) -> Figure:
    """Draw a run as far as it has come: its loss, the share of samples that a classifier recognizes, the samples.

    losses: one a training step, from the first on. looks: what was seen on the way, each {"step": k, "loss": {name:
    held-out loss}, "recognized": {name: share}, "digits": {name: (B, C, H, W) in [-1, 1]}}, one name a network; the
    digits shown are those of the last name. n_steps: of the whole run, the right end of the axes. smooth: steps in
    the running mean.
    """
    mean, looks = running_mean(losses, smooth), list(looks)
    n_steps = max(len(mean), n_steps or 0)
    figure, (left, middle, right) = new_figure(1, 3, size=(12, 4), gridspec_kw={"width_ratios": (1.25, 1, 1)})
    steps = np.arange(1, len(mean) + 1)
    left.plot(steps, losses, color="0.82", linewidth=1)
    left.plot(steps, mean, color="0.35", label=f"training, mean of {smooth}")
    at = [look["step"] for look in looks]
    for color, name in zip(COLORS, looks[0]["loss"] if looks else (), strict=False):
        style: dict[str, Any] = {"color": color, "linewidth": 1.4, "marker": "o"}
        left.plot(at, [look["loss"][name] for look in looks], label=f"held out, {name}", **style)
        middle.plot(at, [look["recognized"][name] for look in looks], label=name, **style)
    left.set(title="loss", xlabel="update", yscale="log", xlim=(0, 1.02 * n_steps))
    _plain_log(left)
    left.legend(loc="upper right", frameon=False)
    middle.set(title="share of digits recognized", xlabel="update", xlim=(0, 1.02 * n_steps), ylim=(-0.03, 1.03))
    for axis in (left, middle):
        axis.locator_params(axis="x", nbins=5)
    right.set_axis_off()
    if looks:
        middle.legend(loc="upper left", frameon=False)
        name, digits = list(looks[-1]["digits"].items())[-1]
        right.imshow(image_grid(digits), **GREY)
        right.set_title(f"{name}, update {at[-1]}")
    return figure


def plot_history(history: Mapping[str, Any], by_t: Sequence[float] | None = None) -> Figure:
    """Draw what became of a long run: its loss, the share of samples recognized, and their Frechet distance, by images.

    history: {"loss": {"images": [...], "loss": [...]}, "quality": {"images": [...], "n": samples a point,
    "recognized": [...], "frechet_distance": [...], "frechet_floor": {"mean": ...}}, "recognized_real": share}. Dashed:
    what real digits get. The loss is cut above at what it is where the first quality was measured. by_t: in a fourth
    panel, the shares of a loss that come from equal parts of t, smallest t first.
    Raises: ValueError that names what is missing, or lists of different lengths.
    """
    try:
        loss, quality, real = history["loss"], history["quality"], float(history["recognized_real"])
        x, y = (np.asarray(loss[key], dtype=np.float64) for key in ("images", "loss"))
        at, share, distance = (
            np.asarray(quality[key], dtype=np.float64) for key in ("images", "recognized", "frechet_distance")
        )
        n, floor = int(quality["n"]), float(quality["frechet_floor"]["mean"])
    except KeyError as error:
        raise ValueError(f"history: has no {error}") from None
    if len(x) != len(y) or not len(at) == len(share) == len(distance) or not len(x) or not len(at):
        lengths = {"images": len(x), "loss": len(y), "quality": (len(at), len(share), len(distance))}
        raise ValueError(f"history: got lists of lengths {lengths}, wanted equal ones, none empty")
    figure, (left, middle, right, *rest) = new_figure(1, 3 if by_t is None else 4, size=(12, 3.8))
    if by_t is not None:
        rest[0].bar((np.arange(len(by_t)) + 0.5) / len(by_t), by_t, width=0.9 / len(by_t), color=PALETTE[2])
        rest[0].set(title="where our loss lies", xlabel="$t/T$", ylabel="share of the loss", xlim=(0, 1))
    left.plot(x / 1000, y, color="0.35")
    shown = y[x >= at[0]]
    left.set(title="loss", ylim=(0, 1.25 * float(shown.max() if len(shown) else y.max())))
    spread = np.sqrt(share * (1 - share) / n)
    middle.errorbar(at / 1000, share, spread, fmt="o-", color=PALETTE[0], capsize=3)
    middle.axhline(real, color="black", linestyle="--", label="real digits")
    middle.set(title="share recognized", ylim=(0, 1.03))
    right.plot(at / 1000, distance, "o-", color=PALETTE[1])
    right.axhline(floor, color="black", linestyle="--", label="real to real")
    right.set(title="Fréchet distance", yscale="log")
    for axis in (left, middle, right):
        axis.set_xlabel("thousand images")
        axis.set_xlim(0, 1.03 * float(max(x.max(), at.max())) / 1000)
    _plain_log(right)
    middle.legend(loc="lower right", frameon=False)
    right.legend(loc="upper right", frameon=False)
    return figure


def _plain_log(axis: Any) -> None:
    """Write 0.1, 0.2, 0.5, 1, ... beside a logarithmic axis."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
