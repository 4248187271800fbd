"""The bank of questions: every number computed anew, every claim that can be; and what the command writes."""

from __future__ import annotations

import argparse
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import torch

import ddpm_lite
from ddpm_lite import data, targets
from ddpm_lite.teach import quiz, quiz_formats
from rules import ROOT

BANK = quiz.read_bank(quiz.BANK)
LESSONS = ["00", "01", "02", "03", "04", "05", "06", "07", "90"]
NAMES = {name: getattr(ddpm_lite, name) for home in ddpm_lite._HOME.values() for name in home}
NAMES |= {
    "torch": torch,
    "math": math,
    "GaussianMixture": data.GaussianMixture,
    "targets": targets,
    "mnist": data.mnist,
}


def computed(code: str) -> dict[str, Any]:
    names = dict(NAMES)
    exec(code, names)
    return names


def by_id(kind: str, key: str = "id") -> list[Any]:
    return [pytest.param(one, id=one.id) for one in BANK if one.kind == kind and getattr(one, key)]


@pytest.mark.parametrize("one", by_id("number"))
def test_a_number_is_what_the_library_computes(one: quiz.Question) -> None:
    names = computed(one.python)
    assert abs(names["answer"] - one.answer) <= (one.tolerance / 2 or 0), (names["answer"], one.answer)
    assert len(names["wrong"]) == len(one.wrong)
    for wanted, (value, why) in zip(names["wrong"], one.wrong, strict=True):
        assert value == pytest.approx(wanted, rel=0.01, abs=1e-9), why
        assert abs(value - one.answer) > one.tolerance, f"{value} would be counted as right: {why}"
        others = [other for other, _ in one.wrong if other is not value]
        assert all(abs(value - other) > 0.01 * (abs(value) + abs(other)) for other in others)


@pytest.mark.parametrize("one", by_id("choice", "holds"))
def test_what_a_right_choice_claims_holds(one: quiz.Question) -> None:
    assert "assert" in one.holds
    computed(one.holds)


def test_the_bank_is_as_large_and_as_mixed_as_it_says() -> None:
    page = (ROOT / "docs" / "teach" / "index.md").read_text(encoding="utf-8")
    assert f"has {len(BANK)} questions over all lessons" in page
    for lesson in LESSONS:
        rows = [one for one in BANK if one.lesson == lesson]
        assert len(rows) >= 5 and len({one.kind for one in rows}) >= 2 and len({one.difficulty for one in rows}) >= 2
        assert all(one.id.startswith(f"{lesson}-") for one in rows)
    assert {one.lesson for one in BANK} == set(LESSONS)
    assert sum(bool(one.holds) for one in BANK) >= 15


@pytest.mark.parametrize("one", [pytest.param(one, id=one.id) for one in BANK])
def test_a_question_reads_well(one: quiz.Question) -> None:
    texts = [one.question, one.right, one.why, *one.marks, *(str(x) for pair in one.wrong for x in pair)]
    texts += [one.answer] if one.kind == "short" else []
    for text in texts:
        assert text.count("$") % 2 == 0 and "  " not in text and "''" not in text, text
        assert "<p>" not in text and quiz_formats.to_html(text).count("<svg ") == text.count("$") // 2
        for tex in re.findall(r"\$([^$]+)\$", text):
            assert not re.search(r"\\(?!\w|[,!{}|;])", tex), tex
    if one.kind == "choice":
        assert 3 <= len(one.wrong) <= 4
        words = sorted(len(str(option).split()) for option, _ in one.wrong)
        assert len(one.right.split()) <= 2.5 * words[-1] + 2, "the longest option by far gives itself away"
    if one.kind == "short":
        assert len(one.marks) == one.points


def run(to: Path, *arguments: str) -> dict[str, str]:
    parser = argparse.ArgumentParser()
    quiz.add_arguments(parser)
    assert quiz.run(parser.parse_args([*arguments, "--to", str(to)])) == 0
    return {path.name: path.read_text(encoding="utf-8") for path in to.iterdir()}


def test_sheets_agree_and_the_students_one_has_no_answers(tmp_path: Path) -> None:
    files = run(tmp_path, "--lessons", *LESSONS, "--n", str(len(BANK)), "--seed", "3")
    assert set(files) == {"quiz.md", "quiz.html", "answers.md", "answers.html", "moodle.xml"}
    for one in BANK:
        secrets = [one.why, one.python, one.holds, *one.marks, *(str(why) for _, why in one.wrong)]
        secrets += [one.answer] if one.kind == "short" else []
        assert one.id not in files["quiz.md"] and one.id in files["answers.md"]
        for secret in filter(None, secrets):
            assert (
                secret not in files["quiz.md"] and quiz_formats.to_html(secret).strip()[3:-4] not in files["quiz.html"]
            )
        for secret in (one.why, *one.marks):
            assert secret in files["answers.md"]
    blocks = files["quiz.md"].split("## Question ")[1:]
    solved = files["answers.md"].split("## Question ")[1:]
    places = []
    for block, answers in zip(blocks, solved, strict=True):
        if letter := re.search(r"\*\*Right: ([a-d])\.\*\*", answers):
            assert re.findall(r"(?m)^- ([a-e])\) ", block) == list("abcde")[: len(re.findall(r"(?m)^- ", block))]
            options = re.findall(r"(?m)^- [a-e]\) (.*)$", block)
            right = next(one.right for one in BANK if f"(`{one.id}`)" in answers)
            assert options["abcd".index(letter[1])] == right
            places.append(letter[1])
    assert {places.count(letter) > 3 for letter in "abcd"} == {True}, "the right one stands anywhere"


def test_pages_need_nothing_else(tmp_path: Path) -> None:
    files = run(tmp_path, "--lessons", "03", "04", "--n", "8")
    for name in ("quiz.html", "answers.html"):
        assert files[name].count("<svg ") > 20 and "$" not in files[name]
        assert not re.search(r"<script|<link|src=|url\(", files[name])
        ET.fromstring(re.sub(r"<!doctype html>|<meta[^>]*>", "", files[name]).replace("&nbsp;", " "))


def test_moodle_can_read_it(tmp_path: Path) -> None:
    files = run(tmp_path, "--lessons", *LESSONS, "--n", str(len(BANK)))
    root = ET.fromstring(files["moodle.xml"].encode())
    kinds = [node.get("type") for node in root]
    assert kinds.count("category") == len(LESSONS) and len(root) == len(BANK) + len(LESSONS)
    bank = {one.id: one for one in BANK}
    for node in root:
        if node.get("type") == "category":
            continue
        one = bank[node.findtext("name/text") or ""]
        assert node.findtext("questiontext/text") and node.find("questiontext").get("format") == "html"
        assert float(node.findtext("defaultgrade") or 0) == one.points
        fractions = [answer.get("fraction") for answer in node.findall("answer")]
        if one.kind == "short":
            assert fractions == [] and node.findtext("graderinfo/text")
            continue
        assert fractions == ["100", *["0"] * len(one.wrong)]
        assert all(answer.findtext("feedback/text") for answer in node.findall("answer")[1:])
        if one.kind == "number":
            assert float(node.findtext("answer/text") or "nan") == one.answer
            assert float(node.findtext("answer/tolerance") or "nan") == one.tolerance
        text = "".join(node.itertext())
        assert "$" not in text and text.count("\\(") == text.count("\\)")


def test_a_seed_gives_one_quiz_and_lessons_come_evenly() -> None:
    first, again, other = (quiz.choose(BANK, ["01", "02", "03"], 9, seed) for seed in (3, 3, 4))
    assert first == again != other
    assert [one.lesson for one in first] == ["01"] * 3 + ["02"] * 3 + ["03"] * 3


def test_what_cannot_be_drawn_is_named() -> None:
    with pytest.raises(ValueError, match="lessons: got '12', wanted some of 00, 01"):
        quiz.choose(BANK, ["01", "12"], 3, 0)
    with pytest.raises(ValueError, match="n: got 100, wanted 1 to 8"):
        quiz.choose(BANK, ["01"], 100, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('kind = "choice"|kind = "essay"', r"question '00-what-is-learned': kind: got 'essay', wanted one of choice"),
        ("points = 1|point = 1", "got the unknown point"),
        ('difficulty = "easy"|difficulty = "nice"', "difficulty: got 'nice'"),
        ("right = |rights = ", "got the unknown rights"),
        ("why = '[^\n]*|why = ''", "got no why, which a choice needs"),
        ('id = "00-good-eps-bad-x0"|id = "00-what-is-learned"', "this id is taken"),
    ],
)
def test_a_mistake_in_a_bank_is_named(tmp_path: Path, change: str, message: str) -> None:
    old, new = change.split("|")
    text, n = re.subn(old, new, quiz.BANK.read_text(encoding="utf-8"), count=1)
    assert n == 1
    (tmp_path / "bank.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        quiz.read_bank(tmp_path / "bank.toml")


def test_no_page_of_the_site_or_student_file_holds_an_answer() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").rglob("*.ipynb"), ROOT / "README.md"]
    pages = [page for page in pages if "node_modules" not in page.parts]
    assert len(pages) > 8
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    for one in BANK:
        for secret in (one.why, *(str(why) for _, why in one.wrong), one.answer if one.kind == "short" else ""):
            assert len(secret) < 25 or secret not in text, (one.id, secret)


def test_the_command_line_makes_a_quiz_or_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ddpm_lite.teach.__main__ import main

    assert main(["quiz", "--lessons", "01", "02", "--n", "4", "--kinds", "choice", "--to", str(tmp_path / "a")]) == 0
    assert (tmp_path / "a" / "moodle.xml").is_file() and "quiz.html" in capsys.readouterr().out
    assert main(["quiz", "--lessons", "13", "--to", str(tmp_path / "b")]) == 1
    assert "lessons: got '13'" in capsys.readouterr().err and not (tmp_path / "b").exists()
    assert main(["quiz", "--lessons", "01", "--to", str(tmp_path), "--bank", str(tmp_path / "none.toml")]) == 1
    assert "none.toml" in capsys.readouterr().err
