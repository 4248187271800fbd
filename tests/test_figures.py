"""The gallery: every picture is there, its page is what build.py writes, and drawing twice gives the same bytes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent.parent / "figures"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("figures_build", FOLDER / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_gallery_shows_every_picture_with_a_line_and_an_alt_text(build: ModuleType) -> None:
    page = (FOLDER / "README.md").read_text("utf-8")
    for name, (draw, alt) in build.PICTURES.items():
        assert "\n".join(build.gallery(name)) in page
        assert len(draw.__doc__.split()) > 4 and 20 < len(alt) < 125, name
        for file in [name] if "." in name else [f"{name}.png", f"{name}.svg"]:
            assert (FOLDER / file).stat().st_size > 2000, file
    stray = {path.stem for path in FOLDER.glob("*.svg")} - set(build.PICTURES)
    assert not stray


def test_drawing_twice_gives_the_same_bytes(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        monkeypatch.setattr(build, "HERE", tmp_path / folder)
        build.write("posterior")
    for ending in ("png", "svg"):
        first, second = (tmp_path / folder / f"posterior.{ending}" for folder in ("a", "b"))
        assert first.read_bytes() == second.read_bytes() and first.stat().st_mode & 0o044, ending
