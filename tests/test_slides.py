"""The deck of the lecture: what it names is in the lessons, and it is as long as the route says."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import nbformat
import pytest

from rules import ROOT

sys.path.insert(0, str(ROOT / "docs"))
import make_slides

DECK = make_slides.read_deck(ROOT / "docs" / "slides.toml")


def test_what_the_deck_names_is_in_the_lessons() -> None:
    assert importlib.util.find_spec("nbformat") and len(DECK["slide"]) >= 20
    for slide in DECK["slide"]:
        if "figure" in slide:
            assert (ROOT / "figures" / slide["figure"]).is_file()
        if "lesson" not in slide:
            continue
        (path,) = make_slides.build.lessons([slide["lesson"]])
        found = make_slides.sections(nbformat.read(path.with_suffix(".ipynb"), as_version=4).cells)
        for kind in ("formula", "picture"):
            if kind in slide:
                assert make_slides.pick(slide, kind, found)
        if "slider" in slide:
            source = path.read_text(encoding="utf-8")
            section = re.split(r"(?m)^# #+ ", source.split(f"# {slide['section']}\n")[1])[0]
            assert len(re.findall(r"widgets\.(?:scrub|explore)\(", section)) >= slide["slider"], slide["title"]


def test_one_thing_a_slide() -> None:
    for slide in DECK["slide"]:
        words = len(re.sub(r"\$[^$]*\$", "x", slide.get("text", "")).split())
        assert words <= 45, (slide["title"], words)
        assert len(slide["title"]) <= 40
    assert sum("slider" in slide for slide in DECK["slide"]) >= 6


def test_the_lecture_takes_90_minutes_as_the_route_says() -> None:
    page = (ROOT / "docs" / "teach" / "routes.md").read_text(encoding="utf-8")
    lecture = page.split("## One lecture, 90 minutes")[1].split("\n## ")[0]
    minutes = [slide["minutes"] for slide in DECK["slide"] if "minutes" in slide]
    assert sum(minutes) == 90
    assert minutes == [int(row) for row in re.findall(r"(?m)^\| (\d+) \|", lecture)]


@pytest.mark.parametrize(
    ("slide", "message"),
    [
        ('title = "A"\npictures = 1', "slide 1, 'A': got the unknown pictures"),
        ('lesson = "00"\nsection = "x"', "slide 1, None: got no title"),
        ('title = "A"\nlesson = "00"', "lesson and section go together"),
        ('title = "A"\nslider = 1', "come from a lesson's section, and none is named"),
        ('title = "A"\nlesson = "00"\nsection = "x"\nslider = 1\npicture = 1', "a slide shows one thing"),
    ],
)
def test_a_mistake_in_a_deck_is_named(tmp_path: Path, slide: str, message: str) -> None:
    (tmp_path / "deck.toml").write_text(f'title = "x"\n[[slide]]\n{slide}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        make_slides.read_deck(tmp_path / "deck.toml")


def test_a_section_that_is_not_there_is_named() -> None:
    found = make_slides.sections([nbformat.v4.new_markdown_cell("# A\n\n## B\n\n$$x$$\n\n### C $t$\n\n$$y$$ $$z$$")])
    slide = {"title": "S", "lesson": "00", "section": "C $t$", "formula": [1, 2]}
    assert make_slides.pick(slide, "formula", found) == ["y", "z"]
    with pytest.raises(ValueError, match="has 1 of formula, asked for number 2"):
        make_slides.pick({**slide, "section": "B", "formula": 2}, "formula", found)
    with pytest.raises(ValueError, match="there is none; wanted one of A, B, C"):
        make_slides.pick({**slide, "section": "D"}, "formula", found)
