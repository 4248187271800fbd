"""Score what students hand in, with the checks of a course that release made.

FOLDER is what your learning platform gives out: Moodle's or Canvas's zip or its folder, or files named after students.
Each answer runs in a process of its own, that may write no file and reach no network and ends when its time is up; its
exercise's check runs beside it, on fresh inputs. The reference solution goes first, and must get full marks.

Writes in the course's folder:
  grades.csv                         a line a student and set: points, what to look at; lines of other sets stay
  feedback/KEY/SET/SET.html          the answers with what the checks say
  submitted/, autograded/, gradebook.db   as nbgrader has them, for its formgrader

Points of an answer that looks like an attempt to forge them are held back: look at the lines that are named, then
grade again with --accept KEY (column `key` of grades.csv). It may be repeated, and is not remembered: give it at each
grading."""

from __future__ import annotations

import argparse
import queue
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .answers import extract, is_stub, suspicious
from .bench import Bench
from .judge import Task, Verdict
from .results import Result, named, sort_out
from .sets import ExerciseSet, read_course
from .submissions import collect

__all__ = ["add_arguments", "grade_set", "run"]
EXAMPLES = """\
examples:
  python -m ddpm_lite.teach grade downloads/homework-1.zip --course ~/course --set 03
  python -m ddpm_lite.teach grade downloads --course ~/course --set 03 --jobs 4
  python -m ddpm_lite.teach grade downloads --course ~/course --accept anna-12345 --accept bo-12346"""
GUARANTEES = {
    "memory": "memory is limited",
    "files": "no file outside of a small disk in memory can be changed",
    "hidden": "solutions and the files of other students cannot be seen",
    "processes": "no process can be started",
    "network": "no network can be reached",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what students handed in: a folder or a zip")
    parser.add_argument("--course", type=Path, default=Path(), help="the folder that release made (default: this one)")
    parser.add_argument(
        "--set", action="append", default=[], help="grade these sets only, as 03; several times for more"
    )
    parser.add_argument("--jobs", type=int, default=1, help="students at a time; one core each (default 1)")
    parser.add_argument("--seconds", type=float, default=0, help="limit of an exercise (default: by the reference)")
    parser.add_argument("--memory", type=int, default=2000, help="limit of an exercise in MB (default 2000)")
    parser.add_argument(
        "--accept", action="append", default=[], metavar="KEY", help="count what was held back; repeatable"
    )


@dataclass
class Rules:
    """How a set is graded: seconds for each exercise, the students whose held answers count."""

    seconds: dict[int, float]
    accept: frozenset[str] = frozenset()


def run(args: argparse.Namespace) -> int:
    """Grade, write everything, say where it is."""
    from .book import write_course, write_grades

    if args.jobs < 1 or args.memory < 200 or args.seconds < 0:
        raise ValueError("--jobs must be 1 or more, --memory 200 or more, --seconds 0 or more")
    known = read_course(args.course)
    sets = [one for one in known if not args.set or {one.name, one.name.split("_")[0]} & {*args.set}]
    if not sets:
        raise ValueError(f"the course has no set {', '.join(args.set)}; it has {', '.join(one.name for one in known)}")
    todo, results = sort_out(collect(args.folder), sets, known)
    clone = Path(__file__).parents[2]
    hide = [args.course.resolve(), args.folder.resolve(), clone / "notebooks", clone / "tests", clone / ".git"]
    for one in sets:
        of_set = [pair for pair in todo if pair[0].set == one.name]
        if of_set:
            results += grade_set(one, of_set, hide, args)
    results.sort(key=lambda result: (result.set, result.submission.student, result.submission.id))
    path = write_grades(args.course, results)  # first: whatever nbgrader makes of the rest, the scores are there
    for one in sets:
        write_course(args.course, one, [result for result in results if result.set == one.name])
    for result in results:
        if result.problems:
            print(f"look at {result.submission.key}, {result.set}: {'; '.join(result.problems)}")
    each = sum(result.seconds for result in results) / max(1, len(results))
    print(f"{path}: {len(results)} lines, {each:.1f} s a student; feedback is in {args.course / 'feedback'}")
    return 0


def grade_set(
    exercises: ExerciseSet, todo: Sequence[tuple[Result, dict[str, Any]]], hide: list[Path], args: argparse.Namespace
) -> list[Result]:
    """Grade the reference, then all of ``todo``, ``args.jobs`` at a time. Raises: ValueError, BenchError, if the
    reference does not get full marks."""
    from tqdm.auto import tqdm

    setup = exercises.code(exercises.setup)
    with ExitStack() as stack:
        benches: queue.SimpleQueue[Bench] = queue.SimpleQueue()
        for _ in range(max(1, min(args.jobs, len(todo)))):
            benches.put(stack.enter_context(Bench(setup, hide, memory_mb=args.memory)))
        with _borrowed(benches) as bench:
            missing = [text for name, text in GUARANTEES.items() if name not in bench.taken]
            if missing:
                print(f"note: this system does not see to it that {', that '.join(missing)}; see docs/teach/grading.md")
            rules = Rules(_reference(bench, exercises, args.seconds), frozenset(args.accept))

        def work(result: Result, notebook: dict[str, Any]) -> Result:
            with _borrowed(benches) as bench:
                try:
                    _grade(bench, exercises, result, notebook, rules)
                except Exception as error:  # the others are graded all the same
                    result.problems.append(f"grading stopped with {named(error)}")
                    result.maximum = sum(e.points for e in exercises.exercises)
                return result

        with ThreadPoolExecutor(args.jobs) as pool:
            futures = [pool.submit(work, *pair) for pair in todo]
            bar = tqdm(as_completed(futures), total=len(futures), desc=exercises.name, unit="student")
            return [future.result() for future in bar]


@contextmanager
def _borrowed(benches: queue.SimpleQueue[Bench]) -> Iterator[Bench]:
    bench = benches.get()
    try:
        yield bench
    finally:
        benches.put(bench)


def _reference(bench: Bench, exercises: ExerciseSet, seconds: float) -> dict[int, float]:
    """Judge the set's own answers; return how long an answer may take."""
    limits = {}
    for e in exercises.exercises:
        answer = exercises.code(e.answer)
        verdict = bench.judge(_task(exercises, e.number, answer, seconds or 300))
        if verdict.kind == "wrong" and "NameError" in verdict.message:  # it needs an earlier answer
            earlier = [exercises.code(i) for other in exercises.exercises for i in (*other.given, other.answer)]
            before = earlier[: earlier.index(answer)]
            verdict = bench.judge(_task(exercises, e.number, answer, seconds or 300, before))
        odd = [*suspicious(exercises.code(e.answer)), *verdict.changed]
        if verdict.kind != "right" or odd:
            why = "; ".join([verdict.message, *odd])
            raise ValueError(f"the reference solution of {exercises.name}, exercise {e.number}, does not pass: {why}")
        limits[e.number] = seconds or 15 + 10 * verdict.seconds
    return limits


def _task(exercises: ExerciseSet, number: int, answer: str, seconds: float, before: Sequence[str] = ()) -> Task:
    e = next(e for e in exercises.exercises if e.number == number)
    given = [exercises.code(i) for i in e.given]
    return Task(number, answer, e.names, exercises.code(e.check), [*before, *given], seconds)


def _grade(bench: Bench, exercises: ExerciseSet, result: Result, notebook: dict[str, Any], rules: Rules) -> None:
    """Judge each answer by itself; where it lacks a name, once more after the cells that stand before it."""
    start, setup = time.perf_counter(), exercises.code(exercises.setup)
    due, when = exercises.due, result.submission.when
    result.late = result.submission.late or bool(due and when and when > due)
    result.answers = extract(notebook, exercises)
    result.problems += result.answers.notes
    for e in exercises.exercises:
        answer = result.answers.by_exercise.get(e.number, "")
        lines = suspicious(answer)
        if not answer or is_stub(answer, exercises.code(e.answer)):
            verdict = Verdict("missing", "not attempted")
        else:
            limit = rules.seconds[e.number]
            verdict = bench.judge(_task(exercises, e.number, answer, limit))
            before = [cell for cell in result.answers.before[e.number] if cell != setup]
            if verdict.kind == "wrong" and "NameError" in verdict.message and before:
                again = bench.judge(_task(exercises, e.number, answer, limit, before))
                verdict = again if again.kind == "right" else verdict
                lines += [line for cell in before for line in suspicious(cell)]
        held = [*lines, *verdict.changed]
        if verdict.kind == "broken":
            result.problems.append(f"exercise {e.number}: {verdict.message}")
        accepted = result.submission.key in rules.accept
        if held:
            state = "accepted" if accepted else "held back" if verdict.kind == "right" else "no points"
            result.problems.append(f"exercise {e.number}, {state}: {', '.join(held)}")
        right = verdict.kind == "right" and (accepted or not held)
        result.verdicts[e.number], result.points[e.number] = verdict, e.points if right else 0.0
        result.maximum += e.points
    result.seconds = time.perf_counter() - start
