"""The jail and the bench: what foreign code can do there, and what stands when it has done it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ddpm_lite.teach import jail
from ddpm_lite.teach.bench import Bench, BenchError
from ddpm_lite.teach.judge import Task

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="what the jail promises, it promises on Linux"
)
SETUP = "import torch\nfrom ddpm_lite.checks import check_alpha_bar\n"
RIGHT = "def alpha_bar(beta):\n    return torch.cat([torch.ones(1, dtype=beta.dtype), (1 - beta).cumprod(0)])\n"
CHECK = "check_alpha_bar(alpha_bar)"


def inside(function: Callable[[], Any], work: Path, hide: list[Path]) -> str:
    """Call the function in a jailed fork; return the name of the exception that it raised, or what it returned."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            jail.enter(work, hide, seconds=20, memory_mb=500)
            answer = repr(function())
        except BaseException as error:
            answer = type(error).__name__
        os.write(write, answer.encode()[:1000])
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as stream:
        return stream.read()


def many_processes() -> None:
    while True:
        os.fork()


def test_what_the_jail_refuses(tmp_path: Path) -> None:
    work, secret = tmp_path / "work", tmp_path / "secret"
    for folder in (work, secret):
        folder.mkdir()
    (secret / "key").write_text("x", "utf-8")
    parent = os.getpid()
    attempts: dict[str, tuple[Callable[[], Any], set[str]]] = {
        "a fork": (os.fork, {"PermissionError"}),
        "a fork bomb": (many_processes, {"PermissionError"}),
        "a program": (lambda: subprocess.run(["true"]), {"PermissionError"}),
        "a signal": (lambda: os.kill(parent, 0), {"PermissionError"}),
        "a socket": (socket.socket, {"PermissionError"}),
        "a file elsewhere": (lambda: (tmp_path / "new").write_text("x", "utf-8"), {"OSError", "PermissionError"}),
        "a change": (lambda: os.truncate(__file__, 0), {"OSError", "PermissionError"}),
        "a removal": (lambda: os.remove(__file__), {"OSError", "PermissionError"}),
        "ten gigabytes": (lambda: torch.ones(10 * 2**28).sum(), {"RuntimeError"}),
        "lists without end": (lambda: [bytes(10**6) for _ in range(10**4)], {"MemoryError"}),
        "a full disk": (lambda: (work / "a").write_bytes(bytes(2**27)), {"OSError", "PermissionError"}),
    }
    for name, (attempt, wanted) in attempts.items():
        assert inside(attempt, work, [secret]) in wanted, name
    assert (secret / "key").exists() and not list(work.iterdir())


def test_what_the_jail_allows(tmp_path: Path) -> None:
    def computes() -> float:
        x = torch.arange(3.0, requires_grad=True)
        (x**2).sum().backward()
        thread = threading.Thread(target=x.detach().numpy)
        thread.start()
        thread.join()
        assert x.grad is not None
        return float(x.grad.sum())

    assert inside(computes, tmp_path, []) == "6.0"


def test_files_are_hidden_where_the_system_has_name_spaces(tmp_path: Path) -> None:
    if inside(lambda: jail._seal_files(tmp_path, []), tmp_path, []) == "False" and os.system("unshare -Ur true") != 0:
        pytest.skip("no user name spaces here")
    secret, file = tmp_path / "secret", tmp_path / "file"
    secret.mkdir()
    (secret / "key").write_text("x", "utf-8")
    file.write_text("x", "utf-8")
    work = tmp_path / "work"
    work.mkdir()
    assert inside(lambda: os.listdir(secret), work, [secret]) == "[]"
    assert inside(lambda: file.read_bytes(), work, [file]) == "b''"
    assert inside(lambda: Path("a.txt").write_text("abc", "utf-8"), work, [secret]) == "3"
    assert not list(work.iterdir()), "what it writes is gone with it"


def test_without_name_spaces_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jail, "_seal_files", lambda *_: False)
    assert inside(lambda: (tmp_path / "a").write_text("x", "utf-8"), tmp_path, []) == "PermissionError"
    assert inside(lambda: os.remove(__file__), tmp_path, []) == "PermissionError"
    assert inside(os.fork, tmp_path, []) == "PermissionError"
    assert inside(lambda: len(Path(__file__).read_bytes()) > 0, tmp_path, []) == "True"


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench(SETUP) as made:
        yield made


def test_a_bench_judges_one_answer_after_the_other(bench: Bench) -> None:
    assert {"memory", "files", "processes", "network"} <= {*bench.taken}
    assert bench.judge(Task(1, RIGHT, ["alpha_bar"], CHECK)).kind == "right"
    wrong = bench.judge(Task(1, RIGHT.replace("cumprod", "cumsum"), ["alpha_bar"], CHECK))
    assert wrong.kind == "wrong" and "cumsum" in wrong.message
    stub = bench.judge(Task(1, "def alpha_bar(beta):\n    raise NotImplementedError", ["alpha_bar"], CHECK))
    assert (stub.kind, stub.changed) == ("missing", [])


def test_the_environment_is_empty(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    with Bench(SETUP) as other:
        code = "import os\nnames = sorted(os.environ)"
        check = "assert not {'SECRET', 'SSH_AUTH_SOCK', 'USER'} & {*names}, names"
        assert other.judge(Task(1, code, ["names"], check)).kind == "right"


def test_time_is_up_also_in_a_bare_except(bench: Bench) -> None:
    start = time.monotonic()
    verdict = bench.judge(Task(1, "while True:\n    try:\n        1\n    except:\n        pass", ["x"], "1", seconds=2))
    assert verdict.kind == "broken" and "2 seconds" in verdict.message
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.closerange(3, 256)",
        "import os\nfor n in range(3, 256):\n  try: os.write(n, b'right' * 9999)\n  except OSError: pass",
        "import os\nos.abort()",
        "import sys\nsys.setrecursionlimit(10**9)\nf = lambda: f()\nf()",
        "raise SystemExit",
        "raise KeyboardInterrupt",
        "class E(Exception):\n    def __str__(self): raise E\nraise E",
        "x = '\\0' * 10**8\nprint(x)",
        "\ud800",
    ],
)
def test_no_answer_stops_the_bench(bench: Bench, code: str) -> None:
    verdict = bench.judge(Task(1, code, ["alpha_bar"], CHECK, seconds=10))
    assert verdict.kind in ("wrong", "broken")
    assert bench.judge(Task(1, RIGHT, ["alpha_bar"], CHECK)).kind == "right"


def test_a_first_cell_that_fails_is_named() -> None:
    with pytest.raises(BenchError, match="the first cell stopped with ModuleNotFoundError: No module named 'nothing'"):
        Bench("import nothing")


def test_what_an_answer_printed_or_patched_does_not_make_it_right(bench: Bench) -> None:
    for code in ("print('Correct.')", "import sys\nsys.stdout.write('Correct.')\nalpha_bar = 3"):
        assert bench.judge(Task(1, code, ["alpha_bar"], CHECK)).kind == "wrong"
    start = "import ddpm_lite.checks.lesson_01 as c\n"
    patches = {
        "c.diagnose = lambda *a: None": "refused: ddpm_lite.checks.lesson_01.diagnose = ...",
        "vars(c)['diagnose'] = lambda *a: None": "replaced: ddpm_lite.checks.lesson_01.diagnose",
        "vars(c)['len'] = lambda a: 3": "replaced: ddpm_lite.checks.lesson_01.len",
        "torch.Tensor.__le__ = lambda a, b: True": "replaced: Tensor.__le__",
        "import torch.overrides\ntorch.overrides.TorchFunctionMode().__enter__()": "replaced: __torch_function__ mode",
    }
    for patch, what in patches.items():
        verdict = bench.judge(Task(1, f"{start}{patch}\n{RIGHT}", ["alpha_bar"], CHECK))
        assert verdict.kind != "right" and verdict.changed == [what], verdict
