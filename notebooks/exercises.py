"""Build the sets of exercises: from exercises/NN_name.py (the source, with solutions) to what a student opens.

    python notebooks/exercises.py build [NAME ...]   write the student's .ipynb beside each source, and copy what the
                                                     set shares with its lesson into the lesson's .py and .ipynb
    python notebooks/exercises.py check [NAME ...]   hold sets to the rules; compare them with what was built

A NAME is a set, or the beginning of one: `01`, `01_noise_schedules`. Nothing is executed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import build as lessons
import rules
from ddpm_lite.teach.sets import student_code
from set_rules import HEADING, check_rules, exercises

HERE = lessons.HERE / "exercises"
IMPORTS = re.compile(r"(?:(?:import|from) [^\n(]+\n|\n)*")


def sets(names: list[str] | None = None) -> list[Path]:
    """The sources of the sets, in order; all, or those that `names` name."""
    return lessons.lessons(names, HERE)


def student(path: Path) -> Any:
    """The student's notebook: no solution, no output, no metadata but the kernel's, the same ids each time."""
    import nbformat

    notebook = nbformat.v4.new_notebook(metadata=lessons.KERNEL)
    for cell in lessons.read_source(path).cells:
        if not (source := student_code(cell.source) if cell.cell_type == "code" else cell.source):
            continue
        key = f"{path.stem}/{len(notebook.cells)}"
        new = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        notebook.cells.append(new(source, id=hashlib.sha256(key.encode()).hexdigest()[:8]))
    nbformat.validate(notebook)
    return notebook


def text_of(path: Path) -> str:
    """The student's .ipynb, as it is written."""
    import nbformat

    return nbformat.writes(student(path)) + "\n"


def shared(path: Path) -> list[tuple[str, str]]:
    """What the lesson takes from its set: for each exercise its task, and a code cell of import, stub and check."""
    imported = re.compile(r"from ddpm_lite\.checks import (\([^)]*\)|[^\n]*)")
    names = {name.strip() for cell in lessons.read_source(path).cells for match in imported.finditer(cell.source)
             for name in match[1].strip("()").split(",") if name.strip()}  # fmt: skip
    result = []
    for text, code in exercises(student(path).cells):
        used = ", ".join(sorted(name for name in names if re.search(rf"\b{name}\b", code)))
        stub, _, call = code.rpartition("\n\n")
        own = IMPORTS.match(stub)[0]  # type: ignore[index]
        stub = stub[len(own) :]
        blank = "\n\n\n" if "def " in stub else "\n"
        head = f"{own.rstrip()}\nfrom ddpm_lite.checks import {used}".lstrip()
        result.append((text.split("\n\n*Practises")[0], f"{head}{blank}{stub}{blank}{call}"))
    return result


def lesson_of(path: Path) -> Path:
    """The source of the lesson that a set goes with."""
    return lessons.HERE / path.name


def title_of(path: Path) -> str | None:
    """The title of the lesson that a set goes with; None where there is no such lesson."""
    lesson = lesson_of(path)
    return rules.read_header(lessons.read_source(lesson).cells[0].source).title if lesson.exists() else None


def copied(path: Path, cells: list[Any]) -> list[tuple[int, str]]:
    """(index, source) of the lesson's cells as the set wants them: its first k exercises are the lesson's k."""
    taken: list[tuple[int, str]] = []
    wanted = iter(shared(path))
    for i, cell in enumerate(cells):
        match = HEADING.search(cell.source) if cell.cell_type == "markdown" else None
        if match:
            try:
                task, code = next(wanted)
            except StopIteration:
                raise ValueError("the set has fewer exercises than its lesson") from None
            if i + 1 == len(cells) or cells[i + 1].cell_type != "code":
                raise ValueError(f"cell {i} of the lesson, an exercise, is not followed by its code")
            code = _with_imports(cells[i + 1].source, code)
            taken += [(i, cell.source[: match.start()] + task), (i + 1, code)]
    return taken


def _with_imports(old: str, new: str) -> str:
    """The new code, with what only the lesson's cell imports, since its setup cell is another one, still in front."""
    own = IMPORTS.match(new)[0]  # type: ignore[index]
    kept = [line for line in IMPORTS.match(old)[0].splitlines() if line.strip()]  # type: ignore[index]
    return "".join(f"{line}\n" for line in kept if "ddpm_lite.checks" not in line and line not in own) + new


def copy(path: Path) -> bool:
    """Write what the set shares with its lesson into the lesson's sources; returns whether anything changed."""
    lesson = lesson_of(path)
    if not lesson.exists():
        return False
    cells = lessons.read_source(lesson).cells
    new = {i: source for i, source in copied(path, cells) if source != cells[i].source}
    text = lesson.read_text(encoding="utf-8")
    for i, source in new.items():
        code = cells[i].cell_type == "code"
        old, fresh = (s if code else _commented(s) for s in (cells[i].source, source))
        if text.count(old) != 1:
            raise ValueError(f"{lesson.name}: cell {i} was not found once; build the set after you saved the lesson")
        text = text.replace(old, fresh)
    if new:
        lesson.write_text(text, encoding="utf-8", newline="\n")
        built = lesson.with_suffix(".ipynb")
        if built.exists():  # outputs and ids stay as they are
            notebook = json.loads(built.read_text(encoding="utf-8"))
            for i, source in new.items():
                notebook["cells"][i]["source"] = source.splitlines(keepends=True)
            built.write_text(
                json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
            )
    return bool(new)


def _commented(markdown: str) -> str:
    return "\n".join(f"# {line}".rstrip() for line in markdown.split("\n"))


def check(path: Path) -> list[str]:
    """Everything that is wrong with one set: source, student's file, and what it shares with its lesson."""
    try:
        problems, wanted = check_rules(path.stem, lessons.read_source(path).cells, title_of(path)), text_of(path)
        built = path.with_suffix(".ipynb")
        if not built.exists() or built.read_text(encoding="utf-8") != wanted:
            problems.append("the student's .ipynb is not what the source makes: build it")
        if lesson_of(path).exists():
            for file, cells in (
                ("py", lessons.read_source(lesson_of(path)).cells),
                ("ipynb", (lessons.read_built(lesson_of(path)) or {"cells": []})["cells"]),
            ):
                differ = [i for i, source in copied(path, cells) if source != cells[i].source]
                problems += [f"cell {i} of the lesson's .{file} is not the set's: build it" for i in differ]
    except (SyntaxError, ValueError) as error:
        return [str(error)]
    return problems


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("verb", choices=["build", "check"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="sets; all of them when none is named")
    options = parser.parse_args(arguments)
    paths, count = sets(options.names), 0
    for path in paths:
        if options.verb == "build":
            try:
                path.with_suffix(".ipynb").write_text(text_of(path), encoding="utf-8", newline="\n")
                print(f"{path.stem}: built{', and its lesson changed' if copy(path) else ''}")
            except (SyntaxError, ValueError) as error:
                print(f"{path.stem}: {error}; not built")
        count += lessons.report(path, check(path))
    print(f"{len(paths)} sets, {count} problems")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
