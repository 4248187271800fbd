"""Pictures of one step back: each curve is the density it claims to be, one figure is kept, bad input is named."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ddpm_lite import GaussianDiffusion, cosine_beta_schedule, linear_beta_schedule, plots
from ddpm_lite.data import GaussianMixture

DIFFUSION = GaussianDiffusion(cosine_beta_schedule(10), dtype=torch.float64)
MIX = GaussianMixture([[-1.0], [1.0], [0.0]], [0.3, 0.3, 0.5], [0.35, 0.5, 0.15])


def curve(line: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


def moments(line: Any) -> tuple[float, float, float]:
    """Area, mean and variance of a curve."""
    x, y = curve(line)
    step = x[1] - x[0]
    area = float(y.sum() * step)
    mean = float((x * y).sum() * step) / area
    return area, mean, float(((x - mean) ** 2 * y).sum() * step) / area


@pytest.mark.parametrize("t, x_t", [(2, 0.8), (5, -0.5), (7, 0.0)])
def test_the_curves_are_prior_likelihood_product_and_posterior(t: int, x_t: float) -> None:
    picture = plots.PosteriorPicture(DIFFUSION, 1.0, limit=6.0)
    picture(t, x_t)
    lines = picture.lines
    alpha_bar, alpha = DIFFUSION.alpha_bar, float(DIFFUSION.alpha[t])
    given = torch.tensor([1.0, x_t], dtype=torch.float64)
    area, mean, variance = moments(lines["prior"])
    before = float(alpha_bar[t - 1])
    assert (area, mean, variance) == pytest.approx((1, before**0.5, 1 - before), abs=1e-6)
    area, mean, variance = moments(lines["likelihood"])
    assert (area, mean, variance) == pytest.approx((alpha**-0.5, x_t * alpha**-0.5, (1 - alpha) / alpha), abs=1e-6)
    mu_tilde, beta_tilde = DIFFUSION.q_posterior(given[:1], given[1:], t)
    product = moments(lines["product"])
    assert product[1:] == pytest.approx((float(mu_tilde), float(beta_tilde)), abs=1e-9)
    assert moments(lines["posterior"]) == pytest.approx((1, float(mu_tilde), float(beta_tilde)), abs=1e-9)
    np.testing.assert_allclose(curve(lines["product"])[1] / product[0], curve(lines["posterior"])[1], atol=1e-9)
    assert f"area of the product {product[0]:.2g};" in picture.axis.get_title()
    assert list(picture.given.get_xdata()) == [x_t]


def test_the_axis_is_as_high_as_the_curves_need() -> None:
    picture, heights = plots.PosteriorPicture(DIFFUSION, 1.0, height=3.0), []
    for t in range(1, 11):
        picture(t, -0.5)
        heights.append(picture.axis.get_ylim()[1])
        highest = max(np.max(line.get_ydata(), initial=0) for line in picture.lines.values())
        assert highest <= heights[-1] and (heights[-1] == 1.5 or highest >= 1.35)
    assert heights == [3.0] * 3 + [1.5] * 7


def test_small_numbers_in_the_titles_are_not_rounded_to_zero() -> None:
    far = plots.PosteriorPicture(DIFFUSION, 1.0)(2, -0.5).axes[0].get_title()
    area = float(far.split("product ")[1].split(";")[0])
    assert 0 < area < 1e-3
    assert 0 < float(plots.plot_reverse(MIX, 1e-3, 0.1).axes[0].get_title().split()[-1]) < 1e-3


def test_at_the_first_step_prior_and_posterior_are_one_place() -> None:
    picture = plots.PosteriorPicture(DIFFUSION, 0.7)
    picture(1, -0.5)
    for name in ("prior", "posterior"):
        assert list(picture.lines[name].get_xdata()) == [0.7, 0.7]
    assert moments(picture.lines["likelihood"])[1] == pytest.approx(-0.5 / float(DIFFUSION.alpha[1]) ** 0.5, abs=1e-3)
    picture(2, -0.5)  # and it comes back from there
    assert len(picture.lines["posterior"].get_xdata()) > 100


def test_one_figure_is_kept_and_redrawn() -> None:
    picture = plots.PosteriorPicture(DIFFUSION, 1.0)
    assert picture(3, 0.2) is picture(4, 0.1) is picture.figure
    reverse = plots.ReversePicture(MIX)
    assert reverse(-1, 0.2) is reverse(-2, 0.1) is reverse.figure
    assert len(picture.axis.lines) == 6 and len(reverse.axis.lines) == 4


def test_the_static_forms_show_the_same() -> None:
    picture = plots.PosteriorPicture(DIFFUSION, 1.0)
    static = plots.plot_posterior(DIFFUSION, x_0=1.0, x_t=-0.5, t=5)
    assert plots.png_bytes(static) == plots.png_bytes(picture(5, -0.5))
    reverse = plots.ReversePicture(MIX)
    assert plots.png_bytes(plots.plot_reverse(MIX, 0.1, 0.2)) == plots.png_bytes(reverse(-1.0, 0.2))


@pytest.mark.parametrize("beta, x_t", [(0.01, 0.1), (0.3, -0.4), (0.9, 0.8)])
def test_the_reverse_step_is_exact_and_the_gaussian_has_its_moments(beta: float, x_t: float) -> None:
    picture = plots.ReversePicture(MIX, limit=5.0)
    picture(math.log10(beta), x_t)
    x, exact = curve(picture.exact)
    law = MIX.log_prob(torch.from_numpy(x)[:, None]).numpy() - (x_t - math.sqrt(1 - beta) * x) ** 2 / (2 * beta)
    np.testing.assert_allclose(exact, np.exp(law - law.max()), atol=1e-9)
    assert exact.max() == 1
    assert moments(picture.gaussian)[1:] == pytest.approx(moments(picture.exact)[1:], abs=1e-4)
    gaussian = curve(picture.gaussian)[1]
    distance = np.abs(exact - gaussian).sum() / exact.sum() / 2
    assert float(picture.axis.get_title().split()[-1]) == pytest.approx(distance, rel=0.06)


def test_a_large_step_has_two_bumps_and_a_small_one_has_one() -> None:
    picture, bumps = plots.ReversePicture(MIX), []
    for log10_beta in (-0.2, -3.0):
        picture(log10_beta, 0.1)
        y = curve(picture.exact)[1]
        bumps.append(int(((y[1:-1] > y[:-2]) & (y[1:-1] >= y[2:]) & (y[1:-1] > 1e-3)).sum()))
    assert bumps == [2, 1]


def test_the_weights_are_the_tables() -> None:
    diffusion = GaussianDiffusion(linear_beta_schedule(100), dtype=torch.float64)
    figure = plots.plot_posterior_weights(diffusion)
    left, right = figure.axes
    for line, table in zip(left.lines, (diffusion.mu_coef_x_0, diffusion.mu_coef_x_t), strict=True):
        x, y = curve(line)
        assert x.tolist() == list(range(1, 101))
        np.testing.assert_allclose(y, table[1:].numpy(), atol=1e-6)
    ratio = (1 - diffusion.alpha_bar[:-1]) / (1 - diffusion.alpha_bar[1:])
    np.testing.assert_allclose(curve(right.lines[0])[1], ratio.numpy(), atol=1e-6)
    assert [curve(right.lines[1])[i].tolist() for i in (0, 1)] == [[1], [0]]
    plots.png_bytes(figure)


def test_the_distances_are_drawn_as_given() -> None:
    beta = torch.tensor([0.001, 0.01, 0.1])
    figure = plots.plot_gaussian_distance(beta, {"a": [1e-4, 1e-3, 1e-2], "b": torch.tensor([0.1, 0.2, 0.3])})
    axis = figure.axes[0]
    assert [line.get_label() for line in axis.lines] == ["a", "b"]
    assert curve(axis.lines[0])[1].tolist() == [1e-4, 1e-3, 1e-2]
    assert axis.get_xscale() == axis.get_yscale() == "log"
    plots.png_bytes(figure)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: plots.plot_posterior(DIFFUSION, 1.0, 0.0, 0), ValueError, "t must be between 1 and 10, got 0"),
        (lambda: plots.plot_posterior(DIFFUSION, 1.0, 0.0, 11), ValueError, "t must.*11"),
        (lambda: plots.plot_posterior(DIFFUSION, 1.0, 0.0, 2.5), TypeError, "t must.*float"),
        (lambda: plots.plot_posterior(DIFFUSION, math.nan, 0.0, 2), ValueError, "^x_0: got nan"),
        (lambda: plots.plot_posterior(DIFFUSION, 1.0, math.inf, 2), ValueError, "^x_t: got inf"),
        (lambda: plots.plot_posterior(DIFFUSION, 1.0, "a", 2), TypeError, "^x_t: got str"),
        (lambda: plots.plot_reverse(GaussianMixture.ring(), 0.1, 0.0), ValueError, "one dimension, got 2"),
        (lambda: plots.plot_reverse(MIX, 0.0, 0.0), ValueError, "^beta: got 0.0"),
        (lambda: plots.plot_reverse(MIX, 0.5, math.nan), ValueError, "^x_t: got nan"),
        (lambda: plots.ReversePicture(MIX)(0.1, 0.0), ValueError, "beta must lie in"),
        (lambda: plots.plot_gaussian_distance([0.1], {}), ValueError, "^curves: got an empty dict"),
        (lambda: plots.plot_gaussian_distance([0.1], {"a": [1.0, 2.0]}), ValueError, r"^curves\['a'\]: got shape"),
    ],
)
def test_bad_input_is_named(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
