"""What an answer may not do while it is checked, and what it leaves behind: nothing."""

from __future__ import annotations

import contextlib
import functools
import random
import re
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch

from ddpm_lite import GaussianDiffusion, linear_beta_schedule, targets
from ddpm_lite.checks import (
    NotAttempted,
    WrongAnswer,
    check_noised_moments,
    choice,
    curve,
    diagnose,
    exercise,
    guard,
    multiple_choice,
)

LIMIT = 0.4


def in_the_package(source: str, **names: Any) -> dict[str, Any]:
    """What a module of checks defines, as if it stood in the package."""
    namespace = {"__name__": "ddpm_lite.checks.lesson_99", "torch": torch, "diagnose": diagnose, **names}
    exec(source, namespace)
    return namespace


DOUBLE = in_the_package(
    """
def twice(x):
    return 2 * x

def check_double(answer):
    got = answer(torch.arange(3.0), lambda x: twice(x))
    while callable(got):
        got = got(torch.arange(3.0))
    if hasattr(got, "__next__"):
        got = next(got)
    diagnose("it", got, twice(torch.arange(3.0)))
    return "Twice."
"""
)
check_double = exercise(seconds=LIMIT)(DOUBLE["check_double"])
check_by_library = exercise(library=("ddpm_lite.targets", "ddpm_lite.schedules"))(DOUBLE["check_double"])


def library(x: torch.Tensor) -> torch.Tensor:
    """Calls the library, and is right all the same."""
    linear_beta_schedule(100)
    return 2 * x


def fresh_import(x: Any, _: Any) -> Any:
    from ddpm_lite.schedules import linear_beta_schedule as innocent

    return 2 * x + 0 * innocent(100).sum()


def by_exec(x: Any, _: Any) -> Any:
    namespace: dict[str, Any] = {"__name__": "torch"}
    exec("import ddpm_lite.schedules as s\ndef f(x): s.linear_beta_schedule(100); return 2 * x", namespace)
    return namespace["f"](x)


def swallows(x: Any, _: Any) -> Any:
    with contextlib.suppress(BaseException):
        linear_beta_schedule(100)
    return 2 * x


def in_a_thread(x: Any, _: Any) -> Any:
    thread = threading.Thread(target=library, args=(x,))
    thread.start()
    thread.join()
    return 2 * x


def straight_in_a_thread(x: Any, _: Any) -> Any:
    thread = threading.Thread(target=linear_beta_schedule, args=(100,))
    thread.start()
    thread.join()
    return 2 * x


def copied_code(x: Any, _: Any) -> Any:
    copy = type(library)(
        linear_beta_schedule.__code__, {"__name__": "mine", **vars(sys.modules["ddpm_lite.schedules"])}
    )
    copy.__globals__["__name__"] = "mine"
    copy.__kwdefaults__ = linear_beta_schedule.__kwdefaults__
    copy(100, 1e-4, 0.02)
    return 2 * x


def generator(x: Any, _: Any) -> Any:
    yield library(x)


def by_sort(x: Any, _: Any) -> Any:
    sorted([100], key=linear_beta_schedule)
    return 2 * x


REFUSED = {
    "a call": lambda x, _: library(x),
    "partial": lambda x, _: functools.partial(library, x)(),
    "map": lambda x, _: [*map(library, [x])][0],
    "sort": by_sort,
    "exec": by_exec,
    "import inside": fresh_import,
    "swallows the refusal": swallows,
    "a thread": in_a_thread,
    "a thread of the library alone": straight_in_a_thread,
    "code copied": copied_code,
    "returns a function": lambda x, _: library,
    "returns a partial": lambda x, _: functools.partial(linear_beta_schedule, 100),
    "returns a library's function": lambda x, _: lambda x: linear_beta_schedule,
    "a generator": generator,
    "a constructor": lambda x, _: (GaussianDiffusion(torch.tensor([0.1])), 2 * x)[1],
    "a helper of the check": lambda x, _: DOUBLE["twice"](x),
}


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
def test_a_call_into_the_library_is_refused_by_name(answer: Any) -> None:
    with pytest.raises(WrongAnswer, match=r"^your answer calls (ddpm_lite\.|mine)[\w.<>]+; write it yourself$"):
        check_double(answer)
    assert sys.getprofile() is None


@pytest.mark.parametrize("answer", [targets.bound_weight, functools.partial(linear_beta_schedule, 100)])
def test_the_librarys_own_function_is_no_answer(answer: Any) -> None:
    with pytest.raises(WrongAnswer, match=r"your answer calls ddpm_lite\.(targets|schedules)\.\w+; write it yourself"):
        check_double(answer)


def test_what_the_check_hands_over_may_be_called_and_named_modules_too(capsys: pytest.CaptureFixture[str]) -> None:
    check_double(lambda x, given: given(x))
    check_by_library(lambda x, _: library(x))
    with pytest.raises(WrongAnswer, match=r"ddpm_lite\.diffusion"):
        check_by_library(lambda x, _: (GaussianDiffusion(torch.tensor([0.1])), 2 * x)[1])
    assert capsys.readouterr().out == "Correct. Twice.\n" * 2


def test_an_imported_library_that_is_not_called_is_no_offence() -> None:
    def answer(x: Any, _: Any) -> Any:
        from ddpm_lite import GaussianDiffusion as unused

        return 2 * x if unused else x

    check_double(answer)


def loop(x: Any, _: Any) -> Any:
    while True:
        x = x + 1


def careful_loop(x: Any, _: Any) -> Any:
    while True:
        try:
            x = x + 1
        except Exception:
            pass


def bare_loop(x: Any, _: Any) -> Any:
    while True:
        try:
            x = x + 1
            time.sleep(0.001)
        except:  # noqa: E722
            pass


def nested_bare_loops(x: Any, _: Any) -> Any:
    while True:
        try:
            while True:
                with contextlib.suppress(BaseException):
                    bare_loop(x, _)
        except BaseException:
            continue


def finally_loop(x: Any, _: Any) -> Any:
    try:
        loop(x, _)
    finally:
        loop(x, _)


def keeps_what_it_catches(x: Any, _: Any) -> Any:
    errors = []
    while len(errors) < 3:
        try:
            loop(x, _)
        except BaseException as error:
            errors.append(error)
    return 2 * x


def endless_generator(x: Any, _: Any) -> Any:
    loop(x, _)
    yield x


def keeps_all_that_it_catches(x: Any, _: Any) -> Any:
    errors = []
    while True:
        try:
            loop(x, _)
        except BaseException as error:
            errors.append(error)


def tries_again(x: Any, _: Any) -> Any:
    try:
        return loop(x, _)
    except BaseException:
        return tries_again(x, _)


LOOPS = [loop, careful_loop, bare_loop, nested_bare_loops, finally_loop, keeps_what_it_catches, endless_generator]
LOOPS += [keeps_all_that_it_catches, tries_again]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it may rise in a callback of gc
@pytest.mark.parametrize("signals", [True, False], ids=["signal", "thread"])
@pytest.mark.parametrize("answer", LOOPS, ids=lambda answer: answer.__name__)
def test_no_loop_is_endless(answer: Any, signals: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if answer is careful_loop and sys.version_info < (3, 11):
        pytest.skip("Python 3.10 looks for no signal in such a loop, and lets no other thread run")
    if not signals:  # as on Windows
        monkeypatch.delattr(signal, "setitimer")
    handler = signal.getsignal(signal.SIGALRM)
    start = time.process_time()
    with pytest.raises(WrongAnswer, match=r"^your code did not finish in 0.4 seconds.*: does a loop never end\?$"):
        check_double(answer)
    assert time.process_time() - start < 20 * LIMIT
    assert signal.getsignal(signal.SIGALRM) is handler and sys.getprofile() is None and sys.gettrace() is None
    for _ in range(20_000):  # nothing comes late
        pass
    check_double(lambda x, _: 2 * x)


def test_the_line_of_the_loop_is_quoted() -> None:
    with pytest.raises(WrongAnswer, match=r"in line \d+, `(while True:|x = x \+ 1)`"):
        check_double(loop)


def test_a_sleeper_is_woken_later(monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.monotonic()
    with pytest.raises(WrongAnswer, match="did not finish"):
        check_double(lambda x, _: time.sleep(60))
    assert time.monotonic() - start > guard.PATIENCE * LIMIT


def test_checks_work_in_other_threads() -> None:
    seen: list[Any] = []

    def run() -> None:
        for answer in (lambda x, _: 2 * x, loop):
            try:
                seen.append(check_double(answer))
            except WrongAnswer as error:
                seen.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen[0] is None and "did not finish" in seen[1]


def test_a_timer_that_ran_before_runs_on() -> None:
    rang = []
    old = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    left = signal.setitimer(signal.ITIMER_REAL, 0.6)
    try:
        check_double(lambda x, _: (time.sleep(0.1), 2 * x)[1])
        assert not rang and 0 < signal.getitimer(signal.ITIMER_REAL)[0] < 0.55
        time.sleep(0.7)
        assert rang == [1]
    finally:
        signal.signal(signal.SIGALRM, old)
        signal.setitimer(signal.ITIMER_REAL, *left)


def recursion(x: Any, _: Any) -> Any:
    return recursion(x, _)


@pytest.mark.parametrize(
    "answer, message",
    [
        (recursion, r"stopped with RecursionError in line \d+, `.*recursion.*`: maximum recursion depth"),
        (lambda x, _: sys.exit("enough"), "stopped with SystemExit.*: enough"),
        (lambda x, _: exit(), "stopped with SystemExit"),
        (lambda x, _: torch.nn.Module()(x), "stopped with NotImplementedError"),
        (lambda x, _: torch.empty(3, device="meta").tolist(), "stopped with NotImplementedError"),
        (lambda x, _: [][x.ndim : {"9" * 3000: 0}["8" * 3000]], r"stopped with KeyError.{900,1200} \.\.\.$"),
    ],
)
def test_other_ways_to_end(answer: Any, message: str) -> None:
    with pytest.raises(WrongAnswer, match=message):
        check_double(answer)


def test_a_stub_may_have_words(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(x: Any, _: Any) -> Any:
        raise NotImplementedError("later")

    check_double(answer)
    assert capsys.readouterr().out == "Not attempted yet.\n"


def test_an_answer_cannot_close_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    check_double(lambda x, _: (sys.stdout.close(), 2 * x)[1])
    assert capsys.readouterr().out == "Correct. Twice.\n"


def test_an_interrupt_by_the_reader_is_one() -> None:
    def answer(x: Any, _: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_double(answer)
    assert sys.getprofile() is None and sys.stdout is not None


def test_a_flood_of_prints_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(x: Any, _: Any) -> Any:
        for i in range(100_000):
            print("line", i)
        return 2 * x

    exercise(DOUBLE["check_double"])(answer)
    out = capsys.readouterr().out
    assert out.startswith("line 0\nline 1\n") and out.endswith("the rest is left out\nCorrect. Twice.\n")
    assert len(out) < 1.1 * guard.PRINTED


@pytest.mark.filterwarnings("ignore:Exception in thread:pytest.PytestUnhandledThreadExceptionWarning")
def test_nothing_is_left_behind(capsys: pytest.CaptureFixture[str]) -> None:
    import matplotlib.pyplot as plt

    def answer(x: Any, _: Any) -> Any:
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        random.seed(1)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        plt.figure()
        threading.Thread(target=loop, args=(0, 0), daemon=True).start()
        return 2 * x

    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    figures, threads = plt.get_fignums(), threading.active_count()
    check_double(answer)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())  # noqa: NPY002
    assert torch.get_default_dtype() == torch.float32 and torch.is_grad_enabled()
    assert plt.get_fignums() == figures
    end = time.monotonic() + 20
    while threading.active_count() > threads and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() == threads


def test_grading_raises_where_nothing_was_attempted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDPM_LITE_GRADING", "1")

    def stub(*_: Any) -> Any:
        raise NotImplementedError

    for answer in (..., stub):
        with pytest.raises(NotAttempted, match="^Not attempted yet.$"):
            check_noised_moments(answer)


@exercise
def check_question(answer: choice) -> str:
    multiple_choice(answer, ("b", 2), {"a": "A", "c": "C"}, {1: "one", 3: "three"})
    return "It is."


@pytest.mark.parametrize(
    "answer, message",
    [
        (choice("a", because=2), "^not a: A$"),
        (choice("C", because=1), "^not c: C$"),
        (choice("b", because=3), "^b it is, but not because of 3: three$"),
        (choice("d", because=1), "^there is no option 'd'; choose one of a, b, c$"),
        (choice("b", because=7), "^there is no reason 7; choose one of 1, 2, 3$"),
        ("b", "^answer as choice"),
        (None, "^answer as choice"),
        (lambda: "b", "^answer as choice"),
    ],
)
def test_choices_are_judged(answer: Any, message: str) -> None:
    with pytest.raises(WrongAnswer, match=message):
        check_question(answer)


def test_the_right_choice(capsys: pytest.CaptureFixture[str]) -> None:
    for answer in (choice("b", because=2), choice(" B", 2)):
        check_question(answer)
        assert capsys.readouterr().out == "Correct. It is.\n"
    for answer in (..., choice(..., because=1), choice("b")):
        check_question(answer)
        assert capsys.readouterr().out == "Not attempted yet.\n"


def test_a_curve_is_found_by_its_label() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    left, right = axes = figure.subplots(1, 2)
    left.plot([1, 2], [3, 4], label="signal")
    right.plot([1, 2, 3], [0, 0, 0], label="noise")
    for thing in (figure, left, axes, (figure, axes)):
        x, y = curve(thing, "Signal")
        assert x.tolist() == [1, 2] and y.tolist() == [3, 4] and y.dtype == torch.float64
    with pytest.raises(WrongAnswer, match="no line with the label 'snr'; its labels are 'signal', 'noise'"):
        curve(figure, "snr")
    right.plot([1], [1], label="signal")
    with pytest.raises(WrongAnswer, match="2 lines with the label 'signal'"):
        curve(figure, "signal")
    with pytest.raises(WrongAnswer, match="no lines at all"):
        curve(Figure(), "signal")
    with pytest.raises(WrongAnswer, match="there is no figure"):
        curve(None, "signal")
    with pytest.raises(WrongAnswer, match="return a matplotlib Figure or Axes, got int"):
        curve(3, "signal")
    bare = Figure()
    bare.subplots().plot([1])
    with pytest.raises(WrongAnswer, match="none of its lines has a label: axis.plot"):
        curve(bare, "signal")


def test_library_must_be_a_tuple() -> None:
    with pytest.raises(TypeError, match="library must be a tuple of module names, got the string 'ddpm_lite'"):
        exercise(library="ddpm_lite")(check_question)  # type: ignore[arg-type]


def test_an_import_that_takes_long_is_not_cut_in_half(tmp_path: Any) -> None:
    """An interrupted import leaves half a module behind, and every later one fails."""
    (tmp_path / "slow.py").write_text(
        "import time\nend = time.process_time() + 1\nwhile time.process_time() < end: pass\n"
    )
    code = (
        "import sys, torch\nfrom ddpm_lite.checks import exercise\nsys.path.insert(0, sys.argv[1])\n"
        "def answer():\n    import slow\n    return slow.end\n"
        "def check(answer):\n    return str(answer())\nexercise(seconds=0.3)(check)(answer)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("Correct."), done.stderr


def test_in_a_real_kernel() -> None:
    """Cells have other file names there, and signals another master."""
    import nbformat
    from nbclient import NotebookClient

    cells = [
        "import sys, time\nfrom ddpm_lite import linear_beta_schedule\nfrom ddpm_lite.checks import check_alpha_bar",
        "def f(beta):\n    while True:\n        try:\n            x = abs(1)\n        except:\n            pass",
        "start = time.time()\ncheck_alpha_bar(f)",
        "def g(beta):\n    linear_beta_schedule(100)\n    return beta",
        "check_alpha_bar(g)",
        "check_alpha_bar(lambda beta: sys.exit())",
        "def h(beta):\n    raise NotImplementedError",
        "check_alpha_bar(h)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True).execute()
    said = [
        "".join(o.get("text", "") + "".join(o.get("traceback", [])) for o in cell.outputs) for cell in notebook.cells
    ]
    assert [text for text in (said[0], said[1], said[3], said[6]) if text] == []
    assert re.fullmatch(r".*Not yet\..* your code did not finish in 10 seconds in line \d, `.+`: does .*\?", said[2])
    assert said[4].endswith("your answer calls ddpm_lite.schedules.linear_beta_schedule; write it yourself")
    assert "your code stopped with SystemExit in line 1" in said[5]
    assert said[7] == "Not attempted yet.\n"
