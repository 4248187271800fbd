"""The pictures of the bound show the numbers that they were given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ddpm_lite import GaussianDiffusion, linear_beta_schedule, plots
from ddpm_lite.targets import bound_weight, relative_weight


def curve(t: list[int], mean: list[float], se: float = 0.01) -> dict[str, Any]:
    return {"t": torch.tensor(t), "mean": torch.tensor(mean), "se": torch.full((len(t),), se)}


def test_the_two_models_have_their_boxes_and_arrows() -> None:
    figure = plots.plot_latent_models()
    top, bottom = figure.axes
    assert "VAE" in top.get_title() and "fixed" in bottom.get_title()
    assert len(top.patches) == len(bottom.patches) == 4
    widths = [[patch.get_width() for patch in axis.patches] for axis in (top, bottom)]
    assert widths[0] == sorted(widths[0], reverse=True) and widths[0][0] > 2 * widths[0][-1]
    assert len(set(widths[1])) == 1  # latents as large as the data
    for axis, n_fixed in ((top, 0), (bottom, 4)):
        arrows = [text.arrow_patch for text in axis.texts if getattr(text, "arrow_patch", None) is not None]
        assert len(arrows) == 8
        grey = [arrow for arrow in arrows if np.allclose(arrow.get_edgecolor()[:3], 0x66 / 255)]
        assert len(grey) == n_fixed
    assert plots.png_bytes(figure)


def test_terms_and_their_sum() -> None:
    figure = plots.plot_bound_terms({"one": curve([1, 2, 4], [1.0, 0.5, 0.1]), "two": curve([1, 3], [0.3, 0.1])})
    left, right = figure.axes
    np.testing.assert_allclose(left.lines[0].get_xydata(), [[2, 0.5], [4, 0.1]], rtol=1e-6)
    np.testing.assert_allclose(left.lines[1].get_xydata(), [[1, 1]])  # L_0 stands alone
    assert left.lines[1].get_marker() == "s" and left.lines[0].get_marker() == "o"
    band, bar = (left.collections[i].get_paths()[0].vertices for i in (0, 1))  # of the first curve
    for t, mean in [(1, 1.0), (2, 0.5), (4, 0.1)]:
        corners = bar if t == 1 else band
        edges = corners[corners[:, 0] == t][:, 1]
        np.testing.assert_allclose([edges.min(), edges.max()], [mean - 0.02, mean + 0.02], rtol=1e-5)
    np.testing.assert_allclose(right.lines[0].get_ydata(), [1.0, 1.5, 1.8, 1.9], rtol=1e-6)  # 0.3 at t = 3: between
    np.testing.assert_allclose(right.lines[1].get_ydata(), [0.3, 0.5, 0.6], rtol=1e-6)
    for axis in (left, right):
        assert axis.get_legend_handles_labels()[1] == ["one", "two"] and axis.get_legend() is not None
    assert left.get_yscale() == "log" and "bits/dim" in left.get_ylabel()
    assert plots.png_bytes(figure)


def test_terms_of_zero_and_below_are_drawn_off_the_axis() -> None:
    assert plots.png_bytes(plots.plot_bound_terms({"exact": curve([1, 2, 3], [0.4, 0.0, -1e-9])}))


@pytest.mark.parametrize(
    "curves, message",
    [
        ({}, "^curves: got an empty dict"),
        ({"a": curve([1, 2], [1.0, 1.0, 1.0])}, r"^curves\['a'\]: got shapes"),
        ({"a": curve([1], [1.0])}, r"^curves\['a'\]: got shapes"),
        ({"a": curve([2, 1], [1.0, 1.0])}, r"^curves\['a'\]\['t'\]: got"),
        ({"a": curve([0, 1], [1.0, 1.0])}, r"^curves\['a'\]\['t'\]: got"),
        ({"a": curve([1, 2], [1.0, float("nan")])}, r"^curves\['a'\].*NaN"),
        ({"a": curve([1, 2], [1.0, float("inf")])}, r"^curves\['a'\].*infinite"),
    ],
)
def test_bad_curves_are_named(curves: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plots.plot_bound_terms(curves)


def test_weights_are_those_of_the_targets_scaled_to_mean_1() -> None:
    diffusion = GaussianDiffusion(linear_beta_schedule(50))
    left, right = plots.plot_target_weights(diffusion).axes
    expected = [bound_weight(diffusion), bound_weight(diffusion, sigma="beta"), torch.ones(51)]
    for line, weight in zip(left.lines, expected, strict=True):
        assert list(line.get_xdata()) == list(range(2, 51))
        np.testing.assert_allclose(line.get_ydata(), weight[2:] / weight[2:].mean())
    for line, target in zip(right.lines, ("mu_tilde", "x_0", "eps"), strict=True):
        weight = relative_weight(diffusion, target)
        np.testing.assert_allclose(line.get_ydata(), weight[2:] / weight[2:].mean())


def test_scores_are_dots_and_means() -> None:
    scores = {"distance": {"a": [1.0, 2.0, 3.0], "b": [0.5, 0.7]}, "loss": {"a": [4.0], "b": torch.tensor([5.0])}}
    figure = plots.plot_scores(scores, {"distance": 0.2})
    left, right = figure.axes
    assert list(left.lines[0].get_xdata()) == [1, 2, 3] and list(left.lines[0].get_ydata()) == [0, 0, 0]
    assert list(left.lines[1].get_xdata()) == [2] and list(left.lines[3].get_xdata()) == [0.6]
    assert left.lines[4].get_xdata()[0] == 0.2 and len(right.lines) == 4
    assert [label.get_text() for label in left.get_yticklabels()] == ["a", "b"]
    assert [axis.get_xlabel() for axis in (left, right)] == ["distance", "loss"]
    named = plots.plot_scores({"m": {"plain, mu_tilde": [1.0], "x_0": [2.0], "epsilon": [3.0]}}).axes[0]
    assert [label.get_text() for label in named.get_yticklabels()] == [r"plain, $\tilde\mu_t$", "$x_0$", "epsilon"]
    assert plots.png_bytes(figure)


@pytest.mark.parametrize(
    "scores, message",
    [
        ({}, "^scores: got an empty dict"),
        ({"m": {"a": [1.0]}, "n": {"b": [1.0]}}, r"^scores\['n'\]: got methods \['b'\], wanted \['a'\]"),
        ({"m": {"a": []}}, r"^scores\['m'\]\['a'\]: got"),
        ({"m": {"a": [float("inf")]}}, r"^scores\['m'\]\['a'\]: got"),
    ],
)
def test_bad_scores_are_named(scores: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plots.plot_scores(scores)


def test_clouds_can_be_moved() -> None:
    clouds = {"a": torch.randn(20, 2), "b": torch.zeros(5, 2), "c": torch.ones(5, 2), "plain, eps": torch.ones(5, 2)}
    figure = plots.plot_clouds(clouds, n_columns=3)
    assert [axis.get_title() for axis in figure.axes] == ["a", "b", "c", r"plain, $\epsilon$"]  # no empty panels
    np.testing.assert_allclose(figure.axes[0].collections[0].get_offsets(), clouds["a"])
    figure.axes[0].collections[0].set_offsets(clouds["b"])
    np.testing.assert_allclose(figure.axes[0].collections[0].get_offsets(), clouds["b"])
    assert plots.png_bytes(figure)


@pytest.mark.parametrize(
    "clouds, message",
    [({}, "^clouds: got an empty dict"), ({"a": torch.zeros(4, 3)}, r"^clouds\['a'\]: got shape \(4, 3\)")],
)
def test_bad_clouds_are_named(clouds: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plots.plot_clouds(clouds)
