"""The picture of a study: means, errors, what real digits reach, and an arm that is far off."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from ddpm_lite import plots
from ddpm_lite.plots.ablation import mean_and_se

STUDY: dict[str, Any] = {
    "arms": {
        "full": {"runs": [{"L_simple": 0.06, "frechet_distance": 30.0, "recognized": 0.5},
                          {"L_simple": 0.08, "frechet_distance": 34.0, "recognized": 0.7}]},
        "less": {"runs": [{"L_simple": 0.10, "frechet_distance": 80.0, "recognized": 0.2},
                          {"L_simple": 0.12, "frechet_distance": 90.0, "recognized": 0.1},
                          {"L_simple": 0.11, "frechet_distance": 70.0, "recognized": 0.3}]},
    }
}  # fmt: skip
for _arm in STUDY["arms"].values():
    for _run in _arm["runs"]:
        _run.update(frechet_floor=10.0, recognized_real=0.99)


def test_ablation_shows_means_errors_and_floor() -> None:
    figure = plots.plot_ablation(STUDY)
    assert plots.figure_pixels(figure).size
    left, middle, right = figure.axes
    for axis, field in ((left, "L_simple"), (middle, "frechet_distance"), (right, "recognized")):
        for bars, arm in zip(axis.containers, STUDY["arms"].values(), strict=True):
            values = np.array([run[field] for run in arm["runs"]])
            se = values.std(ddof=1) / len(values) ** 0.5
            (low, high) = bars.lines[2][0].get_segments()[0][:, 0]
            assert float(bars.lines[0].get_xdata()[0]) == pytest.approx(values.mean())
            assert (low, high) == (pytest.approx(values.mean() - 2 * se), pytest.approx(values.mean() + 2 * se))
    assert [axis.get_xlabel() for axis in figure.axes] == [
        "lower is better", "lower is better; real digits: 10", "higher is better; real digits: 99.0%"
    ]  # fmt: skip
    assert [label.get_text() for label in left.get_yticklabels()] == ["full", "less"]


def test_mean_and_se() -> None:
    assert mean_and_se([1.0, 3.0]) == (2.0, 1.0)
    with pytest.raises(ValueError, match="^values"):
        mean_and_se([1.0])


def test_an_arm_far_off_is_a_number_at_the_edge() -> None:
    (left, middle, _), full = plots.plot_ablation(STUDY).axes, STUDY["arms"]["full"]["runs"]
    assert [text.get_text() for text in left.texts] == ["0.11 →"] and not middle.texts
    assert left.texts[0].get_position()[1] == 1  # in the row of the arm
    low, high = left.get_xlim()
    assert low < min(run["L_simple"] for run in full) and max(run["L_simple"] for run in full) < high < 0.11
    near = copy.deepcopy(STUDY)
    for run in near["arms"]["less"]["runs"]:
        run["L_simple"] -= 0.02
    (left, *_) = plots.plot_ablation(near).axes
    assert not left.texts and left.get_xlim()[1] > 0.1


def test_a_study_without_errors_is_refused() -> None:
    one = copy.deepcopy(STUDY)
    del one["arms"]["full"]["runs"][1:]
    for study in (one, {"arms": {}}):
        with pytest.raises(ValueError, match="^study: every arm"):
            plots.plot_ablation(study)
