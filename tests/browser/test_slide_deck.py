"""The slides as a speaker meets them: opened from a folder, they ask no network for anything, and a slider moves."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rules import ROOT, tomllib

DECK = ROOT / "docs" / "slides.toml"
LESSON = "02"  # as in test_site.py, which executes it once for both


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("no Node.js with npm, which the formulas of the slides need (Debian: apt-get install nodejs npm)")
    folder = tmp_path_factory.mktemp("slides")
    deck = tomllib.loads(DECK.read_text(encoding="utf-8"))
    chosen = [slide for slide in deck["slide"] if slide.get("lesson") == LESSON or "lesson" not in slide]
    assert any("slider" in slide for slide in chosen) and any("formula" in slide for slide in chosen)
    text = "\n".join(block for block in re.split(r"(?m)^(?=\[\[slide\]\])", DECK.read_text(encoding="utf-8"))
                     if "lesson = " not in block or f'lesson = "{LESSON}"' in block)  # fmt: skip
    (folder / "deck.toml").write_text(text, encoding="utf-8")
    assert len(tomllib.loads(text)["slide"]) == len(chosen)
    command = [sys.executable, str(ROOT / "docs" / "make_slides.py"), "--fast", "--deck", str(folder / "deck.toml")]
    command += ["--out", str(folder / "out"), "--work", str(ROOT / ".site" / "test")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    return folder / "out"


@pytest.fixture()
def page(browser: Any, slides: Path) -> Any:
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.set_default_timeout(30_000)
    page.asked, page.errors = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda m: page.errors.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto((slides / "index.html").as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    yield page
    page.close()


def test_no_slide_asks_for_anything_and_all_fit(page: Any) -> None:
    n = page.evaluate("Reveal.getTotalSlides()")
    deck = tomllib.loads(DECK.read_text(encoding="utf-8"))
    assert n >= 5
    assert (page.title(), page.locator("h1").inner_text()) == (deck["title"], deck["title"])
    assert (
        page.locator("p.subtitle").inner_text() == deck["subtitle"] and "@" not in page.locator(".slides").inner_text()
    )
    for k in range(n):
        page.evaluate(f"Reveal.slide({k})")
        section = page.locator("section.present")
        if section.locator(".ddpm-box").count():
            section.locator(".ddpm-view[data-frame]").wait_for()
        page.wait_for_timeout(200)
        assert section.locator("h1, h2").count() == 1
        inside = """section => [...section.querySelectorAll('h1, h2, p, li, img, canvas, input, .formula > div')]
            .filter((node) => !node.closest('.notes')).map((node) => [node.tagName, node.getBoundingClientRect()])
            .filter(([, r]) => r.right > innerWidth + 1 || r.bottom > innerHeight + 1 || r.left < -1 || r.top < -1)
            .map(([tag, r]) => `${tag} ${Math.round(r.right)} ${Math.round(r.bottom)}`)"""
        assert section.evaluate(inside) == [], section.inner_text()
        sizes = section.evaluate(
            """section => [...section.querySelectorAll('.text p, .text li, .formula .katex, .ddpm-view p')]
            .filter((node) => node.offsetHeight)
            .map((n) => parseFloat(getComputedStyle(n).fontSize) * (n.closest('.ddpm-box')?.style.zoom || 1))"""
        )
        assert all(size >= 14 for size in sizes), sizes
    assert page.errors == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_a_slider_moves_and_a_clicker_turns_the_page(page: Any) -> None:
    index = page.evaluate("Reveal.getSlides().findIndex((slide) => slide.querySelector('.ddpm-box'))")
    page.evaluate(f"Reveal.slide({index})")
    section = page.locator("section.present")
    box, view = section.locator("input[type=range]"), section.locator(".ddpm-view")
    section.locator(".ddpm-view[data-frame]").wait_for()
    box.focus()
    box.press("End")
    last = int(box.get_attribute("max"))
    page.wait_for_function("n => document.querySelector('section.present .ddpm-view').dataset.frame == n", arg=last)
    box.press("ArrowLeft")
    page.wait_for_function("n => document.querySelector('section.present .ddpm-view').dataset.frame == n", arg=last - 1)
    assert page.evaluate("Reveal.getIndices().h") == index, "an arrow key moves the slider, not the page"
    assert view.locator("canvas").first.evaluate("c => c.getBoundingClientRect().height") > 200
    page.keyboard.press("PageDown")
    page.wait_for_function(f"Reveal.getIndices().h == {index + 1}")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"Reveal.getIndices().h == {index}")


def test_the_files_name_no_other_host(slides: Path) -> None:
    page = (slides / "index.html").read_text(encoding="utf-8")
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert addresses and all(address.startswith("./_static/") for address in addresses)
    for address in addresses:
        assert (slides / address.split("?")[0]).is_file(), address
    for style in (slides / "_static").rglob("*.css"):
        assert "http" not in re.sub(r"/\*.*?\*/", "", style.read_text(encoding="utf-8"), flags=re.S), style
    assert (slides / "_static" / "reveal" / "LICENSE").is_file()
