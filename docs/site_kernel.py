"""What runs in a lesson's kernel when the site is built: sliders that need no kernel.

`install()` before the first cell makes each `scrub` and `explore` leave a placeholder in the page; `dump(folder)`
after the last one writes what `_static/site.js` shows there: for a `scrub` all of its frames, for an `explore` the
pictures of a grid of its settings.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
from pathlib import Path
from typing import Any

PICTURES = 60  # of one explore, at most
BYTES = 700_000  # of one explore's pictures, at most
LARGE = 500_000  # of a colored sheet of frames: with more bytes it gets 256 colors
HEAVY = 2_000_000  # of a gray sheet, mostly noise: with more bytes it gets 16 grays
COLORS = 64  # of each of them: figures of lines lose nothing that is seen

_boxes: list[Any] = []


def install() -> None:
    """Make the widgets of ddpm_lite show themselves as placeholders."""
    from ddpm_lite import widgets

    def bundle(box: Any, **_: Any) -> dict[str, str]:
        if box not in _boxes:
            _boxes.append(box)
        number, sentence = _boxes.index(box) + 1, html.escape(repr(box), quote=True)
        kind = type(box).__name__.lower()
        place = f'<div class="ddpm-box" data-slider="{number}" data-kind="{kind}"><p>{sentence}</p></div>'
        return {"text/plain": repr(box), "text/html": place}

    for kind in (widgets.Scrub, widgets.Explore):
        kind._repr_mimebundle_ = bundle  # type: ignore[method-assign]


def dump(folder: str) -> None:
    """Write NUMBER.json for each widget that was shown. Explores are drawn after the last cell, as a reader may."""
    from ddpm_lite.widgets import Scrub

    for number, box in enumerate(_boxes, 1):
        data = scrub_data(box) if isinstance(box, Scrub) else explore_data(box)
        Path(folder, f"{number}.json").write_text(json.dumps(data, separators=(",", ":")), encoding="utf-8")


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def linked_boxes(box: Any) -> list[int]:
    """The numbers of the scrubs whose sliders move with this one's."""
    from ipywidgets.widgets import widget, widget_link

    links = [w for w in list(widget._instances.values()) if isinstance(w, widget_link.Link)]
    pairs = [(link.source[0], link.target[0]) for link in links]
    numbers = {id(other.slider): n for n, other in enumerate(_boxes, 1) if hasattr(other, "slider")}
    partners = [b if a is box.slider else a for a, b in pairs if box.slider in (a, b)]
    return sorted(numbers[id(partner)] for partner in partners if id(partner) in numbers)


def scrub_data(box: Any) -> dict[str, Any]:
    """All that the page needs of a `scrub`."""
    view = box.view
    if not hasattr(view, "sheet"):
        raise ValueError("scrub: got one without a canvas, wanted canvas=True: the site has no kernel to draw it")
    return {
        "kind": "scrub", "title": box.slider.description, "value": box.value, "n": box.n,
        "interval": box.player.interval, "play": len(box.children[0].children) > 1, "linked": linked_boxes(box),
        "sheet": encode(lighter(view.sheet)),
        "geometry": view.geometry, "labels": view.labels, "names": view.names, "curves": view.curves,
    }  # fmt: skip


def lighter(sheet: bytes) -> bytes:
    """A large sheet of figures in 256 colors, a third as large; a heavy gray one in 16; the rest stays as it is."""
    import numpy as np
    from PIL import Image

    from ddpm_lite.pixels import encode_png

    image = Image.open(io.BytesIO(sheet))
    if image.mode == "RGB" and len(sheet) > LARGE:
        return encode_png(np.asarray(image), colors=256)
    if image.mode == "L" and len(sheet) > HEAVY:
        return encode_png((np.round(np.asarray(image) / 17) * 17).astype(np.uint8))
    return sheet


def all_values(control: Any) -> list[Any]:
    """Every value that a control can take, in its order."""
    if hasattr(control, "step"):
        n = math.floor((control.max - control.min) / control.step + 1e-9) + 1
        values = [control.min + i * control.step for i in range(n)]
        return values if isinstance(control.value, int) else [round(value, 10) for value in values]
    return list(control.options) if hasattr(control, "options") else [False, True]


def thin(n: int, k: int, start: int) -> list[int]:
    """k of the indices 0..n-1, evenly spaced, both ends and `start` among them; 2 <= k <= n, or k = 3 where needed."""
    chosen = [round(i * (n - 1) / (k - 1)) for i in range(k)]
    if start in chosen:
        return chosen
    if k == 2:
        return sorted({*chosen, start})
    nearest = min(chosen[1:-1], key=lambda i: abs(i - start))
    return sorted({*chosen} - {nearest} | {start})


def grid(sizes: list[int], most: int) -> list[int]:
    """How many values of each control to keep for at most `most` pictures: the longest gives way first."""
    kept = list(sizes)
    while math.prod(kept) > most and max(kept) > 3:
        kept[kept.index(max(kept))] -= 1
    return kept


def explore_data(box: Any, pictures: int = PICTURES, most: int = BYTES) -> dict[str, Any]:
    """An `explore` as pictures of a grid of its settings; of as few as keep within the limits, or a still picture."""
    everything = {name: all_values(control) for name, control in box.controls.items()}
    starts = {name: start_index(values, box.controls[name].value) for name, values in everything.items()}
    drawn: dict[tuple[Any, ...], bytes | str] = {}
    while True:
        kept = grid([len(values) for values in everything.values()], pictures)
        values = [
            [all_of[i] for i in thin(len(all_of), k, starts[name])]
            for (name, all_of), k in zip(everything.items(), kept, strict=True)
        ]
        settings: list[tuple[Any, ...]] = [()]
        for row in values:
            settings = [(*one, value) for one in settings for value in row]
        if len(settings) > pictures:  # many controls: two values each are already too many
            break
        for one in settings:
            if one not in drawn:
                drawn[one] = draw(box, dict(zip(everything, one, strict=True)))
        size = sum(len(drawn[one]) for one in settings)
        if size <= most:
            break
        pictures = min(len(settings) - 1, int(len(settings) * most / size))
    still = len(settings) > pictures or size > most
    if still:
        values = [[everything[name][starts[name]]] for name in everything]
        settings = [tuple(row[0] for row in values)]
        drawn[settings[0]] = draw(box, dict(zip(everything, settings[0], strict=True)))
    found = [drawn[one] for one in settings]
    controls = []
    for (name, control), row in zip(box.controls.items(), values, strict=True):
        kind = "range" if name in box.sliders else "select" if hasattr(control, "options") else "check"
        texts = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in row]
        start = row.index(everything[name][starts[name]])
        controls.append({"name": name, "label": control.description, "kind": kind, "texts": texts, "value": start})
    return {
        "kind": "explore", "alt": box.alt, "controls": controls, "still": still,
        "all": math.prod(len(row) for row in everything.values()), "stored": len(settings),
        "pictures": [encode(p) if isinstance(p, bytes) else "" for p in found],
        "errors": {i: p for i, p in enumerate(found) if isinstance(p, str)},
    }  # fmt: skip


def start_index(values: list[Any], value: Any) -> int:
    """Where a control stands among its values; a slider that was set between two of them, at the nearer one."""
    return values.index(value) if value in values else min(range(len(values)), key=lambda i: abs(values[i] - value))


def draw(box: Any, settings: dict[str, Any]) -> bytes | str:
    """The picture of an explore for these settings as a small PNG, or what the function raised, as text."""
    import numpy as np
    from PIL import Image

    from ddpm_lite.pixels import encode_png

    try:
        png = box.render(**settings)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return encode_png(np.asarray(Image.open(io.BytesIO(png)).convert("RGB")), colors=COLORS)
