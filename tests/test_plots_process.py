"""Pictures of the forward process: what is drawn is what was given; bad input is named."""

from __future__ import annotations

import pytest
import torch

from ddpm_lite import GaussianDiffusion, linear_beta_schedule, plots
from ddpm_lite.toys import GaussianMixture


def test_chains_show_every_image_and_two_arrows_between_neighbors() -> None:
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    (axis,) = plots.plot_chains(images, [0, 10, 20, 30]).axes
    assert len(axis.images) == 4 and bool((torch.tensor(axis.images[2].get_array()) == images[2, 0]).all())
    texts = [text.get_text() for text in axis.texts]
    assert "$x_{20}$" in texts and texts.count("") == 6  # an arrow is an annotation without words


@pytest.mark.parametrize("n, times", [(3, [0, 1]), (1, [0])])
def test_chains_want_a_time_for_each_image(n: int, times: list[int]) -> None:
    with pytest.raises(ValueError, match="images and times must be as many, at least 2"):
        plots.plot_chains(torch.zeros(n, 1, 4, 4), times)


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
