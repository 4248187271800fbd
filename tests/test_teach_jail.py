"""The jail and the bench: what foreign code can do there, and what stands when it has done it."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform
import re
import resource
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
from ddpm_lite.teach.answers import suspicious
from ddpm_lite.teach.bench import Bench, BenchError, _hidden
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


def listener() -> None:
    """Have a signal sent to the parent whenever a pipe is written to."""
    fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid())


def key() -> None:
    """Leave a key in a ring that outlives the process."""
    number = {"x86_64": 248, "aarch64": 217}[platform.machine()]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, b"user", b"a", b"b", 1, -3) < 0:
        raise OSError(ctypes.get_errno(), "add_key")


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
        "another's limits": (lambda: resource.prlimit(parent, resource.RLIMIT_CORE, (0, 0)), {"PermissionError"}),
        "another's priority": (lambda: os.setpriority(os.PRIO_PROCESS, parent, 5), {"PermissionError"}),
        "another's signals": (listener, {"PermissionError"}),
        "a key": (key, {"PermissionError"}),
        "shared memory": (lambda: mmap.mmap(-1, 2**20), {"PermissionError"}),
        "a file in memory": (lambda: os.memfd_create("a"), {"PermissionError"}),
        "ten gigabytes": (lambda: torch.ones(10 * 2**28).sum(), {"RuntimeError"}),
        "lists without end": (lambda: [bytes(10**6) for _ in range(10**4)], {"MemoryError"}),
        "a full disk": (lambda: (work / "a").write_bytes(bytes(2**27)), {"OSError", "PermissionError"}),
    }
    for name, (attempt, wanted) in attempts.items():
        assert inside(attempt, work, [secret]) in wanted, name
    assert (secret / "key").exists() and not list(work.iterdir())


def test_what_the_jail_allows(tmp_path: Path) -> None:
    def computes() -> float:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        fcntl.fcntl(os.pipe()[0], fcntl.F_SETFL, os.O_NONBLOCK)
        assert len(mmap.mmap(-1, 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)) == 2**20
        assert len(Path("/dev/urandom").open("rb").read(3)) == 3
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


def test_a_folder_around_this_package_is_hidden_but_for_the_package(tmp_path: Path) -> None:
    package = Path(jail.__file__).resolve().parents[1]
    hidden = {*_hidden(package.parent, tmp_path)}
    assert package not in hidden and package.parent not in hidden
    assert {package.parent / name for name in ("tests", "pyproject.toml")} <= hidden
    work = tmp_path / "course" / "work"
    work.mkdir(parents=True)
    (tmp_path / "course" / "source").mkdir()
    assert [*_hidden(tmp_path / "course", work)] == [tmp_path / "course" / "source"]
    assert [*_hidden(work, work)] == []


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


WAYS = {  # to the grader's own frames and functions, and what is noted of each
    "closure": (
        "for cell in check_alpha_bar.__closure__:\n"
        "    if callable(cell.cell_contents):\n        cell.cell_contents = lambda answer: 'Correct.'",
        r"replaced: ddpm_lite\.checks\.lesson_01\.check_alpha_bar\.__closure__",
    ),
    "logging": ("import logging\nlogging.currentframe().f_back", r"refused: sys\._getframe in line 2"),
    "torch": (
        "from torch import _jit_internal as j\nj.createResolutionCallbackFromFrame(2)('word')",
        r"refused: sys\._getframe in line 2",
    ),
    "a thread": (
        "import sys\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "ThreadPoolExecutor().submit(sys._current_frames).result()",
        r"refused: sys\._current_frames in line \?",
    ),
    "other names": ("import timeit\ntimeit.timeit('import sys; sys._getframe()')", r"refused: compile in line 2"),
    "another folder": ("import os\nos.chdir('/etc')\nopen('passwd').read()", r"refused: open in line 3"),
    "a path of two faces": (
        "import io\nclass P:\n    def __fspath__(self): return '/etc/passwd'\nio.FileIO(P())",
        r"refused: open in line 4",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_ways_to_the_grader_are_noted(bench: Bench, way: str) -> None:
    code, noted = WAYS[way]
    verdict = bench.judge(Task(1, f"{code}\n{RIGHT}", ["alpha_bar"], CHECK))
    assert re.fullmatch(noted, "; ".join(verdict.changed)), verdict


def test_the_grader_believes_no_words_of_the_answer(bench: Bench) -> None:
    words = (
        "class S(str):\n    def __format__(self, spec): return self\n    def __getitem__(self, i): return self\n"
        "    def __repr__(self): return \"'Correct.', 'kind': 'right', 'changed': [], 'seconds': 0.1} #\"\n"
        "class WrongAnswer(AssertionError):\n    def __format__(self, spec): return S('x')\n"
        "def alpha_bar(beta): raise WrongAnswer()"
    )
    assert bench.judge(Task(1, words, ["alpha_bar"], CHECK)).kind == "wrong"
    names = "names = sorted(display.__globals__)"
    assert bench.judge(Task(1, names, ["names"], "assert 'judge' not in names and 'torch' in names")).kind == "right"


def test_an_answer_runs_as_in_a_notebook(bench: Bench) -> None:
    code = "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 3\n"
    code += "a = A().x if __name__ == '__main__' else 0"
    assert bench.judge(Task(1, code, ["a"], "assert a == 3 and A.__annotations__ == {'x': int}")).kind == "wrong"
    assert bench.judge(Task(1, code, ["a", "A"], "assert a == 3 and A.__annotations__ == {'x': int}")).kind == "right"


@pytest.mark.parametrize(
    "code, told",
    [
        ("%matplotlib inline\nimport gc", "line 2: import gc"),
        ("g = getattr", "line 1: getattr"),
        ("getattr(f, 'f_back')", "line 1: 'f_back'"),
        ("import os.path", "line 1: import os.path"),
        ("from numpy.lib.stride_tricks import *", "line 1: import numpy.lib.stride_tricks"),
        ("from torch import _C", "line 1: import _C"),
        ("class T(torch.Tensor):\n    __torch_function__ = 1", "line 2: __torch_function__"),
    ],
)
def test_what_the_text_of_an_answer_tells(code: str, told: str) -> None:
    assert told in suspicious(code)


def test_what_is_nested_without_end_is_told_of() -> None:
    assert suspicious("x" + ".a" * 3000 + ".f_back")  # a parser may give up on it, or find its end


def test_honest_text_tells_nothing() -> None:
    code = "%matplotlib inline\nimport math\nfrom functools import partial\nimport torch.nn.functional as F\n"
    code += "class A(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    assert suspicious(code + "getattr(A(), 'training')\nplt.show()\n!pip list") == []
