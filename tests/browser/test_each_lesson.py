"""A slider of each lesson, in JupyterLab. `make test-browser` runs whole lessons, and moves every slider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from driver import (
    SLIDER,
    Lab,
    ask_kernel,
    canvas_pixels,
    close_notebook,
    open_notebook,
    reveal_widget,
    run_all_cells,
    wait_for_frame,
    widget_cells,
)
from moves import BOXES, wait_for_kernel
from test_sliders import assert_shows

LESSONS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("[0-9]*.ipynb"))


def up_to_first_scrub(lesson: Path) -> nbformat.NotebookNode:
    """A lesson without what follows its first scrub, as its stored outputs tell where that is."""
    notebook = nbformat.read(lesson, as_version=4)
    said = [[o.get("data", {}).get("text/plain", "") for o in cell.get("outputs", [])] for cell in notebook.cells]
    scrubs = [i for i, texts in enumerate(said) if any(text.startswith("A slider over") for text in texts)]
    notebook.cells = notebook.cells[: scrubs[0] + 1]
    return notebook


@pytest.mark.parametrize("lesson", LESSONS, ids=[path.stem for path in LESSONS])
def test_a_slider_of_each_lesson(browser: Any, lab: Lab, lesson: Path) -> None:
    """The first scrub of a lesson, from one end to the other: canvas and kernel show the same frames."""
    nbformat.write(up_to_first_scrub(lesson), lab.root / lesson.name)
    page, errors = open_notebook(browser, lab, lesson.name)
    assert run_all_cells(page, timeout=240) == []
    kinds = ask_kernel(page, f"{BOXES}[isinstance(box, Scrub) for box in _boxes]")
    number = kinds.index(True)
    assert number == len(kinds) - 1 and len(cells := widget_cells(page)) == len(kinds), "a cell for each widget"
    box, seen = reveal_widget(page, cells[number]), []
    handle, n = box.locator(SLIDER).first, ask_kernel(page, f"_boxes[{number}].n")
    for key, frame in [("Home", 0), ("End", n - 1), ("ArrowLeft", n - 2)]:
        handle.press(key)
        wait_for_frame(box, frame)
        wait_for_kernel(page, f"_boxes[{number}].value", frame)
        assert_shows(page, box, number)
        seen.append([canvas_pixels(canvas) for canvas in box.locator("canvas").all()])
    assert not all(map(np.array_equal, *seen[:2])), "no picture changed"
    assert box.evaluate("box => box.scrollWidth <= box.parentElement.clientWidth + 1")
    assert handle.get_attribute("aria-label") and handle.get_attribute("aria-valuetext")
    assert errors == []
    close_notebook(page)
