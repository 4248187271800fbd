"""Figures: each one draws what it is given, once, in one style, with alternative text."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from ddpm_lite import plots
from ddpm_lite.pixels import image_grid


def decode(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def diffusion(T: int) -> Any:
    return SimpleNamespace(alpha_bar=torch.cat([torch.ones(1), torch.cumprod(torch.full((T,), 0.99), 0)]))


def test_the_style_is_applied_and_does_not_leak() -> None:
    with matplotlib.rc_context():
        before = dict(matplotlib.rcParams)
        figure, axis = plots.new_figure()
        assert dict(matplotlib.rcParams) == before
        assert axis.title.get_fontsize() == plots.STYLE["axes.titlesize"]
        (line,) = axis.plot([0, 1])
        assert line.get_color() == plots.PALETTE[0]
        assert line.get_linewidth() == plots.STYLE["lines.linewidth"]
        axis.bar([0, 1], [1, 2])
        axis.hist([0.0, 1.0])
        axis.scatter([0, 1], [0, 1])
        plots.use_style()
        assert matplotlib.rcParams["font.size"] == plots.STYLE["font.size"]


def test_images_are_one_array_and_one_imshow() -> None:
    images = torch.linspace(-1, 1, 6 * 64).reshape(6, 1, 8, 8)
    (axis,) = plots.plot_images(images, n_columns=3, title="six").axes
    (drawn,) = axis.images
    assert np.array_equal(drawn.get_array(), image_grid(images, 3))
    assert drawn.get_clim() == (0, 255) and axis.get_title() == "six"


def test_a_strip_shows_frames_and_labels_that_belong_together() -> None:
    frames = torch.arange(51).float()[:, None, None].expand(51, 4, 4) / 25.5 - 1
    figure = plots.plot_strip({"x_t": frames, "mine": -frames}, [f"t = {i}, s" for i in range(51)], n=6)
    axes = np.array(figure.axes).reshape(2, 6)
    for axis, i in zip(axes[0], [0, 10, 20, 30, 40, 50], strict=True):
        assert axis.images[0].get_array()[0, 0] == round(float(frames[i, 0, 0]) * 127.5 + 127.5)
    assert [axis.get_xlabel() for axis in axes[1]] == [f"t = {i}\ns" for i in (0, 10, 20, 30, 40, 50)]
    assert [row[0].get_ylabel() for row in axes] == ["$x_t$", "mine"]


def test_a_short_strip_shows_each_frame_once() -> None:
    assert len(plots.plot_strip(torch.zeros(3, 4, 4), n=9).axes) == 3


def test_a_trajectory_has_a_row_for_each_part_of_a_step() -> None:
    step = SimpleNamespace(x=torch.zeros(2, 1, 4, 4), x0_hat=torch.ones(2, 1, 4, 4), eps_hat=-torch.ones(2, 1, 4, 4))
    figure = plots.plot_trajectory([SimpleNamespace(t=t, **vars(step)) for t in (30, 20, 10)], index=1)
    assert [axis.images[0].get_array()[0, 0] for axis in figure.axes] == [128] * 3 + [255] * 3 + [0] * 3
    assert [axis.get_xlabel() for axis in figure.axes[6:]] == ["t = 30", "t = 20", "t = 10"]
    with pytest.raises(ValueError, match="^steps: got none"):
        plots.plot_trajectory([])


def test_pictures_of_every_kind_become_png() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(decode(plots.png_bytes(grey))[..., 0], grey)
    assert np.array_equal(decode(plots.png_bytes(grey[None]))[..., 0], grey)
    assert decode(plots.png_bytes(torch.zeros(3, 5, 4))).shape == (5, 4, 3)
    assert decode(plots.png_bytes(torch.zeros(5, 4, 1))).shape == (5, 4, 3)
    figure, axis = plots.new_figure(size=(3, 2))
    axis.plot([0, 1])
    assert decode(plots.png_bytes(figure)).shape == (200, 300, 3)
    exact, few = decode(plots.png_bytes(figure)).astype(int), decode(plots.png_bytes(figure, colors=256))
    assert np.abs(exact - few).max() <= 16
    for picture in (torch.zeros(4), torch.zeros(2, 3, 4, 5), torch.zeros(5, 4, 2)):
        with pytest.raises(ValueError, match="^picture: got shape"):
            plots.png_bytes(picture)
    with pytest.raises(ValueError, match="^picture: got NaN"):
        plots.png_bytes(torch.full((2, 2), float("nan")))
    with pytest.raises(TypeError, match="^picture: got NoneType"):
        plots.png_bytes(None)


def test_frames_of_a_figure_follow_its_updates() -> None:
    figure, axis = plots.new_figure(size=(2, 2))
    (line,) = axis.plot([0, 1], [0, 1])
    frames = plots.render_frames(figure, lambda i: line.set_ydata([0, i / 2]), 3)
    assert frames.shape == (3, 200, 200, 3) and frames.dtype == np.uint8
    line.set_ydata([0, 0.5])
    assert np.array_equal(frames[1], plots.figure_pixels(figure))
    assert not np.array_equal(frames[1], frames[2])


def test_a_layout_is_settled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    figure, _ = plots.new_figure(size=(2, 2))
    drawn = []
    original = Figure.draw_without_rendering
    monkeypatch.setattr(Figure, "draw_without_rendering", lambda self: drawn.append(original(self)))
    for _ in range(3):
        plots.settle_layout(figure)
    assert len(drawn) == 1
    plots.settle_layout(Figure())  # one that has no layout engine


def test_show_displays_once_with_alternative_text(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib.pyplot as pyplot

    shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, *, metadata, raw: shown.append((data, metadata)))
    figure: Figure = pyplot.figure(figsize=(2, 1))
    plots.show(figure, alt="an empty figure")
    assert pyplot.get_fignums() == [], "pyplot would show it a second time"
    ((data, metadata),) = shown
    assert data["text/plain"] == "an empty figure" and metadata == {"image/png": {"alt": "an empty figure"}}
    assert decode(data["image/png"]).shape == (100, 200, 3)
    with pytest.raises(ValueError, match="^alt: got ' '"):
        plots.show(figure, alt=" ")


def test_figures_need_no_pyplot() -> None:
    import subprocess

    code = "import sys, numpy; from ddpm_lite import plots; x = numpy.zeros((4, 5, 5))"
    code += "; plots.png_bytes(plots.plot_images(x))"
    code += "; assert 'matplotlib.pyplot' not in sys.modules"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_bad_strips_are_named() -> None:
    with pytest.raises(ValueError, match="^labels: got 2"):
        plots.plot_strip(torch.zeros(3, 4, 4), ["a", "b"])
    with pytest.raises(ValueError, match="^n: got 0"):
        plots.plot_strip(torch.zeros(3, 4, 4), n=0)
    with pytest.raises(ValueError, match="^frames: got views of different lengths"):
        plots.plot_strip({"a": torch.zeros(3, 4, 4), "b": torch.zeros(2, 4, 4)})


def test_the_palette_stands_out_from_white_and_black() -> None:
    def luminance(color: str) -> float:
        channels = np.array(matplotlib.colors.to_rgb(color))
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for color in plots.PALETTE[:4]:
        assert 1.05 / (luminance(color) + 0.05) >= 2.9, color  # WCAG asks 3:1 of graphics
        assert (luminance(color) + 0.05) / 0.05 >= 3, color


def test_boxes_stand_where_they_are_put_and_arrows_join_them() -> None:
    figure, axis = plots.new_figure(size=(4, 2))
    blank = decode(plots.png_bytes(figure))
    boxes = {"left": (0.1, 0.5, "#ff0000"), "right": (0.9, 0.5, "#00ff00"), "top": (0.5, 0.9, "#0000ff")}
    arrows = [("left", "right", "#ff00ff"), ("right", "left", "#00ffff"), ("left", "top", "#ffff00")]
    plots.draw_boxes(axis, boxes, arrows)
    pixels = decode(plots.png_bytes(figure))
    assert pixels.shape == blank.shape

    def where(*color: int) -> tuple[np.ndarray, np.ndarray]:
        return (pixels == color).all(-1).nonzero()

    assert where(255, 0, 0)[1].mean() < 100 < 300 < where(0, 255, 0)[1].mean()
    assert where(0, 0, 255)[0].mean() < where(255, 0, 0)[0].mean() - 40  # y points up
    there, back = where(255, 0, 255)[0], where(0, 255, 255)[0]
    assert len(there) and len(back) and there.min() > back.max() + 5  # two arrows that can be told apart
    red, yellow = where(255, 0, 0)[1], where(255, 255, 0)[1]
    assert red.max() < yellow.min()  # an arrow begins outside its box


def test_a_kernel_of_jupyterlab_also_gets_an_image_with_its_alternative_text(monkeypatch: pytest.MonkeyPatch) -> None:
    import base64
    import re

    picture, alt = np.arange(12, dtype=np.uint8).reshape(3, 4), 'A "grey" < white ramp.'
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    plain = plots.base.with_alt(picture, alt, None)
    assert set(plain["data"]) == {"image/png", "text/plain"}
    monkeypatch.setenv("JPY_SESSION_NAME", "/a.ipynb")
    live = plots.base.with_alt(picture, alt, None)
    tag = live["data"].pop("text/html")
    assert live == plain
    found = re.fullmatch(r'<img src="data:image/png;base64,([^"]+)" alt="A &quot;grey&quot; &lt; white ramp\.">', tag)
    assert found and base64.b64decode(found[1]) == plain["data"]["image/png"]
