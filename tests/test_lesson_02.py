"""The picture that lesson 02 computes for its sliders: at both ends, in the middle, and once all cells have run."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import build
from ddpm_lite import plots, widgets

CELLS = [cell.source for cell in build.read_source(build.lessons(["02"])[0]).cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def lesson() -> dict[str, Any]:
    """What the lesson's code has defined when it comes to the sliders."""
    namespace: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "show", lambda *arguments, **options: None)
        patch.setattr(widgets, "explore", lambda function, **controls: namespace.update(controls=controls))
        for source in CELLS:
            if "controls" not in namespace:
                exec(source, namespace)
    return namespace


def test_every_setting_of_the_sliders(lesson: dict[str, Any]) -> None:
    values = [(low, (low + high) / 2, high) for low, high, _, _ in (lesson["controls"][f"sigma_{i}"] for i in (1, 2))]
    for sigma_1, sigma_2 in itertools.product(*values):
        lesson["sum_picture"](sigma_1, sigma_2)
        s, gaps = math.hypot(sigma_1, sigma_2), []
        for axis, bars, bell in lesson["parts"]:
            height, edges, _ = bars.get_data()
            z, width = (edges[1:] + edges[:-1]) / 2, float(edges[1] - edges[0])
            assert float((z**2 * height).sum()) * width == pytest.approx(s**2, rel=0.05)
            gaps.append(np.abs(height - np.interp(z, lesson["grid"], bell.get_ydata())).max())
            assert max(float(bell.get_ydata().max()), height.max()) < axis.get_ylim()[1]
            assert float(axis.get_title().split()[-1]) == pytest.approx(s, abs=0.02)
        assert gaps[0] < 0.03 and gaps[1] > gaps[0]  # the Gaussian sum fills the bell, the uniform one does not


def test_the_picture_changes_with_each_slider(lesson: dict[str, Any]) -> None:
    def picture(sigma_1: float, sigma_2: float) -> bytes:
        figure = lesson["sum_picture"](sigma_1, sigma_2)
        plots.settle_layout(figure)  # as `explore` does
        return plots.png_bytes(figure)

    first = picture(0.4, 1.0)
    assert picture(0.5, 1.0) != first and picture(0.4, 1.1) != first
    assert picture(0.4, 1.0) == first
