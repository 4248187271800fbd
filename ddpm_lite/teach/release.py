"""Make a graded course of exercise sets: an nbgrader course in a folder of yours.

  source/SET/     with solutions, hidden tests and points: yours
  release/SET/    what students get: give them this file
  gradebook.db, nbgrader_config.py

An answer is graded by the set's own check, which runs on fresh random inputs, --rounds times more than students see,
and by what the set has between ### BEGIN HIDDEN TESTS and ### END HIDDEN TESTS. Calling it again replaces the sets that
are named. Then: python -m ddpm_lite.teach grade."""

from __future__ import annotations

import argparse
import datetime
import logging
import os
import re
import sysconfig
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .answers import IMPORTS
from .sets import HIDDEN, ExerciseSet, map_code, read_source, student_code

EXAMPLES = """\
examples:
  python -m ddpm_lite.teach release 03 --to ~/course --due 2027-01-31T23:59
  python -m ddpm_lite.teach release 01 02 03 --to ~/course
  python -m ddpm_lite.teach release 03 --to ~/course --points 1=2,3=4 --title "Homework 2: the posterior" """
SOURCES = Path(__file__).parents[2] / "notebooks" / "exercises"
CONFIG = '''\
"""nbgrader's settings for this course; `python -m ddpm_lite.teach grade` needs none of them."""

from ddpm_lite.teach.release import student_version

c = get_config()
c.CourseDirectory.course_id = {course!r}
c.CourseDirectory.root = {root!r}
c.GenerateAssignment.preprocessors = student_version()
# For `nbgrader autograde` and formgrader, which run whole notebooks, with no protection against what is in them:
c.Execute.timeout = 120  # seconds a cell
c.Execute.iopub_timeout = 10
c.Execute.interrupt_on_timeout = False
c.LimitOutput.max_lines = 200
c.LimitOutput.max_traceback = 40
'''


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("sets", nargs="*", metavar="SET", help="numbers, as 03, or names; none: all there are")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="the course's folder; made if missing")
    parser.add_argument(
        "--points", default="", metavar="1=2,3=4", help="exercise=points, for one set; else easy 1, medium 2, hard 3"
    )
    parser.add_argument("--due", type=datetime.datetime.fromisoformat, metavar="2027-01-31T23:59", help="local time")
    parser.add_argument("--title", help="the notebook's title, for one set; else its own")
    parser.add_argument("--rounds", type=int, default=2, help="how often each check is run again, hidden (default 2)")
    parser.add_argument("--sources", type=Path, default=SOURCES, help="folder of sets (default notebooks/exercises)")


def run(args: argparse.Namespace) -> int:
    """Release the sets; print where they are."""
    paths = find_sources(args.sources, args.sets)
    if len(paths) > 1 and (args.title or args.points):
        raise ValueError("--title and --points are for one set; name one")
    for path in paths:
        points = parse_points(args.points)
        made = release(path, args.to, points=points, due=args.due, title=args.title, rounds=args.rounds)
        total = sum(exercise.points for exercise in made.exercises)
        print(f"{args.to / 'release' / made.name}: {len(made.exercises)} exercises, {total:g} points")
    return 0


def find_sources(folder: Path, wanted: list[str]) -> list[Path]:
    """The sources of the sets that are named by number or name, or all. Raises: ValueError if there is none."""
    there = sorted(path for path in folder.glob("[0-9][0-9]_*.py"))
    found = []
    for name in wanted:
        fits = [path for path in there if path.stem == name or path.stem.split("_")[0] == name]
        if not fits:
            names = ", ".join(path.stem for path in there) or "none"
            raise ValueError(f"there is no set {name!r} in {folder}; there are: {names}")
        found += fits
    if not there:
        raise ValueError(f"there are no sets in {folder}: they are part of a clone, or give --sources")
    return found or there


def parse_points(text: str) -> dict[int, float]:
    """Parse ``1=2,3=4``. Raises: ValueError."""
    points = {}
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"\s*(\d+)\s*=\s*(\d+(?:\.\d+)?)\s*", part)
        if not found or float(found[2]) <= 0:
            raise ValueError(f"points must look like 1=2,3=4, each above 0; got {part!r}")
        points[int(found[1])] = float(found[2])
    return points


def release(
    path: Path, to: Path, *, points: Mapping[int, float] | None = None, due: datetime.datetime | None = None,
    title: str | None = None, rounds: int = 2,
) -> ExerciseSet:  # fmt: skip
    """Write source/ and release/ of one set in the course ``to``, register it in the gradebook; return it as written.

    Raises: ValueError if the set has not the form, or a number in ``points`` is no exercise of it.
    """
    if rounds < 0:
        raise ValueError(f"rounds must be 0 or more, got {rounds}")
    exercises = read_source(path)
    unknown = sorted({*(points or {})} - {exercise.number for exercise in exercises.exercises})
    if unknown:
        raise ValueError(f"points for exercise {unknown[0]}, which {exercises.name} does not have")
    for exercise in exercises.exercises:
        exercise.points = (points or {}).get(exercise.number, exercise.points)
    _prepare(exercises, due, title, rounds)
    to.mkdir(parents=True, exist_ok=True)
    config = to / "nbgrader_config.py"
    if not config.exists():
        config.write_text(CONFIG.format(course=to.resolve().name, root=str(to.resolve())), encoding="utf-8")
    import nbformat

    source = to / "source" / exercises.name / f"{exercises.name}.ipynb"
    source.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(exercises.notebook, source)
    with gradebook(to) as book:
        zone = datetime.timezone.utc
        when = None if due is None else due.astimezone(zone).replace(tzinfo=None)
        book.update_or_create_assignment(exercises.name, duedate=when)
    steps = {"GenerateAssignment": {"preprocessors": student_version()}}
    convert("GenerateAssignment", to, exercises.name, "student version", steps)
    return exercises


def _prepare(exercises: ExerciseSet, due: datetime.datetime | None, title: str | None, rounds: int) -> None:
    """Add nbgrader's metadata, the hidden rounds, title, points and date; take out what is for the course online."""
    cells = exercises.notebook["cells"]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"set": exercises.name, "due": due.isoformat(timespec="minutes") if due else None}
    exercises.notebook["metadata"] = {"kernelspec": kernel, "language_info": {"name": "python"}, "ddpm_lite": about}
    for i, cell in enumerate(cells):
        cell["metadata"], cell["id"] = {}, f"cell-{i}"
    for exercise in exercises.exercises:
        answer, check, n = cells[exercise.answer], cells[exercise.check], exercise.number
        answer["metadata"]["nbgrader"] = _graded(f"answer-{n}", solution=True)
        check["metadata"]["nbgrader"] = _graded(f"check-{n}", points=exercise.points)
        shown = HIDDEN.sub("", check["source"]).strip("\n")
        again = f"for _ in range({rounds}):  # on fresh inputs\n{textwrap.indent(shown, '    ')}"
        hidden = [*([again] if rounds else []), *(found[1] for found in HIDDEN.finditer(check["source"]))]
        block = "\n".join(["### BEGIN HIDDEN TESTS", *hidden, "### END HIDDEN TESTS"])
        check["source"] = f"{shown}\n{block}" if hidden else shown
    total = sum(exercise.points for exercise in exercises.exercises)
    facts = f"**Points:** {total:g}" + (f" **Due:** {due:%Y-%m-%d %H:%M}" if due else "")
    first = re.sub(r"^\[!\[Open in Colab\].*\n\n?", "", cells[0]["source"], flags=re.MULTILINE)
    first = re.sub(r"\[([^\]]+)\]\(\.\./[\w.]+\)", r"\1", first)  # a lesson beside it: not in a student's folder
    if title:
        first = re.sub(r"^# .+$", lambda _: f"# {title}", first, count=1, flags=re.MULTILINE)
    cells[0]["source"] = f"{first.rstrip()}\n\n{facts}\n\n{imports()}"


def imports() -> str:
    """What students are told of the modules that an answer may import."""
    names = sorted((name for name in IMPORTS if not name.startswith("_")), key=str.lower)
    listed = ", ".join(f"`{name}`" for name in names)
    return f"**Imports:** an answer may import {listed}. Other imports hold the points back until your teacher looks."


def _graded(grade_id: str, *, solution: bool = False, points: float | None = None) -> dict[str, Any]:
    kind = {"grade": not solution, "solution": solution, "locked": not solution, "task": False}
    extra = {} if points is None else {"points": points}
    return {"grade_id": grade_id, "schema_version": 3, **kind, **extra}


def student_version() -> list[type]:
    """nbgrader's steps from source/ to release/, with this project's stubs in place of nbgrader's."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.preprocessors import ClearSolutions, NbGraderPreprocessor

    class Stubs(NbGraderPreprocessor):
        """Takes the solutions out."""

        def preprocess(self, notebook: Any, resources: Any) -> tuple[Any, Any]:
            map_code(notebook, student_code)
            return notebook, resources

    return [Stubs if step is ClearSolutions else step for step in GenerateAssignment.preprocessors.default()]


def convert(kind: str, course: Path, name: str, what: str, settings: dict[str, dict[str, Any]]) -> None:
    """Run one of nbgrader's converters on an assignment, in this process.

    kind: "GenerateAssignment" or "GenerateFeedback". what: it makes, for the error. settings: traitlets' config, by
    class. Raises: ValueError with what nbgrader said.
    """
    from nbgrader import converters
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

    config = Config({"CourseDirectory": {"root": str(course.resolve()), "assignment_id": name}, **settings})
    log = logging.getLogger("ddpm_lite.teach.nbgrader")
    log.setLevel(logging.ERROR)
    converter = getattr(converters, kind)(coursedir=CourseDirectory(config=config, log=log), config=config, log=log)
    converter.force = True
    with programs(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            converter.start()
        except (SystemExit, Exception) as error:
            raise ValueError(f"nbgrader made no {what} of {name}: {error}") from error


@contextmanager
def programs() -> Iterator[None]:
    """Put this environment's programs on PATH: nbgrader calls alembic by its name."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = sysconfig.get_path("scripts") + os.pathsep + before
    try:
        yield
    finally:
        os.environ["PATH"] = before


@contextmanager
def gradebook(course: Path) -> Iterator[Any]:
    """nbgrader's gradebook of a course."""
    from nbgrader.api import Gradebook

    with programs(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SQLAlchemy's, of how nbgrader uses it
        with Gradebook(f"sqlite:///{course.resolve() / 'gradebook.db'}") as book:
            yield book
