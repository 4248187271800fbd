"""What lesson 04's sliders show: shares that fall from all to nothing, and samples at the t that the label names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import build
from ddpm_lite import GaussianDiffusion, cosine_beta_schedule, plots, widgets

CELLS = [cell.source for cell in build.read_source(build.lessons(["04"])[0]).cells if cell.cell_type == "code"]


def run(marks: list[str], namespace: dict[str, Any]) -> dict[str, Any]:
    """Run the setup cell and the cells that contain the marks, with what the sliders get kept under "scrubs"."""
    namespace["scrubs"] = []

    def scrub(frames: Any, **options: Any) -> None:
        namespace["scrubs"].append((frames, options))

    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.setattr(torch, "set_num_threads", lambda n: None)
        patch.setattr(plots, "show", lambda *arguments, **options: None)
        patch.setattr(widgets, "scrub", scrub)
        given = dict(namespace)
        exec(CELLS[0], namespace)
        namespace.update(given)
        for mark in marks:
            (source,) = [source for source in CELLS if mark in source]
            exec(source, namespace)
    return namespace


def test_the_shares_fall_from_all_to_nothing() -> None:
    chosen, asked = torch.full((6, 1, 28, 28), 0.5), []

    def model(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        asked.append(t.tolist())
        return torch.zeros_like(x_t)

    trained = {"t": np.array([1, 10, 1000]), "mean": np.array([9.0, 0, 0]), "error": np.array([999.0, 990, 0])}
    diffusion = GaussianDiffusion(cosine_beta_schedule(1000))
    lesson = run(["def above(y)"], {"chosen": chosen, "model": model, "trained": trained, "diffusion": diffusion})
    ((views, options),) = lesson["scrubs"]
    film = np.array(lesson["film"])
    assert film[0] == 0 and film[-1] == 1000 and (np.diff(film) > 0).all()
    assert asked == [[t] * 6 for t in film[1:]]
    assert views["x_t"].shape == views["x0_hat"].shape == (len(film), 6, 1, 28, 28)
    assert torch.equal(views["x_t"][0], chosen) and torch.equal(views["x0_hat"][0], chosen)
    left = [sum(range(10 - t)) / 45 if t < 10 else 0 for t in film]  # the terms are 9, 8, ..., 1, 0, 0, ...
    np.testing.assert_allclose(options["curve"]["bound"], left, atol=1e-6)
    left = (1000 - film) * (999 - film) / 2 / 499500  # the errors are 999, 998, ..., 1, 0
    np.testing.assert_allclose(options["curve"]["L_simple"], left, atol=1e-6)
    assert options["labels"][0] == "t = 0, bound 100%, L_simple 100%"
    assert options["labels"][-1] == "t = 1000, bound 0%, L_simple 0%"


@pytest.fixture(scope="module")
def plane() -> dict[str, Any]:
    """The lesson's cells on points in the plane, with networks trained for 3 steps in place of hundreds."""
    lesson = run(["def train("], {})
    lesson["train"].__defaults__ = (3,)
    namespace = run(["def distance("], lesson)
    return run(["def update(i)"], namespace)


def test_six_losses_three_or_six_runs_three_measures(plane: dict[str, Any]) -> None:
    keys = [f"{w}, {y}" for w in ("plain", "bound") for y in ("mu_tilde", "x_0", "eps")]
    assert list(plane["walks"]) == [*keys[:3], "data", *keys[3:]] and len(plane["scores"]) == 3
    assert bool((plane["walks"]["data"] == plane["fresh"]).all())
    assert all(list(rows) == keys for rows in plane["scores"].values())
    for rows in plane["scores"].values():
        assert all(x.shape == (6 if "x_0" in key else 3,) and bool(x.isfinite().all()) for key, x in rows.items())
    for weighting in ("plain", "bound"):  # the plain weight is 1, the bound's is the library's
        assert set(plane["weights"][weighting]) == {"mu_tilde", "x_0", "eps"}
    assert bool((plane["weights"]["plain"]["x_0"] == 1).all())


def test_a_seed_decides_a_run_and_the_weighting_matters(plane: dict[str, Any]) -> None:
    x_t, t = torch.randn(5, 2), torch.full((5,), 20)
    train = plane["train"]
    with torch.random.fork_rng():
        first = train("x_0", "plain", 0)(x_t, t)
        torch.testing.assert_close(train("x_0", "plain", 0)(x_t, t), first)
        assert not torch.allclose(train("x_0", "bound", 0)(x_t, t), first)
        assert not torch.allclose(train("x_0", "plain", 1)(x_t, t), first)


def test_the_distance_is_that_of_a_shift(plane: dict[str, Any]) -> None:
    a = torch.randn(200, 2)
    assert plane["distance"](a, a[torch.randperm(200)]) == 0
    shifted = plane["distance"](a, a + torch.tensor([0.3, 0.0]))
    assert shifted == pytest.approx(0.3 * 2 / torch.pi, rel=0.01)  # the mean of |cos| over directions


def test_each_frame_shows_the_samples_at_its_t(plane: dict[str, Any]) -> None:
    ((frames, options),) = plane["scrubs"]
    times = plane["film_2d"]
    assert times[0] == 0 and times[-1] == 50 and len(frames) == len(times) == len(options["labels"])
    for i in (0, 7, len(times) - 1):
        plane["update"](i)
        for axis, walk in zip(plane["figure"].axes, plane["walks"].values(), strict=True):
            np.testing.assert_allclose(axis.collections[0].get_offsets(), walk[50 - times[i]], atol=1e-6)
        assert options["labels"][i] == f"t = {times[i]}"
    assert torch.equal(next(iter(plane["walks"].values()))[0], plane["start"])
