"""``verify`` compares a formula with a measurement: for the claims of lessons and tests."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["VerificationError", "verify"]
FALSE_ALARM = 1e-4  # the chance that a true statement fails ``verify`` by bad luck


class VerificationError(AssertionError):
    """A formula and its measurement disagree."""


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


def _double(name: str, value: Any) -> Tensor:
    try:
        return torch.as_tensor(value, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be a number or a tensor, got {type(value).__name__}") from error
