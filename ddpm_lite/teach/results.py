"""What comes of each submission: which set it answers, of several files the one that counts, and how it did."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .answers import Answers, NotANotebook, read_notebook, which_set
from .judge import Verdict
from .sets import ExerciseSet
from .submissions import Submission, printable

__all__ = ["NO_SET", "Result", "named", "sort_out"]
NO_SET = "?"  # of a file that answers none, where the others answer several


@dataclass
class Result:
    """How one student did in one set: a verdict and points for each exercise, and what a person should look at."""

    submission: Submission
    set: str
    points: dict[int, float] = field(default_factory=dict)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)
    problems: list[str] = field(default_factory=list)
    maximum: float = 0.0
    late: bool = False
    seconds: float = 0.0


def sort_out(
    submissions: Sequence[Submission], sets: list[ExerciseSet], known: list[ExerciseSet]
) -> tuple[list[tuple[Result, dict[str, Any]]], list[Result]]:
    """Find each file's set; of several files of a student for one set, take the latest. Returns what can be graded,
    with its notebook, and the results of those that cannot."""
    found: dict[tuple[str, str], list[tuple[Result, dict[str, Any]]]] = {}
    lost: list[Result] = []
    for one in submissions:
        result = Result(one, sets[0].name if len(sets) == 1 else NO_SET, problems=[one.problem] if one.problem else [])
        if one.data is None:
            lost.append(result)
            continue
        file = printable(one.path.name)
        try:
            notebook = read_notebook(one.data)
            fits = which_set(notebook, known)
        except Exception as error:  # a file may hold anything; it stops no one else's
            why = error if isinstance(error, NotANotebook) else f"it cannot be read: {named(error)}"
            result.problems.append(f"{file}: {why}")
            lost.append(result)
            continue
        if fits is None:
            result.problems.append(f"{file} answers none of the sets")
            lost.append(result)
        elif fits.name in {chosen.name for chosen in sets}:
            result.set = fits.name
            found.setdefault((one.key, fits.name), []).append((result, notebook))
    todo = []
    for files in found.values():
        files.sort(key=lambda pair: _age(pair[0].submission))
        if len(files) > 1:
            name = printable(files[-1][0].submission.path.name)
            files[-1][0].problems.append(f"{len(files)} files, {name} is graded")
        todo.append(files[-1])
    graded = {key for key, _ in found}
    lost = [result for result in lost if result.submission.key not in graded]
    answered = {name for _, name in found}
    for result in lost:
        if result.set == NO_SET and len(answered) == 1:  # the homework that the others did
            (result.set,) = answered
        maximum = [sum(e.points for e in one.exercises) for one in sets if one.name == result.set]
        result.maximum = sum(maximum)
    return todo, lost


def _age(one: Submission) -> tuple[list[datetime.datetime], str]:
    """What sorts the files of a student: when they came, then the dates in their own zip, then the names."""
    return [when or datetime.datetime.min for _, when in one.stamps], str(one.path)


def named(error: BaseException) -> str:
    """An error in a line of text."""
    return printable(f"{type(error).__name__}: {error}"[:300])
