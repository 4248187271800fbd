"""What grading leaves in the course's folder: nbgrader's gradebook and folders, pages of feedback, grades.csv."""

from __future__ import annotations

import copy
import csv
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoints import write_file
from .release import convert, gradebook
from .results import NO_SET
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
    """Write grades.csv: student, id, key, set, points of exercise 1, 2, ..., total, max, late, problem.

    Lines of sets that are not among the results stay: one table holds the homework of a term.
    """
    path, sets, keys = course / "grades.csv", {r.set for r in results}, {r.submission.key for r in results}
    rows: list[dict[str, str]] = []
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file, restval="") if row.get("set") not in {None, *sets}]
        rows = [row for row in rows if row["set"] != NO_SET or row.get("key") not in keys]
    for result in results:
        one, of_set = result.submission, {n for other in results if other.set == result.set for n in other.points}
        row = {"student": one.student, "id": one.id, "key": one.key, "set": result.set}
        row |= {f"{n}": f"{result.points.get(n, 0.0):g}" for n in of_set}
        row |= {"total": f"{sum(result.points.values()):g}", "max": f"{result.maximum:g}"}
        row |= {"late": "yes" if result.late else "no", "problem": "; ".join(result.problems)}
        rows.append({name: _cell(text) for name, text in row.items()})
    rows.sort(key=lambda row: row["set"])
    numbers = sorted({name for row in rows for name in row if name and name.isdigit()}, key=int)

    def write(name: str) -> None:
        with open(name, "w", encoding="utf-8", newline="") as file:
            header = ["student", "id", "key", "set", *numbers, "total", "max", "late", "problem"]
            writer = csv.DictWriter(file, header, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    write_file(path, write)
    return path


def _cell(text: str) -> str:
    """A table program must not take a name for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
