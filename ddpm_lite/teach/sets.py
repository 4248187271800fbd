"""An exercise set as the grader sees it: the setup cell, and for each exercise its answer cell, its check cell, and the
names that the one hands to the other. Read from a source (``.py`` with solutions) or from a course's ``source/``."""

from __future__ import annotations

import ast
import datetime
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["POINTS", "Exercise", "ExerciseSet", "defined_names", "parse", "read_course", "read_source", "student_code"]
POINTS = {"easy": 1, "medium": 2, "hard": 3}
HEADING = re.compile(r"^### Exercise (\d+): (.+) \((easy|medium|hard), (\d+) minutes?\)$", re.MULTILINE)
SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n(.*?)\n[ \t]*### END SOLUTION *$", re.MULTILINE | re.DOTALL)
MARKERS = re.compile(r"^(?P<indent> *)### (?P<edge>BEGIN|END) (?P<what>SOLUTION|HIDDEN TESTS)\s*$")
HIDDEN = re.compile(r"^[ \t]*### BEGIN HIDDEN TESTS\n(.*?)\n[ \t]*### END HIDDEN TESTS *$\n?", re.MULTILINE | re.DOTALL)


@dataclass
class Exercise:
    """``answer`` and ``check``: indices of cells in the notebook; ``given``: those of code before the answer."""

    number: int
    title: str
    points: float
    answer: int
    check: int
    names: list[str]
    given: list[int] = field(default_factory=list)


@dataclass
class ExerciseSet:
    """A set: its name (``03_posterior``), its notebook (a dict as in the .ipynb file), the index of its setup cell."""

    name: str
    notebook: Any
    setup: int
    exercises: list[Exercise]

    def code(self, index: int) -> str:
        """The source of a cell."""
        return str(self.notebook["cells"][index]["source"])

    @property
    def title(self) -> str:
        """The first heading."""
        found = re.search(r"^# (.+)$", self.code(0), re.MULTILINE)
        return found[1] if found else self.name

    @property
    def due(self) -> datetime.datetime | None:
        """The local time until which it can be handed in, of a course's set."""
        due = self.notebook["metadata"].get("ddpm_lite", {}).get("due")
        return datetime.datetime.fromisoformat(due).replace(tzinfo=None) if due else None


def student_code(source: str) -> str:
    """Return a cell as the student sees it: stubs in place of solutions, no hidden tests.

    A block inside of a function becomes `raise NotImplementedError`; one at the top of a cell, which holds one
    assignment, `name = ...`. Raises ValueError where a marker has no partner, or a block is no such thing.
    """
    kept: list[str] = []
    block: list[str] = []
    inside: re.Match[str] | None = None
    for line in source.splitlines():
        mark = MARKERS.match(line)
        if mark is None:
            if re.match(r"\s*#+\s*(BEGIN|END)\s+(SOLUTION|HIDDEN)", line, re.IGNORECASE):
                raise ValueError(f"{line.strip()!r} is no marker; write ### BEGIN SOLUTION or ### END SOLUTION")
            (block if inside else kept).append(line)
        elif mark["edge"] == "BEGIN":
            if inside:
                raise ValueError(f"{line.strip()!r} stands inside of another block")
            inside, block = mark, []
        else:
            if inside is None or inside["what"] != mark["what"]:
                raise ValueError(f"{line.strip()!r} has no ### BEGIN before it")
            if mark["what"] == "SOLUTION":
                kept.append(inside["indent"] + (_stub(block) if not inside["indent"] else "raise NotImplementedError"))
            inside = None
    if inside:
        raise ValueError(f"### BEGIN {inside['what']} has no ### END")
    return "\n".join(kept).strip("\n")


def _stub(block: list[str]) -> str:
    body = ast.parse("\n".join(block)).body
    target = body[0].targets[0] if len(body) == 1 and isinstance(body[0], ast.Assign) else None
    if not isinstance(target, ast.Name):
        raise ValueError("a block at the top of a cell must hold one assignment, `name = value`")
    return f"{target.id} = ..."


def defined_names(code: str) -> list[str]:
    """The functions, classes and variables that a cell defines at its top level; [] where it does not parse."""
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    names: list[str] = []
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            names.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
    return list(dict.fromkeys(names))


def read_source(path: Path) -> ExerciseSet:
    """Read ``notebooks/exercises/NN_name.py``. Raises: ValueError that names file and exercise."""
    import jupytext

    try:
        notebook = jupytext.read(path, fmt="py:percent")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    return parse(path.stem, notebook)


def read_course(course: Path) -> list[ExerciseSet]:
    """The sets in a course's source/. Raises: ValueError if there are none."""
    sets = []
    for path in sorted(course.glob("source/*/*.ipynb")):
        if path.stem == path.parent.name:
            notebook = json.loads(path.read_text("utf-8"))
            for cell in notebook["cells"]:
                cell["source"] = "".join(cell["source"])
            sets.append(parse(path.stem, notebook))
    if not sets:
        raise ValueError(f"{course} is no course: it has no source/SET/SET.ipynb; make it with release")
    return sets


def parse(name: str, notebook: Any) -> ExerciseSet:
    """Find setup, answers and checks in a notebook; an answer holds a solution, or nbgrader's metadata says so."""
    cells = notebook["cells"]
    setup = next((i for i, cell in enumerate(cells) if cell["cell_type"] == "code"), None)
    if setup is None:
        raise ValueError(f"{name} has no code cell")
    exercises = [_exercise(name, cells, start, end) for start, end in _parts(cells)]
    if not exercises:
        raise ValueError(f"{name} has no heading such as '### Exercise 1: Build the table (easy, 5 minutes)'")
    return ExerciseSet(name, notebook, setup, exercises)


def _parts(cells: list[Any]) -> Iterator[tuple[int, int]]:
    """First and past-the-last cell of each exercise."""
    starts = [i for i, cell in enumerate(cells) if cell["cell_type"] == "markdown" and HEADING.search(cell["source"])]
    yield from zip(starts, [*starts[1:], len(cells)], strict=True)


def _exercise(name: str, cells: list[Any], start: int, end: int) -> Exercise:
    found = HEADING.search(cells[start]["source"])
    assert found is not None
    where = f"{name}, exercise {found[1]}"
    code = [i for i in range(start + 1, end) if cells[i]["cell_type"] == "code"]
    answers = [i for i in code if SOLUTION.search(cells[i]["source"]) or _graded(cells[i], "solution")]
    checks = [i for i in code if i not in answers and re.search(r"^check_\w+\(", cells[i]["source"], re.MULTILINE)]
    if len(answers) != 1 or len(checks) != 1 or checks[0] < answers[0]:
        raise ValueError(
            f"{where}: wanted one cell with a solution between its markers and after it one that calls check_...(...); "
            f"got {len(answers)} and {len(checks)}"
        )
    answer, check = answers[0], checks[0]
    asked = {node.id for node in ast.walk(ast.parse(cells[check]["source"])) if isinstance(node, ast.Name)}
    names = [n for n in defined_names(cells[answer]["source"]) if n in asked]
    if not names:
        raise ValueError(f"{where}: the check asks for nothing that the answer's cell defines")
    points = _graded(cells[check], "points") or POINTS[found[3]]
    given = [i for i in code if i < answer]
    return Exercise(int(found[1]), found[2], points, answer, check, names, given)


def _graded(cell: Mapping[str, Any], key: str) -> Any:
    """What nbgrader's metadata of a cell says, or None."""
    return cell["metadata"].get("nbgrader", {}).get(key)


def map_code(notebook: Any, change: Callable[[str], str]) -> None:
    """Apply a function to the source of each code cell, in place."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["source"] = change(cell["source"])
