"""The bench where answers are judged: one process that has imported torch and run the set's first cell, and for each
answer a fork of it, jailed, which is killed when its time is up. ``Bench`` is the grader's end of it.

``python -m ddpm_lite.teach.bench`` is the process; it speaks JSON, one line a task, on standard input and output.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from . import guard, jail
from .judge import Task, Verdict, judge
from .submissions import printable

__all__ = ["Bench", "BenchError"]
START_SECONDS = 300


class BenchError(RuntimeError):
    """The bench does not start, or the set's first cell does not run on it."""


class Bench:
    """Starts the process in an environment of a few variables and an empty home; a context manager.

    setup: the code of the set's first cell. hide: folders that answers shall not see. Raises: BenchError.
    """

    def __init__(self, setup: str, hide: Sequence[Path] = (), *, memory_mb: int = 2000) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ddpm_lite-"))
        self.start = {"setup": setup, "hide": [str(path.resolve()) for path in hide], "memory_mb": memory_mb}
        self.process: subprocess.Popen[str] | None = None
        self.taken: list[str] = []
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        home, work = self.folder / "home", self.folder / "work"
        for path in (home, work):
            path.mkdir(exist_ok=True)
        environment = {
            "PATH": os.defpath, "HOME": str(home), "MPLCONFIGDIR": str(home), "MPLBACKEND": "Agg", "LC_ALL": "C.UTF-8",
            "DDPM_LITE_GRADING": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ddpm_lite.teach.bench"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            cwd=work, env=environment, text=True, start_new_session=True,
        )  # fmt: skip
        answer = self._ask({**self.start, "work": str(work)}, START_SECONDS)
        if answer is None or "error" in answer:
            raise BenchError((answer or {}).get("error", "the process that judges answers did not start"))
        self.taken = answer["taken"]

    def _ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """One line there, one back; None if the process is gone or silent for so long."""
        assert self.process is not None and self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
            if not select.select([self.process.stdout], [], [], seconds)[0]:
                return None
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            return None

    def judge(self, task: Task) -> Verdict:
        """Judge one answer. Whatever it does, a verdict comes back, and the bench is ready for the next one."""
        answer = self._ask(dict(vars(task)), task.seconds + 30)
        if answer is not None:
            answer["message"] = printable(answer["message"], keep="\n\t")
            answer["changed"] = [printable(what) for what in answer["changed"]]
            return Verdict(**answer)
        self._kill()
        self._begin()
        return Verdict("broken", "the process that judges answers was stopped by this one")

    def _kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()

    def close(self) -> None:
        """End the process, remove its folder."""
        self._kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(lines: Iterator[str], say: Callable[[dict[str, Any]], None]) -> None:
    """Run the first cell, then judge one task a line, each in a fork."""
    from ..checks import guard as rules

    start = json.loads(next(lines))
    setup: dict[str, Any] = {"__name__": "setup"}
    try:
        exec(compile(start["setup"], "<setup>", "exec"), setup)
    except BaseException as error:
        return say({"error": f"the first cell stopped with {type(error).__name__}: {error}"})
    # Between the check and the answer stands judge's look at what was replaced: no call of the answer's.
    rules.ALWAYS = (*rules.ALWAYS, "ddpm_lite.teach")  # type: ignore[assignment]
    changed = guard.snapshot()
    work = Path(start["work"])
    hide = [part for path in start["hide"] for part in _hidden(Path(path), work)]

    def shut(seconds: float) -> list[str]:
        return jail.enter(work, hide, seconds=int(seconds) + 1, memory_mb=start["memory_mb"])

    said = _fork(lambda: {"taken": shut(20)}, 30)
    say(said if "taken" in said else {"error": "no process can be forked here"})
    for line in lines:
        task = Task(**json.loads(line))

        def run(task: Task = task) -> dict[str, Any]:
            shut(task.seconds)
            refused, kept = guard.watch(work), _out_of_reach()
            try:
                return judge(task, setup, refused, changed)
            finally:
                del kept

        say(_fork(run, task.seconds))


def _out_of_reach() -> list[Any]:
    """Take the grader's own modules from where foreign code could import them; return them, to be kept alive."""
    names = [name for name in sys.modules if name == "__main__" or name.startswith("ddpm_lite.teach")]
    modules = [sys.modules.pop(name) for name in names]
    sys.modules["__main__"] = type(sys)("__main__")
    if "ddpm_lite" in sys.modules:
        vars(sys.modules["ddpm_lite"]).pop("teach", None)
    return modules


def _hidden(path: Path, work: Path) -> Iterator[Path]:
    """What to hide of a file or folder: all of it, or, where Python, this package or ``work`` is in it, all beside
    them."""
    ours = [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parents[1], work]
    needed = [one.resolve() for one in ours]
    if path in needed:
        return
    if not any(one.is_relative_to(path) for one in needed):
        yield path
    elif path.is_dir() and os.access(path, os.R_OK):
        for part in sorted(path.iterdir()):
            if not part.is_symlink():  # what it points to has a path of its own
                yield from _hidden(part, work)


def _fork(function: Callable[[], dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Call the function in a fork; return what it returned, or a broken Verdict that says why it did not.

    What comes from the fork counts when it begins with a word that only this process, and frames out of the answer's
    reach, know.
    """
    word, (read, write) = secrets.token_bytes(16), os.pipe()
    child = os.fork()
    if child == 0:
        out, end = os.write, os._exit  # held here: what the answer patches is not asked
        try:
            os.setsid()
            os.closerange(3, write)
            os.closerange(write + 1, jail.OPEN_FILES)
            null = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            said = function()
            out(write, word + f"{said!r}".encode("utf-8", "replace") + word)
        finally:
            end(0)
    os.close(write)
    start, data, late = time.monotonic(), b"", False
    while len(data) < 1 << 20:
        left = start + seconds - time.monotonic()
        late = left <= 0 or not select.select([read], [], [], left)[0]
        piece = b"" if late else os.read(read, 65536)
        data += piece
        if not piece or data.endswith(word) and len(data) > len(word):
            break
    os.close(read)
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if data.count(word) == 2:
        return dict(ast.literal_eval(data.split(word)[1].decode()))
    why = "it ended the process" if code in (0, -signal.SIGKILL) else f"it ended the process ({code})"
    why = f"it did not end in {seconds:.0f} seconds" if late or code == -signal.SIGXCPU else why
    return {"kind": "broken", "message": why, "changed": [], "seconds": time.monotonic() - start}


def main() -> None:
    """Answer on standard output, which nothing else here writes to: ``print`` goes to standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    serve(iter(sys.stdin.readline, ""), say)


if __name__ == "__main__":
    main()
