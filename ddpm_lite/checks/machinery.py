"""What all checks are made of: ``exercise`` around them; ``diagnose``, ``multiple_choice`` and ``curve`` for the
answers of a reader; ``fresh_generator`` and ``random_alpha_bar`` for the inputs that an answer is tried on."""

from __future__ import annotations

import functools
import inspect
import linecache
import os
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .guard import Guard, TimeUp, is_readers

__all__ = [
    "NotAttempted",
    "WrongAnswer",
    "choice",
    "curve",
    "diagnose",
    "exercise",
    "multiple_choice",
]
MESSAGE = 1000  # characters of an error's message that are quoted


class WrongAnswer(AssertionError):
    """An answer to an exercise is wrong; the message says what is wrong with it."""

    def _render_traceback_(self) -> list[str]:  # IPython shows these lines in place of a traceback
        return [f"\x1b[31mNot yet.\x1b[0m {self}"]


class NotAttempted(WrongAnswer):
    """Raised in place of the words "Not attempted yet." while an assignment is graded."""


def exercise(check: Callable[[Any], str] | None = None, *, library: tuple[str, ...] = (), seconds: float = 10.0) -> Any:
    """Make a check of a reader's answer: print "not attempted yet", or "Correct.", or raise ``WrongAnswer``.

    ``check(answer)`` returns a sentence for a right answer and raises ``WrongAnswer`` for a wrong one. An answer is a
    function, or anything else that can be called; of another kind where ``check`` annotates it so
    (``answer: choice``). One that raises NotImplementedError counts as not attempted, and so does ``...``; with
    ``DDPM_LITE_GRADING=1`` in the environment this raises ``NotAttempted``. Any other error in a reader's function
    becomes a WrongAnswer that quotes it and the reader's line.

    library: modules that the answer may call (``"ddpm_lite.sampling"`` with all below it). Any other call from the
    answer into ddpm_lite or diffusers makes it wrong. seconds: how long the check may take.
    """
    if check is None:
        return functools.partial(exercise, library=library, seconds=seconds)
    if isinstance(library, str):
        raise TypeError(f"library must be a tuple of module names, got the string {library!r}")
    of_any_kind = not str(check.__annotations__.get("answer", "Callable")).startswith(("Callable", "typing.Callable"))

    @functools.wraps(check)
    def run(answer: Any) -> None:
        if answer is ... or (isinstance(answer, choice) and ... in answer):
            return _not_attempted()
        if not (of_any_kind or callable(answer)):
            given = "None" if answer is None else f"a {type(answer).__name__}"
            raise WrongAnswer(f"the check got {given}: hand over the function itself, its name without ( )")
        failure: BaseException | None = None
        guard = Guard(check, library, seconds)
        try:
            with guard:
                message = check(guard.wrap(answer))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # sys.exit() among them
            failure = error
        if guard.refused:
            raise WrongAnswer(guard.refused)
        if guard.late:
            line = _readers_line(answer, failure) if isinstance(failure, TimeUp) else ""
            raise WrongAnswer(f"your code did not finish in {seconds:g} seconds{line}: does a loop never end?")
        if failure is None:
            print(f"Correct. {message}")
        elif isinstance(failure, NotImplementedError) and _is_stub(failure):
            _not_attempted()
        elif isinstance(failure, WrongAnswer):
            raise failure
        else:
            text = str(failure)[:MESSAGE] + " ..." * (len(str(failure)) > MESSAGE)
            what = f"your code stopped with {type(failure).__name__}{_readers_line(answer, failure)}: {text}"
            raise WrongAnswer(what) from failure

    return run


def _not_attempted() -> None:
    if os.environ.get("DDPM_LITE_GRADING") == "1":
        raise NotAttempted("Not attempted yet.")
    print("Not attempted yet.")


def _is_stub(error: NotImplementedError) -> bool:
    """Whether the reader's own code raised it, not a function that it called, of Python or compiled."""
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    raised = not error.args or "raise" in linecache.getline(frame.f_code.co_filename, line)
    return raised and is_readers(frame)


def _readers_line(answer: Any, error: BaseException | None) -> str:
    """Where the error left the file of the reader's function, as " in line 3, `return x`"; "" if it never got there."""
    answer = inspect.unwrap(answer)
    code = getattr(answer, "__code__", None) or getattr(type(answer).__call__, "__code__", None)
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)] if error else []
    first = next((i for i, (its_code, _) in enumerate(frames) if its_code is code), len(frames))
    lines = [(its.co_filename, line) for its, line in frames[first:] if its.co_filename == frames[first][0].co_filename]
    if not lines:
        return ""
    text = linecache.getline(*lines[-1]).strip()
    return f" in line {lines[-1][1]}" + (f", `{text}`" if text else "")


class choice(NamedTuple):
    """An answer to a question with options a, b, c, d, and the number of the reason for it."""

    letter: Any
    because: Any = ...


def multiple_choice(
    answer: Any, right: tuple[str, int], options: Mapping[str, str], reasons: Mapping[int, str]
) -> None:
    """Raise ``WrongAnswer`` unless ``answer`` is ``choice(*right)``.

    options: each wrong letter -> why it is wrong. reasons: each wrong number -> why it is no reason for the right one.
    """
    if isinstance(answer, str) or not isinstance(answer, tuple) or len(answer) != 2:
        raise WrongAnswer(f'answer as choice("a", because=1), with your letter and the number of your reason; '
                          f"got {answer!r}")  # fmt: skip
    letter, reason = str(answer[0]).strip().lower(), answer[1]
    letters, numbers = sorted({*options, right[0]}), sorted({*reasons, right[1]})
    if letter not in letters:
        raise WrongAnswer(f"there is no option {answer[0]!r}; choose one of {', '.join(letters)}")
    if not isinstance(reason, int) or reason not in numbers:
        raise WrongAnswer(f"there is no reason {reason!r}; choose one of {', '.join(map(str, numbers))}")
    if letter != right[0]:
        raise WrongAnswer(f"not {letter}: {options[letter]}")
    if reason != right[1]:
        raise WrongAnswer(f"{letter} it is, but not because of {reason}: {reasons[reason]}")


def curve(figure: Any, label: str) -> tuple[Tensor, Tensor]:
    """The x and y, float64, of the line with this label in a matplotlib Figure, an Axes, or an array of Axes."""
    if figure is None:
        raise WrongAnswer("there is no figure: does your function return it?")
    if isinstance(figure, (tuple, list)) and figure and not hasattr(figure[0], "get_lines"):
        figure = figure[0]  # (figure, axes), as pyplot.subplots returns
    if hasattr(figure, "get_axes") and not hasattr(figure, "get_lines"):
        figure = figure.get_axes()
    axes = list(figure) if isinstance(figure, (tuple, list)) else list(getattr(figure, "flat", [figure]))
    if not all(hasattr(axis, "get_lines") for axis in axes):
        raise WrongAnswer(f"return a matplotlib Figure or Axes, got {type(figure).__name__}")
    lines = [line for axis in axes for line in axis.get_lines()]
    found = [line for line in lines if str(line.get_label()).strip().casefold() == label.casefold()]
    if len(found) != 1:
        names = ", ".join(repr(str(line.get_label())) for line in lines if not str(line.get_label()).startswith("_"))
        has = f"{len(found)} lines" if found else "no line"
        there = (
            f"its labels are {names}"
            if names
            else f"none of its lines has a label: axis.plot(x, y, label={label!r})"
            if lines
            else ""
        )
        raise WrongAnswer(
            f"your figure has {has} with the label {label!r}" + (f"; {there}" if there else ": it has no lines at all")
        )
    x, y = (torch.as_tensor(np.asarray(data, dtype=float)) for data in found[0].get_data())
    return x, y


def diagnose(
    what: str, got: Any, want: Tensor, mistakes: Mapping[str, Tensor] | None = None, *, tol: float = 1e-6
) -> None:
    """Raise ``WrongAnswer`` unless ``got`` equals ``want``; if it equals a known wrong result, say which mistake makes
    it.

    what: the name of the result in the sentence, such as "x_t". mistakes: explanation -> the result that this mistake
    gives.
    """
    if got is None:
        raise WrongAnswer(f"{what} is None: does your function return its result?")
    try:
        value = torch.as_tensor(got)
    except (TypeError, ValueError, RuntimeError):
        raise WrongAnswer(f"{what} should be a tensor or a number, got {type(got).__name__}") from None
    if value.shape != want.shape:
        shape = tuple(value.shape)
        if want.ndim == 0:
            raise WrongAnswer(f"{what} should be one number, got a tensor of shape {shape}")
        raise WrongAnswer(f"{what} should have shape {tuple(want.shape)}, got {shape or 'one number'}")
    value, want = value.detach().double(), want.double()
    if bool(value.isnan().any()):
        raise WrongAnswer(
            f"{what} contains NaN: is something divided by zero, or is there a root of a negative number?"
        )
    if _close(value, want, tol):
        return
    for explanation, wrong in (mistakes or {}).items():
        if wrong.shape == want.shape and _close(value, wrong.double(), tol):
            raise WrongAnswer(explanation)
    worst = int((value - want).abs().argmax())
    expected, yours = (f"{float(a.flatten()[worst]):.6g}" for a in (want, value))
    raise WrongAnswer(f"{what} is wrong: where {expected} was expected, yours is {yours}")


def fresh_generator() -> torch.Generator:
    """A generator that is seeded anew by the system: an answer is tried on other numbers each time."""
    generator = torch.Generator()
    generator.seed()
    return generator


def random_alpha_bar(T: int, generator: torch.Generator) -> Tensor:
    """A random table alpha_bar, (T+1,) float64, that falls from 1 to between 0.1 and 0.5, no two steps alike."""
    beta = 0.02 + torch.rand(T, generator=generator, dtype=torch.float64)
    total = 0.7 + 1.5 * torch.rand(1, generator=generator, dtype=torch.float64)
    log = torch.cat([torch.zeros(1, dtype=torch.float64), -beta.cumsum(0) / beta.sum() * total])
    return log.exp()


def _close(a: Tensor, b: Tensor, tol: float) -> bool:
    return bool(((a - b).abs() <= tol * b.abs().clamp(min=1)).all())
