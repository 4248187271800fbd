"""The pictures of lesson 07: they draw, show the numbers that they were given, and name bad input."""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
import torch

from ddpm_lite import GaussianDiffusion, cosine_beta_schedule, linear_beta_schedule, plots

T = 30
DIFFUSION = GaussianDiffusion(cosine_beta_schedule(T))


def arm(name: str, sigma: str, clip: bool, shift: float) -> dict[str, Any]:
    times = list(range(T + 1))
    noted = {
        "t": times,
        "outside": [0.3 + shift for _ in times],
        "far": [0.1 + shift for _ in times],
        "excess": [0.02 + shift for _ in times],
        "largest": [1.5 + t / T + shift for t in times],
    }
    scores = {"recognized": {"mean": 0.8 + shift, "se": 0.02}, "frechet": {"mean": 30 + shift, "se": 1.5}}
    return {"name": name, "sigma": sigma, "clip": clip, "n": 400, **scores, "x0_hat": noted}


@pytest.fixture
def study() -> dict[str, Any]:
    arms = [arm("a, clipped", "beta_tilde", True, 0.0), arm("a, plain", "beta_tilde", False, 0.1)]
    arms += [arm("b, clipped", "beta", True, 0.05)]
    return {"T": T, "floor": {"mean": 12.5, "se": 0.5}, "recognized_real": 0.98, "arms": arms}


def lines(axis: Any) -> list[tuple[list[float], list[float]]]:
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in axis.lines]


def test_error_factors_are_those_of_the_two_means() -> None:
    chains = {"cosine": DIFFUSION, "linear": GaussianDiffusion(linear_beta_schedule(200))}
    figure = plots.plot_error_factors(chains)
    assert [axis.get_title() for axis in figure.axes] == ["cosine", "linear"]
    for axis, diffusion in zip(figure.axes, chains.values(), strict=True):
        (x, passed_on), (_, bound) = lines(axis)
        assert x[-1] == 1 and len(x) == diffusion.T
        t = torch.arange(1, diffusion.T + 1)
        x_t, eps = torch.zeros(2, diffusion.T, 1)
        mean, _, _ = diffusion.p_mean_variance(eps + 0.001, x_t, t, clip=False)
        assert np.allclose(passed_on, -1000 * mean[:, 0].double().numpy(), rtol=1e-3)
        assert np.allclose(bound, 2 * diffusion.mu_coef_x_0[1:].numpy(), rtol=1e-5)
    plots.png_bytes(figure)
    with pytest.raises(ValueError, match="diffusions: got an empty dict"):
        plots.plot_error_factors({})


def test_saturation_shows_the_arms_with_beta_tilde(study: dict[str, Any]) -> None:
    figure = plots.plot_saturation(study)
    left, middle, right = figure.axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["chain with clipping", "chain without"]
    assert len(left.lines) == len(right.lines) == 4
    noted = study["arms"][1]["x0_hat"]
    assert lines(left)[2] == (list(range(1, T + 1)), pytest.approx([100 * v for v in noted["outside"][1:]]))
    assert lines(middle) == lines(left) and middle.get_xlim() == pytest.approx((0.95 * T, 1.002 * T))
    assert lines(right)[2][0] == list(range(T, 0, -1))
    assert lines(right)[2][1] == pytest.approx([v - 1 for v in noted["largest"][1:]])
    assert lines(right)[3][1] == pytest.approx(noted["excess"][1:])
    plots.png_bytes(figure)
    with pytest.raises(ValueError, match="study: got no arm with x0_hat"):
        plots.plot_saturation({"arms": [study["arms"][2]]})


def test_arms_show_both_scores_with_two_standard_errors(study: dict[str, Any]) -> None:
    figure = plots.plot_arms(study)
    left, right = figure.axes
    points, bars = left.containers[0][0], right.containers[0][2][0]
    assert list(points.get_xdata()) == pytest.approx([80, 90, 85])
    assert [float(segment[1][0] - segment[0][0]) for segment in bars.get_segments()] == pytest.approx([6, 6, 6])
    assert list(right.containers[0][0].get_xdata()) == pytest.approx([30, 30.1, 30.05])
    assert [tick.get_text() for tick in left.get_yticklabels()] == [arm["name"] for arm in study["arms"]]
    assert any(list(line.get_xdata()) == [12.5, 12.5] for line in right.lines)
    (band,) = right.patches
    assert (band.get_x(), band.get_width()) == pytest.approx((11.5, 2))
    plots.png_bytes(figure)
    with pytest.raises(ValueError, match="study: got no arms"):
        plots.plot_arms({**study, "arms": []})


@pytest.mark.parametrize("n", [20, 100, 500])
def test_bars_of_a_share_end_where_it_is_two_of_their_standard_errors_away(study: dict[str, Any], n: int) -> None:
    shares = (1.0, 0.0, 0.93)
    for one, share in zip(study["arms"], shares, strict=True):
        one |= {"n": n, "recognized": {"mean": share, "se": (share * (1 - share) / n) ** 0.5}}
    bars = plots.plot_arms(study).axes[0].containers[0][2][0].get_segments()
    for bar, share in zip(bars, shares, strict=True):
        low, high = (float(x) / 100 for x, _ in bar)
        assert -1e-12 <= low <= share <= high <= 1 + 1e-12 and high - low > 1 / n
        for end in (low, high):  # at 0 and at 1 the share itself is one end
            assert abs(share - end) == pytest.approx(2 * max(end * (1 - end) / n, 0) ** 0.5, abs=1e-7)


def test_sigmas_and_what_they_do() -> None:
    chains = {T: DIFFUSION, 6: GaussianDiffusion(cosine_beta_schedule(6))}
    spread = {
        ("one image", "beta", T): torch.linspace(2, 1, T),
        ("Gaussian", "beta_tilde", T): torch.linspace(0.5, 1, T),
        ("Gaussian", "beta_tilde", 6): torch.linspace(0.7, 1, 6),
    }
    figure = plots.plot_sigmas(chains, spread)
    left, image, gaussian = figure.axes
    assert lines(left)[0] == (pytest.approx([k / T for k in range(1, T + 1)]),
                              pytest.approx(DIFFUSION.beta[1:].sqrt().tolist()))  # fmt: skip
    assert lines(left)[1][1] == pytest.approx(DIFFUSION.beta_tilde[2:].sqrt().tolist())
    assert lines(left)[3][1] == pytest.approx(chains[6].beta_tilde[2:].sqrt().tolist())
    assert image.get_title() == "one image" and len(image.lines) == 1
    assert lines(gaussian)[0][1] == pytest.approx(spread["Gaussian", "beta_tilde", T].tolist())
    assert lines(gaussian)[1] == (pytest.approx([k / 6 for k in range(1, 7)]),
                                  pytest.approx(spread["Gaussian", "beta_tilde", 6].tolist()))  # fmt: skip
    assert [line.get_linestyle() for line in gaussian.lines] == ["-", "--"]
    plots.png_bytes(figure)
    for wrong in ("gamma", T), ("beta", 7):
        with pytest.raises(ValueError, match="spread: got .*wanted beta or beta_tilde, steps"):
            plots.plot_sigmas(chains, {("one image", *wrong): torch.ones(T)})
    with pytest.raises(ValueError, match=r"has shape \(5,\), wanted \(6,\)"):
        plots.plot_sigmas(chains, {("one image", "beta", 6): torch.ones(5)})


def test_settled_shares() -> None:
    curves = {"same digit": torch.tensor([1.0, 0.5, 0.1]), "fine": [1.0, 0.2, -0.3]}
    figure = plots.plot_settled([0, 500, 1000], curves, chance=0.1)
    (axis,) = figure.axes
    assert lines(axis)[0] == ([0, 500, 1000], pytest.approx([1.0, 0.5, 0.1]))
    assert lines(axis)[2][1] == [0.1, 0.1]
    assert axis.get_ylim()[0] <= -0.3
    plots.png_bytes(figure)
    with pytest.raises(ValueError, match=r"curves: 'fine' has shape \(2,\), wanted \(3,\)"):
        plots.plot_settled([0, 1, 2], {"fine": [1.0, 0.5]})


def test_nearest_shows_shares_below_each_distance() -> None:
    distances = {"samples": torch.tensor([6.0, 4.0, 5.0]), "test images": torch.linspace(3, 8, 50)}
    figure = plots.plot_nearest(distances)
    (axis,) = figure.axes
    for line, d in zip(axis.lines, distances.values(), strict=True):
        x, share = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        for limit in (3.5, 5.5, 9.0):
            shown = share[np.searchsorted(x, limit, side="right") - 1]
            assert shown == pytest.approx(float((d <= limit).float().mean()))
    assert axis.get_xlim()[1] >= 8
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["samples (3)", "test images (50)"]
    plots.png_bytes(figure)
    for bad in ({}, {"samples": torch.zeros(0)}):  # nothing to draw
        with pytest.raises(ValueError, match="distances: got none"):
            plots.plot_nearest(bad)


def stored() -> Any:
    return json.loads((files("ddpm_lite") / "assets" / "clipping.json").read_text("utf-8"))


def test_the_stored_study_has_many_digits() -> None:
    assert stored()["n"] >= 100, "repeat it: python benchmarks/clipping.py --n 500"


def test_the_stored_study_is_whole_and_can_be_drawn() -> None:
    study = stored()
    assert {"command", "machine", "seed", "n", "T", "checkpoint", "floor", "nearest", "arms"} <= set(study)
    assert study["command"].startswith("python benchmarks/clipping.py") and len(study["checkpoint"]["sha256"]) == 64
    settings = [(arm["sigma"], arm["clip"], arm["last_noise"]) for arm in study["arms"]]
    assert settings == [
        ("beta_tilde", True, False),
        ("beta_tilde", False, False),
        ("beta", True, False),
        ("beta", False, False),
        ("beta", True, True),
    ]
    assert str(study["n"]) in study["floor"]["compared"] and study["floor"]["se"] > 0
    first = study["arms"][0]
    assert first["frechet_minus_first"] == {"mean": 0, "se": 0}
    for arm in study["arms"]:
        assert arm["n"] == study["n"] and 0 <= arm["recognized"]["mean"] <= 1
        assert len(arm["frechet"]["leave_out"]) == 10
        gap = arm["frechet"]["mean"] - first["frechet"]["mean"]
        assert arm["frechet_minus_first"]["mean"] == pytest.approx(gap)
        if "x0_hat" in arm:
            noted = arm["x0_hat"]
            assert noted["t"][0] == 0 and noted["t"][-1] == study["T"]
            assert noted["outside"][-1] > 0.9, "the lesson says that at T nearly all pixels are outside"
            late = [far for t, far in zip(noted["t"], noted["far"], strict=True) if t <= 200]
            assert max(late) < 0.05, "and later few, as to errors above 0.1"
            assert (noted["largest"][0] <= 1 + 1e-6) or not arm["clip"]
            assert all(len(values) == len(noted["t"]) for values in noted.values())
            assert all(a >= b for a, b in zip(noted["outside"], noted["far"], strict=True))
    changed = copy.deepcopy(study)
    changed["arms"][0]["x0_hat"]["outside"] = [0.0] * len(first["x0_hat"]["t"])
    pictures = [plots.png_bytes(plots.plot_saturation(s)) for s in (study, changed)]
    assert pictures[0] != pictures[1]
    plots.png_bytes(plots.plot_arms(study))
