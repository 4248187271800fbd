"""What happens to one answer in its own process: run it, run the check on it, say how it went."""

from __future__ import annotations

import contextlib
import functools
import io
import linecache
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import torch

from .answers import without_magics
from .guard import FILE

__all__ = ["Task", "Verdict", "judge"]
Names = Callable[[], list[str]]
LONGEST = 2000  # characters of a message


@dataclass
class Task:
    """One exercise of one student: code cells that come before (none, mostly), the answer, what it must define, and
    the check cell of the source with its hidden tests."""

    exercise: int
    answer: str
    names: list[str]
    check: str
    before: list[str] = field(default_factory=list)
    seconds: float = 60.0


@dataclass
class Verdict:
    """``kind``: "right", "wrong", "missing" (not attempted), "broken" (no verdict came: ``message`` says what did).
    ``changed``: what the code tried or did that no answer needs; with any of it, the verdict is not to be trusted."""

    kind: str
    message: str = ""
    changed: list[str] = field(default_factory=list)
    seconds: float = 0.0


def judge(task: Task, setup: Mapping[str, Any], refused: Names, changed: Names) -> dict[str, Any]:
    """Run the answer in a copy of ``setup``, the names of the set's first cell; then the check in another copy, where
    nothing of the student's is but the names that the exercise asks for. Returns the fields of a Verdict.

    refused, changed: from ``guard.watch`` and ``guard.snapshot``. What decides here is held in local names and made of
    built-in types, out of reach of a patch.
    """
    run, check, clock, start = _run, _check, time.perf_counter, time.perf_counter()
    cut = str.__getitem__  # gives a plain string, whatever class its words are of
    output = io.StringIO()
    theirs = {**setup, "__name__": "__main__"}
    run("def display(*_, **__): pass", "<setup>", theirs)  # its globals are the answer's own, and no way to this module
    kind, message = "wrong", ""
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
        for i, cell in enumerate(task.before):
            run(cell, f"{FILE} cell {i + 1}>", theirs)
        message = run(task.answer, f"{FILE} {task.exercise}>", theirs)
        odd = [*changed()]
        missing = [name for name in task.names if name not in theirs or theirs[name] is setup.get(name, theirs)]
        if missing:
            message = message or f"{missing[0]} is not defined"
        elif not odd:
            ours = {**setup, **{name: _held(theirs[name], changed, odd) for name in task.names}}
            kind, message = check(task, ours, output)
    odd += changed()
    noted = [*(f"refused: {what}" for what in refused()), *(f"replaced: {what}" for what in {what: 0 for what in odd})][
        :20
    ]
    return {"kind": kind, "message": cut(message, slice(LONGEST)), "changed": noted, "seconds": clock() - start}


def _held(answer: Any, changed: Names, odd: list[str]) -> Any:
    """The student's function, with a look at what it replaced after each call, before the check goes on."""
    if not callable(answer) or isinstance(answer, (type, torch.nn.Module)):
        return answer

    @functools.wraps(answer)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            result = answer(*arguments, **named)
        finally:
            odd.extend(changed())
        return _held(result, changed, odd) if isinstance(result, FunctionType) else result

    return call


def _run(source: str, name: str, namespace: dict[str, Any]) -> str:
    """Run a cell as a notebook would; return "" or the error it ended with."""
    source = without_magics(source)
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    try:
        exec(compile(source, name, "exec", dont_inherit=True), namespace)
    except BaseException as error:
        return _text(error)
    return ""


def _check(task: Task, namespace: dict[str, Any], output: io.StringIO) -> tuple[str, str]:
    output.seek(0)
    output.truncate()
    try:
        exec(compile(task.check, f"<check {task.exercise}>", "exec", dont_inherit=True), namespace)
    except BaseException as error:
        kind = type(error).__name__
        if kind in ("NotAttempted", "NotImplementedError"):
            return "missing", "not attempted"
        words = _text(error, bare=kind == "WrongAnswer")
        return "wrong", words if isinstance(error, AssertionError) else f"your code stopped with {words}"
    said = io.StringIO.getvalue(output)
    if "Not attempted yet." in said:
        return "missing", "not attempted"
    return "right", next((line for line in said.splitlines() if line.startswith("Correct.")), "Correct.")


def _text(error: BaseException, *, bare: bool = False) -> str:
    """The error's words; a foreign class may raise in its own __str__."""
    try:
        words = f"{error}"
    except BaseException:
        words = ""
    words = str.__getitem__(words, slice(LONGEST))
    return words if bare and words else f"{type(error).__name__}: {words}"
