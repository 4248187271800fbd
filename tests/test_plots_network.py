"""Pictures of a network: they show the numbers they were given, keep one figure, and name bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ddpm_lite import MLPDenoiser, UNet, plots
from ddpm_lite.anatomy import Cost

SMALL: dict[str, Any] = {"channels": 8, "channel_mult": (1, 2), "attention_levels": (1,), "n_heads": 2}


def texts(axis: Any) -> list[str]:
    return [text.get_text() for text in axis.texts]


def test_the_u_shows_channels_resolutions_and_skips() -> None:
    figure = plots.plot_unet(UNet(**SMALL, patch_size=2))
    (axis,) = figure.axes
    assert plots.figure_pixels(figure).shape[1] == 1300
    seen = texts(axis)
    bold = [text.get_text() for text in axis.texts if text.get_weight() == "bold"]
    assert bold == [
        "$x_t$", "8", "8", "8", "16", "16", "16", "16", "16", "16", "8", "8", "4", r"$\hat\epsilon$"
    ]  # fmt: skip
    assert [s for s in seen if "×" in s] == ["28×28", *["14×14"] * 2, *["7×7"] * 6, *["14×14"] * 4, "28×28"]
    assert sorted(s for s in seen if s.startswith("+")) == ["+16", "+8", "+8", "+8"]
    legend = [text.get_text() for text in axis.get_legend().get_texts()]
    assert "residual block + attention" in legend and "down" in legend and "skip connection" in legend


def test_the_u_of_other_networks() -> None:
    def legend(**config: Any) -> tuple[list[str], list[str]]:
        (axis,) = plots.plot_unet(UNet(**config), (config.get("in_channels", 1), 16, 12)).axes
        return [text.get_text() for text in axis.get_legend().get_texts()], texts(axis)

    names, seen = legend(in_channels=3, channels=4, channel_mult=(1, 2, 3), n_res_blocks=2)
    assert "residual block + attention" not in names and "down" in names
    assert sum(s.startswith("+") for s in seen) == 9 and "4×3" in seen and "3" in seen
    names, seen = legend(channels=4, channel_mult=(1,))
    assert "down" not in names and "up" not in names
    assert not any("gate" in s for s in seen)
    assert any("gate" in s for s in legend(channels=4, channel_mult=(1,), input_skip=True)[1])


def test_refine_is_a_box_that_is_told_t_and_gets_x_t() -> None:
    model = UNet(channels=32, channel_mult=(1, 2), patch_size=2, attention_levels=(1,), refine=8, input_skip=True)
    (axis,) = plots.plot_unet(model).axes
    plain = plots.plot_unet(UNet(channels=32, channel_mult=(1, 2), patch_size=2, attention_levels=(1,))).axes[0]
    bold, before = ([text for text in a.texts if text.get_weight() == "bold"] for a in (axis, plain))
    assert [text.get_text() for text in bold[-3:]] == ["32", "1", r"$\hat\epsilon$"]  # 8 features of 2 x 2 pixels
    assert len(bold) == len(before) + 1
    x_box, x_eps = bold[-2].get_position()[0], bold[-1].get_position()[0]
    boxes = axis.patches
    assert len(boxes) == len(bold) - 2
    assert boxes[-1].get_edgecolor() == boxes[1].get_edgecolor()  # told t, as a block is
    assert boxes[-1].get_edgecolor() != boxes[-2].get_edgecolor()
    (plus,) = [text for text in axis.texts if text.get_text() == "+1"]
    assert plus.get_position()[0] == pytest.approx(x_box - 0.06)
    corners = [(line.get_linestyle(), line.get_xdata()) for line in axis.lines if len(line.get_xdata()) == 4]
    ways = {style: x for style, x in corners if x[-1] > x_box - 0.5}
    assert [ways["-"][0], ways["-"][-1]] == [0, x_box]  # x_t is led into it
    assert ways["--"][-1] == x_eps and len([1 for line in axis.lines if line.get_linestyle() == "--"]) == 1
    assert not any(line.get_linestyle() == "--" for line in plain.lines)
    names = [[text.get_text() for text in a.get_legend().get_texts()] for a in (axis, plain)]
    assert set(names[0]) - set(names[1]) == {"two convolutions (refine)", "input skip"}
    assert "28×28" in [text.get_text() for text in axis.texts if text.get_position()[0] == x_box]


def test_skips_join_what_the_network_joins() -> None:
    """The numbers at the arcs, in the order of the boxes, are what the way up gets besides what comes from the left."""
    model = UNet(channels=4, channel_mult=(1, 2, 3), n_res_blocks=2)
    (axis,) = plots.plot_unet(model, (1, 16, 16)).axes
    arcs = sorted((text.get_position()[0], int(text.get_text())) for text in axis.texts if "+" in text.get_text())
    left, extra = model.middle[-1].block.conv_2.out_channels, []
    for layer in model.up:
        if hasattr(layer, "block"):
            extra.append(layer.block.norm_1.num_channels - left)
            left = layer.block.conv_2.out_channels
    assert [channels for _, channels in arcs] == extra


def test_costs_are_drawn_to_scale() -> None:
    costs = {"a": {0: Cost(2000, 3_000_000, 4096), 1: Cost(500, 1_000_000, 1024), None: Cost(100, 10, 0)}}
    figure = plots.plot_costs(costs)
    assert plots.figure_pixels(figure).size
    widths = [[bar.get_width() for bar in axis.patches] for axis in figure.axes]
    assert widths == [[2.0, 0.5, 0.1], [3.0, 1.0, 1e-5], [4.0, 1.0, 0.0]]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["level 0", "level 1", "time"]
    assert texts(figure.axes[1]) == ["3", "1", "< 0.1"]
    named = plots.plot_costs(costs, {0: "14×14"}).axes[0]
    assert [label.get_text() for label in named.get_yticklabels()] == ["14×14", "level 1", "time"]
    two = plots.plot_costs({**costs, "b": {0: Cost(1, 1, 1)}})
    assert len(two.axes[0].patches) == 6 and two.axes[2].get_legend() is not None


def test_embedding_picture_marks_t_and_compares() -> None:
    angle = torch.arange(40)[:, None] * torch.tensor([1.0, 0.1])
    table = torch.cat([angle.cos(), angle.sin()], 1)
    picture = plots.EmbeddingPicture(table)
    figure = picture(7)
    assert list(picture.mark.get_xdata()) == [7, 7] and picture.axis.get_title() == "$t$ = 7"
    np.testing.assert_allclose(picture.curve.get_ydata(), (angle - angle[7]).cos().mean(1), atol=1e-6)
    assert picture(20) is figure and picture.curve.get_ydata().argmax() == 20
    for t, error in ((40, ValueError), (-1, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="^t must be"):
            picture(t)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="^table must"):
        plots.EmbeddingPicture(torch.zeros(5))


def test_attention_picture_shows_the_row_of_its_pixel() -> None:
    maps = torch.rand(2, 3, 4, 3, 4) + 0.1
    picture = plots.AttentionPicture(torch.zeros(12, 16), maps)
    figure = picture(1, 3)
    for wall, look in zip(picture.walls, maps[:, 1, 3], strict=True):
        np.testing.assert_allclose(np.asarray(wall.get_array()), look / look.max(), rtol=1e-6)
    assert all((mark.get_xdata(), mark.get_ydata()) == ([3], [1]) for mark in picture.marks)
    most = maps[:, 1, 3].amax((1, 2))
    assert [wall.axes.get_title() for wall in picture.walls] == [f"head {i + 1}, up to {most[i]:.2f}" for i in range(2)]
    first = plots.png_bytes(figure)
    assert picture(0, 0) is figure and plots.png_bytes(figure) != first
    with pytest.raises(ValueError, match="^row must be"):
        picture(3, 0)
    with pytest.raises(ValueError, match="^maps must"):
        plots.AttentionPicture(torch.zeros(12, 16), maps[0])


def test_bad_input_is_named() -> None:
    with pytest.raises(TypeError, match="^model must be a UNet, got MLPDenoiser"):
        plots.plot_unet(MLPDenoiser())
    with pytest.raises(ValueError, match="^x_t must have shape"):
        plots.plot_unet(UNet(**SMALL), (3, 28, 28))
    with pytest.raises(ValueError, match="^costs"):
        plots.plot_costs({})
