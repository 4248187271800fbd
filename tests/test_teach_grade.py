"""A class hands in, and every score is what was planted: right answers, wrong ones, attacks and mishaps."""

from __future__ import annotations

import csv
import json
import re
import sys
import time
from pathlib import Path

import pytest

from classroom import students
from ddpm_lite.teach.__main__ import main

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


def scores(course: Path) -> dict[str, dict[str, str]]:
    """The lines of grades.csv, by student, in the platform's spelling."""
    with (course / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {row["student"].replace(" ", ""): row for row in csv.DictReader(file)}


def grade_class(course: Path, folder: Path, names: list[str]) -> float:
    """Hand in, grade, compare each line with what is expected; return the seconds a student."""
    released = json.loads((course / "release" / "01_small" / "01_small.ipynb").read_text("utf-8"))
    for cell in released["cells"]:
        cell["source"] = "".join(cell["source"])
    expected = students.hand_in(released, folder, course, names)
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
        assert page.stat().st_size > 10_000
    assert not wrong, "\n".join(wrong)
    return seconds


def test_a_small_class_gets_what_was_planted(course: Path, tmp_path: Path) -> None:
    seconds = grade_class(course, tmp_path, students.SMALL)
    print(f"{seconds:.1f} s a student")


@pytest.mark.classroom
@pytest.mark.timeout(1800)
def test_the_whole_class_gets_what_was_planted(course: Path, tmp_path: Path) -> None:
    seconds = grade_class(course, tmp_path, list(students.CLASS))
    print(f"{len(students.CLASS) + 4} students, {seconds:.1f} s each")
