"""Pictures: tensors in, one `Figure` or one array out; one style; no widgets.

Figures are made without pyplot, so a notebook never shows one twice. A lesson shows a figure with
`show(figure, alt="what is to be seen")`, which also gives the picture its alternative text.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito (2008), "Color Universal Design": told apart with every common kind of color blindness.
# Ordered so that the first four keep a contrast of 3:1 with a white and with a black background.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")

STYLE: dict[str, Any] = {
    "font.size": 13, "axes.titlesize": 14, "axes.labelsize": 15, "legend.fontsize": 12,
    "xtick.labelsize": 12, "ytick.labelsize": 12, "lines.linewidth": 2.2, "lines.markersize": 6,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
    "legend.frameon": False, "figure.dpi": 100, "savefig.dpi": 100, "image.cmap": "gray",
    "image.interpolation": "nearest", "figure.facecolor": "white", "savefig.facecolor": "white",
    "figure.constrained_layout.use": True,
}  # fmt: skip
SEPARATOR = 96  # the grey level of the lines between the images of a grid


def _style() -> dict[str, Any]:
    from matplotlib import cycler

    return {**STYLE, "axes.prop_cycle": cycler(color=PALETTE)}


def use_style() -> None:
    """Make the course's style matplotlib's own until the kernel ends, for figures made in a lesson."""
    import matplotlib

    matplotlib.rcParams.update(_style())


def new_figure(n_rows: int = 1, n_columns: int = 1, *, size: tuple[float, float] | None = None, **options: Any) -> Any:
    """Return `(figure, axes)` as `pyplot.subplots` does, in the course's style; `size` in inches at 100 dpi."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_style()):
        figure = Figure(figsize=size or (4.4 * n_columns, 3.3 * n_rows))
        return figure, figure.subplots(n_rows, n_columns, **options)


def as_array(name: str, values: Any) -> np.ndarray:
    """Return a tensor, an array or a list of either as one numpy array on the CPU."""
    if isinstance(values, (list, tuple)):
        if not len(values):
            raise ValueError(f"{name}: got an empty {type(values).__name__}, wanted at least one array")
        parts = [as_array(name, value) for value in values]
        shapes = sorted({part.shape for part in parts})
        if len(shapes) > 1:
            raise ValueError(f"{name}: got arrays of different shapes {shapes}, wanted equal shapes")
        return np.stack(parts)
    if hasattr(values, "detach"):  # a torch tensor; torch itself is not needed here
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: got {type(values).__name__} of dtype {array.dtype}, wanted numbers")
    return array


def to_uint8(images: Any, name: str = "images") -> np.ndarray:
    """Map floats in [-1, 1] to 0..255, clipping what lies outside; uint8 passes unchanged.

    Raises ValueError for NaN or infinity, TypeError for other dtypes.
    """
    array = as_array(name, images)
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise TypeError(f"{name}: got dtype {array.dtype}, wanted floats in [-1, 1] or uint8")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: got NaN or infinity in {int((~np.isfinite(array)).sum())} places, wanted numbers")
    return np.rint(np.clip(array, -1, 1) * np.float32(127.5) + np.float32(127.5)).astype(np.uint8)


def _channels_last(pixels: np.ndarray, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if pixels.shape[-3] not in (1, 3):
        raise ValueError(f"{name}: got shape {shape} with {pixels.shape[-3]} channels, wanted 1 or 3")
    if 0 in pixels.shape:
        raise ValueError(f"{name}: got shape {shape}, wanted no empty dimension")
    return np.moveaxis(pixels, -3, -1)


def _tile(pixels: np.ndarray, n_columns: int | None, padding: int) -> np.ndarray:
    """(N, B, H, W, C) -> (N, H', W', C): the B images of each frame side by side, row by row."""
    N, B, H, W, C = pixels.shape
    n_columns = n_columns or int(np.ceil(np.sqrt(B)))
    if n_columns < 1 or padding < 0:
        raise ValueError(f"n_columns, padding: got {n_columns}, {padding}, wanted n_columns >= 1 and padding >= 0")
    n_columns = min(n_columns, B)
    n_rows = -(-B // n_columns)
    h, w = H + padding, W + padding
    out = np.full((N, n_rows, n_columns, h, w, C), SEPARATOR, np.uint8)
    out.reshape(N, n_rows * n_columns, h, w, C)[:, :B, :H, :W] = pixels
    grid = out.transpose(0, 1, 3, 2, 4, 5).reshape(N, n_rows * h, n_columns * w, C)
    return grid[:, : n_rows * h - padding, : n_columns * w - padding]  # no line along the outer edge


def image_grid(images: Any, n_columns: int | None = None, *, padding: int = 1) -> np.ndarray:
    """Tile images into one uint8 array, for one imshow: (B, C, H, W) or (B, H, W) -> (H', W') or (H', W', 3).

    images: floats in [-1, 1] or uint8, C of 1 or 3; n_columns: about the square root of B unless given.
    Raises ValueError or TypeError that names what is wrong.
    """
    pixels = to_uint8(images)
    shape = pixels.shape
    if pixels.ndim not in (3, 4):
        raise ValueError(f"images: got shape {shape}, wanted (B, C, H, W) or (B, H, W)")
    pixels = _channels_last(pixels[:, None] if pixels.ndim == 3 else pixels, "images", shape)
    grid = _tile(pixels[None], n_columns, padding)[0]
    return grid[..., 0] if grid.shape[-1] == 1 else grid


def frames_to_pixels(
    frames: Any, *, n_columns: int | None = None, padding: int = 1, name: str = "frames"
) -> np.ndarray:
    """Turn frames into uint8 pictures: (N, H, W), (N, C, H, W) or (N, B, C, H, W), tiled -> (N, H', W'[, 3]).

    uint8 frames of shape (N, H, W, 3), as from `render_frames`, pass unchanged.
    """
    pixels = to_uint8(frames, name)
    shape = pixels.shape
    if pixels.ndim == 4 and pixels.dtype == np.uint8 and shape[-1] == 3 and shape[1] not in (1, 3):
        return pixels
    if pixels.ndim not in (3, 4, 5):
        raise ValueError(f"{name}: got shape {shape}, wanted (N, H, W), (N, C, H, W) or (N, B, C, H, W)")
    pixels = _channels_last(pixels[:, None] if pixels.ndim == 3 else pixels, name, shape)
    out = _tile(pixels, n_columns, padding) if pixels.ndim == 5 else pixels
    return out[..., 0] if out.shape[-1] == 1 else out


def figure_pixels(figure: Figure) -> np.ndarray:
    """Draw a figure and return it as (H, W, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = figure.canvas
    if not hasattr(canvas, "buffer_rgba"):
        canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def render_frames(figure: Figure, update: Callable[[int], object], n: int) -> np.ndarray:
    """Call `update(i)` on a persistent figure for i = 0..n-1 and return the frames, (n, H, W, 3) uint8."""
    frames = []
    for i in range(n):
        update(i)
        frames.append(figure_pixels(figure))
    return as_array("frames", frames)


def png_bytes(picture: Any, *, colors: int | None = None, compress_level: int = 6) -> bytes:
    """Encode a Figure or an array (H, W) or (H, W, 3) of uint8 or floats in [-1, 1] as PNG.

    colors: reduce to a palette of this many colors (a figure of lines is a third as large with 256).
    """
    from PIL import Image

    pixels = figure_pixels(picture) if hasattr(picture, "savefig") else to_uint8(picture, "picture")
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[-1] != 3:
        pixels = np.moveaxis(pixels, 0, -1)  # (C, H, W)
    if pixels.ndim == 3 and (pixels.shape[-1] == 1 or (pixels == pixels[..., :1]).all()):
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
        raise ValueError(f"picture: got shape {pixels.shape}, wanted a Figure, (H, W) or (H, W, 3)")
    image = Image.fromarray(pixels)
    if colors and image.mode == "RGB":
        image = image.quantize(colors, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=compress_level)
    return buffer.getvalue()


def show(picture: Any, *, alt: str, colors: int | None = 256) -> None:
    """Display a Figure or an image array in the notebook, with `alt` as its alternative text.

    alt stands in the output's metadata (nbconvert puts it on the page's <img>) and as text/plain.
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError("alt: got an empty text, wanted one sentence that says what is to be seen")
    data = {"image/png": png_bytes(picture, colors=colors), "text/plain": alt}
    if "matplotlib.pyplot" in sys.modules and hasattr(picture, "savefig"):
        sys.modules["matplotlib.pyplot"].close(picture)  # else the notebook shows it again
    display(data, metadata={"image/png": {"alt": alt}}, raw=True)


def plot_images(
    images: Any, *, n_columns: int | None = None, title: str | None = None, padding: int = 1, width: float = 4.5
) -> Figure:
    """Draw a grid of images, (B, C, H, W) or (B, H, W), by one imshow; `width` in inches."""
    grid = image_grid(images, n_columns, padding=padding)
    figure, axis = new_figure(size=(width, width * grid.shape[0] / grid.shape[1] + (0.4 if title else 0)))
    axis.imshow(grid, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axis.set_axis_off()
    if title:
        axis.set_title(title)
    return figure


def plot_strip(
    frames: Any, labels: Sequence[str] | None = None, n: int = 9, *, title: str | None = None, width: float = 11.0
) -> Figure:
    """Draw `n` of the frames that `scrub` takes in one row, evenly spaced, their labels beneath.

    frames: as in `scrub`, also a dict of several views (one row each); labels: one a frame, else the index.
    """
    views = dict(frames) if isinstance(frames, Mapping) else {"": frames}
    rows = {name: frames_to_pixels(view, name=f"frames[{name!r}]" if name else "frames") for name, view in views.items()}
    N = min(len(row) for row in rows.values())
    if labels is not None and len(labels) != N:
        raise ValueError(f"labels: got {len(labels)}, wanted one for each of the {N} frames")
    shown = np.unique(np.linspace(0, N - 1, min(n, N)).round().astype(int))
    cell = width / len(shown)
    heights = [cell * row.shape[1] / row.shape[2] for row in rows.values()]
    figure, axes = new_figure(
        len(rows), len(shown), size=(width, sum(heights) + 0.7 + (0.4 if title else 0)), squeeze=False,
        gridspec_kw={"height_ratios": heights},
    )  # fmt: skip
    for axis_row, (name, row) in zip(axes, rows.items(), strict=True):
        for axis, i in zip(axis_row, shown, strict=True):
            axis.imshow(row[i], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        axis_row[0].set_ylabel(name)
    for axis, i in zip(axes[-1], shown, strict=True):
        axis.set_xlabel(str(i) if labels is None else str(labels[i]).replace(", ", "\n"), fontsize=11)
    if title:
        figure.suptitle(title)
    return figure
