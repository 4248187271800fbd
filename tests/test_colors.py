"""Colors: contrast as WCAG 2.2 asks, and differences that the common kinds of color blindness leave."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from ddpm_lite import plots, widgets
from ddpm_lite.unet import UNet

# What a color becomes, in linear RGB, for eyes that lack one kind of cone: Machado, Oliveira and Fernandes (2009), "A
# physiologically-based model for simulation of color vision deficiency", IEEE TVCG 15(6), table of severity 1.0.
MACHADO = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "nobody's": np.eye(3).tolist(),
}
XYZ = np.array([[0.41246, 0.35758, 0.18044], [0.21267, 0.71515, 0.07218], [0.01933, 0.11919, 0.95030]])  # IEC 61966-2-1


def linear(color: Any) -> np.ndarray:
    """Any color of matplotlib's in linear RGB, as WCAG 2.2 and IEC 61966-2-1 define it."""
    c = np.array(to_rgb(color))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(one: Any, two: Any = "white") -> float:
    low, high = sorted(float(XYZ[1] @ linear(color)) + 0.05 for color in (one, two))
    return high / low


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a color in linear RGB, white D65."""
    xyz = XYZ @ np.clip(rgb, 0, 1) / XYZ.sum(1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest(colors: Any, eyes: str) -> float:
    """The least distance (CIE 1976; 2.3 is just to be seen) between two of the colors, as these eyes see them."""
    seen = [lab(np.array(MACHADO[eyes]) @ linear(color)) for color in colors]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))


def test_the_measures_give_what_is_published() -> None:
    assert contrast("black") == pytest.approx(21, abs=0.01) and contrast("#767676") == pytest.approx(4.54, abs=0.01)
    assert lab(linear("red")) == pytest.approx([53.24, 80.09, 67.20], abs=0.05)  # of sRGB's red under D65
    for eyes, matrix in MACHADO.items():
        assert np.sum(matrix, 1) == pytest.approx(1, abs=1e-5), f"white stays white: {eyes}"
    confused = ["#A00000", "#4D6000"]  # a red and a green
    assert nearest(confused, "deuteranopia") < 5 < 70 < nearest(confused, "nobody's")


def test_lines_and_words_stand_out_from_white() -> None:
    assert {color: ratio for color in plots.LINES if (ratio := contrast(color)) < 3} == {}
    assert {color: ratio for color in plots.INKS if (ratio := contrast(color)) < 4.5} == {}
    assert len(plots.INKS) == len(plots.LINES) and set(plots.LINES) <= set(plots.PALETTE)
    for line, ink in zip(plots.LINES, plots.INKS, strict=True):  # the same color, darker where it must be
        assert np.linalg.norm(lab(linear(line)) - lab(linear(ink))) < 20


@pytest.mark.parametrize("eyes", MACHADO)
@pytest.mark.parametrize("name", ["PALETTE", "LINES"])
def test_colors_differ_for_all_eyes(name: str, eyes: str) -> None:
    assert nearest(getattr(plots, name), eyes) > 15


def test_new_figures_take_the_lines_of_contrast() -> None:
    _, axis = plots.new_figure()
    drawn = [axis.plot([0, 1])[0].get_color() for _ in plots.LINES]
    assert tuple(drawn) == plots.LINES


def test_the_browser_draws_in_the_same_colors() -> None:
    script = (widgets.ASSETS / "scrubber.js").read_text(encoding="utf-8")
    (colors,) = re.findall(r"const COLORS = \[(.*?)\];", script)
    assert tuple(re.findall(r"#\w{6}", colors)) == plots.LINES[:4]


def diagrams() -> dict[str, Any]:
    """Figures that write in color."""
    alpha_bar = torch.cat([torch.ones(1), torch.cumprod(torch.full((10,), 0.9), 0)])
    diffusion = SimpleNamespace(alpha_bar=alpha_bar, T=10)
    images = torch.zeros(3, 1, 4, 4)
    return {
        "chains": plots.plot_chains(images, [0, 5, 10]),
        "latent models": plots.plot_latent_models(),
        "schedules": plots.plot_schedules({str(i): diffusion for i in range(6)}),
        "U": plots.plot_unet(UNet(input_skip=True, refine=8)),
    }


@pytest.mark.parametrize("name", ["chains", "latent models", "schedules", "U"])
def test_words_in_figures_can_be_read(name: str) -> None:
    from matplotlib.text import Text

    figure = diagrams()[name]
    figure.draw_without_rendering()
    words = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    assert words
    for text in words:
        box = text.get_bbox_patch()
        assert contrast(text.get_color(), box.get_facecolor() if box else "white") >= 4.5, text


def test_a_sixth_curve_is_not_dropped() -> None:
    left = diagrams()["schedules"].axes[0]
    assert len(left.lines) == 6


def test_no_module_writes_or_draws_in_a_pale_color_of_its_own() -> None:
    """The pale colors of the palette are fills with a dark edge, and used nowhere but where that was looked at."""
    package = Path(plots.__file__).parent
    used = {
        path.name for path in package.glob("*.py") if re.search(r"PALETTE\[[4-7]\]", path.read_text(encoding="utf-8"))
    }
    assert used == {"network.py"}
