"""What a set of exercises must look like: header, setup, numbering, hints, words, kinds.

`exercises.py check` applies these rules to every set; CONTRIBUTING.md explains them.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import rules
from ddpm_lite import checks

HEADING = rules.EXERCISE
HEADER = re.compile(
    r"# Exercises: (?P<title>[^\n]+)\n\n(?P<badge>\[!\[Open in Colab\][^\n]+)\n\n"
    r"These go with \[lesson (?P<number>\d\d)\]\(\.\./(?P<lesson>\w+)\.ipynb\)\.\s(?:.+\n)+?\n"
    r"\*\*Minutes:\*\* (?P<minutes>\d+)"
)
TASK = re.compile(
    r"(?P<task>### Exercise .*?)\n\n\*Practises: (?P<practises>.+?)\.?\*\n\n"
    r"<details>\n<summary>First hint</summary>\n\n(?P<first>.+?)\n\n"
    r"<details>\n<summary>Second hint</summary>\n\n(?P<second>.+?)\n\n</details>\n</details>",
    re.DOTALL,
)
EXERCISES = range(5, 10)


def exercises(cells: list[Any]) -> list[tuple[str, str]]:
    """The (text, code) of each exercise of a notebook, all its code cells in one."""
    found: list[tuple[str, str]] = []
    for cell in cells:
        match = HEADING.search(cell.source)
        if cell.cell_type == "markdown" and match:
            found.append((cell.source[match.start() :], ""))
        elif cell.cell_type == "code" and found:
            text, code = found[-1]
            found[-1] = text, f"{code}\n\n{cell.source}".strip("\n")
        elif cell.cell_type == "markdown" and found and cell.source.startswith("## "):
            break
    return found


def check_rules(name: str, cells: list[Any], title: str | None) -> list[str]:
    """Where a set is not what CONTRIBUTING.md asks for: header, setup, numbering, hints, words, kinds."""
    problems = _check_header(name, cells, title)
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    if not code or not code[0].startswith(rules.SETUP):
        problems.append("the setup cell does not begin as CONTRIBUTING.md shows")
    found = exercises(cells)
    numbers = [int(HEADING.match(text)[1]) for text, _ in found]  # type: ignore[index]
    if len(found) not in EXERCISES or numbers != list(range(1, len(found) + 1)):
        problems.append(
            f"exercises are numbered {numbers}; wanted 1 to 5 or more, as '### Exercise 1: ... (easy, 5 minutes)'"
        )
    for number, (text, source) in zip(numbers, found, strict=True):
        problems += [f"exercise {number}: {problem}" for problem in _check_exercise(text, source)]
    for i, source in enumerate(code):
        if max(map(len, source.splitlines()), default=0) > rules.CODE_WIDTH:
            problems.append(f"code cell {i}: a line is longer than {rules.CODE_WIDTH} characters")
    if len(kinds := {kind(source) for _, source in found}) < 3:
        problems.append(f"all its exercises are of the kinds {sorted(kinds)}; wanted are three kinds at least")
    return problems


def _check_header(name: str, cells: list[Any], title: str | None) -> list[str]:
    header = HEADER.fullmatch(cells[0].source.strip()) if cells else None
    if header is None:
        return ["the first cell is not a set's header as CONTRIBUTING.md shows it"]
    problems = []
    if header["badge"] != rules.badge(f"exercises/{name}"):
        problems.append("the badge does not open this set (run `python notebooks/build.py stamp`)")
    if header["lesson"] != name or header["number"] != name[:2]:
        problems.append("the header leads to another lesson")
    if title and header["title"] != (wanted := title[0].lower() + title[1:]):
        problems.append(f"the title should be 'Exercises: {wanted}', after the lesson's")
    minutes = sum(int(match[4]) for cell in cells for match in HEADING.finditer(cell.source))
    if int(header["minutes"]) != minutes:
        problems.append(f"the header says {header['minutes']} minutes; its exercises take {minutes}")
    return problems


def _check_exercise(text: str, code: str) -> list[str]:
    task, problems = TASK.fullmatch(text.strip()), []
    if task is None:
        problems.append("the text is not: heading, task, *Practises: ...*, and two hints, one inside of the other")
    elif (words := rules.count_words(task["task"].split("\n", 1)[1])) > rules.WORDS:
        problems.append(f"{words} words in the task, more than {rules.WORDS}")
    if kind(code) == "choice":
        said = re.search(r'Answer as `choice\("(\w)", because=(\d)\)`', text)
        if said is None:
            problems.append('a choice says how to answer: Answer as `choice("a", because=1)`.')
        elif f'choice("{said[1]}", because={said[2]})' in code:
            problems.append("the example of how to answer is the answer")
    if "### BEGIN SOLUTION" not in code:
        problems.append("there is no ### BEGIN SOLUTION")
    if not re.fullmatch(r"check_\w+\(\w+\)", code.rpartition("\n\n")[2]):
        problems.append("its last cell is not one call of its check, `check_name(answer)`")
    return problems


def kind(code: str) -> str:
    """What an exercise asks for: a choice with a reason, a plot, a number, a shape, or code."""
    call = re.search(r"\b(check_\w+)\(", code)
    source = inspect.getsource(inspect.unwrap(getattr(checks, call[1]))) if call and hasattr(checks, call[1]) else ""
    returned = re.search(r"\) -> ([^:\n]+(?:\[.*\])?):", code)
    if re.search(r"= choice\(", code):
        return "choice"
    if re.search(r"\bcurve\(", source):
        return "plot"
    if re.search(r"\b(shapes?)\b", (returned[0] if returned else "") + (call[1] if call else "")) or "_shape" in code:
        return "shape"
    return "number" if returned and returned[1].strip() in ("int", "float") else "code"
