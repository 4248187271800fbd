"""Figures: tensors in, one `Figure` out; one style; no widgets.

Figures are made without pyplot, so a notebook never shows one twice. A lesson shows a figure with
`show(figure, alt="what is to be seen")`, which also gives the picture its alternative text.
"""

from __future__ import annotations

import base64
import html
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pixels import encode_png, frame_labels, image_grid, save_animation, to_uint8, views_to_pixels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "INKS", "LINES", "PALETTE", "STYLE", "SYMBOLS", "draw_boxes", "image_grid", "new_figure", "plot_images",
    "plot_strip", "plot_trajectory", "png_bytes", "render_frames", "save_animation", "show", "use_style",
]  # fmt: skip

# Okabe and Ito (2008), "Color Universal Design": told apart with the common kinds of color blindness.
# LINES stand out from white by 3:1 (WCAG 2.2), the others need a dark edge; INKS are LINES for text, 4.5:1.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
LINES = (*PALETTE[:4], "#000000")
INKS = ("#0072B2", "#BB5200", "#007F5F", "#A8558A", "#000000")

STYLE: dict[str, Any] = {
    "font.size": 13, "axes.titlesize": 14, "axes.labelsize": 15, "legend.fontsize": 12,
    "xtick.labelsize": 12, "ytick.labelsize": 12, "lines.linewidth": 2.2, "lines.markersize": 6,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
    "legend.frameon": False, "figure.dpi": 100, "savefig.dpi": 100, "image.cmap": "gray",
    "image.interpolation": "nearest", "figure.facecolor": "white", "savefig.facecolor": "white",
    "figure.constrained_layout.use": True,
}  # fmt: skip
GREY = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest"}

# The names of the code as the equations write them: for matplotlib, and as plain text for widgets.
SYMBOLS = {
    "x_0": (r"$x_0$", "x₀"), "x_t": (r"$x_t$", "xₜ"), "x": (r"$x_{t-1}$", "xₜ₋₁"), "x_T": (r"$x_T$", "x_T"),
    "eps": (r"$\epsilon$", "ε"), "eps_hat": (r"$\hat\epsilon$", "ε̂"), "x0_hat": (r"$\hat x_0$", "x̂₀"),
    "mu_tilde": (r"$\tilde\mu_t$", "μ̃ₜ"),
}  # fmt: skip


def _style() -> Any:
    from cycler import cycler

    # axes keep the cycle they were made with: lines that are drawn later have its width too
    lines = cycler(color=LINES) * cycler(linewidth=[STYLE["lines.linewidth"]])
    return {**STYLE, "axes.prop_cycle": lines}


def use_style() -> None:
    """Make the course's style matplotlib's own until the kernel ends, for figures made with pyplot."""
    import matplotlib

    matplotlib.rcParams.update(_style())


def new_figure(n_rows: int = 1, n_columns: int = 1, *, size: tuple[float, float] | None = None, **options: Any) -> Any:
    """Return `(figure, axes)` as `pyplot.subplots` does, in the course's style.

    size: width and height in inches (100 pixels each); options: of `Figure.subplots`.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_style()):
        figure = Figure(figsize=size or (4.4 * n_columns, 3.3 * n_rows))
        return figure, figure.subplots(n_rows, n_columns, **options)


def figure_pixels(figure: Figure) -> np.ndarray:
    """Draw a figure and return its pixels, (H, W, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = figure.canvas
    if not hasattr(canvas, "buffer_rgba"):
        canvas = FigureCanvasAgg(figure)
    canvas.draw()
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(figure)  # else pyplot shows it again at the end of the cell
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def picture_pixels(picture: Any) -> np.ndarray:
    """Return a Figure or an image, (H, W), (C, H, W) or (H, W, 3), as (H, W) or (H, W, 3) uint8.

    Raises ValueError or TypeError for anything else, and for NaN.
    """
    if hasattr(picture, "savefig"):
        return figure_pixels(picture)
    pixels = to_uint8(picture, "picture")
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[-1] != 3:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if 0 in pixels.shape or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
        raise ValueError(f"picture: got shape {pixels.shape}, wanted a Figure, (H, W), (C, H, W) or (H, W, 3)")
    return pixels


def png_bytes(picture: Any, *, colors: int | None = None, compress_level: int = 6) -> bytes:
    """Encode a Figure or an image (floats in [-1, 1] or uint8) as PNG; colors: as in `encode_png`."""
    return encode_png(picture_pixels(picture), colors=colors, compress_level=compress_level)


def settle_layout(figure: Figure) -> None:
    """Lay a figure out once and for all: its axes then keep their places, and a draw takes half the time."""
    from matplotlib.layout_engine import PlaceHolderLayoutEngine

    if not isinstance(figure.get_layout_engine(), (PlaceHolderLayoutEngine, type(None))):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def render_frames(figure: Figure, update: Callable[[int], object], n: int) -> np.ndarray:
    """Call `update(i)` on one persistent figure for i = 0..n-1 and return what it shows, (n, H, W, 3) uint8.

    The layout is that of the first frame, so set limits and titles before.
    """
    frames = []
    for i in range(n):
        update(i)
        settle_layout(figure)
        frames.append(figure_pixels(figure))
    return np.stack(frames)


def with_alt(picture: Any, alt: str, colors: int | None) -> dict[str, Any]:
    """Return what ``display`` takes to show a Figure or an image array with its alternative text, as in `show`."""
    data: dict[str, Any] = {"image/png": png_bytes(picture, colors=colors), "text/plain": alt}
    if "JPY_SESSION_NAME" in os.environ:  # set by the server of JupyterLab and Notebook, and by nothing that builds
        source = f"data:image/png;base64,{base64.b64encode(data['image/png']).decode()}"
        data["text/html"] = f'<img src="{source}" alt="{html.escape(alt)}">'
    return {"data": data, "metadata": {"image/png": {"alt": alt}}, "raw": True}


def show(picture: Any, *, alt: str, colors: int | None = 256) -> None:
    """Display a Figure or an image array in the notebook, with `alt` as its alternative text.

    alt: one sentence that says what is to be seen. It is the output's plain text, and stands in its metadata,
    image/png, alt, where pages made from the notebook find it. JupyterLab gives a PNG no text of its own, so that
    a kernel started there (or in Notebook) also sends the same picture as an <img> of HTML, which has one.
    colors: as in `encode_png`; None keeps all of them.
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError(f"alt: got {alt!r}, wanted one sentence that says what is to be seen")
    shown = with_alt(picture, alt, colors)
    display(shown.pop("data"), **shown)


def plot_images(
    images: Any, *, n_columns: int | None = None, padding: int = 1, title: str = "", width: float = 4.5
) -> Figure:
    """Draw images, (B, C, H, W) or (B, H, W), as one grid by one imshow; width in inches."""
    grid = image_grid(images, n_columns, padding=padding)
    figure, axis = new_figure(size=(width, width * grid.shape[0] / grid.shape[1] + (0.4 if title else 0)))
    axis.imshow(grid, **GREY)
    axis.set_axis_off()
    if title:
        axis.set_title(title)
    return figure


def plot_strip(
    frames: Any, labels: Sequence[str] | None = None, n: int = 9, *, title: str = "", width: float = 11
) -> Figure:
    """Draw n of the frames that `scrub` takes, evenly spaced, in one row with their labels beneath.

    frames: as in `scrub`; a dict of several views has one row for each. labels: one a frame, broken at ", ".
    """
    rows = views_to_pixels(frames)
    N = len(next(iter(rows.values())))
    if n < 1:
        raise ValueError(f"n: got {n}, wanted at least 1")
    texts = [str(i) for i in range(N)] if labels is None else frame_labels(labels, N)
    shown = np.unique(np.linspace(0, N - 1, min(n, N)).round().astype(int))
    heights = [width / len(shown) * row.shape[1] / row.shape[2] for row in rows.values()]
    figure, axes = new_figure(
        len(rows), len(shown), size=(width, sum(heights) + 0.7 + (0.4 if title else 0)), squeeze=False,
        gridspec_kw={"height_ratios": heights},
    )  # fmt: skip
    for axis_row, (key, row) in zip(axes, rows.items(), strict=True):
        for axis, i in zip(axis_row, shown, strict=True):
            axis.imshow(row[i], **GREY)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        axis_row[0].set_ylabel(SYMBOLS.get(key, (key,))[0])
    lines = [texts[i].replace(", ", "\n") for i in shown]
    longest = max(len(line) for text in lines for line in text.split("\n"))
    for axis, text in zip(axes[-1], lines, strict=True):  # small enough not to run into each other
        axis.set_xlabel(text, fontsize=min(11, 72 * width / len(shown) / (0.65 * max(1, longest))))
    if title:
        figure.suptitle(title)
    return figure


def plot_trajectory(steps: Sequence[Any], n: int = 9, *, index: int = 0) -> Figure:
    """Draw how one image came to be: x_{t-1}, x0_hat and eps_hat at n of a sampler's steps.

    steps: the `Step`s of a sampler, kept in a list; index: which image of the batch.
    """
    if not len(steps):
        raise ValueError("steps: got none, wanted the steps of a sampler, kept in a list")
    rows = {name: [getattr(step, name)[index] for step in steps] for name in ("x", "x0_hat", "eps_hat")}
    return plot_strip(rows, [f"t = {step.t}" for step in steps], n)


def draw_boxes(axis: Any, boxes: Mapping[str, tuple[float, float, str]], arrows: Sequence[Sequence[str]]) -> None:
    """Draw a diagram on an axis: boxes, text -> (x, y, fill color), and (from, to, color) arrows between them.

    x, y: the middle of a box, from 0 to 1. Arrows to and fro between two boxes bow apart.
    """
    axis.set(xlim=(0, 1), ylim=(0, 1), frame_on=False, xticks=[], yticks=[])
    style, pairs = {"ha": "center", "va": "center", "size": STYLE["font.size"]}, {tuple(arrow[:2]) for arrow in arrows}
    frames = {text: {"boxstyle": "round,pad=0.4", "fc": fill, "ec": "black"} for text, (_, _, fill) in boxes.items()}
    drawn = {text: axis.text(x, y, text, bbox=frames[text], **style) for text, (x, y, _) in boxes.items()}
    for a, b, color in arrows:
        ends = {"patchA": drawn[a].get_bbox_patch(), "patchB": drawn[b].get_bbox_patch(), "shrinkA": 3, "shrinkB": 3}
        line = {"arrowstyle": "-|>", "color": color, "lw": 2, "connectionstyle": f"arc3,rad={0.5 * ((b, a) in pairs)}"}
        axis.annotate("", boxes[b][:2], boxes[a][:2], arrowprops={**line, **ends})
