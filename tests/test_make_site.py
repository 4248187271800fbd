"""The parts of `make site` that need no browser: which settings an explore keeps, and what is executed again."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import math
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ddpm_lite import widgets
from rules import ROOT


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


site_kernel, make_site = load("site_kernel"), load("make_site")


@given(st.integers(2, 500), st.data())
def test_thinned_settings_keep_the_ends_and_the_start(n: int, data: Any) -> None:
    k, start = data.draw(st.integers(2, n)), data.draw(st.integers(0, n - 1))
    chosen = site_kernel.thin(n, k, start)
    assert chosen == sorted(set(chosen)) and {0, start, n - 1} <= set(chosen)
    assert len(chosen) == k or (k == 2 and len(chosen) == 3)


@given(st.lists(st.integers(2, 200), min_size=1, max_size=5))
def test_the_grid_of_settings_is_small_enough(sizes: list[int]) -> None:
    kept = site_kernel.grid(sizes, 60)
    assert all(2 <= k <= size for k, size in zip(kept, sizes, strict=True))
    assert math.prod(kept) <= 60 or max(kept) <= 3
    assert site_kernel.grid([7, 8], 60) == [7, 8], "what fits is kept whole"


def test_an_explore_becomes_pictures_of_its_settings() -> None:
    def picture(height: int, x: float, inverted: bool) -> np.ndarray:
        "A grey square"
        if height == 3:
            raise ValueError("height: got 3")
        return np.full((10, 10), round(10 * height + 100 * x + 50 * inverted), np.uint8)

    box = widgets.explore(picture, height=(0, 3, 1, 1), x=(0.0, 1.0, 0.25, 0.5), inverted=False)
    data = site_kernel.explore_data(box)
    assert (data["stored"], data["all"], data["still"]) == (40, 40, False)
    assert [c["texts"] for c in data["controls"]][1] == ["0", "0.25", "0.5", "0.75", "1"]
    assert [c["value"] for c in data["controls"]] == [1, 2, 0]
    for height in range(3):
        for i, x in enumerate((0, 0.25, 0.5, 0.75, 1)):
            for inverted in (0, 1):
                png = data["pictures"][(height * 5 + i) * 2 + inverted]
                assert decode(png)[0, 0] == round(10 * height + 100 * x + 50 * inverted)
    assert data["errors"] == {i: "ValueError: height: got 3" for i in range(30, 40)}


def decode(png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("L"))


def test_what_is_too_large_gets_fewer_settings_and_then_a_still_picture() -> None:
    def noise(seed: int) -> np.ndarray:
        "Noise, which no PNG makes small"
        return np.random.default_rng(seed).integers(0, 256, (100, 100), np.uint8)

    box = widgets.explore(noise, seed=(0, 50, 1, 20))
    few = site_kernel.explore_data(box, most=100_000)
    size = sum(len(picture) for picture in few["pictures"]) * 3 / 4
    assert 3 <= few["stored"] < 51 and size <= 101_000 and not few["still"]
    assert [few["controls"][0]["texts"][i] for i in (0, -1)] == ["0", "50"]
    still = site_kernel.explore_data(box, most=10_000)
    assert still["still"] and still["stored"] == len(still["pictures"]) == 1
    assert still["controls"][0]["texts"] == ["20"]


def test_a_scrub_becomes_its_sheet_and_knows_its_partners(monkeypatch: pytest.MonkeyPatch) -> None:
    one = widgets.scrub(np.zeros((3, 4, 4)), labels=["a", "b", "c"], value=1, fps=10)
    two = widgets.scrub(np.zeros((3, 4, 4)), linked=one, play=False)
    monkeypatch.setattr(site_kernel, "_boxes", [one, two])
    data = site_kernel.scrub_data(one)
    assert (data["n"], data["value"], data["labels"], data["interval"]) == (3, 1, ["a", "b", "c"], 100)
    assert data["linked"] == [2] and site_kernel.linked_boxes(two) == [1]
    assert data["play"] and not site_kernel.scrub_data(two)["play"]
    with pytest.raises(ValueError, match="canvas"):
        site_kernel.scrub_data(widgets.scrub(np.zeros((3, 4, 4)), canvas=False))


def test_only_a_large_sheet_is_made_lighter() -> None:
    from ddpm_lite.pixels import encode_png

    generator = np.random.default_rng(0)
    smooth = np.linspace(0, 200, 500).astype(np.uint8)[:, None, None] + np.zeros((500, 500, 3), np.uint8)
    colored = smooth + generator.integers(0, 40, smooth.shape, np.uint8)
    sheet = encode_png(colored)
    small = site_kernel.lighter(sheet)
    assert len(sheet) > site_kernel.LARGE and len(small) < len(sheet) / 2
    difference = np.abs(np.asarray(Image.open(io.BytesIO(small)).convert("RGB")).astype(int) - colored)
    assert difference.mean() < 12
    for kept in (encode_png(colored[..., 0].repeat(3, 1)), encode_png(colored[:50])):
        assert site_kernel.lighter(kept) == kept
    noise = generator.integers(0, 256, (1600, 1600), np.uint8)
    sheet = encode_png(noise)
    small = site_kernel.lighter(sheet)
    assert len(sheet) > site_kernel.HEAVY and len(small) < 0.6 * len(sheet)
    assert np.abs(np.asarray(Image.open(io.BytesIO(small))).astype(int) - noise).max() <= 8


def test_only_what_changed_is_executed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, ran = tmp_path / "00_page.py", []

    class Client:
        def __init__(self, *_: Any, **options: Any) -> None:
            self.folder = Path(options["resources"]["metadata"]["path"])

        def execute(self, env: dict[str, str]) -> None:
            assert ROOT not in self.folder.parents and self.folder.is_dir()
            ran.append(env.get("DDPM_LITE_FAST"))

    monkeypatch.setattr("nbclient.NotebookClient", Client)
    monkeypatch.setenv("DDPM_LITE_FAST", "1")  # the caller's own setting does not reach a full build
    page.write_text("# %% [markdown]\n# # A page\n", encoding="utf-8")
    work = tmp_path / "work"
    first = make_site.executed(page, work, False, "package")
    assert make_site.executed(page, work, False, "package") == first and ran == [None]
    fast = make_site.executed(page, work, True, "package")
    assert ran == [None, "1"] and first.exists() and fast.exists()
    make_site.executed(page, work, False, "another package")
    page.write_text("# %% [markdown]\n# # A changed page\n", encoding="utf-8")
    last = make_site.executed(page, work, False, "another package")
    assert len(ran) == 4 and not first.exists() and fast.exists() and last.exists()
    assert make_site.package_hash() == make_site.package_hash()


def test_what_comes_from_npm_is_pinned_with_checksums() -> None:
    wanted = json.loads((ROOT / "docs" / "package.json").read_text())["dependencies"]
    packages = json.loads((ROOT / "docs" / "package-lock.json").read_text())["packages"]
    assert packages.pop("")["dependencies"] == wanted
    assert all(re.fullmatch(r"[\d.]+", version) for version in wanted.values())
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())


def test_pages_are_published_as_they_are_built() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "pages.yml").read_text())["jobs"]
    commands = [step["run"] for step in jobs["build"]["steps"] if "run" in step]
    assert "make site" in commands
    (upload,) = (step for step in jobs["build"]["steps"] if "upload-pages-artifact" in step.get("uses", ""))
    assert upload["with"]["path"] == "site"
