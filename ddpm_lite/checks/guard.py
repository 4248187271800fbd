"""What surrounds an answer while it is tried: no calls into the library, an end to endless loops, nothing left behind.

``exercise`` uses it. Whose code runs is told by the file and the module of each frame: the library's, the check's own,
an installed package's, or else the reader's."""

from __future__ import annotations

import ctypes
import functools
import itertools
import operator
import os
import random
import signal
import sys
import sysconfig
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch

HOME = str(Path(__file__).resolve().parent.parent) + os.sep
CHECKS = __name__.rpartition(".")[0]
HERE = CHECKS.rpartition(".")[0]
LIBRARIES = (f"{HERE}.", "diffusers.")
ALWAYS = (f"{HERE}.plots.base", f"{CHECKS}.claims", f"{CHECKS}.machinery", __name__, "diffusers.utils")  # to call
INSTALLED = (sysconfig.get_paths()["stdlib"], "<frozen ")
AGAIN = 0.5  # seconds until a loop that goes on is interrupted once more
PATIENCE = 3  # a code that computes little, on a busy machine or asleep, gets as many times the limit
PRINTED = 10_000  # characters that an answer may print
FUNCTIONS = (FunctionType, MethodType, functools.partial)

_interrupt = ctypes.pythonapi.PyThreadState_SetAsyncExc
_interrupt.argtypes = (ctypes.c_ulong, ctypes.py_object)


class TimeUp(BaseException):
    """The time is over. No ``except Exception`` catches it; where a bare ``except`` does, it comes again."""

    fuses: list[_Fuse] = []
    swallowed: Any = None  # the code of the check whose answer has swallowed several; then each of its lines raises one

    def __init__(self) -> None:
        super().__init__()
        self.fuses.append(_Fuse(self, operator.methodcaller("burn")))
        if self.swallowed is not None:
            sys.settrace(_raise)
            for frame in itertools.takewhile(lambda frame: frame.f_code is not self.swallowed, _up(sys._getframe(1))):
                frame.f_trace = _raise if is_readers(frame) else frame.f_trace


def _raise(frame: FrameType, event: str, _: Any) -> Any:
    """A tracer, for answers that keep what they catch, or go on inside of ``except``."""
    if event == "line" and is_readers(frame):
        raise TimeUp
    return _raise


class _Fuse(weakref.ref):
    """When the TimeUp that it refers to was swallowed, and is destroyed, a new one rises in the same thread.

    Its callback must not run a line of Python, or the new one would rise in there: it is made of C functions alone.
    """

    def __init__(self, error: TimeUp, callback: Callable[[Any], Any]) -> None:
        super().__init__(error, callback)  # type: ignore[call-arg]
        self.burn = functools.partial(_interrupt, threading.get_ident(), TimeUp)


class Refused(BaseException):
    """The answer called what it may not."""


class _Cut:
    """A stream that passes on the first characters only."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._left = stream, PRINTED

    def write(self, text: str) -> int:
        if self._left > 0:
            self._stream.write(text[: self._left])
            self._left -= len(text)
            if self._left <= 0:
                self._stream.write(f"\n... your code prints more than {PRINTED} characters; the rest is left out\n")
        return len(text)

    def close(self) -> None:
        """The stream is the session's, and stays open."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def is_readers(frame: FrameType) -> bool:
    """Whether a frame runs code of the reader: of no installed package, and not of this library."""
    file = frame.f_code.co_filename
    installed = "site-packages" in file or "dist-packages" in file or file.startswith(INSTALLED)
    return not installed and _owner(frame) == "other"


def _owner(frame: FrameType) -> str:
    """Who wrote the code that a frame runs: "library", "checks" (and what helps them), or "other"."""
    name = str(frame.f_globals.get("__name__"))
    if f"{name}.".startswith(f"{CHECKS}."):
        return "checks"
    if name.startswith(LIBRARIES) or (name != HERE and frame.f_code.co_filename.startswith(HOME)):
        return "library"
    return "other"


def _up(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _readers_threads() -> set[int]:
    """The threads, beside this one, that run code of the reader."""
    frames = sys._current_frames().items()
    return {i for i, frame in frames if i != threading.get_ident() and any(map(is_readers, _up(frame)))}


class Guard:
    """Watch over one check while it tries an answer; afterwards, ``refused`` says what it called that it may not.

    check: the function that tries the answer. library: modules that the answer may call. seconds: the time limit;
    ``late`` tells whether it was reached. The main thread is interrupted by a signal where the platform has one, any
    other by an exception that a second thread plants. Neither ends a single long call of compiled code, nor, in Python
    3.10, a loop that is one ``try`` with no call in it, where no Ctrl-C is heard either. The answer's prints are cut
    after 10,000 characters. Afterwards random states, default dtype, gradient mode, profiler and timer are as they
    were, figures that were opened are closed, and threads that the answer left running are ended.
    """

    def __init__(self, check: Callable[..., Any], library: tuple[str, ...] = (), seconds: float = 10.0) -> None:
        self.code, self.seconds = check.__code__, seconds
        self.allowed = tuple(f"{name}." for name in (*library, *ALWAYS))
        self.refused, self.late, self._thread = "", False, threading.get_ident()
        self.signals = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        self._mark: Any = None

    def wrap(self, answer: Any) -> Any:
        """The answer, in a function that marks its frames, as are functions that it returns; no library class."""
        for base in (answer if isinstance(answer, type) else type(answer)).__mro__:
            if (name := f"{base.__module__}.").startswith(LIBRARIES) and not name.startswith(self.allowed):
                self.refused = f"{name}{base.__qualname__} is the library's own; write yours yourself, not made from it"
                raise Refused(self.refused)
        if not callable(answer) or isinstance(answer, (type, torch.nn.Module)):
            return answer

        @functools.wraps(answer)
        def the_answer(*arguments: Any, **named: Any) -> Any:
            result = answer(*arguments, **named)
            return self.wrap(result) if isinstance(result, FUNCTIONS) else result

        self._mark = getattr(the_answer, "__code__")  # noqa: B009
        return the_answer

    def __enter__(self) -> Guard:
        self._random = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
        self._modes = torch.get_default_dtype(), torch.is_grad_enabled()
        self._figures, self._threads = _open_figures(), _readers_threads()
        self._profile, self._trace, self._stdout = sys.getprofile(), sys.gettrace(), sys.stdout
        self._ticks, TimeUp.swallowed = 0, None
        sys.stdout = _Cut(sys.stdout)
        self._over, self._lock, self._begin = threading.Event(), threading.Lock(), time.monotonic()
        self._start = self._begin, time.process_time()
        if self.signals:
            self._handler = signal.signal(signal.SIGALRM, self._on_signal)
            self._timer = signal.setitimer(signal.ITIMER_REAL, self.seconds, AGAIN)
        else:
            threading.Thread(target=self._tick, args=(threading.get_ident(),), daemon=True).start()
        threading.setprofile(self._watch)
        sys.setprofile(self._watch)
        return self

    def __exit__(self, *error: object) -> None:
        if TimeUp.swallowed is not None:
            TimeUp.swallowed = None
            sys.settrace(self._trace)
        sys.setprofile(self._profile)
        threading.setprofile(None)
        TimeUp.fuses.clear()
        if self.signals:
            left, again = self._timer
            left = max(left - (time.monotonic() - self._begin), 1e-3) if left else 0.0
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL if self._handler is None else self._handler)
            signal.setitimer(signal.ITIMER_REAL, left, again)
        else:
            with self._lock:
                self._over.set()
        sys.stdout = self._stdout
        torch.set_rng_state(self._random[0])
        np.random.set_state(self._random[1])  # noqa: NPY002
        random.setstate(self._random[2])
        torch.set_default_dtype(self._modes[0])
        torch.set_grad_enabled(self._modes[1])
        for number in _open_figures() - self._figures:
            sys.modules["matplotlib.pyplot"].close(number)
        for thread in _readers_threads() - self._threads:
            _interrupt(thread, SystemExit)

    def _is_late(self, frame: FrameType | None) -> bool:
        """Whether to interrupt now: never an import, which would leave half a module, nor what is after the check."""
        wall, work = time.monotonic() - self._start[0], time.process_time() - self._start[1]
        callers = [caller.f_code for caller in _up(frame)]
        if any(code.co_filename.startswith("<frozen importlib") for code in callers):
            self._start = time.monotonic(), time.process_time()
        elif self.code in callers and (work > 0.9 * self.seconds or wall > PATIENCE * self.seconds):
            self.late, self._ticks = True, self._ticks + 1
            TimeUp.swallowed = self.code if self._ticks > 2 else None
            return True
        return False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._is_late(frame):
            raise TimeUp

    def _tick(self, thread: int) -> None:
        waits = itertools.chain([self.seconds], itertools.repeat(AGAIN))
        while not self._over.wait(next(waits)):
            with self._lock:
                if not self._over.is_set() and self._is_late(sys._current_frames().get(thread)):
                    _interrupt(thread, TimeUp)

    def _watch(self, frame: FrameType, event: str, _: Any) -> None:
        """The profiler: refuse calls that come from the answer, not those that the library or the check makes."""
        if event != "call" or self.refused:
            return
        owner, code, module = _owner(frame), frame.f_code, str(frame.f_globals.get("__name__"))
        if owner == "other" or code.co_name == "<module>" or f"{module}.".startswith(self.allowed):
            return
        if owner == "checks" and getattr(frame.f_globals.get(code.co_name), "__code__", None) is not code:
            return  # what is no function of the module itself was handed over by the check
        for caller in _up(frame.f_back):
            if caller.f_code is self._mark or (is_readers(caller) and caller.f_code is not self.code):
                break
            if caller.f_code is self.code or _owner(caller) != "other":
                return
        self.refused = f"your answer calls {module}.{getattr(code, 'co_qualname', code.co_name)}; write it yourself"
        if threading.get_ident() == self._thread:
            raise Refused(self.refused)


def _open_figures() -> set[int]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    return set(pyplot.get_fignums()) if pyplot else set()
