"""Every slider of every lesson in JupyterLab: moved in every way, checked by pixels, measured; and axe-core over it.

`make test-browser` runs this and writes the table of what was measured.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe import assert_outputs_accessible
from driver import SLIDER, Lab, ask_kernel, close_notebook, open_notebook, reveal_widget, run_all_cells, widget_cells
from moves import BOXES, SCRIPT, assert_fits, move_explore, move_scrub

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
COLUMNS = ("frames", "views", "sliders", "pictures/s", "key to picture, ms", "kernel, ms", "its own, ms")

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def table() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What was measured, a row a widget; written as Markdown to the file that SLIDER_TABLE names."""
    rows: list[tuple[str, dict[str, Any]]] = []
    yield rows
    if path := os.environ.get("SLIDER_TABLE"):
        lines = ["| widget | " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * len(COLUMNS)]
        for name, measured in rows:
            cells = [f"{measured[column]:.3g}" if column in measured else "" for column in COLUMNS]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def look_for_focus(page: Any, box: Any) -> None:
    """Tab reaches every control of a box in order, each time with an outline that is seen."""
    wanted = box.locator("button, [role=slider], .ui-slider-handle, select, input, [contenteditable]")
    n = wanted.evaluate_all("nodes => nodes.filter(n => n.getClientRects().length && !n.disabled).length")
    wanted.first.focus()
    page.keyboard.press("Tab")  # from here on the browser knows that it is keys that move the focus
    wanted.first.focus()
    for i in range(n):
        outline, name = page.evaluate(
            """() => { const node = document.activeElement, style = getComputedStyle(node);
            return [node.closest('.ddpm-box') && style.outlineStyle + ' ' + style.outlineWidth,
                node.ariaLabel || node.title || node.labels?.[0]?.textContent]; }"""
        )
        assert outline == "solid 3px" and name, f"control {i} of {n}: {outline!r}, {name!r}"
        page.keyboard.press("Tab")
    assert not page.evaluate("box => box.contains(document.activeElement)", box.element_handle()), "a way out"


@pytest.mark.parametrize("lesson", LESSONS, ids=[path.stem for path in LESSONS])
def test_every_slider(browser: Any, lab: Lab, lesson: Path, table: list[tuple[str, dict[str, Any]]]) -> None:
    shutil.copy(lesson, lab.root / lesson.name)
    page, errors = open_notebook(browser, lab, lesson.name)
    page.emulate_media(reduced_motion="reduce")
    assert run_all_cells(page, timeout=400) == []
    page.evaluate(SCRIPT)
    cells = widget_cells(page)
    assert len(cells) == ask_kernel(page, f"{BOXES}len(_boxes)") > 0, "each widget has a cell of its own"
    for number, cell in enumerate(cells):
        box = reveal_widget(page, cell)
        is_scrub = ask_kernel(page, f"{BOXES}isinstance(_boxes[{number}], Scrub)")
        measured = (move_scrub if is_scrub else move_explore)(page, box, number)
        if is_scrub:
            assert measured["pictures/s"] >= 8 and measured["key to picture, ms"] <= 250  # 60 and 10 on an idle machine
        else:
            assert measured["its own, ms"] <= 150  # 100 by the clock on an idle machine
        look_for_focus(page, box)
        for width in (800, 1280):
            page.set_viewport_size({"width": width, "height": 1400})
            assert_fits(page, box := reveal_widget(page, cell))
            assert box.locator(SLIDER).first.is_visible()
        names = ask_kernel(page, f"[c.description for c in _boxes[{number}].children[0].children if c.description]"
                           if is_scrub else f"list(_boxes[{number}].controls)")  # fmt: skip
        table.append((f"{lesson.stem[:2]} {'scrub' if is_scrub else 'explore'}: {', '.join(names)}", measured))
    figures = page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.flatMap(c =>
        c.cell_type === 'code' ? c.getOutputs().filter(o => o.data?.['image/png']) : []).length"""
    )
    assert figures >= len(cells), "a still picture for each widget"
    assert assert_outputs_accessible(page) >= len(cells)
    assert errors == []
    close_notebook(page)
