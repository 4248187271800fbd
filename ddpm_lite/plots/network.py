"""Pictures of a network: the U with the shape of every tensor, its time embedding, where its attention looks, what each
level costs, and what each part buys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._validate import check_int
from ..pixels import as_array
from .base import PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

KINDS = {  # what a box of plot_unet stands for: its color
    "convolution": "#BBBBBB", "residual block": PALETTE[5], "residual block + attention": PALETTE[4],
    "down": PALETTE[2], "up": PALETTE[3],
}  # fmt: skip
SKIP, TIME = PALETTE[0], PALETTE[1]


def plot_unet(model: nn.Module, shape: Sequence[int] = (1, 28, 28), *, width: float = 13) -> Figure:
    """Draw a `UNet` as a U: a box for each layer with its channels, the resolution beneath, and the skip connections.

    The finer, the taller the box. An arc is a skip connection; the number where it arrives, with a plus, is of the
    channels that it sets beside those from the left. An input skip is dashed.
    shape: of one image x_t, (C, H, W); width: in inches.
    Raises: TypeError if the model is no `UNet`; ValueError for a shape that it does not take.
    """
    from matplotlib.patches import FancyBboxPatch

    from ..unet import UNet

    if not isinstance(model, UNet):
        raise TypeError(f"model must be a UNet, got {type(model).__name__}")
    boxes, skips = _boxes(model, shape)
    lowest = max(box["level"] for box in boxes)
    sizes = {box["level"]: box["size"] for box in boxes}
    tall = {level: 1.5 * (sizes[level][0] / sizes[0][0]) ** 0.5 for level in sizes}
    step, n = 2.9, len(boxes)
    figure, axis = new_figure(size=(width, 1.5 + 1.75 * (lowest + 1)))
    text = min(15.0, 17 * width / 13 * 14 / n)  # points: boxes are as many as the layers
    middle = {i: (i, -step * box["level"]) for i, box in enumerate(boxes)}
    for i, box in enumerate(boxes):
        x, y = middle[i]
        high = tall[box["level"]]
        if box["kind"] in KINDS:
            style: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.08", "fc": KINDS[box["kind"]]}
            style |= {"ec": TIME, "lw": 2.5} if "block" in box["kind"] else {"ec": "black", "lw": 0.8}
            axis.add_patch(FancyBboxPatch((x - 0.36, y - high / 2), 0.72, high, zorder=3, **style))
        label = str(box["channels"]) if box["kind"] in KINDS else box["kind"]
        axis.text(x, y, label, ha="center", va="center", size=text, weight="bold")
        h, w = box["size"]
        axis.text(x, y - high / 2 - 0.1, f"{h}×{w}", ha="center", va="top", size=0.8 * text, color="0.25")
    for i in range(n - 1):
        (x, y), (x_next, y_next) = middle[i], middle[i + 1]
        arrow = {"arrowstyle": "-|>", "color": "black", "lw": 1.2, "shrinkA": 0, "shrinkB": 0, "mutation_scale": text}
        axis.annotate("", (x_next - 0.38, y_next), (x + 0.38, y), arrowprops=arrow)
    ways = sorted(skips, key=lambda pair: pair[1] - pair[0])
    for start, end in ways:
        (x, y), (x_end, _) = middle[start], middle[end]
        level = boxes[start]["level"]
        inner = sum(a > start and b < end and boxes[a]["level"] == level for a, b in ways)
        top = y + tall[level] / 2 + 0.42 + 0.34 * inner
        foot = y + tall[level] / 2
        axis.plot([x, x, x_end, x_end], [foot, top, top, foot + 0.1], color=SKIP, lw=2, solid_joinstyle="round")
        axis.plot([x_end], [foot + 0.09], marker="v", ms=0.5 * text, color=SKIP)
        plus = {"color": SKIP, "size": 0.85 * text, "ha": "right", "va": "bottom"}
        axis.text(x_end - 0.06, foot + 0.04, f"+{boxes[start]['channels']}", **plus)
    roof = tall[0] / 2 + 0.42 + 0.34 * sum(boxes[start]["level"] == 0 for start, _ in ways)
    if model.config.get("input_skip"):
        axis.plot([0, 0, n - 1, n - 1], [0.3, roof, roof, 0.4], color=SKIP, lw=2, ls="--")
        axis.plot([n - 1], [0.39], marker="v", ms=0.5 * text, color=SKIP)
        axis.text(n / 2 - 0.5, roof + 0.04, "$+$ gate$(t)$ $x_t$", color=SKIP, size=text, ha="center", va="bottom")
    _legend(axis, {box["kind"] for box in boxes})
    axis.set(xlim=(-0.6, n - 0.4), ylim=(-step * lowest - tall[lowest] / 2 - 1.75, roof + 0.45))
    axis.set_axis_off()
    return figure


def _boxes(model: Any, shape: Sequence[int]) -> tuple[list[dict[str, Any]], list[tuple[int, int]]]:
    """The boxes of plot_unet in the order of the forward pass, and the skip connections as pairs of places."""
    from ..anatomy import anatomy
    from ..unet import Downsample, SelfAttention, Upsample

    parts = {part.name: part for part in anatomy(model, shape)}
    channels, *size = shape
    boxes: list[dict[str, Any]] = [{"kind": "$x_t$", "channels": channels, "size": tuple(size), "level": 0}]
    skips: list[tuple[int, int]] = []
    waiting: list[int] = []
    names = ["stem", *(f"{side}.{i}" for side in ("down", "middle", "up") for i in range(len(getattr(model, side))))]
    for name in [*names, "head"]:
        layer, part = model.get_submodule(name), parts[name]
        kind = "convolution"
        if isinstance(layer, (Downsample, Upsample)):
            kind = "down" if isinstance(layer, Downsample) else "up"
        elif hasattr(layer, "block"):
            attends = isinstance(layer.attention, SelfAttention)
            kind = "residual block + attention" if attends else "residual block"
        if name.startswith("up") and kind != "up":
            skips.append((waiting.pop(), len(boxes)))
        if name.startswith(("stem", "down")):
            waiting.append(len(boxes))
        out, *size = part.shape
        boxes.append({"kind": kind, "channels": out, "size": tuple(size), "level": part.level})
    return [*boxes, {**boxes[0], "kind": r"$\hat\epsilon$", "channels": model.config["out_channels"]}], skips


def _legend(axis: Any, kinds: set[str]) -> None:
    """Name the colors, beneath the U."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(fc=KINDS[kind], ec="black", lw=0.8, label=kind) for kind in KINDS if kind in kinds]
    handles.append(Patch(fc="white", ec=TIME, lw=2.5, label="is told $t$"))
    handles.append(Line2D([], [], color=SKIP, lw=2, label="skip connection"))
    axis.legend(handles=handles, loc="lower center", ncols=4, fontsize=12, columnspacing=1.5, handlelength=1.4)


class EmbeddingPicture:
    """The time embedding as a heat map, and how alike e(t) is to every e(s); called with t, it redraws.

    table: (N, d), row t is e(t), for t = 0..N-1. The likeness is ``e(t) . e(s) / |e(t)|^2``.
    """

    def __init__(self, table: Any) -> None:
        self.table = as_array("table", table).astype(float)
        if self.table.ndim != 2 or len(self.table) < 2:
            raise ValueError(f"table must have shape (N, d), N at least 2, got {self.table.shape}")
        n, d = self.table.shape
        self.figure, (left, self.axis) = new_figure(1, 2, size=(11, 3.8), width_ratios=[1.3, 1])
        left.imshow(self.table.T, aspect="auto", cmap="RdBu", vmin=-1, vmax=1, extent=(-0.5, n - 0.5, d - 0.5, -0.5))
        left.set(xlabel="$t$", ylabel="entry of $e(t)$", title="each column is a vector $e(t)$")
        left.grid(False)
        (self.mark,) = left.plot([0, 0], [-0.5, d - 0.5], color="black", lw=3)
        (self.curve,) = self.axis.plot(range(n), np.zeros(n))
        self.axis.set(xlabel="$s$", ylabel="likeness of $e(t)$ and $e(s)$", ylim=(-0.15, 1.05), title=" ")

    def __call__(self, t: int) -> Figure:
        here = self.table[check_int("t", t, 0, len(self.table) - 1)]
        self.mark.set_xdata([t, t])
        self.curve.set_ydata(self.table @ here / (here @ here))
        self.axis.set_title(f"$t$ = {t}")
        return self.figure


class AttentionPicture:
    """An image, one pixel of its coarse version, and where this looks; called with row and column, it redraws.

    image: (H, W) in [-1, 1]. maps: (heads, h, w, h, w), as from `attention_maps`, of this image. Each map is drawn from
    0, black, to its own largest value, white.
    """

    def __init__(self, image: Any, maps: Any) -> None:
        image, self.maps = as_array("image", image), as_array("maps", maps)
        if self.maps.ndim != 5 or self.maps.shape[1:3] != self.maps.shape[3:]:
            raise ValueError(f"maps must have shape (heads, h, w, h, w), got {self.maps.shape}")
        heads, h, w = self.maps.shape[:3]
        self.figure, axes = new_figure(1, 1 + heads, size=(2.2 * (1 + heads), 2.6))
        edge = (-0.5, w - 0.5, h - 0.5, -0.5)
        axes[0].imshow(image, vmin=-1, vmax=1, extent=edge)
        self.walls = [axis.imshow(np.zeros((h, w)), vmin=0, vmax=1, extent=edge) for axis in axes[1:]]
        style = {"ls": "none", "marker": "s", "ms": 16, "mfc": "none", "mec": PALETTE[1], "mew": 3}
        self.marks = [axis.plot([0], [0], **style)[0] for axis in axes]
        for axis, title in zip(axes, ["$x_t$", *(f"head {i + 1}" for i in range(heads))], strict=True):
            axis.set(title=title, xticks=[], yticks=[])

    def __call__(self, row: int, column: int) -> Figure:
        _, h, w = self.maps.shape[:3]
        row, column = check_int("row", row, 0, h - 1), check_int("column", column, 0, w - 1)
        for wall, look in zip(self.walls, self.maps[:, row, column], strict=True):
            wall.set_data(look / look.max())
        for mark in self.marks:
            mark.set_data([column], [row])
        return self.figure


def plot_costs(costs: Mapping[str, Mapping[Any, Any]]) -> Figure:
    """Draw parameters, multiply-adds and activations of one or more networks, by level, as bars.

    costs: name -> `cost_by_level(anatomy(model))`. Figures are for one image.
    """
    if not costs:
        raise ValueError("costs: got an empty dict, wanted name -> cost_by_level(anatomy(model))")
    panels = [
        ("parameters", "parameters, thousand", 1e3), ("multiply_adds", "multiply-adds, million", 1e6),
        ("activation_bytes", "activations, KiB", 1024),
    ]  # fmt: skip
    keys = sorted({key for levels in costs.values() for key in levels}, key=lambda k: 1e9 if k is None else k)
    figure, axes = new_figure(1, 3, size=(11, 1.3 + 0.42 * len(keys) * (1 + 0.5 * (len(costs) - 1))), sharey=True)
    high = 0.8 / len(costs)
    for axis, (field, title, unit) in zip(axes, panels, strict=True):
        for k, (name, levels) in enumerate(costs.items()):
            values = [getattr(levels[key], field) / unit if key in levels else 0.0 for key in keys]
            places = [i + high * (k - (len(costs) - 1) / 2) for i in range(len(keys))]
            bars = axis.barh(places, values, high, color=PALETTE[k], label=name)
            axis.bar_label(bars, [f"{value:.3g}" if value < 1000 else f"{value:.0f}" for value in values], padding=3)
        axis.set(title=title, xticks=[])
        axis.margins(x=0.28)
        axis.grid(False)
    axes[0].set_yticks(range(len(keys)), ["time" if key is None else f"level {key}" for key in keys])
    axes[0].invert_yaxis()
    if len(costs) > 1:
        axes[-1].legend(loc="lower right")
    return figure


def plot_ablation(study: Mapping[str, Any]) -> Figure:
    """Draw a study that `benchmarks/ablation.py` wrote: a dot for each seed, their mean, and two standard errors.

    study: the file's content. Panels: L_simple on held-out digits, the Frechet distance of samples, and the share of
    them that the classifier recognizes; beneath, what real digits reach.
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
    runs = [run for arm in arms.values() for run in arm["runs"]]
    axes[0].set_xlabel("lower is better", fontsize=12)
    for axis, field, format in ((axes[1], "frechet_floor", ".0f"), (axes[2], "recognized_real", ".1%")):
        axis.set_xlabel(f"real digits: {mean_and_se([run[field] for run in runs])[0]:{format}}", fontsize=12)
    axes[2].xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes[0].set_yticks(range(len(arms)), list(arms))
    axes[0].set_ylim(len(arms) - 0.4, -0.6)
    return figure


def mean_and_se(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean of two or more values and its standard error, ``s / sqrt(n)``."""
    n = len(values)
    if n < 2:
        raise ValueError(f"values: got {n}, wanted at least 2")
    mean = sum(values) / n
    return mean, (sum((v - mean) ** 2 for v in values) / (n - 1) / n) ** 0.5
