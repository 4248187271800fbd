"""Pictures of a training run: they draw the numbers they are given, change in place, and name bad input."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from ddpm_lite import plots
from ddpm_lite.pixels import image_grid


def look(step: int, raw: float, ema: float) -> dict[str, Any]:
    digits = {"raw": torch.zeros(4, 1, 8, 8), "EMA": torch.full((4, 1, 8, 8), step / 100)}
    return {"step": step, "loss": {"raw": raw, "EMA": ema}, "recognized": {"raw": raw, "EMA": ema}, "digits": digits}


def history() -> dict[str, Any]:
    k = range(1, 101)
    loss = {"step": [100 * i for i in k], "images": [6400 * i for i in k], "loss": [0.03 + 1 / i for i in k]}
    return {
        "command": "made up",
        "loss": loss,
        "quality": {
            "images": [64000, 192000, 640000], "n": 400, "sampler": "ddim", "recognized": [0.5, 0.7, 0.9],
            "frechet_distance": [100.0, 30.0, 9.0], "frechet_floor": {"mean": 3.0, "se": 0.1},
        },
        "recognized_real": 0.98,
    }  # fmt: skip


def numbers(line: Any) -> tuple[list[float], list[float]]:
    return [float(v) for v in line.get_xdata()], [float(v) for v in line.get_ydata()]


@pytest.mark.parametrize("n", [1, 3, 50])
def test_running_mean_is_the_mean_of_what_came_before(n: int) -> None:
    values = np.random.default_rng(0).normal(size=20)
    wanted = [values[max(0, k - n + 1) : k + 1].mean() for k in range(20)]
    np.testing.assert_allclose(plots.running_mean(values, n), wanted)


@pytest.mark.parametrize("values, n, message", [([], 3, "^values: got shape"), ([1.0], 0, "^n: got 0")])
def test_running_mean_names_what_is_wrong(values: list[float], n: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plots.running_mean(values, n)


def test_a_run_is_drawn_as_far_as_it_has_come() -> None:
    losses = [1.0, 0.5, 0.25, 0.125]
    figure = plots.plot_training(losses, [look(2, 0.5, 0.4), look(4, 0.3, 0.2)], n_steps=10, smooth=2)
    left, middle, right = figure.axes
    each, mean, raw, ema = left.lines
    assert numbers(each) == ([1, 2, 3, 4], losses)
    assert numbers(mean)[1] == [1.0, 0.75, 0.375, 0.1875]
    assert numbers(raw) == ([2, 4], [0.5, 0.3]) and numbers(ema) == ([2, 4], [0.4, 0.2])
    assert [numbers(line) for line in middle.lines] == [numbers(raw), numbers(ema)]
    assert raw.get_color() == middle.lines[0].get_color() != ema.get_color()
    assert left.get_xlim()[1] == middle.get_xlim()[1] == pytest.approx(10.2) and left.get_yscale() == "log"
    assert middle.get_legend_handles_labels()[1] == ["raw", "EMA"]
    (image,) = right.images
    assert np.array_equal(image.get_array(), image_grid(torch.full((4, 1, 8, 8), 0.04)))
    assert right.get_title() == "EMA, update 4"


def test_a_run_without_looks_is_drawn_too() -> None:
    figure = plots.plot_training([1.0])
    assert isinstance(figure, Figure) and len(figure.axes[0].lines) == 2 and not figure.axes[2].images
    plots.png_bytes(figure)


def test_a_history_is_drawn_beside_what_real_digits_get() -> None:
    given = history()
    figure = plots.plot_history(given)
    left, middle, right = figure.axes
    assert numbers(left.lines[0]) == ([v / 1000 for v in given["loss"]["images"]], given["loss"]["loss"])
    assert left.get_ylim() == (0, pytest.approx(1.25 * 0.13))  # at 64,000 images, update 10
    bars = middle.containers[0]
    assert numbers(bars.lines[0]) == ([64, 192, 640], [0.5, 0.7, 0.9])
    (segments,) = (collection.get_segments() for collection in bars.lines[2])
    assert segments[0][:, 1].tolist() == pytest.approx([0.475, 0.525])  # sqrt(0.5 0.5 / 400) = 0.025
    assert numbers(right.lines[0]) == ([64, 192, 640], [100, 30, 9])
    assert numbers(right.lines[1])[1] == [3, 3] and right.get_yscale() == "log"
    assert [line.get_ydata()[0] for line in middle.lines if line.get_label() == "real digits"] == [0.98]
    plots.png_bytes(figure)


def test_a_history_has_bars_beside_it() -> None:
    figure = plots.plot_history(history(), [0.5, 0.3, 0.15, 0.05])
    bars = figure.axes[3].patches
    assert [bar.get_height() for bar in bars] == [0.5, 0.3, 0.15, 0.05]
    assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == pytest.approx([0.125, 0.375, 0.625, 0.875])
    assert figure.axes[3].get_xlim() == (0, 1)
    plots.png_bytes(figure)


@pytest.mark.parametrize("path", [("quality",), ("loss", "images"), ("quality", "frechet_floor"), ("recognized_real",)])
def test_a_history_that_lacks_something_is_named(path: tuple[str, ...]) -> None:
    given = history()
    place = given if len(path) == 1 else given[path[0]]
    del place[path[-1]]
    with pytest.raises(ValueError, match=f"^history: has no '{path[-1]}'"):
        plots.plot_history(given)


def test_a_history_of_unequal_lists_is_refused() -> None:
    given = history()
    given["quality"]["recognized"].pop()
    with pytest.raises(ValueError, match="^history: got lists of lengths"):
        plots.plot_history(given)


def test_a_live_picture_is_shown_once_and_then_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, Any, Any]] = []

    class Handle:
        def update(self, data: Any, **options: Any) -> None:
            calls.append(("update", data, options))

    def display(data: Any, **options: Any) -> Handle:
        calls.append(("display", data, options))
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    live = plots.LivePicture("A square.")
    for value in (-1.0, 1.0, 0.0):
        live.update(torch.full((1, 4, 4), value))
    assert [name for name, *_ in calls] == ["display", "update", "update"]
    assert calls[0][2].pop("display_id") is True
    for (_, data, options), level in zip(calls, (0, 255, 128), strict=True):
        assert data["text/plain"] == "A square." and options["raw"] is True
        assert options["metadata"] == {"image/png": {"alt": "A square."}}
        assert np.asarray(Image.open(io.BytesIO(data["image/png"])).convert("L"))[0, 0] == level


def test_a_live_picture_needs_its_text() -> None:
    with pytest.raises(ValueError, match="^alt: got ' '"):
        plots.LivePicture(" ")
