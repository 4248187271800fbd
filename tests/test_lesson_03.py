"""What lesson 03 shows under its sliders, once all cells have run: at both ends of each slider, and in the middle."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

import build
from ddpm_lite import plots, widgets

CELLS = [cell.source for cell in build.read_source(build.lessons(["03"])[0]).cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def lesson() -> dict[str, Any]:
    """What the lesson's code has defined when all of it has run."""
    namespace: dict[str, Any] = {}
    explored: list[tuple[Any, dict[str, Any]]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "show", lambda *arguments, **options: None)
        patch.setattr(widgets, "scrub", lambda frames, **options: namespace.update(scrubbed=(frames, options)))
        patch.setattr(widgets, "explore", lambda function, **controls: explored.append((function, controls)))
        dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
        try:
            for source in CELLS:
                exec(source, namespace)
        finally:
            torch.set_default_dtype(dtype)
            torch.set_num_threads(threads)
    return {**namespace, "explored": explored}


def ends_and_middle(choice: tuple[Any, ...]) -> tuple[Any, ...]:
    low, high, step, _ = choice
    return low, low + round((high - low) / 2 / step) * step, high


def test_every_setting_of_the_posterior(lesson: dict[str, Any]) -> None:
    picture, controls = lesson["explored"][0]
    for t, x_t in itertools.product(range(1, 11), ends_and_middle(controls["x_t"])):
        picture(t, x_t)
        x, y = (np.asarray(a) for a in picture.lines["posterior"].get_data())
        mean, variance = (float(v) for v in lesson["q_posterior"](1.0, x_t, t))
        assert float(x[y.argmax()]) == pytest.approx(mean, abs=0.01)
        assert y.max() <= picture.axis.get_ylim()[1], f"t = {t}: the posterior leaves the picture"
        if t > 1:
            assert y.max() == pytest.approx((2 * np.pi * variance) ** -0.5, rel=1e-3)
    assert controls["t"][:2] == (1, 10)


def test_every_setting_of_the_step_without_x_0(lesson: dict[str, Any]) -> None:
    picture, controls = lesson["explored"][1]
    for log10_beta, x_t in itertools.product(*(ends_and_middle(controls[name]) for name in ("log10_beta", "x_t"))):
        picture(log10_beta, x_t)
        x, y = (np.asarray(a) for a in picture.exact.get_data())
        assert y.max() == 1 and y[0] < 0.05 and y[-1] < 0.05
        assert float(np.max(picture.gaussian.get_ydata())) < picture.axis.get_ylim()[1]


def test_both_pictures_change_with_each_slider(lesson: dict[str, Any]) -> None:
    for picture, controls in lesson["explored"]:
        names = [name for name, choice in controls.items() if isinstance(choice, tuple)]
        settings = {name: controls[name][3] for name in names}
        plots.settle_layout(picture(**settings))  # as `explore` does
        first = plots.png_bytes(picture(**settings))
        for name in names:
            assert plots.png_bytes(picture(**{**settings, name: controls[name][3] + controls[name][2]})) != first, name
        assert plots.png_bytes(picture(**settings)) == first


def test_the_frames_of_the_digits(lesson: dict[str, Any]) -> None:
    frames, options = lesson["scrubbed"]
    assert list(frames) == ["x_0", "x_t", "mu_tilde", "x"]
    assert all(len(view) == len(options["labels"]) == 20 for view in frames.values())
    x_0, x_t, mu_tilde, drawn = (torch.stack(view).double() for view in frames.values())

    def error(x: torch.Tensor) -> torch.Tensor:
        return (x - x_0).square().flatten(1).mean(1)

    assert bool((error(mu_tilde) < error(x_t)).all())  # nearer to x_0 at every t
    assert bool((error(mu_tilde)[1:] < error(drawn)[1:]).all())  # with less noise than a true x_{t-1}
    assert bool((error(drawn) < error(x_t)).all())
    assert bool((error(x_t)[1:] > error(x_t)[:-1]).all())
