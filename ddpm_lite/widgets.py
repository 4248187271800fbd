"""Sliders for notebooks: `scrub` over frames known ahead, `explore` over what the kernel computes.

The only module that imports ipywidgets (7.7 or 8) and, lazily, anywidget.
"""

from __future__ import annotations

import html
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import traitlets

from .plots import as_array, frames_to_pixels, png_bytes

ASSETS = Path(__file__).parent / "assets"
MAX_SIDE = 16384  # pixels: the largest side of a picture that every current browser draws
MAX_PIXELS = 32 * 2**20  # of the whole sheet: 128 MiB once the browser has decoded it


@cache
def _canvas_class() -> type | None:
    """The anywidget class of the canvas view, or None where its front end cannot load."""
    if os.environ.get("DDPM_LITE_CANVAS") == "0":
        return None
    try:
        import anywidget
    except Exception:  # missing, or too old or too new for the ipywidgets beside it
        return None
    if "google.colab" in sys.modules:
        try:
            sys.modules["google.colab"].output.enable_custom_widget_manager()  # type: ignore[attr-defined]
        except Exception:  # an old Colab, which loads no widgets but its own
            return None

    class Canvas(anywidget.AnyWidget):
        _esm = (ASSETS / "scrubber.js").read_text(encoding="utf-8")
        _css = (ASSETS / "scrubber.css").read_text(encoding="utf-8")
        value = traitlets.Int(0).tag(sync=True)
        sheet = traitlets.Bytes().tag(sync=True)
        layout_of_sheet = traitlets.Dict().tag(sync=True)
        labels = traitlets.List().tag(sync=True)
        title = traitlets.Unicode().tag(sync=True)
        curves = traitlets.List().tag(sync=True)

    return Canvas


def sprite_sheet(frames: np.ndarray) -> tuple[np.ndarray, int]:
    """Lay N frames (N, H, W[, 3]) out in one picture, row by row; return it and its number of columns.

    Raises ValueError where the sheet would pass 16384 pixels a side or 32 million in all.
    """
    N, H, W = frames.shape[:3]
    n_columns = max(1, min(N, MAX_SIDE // W, round(np.sqrt(N * H / W))))
    n_rows = -(-N // n_columns)
    if max(n_rows * H, n_columns * W) > MAX_SIDE or n_rows * n_columns * H * W > MAX_PIXELS:
        raise ValueError(
            f"frames: {N} frames of {H} x {W} pixels make a sheet of {n_rows * H} x {n_columns * W}; the limit is "
            f"{MAX_SIDE} a side and {MAX_PIXELS} in all: show fewer frames, as frames[::2], or fewer images in each"
        )
    sheet = np.zeros((n_rows * n_columns, H, W, *frames.shape[3:]), np.uint8)
    sheet[:N] = frames
    sheet = sheet.reshape(n_rows, n_columns, H, W, -1).swapaxes(1, 2)
    return sheet.reshape(n_rows * H, n_columns * W, *frames.shape[3:]), n_columns


class Scrub(ipywidgets.VBox):
    """A slider over frames, made by `scrub`; `.value` is the frame's index, `.frame` its pixels."""

    def __init__(self, views: dict[str, np.ndarray], labels: list[str], title: str, **parts: Any) -> None:
        self.views, self.labels, self.title = views, labels, title
        self.slider: ipywidgets.IntSlider = parts.pop("slider")
        self.view: ipywidgets.Widget = parts.pop("view")
        super().__init__(**parts)

    @property
    def value(self) -> int:
        return int(self.slider.value)

    @value.setter
    def value(self, value: int) -> None:
        self.slider.value = value

    @property
    def frame(self) -> np.ndarray | dict[str, np.ndarray]:
        """The pixels shown, (H, W) or (H, W, 3) uint8; a dict of them where several views were given."""
        shown = {name: view[self.value] for name, view in self.views.items()}
        return shown[""] if list(shown) == [""] else shown

    def __repr__(self) -> str:  # what a renderer without widgets shows
        return f"A slider over {len(self.labels)} pictures ({self.title}): run this notebook to move it."


def _check_labels(labels: Sequence[str] | None, N: int, title: str) -> list[str]:
    if labels is None:
        return [f"{title} = {i}" for i in range(N)]
    if isinstance(labels, str) or len(labels) != N:
        raise ValueError(f"labels: got {labels!r:.60}, wanted a list of {N} texts, one for each frame")
    return [str(label) for label in labels]


def _check_curves(curve: Any, N: int) -> list[dict[str, Any]]:
    if curve is None:
        return []
    pairs = curve.items() if isinstance(curve, Mapping) else [(curve[1], curve[0])]
    out = []
    for label, values in pairs:
        y = as_array("curve", values).astype(float)
        if y.shape != (N,) or not np.isfinite(y).all():
            raise ValueError(f"curve {label!r}: got shape {y.shape}, wanted {N} finite numbers, one for each frame")
        out.append({"label": str(label), "y": y.tolist()})
    return out


def scrub(
    frames: Any,
    *,
    labels: Sequence[str] | None = None,
    title: str = "t",
    value: int = 0,
    curve: Any = None,
    fps: float = 20,
    play: bool = True,
    n_columns: int | None = None,
    padding: int = 1,
    scale: int | None = None,
    linked: Scrub | None = None,
    canvas: bool | None = None,
) -> Scrub:
    """Show frames under a slider that works in the browser alone: no kernel is asked for a picture.

    frames: (N, H, W), (N, C, H, W) or (N, B, C, H, W), each frame then tiled by `image_grid`, floats in [-1, 1]
        or uint8; also uint8 (N, H, W, 3) as from `render_frames`; or a dict of name -> frames: views on one slider.
    labels: one text a frame, shown below and read by screen readers ("t = 250 of 1000, signal 0.52").
    curve: (y of each frame, label) or a dict of label -> y, drawn below with a cursor on the frame shown.
    linked: another scrub with as many frames whose slider then moves with this one.
    canvas: False for one Image redrawn by the kernel; by default only where the canvas cannot be loaded.

    Raises ValueError or TypeError that names the argument: one frame, NaN, unequal lengths, too many pixels.
    """
    named = dict(frames) if isinstance(frames, Mapping) else {"": frames}
    if not named:
        raise ValueError("frames: got an empty dict, wanted name -> frames")
    views = {
        str(name): frames_to_pixels(
            view, n_columns=n_columns, padding=padding, name=f"frames[{name!r}]" if name else "frames"
        )
        for name, view in named.items()
    }
    lengths = {name: len(view) for name, view in views.items()}
    N = next(iter(lengths.values()))
    if len(set(lengths.values())) > 1:
        raise ValueError(f"frames: got views of different lengths {lengths}, wanted equal lengths")
    if N < 2:
        raise ValueError(f"frames: got {N} frame, wanted at least 2; show one picture with plot_images")
    if not 0 <= value < N:
        raise ValueError(f"value: got {value}, wanted 0 to {N - 1}, the index of a frame")
    if fps <= 0:
        raise ValueError(f"fps: got {fps}, wanted pictures a second > 0")
    if linked is not None and len(linked.labels) != N:
        raise ValueError(f"linked: got a scrub of {len(linked.labels)} frames, wanted {N}")
    texts, curves = _check_labels(labels, N, title), _check_curves(curve, N)
    sheet_frames, panels = _side_by_side(views, scale)
    sheet, columns = sprite_sheet(sheet_frames)
    total = sum(panel["width"] * panel["scale"] for panel in panels)

    slider = ipywidgets.IntSlider(
        value=value, min=0, max=N - 1, description=title, readout=False, continuous_update=True,
        style={"description_width": "initial"}, layout=ipywidgets.Layout(width=f"{max(220, total - 130)}px"),
    )  # fmt: skip
    controls: list[Any] = [slider]
    if play:
        player = ipywidgets.Play(value=value, min=0, max=N - 1, interval=max(1, round(1000 / fps)))
        ipywidgets.jslink((player, "value"), (slider, "value"))
        controls.insert(0, player)
    if linked is not None:
        ipywidgets.jslink((linked.slider, "value"), (slider, "value"))
    canvas_class = None if canvas is False else _canvas_class()
    if canvas_class is None and canvas:
        raise RuntimeError("canvas: got True, but anywidget cannot be imported here: pip install anywidget")
    bottom: list[Any]
    if canvas_class is not None:
        view = canvas_class(
            value=value, sheet=png_bytes(sheet), labels=texts, title=title, curves=curves,
            layout_of_sheet={
                "columns": columns, "width": sheet_frames.shape[2], "height": sheet_frames.shape[1], "panels": panels
            },
        )  # fmt: skip
        ipywidgets.jslink((slider, "value"), (view, "value"))
        bottom = [view]
    else:
        view, text = ipywidgets.Image(format="png"), ipywidgets.HTML()

        def redraw(change: Any = None) -> None:
            view.value = _still(sheet_frames[slider.value], panels)
            text.value = html.escape(texts[slider.value])

        redraw()
        slider.observe(redraw, "value")
        bottom = [view, text]
    out = Scrub(
        views, texts, title, slider=slider, view=view, layout=ipywidgets.Layout(align_items="flex-start"),
        children=[ipywidgets.HBox(controls), *bottom],
    )  # fmt: skip
    out.add_class("ddpm-scrub")
    return out


def _side_by_side(views: dict[str, np.ndarray], scale: int | None) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Put the views of each frame side by side in one array; say where each stands and how large it is shown."""
    color = any(view.ndim == 4 for view in views.values())
    arrays = [view if view.ndim == 4 or not color else np.repeat(view[..., None], 3, -1) for view in views.values()]
    N, H, W = len(arrays[0]), max(a.shape[1] for a in arrays), sum(a.shape[2] for a in arrays)
    if scale is None:  # a whole number of screen pixels a pixel: about 300 to 640 wide in all
        scale = max(1, min(640 // W, 448 // H))
    out = np.zeros((N, H, W, 3) if color else (N, H, W), np.uint8)
    panels, x = [], 0
    for name, array in zip(views, arrays):
        h, w = array.shape[1:3]
        out[:, :h, x : x + w] = array
        panels.append({"name": name, "x": x, "width": w, "height": h, "scale": scale})
        x += w
    return out, panels


def _still(frame: np.ndarray, panels: list[dict[str, Any]]) -> bytes:
    """One frame as PNG, enlarged by repeating pixels: what the fallback shows."""
    scale = panels[0]["scale"]
    return png_bytes(frame.repeat(scale, 0).repeat(scale, 1), compress_level=1)


class Explore(ipywidgets.VBox):
    """Controls over a picture that the kernel computes, made by `explore`."""

    def __init__(self, function: Callable[..., Any], controls: dict[str, ipywidgets.Widget]) -> None:
        self.function, self.controls, self.error = function, controls, None
        self.image = ipywidgets.Image(format="png")
        self.message = ipywidgets.HTML()
        self.image.value = self.render()
        for control in controls.values():
            control.observe(self._update, "value")
        super().__init__([*controls.values(), self.message, self.image], layout=ipywidgets.Layout(align_items="flex-start"))

    @property
    def settings(self) -> dict[str, Any]:
        """The controls' values by name: what the function is called with."""
        return {name: control.value for name, control in self.controls.items()}

    def render(self, **settings: Any) -> bytes:
        """Call the function with the controls' values, `settings` in place of some, and return the picture as PNG."""
        unknown = sorted(set(settings) - set(self.controls))
        if unknown:
            raise TypeError(f"settings: got {unknown}, wanted some of {sorted(self.controls)}")
        return png_bytes(self.function(**{**self.settings, **settings}), compress_level=1)

    def _update(self, change: Any) -> None:
        try:
            self.image.value = self.render()
            self.message.value, self.error = "", None
        except Exception as error:
            self.error = error
            text = html.escape(f"{type(error).__name__}: {error}")
            self.message.value = f'<div role="alert" style="color: #D55E00; font-family: monospace">{text}</div>'

    def __repr__(self) -> str:
        return f"A picture with sliders ({', '.join(self.controls)}): run this notebook to move them."


def _control(name: str, choice: Any, description: str) -> ipywidgets.Widget:
    common = {"description": description, "style": {"description_width": "initial"}}
    if isinstance(choice, bool):
        return ipywidgets.Checkbox(value=choice, indent=False, **common)
    if isinstance(choice, tuple) and len(choice) == 4 and all(isinstance(number, (int, float)) for number in choice):
        low, high, step, default = choice
        if not (low < high and step > 0 and low <= default <= high):
            raise ValueError(f"{name}: got {choice}, wanted (low, high, step, default) with low <= default <= high")
        kind = ipywidgets.IntSlider if all(isinstance(n, int) for n in choice) else ipywidgets.FloatSlider
        digits = {} if kind is ipywidgets.IntSlider else {"readout_format": f".{max(0, -int(np.floor(np.log10(step))))}f"}
        return kind(value=default, min=low, max=high, step=step, layout=ipywidgets.Layout(width="480px"), **digits, **common)
    if isinstance(choice, list) and len(choice) >= 2:
        return ipywidgets.Dropdown(options=choice, value=choice[0], **common)
    raise TypeError(f"{name}: got {choice!r}, wanted (low, high, step, default), a list of two or more choices, or a bool")


def explore(function: Callable[..., Any], *, names: Mapping[str, str] | None = None, **controls: Any) -> Explore:
    """Show the picture that `function(**settings)` returns under one control for each setting.

    function: returns a Figure (keep one and update its artists: a new one costs 100 ms) or an image array.
    controls: name = (low, high, step, default), a list of choices, or a bool; names: the texts beside them.
    Errors of the function are raised on the first call and shown in the widget after that.
    """
    names = dict(names or {})
    if not controls:
        raise ValueError("controls: got none, wanted at least one name = (low, high, step, default)")
    return Explore(function, {name: _control(name, choice, names.get(name, name)) for name, choice in controls.items()})
