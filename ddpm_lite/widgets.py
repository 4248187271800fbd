"""Sliders for notebooks: `scrub` over frames known ahead, `explore` over what the kernel computes.

The only module that imports ipywidgets (7.7 or 8) and, lazily, anywidget.
"""

from __future__ import annotations

import html
import importlib
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import traitlets

from ._validate import check_numbers, check_pixels
from .pixels import MAX_PIXELS, encode_png, frame_curves, frame_labels, side_by_side, sprite_sheet, views_to_pixels
from .plots import SYMBOLS, png_bytes, settle_layout

ASSETS = Path(__file__).parent / "assets"
NAMED = {"style": {"description_width": "initial"}}  # room for the whole name beside a control


@cache
def _canvas_class() -> Any:
    """The anywidget class that draws in the browser; None where it cannot load or DDPM_LITE_CANVAS is 0."""
    if os.environ.get("DDPM_LITE_CANVAS") == "0":
        return None
    try:
        import anywidget

        if "google.colab" in sys.modules:  # raises in a Colab that shows no widgets but its own
            importlib.import_module("google.colab.output").enable_custom_widget_manager()
    except Exception:  # missing, or made for another ipywidgets
        return None

    class Canvas(anywidget.AnyWidget):
        _esm = (ASSETS / "scrubber.js").read_text(encoding="utf-8")
        _css = (ASSETS / "scrubber.css").read_text(encoding="utf-8")
        value = traitlets.Int(0).tag(sync=True)  # the frame shown
        sheet = traitlets.Bytes().tag(sync=True)  # PNG of all frames
        geometry = traitlets.Dict().tag(sync=True)  # where they stand in it
        labels: Any = traitlets.List().tag(sync=True)  # one a frame
        names: Any = traitlets.List().tag(sync=True)  # of the sliders in the same box
        texts: Any = traitlets.List().tag(sync=True)  # their values in words, where not the frame's label
        caption = traitlets.Bool(True).tag(sync=True)
        curves: Any = traitlets.List().tag(sync=True)

    return Canvas


class _Box(ipywidgets.VBox):
    """A box whose text, for what shows no widgets, is one sentence."""

    def __init__(self, children: Sequence[Any], sentence: str) -> None:
        self._sentence = sentence
        super().__init__(children, layout=ipywidgets.Layout(align_items="flex-start"))
        self.add_class("ddpm-box")
        if "google.colab" in sys.modules and not hasattr(self, "_ipython_display_"):  # ipywidgets 8
            self._ipython_display_ = self._display  # Colab's widget manager is named in what `display` sends alone

    def _display(self, **options: Any) -> None:
        importlib.import_module("IPython.display").display(self._repr_mimebundle_(), raw=True)

    def __repr__(self) -> str:
        return self._sentence


class Scrub(_Box):
    """A slider over frames, made by `scrub`.

    `value`: the index of the frame shown, to read and to set; `frame`: its pixels, uint8, a dict of them
    where several views were given; `slider`, `player`, `view`: the parts.
    """

    def __init__(self, views: dict[str, np.ndarray], parts: list[Any], children: list[Any]) -> None:
        self.views, self.n = views, len(next(iter(views.values())))
        self.slider, self.player, self.view = parts
        name = self.slider.description
        super().__init__(children, f"A slider over {self.n} pictures ({name}): run this notebook to move it.")

    @property
    def value(self) -> int:
        return int(self.slider.value)

    @value.setter
    def value(self, value: int) -> None:
        if not 0 <= value < self.n:
            raise ValueError(f"value: got {value}, wanted 0 to {self.n - 1}, the index of a frame")
        for part in (self.player, self.slider, self.view):  # all: no browser may be there to link them
            if not isinstance(part, ipywidgets.Image):
                part.value = value

    @property
    def frame(self) -> np.ndarray | dict[str, np.ndarray]:
        shown = {name: view[self.value] for name, view in self.views.items()}
        return shown[""] if list(shown) == [""] else shown


def scrub(
    frames: Any, *, labels: Sequence[str] | None = None, title: str = "t", value: int = 0, curve: Any = None,
    fps: float = 20, play: bool = True, n_columns: int | None = None, padding: int = 1,
    scale: int | None = None, linked: Scrub | None = None, canvas: bool = True,
) -> Scrub:  # fmt: skip
    """Show frames under a slider that works in the browser alone: no kernel is asked for a picture.

    frames: (N, H, W), (N, C, H, W) or (N, B, C, H, W), each frame then tiled by `image_grid`; floats in
        [-1, 1] or uint8; also uint8 (N, H, W, 3), as from `render_frames`. A dict of name -> frames shows
        several views on one slider. N >= 2; at most 16 * 2**20 pixels in all.
    labels: one text a frame, shown and read by screen readers ("t = 250 of 1000, signal 0.52").
    title: the slider's name; value: the index of the first frame shown; fps: the speed of the play button.
    curve: (y, label) or label -> y, one number a frame, drawn below with a cursor on the frame shown.
    n_columns, padding: of the grid; scale: screen pixels a pixel, by default to fit about 300 to 640.
    linked: another scrub of as many frames; moving one moves both.
    canvas: False for one Image that the kernel redraws, as happens by itself where anywidget cannot load.
    Raises ValueError or TypeError that names the argument.
    """
    check_numbers(value=value, fps=fps, scale=1 if scale is None else scale)
    if not isinstance(title, str) or not isinstance(linked, (Scrub, type(None))):
        raise TypeError(f"title, linked: got {title!r}, {type(linked).__name__}, wanted a text, a scrub or None")
    check_pixels(frames, MAX_PIXELS)
    views = views_to_pixels(frames, n_columns=n_columns, padding=padding)
    n = len(next(iter(views.values())))
    if n < 2:
        raise ValueError(f"frames: got {n} frame, wanted at least 2; plot_images shows one picture")
    if not 0 <= value < n:
        raise ValueError(f"value: got {value}, wanted 0 to {n - 1}, the index of a frame")
    if not fps > 0 or (scale is not None and scale < 1):
        raise ValueError(f"fps, scale: got {fps}, {scale}, wanted fps > 0 and scale >= 1")
    if linked is not None and linked.n != n:
        raise ValueError(f"linked: got a scrub of {linked.n} frames, wanted {n}")
    texts, curves = frame_labels(labels, n, title), frame_curves(curve, n)
    cells, panels = side_by_side({SYMBOLS.get(name, ("", name))[1]: view for name, view in views.items()})
    scale = scale or max(1, min(640 // cells.shape[2], 448 // cells.shape[1]))
    sheet, columns = sprite_sheet(cells)
    canvas_class = _canvas_class() if canvas else None
    rest = ipywidgets.Layout(flex="1 1 auto", width="auto", min_width="0")
    slider = ipywidgets.IntSlider(value, max=n - 1, description=title, readout=False, layout=rest, **NAMED)
    player = ipywidgets.Play(value=value, max=n - 1, interval=max(1, round(1000 / fps)))
    ipywidgets.jslink((player, "value"), (slider, "value"))
    if linked is not None:
        ipywidgets.jslink((linked.slider, "value"), (slider, "value"))
    wide = ipywidgets.Layout(width=f"{max(350, cells.shape[2] * scale)}px", max_width="100%")
    rows = [ipywidgets.HBox([player, slider] if play else [slider], layout=wide)]
    if canvas_class is not None:
        size = {"width": cells.shape[2], "height": cells.shape[1], "scale": scale}
        view = canvas_class(
            value=value, sheet=encode_png(sheet), geometry={**size, "columns": columns, "panels": panels},
            labels=texts, names=[title], curves=curves,
        )  # fmt: skip
        ipywidgets.jslink((slider, "value"), (view, "value"))
        rows.append(view)
    else:
        view, text = ipywidgets.Image(format="png"), ipywidgets.HTML()

        def redraw(change: Any = None) -> None:
            frame = cells[slider.value].repeat(scale, 0).repeat(scale, 1)
            view.value, text.value = encode_png(frame, compress_level=1), html.escape(texts[slider.value])

        redraw()
        slider.observe(redraw, "value")
        rows += [view, text]
    return Scrub(views, [slider, player, view], rows)


class Explore(_Box):
    """Controls over a picture that the kernel computes, made by `explore`.

    `settings`: the controls' values by name; `error`: what the function raised last, or None; `controls`,
    `view`, `message`: the parts.
    """

    def __init__(self, function: Callable[..., Any], alt: str, controls: dict[str, Any]) -> None:
        self.function, self.alt, self.controls, self.message = function, alt, controls, ipywidgets.HTML()
        self.error: Exception | None = None
        self._drawing = threading.RLock()  # Jupyter may call back in a thread of its own while a cell draws
        self.sliders = {name: control for name, control in controls.items() if hasattr(control, "readout")}
        names, canvas_class = [slider.description for slider in self.sliders.values()], _canvas_class()
        geometry = {"columns": 1, "scale": 1, "panels": [{"name": "", "x": 0}]}  # as large as the picture
        options = {"names": names, "geometry": geometry, "caption": False}
        self.view = ipywidgets.Image() if canvas_class is None else canvas_class(**options)
        self._show()
        for control in controls.values():
            control.observe(self._changed, "value")
        sentence = f"A picture to explore by {', '.join(controls)}: run this notebook to change it."
        super().__init__([*controls.values(), self.message, self.view], sentence)

    @property
    def settings(self) -> dict[str, Any]:
        return {name: control.value for name, control in self.controls.items()}

    def render(self, **settings: Any) -> bytes:
        """Return the picture as PNG for the controls' values, `settings` in place of some of them."""
        unknown = sorted(set(settings) - set(self.controls))
        if unknown:
            raise TypeError(f"settings: got {unknown}, wanted some of {sorted(self.controls)}")
        with self._drawing:
            picture = self.function(**{**self.settings, **settings})
            if hasattr(picture, "savefig"):
                settle_layout(picture)
            return png_bytes(picture, compress_level=1)

    def _show(self) -> None:
        png, view = self.render(), self.view
        texts = {k: f"{v:.6g}" if isinstance(v, float) else str(v) for k, v in self.settings.items()}
        with view.hold_sync():  # one message
            if isinstance(view, ipywidgets.Image):
                view.value = png
            else:
                view.labels = [", ".join([self.alt, *(f"{name} = {text}" for name, text in texts.items())])]
                view.texts, view.sheet = [texts[name] for name in self.sliders], png

    def _changed(self, change: Any) -> None:
        try:
            self._show()
            self.message.value, self.error = "", None
        except Exception as error:  # into the widget: what a callback raises is shown nowhere else
            text, self.error = html.escape(f"{type(error).__name__}: {error}"), error
            self.message.value = f'<div role="alert" class="ddpm-error">{text}</div>'


def _control(name: str, choice: Any, description: str) -> Any:
    if isinstance(choice, bool):
        return ipywidgets.Checkbox(value=choice, description=description, indent=False)
    if isinstance(choice, list) and len(choice) >= 2:
        return ipywidgets.Dropdown(options=choice, value=choice[0], description=description, **NAMED)
    numbers = isinstance(choice, tuple) and all(isinstance(x, (int, float)) for x in choice)
    if not numbers or len(choice) != 4:
        raise TypeError(f"{name}: got {choice!r}, wanted (low, high, step, default), a list or a bool")
    low, high, step, default = choice
    if not (low < high and step > 0 and low <= default <= high):
        raise ValueError(f"{name}: got {choice}, wanted low < high, step > 0, default from low to high")
    parts = {"value": default, "min": low, "max": high, "step": step, "description": description, **NAMED}
    parts["layout"] = ipywidgets.Layout(width="480px", max_width="100%")
    if all(isinstance(x, int) for x in choice):
        return ipywidgets.IntSlider(**parts)
    return ipywidgets.FloatSlider(readout_format=f".{max(0, -int(np.floor(np.log10(step))))}f", **parts)


def explore(
    function: Callable[..., Any], *, names: Mapping[str, str] | None = None, alt: str = "", **controls: Any
) -> Explore:
    """Show the picture that `function(**settings)` returns, with one control for each setting.

    function: returns a Figure (keep one and update its artists: a new one each time is slow) or an image.
    controls: setting = (low, high, step, default) for a slider, of integers where all four are; a list of
        choices; or a bool. names: setting -> the text beside its control, where not its own name.
    alt: what is to be seen, for screen readers; the first line of the function's docstring unless given.

    Raises ValueError or TypeError that names the control, and what the function raises at first; what it
    raises later is shown in the widget and kept in `.error`.
    """
    if not controls:
        raise ValueError("controls: got none, wanted at least one setting = (low, high, step, default)")
    names, doc = dict(names or {}), (function.__doc__ or "Picture").strip()
    parts = {name: _control(name, choice, names.get(name, name)) for name, choice in controls.items()}
    named = [part for part in parts.values() if not isinstance(part, ipywidgets.Checkbox)]
    for part in named:  # controls line up
        part.style.description_width = f"{0.65 * max(len(other.description) for other in named) + 0.5:.1f}em"
    return Explore(function, alt or doc.splitlines()[0], parts)
