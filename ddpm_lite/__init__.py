"""ddpm_lite: denoising diffusion, small enough to read and right enough to trust.

    model, diffusion = load_pretrained("mnist")
    digits = sample(diffusion, model, (64, 1, 28, 28), n_steps=50, progress=True)

Schedules, diffusion, U-Net, samplers, training, evaluation: one module each, in that order. ``plots``, ``widgets`` and
``checks`` serve the lessons. Nothing heavier than torch is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import checks, data, evaluation, plots, widgets
    from .checkpoints import (
        CheckpointError,
        load_checkpoint,
        load_pretrained,
        pretrained_card,
        read_card,
        save_checkpoint,
    )
    from .data import mnist, toy
    from .diffusion import GaussianDiffusion
    from .mlp import MLPDenoiser
    from .oracle import FiniteOracle, GaussianOracle, MixtureOracle
    from .sampling import Step, ddim_steps, ddpm_steps, sample
    from .schedules import (
        beta_schedule,
        cosine_beta_schedule,
        linear_beta_schedule,
        sigmoid_beta_schedule,
        terminal_snr,
    )
    from .training import TrainConfig, TrainStep, train
    from .unet import UNet

__version__ = "0.1.0"

_HOME = {
    "schedules": [
        "beta_schedule",
        "cosine_beta_schedule",
        "linear_beta_schedule",
        "sigmoid_beta_schedule",
        "terminal_snr",
    ],
    "diffusion": ["GaussianDiffusion"],
    "unet": ["UNet"],
    "mlp": ["MLPDenoiser"],
    "sampling": ["Step", "ddim_steps", "ddpm_steps", "sample"],
    "oracle": ["FiniteOracle", "GaussianOracle", "MixtureOracle"],
    "training": ["TrainConfig", "TrainStep", "train"],
    "checkpoints": [
        "CheckpointError",
        "load_checkpoint",
        "load_pretrained",
        "pretrained_card",
        "read_card",
        "save_checkpoint",
    ],
    "data": ["mnist", "toy"],
}
_MODULES = ["checks", "data", "evaluation", "plots", "widgets"]
_WHERE = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted([*_WHERE, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
