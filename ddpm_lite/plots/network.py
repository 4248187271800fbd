"""Pictures of a network: the U with the shape of every tensor, its time embedding, where its attention looks, and what
each level costs.
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
    "down": PALETTE[2], "up": PALETTE[3], "two convolutions (refine)": PALETTE[7],
}  # fmt: skip
SKIP, TIME = PALETTE[0], PALETTE[1]


def plot_unet(model: nn.Module, shape: Sequence[int] = (1, 28, 28), *, width: float = 13) -> Figure:
    """Draw a `UNet` as a U: a box for each layer with its channels, the resolution beneath, and the skip connections.

    The finer, the taller the box. An arc is a skip connection; the number where it arrives, with a plus, is of the
    channels that it sets beside those from the left; one that comes from x_t ends at ``refine``, the two convolutions
    of `Refine`. An input skip is dashed.
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
            style |= {"ec": TIME, "lw": 2.5} if box["told"] else {"ec": "black", "lw": 0.8}
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
        begin = foot if start else y + 0.3  # x_t is a letter, not a box
        axis.plot([x, x, x_end, x_end], [begin, top, top, foot + 0.1], color=SKIP, lw=2, solid_joinstyle="round")
        axis.plot([x_end], [foot + 0.09], marker="v", ms=0.5 * text, color=SKIP)
        plus = {"color": SKIP, "size": 0.85 * text, "ha": "right", "va": "bottom"}
        axis.text(x_end - 0.06, foot + 0.04, f"+{boxes[start]['channels']}", **plus)
    roof = tall[0] / 2 + 0.42 + 0.34 * sum(boxes[start]["level"] == 0 for start, _ in ways)
    if model.config.get("input_skip"):
        left = -0.15 if model.config["refine"] else 0  # beside the way to refine
        axis.plot([left, left, n - 1, n - 1], [0.3, roof, roof, 0.4], color=SKIP, lw=2, ls="--")
        axis.plot([n - 1], [0.39], marker="v", ms=0.5 * text, color=SKIP)
        axis.text(n / 2 - 0.5, roof + 0.04, "$+$ gate$(t)$ $x_t$", color=SKIP, size=text, ha="center", va="bottom")
    _legend(axis, {box["kind"] for box in boxes}, bool(model.config.get("input_skip")))
    axis.set(xlim=(-0.6, n - 0.4), ylim=(-step * lowest - tall[lowest] / 2 - 1.75, roof + 0.45))
    axis.set_axis_off()
    return figure


def _boxes(model: Any, shape: Sequence[int]) -> tuple[list[dict[str, Any]], list[tuple[int, int]]]:
    """The boxes of plot_unet in the order of the forward pass, and the skip connections as pairs of places."""
    from ..anatomy import anatomy
    from ..unet import Downsample, Refine, SelfAttention, Upsample

    parts = {part.name: part for part in anatomy(model, shape)}
    channels, *size = shape
    x_t: dict[str, Any] = {"kind": "$x_t$", "channels": channels, "size": tuple(size), "level": 0}
    boxes = [x_t]
    skips: list[tuple[int, int]] = []
    waiting: list[int] = []
    names = ["stem", *(f"{side}.{i}" for side in ("down", "middle", "up") for i in range(len(getattr(model, side))))]
    for name in [*names, "head", *(["refine"] if model.refine else [])]:
        layer, part = model.get_submodule(name), parts[name]
        kind = "convolution"
        if isinstance(layer, (Downsample, Upsample)):
            kind = "down" if isinstance(layer, Downsample) else "up"
        elif hasattr(layer, "block"):
            attends = isinstance(layer.attention, SelfAttention)
            kind = "residual block + attention" if attends else "residual block"
        elif isinstance(layer, Refine):
            kind = "two convolutions (refine)"
            skips.append((0, len(boxes)))
        if name.startswith("up") and kind != "up":
            skips.append((waiting.pop(), len(boxes)))
        if name.startswith(("stem", "down")):
            waiting.append(len(boxes))
        out, *size = part.shape
        told = "refine" in kind or "block" in kind
        boxes.append({"kind": kind, "channels": out, "size": tuple(size), "level": part.level, "told": told})
    return [*boxes, {**x_t, "kind": r"$\hat\epsilon$", "channels": model.config["out_channels"]}], skips


def _legend(axis: Any, kinds: set[str], input_skip: bool) -> None:
    """Name the colors, beneath the U."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(fc=KINDS[kind], ec="black", lw=0.8, label=kind) for kind in KINDS if kind in kinds]
    handles.append(Patch(fc="white", ec=TIME, lw=2.5, label="is told $t$"))
    handles.append(Line2D([], [], color=SKIP, lw=2, label="skip connection"))
    if input_skip:
        handles.append(Line2D([], [], color=SKIP, lw=2, ls="--", label="input skip"))
    columns = 4 if len(handles) <= 8 else 5
    axis.legend(handles=handles, loc="lower center", ncols=columns, fontsize=12, columnspacing=1.5, handlelength=1.7)


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
        left.set(xlabel="$t$", ylabel="entry of $e(t)$", title="a column is $e(t)$: blue 1, white 0, red −1")
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
    0, black, to its own largest value, white, which stands above it.
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
        axes[0].set_title("$x_t$")
        for axis in axes:
            axis.set(xticks=[], yticks=[])

    def __call__(self, row: int, column: int) -> Figure:
        _, h, w = self.maps.shape[:3]
        row, column = check_int("row", row, 0, h - 1), check_int("column", column, 0, w - 1)
        for i, (wall, look) in enumerate(zip(self.walls, self.maps[:, row, column], strict=True), start=1):
            wall.set_data(look / look.max())
            wall.axes.set_title(f"head {i}, up to {look.max():.2f}")
        for mark in self.marks:
            mark.set_data([column], [row])
        return self.figure


def plot_costs(costs: Mapping[str, Mapping[Any, Any]], names: Mapping[int, str] | None = None) -> Figure:
    """Draw parameters, multiply-adds and activations of one or more networks, by level, as bars.

    costs: name -> `cost_by_level(anatomy(model))`. Figures are for one image. names: of levels, in place of "level 0".
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
            labels = [f"{v:.0f}" if v >= 1000 else "< 0.1" if 0 < v < 0.1 else f"{v:.3g}" for v in values]
            axis.bar_label(bars, labels, padding=3)
        axis.set(title=title, xticks=[])
        axis.margins(x=0.28)
        axis.grid(False)
    titles = ["time" if key is None else (names or {}).get(key, f"level {key}") for key in keys]
    axes[0].set_yticks(range(len(keys)), titles)
    axes[0].invert_yaxis()
    if len(costs) > 1:
        axes[-1].legend(loc="lower right")
    return figure
