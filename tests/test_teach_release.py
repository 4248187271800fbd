"""release: an nbgrader course; submissions: what learning platforms give out; answers: found in any notebook."""

from __future__ import annotations

import ast
import datetime
import io
import json
import os
import re
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest

from classroom import students
from ddpm_lite.teach import answers, release, sets, submissions
from ddpm_lite.teach.__main__ import main

ROOT = Path(__file__).parents[1]
SMALL = Path(__file__).parent / "classroom" / "01_small.py"
pytestmark = pytest.mark.filterwarnings("default")  # nbgrader and what it uses


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("course")
    command = ["release", "01", "--to", str(folder), "--sources", str(SMALL.parent), "--points", "1=2.5,4=7"]
    assert main([*command, "--title", "Homework 1", "--due", "2027-01-31T23:59"]) == 0
    return folder


def notebook(course: Path, kind: str) -> Any:
    return json.loads((course / kind / "01_small" / "01_small.ipynb").read_text("utf-8"))


def graded(course: Path, kind: str, grade_id: str) -> dict[str, Any]:
    cell = students.cell(notebook(course, kind), grade_id)
    return {**cell["metadata"]["nbgrader"], "source": "".join(cell["source"])}


# --- release ---------------------------------------------------------------------------------------------


def test_students_get_stubs_and_no_more(course: Path) -> None:
    text = (course / "release" / "01_small" / "01_small.ipynb").read_text("utf-8")
    for hidden in ("SOLUTION", "HIDDEN", "cumprod", "a float is wanted", "jupytext", "rate = 0.5"):
        assert hidden not in text
    made = notebook(course, "release")
    assert "".join(made["cells"][0]["source"]).startswith("# Homework 1\n")
    assert "**Points:** 14.5 **Due:** 2027-01-31 23:59" in "".join(made["cells"][0]["source"])
    assert all(cell.get("outputs", []) == [] and cell.get("execution_count") is None for cell in made["cells"])
    assert graded(course, "release", "answer-4")["source"] == "rate = ..."


def test_checks_are_locked_and_have_points(course: Path) -> None:
    points = {n: graded(course, "release", f"check-{n}")["points"] for n in range(1, 5)}
    assert points == {1: 2.5, 2: 2, 3: 3, 4: 7}
    assert all(graded(course, "release", f"check-{n}")["locked"] for n in points)
    assert all(graded(course, "release", f"answer-{n}")["solution"] for n in points)
    hidden = graded(course, "source", "check-1")["source"]
    assert hidden.count("check_alpha_bar(alpha_bar)") == 2 and "for _ in range(2):" in hidden
    assert 'assert type(rate) is float, "a float is wanted"' in graded(course, "source", "check-4")["source"]


def test_the_gradebook_knows_points_and_date(course: Path) -> None:
    with release.gradebook(course) as book:
        assignment = book.find_assignment("01_small")
        assert assignment.max_score == 14.5 and assignment.duedate is not None


@pytest.mark.skipif(sys.platform == "win32", reason="paths of programs")
def test_nbgrader_itself_reads_the_course(course: Path) -> None:
    with release.programs():
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", "generate_assignment", "01_small", "--force"],
            cwd=course, capture_output=True, text=True, timeout=240,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cumprod" not in (course / "release" / "01_small" / "01_small.ipynb").read_text("utf-8")
    assert graded(course, "release", "answer-4")["source"] == "rate = ..."


@pytest.mark.parametrize("path", [SMALL, *sorted(release.SOURCES.glob("[0-9][0-9]_*.py"))], ids=lambda path: path.stem)
def test_no_solution_of_the_course_looks_like_a_forgery(path: Path) -> None:
    made = sets.read_source(path)
    for exercise in made.exercises:
        assert answers.suspicious(made.code(exercise.answer)) == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["01", "--points", "9=1"], "points for exercise 9, which 01_small does not have"),
        (["01", "--points", "1=0"], "points must look like 1=2,3=4"),
        (["01", "--rounds", "-1"], "rounds must be 0 or more"),
        (["07"], "there is no set '07' in .*; there are: 01_small"),
        (["--sources", "nowhere"], "there are no sets in nowhere"),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["release", "--to", str(tmp_path), "--sources", str(SMALL.parent), *arguments]) == 1
    assert re.search(f"^error: {message}", capsys.readouterr().err)


@pytest.mark.parametrize("verb", ["release", "grade", "quiz"])
def test_help_teaches(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and f"python -m ddpm_lite.teach {verb}" in said and len(said.splitlines()) > 15


def test_nothing_else_imports_teach() -> None:
    for path in (ROOT / "ddpm_lite").rglob("*.py"):
        if "teach" in path.parts:
            assert len(path.read_text("utf-8").splitlines()) <= 250, path
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                named = f"{getattr(node, 'module', '')} {[alias.name for alias in node.names]}"
                assert "teach" not in named, path


# --- submissions -----------------------------------------------------------------------------------------


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


HOMEWORK = {"hw.ipynb": b"x"}


def collected(path: Path) -> list[tuple[str, str, bool, bool]]:
    """Student, id, late, whether there is something to grade."""
    return [(one.student, one.id, one.late, one.data is not None) for one in submissions.collect(path)]


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"Ann Lee_12_assignsubmission_file_/hw.ipynb": b"x"}, [("Ann Lee", "12", False, True)]),
        ({"Ann Lee_12_assignsubmission_file_hw.ipynb": b"x"}, [("Ann Lee", "12", False, True)]),
        (
            {
                "Ann Lee_12_assignsubmission_onlinetext_/onlinetext.html": b"hello",
                "Ann Lee_12_assignsubmission_file_/hw.ipynb": b"x",
            },
            [("Ann Lee", "12", False, True)],
        ),
        ({"leeann_LATE_12_99_hw.ipynb": b"x", "kimbo_13_98_hw-1.ipynb": b"y"},
         [("kimbo", "13", False, True), ("leeann", "12", True, True)]),
        ({"ann.ipynb": b"x", "bo (1).ipynb": b"x"}, [("ann", "", False, True), ("bo", "", False, True)]),
        ({"hw1/ann.ipynb": b"x", "hw1/bo.ipynb": b"x"}, [("ann", "", False, True), ("bo", "", False, True)]),
        ({"ann/hw.ipynb": b"x", "bo/hw.ipynb": b"x"}, [("ann", "", False, True), ("bo", "", False, True)]),
        ({"ann.zip": packed(HOMEWORK), "bo.ipynb": b"x"}, [("ann", "", False, True), ("bo", "", False, True)]),
        ({"A_1_assignsubmission_file_/a.zip": packed({"b.zip": packed(HOMEWORK)})}, [("A", "1", False, True)]),
        ({"ann/hw.pdf": b"x", "bo/hw.ipynb": b"x"}, [("ann", "", False, False), ("bo", "", False, True)]),
        # the names in a student's own zip, of a classmate or of the other platform, are of no account
        ({"A_1_assignsubmission_file_/a.zip": packed({"B_2_assignsubmission_file_/hw.ipynb": b"x"}),
          "B_2_assignsubmission_file_/hw.ipynb": b"y"}, [("A", "1", False, True), ("B", "2", False, True)]),
        ({"a_1_7_hw.zip": packed({"B_2_assignsubmission_file_/a.ipynb": b"x", "B_2_assignsubmission_file_/b": b""})},
         [("a", "1", False, True)]),
        ({"A_1_assignsubmission_file_/b_LATE_2_3_hw.ipynb": b"x"}, [("A", "1", False, True)]),
        ({"ann/.ipynb_checkpoints/hw.ipynb": b"x", "__MACOSX/ann/._hw.ipynb": b"x", "ann/hw.ipynb": b"y"},
         [("ann", "", False, True)]),
    ],
)  # fmt: skip
def test_who_handed_in_what(
    tmp_path: Path, files: dict[str, bytes], expected: list[tuple[str, str, bool, bool]]
) -> None:
    folder = tmp_path / "in"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (tmp_path / "all.zip").write_bytes(packed(files))
    assert collected(folder) == expected
    assert collected(tmp_path / "all.zip") == expected


def test_the_platform_dates_a_submission_not_a_zip_in_it(tmp_path: Path) -> None:
    name, date = "A_1_assignsubmission_file_/a.zip", datetime.datetime(2020, 5, 1, 12, 0)
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr(zipfile.ZipInfo("hw.ipynb", (1999, 1, 1, 0, 0, 0)), b"x")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name, date.timetuple()[:6]), inner.getvalue())
    (tmp_path / "in" / name).parent.mkdir(parents=True)
    (tmp_path / "in" / name).write_bytes(inner.getvalue())
    os.utime(tmp_path / "in" / name, (date.timestamp(),) * 2)
    for path in ("all.zip", "in"):
        assert [one.when for one in submissions.collect(tmp_path / path)] == [date]


def test_a_zip_reaches_nothing_outside_of_it(tmp_path: Path) -> None:
    names = ["../../evil.ipynb", "/abs.ipynb", "C:\\evil.ipynb", "a/../../b.ipynb", "..\\..\\evil.ipynb"]
    (tmp_path / "in.zip").write_bytes(packed({name: b"x" for name in names}))
    found = submissions.collect(tmp_path / "in.zip")
    assert found and all(one.data is None and "leads out of its folder" in one.problem for one in found)
    assert [path.name for path in tmp_path.iterdir()] == ["in.zip"]


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "LARGEST", 100_000)
    bomb = packed({"hw.ipynb": bytes(10_000_000)})
    assert len(bomb) < 20_000
    deep = packed({"1.zip": packed({"2.zip": packed({"3.zip": packed({"hw.ipynb": b"x"})})})})
    many = packed({f"{i}.ipynb": b"" for i in range(30)})
    monkeypatch.setattr(submissions, "MEMBERS", 20)
    for name, data in {"ann": bomb, "bo": deep, "cy": many, "di": b"PK\3\4 no zip", "ed": bomb[:500]}.items():
        (tmp_path / f"{name}.zip").write_bytes(data)
    (tmp_path / "fay.ipynb").write_bytes(bytes(200_000))
    (tmp_path / "link.ipynb").symlink_to("/etc/passwd")
    found = {one.student: one for one in submissions.collect(tmp_path)}
    assert set(found) == {"ann", "bo", "cy", "di", "ed", "fay", "link"}
    wanted = {"ann": "too large", "bo": "3 zips deep", "cy": "more than 20 files", "fay": "too large", "link": "a link"}
    for name, one in found.items():
        assert one.data is None and wanted.get(name, "cannot be read") in one.problem, one


def test_no_student_vanishes(tmp_path: Path) -> None:
    """Whoever handed in nothing that can be graded has a line too, which says why; for others nothing is added."""
    link = io.BytesIO()
    with zipfile.ZipFile(link, "w") as archive:
        member = zipfile.ZipInfo("hw.ipynb")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "/etc/passwd")
    files = {
        "1_assignsubmission_file_/hw.zip": link.getvalue(),
        "2_assignsubmission_file_/hw.zip": packed({}),
        "3_assignsubmission_file_/hw.zip": packed({".ipynb_checkpoints/hw.ipynb": b"x"}),
        "4_assignsubmission_file_/.ipynb_checkpoints/hw.ipynb": b"x",
        "5_assignsubmission_file_/.hidden/hw.ipynb": b"x",
        "5_assignsubmission_file_/hw.ipynb": b"x",
        "5_assignsubmission_file_/hw.zip": packed({}),
    }
    files = {f"S_{name}": data for name, data in files.items()} | {".DS_Store": b"x"}
    for name, data in files.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    (tmp_path / "all.zip").write_bytes(packed(files))
    why = {"1": "hw.ipynb is a link", "2": "hw.zip holds no file", "3": "hw.zip holds no file", "5": ""}
    for path in ("in", "all.zip"):
        found = submissions.collect(tmp_path / path)
        assert {one.id: one.problem for one in found} == why | {"4": "only hidden files"}
        assert len(found) == 5


def test_keys_of_students_are_different_and_safe() -> None:
    names = [
        "Ann Lee",
        "李安",
        "王安",
        "Ann-Lee ü",
        "../../x",
        "a/b",
        "ann.lee",
        "ann-lee",
        "ann lee",
        "ANN-LEE",
        "ann-12",
    ]
    names += ["anna-maria.", "anna-maria!", "x" * 300, "x" * 301]
    people = [(name, "") for name in names] + [("ann", "12"), ("李安", "3"), ("王安", "4")]
    keys = [submissions.Submission(submissions.PurePosixPath("x"), student=name, id=id).key for name, id in people]
    assert len(set(keys)) == len(people) and all(re.fullmatch(r"[a-z0-9-]{1,90}", key) for key in keys), keys
    assert {"ann-lee", "ann-12"} & {*keys} == {"ann-lee", "ann-12"}  # plain where it can be


# --- answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"cells": 3}',
        b"null",
        b"[" * 100_000,
        b'{"cells": {"a": 1}}',
        b'{"worksheets": 3}',
    ],
)
def test_what_is_no_notebook_is_named(data: bytes) -> None:
    with pytest.raises(answers.NotANotebook, match="the file is"):
        answers.read_notebook(data)


def test_odd_notebooks_are_read() -> None:
    odd = {
        "cells": [
            3,
            {},
            {"cell_type": "code"},
            {"cell_type": "code", "source": ["a", "b"], "metadata": {"nbgrader": 3}},
        ]
    }
    assert [cell["source"] for cell in answers.read_notebook(json.dumps(odd).encode())["cells"]] == ["", "", "ab"]
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"]}]}]}
    assert answers.read_notebook(json.dumps(old).encode())["cells"][0]["source"] == "x = 1"
    for sheets in ([{"cells": None}], [{}], [3], [{"cells": 3}]):
        assert answers.read_notebook(json.dumps({"worksheets": sheets}).encode())["cells"] == []


def test_a_cell_of_empty_lines_takes_no_time() -> None:
    start = time.perf_counter()
    assert answers.without_magics("\n" * 100_000 + "%time\n  !ls\nhelp?\n") == "\n" * 100_000 + "pass\n  pass\npass\n"
    assert time.perf_counter() - start < 1


def test_honest_answers_are_not_suspected() -> None:
    honest = """
import math, time
import numpy as np, matplotlib.pyplot as plt
from dataclasses import dataclass
from ddpm_lite import sample
from ddpm_lite.checks import choice

@dataclass
class Pair:
    a: float
    b: float

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList()
    def forward(self, x):
        self.calls = 1
        return getattr(self, "layers", x)

def answer(x, signal):
    net = Net().eval()
    net.weight = torch.compile(x)
    x.requires_grad = True
    n = sum(p.numel() for m in net.modules() for p in m.parameters())
    print(time.perf_counter(), type(x).__name__, signal)
    plt.rcParams["font.size"] = 3
    return choice("b", because=2)
"""
    assert answers.suspicious(honest) == []
