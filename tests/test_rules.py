"""The rules for lessons: a small one that keeps them all; then one change each, and what must be said."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

import build
import rules

NAME = "07_small"
HEADER = f"""\
# Watch a small lesson

{rules.badge(NAME)}

**What you will do:** Nothing much.

**Learn:**

- one thing
- another thing
- a third thing

**Need:** nothing.

**Minutes:** 5"""
SETUP = rules.SETUP + "\nimport torch\nplots.use_style()\ngenerator = torch.Generator().manual_seed(0)"


def small_lesson() -> list[tuple[str, str]]:
    """The cells of a lesson that keeps every rule, as (type, source)."""
    cells = [("markdown", HEADER), ("code", SETUP)]
    for i in range(8):
        cells += [("markdown", f"## Beat {i}\n\nAn idea, and $x_{i}$."), ("code", f"x_{i} = {i}\nx_{i}")]
    cells += [
        ("markdown", "## The same thing in the library"),
        ("markdown", "## What we saw"),
        ("markdown", "## Exercises"),
    ]
    for i in range(1, 4):
        cells += [
            ("markdown", f"### Exercise {i}: Think (easy, 5 minutes)\n\nText."),
            ("code", f"answer_{i} = None"),
        ]
    return [*cells, ("markdown", "## References")]


def as_percent(cells: list[tuple[str, str]]) -> str:
    """Cells as a .py in percent format."""
    parts = []
    for kind, source in cells:
        body = "\n".join(f"# {line}".rstrip() for line in source.splitlines()) if kind == "markdown" else source
        parts.append(f"# %% [markdown]\n{body}\n" if kind == "markdown" else f"# %%\n{body}\n")
    return "\n".join(parts)


def write_pair(folder: Path, cells: list[tuple[str, str]]) -> Path:
    """A lesson of these cells, and beside it a notebook as if it had been executed."""
    path = folder / f"{NAME}.py"
    path.write_text(as_percent(cells), encoding="utf-8")
    built, count = build.read_source(path), 0
    for cell in built.cells:
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
    built.metadata = nbformat.from_dict(build.KERNEL)
    nbformat.write(built, path.with_suffix(".ipynb"))
    return path


def test_a_lesson_within_the_rules_has_no_problems(tmp_path: Path) -> None:
    assert build.check(write_pair(tmp_path, small_lesson())) == []


SLIDERS = "scrub(a)\nwidgets.explore(f, a=FloatSlider())\nIntSlider()\ninteract(f)"
Cells = list[tuple[str, str]]


def text(i: int, source: str) -> Callable[[Cells], Cells]:
    """A change that puts a Markdown cell in the place of cell i."""
    return lambda cells: [*cells[:i], ("markdown", source), *cells[i + 1 :]]


def code(i: int, source: str) -> Callable[[Cells], Cells]:
    """A change that puts a code cell in the place of cell i."""
    return lambda cells: [*cells[:i], ("code", source), *cells[i + 1 :]]


def lengthen(cells: Cells) -> Cells:
    """A change that makes every code cell longer."""
    return [(kind, f"{source}\n" + "y = 1\n" * 9 if kind == "code" else source) for kind, source in cells]


SOURCE_CHANGES: dict[str, tuple[Callable[[Cells], Cells], str]] = {
    "too few cells": (lambda cells: cells[:2] + cells[6:], "has 24 cells"),
    "too many cells": (lambda cells: cells + [("code", "1")] * 15, "has 43 cells"),
    "title without a verb": (text(0, HEADER.replace("Watch a", "A")), "does not begin with a verb"),
    "two things to learn": (text(0, HEADER.replace("- a third thing\n", "")), "not a lesson header"),
    "no minutes": (text(0, HEADER.replace("**Minutes:** 5", "")), "not a lesson header"),
    "badge of another lesson": (text(0, HEADER.replace(NAME, "01_other")), "badge does not open"),
    "header is code": (code(0, "1"), "not a lesson header"),
    "another install line": (code(1, SETUP.replace("git+https", "git+http")), "does not begin as"),
    "no plot style": (code(1, SETUP.replace("plots.use_style()", "")), "sets no plot style"),
    "no generator": (code(1, SETUP.replace("manual_seed", "seed")), "sets no plot style or no generator"),
    "long setup cell": (code(1, SETUP + "\nimport os" * 5), "the setup cell has 15 lines"),
    "no library section": (text(18, "## Elsewhere"), "no section 'The same thing in the library'"),
    "no references": (text(27, "## Links"), "no section 'References'"),
    "two exercises": (text(25, "### Think (easy, 5 minutes)"), "exercises are numbered [1, 2]"),
    "exercise without minutes": (text(21, "### Exercise 1: Think (easy)"), "numbered [2, 3]"),
    "wordy": (text(2, "word " * 81), "81 words, more than 80"),
    "image without text": (text(2, "![](a.png)"), "no alternative text"),
    "HTML image without text": (text(2, '<img src="a.png" alt="">'), "no alternative text"),
    "long code cell": (code(3, "x = 1\n" * 31), "31 lines of code"),
    "code cell that is long with its blank lines": (code(3, "x = 1\n\n" * 16 + "x"), "33 lines of code"),
    "empty code cell": (code(3, ""), "0 lines of code"),
    "long code cells": (lengthen, "the median code cell has"),
    "wide code": (code(3, "x = " + "1 + " * 30 + "1"), "longer than 100 characters"),
    "semicolon": (code(3, "x = 1;"), "ends with ';'"),
    "magic": (code(3, "# %matplotlib inline"), "magic or shell line"),
    "shell": (code(3, "if x_0:\n    !ls"), "magic or shell line"),
    "does not parse": (code(3, "x = ("), "does not parse"),
    "four sliders": (code(3, SLIDERS), "4 sliders, more than 3"),
}  # fmt: skip


@pytest.mark.parametrize("change", SOURCE_CHANGES)
def test_the_checker_names_what_is_wrong_in_a_source(tmp_path: Path, change: str) -> None:
    edit, expected = SOURCE_CHANGES[change]
    problems = build.check(write_pair(tmp_path, edit(small_lesson())))
    assert any(expected in problem for problem in problems), problems


def as_gallery(cells: Cells) -> Cells:
    """A change that no lesson may have and a gallery may: 44 cells, no exercise, four sliders."""
    cells = [cell for cell in cells if "Exercise " not in cell[1]]
    return [*code(3, SLIDERS)(cells), *[("code", "1")] * 19]


GALLERY_CHANGES: dict[str, tuple[Callable[[Cells], Cells], str]] = {
    "too few cells": (lambda cells: cells[:2] + cells[6:], "has 24 cells, wanted 25 to 70"),
    "too many cells": (lambda cells: as_gallery(cells) + [("code", "1")] * 27, "has 71 cells, wanted 25 to 70"),
    "too many sliders": (code(3, "scrub(a)\n" * 15), "15 sliders, more than 14"),
    "exercises out of order": (text(23, "### Exercise 3: Think (easy, 5 minutes)"), "wanted 0 to 5"),
    "wordy": (text(2, "word " * 81), "81 words, more than 80"),
    "no references": (text(27, "## Links"), "no section 'References'"),
}


def test_a_gallery_may_be_longer_than_a_lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_pair(tmp_path, as_gallery(small_lesson()))
    assert len(build.check(path)) == 3  # cells, sliders, exercises
    monkeypatch.setattr(rules, "GALLERIES", [NAME])
    assert build.check(path) == []
    assert build.check(write_pair(tmp_path, small_lesson())) == []


@pytest.mark.parametrize("change", GALLERY_CHANGES)
def test_a_gallery_has_limits_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.setattr(rules, "GALLERIES", [NAME])
    edit, expected = GALLERY_CHANGES[change]
    problems = build.check(write_pair(tmp_path, edit(small_lesson())))
    assert any(expected in problem for problem in problems), problems


def test_galleries_exist() -> None:
    assert set(rules.GALLERIES) <= {path.stem for path in build.lessons()}


def cell_of(built: Any, i: int) -> Any:
    return [cell for cell in built.cells if cell.cell_type == "code"][i]


def store_error(built: Any) -> None:
    error = nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[])
    cell_of(built, 2).outputs = [error]


def store_view(built: Any) -> None:
    data = {rules.WIDGET_VIEW: {"model_id": "1"}, "text/plain": "A slider"}
    cell_of(built, 2).outputs = [nbformat.v4.new_output("display_data", data)]


def swap_counts(built: Any) -> None:
    cell_of(built, 2).execution_count, cell_of(built, 3).execution_count = 4, 3


BUILT_CHANGES: dict[str, tuple[Callable[[Any], object], str]] = {
    "other text": (lambda built: cell_of(built, 2).update(source="y = 1"), "differs between .py and .ipynb"),
    "other tags": (
        lambda built: cell_of(built, 2).metadata.update(tags=["x"]),
        "differs between .py and .ipynb",
    ),
    "a cell fewer": (lambda built: built.cells.pop(), "the .py has 28 cells, the .ipynb 27"),
    "not executed": (lambda built: cell_of(built, 2).update(execution_count=None), "were not executed"),
    "out of order": (swap_counts, "were not executed"),
    "stored error": (store_error, "is an error"),
    "widget view": (store_view, "view of a widget"),
    "widget state": (lambda built: built.metadata.update(widgets={"state": {}}), "metadata.widgets"),
    "large": (
        lambda built: cell_of(built, 2).update(outputs=[nbformat.v4.new_output("stream", text="x" * 1_100_000)]),
        "MB, more than 1",
    ),
}


@pytest.mark.parametrize("change", BUILT_CHANGES)
def test_the_checker_names_what_is_wrong_in_a_notebook(tmp_path: Path, change: str) -> None:
    edit, expected = BUILT_CHANGES[change]
    path = write_pair(tmp_path, small_lesson())
    built = build.read_built(path)
    edit(built)
    nbformat.write(built, path.with_suffix(".ipynb"))
    problems = build.check(path)
    assert any(expected in problem for problem in problems), problems


def test_metadata_that_is_not_kept_may_differ(tmp_path: Path) -> None:
    path = write_pair(tmp_path, small_lesson())
    built = build.read_built(path)
    cell_of(built, 2).metadata["scrolled"] = True
    nbformat.write(built, path.with_suffix(".ipynb"))
    assert build.check(path) == []


@pytest.mark.parametrize(
    "markdown, words",
    [
        ("one two three", 3),
        ("by $a + b$ and $$c + d$$ we mean", 4),
        ("see [the paper](https://example.org/a b c)", 3),
        ("| a | b |\n|---|---|\n| c | `d[t]` |", 4),
        ("```\nnot counted\n```\ncounted", 1),
        ("\\begin{aligned} a &= b \\end{aligned} done", 1),
    ],
)  # fmt: skip
def test_count_words(markdown: str, words: int) -> None:
    assert rules.count_words(markdown) == words


def test_stamp_writes_badge_and_install_line(tmp_path: Path) -> None:
    path = write_pair(tmp_path, small_lesson())
    stale = re.sub(r"v\d+\.\d+\.\d+", "v0.0.1", path.read_text())
    path.write_text(stale)
    assert any("badge" in problem for problem in build.check(path))
    path.write_text(build.stamped_lesson(stale, path.stem))
    assert build.check(path) == []
