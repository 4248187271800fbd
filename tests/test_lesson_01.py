"""The picture that lesson 01 computes for its sliders: at both ends of each, in the middle, and what it refuses."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import build
from ddpm_lite import plots, widgets


@pytest.fixture(scope="module")
def lesson() -> dict[str, Any]:
    """What the lesson's code has defined when it comes to the sliders."""
    (path,) = build.lessons(["01"])
    namespace: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "show", lambda *arguments, **options: None)
        patch.setattr(widgets, "scrub", lambda *arguments, **options: None)
        patch.setattr(widgets, "explore", lambda function, **controls: namespace.update(controls=controls))
        for cell in build.read_source(path).cells:
            if cell.cell_type == "code" and "controls" not in namespace:
                exec(cell.source, namespace)
    return namespace


def test_every_setting_of_the_sliders(lesson: dict[str, Any]) -> None:
    controls = {name: lesson["controls"][name] for name in ("T", "beta_T")}
    values = [(low, low + round((high - low) / 2 / step) * step, high) for low, high, step, _ in controls.values()]
    schedules = lesson["controls"]["schedule"]
    assert schedules == ["linear", "cosine", "sigmoid"] and lesson["controls"]["rescale"] is False
    for T, beta_T, schedule, rescale in itertools.product(*values, schedules, [False, True]):
        lesson["what_is_left"](T, beta_T, schedule, rescale)
        x, y = lesson["dot"].get_data()
        beta = np.linspace(1e-4, beta_T, T) * (1000 / T if rescale else 1)
        expected = np.prod(1 - beta) if schedule == "linear" else 0
        assert list(x) == [T] and float(y[0]) == pytest.approx(expected, abs=1e-5)
        assert len(lesson["curve"].get_xdata()) == T + 1
        assert f"at $T$ = {T}" in lesson["live_axis"].get_title()


def test_the_picture_changes_with_each_slider(lesson: dict[str, Any]) -> None:
    settings = {"T": 200, "beta_T": 0.02, "schedule": "linear", "rescale": False}
    plots.settle_layout(lesson["what_is_left"](**settings))  # as `explore` does
    first = plots.png_bytes(lesson["live_figure"])
    for other in ({"T": 250}, {"beta_T": 0.025}, {"schedule": "cosine"}, {"rescale": True}):
        assert plots.png_bytes(lesson["what_is_left"](**{**settings, **other})) != first, other
    assert plots.png_bytes(lesson["what_is_left"](**settings)) == first
