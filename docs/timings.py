"""Write the timings of docs/teach/routes.md, from the headings of the lessons and of the sets of exercises.

    python docs/timings.py

Only what stands between two marks is written; tests/test_teach_pages.py fails where it is not up to date.
"""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "notebooks")]

import build  # noqa: E402
import rules  # noqa: E402

PAGE = ROOT / "docs" / "teach" / "routes.md"
WEEK = [
    ("Monday", "00 01", "Everybody's set-up works before the first break"),
    ("Tuesday", "02 03", "Leave the hard exercise of lesson 03 to those who are fast"),
    ("Wednesday", "04", "Derive on the board, then let the checks speak"),
    ("Thursday", "05 06", "Start lesson 06 first: it trains while lesson 05 is taught"),
    ("Friday", "07", "Fork trajectories in groups; a quiz over all lessons"),
]
THREE_WEEKS = [
    ("1, first", "00 01", "Exercises of 00 and 01"),
    ("1, second", "02 03", "Exercises of 02; 1 and 2 of 03 are due first"),
    ("2, first", "04", "Exercises 3 and 4 of 03 and those of 04 are due; an open question on the bound, by the rubric"),
    ("2, second", "05", "Exercises of 05"),
    ("3, first", "06", "Exercises of 06; everybody trains at home"),
    ("3, second", "07", "Exercises of 07; a quiz over all lessons"),
]


@functools.cache
def lessons() -> dict[str, tuple[rules.Header, list[tuple[str, str, int]]]]:
    """For each lesson its header, and its exercises: title, difficulty, minutes."""
    found = {}
    for path in build.lessons([]):
        if path.stem[:2] >= "90":  # the museum stands outside of the routes
            continue
        cells = build.read_source(path).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        exercises = [(m[2], m[3], int(m[4])) for m in rules.EXERCISE.finditer(text)]
        found[path.stem[:2]] = (rules.read_header(cells[0].source), exercises)
    return found


@functools.cache
def set_minutes(number: str) -> int:
    """The minutes of all exercises in the set of a lesson."""
    (path,) = (ROOT / "notebooks" / "exercises").glob(f"{number}_*.py")
    text = "\n".join(cell.source for cell in build.read_source(path).cells if cell.cell_type == "markdown")
    return sum(int(found[4]) for found in rules.EXERCISE.finditer(text))


def parts() -> dict[str, str]:
    """The text that belongs between each pair of marks."""
    found = lessons()
    rows = ["| lesson | minutes | its exercises, with minutes | sum | whole set |", "|---|---|---|---|---|"]
    for number, (header, exercises) in found.items():
        listed = "; ".join(f"{title} ({minutes}, {level})" for title, level, minutes in exercises)
        own = sum(minutes for *_, minutes in exercises)
        rows.append(f"| {number} {header.title} | {header.minutes} | {listed} | {own} | {set_minutes(number)} |")
    total = sum(header.minutes for header, _ in found.values())
    work = sum(minutes for _, exercises in found.values() for *_, minutes in exercises)
    rows.append(f"| **all** | **{total}** | | **{work}** | **{sum(map(set_minutes, found))}** |")
    tables = {"timings": "\n".join(rows)}
    for name, plan, first in (("week", WEEK, "day"), ("three weeks", THREE_WEEKS, "week, session")):
        columns = [first, "lessons", "in class, minutes", "exercises, minutes", "whole sets, minutes", "what else"]
        rows = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        for day, numbers, what in plan:
            chosen = [found[number] for number in numbers.split()]
            minutes = sum(header.minutes for header, _ in chosen)
            work = sum(minutes for _, exercises in chosen for *_, minutes in exercises)
            whole = sum(map(set_minutes, numbers.split()))
            rows.append(f"| {day} | {numbers.replace(' ', ', ')} | {minutes} | {work} | {whole} | {what} |")
        tables[name] = "\n".join(rows)
    return tables


def filled(page: str) -> str:
    """The page with what belongs between its marks."""
    for name, text in parts().items():
        pattern = rf"(<!-- {name}: begin[^\n]*-->\n).*?(<!-- {name}: end -->)"
        page, n = re.subn(pattern, lambda m, text=text: f"{m[1]}\n{text}\n\n{m[2]}", page, flags=re.S)
        if n != 1:
            raise SystemExit(f"{PAGE.name}: wanted one pair of marks named {name!r}, found {n}")
    return page


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
