"""The picture that lesson 06 computes for its slider and its box; the length of its loop."""

from __future__ import annotations

import ast
import itertools
from typing import Any

import numpy as np
import pytest

import build
from ddpm_lite import plots, pretrained_card, widgets
from ddpm_lite.measure import pretrained_history

CELLS = [cell.source for cell in build.read_source(build.lessons(["06"])[0]).cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def lesson() -> dict[str, Any]:
    """What the setup cell and the cell with the sliders define: the latter needs nothing else."""
    namespace: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "show", lambda *arguments, **options: None)
        patch.setattr(widgets, "explore", lambda function, names, **controls: namespace.update(controls=controls))
        exec(CELLS[0], namespace)
        (cell,) = (source for source in CELLS if "def ema_picture" in source)
        exec(cell, namespace)
    return namespace


def test_every_setting_of_the_sliders(lesson: dict[str, Any]) -> None:
    low, high, _, default = lesson["controls"]["memory"]
    walk = np.array(lesson["walk"])
    assert lesson["controls"]["young_forgets"] is False
    for memory, ramp in itertools.product((low, default, (low + high) // 2, high), (False, True)):
        lesson["ema_picture"](memory, ramp)
        drawn = np.asarray(lesson["ema_line"].get_ydata())
        d = [1 - 1 / memory if not ramp else min(1 - 1 / memory, (1 + n) / (10 + n)) for n in range(len(walk) - 1)]
        for k in (1, 10, 1000):  # the sum written out: weight j is 1 - d_j times all later d
            shares = [(1 - d[j]) * np.prod(d[j + 1 : k]) for j in range(k)]
            assert drawn[k] == pytest.approx(np.dot(shares, walk[1 : k + 1]) + np.prod(d[:k]) * walk[0])
        bottom, top = lesson["ema_axis"].get_ylim()
        assert bottom < drawn.min() and drawn.max() < top
    lesson["ema_picture"](1, False)
    assert np.allclose(lesson["ema_line"].get_ydata(), walk)


def test_what_the_text_says_of_the_picture(lesson: dict[str, Any]) -> None:
    def average(memory: int, ramp: bool) -> Any:
        lesson["ema_picture"](memory, ramp)
        return np.asarray(lesson["ema_line"].get_ydata())

    short, long, mended = average(5, False), average(500, False), average(500, True)
    assert short[500:].std() > 3 * long[800:].std()  # too short trembles
    assert long[200] < 0 < 0.7 < mended[200]  # too long remembers the start; the ramp mends it


def test_the_picture_changes_with_each_control(lesson: dict[str, Any]) -> None:
    def picture(memory: int, ramp: bool) -> bytes:
        figure = lesson["ema_picture"](memory, ramp)
        plots.settle_layout(figure)  # as `explore` does
        return plots.png_bytes(figure)

    first = picture(200, False)
    assert picture(201, False) != first and picture(200, True) != first
    assert picture(200, False) == first


def test_algorithm_1_is_a_loop_of_ten_lines() -> None:
    (source,) = (source for source in CELLS if "def algorithm_1" in source)
    (loop,) = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.For))
    assert loop.end_lineno is not None and loop.end_lineno - loop.lineno + 1 <= 10


def test_the_history_ends_with_the_model_that_ships() -> None:
    assert list(pretrained_history("mnist")["quality"]["models"])[-1] == pretrained_card("mnist")["sha256"]
