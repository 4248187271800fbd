"""Sliders as a reader moves them: JupyterLab and Chromium, keyboard and mouse, checked by pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import nbformat
import numpy as np
import pytest
from axe import assert_outputs_accessible, violations
from driver import (
    SLIDER,
    Lab,
    ask_kernel,
    canvas_pixels,
    close_notebook,
    decode_png,
    open_notebook,
    reveal_widget,
    run_all_cells,
    wait_for_frame,
    widget_cells,
)
from moves import BOXES, wait_for_kernel

SYNTHETIC = [
    """import numpy as np
from ddpm_lite.plots import new_figure
from ddpm_lite.widgets import explore, scrub
x = np.random.default_rng(0).uniform(-1, 1, (21, 28, 28)).astype("float32")
labels = [f"t = {10 * i} of 200, signal {1 - i / 20:.2f}" for i in range(21)]
one = scrub(x, labels=labels)
one""",
    """two = scrub({"x_t": x, "x0_hat": -x}, curve=(np.linspace(1, 0, 21), "signal"), linked=one)
two""",
    """plain = scrub(x, labels=labels, canvas=False)
plain""",
    """figure, axis = new_figure(size=(5, 3))
line, = axis.plot(np.arange(10), np.arange(10))
axis.set(ylim=(0, 100), xlabel="$t$")
def straight(slope, shape):
    "A line of a slope"
    if slope > 9:
        raise ValueError("slope: got more than 9")
    line.set_ydata(np.arange(10) * slope ** (1 if shape == "line" else 0.5))
    return figure
picture = explore(straight, slope=(1.0, 10.0, 0.5, 2.0), shape=["line", "root"])
picture""",
]


def kernel_frames(page: Any, number: int) -> list[np.ndarray]:
    """The pixels of the frame that the kernel holds for its `number`-th scrub, one array a view."""
    code = f"""{BOXES}_box = _boxes[{number}]
_views = _box.frame if isinstance(_box.frame, dict) else {{"": _box.frame}}
[base64.b64encode(encode_png(view)).decode() for view in _views.values()]"""
    return [decode_png(data) for data in ask_kernel(page, code)]


def assert_shows(page: Any, box: Any, number: int) -> None:
    """Every canvas of a box shows, pixel by pixel, what the kernel holds."""
    canvases = box.locator("canvas").all()
    frames = kernel_frames(page, number)
    assert len(canvases) == len(frames)
    for canvas, frame in zip(canvases, frames, strict=True):
        assert np.array_equal(canvas_pixels(canvas), frame)


@pytest.fixture(scope="module")
def synthetic(browser: Any, lab: Lab) -> Iterator[tuple[Any, list[str], list[Any]]]:
    cells = [nbformat.v4.new_code_cell(source) for source in SYNTHETIC]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), lab.root / "synthetic.ipynb")
    page, errors = open_notebook(browser, lab, "synthetic.ipynb")
    assert run_all_cells(page) == []
    boxes = [reveal_widget(page, cell) for cell in widget_cells(page)]
    assert len(boxes) == 4
    yield page, errors, boxes
    page.close()


def test_keys_move_the_slider_and_the_picture(synthetic: Any) -> None:
    page, errors, boxes = synthetic
    box = boxes[0]
    handle = box.locator(SLIDER)
    handle.press("Home")
    wait_for_frame(box, 0)
    shown = 0
    for key, frame in [("ArrowRight", 1), ("ArrowUp", 2), ("ArrowLeft", 1), ("End", 20), ("ArrowDown", 19)]:
        handle.press(key)
        wait_for_frame(box, frame)
        wait_for_kernel(page, "one.value", frame)
        assert_shows(page, box, 0)
        shown = frame
    handle.press("PageDown")
    box.locator(f'.ddpm-view:not([data-frame="{shown}"])').wait_for()
    page_down = int(box.locator(".ddpm-view").get_attribute("data-frame"))
    assert page_down < 18, "page down moves by more than an arrow"
    handle.press("PageUp")
    wait_for_frame(box, 19)
    assert errors == []


def test_mouse_moves_the_slider(synthetic: Any) -> None:
    page, errors, boxes = synthetic
    box = boxes[0]
    box.locator(SLIDER).press("Home")
    wait_for_frame(box, 0)
    handle = box.locator(SLIDER).bounding_box()
    track = box.locator(".noUi-base, .ui-slider").first.bounding_box()
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    page.mouse.move(track["x"] + track["width"] / 2, track["y"] + track["height"] / 2, steps=10)
    page.mouse.up()
    wait_for_frame(box, 10)
    wait_for_kernel(page, "one.value", 10)
    assert_shows(page, box, 0)
    assert errors == []


def test_play_and_stop(synthetic: Any) -> None:
    page, errors, boxes = synthetic
    box = boxes[0]
    box.locator(SLIDER).press("Home")
    wait_for_frame(box, 0)
    buttons = box.locator(".widget-play button")
    buttons.nth(0).click()
    wait_for_frame(box, 20)  # to the end by itself
    wait_for_kernel(page, "one.value", 20)
    stop = 1 if buttons.count() < 4 else 2
    buttons.nth(stop).click()
    wait_for_frame(box, 0)
    assert errors == []


def test_the_kernel_moves_the_slider(synthetic: Any) -> None:
    page, errors, boxes = synthetic
    ask_kernel(page, "one.value = 7\none.value")
    wait_for_frame(boxes[0], 7)
    assert_shows(page, boxes[0], 0)
    assert boxes[0].locator(SLIDER).get_attribute("aria-valuenow") == "7"
    assert errors == []


def test_linked_views_and_curve_stay_in_step(synthetic: Any) -> None:
    page, errors, boxes = synthetic
    one, two = boxes[:2]
    one.locator(SLIDER).press("Home")
    one.locator(SLIDER).press("ArrowRight")
    wait_for_frame(two, 1)
    left = float(two.locator(".ddpm-cursor").get_attribute("x1"))
    two.locator(SLIDER).press("End")
    wait_for_frame(one, 20)
    wait_for_frame(two, 20)
    wait_for_kernel(page, "[one.value, two.value]", [20, 20])
    assert_shows(page, one, 0)
    assert_shows(page, two, 1)
    assert float(two.locator(".ddpm-cursor").get_attribute("x1")) > left
    assert "signal 0" in two.inner_text()
    assert errors == []


def test_without_a_canvas_the_kernel_draws_the_same_pictures(synthetic: Any) -> None:
    page, errors, boxes = synthetic
    box, image = boxes[2], boxes[2].locator("img")
    before = image.get_attribute("src")
    box.locator(SLIDER).press("End")
    wait_for_kernel(page, "plain.value", 20)
    page.wait_for_function("([node, old]) => node.src !== old", arg=[image.element_handle(), before])
    data = image.evaluate(
        """async image => { await image.decode(); const canvas = document.createElement('canvas');
        canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
        canvas.getContext('2d').drawImage(image, 0, 0); return canvas.toDataURL('image/png'); }"""
    )
    frame = kernel_frames(page, 2)[0]
    shown = decode_png(data)
    scale = shown.shape[0] // 28
    assert scale >= 10 and np.array_equal(shown[::scale, ::scale], frame)
    assert "t = 200 of 200" in box.inner_text()
    assert errors == []


def test_explore_redraws_and_shows_errors(synthetic: Any) -> None:
    page, errors, boxes = synthetic
    box = boxes[3]
    canvas = box.locator("canvas")
    before = canvas_pixels(canvas)
    box.locator(SLIDER).press("ArrowRight")
    wait_for_kernel(page, "picture.settings['slope']", 2.5)
    box.locator('canvas[aria-label*="slope = 2.5"]').wait_for()
    wanted = decode_png(ask_kernel(page, "import base64\nbase64.b64encode(picture.render()).decode()"))
    assert np.array_equal(canvas_pixels(canvas), wanted) and not np.array_equal(before, wanted)
    assert box.locator(SLIDER).get_attribute("aria-valuetext") == "2.5"

    box.locator(SLIDER).press("End")
    box.get_by_role("alert").wait_for()
    assert "ValueError: slope: got more than 9" in box.inner_text()
    box.locator("select").select_option("root")  # still an error: the slope is as it was
    box.locator(SLIDER).press("Home")
    box.get_by_role("alert").wait_for(state="detached")
    box.locator('canvas[aria-label*="slope = 1, shape = root"]').wait_for()
    assert errors == []


def test_names_and_values_for_a_screen_reader(synthetic: Any) -> None:
    page, errors, boxes = synthetic
    handle = boxes[0].locator(SLIDER)
    handle.press("Home")
    wait_for_frame(boxes[0], 0)
    said = boxes[0].locator('[role=slider][aria-valuetext="t = 0 of 200, signal 1.00"]')
    said.wait_for(timeout=5000)
    handle.press("Home")  # no new value, and the slider writes its own text all the same
    page.wait_for_timeout(200)
    said.wait_for(timeout=5000)
    said = {key: handle.get_attribute(f"aria-{key}") for key in ("label", "valuemin", "valuemax", "valuenow")}
    assert said == {"label": "t", "valuemin": "0", "valuemax": "20", "valuenow": "0"}
    assert boxes[0].locator("canvas").get_attribute("aria-label") == "t = 0 of 200, signal 1.00"
    assert boxes[1].locator("canvas").nth(1).get_attribute("aria-label").startswith("x̂₀, t = ")
    assert boxes[3].locator(SLIDER).get_attribute("aria-label") == "slope"
    for button in boxes[0].locator("button").all():
        assert button.get_attribute("aria-label") or button.get_attribute("title")
    assert errors == []


FIGURES = [
    """import numpy as np
from ddpm_lite.plots import LivePicture, show
from ddpm_lite.widgets import scrub
x = np.random.default_rng(0).uniform(-1, 1, (21, 28, 28)).astype("float32")
scrub(x)""",
    """show(x[0], alt="One picture of noise")
live = LivePicture("Noise that changes")
for frame in x[:3]:
    live.update(frame)""",
]


def test_axe_finds_nothing_serious_and_figures_have_their_text(browser: Any, lab: Lab) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in FIGURES]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), lab.root / "figures.ipynb")
    page, errors = open_notebook(browser, lab, "figures.ipynb")
    assert run_all_cells(page) == []
    assert assert_outputs_accessible(page) == 2
    for alt in ("One picture of noise", "Noise that changes"):
        page.locator(f'.jp-OutputArea-output img[alt="{alt}"]').wait_for()
    page.evaluate("""() => document.querySelector('img[alt="One picture of noise"]').removeAttribute('alt')""")
    assert [found.split()[0] for found in violations(page, ".jp-OutputArea-output")] == ["image-alt"]  # it does look
    assert errors == []
    close_notebook(page)


def test_nothing_overflows_and_pixels_stay_square(synthetic: Any) -> None:
    page, _, boxes = synthetic
    for box in boxes:
        assert box.evaluate("box => box.scrollWidth <= box.parentElement.clientWidth + 1")
    size = boxes[0].locator("canvas").bounding_box()
    assert size["width"] == size["height"] == 28 * round(size["width"] / 28)


def contrast(one: list[float], two: list[float]) -> float:
    """Contrast of two sRGB colors, as WCAG 2 defines it."""

    def luminance(color: list[float]) -> float:
        channels = [c / 255 for c in color]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted([luminance(one), luminance(two)], reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_readable_in_light_and_dark(synthetic: Any, theme: str) -> None:
    page, errors, boxes = synthetic
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=theme)
    page.wait_for_timeout(300)
    for selector in (".ddpm-view p", ".ddpm-view figcaption"):
        colors = (
            boxes[1]
            .locator(selector)
            .first.evaluate(
                """node => { const back = n => { const c = getComputedStyle(n).backgroundColor;
            return /, 0\\)$/.test(c) ? back(n.parentElement) : c; };
            return [getComputedStyle(node).color, back(node)]; }"""
            )
        )
        rgb = [[float(number) for number in re.findall(r"[\d.]+", color)[:3]] for color in colors]
        assert contrast(*rgb) >= 4.5, (theme, selector, colors)
    assert errors == []
