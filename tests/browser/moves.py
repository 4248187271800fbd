"""Moving the sliders of a lesson, checking them by pixels against the kernel's arrays, and measuring them."""

from __future__ import annotations

import hashlib
import statistics
from typing import Any

import numpy as np
from driver import SLIDER, ask_kernel, canvas_pixels, decode_png, wait_for_frame

# In the kernel: the widgets that lessons show, in the order in which they were made.
BOXES = """import base64, ipywidgets
from ddpm_lite.pixels import encode_png
from ddpm_lite.widgets import Explore, Scrub
from ipywidgets.widgets import widget as _module
_all = getattr(_module, "_instances", None) or ipywidgets.Widget.widgets
_boxes = [w for w in list(_all.values()) if isinstance(w, (Scrub, Explore))]
"""

# In the page: what a box shows at one moment; a walk over its frames by arrow keys; the pictures drawn, counted.
SCRIPT = """() => {
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  window.drawn = [];
  let last = [];
  CanvasRenderingContext2D.prototype.drawImage = function (sheet, x, y, ...rest) {
    if (this.canvas.closest('.ddpm-view').querySelector('canvas') === this.canvas) { // the first of its views
      if (sheet !== last[0] || x !== last[1] || y !== last[2]) window.drawn.push(performance.now());
      last = [sheet, x, y];
    }
    return draw.call(this, sheet, x, y, ...rest);
  };
  const press = (handle, key) => { // ipywidgets 7 reads the code, 8 the name
    const keyCode = { ArrowLeft: 37, ArrowRight: 39 }[key];
    handle.dispatchEvent(new KeyboardEvent('keydown', { key, code: key, keyCode, bubbles: true }));
  };
  const frame = () => new Promise(requestAnimationFrame);
  const still = async (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  window.snapshot = (box) => {
    const handle = box.querySelector('[role=slider], .ui-slider-handle'), cursor = box.querySelector('.ddpm-cursor');
    return {
      frame: Number(box.querySelector('.ddpm-view').dataset.frame), valuenow: Number(handle.ariaValueNow),
      name: handle.ariaLabel, text: handle.ariaValueText, caption: box.querySelector('.ddpm-view p').textContent,
      pictures: [...box.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL('image/png')),
      words: [...box.querySelectorAll('canvas')].map((canvas) => canvas.ariaLabel),
      cursor: cursor && Number(cursor.getAttribute('x1')),
      legend: [...box.querySelectorAll('.ddpm-key-text')].map((key) => key.textContent),
    };
  };
  window.walk = async (box, n) => { // from the first frame to the last
    const handle = box.querySelector('[role=slider], .ui-slider-handle'), view = box.querySelector('.ddpm-view');
    const seen = [];
    handle.focus();
    for (let i = 0; i < n; i++) {
      if (i) press(handle, 'ArrowRight');
      const end = performance.now() + 5000;
      while (view.dataset.frame !== String(i) && performance.now() < end) await still(1);
      await frame();
      seen.push(window.snapshot(box));
    }
    return seen;
  };
  window.burst = async (handle, steps, frames) => { // to and fro where there are fewer frames than steps
    handle.focus();
    window.drawn.length = 0;
    const start = performance.now();
    for (let i = 0; i < steps; i++) {
      press(handle, Math.floor(i / (frames - 1)) % 2 ? 'ArrowLeft' : 'ArrowRight');
      await frame();
    }
    await frame();
    return 1000 * window.drawn.length / (performance.now() - start);
  };
  window.latency = async (handle, key) => {
    handle.focus();
    window.drawn.length = 0;
    const start = performance.now();
    press(handle, key);
    while (!window.drawn.length && performance.now() - start < 5000) await still(1);
    return window.drawn[0] - start;
  };
}"""


def wait_for_kernel(page: Any, code: str, wanted: Any, seconds: float = 20) -> None:
    """Wait until an expression in the kernel has the value: messages from the page take a moment."""
    for _ in range(int(seconds / 0.1)):
        if (got := ask_kernel(page, code)) == wanted:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{code}: got {got!r}, wanted {wanted!r}")


def digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(f"{pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def kernel_digests(page: Any, number: int) -> list[list[str]]:
    """For each view and each frame that the kernel's `number`-th scrub was made from: the digest of its RGB pixels."""
    code = f"""{BOXES}import hashlib, numpy as _np
def _digest(p):
    p = _np.ascontiguousarray(p if p.ndim == 3 else p[..., None].repeat(3, -1))
    return hashlib.sha256(f"{{p.shape}}".encode() + p.tobytes()).hexdigest()
[[_digest(frame) for frame in view] for view in _boxes[{number}].views.values()]"""
    return ask_kernel(page, code)


def snapshot(box: Any) -> dict[str, Any]:
    return box.evaluate("box => window.snapshot(box)")


def assert_frame(
    seen: dict[str, Any], digests: list[list[str]], labels: list[str], name: str, *, moving: bool = False
) -> int:
    """One moment of a box: each picture is the kernel's frame, pixel by pixel, and the words fit; return the frame.

    While it moves by itself, the slider may be a frame ahead of the picture, until the screen is drawn next.
    """
    i = seen["frame"]
    assert [digest(decode_png(picture)) for picture in seen["pictures"]] == [view[i] for view in digests], f"frame {i}"
    assert all(words.endswith(labels[i]) for words in seen["words"]) and seen["caption"] == labels[i]
    if not moving:
        assert (seen["name"], seen["text"], seen["valuenow"]) == (name, labels[i], i)
    return i


def assert_fits(page: Any, box: Any) -> None:
    """Nothing of a box stands out of its cell, and the page of the notebook is no wider than the window."""
    wide = box.evaluate(
        """box => { const right = box.closest('.jp-OutputArea-output').getBoundingClientRect().right + 1;
        return [box, ...box.querySelectorAll('*')].filter(node => node.getBoundingClientRect().width > 0
            && !node.closest('.noUi-base') && node.getBoundingClientRect().right > right)
            .map(node => node.outerHTML.slice(0, 120)); }"""
    )
    assert wide == []
    assert box.evaluate("box => box.scrollWidth <= box.parentElement.clientWidth + 1")
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")


def scrub_facts(page: Any, number: int) -> dict[str, Any]:
    code = f"""{BOXES}_b = _boxes[{number}]
dict(n=_b.n, value=_b.value, name=_b.slider.description, labels=list(_b.view.labels), curves=list(_b.view.curves))"""
    return ask_kernel(page, code)


def of_jquery(handle: Any) -> bool:
    """Whether a slider's handle is one of jQuery UI, as in ipywidgets 7."""
    return "ui-slider-handle" in (handle.get_attribute("class") or "")


def move_scrub(page: Any, box: Any, number: int) -> dict[str, Any]:
    """Move a scrub in every way there is; return what was measured.

    Every frame by arrow keys; page keys, home, end; a drag and a click; play, pause, stop. Each time the canvases
    hold the frame of the kernel's array, pixel by pixel, the words and the cursor fit, and the kernel follows.
    """
    facts, digests = scrub_facts(page, number), kernel_digests(page, number)
    n, value = facts["n"], f"_boxes[{number}].value"
    handle = box.locator(SLIDER).first
    known = (digests, facts["labels"], facts["name"])
    assert assert_frame(snapshot(box), *known) == facts["value"], "the first picture; nothing plays by itself"

    # every frame, by arrow keys
    handle.press("Home")
    wait_for_frame(box, 0)
    seen = box.evaluate("(box, n) => window.walk(box, n)", n)
    assert [assert_frame(moment, *known) for moment in seen] == list(range(n))
    assert len({tuple(moment["pictures"]) for moment in seen}) > 1, "no picture changed"
    if facts["curves"]:
        cursors = [moment["cursor"] for moment in seen]
        assert np.allclose(np.diff(cursors), np.diff(cursors)[0]) and cursors[0] < cursors[-1]
        for i, moment in enumerate(seen):
            for curve, text in zip(facts["curves"], moment["legend"], strict=True):
                label, number_text = text.rsplit(" ", 1)
                assert label == curve["label"] and np.isclose(float(number_text), curve["y"][i], rtol=6e-3, atol=1e-12)
    wait_for_kernel(page, BOXES + value, n - 1)

    # real keys
    for key, frame in [("Home", 0), ("ArrowUp", 1), ("ArrowDown", 0), ("End", n - 1), ("ArrowLeft", n - 2)]:
        handle.press(key)
        wait_for_frame(box, frame)
        assert_frame(snapshot(box), *known)
    wait_for_kernel(page, value, n - 2)
    for start, key, way in [("Home", "PageUp", 1), ("End", "PageDown", -1)]:
        handle.press(start)
        wait_for_frame(box, first := 0 if way > 0 else n - 1)
        handle.press(key)
        box.locator(f'.ddpm-view:not([data-frame="{first}"])').wait_for()
        frame = assert_frame(snapshot(box), *known)
        more = 1 if of_jquery(handle) and n <= 10 else min(2, n - 1)  # there a page is a fifth of all frames
        assert way * (frame - first) >= more, "a page key moves by more than an arrow"
        wait_for_kernel(page, value, frame)

    # the mouse: a drag to a quarter, a click at three quarters
    track = box.locator(".noUi-base, .ui-slider").first.bounding_box()
    y = track["y"] + track["height"] / 2
    pixels = 4 if of_jquery(handle) else 2  # jQuery keeps the place at which a hand took the knob
    knob = handle.bounding_box()
    page.mouse.move(knob["x"] + knob["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(track["x"] + track["width"] / 4, y, steps=6)
    page.mouse.up()
    for share in (1 / 4, 3 / 4):
        if share > 1 / 2:
            page.mouse.click(track["x"] + share * track["width"], y)
        page.wait_for_function(  # as near as the frames allow, and a pixel
            "([box, wanted, near]) => Math.abs(window.snapshot(box).frame - wanted) <= near",
            arg=[box.element_handle(), share * (n - 1), 0.51 + (n - 1) * pixels / track["width"]],
        )
        page.wait_for_timeout(100)
        wait_for_kernel(page, value, assert_frame(snapshot(box), *known))

    measured = {"frames": n, "views": len(digests), **play(page, box, known, value, n)}
    measured["pictures/s"] = repeat(page, box, "([h, n]) => burst(h, 45, n)", n, times=3)
    measured["key to picture, ms"] = repeat(page, box, "([h, key]) => latency(h, key)", "ArrowRight", times=7)
    handle.press("Home")
    wait_for_frame(box, 0)
    wait_for_kernel(page, value, 0)
    return measured


def play(page: Any, box: Any, known: Any, value: str, n: int) -> dict[str, Any]:
    """Play, pause, stop, by the buttons and the space bar; pictures on the way are the kernel's."""
    buttons = box.locator(".widget-play button")
    if not buttons.count():
        return {}
    handle, view = box.locator(SLIDER).first, box.locator(".ddpm-view")
    handle.press("Home")
    wait_for_frame(box, 0)
    stop = 1 if buttons.count() < 4 else 2  # ipywidgets 7 has a button to pause
    buttons.nth(0).focus()
    page.keyboard.press("Space")
    page.wait_for_function(
        "([view, last]) => Number(view.dataset.frame) >= last", arg=[view.element_handle(), min(3, n - 2)]
    )
    frame = assert_frame(snapshot(box), *known, moving=True)
    if buttons.count() < 4:
        buttons.nth(0).click()
    elif n > 10:
        buttons.nth(1).click()
    else:  # it has played to its end before a hand is there, and the button is disabled
        wait_for_frame(box, n - 1)
    page.wait_for_timeout(400)
    halted = snapshot(box)["frame"]
    assert halted >= frame > 0
    page.wait_for_timeout(600)
    assert assert_frame(snapshot(box), *known) == halted or halted == n - 1, "it goes on after a pause"
    buttons.nth(stop).click()
    wait_for_frame(box, 0)
    assert_frame(snapshot(box), *known)
    wait_for_kernel(page, value, 0)
    return {"plays": True}


def repeat(page: Any, box: Any, script: str, *arguments: Any, times: int) -> float:
    """The median of several runs of a function of the page on the slider of a box, each from the first frame."""
    handle, results = box.locator(SLIDER).first, []
    for _ in range(times):
        handle.press("Home")
        page.wait_for_timeout(100)
        results.append(page.evaluate(script, [handle.element_handle(), *arguments]))
    return statistics.median(results)


def move_explore(page: Any, box: Any, number: int) -> dict[str, Any]:
    """Move every control of an explore to both ends and the middle: the canvas shows what the kernel draws.

    Returns the medians of what the kernel takes for a picture, by the clock and by its own processor time.
    """
    canvas, picture = box.locator("canvas").first, f"base64.b64encode(_boxes[{number}].render()).decode()"
    names = ask_kernel(page, f"{BOXES}list(_boxes[{number}].sliders)")
    handles = box.locator(SLIDER).all()
    assert len(handles) == len(names) > 0
    descriptions = ask_kernel(page, f"[s.description for s in _boxes[{number}].sliders.values()]")

    def check() -> np.ndarray:
        wanted = decode_png(ask_kernel(page, picture))
        for _ in range(100):
            if np.array_equal(shown := canvas_pixels(canvas), wanted):
                return shown
            page.wait_for_timeout(100)
        raise AssertionError("the canvas does not show what the kernel draws")

    spent: list[list[float]] = []
    for k, (name, handle) in enumerate(zip(names, handles, strict=True)):
        slider, setting = f"_boxes[{number}].sliders[{name!r}]", f"_boxes[{number}].settings[{name!r}]"
        start, low, high, step = ask_kernel(page, f"[{setting}, {slider}.min, {slider}.max, {slider}.step]")
        short = 1.01 * step if of_jquery(handle) else 0  # it rounds, and may end a step before its last value
        seen = []
        for key, value in (("Home", low), ("End", high)):
            handle.press(key)
            wait_for_kernel(page, f"abs({setting} - {value}) <= {short}", True)
            seen.append(check())
        track = box.locator(".noUi-base, .ui-slider").nth(k).bounding_box()
        page.mouse.click(track["x"] + track["width"] / 2, track["y"] + track["height"] / 2)  # the middle
        near = step + 3 * (high - low) / track["width"]
        wait_for_kernel(page, f"abs({setting} - {(low + high) / 2}) <= {near}", True)
        seen.append(check())
        assert len({digest(pixels) for pixels in seen}) == 3, f"{name}: ends and middle look the same"
        value = ask_kernel(page, setting)
        page.wait_for_function(
            "([handle, value]) => Math.abs(Number(handle.ariaValueText) - value) <= 1e-4 * Math.abs(value) + 1e-9",
            arg=[handle.element_handle(), value],
        )
        assert handle.get_attribute("aria-label") == descriptions[k]
        spent += ask_kernel(
            page,
            f"""import time as _time
_spent, _values = [], [{low} + i / 8 * ({high} - {low}) for i in range(9)]
for _value in _values:
    _a, _b = _time.perf_counter(), _time.process_time()
    {slider}.value = type({slider}.value)(_value)
    _spent.append([_time.perf_counter() - _a, _time.process_time() - _b])
{slider}.value = {start!r}
_spent""",
        )
    for _ in range(2):  # the other controls, by their own keys: a list, a tick
        for other in box.locator("select, input[type=checkbox]").all():
            before = ask_kernel(page, f"str(_boxes[{number}].settings)")
            if other.evaluate("node => node.tagName") == "SELECT":
                chosen = other.evaluate("node => node.selectedIndex")
                other.select_option(index=1 - min(1, chosen))
            else:
                other.focus()
                page.keyboard.press("Space")
            wait_for_kernel(page, f"str(_boxes[{number}].settings) == {before!r}", False)
            check()
    assert ask_kernel(page, f"_boxes[{number}].error is None") and box.get_by_role("alert").count() == 0
    clock, own = (statistics.median(column) * 1000 for column in zip(*spent, strict=True))
    return {"sliders": len(names), "kernel, ms": clock, "its own, ms": own}
