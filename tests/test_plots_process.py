"""Pictures of the forward process: what is drawn is what was given; bad input is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddpm_lite import GaussianDiffusion, linear_beta_schedule, plots
from ddpm_lite.toys import GaussianMixture


def test_chains_show_every_image_and_two_arrows_between_neighbors() -> None:
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    (axis,) = plots.plot_chains(images, [0, 10, 20, 30]).axes
    assert len(axis.images) == 4 and bool((torch.tensor(axis.images[2].get_array()) == images[2, 0]).all())
    texts = [text.get_text() for text in axis.texts]
    assert texts.count("10 steps") == 3
    (axis,) = plots.plot_chains(images[:2], [0, 1]).axes
    assert "1 step" in [text.get_text() for text in axis.texts]
    assert "$x_{20}$" in texts and texts.count("") == 6  # an arrow is an annotation without words


@pytest.mark.parametrize("n, times", [(3, [0, 1]), (1, [0])])
def test_chains_want_a_time_for_each_image(n: int, times: list[int]) -> None:
    with pytest.raises(ValueError, match="images and times must be as many, at least 2"):
        plots.plot_chains(torch.zeros(n, 1, 4, 4), times)


def test_schedules_are_drawn_from_the_tables() -> None:
    one, two = (GaussianDiffusion(linear_beta_schedule(T)) for T in (100, 200))
    left, middle, right = plots.plot_schedules({"a": one, "b": two}).axes
    assert left.get_xlabel() == "$t/T$" and left.get_legend_handles_labels()[1] == ["a", "b"]
    np.testing.assert_allclose(left.lines[0].get_ydata(), one.alpha_bar)
    np.testing.assert_allclose(middle.lines[1].get_ydata() ** 2, 1 - one.alpha_bar, atol=1e-6)
    odds = two.alpha_bar[1:] / (1 - two.alpha_bar[1:])
    np.testing.assert_allclose(right.lines[1].get_ydata(), odds.log(), rtol=1e-4, atol=1e-4)
    crossings = [float(line.get_xdata()[0]) for line in right.lines if len(line.get_xdata()) == 1]
    equal = [int((d.alpha_bar - 0.5).abs().argmin()) / d.T for d in (one, two)]  # where signal and noise are one
    np.testing.assert_allclose(crossings, equal, atol=0.01)
    assert plots.plot_schedules({"a": one}).axes[0].get_xlabel() == "$t$"
    with pytest.raises(ValueError, match="^diffusions: got an empty dict"):
        plots.plot_schedules({})


def test_a_schedule_that_keeps_the_signal_never_crosses() -> None:
    weak = GaussianDiffusion(torch.full((10,), 0.01))
    right = plots.plot_schedules({"weak": weak}).axes[2]
    assert [len(line.get_xdata()) for line in right.lines] == [10, 2]  # the curve and the line at 0


def test_curves_that_may_cover_others_are_dashed() -> None:
    tables = {name: GaussianDiffusion(linear_beta_schedule(100)) for name in "abc"}
    left = plots.plot_schedules(tables).axes[0]
    assert [line.get_linestyle() for line in left.lines] == ["-", "-", "--"]


def test_melting_draws_the_density_of_each_time() -> None:
    diffusion, ring = GaussianDiffusion(linear_beta_schedule(100)), GaussianMixture.ring()
    figure = plots.plot_melting(ring, diffusion.alpha_bar, [0, 50, 100], generator=torch.Generator().manual_seed(0))
    for axis, t in zip(figure.axes, (0, 50, 100), strict=True):
        heat = torch.tensor(axis.images[0].get_array())
        area = float(heat.sum()) * (5 / 120) ** 2  # the grid's cells
        assert area == pytest.approx(1, abs=0.03), t
        assert len(axis.collections[0].get_offsets()) == 200
        middle = float(ring.diffused(float(diffusion.alpha_bar[t])).log_prob(torch.zeros(1, 2, dtype=torch.float64)))
        assert float(heat[60, 60].log()) == pytest.approx(middle, abs=1e-6)
