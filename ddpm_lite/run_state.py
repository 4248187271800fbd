"""The state of a training run in one file: weights, their moving average, the optimizer's moments, the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .checkpoints import RUN, CheckpointError, read_tensors, write_tensors


def save_state(
    path: Path,
    model: nn.Module,
    ema: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: dict[str, Any],
    step: int,
    seconds: float,
) -> None:
    """Write the whole run to ``path``, in one move."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"ema.{k}": v for k, v in ema.state_dict().items()}
    for i, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{k}": v for k, v in moments.items()}
    write_tensors(path, tensors, {"kind": RUN, "step": step, "seconds": seconds, "recipe": recipe})


def load_state(
    path: Path, model: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer, recipe: dict[str, Any]
) -> tuple[int, float]:
    """Fill model, ema and optimizer from ``path``; return the updates done and the seconds spent.

    Raises: CheckpointError if the file is damaged, holds no run, or one of another recipe or network.
    """
    tensors, card = _read(path)
    other = card["recipe"].items()  # an old state knows fewer keys
    if differs := [f"{k}={v!r} there, {recipe.get(k)!r} here" for k, v in other if recipe.get(k) != v]:
        raise CheckpointError(
            f"state: {path} is of a run with another recipe ({'; '.join(differs)}); name another file"
        )
    part: dict[str, dict[str, Tensor]] = {"model": {}, "ema": {}, "optimizer": {}}
    for key, tensor in tensors.items():
        kind, name = key.split(".", 1)
        part[kind][name] = tensor
    moments: dict[int, dict[str, Tensor]] = {}
    parameters = list(model.parameters())
    try:
        for key, tensor in part["optimizer"].items():
            i, name = key.split(".")
            if tensor.ndim:  # a moment must lie in memory as its weight does: the fused update goes by position
                tensor = torch.empty_like(parameters[int(i)]).copy_(tensor)
            moments.setdefault(int(i), {})[name] = tensor
        model.load_state_dict(part["model"])
        ema.load_state_dict(part["ema"])
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    except (RuntimeError, ValueError, LookupError) as error:
        raise CheckpointError(f"state: {path} is of another network: {' '.join(str(error).split())[:300]}") from error
    return int(card["step"]), float(card["seconds"])


def load_average(path: Path, model: nn.Module) -> tuple[int, float]:
    """Fill ``model`` with the moving average in ``path``, and no more; returns and raises as ``load_state``."""
    tensors, card = _read(path)
    prefix = "ema.module."  # of torch's AveragedModel
    try:
        model.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    except RuntimeError as error:
        raise CheckpointError(f"state: {path} is of another network: {' '.join(str(error).split())[:300]}") from error
    return int(card["step"]), float(card["seconds"])


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, card = read_tensors(path)
    if card.get("kind") != RUN:
        raise CheckpointError(f"state: {path} holds a model, not a run; name another file")
    return tensors, card
