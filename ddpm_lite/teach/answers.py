"""Take the answers out of a notebook that a student handed in, whatever became of it, and look for suspicious lines."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .sets import ExerciseSet, defined_names, student_code

__all__ = ["Answers", "NotANotebook", "extract", "is_stub", "read_notebook", "suspicious", "which_set"]
LONGEST = 100_000  # characters of a cell

# What no answer needs, and forging a verdict does: attributes, builtins, modules.
ATTRIBUTES = frozenset(
    "_getframe _current_frames settrace setprofile addaudithook f_back f_locals f_globals tb_frame gi_frame cr_frame "
    "ag_frame __globals__ __closure__ __code__ __defaults__ __kwdefaults__ __builtins__ __import__ __subclasses__ "
    "__dict__ __torch_function__ __torch_dispatch__ __instancecheck__ __array__ __eq__ __ne__ __lt__ __le__ __gt__ "
    "__ge__ __sub__ __rsub__ __wrapped__ __setattr__ __getattribute__ fork forkpty system popen _exit abort kill "
    "killpg execv execve posix_spawn unlink rmtree rmdir memmap ctypeslib as_strided TorchFunctionMode "
    "TorchDispatchMode attrgetter from_file".split()
)
BUILTINS = frozenset("eval exec compile globals vars setattr delattr __import__ __builtins__".split())
MODULES = frozenset(
    "builtins ctypes gc inspect importlib subprocess socket multiprocessing signal resource marshal pickle pty urllib "
    "requests http shutil faulthandler atexit threading _thread codeop runpy mmap __main__".split()
)
# What answers import, and the names with two underscores that they write; any others are told of.
IMPORTS = frozenset(
    "__future__ abc bisect cmath collections copy dataclasses ddpm_lite decimal einops enum fractions functools heapq "
    "IPython itertools json math matplotlib numbers numpy pprint random statistics string textwrap time torch tqdm "
    "typing warnings".split()
)
DUNDERS = frozenset(
    "__init__ __call__ __len__ __getitem__ __iter__ __next__ __repr__ __str__ __name__ __doc__ __post_init__ "
    "__version__ __enter__ __exit__ __annotations__ __future__".split()
)
USUAL = frozenset("torch math sys ddpm_lite plots widgets nn F np plt".split())  # modules that setup cells import
INNER = MODULES - {"signal"} | {"os", "sys"}  # of other modules, as torch.os
OF_OURS = re.compile(r"^ddpm_lite\.(checks\.|teach)|^ddpm_lite\.checks$")


class NotANotebook(ValueError):
    """The file cannot be read as a notebook; the text says why."""


@dataclass
class Answers:
    """``by_exercise``: the cell that answers each; ``others``: cells that stand before it and are nobody's answer."""

    by_exercise: dict[int, str] = field(default_factory=dict)
    before: dict[int, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_notebook(data: bytes) -> dict[str, Any]:
    """Parse an .ipynb file, format 3 or 4. Raises: NotANotebook."""
    if not data.strip():
        raise NotANotebook("the file is empty")
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        kind = "it is no text" if isinstance(error, UnicodeDecodeError) else "it is cut off or damaged"
        raise NotANotebook(f"the file is no notebook: {kind}") from error
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if cells is None and isinstance(notebook, dict) and isinstance(notebook.get("worksheets"), list):
        sheets = [sheet.get("cells") for sheet in notebook["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets if isinstance(sheet, list) for cell in sheet]
    if not isinstance(cells, list):
        raise NotANotebook("the file is no notebook: it has no cells")
    return {**notebook, "cells": [_cell(cell) for cell in cells if isinstance(cell, dict)]}


def _cell(cell: dict[str, Any]) -> dict[str, Any]:
    source = cell.get("source", cell.get("input", ""))
    source = "".join(map(str, source)) if isinstance(source, list) else str(source)
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    source = source[:LONGEST].encode("utf-8", "replace").decode()  # half a surrogate pair is no text
    return {"kind": cell.get("cell_type"), "source": source, "grade_id": str(grade_id)}


def which_set(notebook: dict[str, Any], sets: list[ExerciseSet]) -> ExerciseSet | None:
    """The set that a notebook answers: by its metadata, else by the names that it defines; None if by neither."""
    metadata = notebook.get("metadata")
    about = metadata.get("ddpm_lite") if isinstance(metadata, dict) else None
    said = about.get("set") if isinstance(about, dict) else None
    names = {name for cell in _code(notebook) for name in defined_names(cell["source"])}
    scores = [sum(set(e.names) <= names for e in one.exercises) for one in sets]
    for one in sets:
        if one.name == said:
            return one
    best = max(scores, default=0)
    return sets[scores.index(best)] if best else None


def _code(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (cell for cell in notebook["cells"] if cell["kind"] == "code")


def extract(notebook: dict[str, Any], exercises: ExerciseSet) -> Answers:
    """Find the cell that answers each exercise: it has the answer's id or defines the names that are asked for; of
    several, the last one that is not the stub. What is in check cells is ignored, and noted if it was changed."""
    answers, cells = Answers(), list(_code(notebook))
    taken: set[int] = set()
    for exercise in exercises.exercises:
        stub = _bare(student_code(exercises.code(exercise.answer)))
        by_id = [i for i, cell in enumerate(cells) if cell["grade_id"] == f"answer-{exercise.number}"]
        by_name = [i for i, cell in enumerate(cells) if set(exercise.names) <= set(defined_names(cell["source"]))]
        found = sorted({*by_id, *by_name})
        own = [i for i in found if _bare(cells[i]["source"]) != stub]
        defining = [i for i in own if i in by_name] or own or found
        if not defining:
            answers.notes.append(f"exercise {exercise.number}: no cell with an answer")
            continue
        taken |= set(found)
        if len(own) > 1:
            answers.notes.append(f"exercise {exercise.number}: {len(own)} cells with an answer, the last is graded")
        answers.by_exercise[exercise.number] = cells[defining[-1]]["source"]
        answers.before[exercise.number] = [
            cell["source"]
            for i, cell in enumerate(cells)
            if i < defining[-1] and not cell["grade_id"].startswith("check-")
        ]
        check = [cell for cell in cells if cell["grade_id"] == f"check-{exercise.number}"]
        wanted = _bare(exercises.code(exercise.check).split("### BEGIN HIDDEN TESTS")[0])
        if any(_bare(cell["source"]) != wanted for cell in check):
            answers.notes.append(f"exercise {exercise.number}: the check was changed; the original was used")
    return answers


def is_stub(answer: str, solution: str) -> bool:
    """Whether an answer is still what students were given."""
    return _bare(answer) == _bare(student_code(solution))


def _bare(source: str) -> str:
    """Without spaces and comments' differences that no one meant."""
    return re.sub(r"\s+", "", source)


def suspicious(source: str) -> list[str]:
    """Lines that an answer does not need and an attempt to forge its verdict does, as "line 3: sys._getframe"."""
    try:
        tree = ast.parse(without_magics(source))
    except (SyntaxError, ValueError):
        return []  # it does not run either
    except (RecursionError, MemoryError):
        return ["line 1: too deeply nested to be read"]
    found: list[tuple[int, str]] = []
    imported = frozenset(
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    )
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        tools = [*_tools(node, imported | USUAL), *_imports(node), *_dunders(node)]
        if isinstance(node, ast.Name) and node.id == "getattr" and id(node) not in called:
            tools.append("getattr")
        found += [(getattr(node, "lineno", 0), what) for what in tools]
    return [f"line {line}: {what[:60]}" for line, what in sorted(set(found))[:10]]


def without_magics(source: str) -> str:
    """A cell without what only IPython understands: %magics, !commands, help?"""
    return re.sub(r"(?m)^([ \t]*)(?:[%!?].*|.*\S\?[ \t]*)$", r"\1pass", source)


def _imports(node: ast.AST) -> Iterator[str]:
    """What a node imports that is not on the list, or private, or all of a module."""
    if isinstance(node, ast.Import):
        modules, names = [alias.name for alias in node.names], []
    elif isinstance(node, ast.ImportFrom):
        modules, names = [node.module or "."], [alias.name for alias in node.names]
    else:
        return
    for module in modules:
        if module.split(".")[0] not in IMPORTS or re.search(r"(^|\.)_[^_]", module) or "*" in names:
            yield f"import {module}"
    yield from (f"import {name}" for name in names if re.match(r"_[^_]|_$", name))


def _dunders(node: ast.AST) -> Iterator[str]:
    """The names with two underscores that a node uses, and no answer needs; as text too, for getattr."""
    words: list[str] = []
    if isinstance(node, ast.Attribute):
        words = [node.attr]
    elif isinstance(node, ast.Name):
        words = [node.id]
    elif isinstance(node, ast.MatchClass):
        words = node.kwd_attrs
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        words = [node.value]
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        words = [node.name]
    yield from (word for word in words if re.fullmatch(r"__\w+__", word) and word not in DUNDERS)


def _tools(node: ast.AST, modules: frozenset[str]) -> Iterator[str]:
    """What one node of the tree uses of the lists above; or that it assigns to an attribute of a module."""
    if isinstance(node, ast.Import):
        yield from (f"import {alias.name}" for alias in node.names if _is_tool(alias.name))
    elif isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        if node.module and _is_tool(node.module) and node.module != "ddpm_lite.checks":
            yield f"from {node.module} import"
        yield from (name for name in names if name in ("ddpm_lite.checks", "ddpm_lite.teach", "sys.modules"))
        yield from (name for name in names if name.split(".")[-1] in ATTRIBUTES)
    elif isinstance(node, ast.Attribute):
        root = node.value
        while isinstance(root, ast.Attribute):
            root = root.value
        of_module = isinstance(root, ast.Name) and root.id in modules
        if of_module and not isinstance(node.ctx, ast.Load):
            yield f"{_dotted(node)} = ..."
        elif node.attr in ATTRIBUTES or (of_module and (node.attr in INNER or node.attr.startswith("_"))):
            yield _dotted(node)
        elif node.attr == "modules" and isinstance(root, ast.Name) and root.id == "sys":
            yield "sys.modules"
        elif node.attr == "checks" and isinstance(node.value, ast.Name) and node.value.id == "ddpm_lite":
            yield "ddpm_lite.checks"
    elif isinstance(node, ast.Name) and node.id in BUILTINS | MODULES - {"signal", "resource"}:
        yield node.id
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in ATTRIBUTES:
        yield f"def {node.name}"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        literal = len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
        if (node.func.id == "getattr" and not literal) or (node.func.id == "type" and len(node.args) == 3):
            yield f"{node.func.id}(...)"
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in ATTRIBUTES:
        yield repr(node.value)


def _dotted(node: ast.expr) -> str:
    """a.b.c, or .c of what is no name; without recursion, as answers may nest without end."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < 5:
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id if isinstance(node, ast.Name) else "", *reversed(parts)])


def _is_tool(module: str) -> bool:
    return module.split(".")[0] in MODULES or bool(OF_OURS.match(module))
