"""Pictures of the museum of bugs: they draw what they are given, in the two colors, and name bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from ddpm_lite import plots
from ddpm_lite.pixels import image_grid

NAMES = ("as written", "as meant")


def images(level: float) -> torch.Tensor:
    return torch.full((4, 1, 6, 6), float(level))


def test_an_exhibit_shows_both_groups_under_their_names() -> None:
    figure = plots.plot_exhibit(dict(zip(NAMES, (images(-1), images(1)), strict=True)), n_columns=2)
    assert [axis.get_title(loc="left") for axis in figure.axes] == list(NAMES)
    for axis, level, ink in zip(figure.axes, (-1, 1), (plots.INKS[1], plots.INKS[0]), strict=True):
        (image,) = axis.images
        assert np.array_equal(image.get_array(), image_grid(images(level), 2, padding=2))
        assert to_hex(axis._left_title.get_color()).upper() == ink
    assert 4 < figure.get_figwidth() * 100 and len(plots.png_bytes(figure)) > 1000


@pytest.mark.parametrize("n", [0, 1, 3])
def test_an_exhibit_has_two_groups(n: int) -> None:
    with pytest.raises(ValueError, match=f"^groups: got {n}"):
        plots.plot_exhibit({str(i): images(0) for i in range(n)})


def test_clouds_are_redrawn_in_place_and_points_outside_are_kept_on_the_edge() -> None:
    data = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    picture = plots.CloudPicture(NAMES, data, limit=2)
    left, right = picture.figure.axes
    for wrong, meant in ((data + 0.5, data), (10 * data, 0 * data)):
        assert picture(wrong, meant, "t = 3") is picture.figure
        for axis, points in ((left, wrong), (right, meant)):
            gray, dots = axis.collections
            assert np.allclose(gray.get_offsets(), data) and np.allclose(dots.get_offsets(), points.clamp(-2, 2))
    assert picture.title.get_text() == "t = 3" and left.get_xlim() == right.get_ylim() == (-2, 2)
    colors = [to_hex(axis.collections[1].get_facecolor()[0]).upper() for axis in (left, right)]
    assert colors == [plots.PALETTE[1], plots.PALETTE[0]]
    assert [axis.get_title() for axis in (left, right)] == list(NAMES)


def test_clouds_differ_from_frame_to_frame() -> None:
    picture = plots.CloudPicture(NAMES, torch.zeros(1, 2))
    frames = plots.render_frames(picture.figure, lambda i: picture(torch.ones(3, 2) * i, torch.zeros(3, 2)), 2)
    changed = (frames[0] != frames[1]).any(axis=(0, 2))
    assert changed[: len(changed) // 2].any() and not changed[len(changed) // 2 :].any()


@pytest.mark.parametrize(
    "points, message", [(torch.zeros(3), "^wrong: got shape"), (torch.zeros(0, 2), "^wrong: got shape"),
                        (torch.full((2, 2), torch.nan), "^wrong: got NaN")],
)  # fmt: skip
def test_clouds_name_what_is_wrong(points: Any, message: str) -> None:
    picture = plots.CloudPicture(NAMES, torch.zeros(1, 2))
    with pytest.raises(ValueError, match=message):
        picture(points, torch.zeros(1, 2))


@pytest.mark.parametrize("names, limit", [(("one",), 1), (NAMES, 0)])
def test_clouds_need_two_names_and_a_limit(names: Any, limit: float) -> None:
    with pytest.raises(ValueError, match="^names, limit"):
        plots.CloudPicture(names, torch.zeros(1, 2), limit=limit)
