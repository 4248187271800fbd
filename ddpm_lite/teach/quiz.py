"""Quizzes from a bank of questions: a sheet for students, one with answers, and Moodle's XML.

    python -m ddpm_lite.teach quiz --lessons 01 02 --n 10 --seed 3 --to runs/quiz

The bank is teach/quiz.toml in the repository, beside the package and not in it; its head says what a question holds.
`--bank` names another one.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

BANK = Path(__file__).resolve().parents[2] / "teach" / "quiz.toml"
NEEDS = {
    "choice": ("right", "why", "wrong"),
    "number": ("answer", "tolerance", "why", "wrong", "python"),
    "short": ("answer", "marks"),
}
DIFFICULTIES = ("easy", "medium", "hard")


@dataclass(frozen=True)
class Question:
    """One question of the bank; which fields count depends on `kind`."""

    id: str
    lesson: str
    kind: str
    difficulty: str
    points: int
    question: str
    right: str = ""
    why: str = ""
    wrong: list[list[Any]] = field(default_factory=list)
    answer: Any = None
    tolerance: float = 0.0
    marks: list[str] = field(default_factory=list)
    python: str = ""
    holds: str = ""


def read_bank(path: Path) -> list[Question]:
    """The questions of a bank; raises ValueError that names a question and what it lacks."""
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    known = {one.name for one in fields(Question)}
    bank: list[Question] = []
    for entry in toml.loads(path.read_text(encoding="utf-8")).get("question", []):
        name = f"question {entry.get('id', len(bank) + 1)!r}"
        kind = entry.get("kind")
        if kind not in NEEDS:
            raise ValueError(f"{name}: kind: got {kind!r}, wanted one of {', '.join(NEEDS)}")
        if unknown := sorted(set(entry) - known):
            raise ValueError(f"{name}: got the unknown {', '.join(unknown)}, wanted some of {', '.join(sorted(known))}")
        needed = ("id", "lesson", "difficulty", "points", "question", *NEEDS[kind])
        if missing := [key for key in needed if entry.get(key) in (None, "", [])]:
            raise ValueError(f"{name}: got no {', '.join(missing)}, which a {kind} needs")
        if entry["difficulty"] not in DIFFICULTIES:
            raise ValueError(f"{name}: difficulty: got {entry['difficulty']!r}, wanted {', '.join(DIFFICULTIES)}")
        if any(len(pair) != 2 for pair in entry.get("wrong", [])):
            raise ValueError(f"{name}: wrong: wanted pairs of an answer and why it is wrong")
        if entry["id"] in {other.id for other in bank}:
            raise ValueError(f"{name}: this id is taken by another question")
        bank.append(Question(**entry))
    return bank


def choose(bank: Sequence[Question], lessons: Iterable[str], n: int, seed: int) -> list[Question]:
    """Draw `n` questions, as evenly over the lessons as there are any, in the order of the lessons.

    Raises ValueError where a lesson has no question, or all of them together have fewer than `n`.
    """
    rng, by_lesson = random.Random(seed), {}
    for lesson in sorted(set(lessons)):
        by_lesson[lesson] = [one for one in bank if one.lesson == lesson]
        if not by_lesson[lesson]:
            have = ", ".join(sorted({one.lesson for one in bank}))
            raise ValueError(f"lessons: got {lesson!r}, wanted some of {have}")
        rng.shuffle(by_lesson[lesson])
    if not 1 <= n <= sum(map(len, by_lesson.values())):
        raise ValueError(f"n: got {n}, wanted 1 to {sum(map(len, by_lesson.values()))}, as many as there are")
    chosen: list[Question] = []
    while len(chosen) < n:
        rows = [row for row in by_lesson.values() if row]
        rng.shuffle(rows)
        chosen += [row.pop() for row in rows[: n - len(chosen)]]
    return sorted(chosen, key=lambda one: (one.lesson, DIFFICULTIES.index(one.difficulty), one.id))


def options(question: Question, seed: int) -> list[tuple[str, str]]:
    """The options of a choice in the order of the sheet, each with why it is wrong, or "" for the right one."""
    rows = [(question.right, ""), *((str(text), str(why)) for text, why in question.wrong)]
    random.Random(f"{seed} {question.id}").shuffle(rows)
    return rows


def letter(k: int) -> str:
    return "abcdefgh"[k]


def listed(texts: Sequence[str]) -> list[str]:
    """Options as "- a) ...": Markdown has no lists with letters."""
    return [f"- {letter(k)}) {text}" for k, text in enumerate(texts)]


def student_sheet(questions: Sequence[Question], seed: int, title: str) -> str:
    """The quiz as Markdown, without answers."""
    total = sum(one.points for one in questions)
    lines = [f"# {title}", "", f"Name: ____________________ Points: ____ of {total}", ""]
    for number, one in enumerate(questions, 1):
        lines += [_heading(number, one), "", one.question, ""]
        if one.kind == "choice":
            lines += listed([text for text, _ in options(one, seed)])
        lines += ["", "Answer: ____________________", ""]
    return "\n".join(lines)


def answer_sheet(questions: Sequence[Question], seed: int, title: str) -> str:
    """The same quiz as Markdown with answers, and with what each wrong answer shows."""
    lines = [f"# {title}: answers", "", f"For teachers. Seed {seed}.", ""]
    for number, one in enumerate(questions, 1):
        lines += [_heading(number, one), "", one.question, ""]
        if one.kind == "choice":
            rows = options(one, seed)
            right = next(letter(k) for k, (_, why) in enumerate(rows) if not why)
            lines += [f"**Right: {right}.** {one.why}", ""]
            lines += listed([f"{text} {f'*Wrong:* {why}' if why else '**Right.**'}" for text, why in rows])
        elif one.kind == "number":
            near = f", within {one.tolerance:g}" if one.tolerance else ""
            lines += [f"**Right: {one.answer:g}{near}.** {one.why}", ""]
            lines += [f"- {value:g}: {why}" for value, why in one.wrong]
        else:
            lines += [f"**For example:** {one.answer}", "", f"Points, one each of {one.points}:", ""]
            lines += [f"- {mark}" for mark in one.marks]
        lines += ["", f"(`{one.id}`)", ""]
    return "\n".join(lines)


def _heading(number: int, one: Question) -> str:
    points = f"{one.points} point{'s' * (one.points > 1)}"
    return f"## Question {number} (lesson {one.lesson}, {points})"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m ddpm_lite.teach quiz`."""
    parser.add_argument(
        "--lessons", nargs="+", required=True, metavar="NN", help="such as 01 02; 90 is the museum of bugs"
    )
    parser.add_argument("--n", type=int, default=10, help="how many questions (10)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another quiz (0)")
    parser.add_argument("--kinds", nargs="+", choices=list(NEEDS), default=list(NEEDS), help="all kinds, if not given")
    parser.add_argument("--title", default="Quiz", help="the heading of the sheets")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where the files go")
    parser.add_argument(
        "--bank", type=Path, default=BANK, help="a file of questions (teach/quiz.toml of the repository)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the sheets and Moodle's XML; returns 0. Raises ValueError for what the bank cannot give."""
    if not args.bank.is_file():
        raise ValueError(
            f"bank: got {args.bank}, which is no file; it is in a clone of the repository, not in the package"
        )
    from .quiz_formats import moodle, page

    bank = [one for one in read_bank(args.bank) if one.kind in args.kinds]
    questions = choose(bank, args.lessons, args.n, args.seed)
    student = student_sheet(questions, args.seed, args.title)
    answers = answer_sheet(questions, args.seed, args.title)
    files = {"quiz.md": student, "quiz.html": page(student), "answers.md": answers, "answers.html": page(answers)}
    args.to.mkdir(parents=True, exist_ok=True)
    for name, text in {**files, "moodle.xml": moodle(questions)}.items():
        (args.to / name).write_text(text, encoding="utf-8")
        print(args.to / name)
    return 0
