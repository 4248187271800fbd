"""A class hands in, and every score is what was planted: right answers, wrong ones, attacks and mishaps."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from classroom import students
from ddpm_lite.teach import book, grade
from ddpm_lite.teach.__main__ import main
from ddpm_lite.teach.release import SOURCES
from ddpm_lite.teach.results import NO_SET, Result
from ddpm_lite.teach.submissions import Submission

HERE = Path(__file__).parent / "classroom"
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="grading needs fork"),
    pytest.mark.filterwarnings("default"),  # nbgrader and what it uses
]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course with the small set, due in the year 2100."""
    folder = tmp_path_factory.mktemp("course")
    assert main(["release", "01", "--to", str(folder), "--sources", str(HERE), "--due", "2100-01-31T23:59"]) == 0
    return folder


def released(course: Path) -> dict[str, Any]:
    """What students got, each cell's source as one string."""
    notebook = json.loads((course / "release" / "01_small" / "01_small.ipynb").read_text("utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


def scores(course: Path) -> dict[str, dict[str, str]]:
    """The lines of grades.csv, by student, in the platform's spelling."""
    with (course / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {row["student"].replace(" ", ""): row for row in csv.DictReader(file)}


def grade_class(course: Path, folder: Path) -> float:
    """Hand in, grade, compare each line with what is expected; return the seconds a student."""
    expected = students.hand_in(released(course), folder, course)
    start = time.perf_counter()
    assert main(["grade", str(folder), "--course", str(course), "--seconds", "8"]) == 0
    seconds = (time.perf_counter() - start) / len(expected)
    got = scores(course)
    assert set(got) == {name.replace(" ", "") for name in expected}
    wrong = []
    for name, student in expected.items():
        row = got[name.replace(" ", "")]
        points = tuple(float(row[str(number)]) for number in range(1, 5))
        fits = re.search(student.problem, row["problem"]) if student.problem else not row["problem"]
        late = row["late"] == ("yes" if student.late else "no")
        if points != student.points or float(row["total"]) != sum(student.points) or not fits or not late:
            wrong.append(f"{name}: wanted {student}, got {row}")
        assert row["max"] == str(students.MAXIMUM)
        page = course / "feedback" / row["key"] / "01_small" / "01_small.html"
        text = page.read_text("utf-8")
        assert len(text) > 10_000 and "<script>alert(1)" not in text
    assert not wrong, "\n".join(wrong)
    return seconds


@pytest.mark.alone
@pytest.mark.timeout(1800)
def test_the_whole_class_gets_what_was_planted(course: Path, tmp_path: Path) -> None:
    seconds = grade_class(course, tmp_path)
    print(f"{len(students.CLASS) + 4} students, {seconds:.1f} s each")


def test_held_points_count_once_they_are_accepted(course: Path, tmp_path: Path) -> None:
    notebook = students.put(released(course), {**students.RIGHT, 1: "import inspect\n" + students.TABLE})
    (tmp_path / "una.ipynb").write_text(json.dumps(notebook), "utf-8")
    command = ["grade", str(tmp_path), "--course", str(course), "--jobs", "2", "--seconds", "8"]
    assert main(command) == 0
    row = scores(course)["una"]
    assert row["total"] == "6" and row["problem"] == "exercise 1, held back: line 1: import inspect"
    assert main([*command, "--accept", "una"]) == 0
    row = scores(course)["una"]
    assert row["total"] == "7" and row["problem"] == "exercise 1, accepted: line 1: import inspect"


def test_of_two_files_the_later_is_graded(course: Path, tmp_path: Path) -> None:
    for name, answers, when in (("hw-1", students.RIGHT, 2e9), ("hw", {}, 1e9)):
        path = tmp_path / f"miller_77_{name[-1:].replace('w', '0')}1_{name}.ipynb"
        path.write_text(json.dumps(students.put(released(course), answers)), "utf-8")
        os.utime(path, (when, when))
    assert main(["grade", str(tmp_path), "--course", str(course)]) == 0
    row = scores(course)["miller"]
    assert row["total"] == "7" and row["problem"] == "2 files, miller_77_11_hw-1.ipynb is graded"


def test_no_file_stops_the_class(course: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files and answers made to break the grader, or to write into what the teacher reads."""
    fence = "x``` <b onload=alert(2)>\x1b[2J"
    wrong = "def alpha_bar(beta):\n    raise ValueError('\\ud800 \\x1b[2J ``` <script>alert(1)</script>')"
    (tmp_path / "ann.ipynb").write_bytes(b'{"worksheets": [{"cells": null}]}')
    (tmp_path / f"bo_2_3_{fence}.ipynb").write_bytes(b'{"cells": [3, {"cell_type": ["code"], "source": {"a": 1}}]}')
    (tmp_path / "cy.ipynb").write_text(
        json.dumps(students.put(released(course), {**students.RIGHT, 1: wrong})), "utf-8"
    )
    (tmp_path / f"{'d' * 240}.ipynb").write_text(json.dumps(students.put(released(course), students.RIGHT)), "utf-8")
    (tmp_path / os.fsdecode(b"ed\xff.ipynb")).write_bytes(b"x")
    assert main(["grade", str(tmp_path), "--course", str(course)]) == 0
    got = scores(course)
    assert {name[:4]: row["total"] for name, row in got.items()} == {
        "ann": "0",
        "bo": "0",
        "cy": "6",
        "dddd": "7",
        "ed?": "0",
    }
    assert "answers none of the sets" in got["ann"]["problem"] and "answers none" in got["bo"]["problem"]
    texts = [path.read_text("utf-8") for path in (course / "feedback").rglob("*.html")]
    assert not any("<script>alert(1)" in text or "<b onload" in text for text in texts)
    assert "\x1b" not in "".join(texts) + (course / "grades.csv").read_text("utf-8") + capsys.readouterr().out


def test_an_error_of_the_grader_is_that_students_problem(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def extract(notebook: dict[str, Any], exercises: Any) -> Any:
        if any("unlucky" in cell["source"] for cell in notebook["cells"]):
            raise KeyError("a hole")
        return real(notebook, exercises)

    real = grade.extract
    monkeypatch.setattr(grade, "extract", extract)
    for name in ("unlucky", "fine"):
        answers = {**students.RIGHT, 1: f"{students.TABLE}# {name}"}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(students.put(released(course), answers)), "utf-8")
    assert main(["grade", str(tmp_path), "--course", str(course)]) == 0
    got = scores(course)
    assert got["fine"]["total"] == "7" and (got["unlucky"]["total"], got["unlucky"]["max"]) == ("0", "7")
    assert got["unlucky"]["problem"] == "grading stopped with KeyError: 'a hole'"


def test_what_comes_after_the_date_is_late(course: Path, tmp_path: Path) -> None:
    path = tmp_path / "vera.ipynb"
    path.write_text(json.dumps(released(course)), "utf-8")
    os.utime(path, (4.2e9, 4.2e9))  # the year 2103
    assert main(["grade", str(tmp_path), "--course", str(course)]) == 0
    assert scores(course)["vera"]["late"] == "yes"


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            "import math",
            "import math, no_such_package",
            "the first cell stopped with ModuleNotFoundError.*no_such_package",
        ),
        ("(1 - beta).cumprod", "beta.cumprod", "exercise 1, does not pass: your table is the product of the beta_t"),
        ("rate = 0.5", "import inspect\nrate = 0.5", "exercise 4, does not pass: .*import inspect"),
    ],
)
def test_grading_stops_where_the_reference_does_not_get_full_marks(
    course: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    other = tmp_path / "course"
    shutil.copytree(course / "source", other / "source")
    path = other / "source" / "01_small" / "01_small.ipynb"
    notebook = json.loads(path.read_text("utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).replace(old, new)
    path.write_text(json.dumps(notebook), "utf-8")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "wim.ipynb").write_text(json.dumps(released(course)), "utf-8")
    assert main(["grade", str(tmp_path / "in"), "--course", str(other)]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not (other / "grades.csv").exists()


SETS = sorted(path.stem for path in SOURCES.glob("[0-9][0-9]_*.py"))


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n[:2] == "01" else pytest.mark.classroom) for n in SETS])
@pytest.mark.timeout(900)
def test_a_set_is_released_and_its_solutions_get_full_marks(name: str, tmp_path: Path) -> None:
    to, folder = tmp_path / "course", tmp_path / "in"
    assert main(["release", name[:2], "--to", str(to)]) == 0
    folder.mkdir()
    for student, kind in (("solver", "source"), ("stub", "release")):
        shutil.copy(to / kind / name / f"{name}.ipynb", folder / f"{student}.ipynb")
    assert main(["grade", str(folder), "--course", str(to)]) == 0
    got = scores(to)
    assert got["solver"]["total"] == got["solver"]["max"] != "0"
    assert got["stub"]["total"] == "0" and not got["stub"]["problem"]


def test_one_table_holds_the_homework_of_a_term(tmp_path: Path) -> None:
    def result(student: str, of_set: str, points: dict[int, float], problem: str = "") -> Result:
        one, problems = Submission(PurePosixPath("x"), student=student), [problem] if problem else []
        return Result(one, of_set, points, problems=problems, maximum=float(len(points)))

    book.write_grades(tmp_path, [result("ann", "03", {1: 1.0, 2: 0.5}), result("bo", "03", {}, "no notebook")])
    book.write_grades(tmp_path, [result("ann", "01", {1: 1.0, 10: 1.0, 2: 0.0}), result("bo", NO_SET, {})])
    book.write_grades(tmp_path, [result("ann", "03", {1: 1.0, 2: 1.0}), result("bo", "03", {1: 0.0, 2: 1.0})])
    lines = (tmp_path / "grades.csv").read_text("utf-8").splitlines()
    assert lines == [
        "student,id,key,set,1,2,10,total,max,late,problem",
        "ann,,ann,01,1,0,1,2,3,no,",
        "ann,,ann,03,1,1,,2,2,no,",
        "bo,,bo,03,0,1,,1,2,no,",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["grades.csv"]
