"""What grading leaves in the course's folder: nbgrader's gradebook and folders, pages of feedback, grades.csv."""

from __future__ import annotations

import copy
import csv
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .release import convert, gradebook
from .sets import HIDDEN, ExerciseSet
from .submissions import printable

if TYPE_CHECKING:
    from .results import Result

__all__ = ["write_course", "write_grades"]


def write_course(course: Path, exercises: ExerciseSet, results: Sequence[Result]) -> None:
    """Write submitted/, autograded/ and feedback/, and enter points in the gradebook, for the results of one set.

    The page of feedback is made of the course's own notebook with the student's answers put in: nothing else of a
    submission gets there.
    """
    for result in results:
        key, name = result.submission.key, exercises.name
        if result.submission.data is not None:
            _write(course / "submitted" / key / name / f"{name}.ipynb", result.submission.data)
        graded = json.dumps(_graded(exercises, result)).encode()
        _write(course / "autograded" / key / name / f"{name}.ipynb", graded)
    with gradebook(course) as book:
        for result in results:
            one = result.submission
            book.update_or_create_student(one.key, last_name=one.student, lms_user_id=one.id or None)
            when = one.when.astimezone(datetime.timezone.utc).replace(tzinfo=None) if one.when else None
            book.update_or_create_submission(exercises.name, one.key, timestamp=when)
            for e in exercises.exercises:
                grade = book.find_grade(f"check-{e.number}", exercises.name, exercises.name, one.key)
                grade.auto_score, grade.needs_manual_grade = result.points.get(e.number, 0.0), False
            book.db.commit()
    if results:
        page = {"HTMLExporter": {"template_name": "feedback"}}
        convert("GenerateFeedback", course, exercises.name, "feedback (all is graded)", page)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _graded(exercises: ExerciseSet, result: Result) -> dict[str, Any]:
    """The set's notebook with the student's answers, and below each check what it said."""
    notebook: dict[str, Any] = copy.deepcopy(exercises.notebook)
    for e in exercises.exercises:
        verdict, cell = result.verdicts.get(e.number), notebook["cells"][e.check]
        answer = result.answers.by_exercise.get(e.number, "# no answer")
        notebook["cells"][e.answer]["source"] = printable(answer, keep="\n\r\t")
        cell["source"] = HIDDEN.sub("", cell["source"]).strip("\n")
        said = [verdict.message or "no answer", *verdict.changed] if verdict else ["nothing to grade"]
        if verdict and verdict.kind == "right" and not verdict.changed:
            output: dict[str, Any] = {"output_type": "stream", "name": "stdout", "text": verdict.message}
        else:
            text = "\n".join(said)
            output = {"output_type": "error", "ename": "Not yet", "evalue": text, "traceback": [f"Not yet. {text}"]}
        cell["outputs"], cell["execution_count"] = [output], None
    notes = "\n".join(f"- {problem}" for problem in result.problems).replace("`", "'")
    if notes:
        about = {
            "cell_type": "markdown",
            "id": "problems",
            "metadata": {},
            "source": f"**To look at**\n\n```\n{notes}\n```",
        }
        notebook["cells"].insert(1, about)
    return notebook


def write_grades(course: Path, results: Sequence[Result]) -> Path:
    """Write grades.csv: student, id, key, set, points of exercise 1, 2, ..., total, max, late, problem."""
    numbers = sorted({number for result in results for number in result.points})
    path = course / "grades.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["student", "id", "key", "set", *numbers, "total", "max", "late", "problem"])
        for result in results:
            one = result.submission
            points = [f"{result.points.get(n, 0.0):g}" for n in numbers]
            total, late = f"{sum(result.points.values()):g}", "yes" if result.late else "no"
            row = [one.student, one.id, one.key, result.set, *points, total, f"{result.maximum:g}", late]
            writer.writerow([*map(_cell, row), _cell("; ".join(result.problems))])
    return path


def _cell(text: str) -> str:
    """A table program must not take a name for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
