"""Make the slides of the lecture from the lessons: pictures, formulas and sliders that move, with no network.

    python docs/make_slides.py [--deck docs/slides.toml] [--out runs/slides] [--fast]

The deck is a list of sections of lessons (its head says what an entry may hold). Lessons whose sliders it shows are
executed as for the website, whose results in `--work` are used again; of the others the committed pictures are taken.
reveal.js and KaTeX come from npm, as docs/package-lock.json pins them. Open index.html: no server is needed.
"""

from __future__ import annotations

import argparse
import base64
import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import make_site
from make_site import DOCS, ROOT, build, rules

sys.path.insert(0, str(ROOT))
from ddpm_lite.teach.quiz_formats import to_html

REVEAL = DOCS / "node_modules" / "reveal.js"
FIELDS = {"title", "lesson", "section", "formula", "picture", "slider", "figure", "text", "notes", "minutes"}


def read_deck(path: Path) -> dict[str, Any]:
    """The deck as its file says; ValueError that names the slide where it holds what no slide may."""
    deck = rules.tomllib.loads(path.read_text(encoding="utf-8"))
    for number, slide in enumerate(deck["slide"], 1):
        where = f"slide {number}, {slide.get('title')!r}"
        if unknown := sorted(set(slide) - FIELDS):
            raise ValueError(
                f"{where}: got the unknown {', '.join(unknown)}, wanted some of {', '.join(sorted(FIELDS))}"
            )
        if "title" not in slide:
            raise ValueError(f"{where}: got no title")
        if ("lesson" in slide) != ("section" in slide):
            raise ValueError(f"{where}: lesson and section go together")
        if {"formula", "picture", "slider"} & set(slide) and "lesson" not in slide:
            raise ValueError(f"{where}: formula, picture and slider come from a lesson's section, and none is named")
        if len({"picture", "slider", "figure"} & set(slide)) > 1:
            raise ValueError(f"{where}: got more than one of picture, slider and figure; a slide shows one thing")
    return deck


def sections(cells: list[Any]) -> dict[str, dict[str, list[Any]]]:
    """For each heading of a lesson: its displayed formulas, its pictures with their texts, its sliders."""
    found: dict[str, dict[str, list[Any]]] = {}
    current: dict[str, list[Any]] = {"formula": [], "picture": [], "slider": []}
    for cell in cells:
        if cell.cell_type == "markdown":
            parts = re.split(r"(?m)^#{1,4} (.+)$", cell.source)
            for k, text in enumerate(parts):
                if k % 2:
                    current = found.setdefault(text, {"formula": [], "picture": [], "slider": []})
                else:
                    current["formula"] += re.findall(r"\$\$(.+?)\$\$", text, re.DOTALL)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                alt = output.get("metadata", {}).get("image/png", {}).get("alt") or data.get("text/plain", "")
                current["picture"].append((base64.b64decode(data["image/png"]), alt))
            elif "data-slider=" in data.get("text/html", ""):
                current["slider"].append(data["text/html"])
    return found


class Formulas:
    """Collects formulas while pages are written, and lets KaTeX set all of them at once."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def place(self, tex: str, display: bool) -> str:
        self.asked.append({"tex": tex, "display": display})
        return f"@formula {len(self.asked) - 1}@"

    def fill(self, page: str) -> str:
        """The page with its formulas; SystemExit for one that KaTeX cannot read."""
        lines = "".join(json.dumps(one) + "\n" for one in self.asked)
        command = ["node", "formulas.js"]
        run = subprocess.run(command, cwd=DOCS, input=lines, capture_output=True, encoding="utf-8", check=True)
        answers = [json.loads(line) for line in run.stdout.splitlines()]
        for one, answer in zip(self.asked, answers, strict=True):
            if "error" in answer:
                raise SystemExit(f"{answer['error']}: {one['tex']}")
        return re.sub(r"@formula (\d+)@", lambda m: answers[int(m[1])]["html"], page)


def pick(slide: dict[str, Any], kind: str, found: dict[str, dict[str, list[Any]]]) -> list[Any]:
    """The items of one kind that a slide asks for; ValueError where its section has fewer."""
    place = f"lesson {slide['lesson']}, section {slide['section']!r}"
    if slide["section"] not in found:
        raise ValueError(f"slide {slide['title']!r}: {place}: there is none; wanted one of {', '.join(found)}")
    items, wanted = found[slide["section"]][kind], slide[kind]
    numbers = wanted if isinstance(wanted, list) else [wanted]
    if max(numbers) > len(items) or min(numbers) < 1:
        raise ValueError(f"slide {slide['title']!r}: {place} has {len(items)} of {kind}, asked for number {wanted}")
    return [items[k - 1] for k in numbers]


def slide_html(slide: dict[str, Any], lesson: Any, out: Path, formulas: Formulas) -> str:
    """One slide; its picture or the data of its slider are stored beside it."""
    text = to_html(slide.get("text", ""), formulas.place)
    shown = ""
    if "formula" in slide:
        rows = "".join(f"<div>{formulas.place(tex, True)}</div>" for tex in pick(slide, "formula", lesson[1]))
        shown += f'<div class="formula">{rows}</div>'
    if "picture" in slide:
        ((png, alt),) = pick(slide, "picture", lesson[1])
        name = f"{lesson[0].stem}-{make_site.stamp_of(png)}.png"
        link = make_site.picture(png, alt, name, out).replace("ROOT", ".")
        shown += f'<div class="shown">{re.findall("<img[^>]*>", link)[0]}</div>'
    if "slider" in slide:
        (place,) = pick(slide, "slider", lesson[1])
        box = make_site.slider(place, lesson[0].stem, lesson[2], out, "").replace("ROOT", ".")
        shown += f'<div class="shown" data-prevent-swipe>{box}</div>'
    if "figure" in slide:
        shutil.copy(ROOT / "figures" / slide["figure"], out / "_static")
        alts = dict(re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
        alt = next((alt for alt, file in alts.items() if file.endswith(slide["figure"])), slide["title"])
        shown += (
            f'<div class="shown"><img src="./_static/{slide["figure"]}" alt="{html.escape(alt, quote=True)}"></div>'
        )
    title = re.sub("</?p>", "", to_html(slide["title"], formulas.place)).strip()
    notes = f'<aside class="notes">{html.escape(slide["notes"])}</aside>' if "notes" in slide else ""
    where = f"lesson {slide['lesson']}" if "lesson" in slide else ""
    head = f"<h2><span>{title}</span><small>{where}</small></h2>"
    return f'<section>{head}\n<div class="text">{text}</div>\n{shown}{notes}</section>'


def load(number: str, moves: bool, work: Path, fast: bool, package: str) -> tuple[Path, Any, Path | None]:
    """A lesson: its path, its sections, and the folder with the data of its sliders where it was executed."""
    import nbformat

    (path,) = build.lessons([number])
    folder = make_site.executed(path, work, fast, package) if moves else None
    notebook = nbformat.read(folder / "lesson.ipynb" if folder else path.with_suffix(".ipynb"), as_version=4)
    return path, sections(notebook.cells), folder


def make(deck_file: Path, out: Path, work: Path, fast: bool) -> None:
    """Write the deck into `out`."""
    make_site.fetch()
    deck = read_deck(deck_file)
    moving = {slide["lesson"] for slide in deck["slide"] if "slider" in slide}
    package = make_site.package_hash() if moving else ""
    numbers = sorted({slide["lesson"] for slide in deck["slide"] if "lesson" in slide})
    lessons = {number: load(number, number in moving, work, fast, package) for number in numbers}

    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(DOCS / "_static", out / "_static")
    make_site.scripts_and_styles(out)
    (out / "_static" / "reveal").mkdir()
    for file in ("dist/reveal.js", "dist/reveal.css", "plugin/notes/notes.js", "LICENSE"):
        shutil.copy(REVEAL / file, out / "_static" / "reveal")
    formulas = Formulas()
    slides = [slide_html(slide, lessons.get(slide.get("lesson", "")), out, formulas) for slide in deck["slide"]]
    page = (DOCS / "slides.html").read_text(encoding="utf-8")
    for key in ("title", "subtitle"):
        page = page.replace(f"@{key}@", html.escape(deck.get(key, "")))
    page = formulas.fill(page.replace("@slides@", "\n".join(slides)))
    (out / "index.html").write_text(page, encoding="utf-8")
    print(f"{out / 'index.html'}: {len(slides) + 1} slides")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deck", type=Path, default=DOCS / "slides.toml")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "slides")
    parser.add_argument("--work", type=Path, default=ROOT / ".site")
    parser.add_argument("--fast", action="store_true", help="execute lessons in fast mode, for a quick look")
    options = parser.parse_args(arguments)
    try:
        make(options.deck, options.out.resolve(), options.work.resolve(), options.fast)
    except ValueError as error:
        raise SystemExit(f"{options.deck}: {error}") from None


if __name__ == "__main__":
    main()
