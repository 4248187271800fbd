"""What all checks are made of: ``verify`` for the claims of a lesson, ``exercise`` and ``diagnose`` for the answers of
a reader, ``fresh_generator`` and ``random_alpha_bar`` for the inputs that an answer is tried on."""

from __future__ import annotations

import functools
import inspect
import linecache
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["VerificationError", "WrongAnswer", "diagnose", "exercise", "verify"]
FALSE_ALARM = 1e-4  # the chance that a true statement fails ``verify`` by bad luck


class VerificationError(AssertionError):
    """A formula and its measurement disagree."""


class WrongAnswer(AssertionError):
    """An answer to an exercise is wrong; the message says what is wrong with it."""

    def _render_traceback_(self) -> list[str]:  # IPython shows these lines in place of a traceback
        return [f"\x1b[31mNot yet.\x1b[0m {self}"]


def verify(name: str, computed: Any, measured: Any, se: Any = None, *, tol: float = 1e-6) -> None:
    """Compare a formula with a measurement, print one line, and raise if they disagree.

    name: what is verified, such as "eq. (7), posterior mean". computed, measured: numbers or tensors of one shape.
    se: the standard error of ``measured``, a number or a tensor that broadcasts. With it, all values must agree within
    ``z se``, where z is set so that a true statement fails once in 10,000 runs, however many values there are. Without
    it, ``|computed - measured| <= tol max(1, |computed|)``.

    Raises: VerificationError (an AssertionError) if they disagree; ValueError if the shapes differ or se is not
    positive.
    """
    a, b = _double("computed", computed), _double("measured", measured)
    if a.shape != b.shape:
        raise ValueError(f"computed and measured must have one shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    count = a.numel()
    if count == 0:
        raise ValueError("computed and measured must hold at least one value")
    if se is None:
        limit, unit = tol, "relative to max(1, |value|)"
        scale = a.abs().clamp(min=1)
    else:
        scale = _double("se", se).expand(a.shape)
        if not bool((scale > 0).all()):
            raise ValueError("se must be positive and finite everywhere")
        limit = -float(torch.special.ndtri(torch.tensor(FALSE_ALARM / (2 * count), dtype=torch.float64)))
        unit = "standard errors"
    deviation = ((a - b).abs() / scale).flatten()
    worst = int(deviation.nan_to_num(nan=torch.inf).argmax())
    largest = float(deviation[worst])
    values = "" if count == 1 else f" ({count} values)"
    if not largest <= limit:  # a NaN fails too
        pair = f"computed {float(a.flatten()[worst]):.6g}, measured {float(b.flatten()[worst]):.6g}"
        raise VerificationError(
            f"{name}{values}: {pair}, which differ by {largest:.3g} {unit}; at most {limit:.3g} is allowed"
        )
    if se is None:
        print(f"verified: {name}{values}, equal to within {limit:.0e}")
    elif count == 1:
        print(f"verified: {name}, computed {float(a):.4g}, measured {float(b):.4g} +- {float(scale):.1g}")
    else:
        print(f"verified: {name}{values}, largest deviation {largest:.1f} of {limit:.1f} standard errors allowed")


def exercise(check: Callable[[Any], str]) -> Callable[[Any], None]:
    """Make a check of a reader's answer: print "not attempted yet", or "Correct.", or raise ``WrongAnswer``.

    ``check(answer)`` returns a sentence for a right answer and raises ``WrongAnswer`` for a wrong one. An answer is a
    function, or anything else that can be called. One that raises NotImplementedError counts as not attempted, and so
    does ``...``. Any other error in a reader's function becomes a WrongAnswer that quotes it and the reader's line.
    """

    @functools.wraps(check)
    def run(answer: Any) -> None:
        if answer is ...:
            print("Not attempted yet.")
            return
        if not callable(answer):
            given = "None" if answer is None else f"a {type(answer).__name__}"
            raise WrongAnswer(f"the check got {given}: hand over the function itself, its name without ( )")
        try:
            message = check(answer)
        except NotImplementedError:
            print("Not attempted yet.")
        except WrongAnswer:
            raise
        except Exception as error:
            what = f"your code stopped with {type(error).__name__}{_readers_line(answer, error)}: {error}"
            raise WrongAnswer(what) from error
        else:
            print(f"Correct. {message}")

    return run


def _readers_line(answer: Any, error: Exception) -> str:
    """Where the error left the file of the reader's function, as " in line 3, `return x`"; "" if it never got there."""
    answer = inspect.unwrap(answer)
    code = getattr(answer, "__code__", None) or getattr(type(answer).__call__, "__code__", None)
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    first = next((i for i, (its_code, _) in enumerate(frames) if its_code is code), len(frames))
    lines = [(its.co_filename, line) for its, line in frames[first:] if its.co_filename == frames[first][0].co_filename]
    if not lines:
        return ""
    text = linecache.getline(*lines[-1]).strip()
    return f" in line {lines[-1][1]}" + (f", `{text}`" if text else "")


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


def _double(name: str, value: Any) -> Tensor:
    try:
        return torch.as_tensor(value, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be a number or a tensor, got {type(value).__name__}") from error
