"""Argument checks shared by the package: each error names the argument, what it got and what it wanted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor


def _shape(x: Tensor) -> str:
    return "(" + ", ".join(map(str, x.shape)) + ")"


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``, else raise ValueError that lists them."""
    choices = list(choices)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def check_int(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return ``value`` as an int in [low, high], else raise TypeError or ValueError."""
    if isinstance(value, bool) or not (isinstance(value, int) or hasattr(value, "__index__")):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    value = value.__index__()
    if value < low or (high is not None and value > high):
        wanted = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} must be {wanted}, got {value}")
    return value


def check_float(name: str, value: Any, low: float, high: float, *, open_low: bool = False) -> float:
    """Return ``value`` as a float in [low, high] ((low, high] if ``open_low``), else raise."""
    try:
        number = float("no number" if isinstance(value, str) else value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}") from None
    if not (low < number <= high if open_low else low <= number <= high):
        left = "(" if open_low else "["
        raise ValueError(f"{name} must lie in {left}{low:g}, {high:g}], got {number:g}")
    return number


def check_tensor(
    name: str, x: Any, *, like: Tensor | None = None, like_name: str = "x_t", finite: bool = True
) -> Tensor:
    """Return ``x`` if it is a finite floating-point tensor (of the shape of ``like``, if given), else raise.

    The values are looked at on the CPU only, since on a GPU that would stall the queue, and not without ``finite``.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(x).__name__}")
    if not x.is_floating_point():
        raise TypeError(f"{name} must have a floating-point dtype, got {x.dtype}; normalize images to [-1, 1] first")
    if x.ndim == 0:
        raise ValueError(f"{name} must have a batch dimension first, got a single number")
    if like is not None and x.shape != like.shape:
        raise ValueError(f"{name} must have the shape of {like_name}, {_shape(like)}, got {_shape(x)}")
    if finite and x.device.type == "cpu" and not bool(x.isfinite().all()):
        raise ValueError(f"{name} contains NaN or infinite values")
    return x


def check_t(t: Any, batch: int, T: int, device: torch.device, *, low: int = 1) -> Tensor:
    """Return ``t`` as an int64 tensor (batch,) with low <= t <= T on ``device``, else raise.

    ``t`` may be one integer, which then holds for the whole batch.
    """
    if not isinstance(t, Tensor):
        return torch.full((batch,), check_int("t", t, low, T), dtype=torch.int64, device=device)
    if t.dtype != torch.int64:
        raise TypeError(f"t must have dtype torch.int64, got {t.dtype}")
    if t.ndim == 0:
        t = t.expand(batch)
    if t.shape != (batch,):
        raise ValueError(f"t must be one integer or a tensor of shape ({batch},), one per example, got {_shape(t)}")
    if t.device.type == "cpu" and batch and not low <= int(t.min()) <= int(t.max()) <= T:
        raise ValueError(f"t must lie in {low}..{T}, got values from {int(t.min())} to {int(t.max())}")
    return t.to(device)


def check_generator(generator: Any) -> torch.Generator:
    """Return ``generator`` if it is a torch.Generator, else raise TypeError."""
    if not isinstance(generator, torch.Generator):
        wanted = "a torch.Generator, such as torch.Generator().manual_seed(0)"
        raise TypeError(f"generator must be {wanted}, got {type(generator).__name__}")
    return generator


def check_numbers(**arguments: Any) -> None:
    """Raise TypeError for what is no integer, or, of those named fps, no number."""
    for name, value in arguments.items():
        if not isinstance(value, Real if name == "fps" else Integral):
            raise TypeError(f"{name}: got {value!r}, wanted {'a number' if name == 'fps' else 'an integer'}")


def check_pixels(frames: Any, limit: int) -> None:
    """Raise ValueError where frames, or a dict of them, hold too many pixels, told by their shapes alone."""
    views = list(frames.values()) if isinstance(frames, Mapping) else [frames]
    shapes = [tuple(view.shape) for view in views if hasattr(view, "shape")]
    total = sum(math.prod(shape) // (3 if 3 in shape[-1:] + shape[-3:-2] else 1) for shape in shapes)
    if total > limit:
        some = -(-total * 9 // (8 * limit))  # lines between images, and the end of the last row, take pixels too
        raise ValueError(
            f"frames: got shape {', '.join(map(str, shapes))}, {total} pixels, wanted at most {limit} in all: "
            f"show fewer frames (frames[::{some}]), fewer images or smaller ones"
        )
