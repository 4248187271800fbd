"""The pages for teachers: their timings are the lessons' own, and what they name is there."""

from __future__ import annotations

import re
import sys

import pytest
import yaml

import build
import rules
from ddpm_lite import linear_beta_schedule
from ddpm_lite.teach import answers, release, sets
from rules import ROOT

sys.path.insert(0, str(ROOT / "docs"))
import timings

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "teach").glob("*.md")}
SECTIONS = dict(re.findall(r"(?ms)^## (\d\d) [^\n]+\n(.*?)(?=^## |\Z)", PAGES["goals"]))


def headings(number: str) -> list[str]:
    (path,) = build.lessons([number])
    text = "\n".join(cell.source for cell in build.read_source(path).cells if cell.cell_type == "markdown")
    return re.findall(r"(?m)^#+ (.+)$", text)


def test_routes_hold_the_minutes_of_the_lessons() -> None:
    page = PAGES["routes"]
    assert timings.filled(page) == page, "run python docs/timings.py"
    for number, (header, exercises) in timings.lessons().items():
        (path,) = (ROOT / "notebooks" / "exercises").glob(f"{number}_*.ipynb")
        assert f"**Minutes:** {timings.set_minutes(number)}" in path.read_text(encoding="utf-8")
        assert f"| {header.minutes} |" in page
        assert all(f"{title} ({minutes}, {level})" in page for title, level, minutes in exercises)


def test_every_lesson_is_taught_once_in_each_route() -> None:
    for plan in (timings.WEEK, timings.THREE_WEEKS):
        assert sorted(" ".join(numbers for _, numbers, _ in plan).split()) == sorted(timings.lessons())
    assert all(sum(timings.lessons()[n][0].minutes for n in numbers.split()) <= 120 for _, numbers, _ in timings.WEEK)
    assert "Two sessions a week, of 50 to 95 minutes" in PAGES["routes"]
    minutes = [sum(timings.lessons()[n][0].minutes for n in numbers.split()) for _, numbers, _ in timings.THREE_WEEKS]
    assert (min(minutes), max(minutes)) == (50, 95)


def test_the_lecture_is_as_long_as_it_says() -> None:
    lecture = PAGES["routes"].split("## One lecture, 90 minutes")[1].split("\n## ")[0]
    minutes = [int(row) for row in re.findall(r"(?m)^\| (\d+) \|", lecture)]
    assert sum(minutes) == 90 and len(minutes) >= 5


@pytest.mark.parametrize("number", sorted(timings.lessons()))
def test_goals_begin_as_the_lesson_does(number: str) -> None:
    header = timings.lessons()[number][0]
    need = re.search(r"\*\*Before:\*\* (.+)", SECTIONS[number])
    assert need and need[1] == header.need
    assert f"## {number} {header.title}\n" in PAGES["goals"]


@pytest.mark.parametrize("number", sorted(SECTIONS))
def test_goals_name_cells_that_are_there(number: str) -> None:
    section = SECTIONS[number]
    wrong = re.split(r"(?m)^- (?=\*\*\")", section.split("After it, a student can")[1])[1:]
    assert len(wrong) >= 3
    for text in wrong:
        text = " ".join(text.split())
        places = re.findall(r"[Ss]ee \*([^*]+?)\*", text)
        assert places, f"no cell settles it: {text[:60]}"
        for place in places:
            assert place in headings(number) or f"{place}:" in headings(number), f"lesson {number} has no {place!r}"


def test_sliders_that_goals_name_are_in_the_lesson() -> None:
    names = {"00": ["n_steps", "seed"], "01": ["times 1000/T"], "02": ["σ₁", "σ₂"], "03": ["xₜ", "log₁₀ βₜ"]}
    names |= {"05": ["told"], "06": ["1/(1 − d)", "young forgets"], "07": ["fork"]}
    for number, labels in names.items():
        (path,) = build.lessons([number])
        source = path.read_text(encoding="utf-8")
        for label in labels:
            assert f"*{label}*" in SECTIONS[number], (number, label)
            assert re.search(rf"[\"'(, ]{re.escape(label)}[\"'=]", source), (number, label)


def test_what_the_rubric_computes() -> None:
    half = [float((1 - linear_beta_schedule(T, rescale=False)).prod()) for T in (1000, 500)]
    assert half[0] == pytest.approx(4e-5, rel=0.01) and half[1] == pytest.approx(0.0064, rel=0.01)
    assert "from\n> $4\\cdot10^{-5}$ to $0.0064$" in PAGES["rubric"]
    for points in re.findall(r"\*\*(\d) of 8\.\*\*", PAGES["rubric"]):
        assert 0 <= int(points) <= 8
    marked = re.findall(r"Claim (\d).*?reason (\d).*?evidence (\d).*?words (\d).*?\*\*(\d) of 8", PAGES["rubric"], re.S)
    assert len(marked) == 9 and all(sum(map(int, rows)) == int(total) for *rows, total in marked)


def test_headings_that_the_rubric_names_are_there() -> None:
    for number, place in {"00": "Your verdict", "02": "The same thing in the library", "07": "Is it a copy?"}.items():
        assert f"*{place}*" in " ".join(PAGES["rubric"].split()) and place in headings(number)


def test_local_links_lead_somewhere() -> None:
    for name, text in PAGES.items():
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (ROOT / "docs" / "teach" / link).exists(), (name, link)


def test_commands_that_pages_name_exist() -> None:
    text = "\n".join(PAGES.values())
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make ([a-z-]+)", text)):
        assert re.search(rf"(?m)^{target}:", makefile), target
    for verb in set(re.findall(r"ddpm_lite\.teach (\w+)", text)):
        assert (ROOT / "ddpm_lite" / "teach" / f"{verb}.py").exists(), verb
    assert rules.TAG in PAGES["index"] and rules.TAG in PAGES["setup"]


PAPERS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}
PAPERS |= {f"{name}.md": text for name, text in PAGES.items()}


def blocks(text: str) -> list[str]:
    """Fenced blocks of commands."""
    return re.findall(r"(?ms)^```\n(.*?)^```$", text)


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_commands_can_be_pasted_anywhere(name: str) -> None:
    quoted = re.findall(r".?\.\[[a-z,]+\].?", PAPERS[name])
    assert all(re.fullmatch(r'".*"', found) for found in quoted), quoted  # zsh reads [lab] as a pattern
    for block in blocks(PAPERS[name]):
        lines = [line.strip() for line in block.splitlines()]
        systems = {"Scripts" if "Scripts" in line else "bin" for line in lines if "activate" in line}
        assert len(systems) < 2 or name == "setup.md" and block.startswith("Subject:"), block
        for line in lines:
            if re.search(r"activate$|pip install|git clone|\bvenv\b|jupyter lab|make assignments", line):
                assert not re.search(r"\s#|\(", line), f"behind the command: {line}"


def test_an_address_that_is_not_public_is_called_so() -> None:
    for name in ("setup", "index"):
        assert "not public yet" in PAGES[name].split("\n## ")[0], name
    for name, text in PAPERS.items():
        for line in re.findall(r"(?m)^.*git clone (?!https).*$|^.*git clone https.*$", text):
            if "clone https" in line or "--branch" in line:
                assert f"git clone --branch {rules.TAG} {rules.ADDRESS}" in line, (name, line)
        assert name.startswith("C") or set(re.findall(r"\bv\d+\.\d+\.\d+\b", text)) <= {rules.TAG}, name


def test_a_missing_package_is_named_with_the_line_that_installs_it() -> None:
    source = (ROOT / "ddpm_lite" / "teach" / "__main__.py").read_text(encoding="utf-8")
    line = 'pip install -e ".[teach]"'
    assert line in source.replace("\\", "") and line in PAGES["grading"]


def test_what_an_answer_may_import_stands_on_the_page() -> None:
    section = PAGES["grading"].split("### What an answer may import")[1].split("Other imports")[0]
    names = set(re.findall(r"`([A-Za-z_]+)`", section))
    assert names == {name for name in answers.IMPORTS if not name.startswith("_")}
    assert all(f"`{name}`" in release.imports() for name in names)
    made = sets.read_source(ROOT / "notebooks" / "exercises" / "03_posterior.py")
    release._prepare(made, None, None, 2)
    assert release.imports() in made.notebook["cells"][0]["source"]


def test_the_form_for_mistakes_knows_every_lesson() -> None:
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/wrong-or-unclear.yml").read_text(encoding="utf-8"))
    fields = {part["id"]: part for part in form["body"] if "id" in part}
    assert {"lesson", "cell", "what", "version"} <= set(fields)
    assert all(part["validations"]["required"] for part in fields.values())
    places = fields["lesson"]["attributes"]["options"]
    numbers = [path.stem[:2] for path in build.lessons([])]
    assert numbers and all(any(place.startswith(number) for place in places) for number in numbers)
    kinds = {"markdown", "dropdown", "input", "textarea"}
    assert {part["type"] for part in form["body"]} <= kinds and form["name"] and form["description"]
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    header = re.search(r"(?m)^\| lesson \|.*\|$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert header
    for column in [name.strip() for name in header[0].strip("|").split("|")]:
        assert column in contributing.split("## Edit a lesson")[0], column
