"""From numbers to pixels: tensors in, uint8 arrays, PNG and animations out; no figures, no widgets."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SEPARATOR = 96  # the grey level of the lines between the images of a grid
MAX_SIDE = 16384  # pixels: the largest side of a picture that every current browser draws
MAX_PIXELS = 16 * 2**20  # of a sprite sheet: 64 MiB once a browser has decoded it
ANIMATIONS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}


def as_array(name: str, values: Any) -> np.ndarray:
    """Return a tensor, an array, or a list of either (stacked) as one numpy array.

    Raises TypeError for what holds no numbers, ValueError for unequal shapes; both name `name`.
    """
    if isinstance(values, (list, tuple)):
        if not values:
            raise ValueError(f"{name}: got an empty {type(values).__name__}, wanted at least one array")
        parts = [as_array(name, value) for value in values]
        shapes = sorted({part.shape for part in parts})
        if len(shapes) > 1:
            raise ValueError(f"{name}: got arrays of different shapes {shapes}, wanted equal shapes")
        return np.stack(parts)
    if hasattr(values, "detach"):  # a torch tensor; torch itself need not be imported here
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
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        raise ValueError(f"{name}: got NaN or infinity in {bad} places, wanted finite numbers")
    return np.rint(np.clip(array, -1, 1) * np.float32(127.5) + np.float32(127.5)).astype(np.uint8)


def _channels_last(pixels: np.ndarray, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if 0 in shape:
        raise ValueError(f"{name}: got shape {shape}, wanted no empty dimension")
    if pixels.shape[-3] not in (1, 3):
        raise ValueError(f"{name}: got shape {shape} with {pixels.shape[-3]} channels, wanted 1 or 3")
    return np.moveaxis(pixels, -3, -1)


def _drop_grey(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def _tile(pixels: np.ndarray, n_columns: int | None, padding: int) -> np.ndarray:
    """(N, B, H, W, C) -> (N, H', W', C): the B images of each frame side by side, row by row."""
    N, B, H, W, C = pixels.shape
    if n_columns is not None and n_columns < 1:
        raise ValueError(f"n_columns: got {n_columns}, wanted at least 1")
    if padding < 0:
        raise ValueError(f"padding: got {padding}, wanted at least 0")
    n_columns = min(B, n_columns or int(np.ceil(np.sqrt(B))))
    n_rows = -(-B // n_columns)
    h, w = H + padding, W + padding
    out = np.full((N, n_rows * n_columns, h, w, C), SEPARATOR, np.uint8)
    out[:, :B, :H, :W] = pixels
    out[:, B:, :H, :W] = 0
    out = out.reshape(N, n_rows, n_columns, h, w, C).swapaxes(2, 3).reshape(N, n_rows * h, n_columns * w, C)
    return out[:, : n_rows * h - padding, : n_columns * w - padding]  # no line along the outer edge


def image_grid(images: Any, n_columns: int | None = None, *, padding: int = 1) -> np.ndarray:
    """Tile images into one uint8 array, for one imshow.

    images: (B, C, H, W) or (B, H, W), floats in [-1, 1] or uint8, C of 1 or 3 -> (H', W') or (H', W', 3);
    n_columns: about the square root of B unless given; padding: pixels between two images.
    Raises ValueError or TypeError that names the argument.
    """
    pixels = to_uint8(images)
    shape = pixels.shape
    if pixels.ndim not in (3, 4):
        raise ValueError(f"images: got shape {shape}, wanted (B, C, H, W) or (B, H, W)")
    pixels = _channels_last(pixels[:, None] if pixels.ndim == 3 else pixels, "images", shape)
    return _drop_grey(_tile(pixels[None], n_columns, padding)[0])


def frames_to_pixels(
    frames: Any, *, n_columns: int | None = None, padding: int = 1, name: str = "frames"
) -> np.ndarray:
    """Turn frames into uint8 pictures, (N, H', W') or (N, H', W', 3).

    frames: (N, H, W), (N, C, H, W), or (N, B, C, H, W), each frame tiled as by `image_grid`; floats in
    [-1, 1] or uint8. uint8 of shape (N, H, W, 3), as from `render_frames`, passes unchanged.
    Raises ValueError or TypeError that names the argument.
    """
    pixels = to_uint8(frames, name)
    shape = pixels.shape
    if pixels.ndim == 4 and shape[-1] == 3 and shape[1] not in (1, 3) and 0 not in shape:
        return pixels
    if pixels.ndim not in (3, 4, 5):
        raise ValueError(f"{name}: got shape {shape}, wanted (N, H, W), (N, C, H, W) or (N, B, C, H, W)")
    pixels = _channels_last(pixels[:, None] if pixels.ndim == 3 else pixels, name, shape)
    return _drop_grey(_tile(pixels, n_columns, padding) if pixels.ndim == 5 else pixels)


def views_to_pixels(frames: Any, *, n_columns: int | None = None, padding: int = 1) -> dict[str, np.ndarray]:
    """Turn frames, or a dict of name -> frames, into a dict of pictures; a single view is named ""."""
    named = dict(frames) if isinstance(frames, Mapping) else {"": frames}
    if not named:
        raise ValueError("frames: got an empty dict, wanted name -> frames")
    views = {}
    for key, view in named.items():
        name = f"frames[{key!r}]" if key else "frames"
        views[str(key)] = frames_to_pixels(view, n_columns=n_columns, padding=padding, name=name)
    lengths = {key: len(view) for key, view in views.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"frames: got views of different lengths {lengths}, wanted equal lengths")
    return views


def frame_labels(labels: Sequence[str] | None, n: int, title: str = "t") -> list[str]:
    """Return one text for each of n frames: the labels, or "t = 0", "t = 1", ...; raises ValueError."""
    if labels is None:
        return [f"{title} = {i}" for i in range(n)]
    if not hasattr(labels, "__len__"):
        raise TypeError(f"labels: got {type(labels).__name__}, wanted a list of {n} texts")
    if isinstance(labels, str) or len(labels) != n:
        raise ValueError(f"labels: got {len(labels)} ({type(labels).__name__}), wanted a list of {n} texts")
    return [str(label) for label in labels]


def frame_curves(curve: Any, n: int) -> list[dict[str, Any]]:
    """Return (y, label) or label -> y, one number for each of n frames, as [{"label": ..., "y": [...]}, ...].

    Raises ValueError or TypeError that names `curve`.
    """
    if curve is None:
        return []
    if not isinstance(curve, Mapping) and not (isinstance(curve, tuple) and len(curve) == 2):
        raise TypeError(f"curve: got {type(curve).__name__}, wanted (y, label) or a dict of label -> y")
    out = []
    for label, values in curve.items() if isinstance(curve, Mapping) else [curve[::-1]]:
        y = as_array("curve", values).astype(float)
        if y.shape != (n,) or not np.isfinite(y).all():
            raise ValueError(f"curve: got shape {y.shape} for {label!r}, wanted {n} finite numbers")
        out.append({"label": str(label), "y": y.tolist()})
    if not 1 <= len(out) <= 4:
        raise ValueError(f"curve: got {len(out)} curves, wanted 1 to 4, which can be told apart")
    return out


def side_by_side(views: dict[str, np.ndarray]) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Put the views of each frame side by side in one array, and say where each one stands in it."""
    color = any(view.ndim == 4 for view in views.values())
    n_frames = len(next(iter(views.values())))
    height, width = max(v.shape[1] for v in views.values()), sum(v.shape[2] for v in views.values())
    out = np.zeros((n_frames, height, width, 3) if color else (n_frames, height, width), np.uint8)
    panels, x = [], 0
    for name, view in views.items():
        h, w = view.shape[1:3]
        out[:, :h, x : x + w] = view[..., None] if color and view.ndim == 3 else view
        panels.append({"name": name, "x": x, "width": w, "height": h})
        x += w
    return out, panels


def sprite_sheet(frames: np.ndarray) -> tuple[np.ndarray, int]:
    """Lay frames (N, H, W[, 3]) out in one nearly square picture, row by row; also return its columns.

    Raises ValueError where the sheet would pass 16384 pixels a side or 16 * 2**20 in all.
    """
    N, H, W = frames.shape[:3]
    n_columns = max(1, min(N, MAX_SIDE // W, round(np.sqrt(N * H / W))))
    n_rows = -(-N // n_columns)
    height, width = n_rows * H, n_columns * W
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        some = max(2, -(-height * width // MAX_PIXELS))
        raise ValueError(
            f"frames: got {N} frames of {H} x {W} pixels, a sheet of {height} x {width}, wanted at most "
            f"{MAX_SIDE} a side and {MAX_PIXELS} in all: show fewer frames (frames[::{some}]) or smaller ones"
        )
    cells = np.zeros((n_rows * n_columns, H, W, *frames.shape[3:]), np.uint8)
    cells[:N] = frames
    sheet = cells.reshape(n_rows, n_columns, H, W, -1).swapaxes(1, 2)
    return sheet.reshape(height, width, *frames.shape[3:]), n_columns


def encode_png(pixels: np.ndarray, *, colors: int | None = None, compress_level: int = 6) -> bytes:
    """Encode (H, W) or (H, W, 3) uint8 as PNG, in grey where it has no color.

    colors: keep at most this many, which makes a figure of lines a third as large.
    """
    from PIL import Image

    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if colors is not None and image.mode == "RGB":
        image = image.quantize(colors, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=compress_level)
    return buffer.getvalue()


def save_animation(
    frames: Any, path: str | os.PathLike[str], *, fps: float = 20, scale: int = 1, hold: float = 1.0
) -> Path:
    """Write frames, as `scrub` takes them, as an animated GIF, WebP or PNG: all of it or nothing.

    fps: frames a second; scale: pixels a pixel; hold: seconds that the last frame stays.
    Raises ValueError that names the argument.
    """
    from PIL import Image

    from .checkpoints import write_file

    path = Path(path)
    if path.suffix.lower() not in ANIMATIONS:
        raise ValueError(f"path: got {str(path)!r}, wanted a name that ends in {', '.join(ANIMATIONS)}")
    if not (fps > 0 and scale >= 1 and hold >= 0):
        raise ValueError(f"fps, scale, hold: got {fps}, {scale}, {hold}, wanted > 0, >= 1, >= 0")
    pixels = frames_to_pixels(frames)
    if len(pixels) < 2:
        raise ValueError(f"frames: got {len(pixels)} frame, wanted at least 2")
    images = [Image.fromarray(np.ascontiguousarray(p.repeat(scale, 0).repeat(scale, 1))) for p in pixels]
    durations = [round(1000 / fps)] * (len(images) - 1) + [round(1000 / fps + 1000 * hold)]
    kind = ANIMATIONS[path.suffix.lower()]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    options |= {"save_all": True, "append_images": images[1:], "duration": durations, "loop": 0}
    write_file(path, lambda name: images[0].save(name, kind, **options))
    return path
