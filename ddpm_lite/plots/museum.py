"""Pictures of the museum of bugs: what a wrong line gives, beside what was meant; orange and blue in all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pixels import as_array, image_grid
from .base import GREY, INKS, PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CloudPicture", "plot_exhibit"]

COLORS = (PALETTE[1], PALETTE[0])  # of a wrong line and of the right one, in this order
WORDS = (INKS[1], INKS[0])  # the same for titles


def plot_exhibit(groups: Mapping[str, Any], *, n_columns: int = 8, width: float = 9) -> Figure:
    """Draw two groups of images, one below the other, each a grid under its name: first the wrong one, then the right.

    groups: name -> (B, C, H, W) or (B, H, W), floats in [-1, 1] or uint8, two of them. width: in inches.
    Raises: ValueError for another number of groups.
    """
    if len(groups) != 2:
        raise ValueError(f"groups: got {len(groups)}, wanted two, what is and what was meant")
    grids = [image_grid(images, n_columns, padding=2) for images in groups.values()]
    heights = [width * grid.shape[0] / grid.shape[1] for grid in grids]
    options = {"gridspec_kw": {"height_ratios": heights}}
    figure, axes = new_figure(2, 1, size=(width, sum(heights) + 0.9), **options)
    for axis, name, grid, color in zip(axes, groups, grids, WORDS, strict=True):
        axis.imshow(grid, **GREY)
        axis.set_axis_off()
        axis.set_title(name, color=color, loc="left", fontweight="bold")
    return figure


class CloudPicture:
    """Two clouds of points in the plane, side by side over the data they should look like: one figure, redrawn.

    names: of the wrong one and of the right one. data: (n, 2), drawn gray behind both. limit: the axes run from -limit
    to limit; points outside are drawn on the edge. Call: ``picture(wrong, right, title)``, both (m, 2) -> the figure.
    """

    def __init__(self, names: Sequence[str], data: Any, *, limit: float = 1.5) -> None:
        if len(names) != 2 or not limit > 0:
            raise ValueError(f"names, limit: got {list(names)}, {limit}, wanted two names and a limit above 0")
        self.limit = float(limit)
        self.figure, axes = new_figure(1, 2, size=(7.6, 4.3))
        self.title = self.figure.suptitle(" ")
        self.dots = []
        for axis, name, color, word in zip(axes, names, COLORS, WORDS, strict=True):
            axis.scatter(*_points("data", data).T, s=10, color="0.8", linewidths=0)
            self.dots.append(axis.scatter([], [], s=7, color=color, linewidths=0))
            axis.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
            axis.spines[:].set_visible(True)
            axis.set_title(name, color=word, fontweight="bold")

    def __call__(self, wrong: Any, right: Any, title: str = "") -> Figure:
        for dots, (name, points) in zip(self.dots, {"wrong": wrong, "right": right}.items(), strict=True):
            dots.set_offsets(np.clip(_points(name, points), -self.limit, self.limit))
        self.title.set_text(title)
        return self.figure


def _points(name: str, values: Any) -> np.ndarray:
    points = as_array(name, values)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"{name}: got shape {points.shape}, wanted (n, 2), n >= 1")
    if not np.isfinite(points).all():
        raise ValueError(f"{name}: got NaN or infinity, wanted finite numbers")
    return points
