"""Training: Algorithm 1 as a generator of steps, with moving-average weights, exact resume, and any number of devices.

    for step in train(model, diffusion, mnist("train"), TrainConfig(n_steps=2000)):
        ...                               # step.step, step.loss, step.ema: the network to sample with

What is random in step k is a pure function of (seed, k), drawn on the CPU for the whole batch, over all processes. So
a run that was killed and resumed has the weights of one that was not, and two processes see what one would.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from ._validate import check_choice, check_float, check_int
from .diffusion import GaussianDiffusion
from .run_state import load_state, save_state
from .schedules import terminal_snr

if TYPE_CHECKING:
    from .data import ImageSet


@dataclass(frozen=True)
class TrainConfig:
    """The recipe of a run.

    n_steps: updates. batch_size: images an update, over all processes. lr: AdamW's, after ``warmup_steps`` of linear
    growth; over the last ``decay_steps`` (all but the warm-up if None) it falls to 0 like half a cosine.
    grad_clip: largest norm of the gradient. ema_decay: of the moving average; a young average forgets faster.
    precision: "fp32" or "bf16" (autocast). compile: torch.compile the network, where that works.
    save_every: updates between saves, if a ``state`` file is named. seed: of all that is random.
    """

    n_steps: int = 2000
    batch_size: int = 128
    lr: float = 2e-3
    warmup_steps: int = 200
    decay_steps: int | None = None
    weight_decay: float = 1e-3
    grad_clip: float = 1.0
    ema_decay: float = 0.998
    precision: str = "fp32"
    compile: bool = False
    save_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            name: check_int(name, getattr(self, name), 1) for name in ("n_steps", "batch_size", "save_every")
        }
        checked["warmup_steps"] = check_int("warmup_steps", self.warmup_steps, 0)
        if self.decay_steps is not None:
            checked["decay_steps"] = check_int("decay_steps", self.decay_steps, 0)
        checked["seed"] = check_int("seed", self.seed, 0, 2**31 - 1)
        checked["lr"] = check_float("lr", self.lr, 0, 1, open_low=True)
        checked["weight_decay"] = check_float("weight_decay", self.weight_decay, 0, 1)
        checked["grad_clip"] = check_float("grad_clip", self.grad_clip, 0, 1e9, open_low=True)
        checked["ema_decay"] = check_float("ema_decay", self.ema_decay, 0, 1)
        for name, value in checked.items():  # as int and float, whatever numpy handed in
            object.__setattr__(self, name, value)
        check_choice("precision", self.precision, ("fp32", "bf16"))
        if not isinstance(self.compile, bool):
            raise TypeError(f"compile must be True or False, got {type(self.compile).__name__}")

    def lr_at(self, step: int) -> float:
        """The learning rate of update ``step``, 1..n_steps."""
        decay_steps = self.n_steps - self.warmup_steps if self.decay_steps is None else self.decay_steps
        left = min(1.0, (self.n_steps - step + 1) / max(decay_steps, 1))
        return self.lr * min(1.0, step / max(self.warmup_steps, 1)) * 0.5 * (1 - math.cos(math.pi * left))


class TrainStep(NamedTuple):
    """One update: ``step`` 1..n_steps, its ``loss`` (L_simple on this batch), ``lr``, ``grad_norm`` before clipping,
    ``seconds`` since training began (earlier sittings included), and the network itself: ``model`` as it is, ``ema``
    its moving average. The two are the same objects in every step, and change with the next one.
    """

    step: int
    loss: float
    lr: float
    grad_norm: float
    seconds: float
    model: nn.Module
    ema: nn.Module


def train(
    model: nn.Module,
    diffusion: GaussianDiffusion,
    data: ImageSet,
    config: TrainConfig | None = None,
    *,
    state: str | Path | None = None,
) -> Iterator[TrainStep]:
    """Yield the updates of Algorithm 1: draw x_0, t, eps; descend the gradient of |eps - eps_theta(x_t, t)|^2.

    model: ``model(x_t, t) -> eps_hat``, trained in place. data: an ``ImageSet`` (``mnist("train")``). config: the
    recipe. state: a file (.safetensors) that holds the whole run; it is written every ``save_every`` updates and after
    the last. Where it exists already, training goes on from it, to the same weights as without the interruption; a run
    that is done goes on too, if ``n_steps`` has grown.

    The device, and the processes of ``accelerate launch``, are found by accelerate; model and diffusion are moved
    there. Where torch.compile fails, a warning says so and training goes on without.
    Raises: ValueError, TypeError for a wrong argument; CheckpointError if ``state`` is damaged or is of another run;
    FloatingPointError, before the weights are touched, if the loss or its gradient is not finite.
    Source: Ho et al. 2020 (arXiv 2006.11239), Algorithm 1; the moving average: section 4 and appendix B there.
    """
    config = config or TrainConfig()
    if len(data) < config.batch_size:
        raise ValueError(f"data must hold at least one batch of {config.batch_size}, got {len(data)} images")
    return _run(model, diffusion, data, config, None if state is None else Path(state))


def _run(
    model: nn.Module, diffusion: GaussianDiffusion, data: ImageSet, config: TrainConfig, state: Path | None
) -> Iterator[TrainStep]:
    from accelerate import Accelerator

    accelerator = Accelerator()
    device, rank, world = accelerator.device, accelerator.process_index, accelerator.num_processes
    if config.batch_size % world:
        raise ValueError(f"batch_size must be divisible by the {world} processes, got {config.batch_size}")
    diffusion.to(device)
    model.to(device).to(memory_format=torch.channels_last).train()
    ema = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=ema_update(config.ema_decay))
    ema.eval()
    optimizer = torch.optim.AdamW(
        model.parameters(), config.lr, betas=(0.9, 0.99), weight_decay=config.weight_decay, fused=True
    )
    recipe, done, spent = _recipe(config, diffusion, data, model), 0, 0.0
    if state is not None and state.exists():
        done, spent = load_state(state, model, ema, optimizer, recipe)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")
    share = slice(rank * config.batch_size // world, (rank + 1) * config.batch_size // world)
    example = torch.zeros(config.batch_size // world, *data.shape, device=device)
    network = _compiled(model, example, autocast) if config.compile else model
    network, prepared = accelerator.prepare(network, optimizer)
    indices = data.random_indices(config.batch_size, seed=config.seed, start_step=done)
    began = time.perf_counter() - spent

    for step in range(done + 1, config.n_steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = config.lr_at(step)
        draw = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        x_0 = data.batch(next(indices))  # (B, C, H, W), of all processes together
        t = torch.randint(1, diffusion.T + 1, (len(x_0),), generator=draw)  # (B,)
        eps = torch.randn(x_0.shape, generator=draw)  # (B, C, H, W)
        x_0, t, eps = (a[share].to(device, non_blocking=True) for a in (x_0, t, eps))
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), autocast:
            torch.manual_seed((config.seed * 1_000_003 + step) * 64 + rank)  # dropout draws from the global generator
            loss = diffusion.loss(network, x_0, t, eps)
        prepared.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        grad_norm = float(accelerator.clip_grad_norm_(model.parameters(), config.grad_clip))
        mean_loss = float(accelerator.reduce(loss.detach(), "mean"))
        if not math.isfinite(mean_loss + grad_norm):
            raise FloatingPointError(
                f"the loss is {mean_loss} at step {step}, its gradient {grad_norm}: lower lr (now {config.lr:g})"
            )
        prepared.step()
        ema.update_parameters(model)
        seconds = time.perf_counter() - began
        if (
            state is not None
            and accelerator.is_main_process
            and (step % config.save_every == 0 or step == config.n_steps)
        ):
            save_state(state, model, ema, optimizer, recipe, step, seconds)
        yield TrainStep(step, mean_loss, config.lr_at(step), grad_norm, seconds, model, ema.module)


def ema_update(decay: float) -> Callable[[Any, Any, Any], None]:
    """Return the update ``ema <- d ema + (1 - d) weight`` for torch's ``AveragedModel``, d = min(decay, (1 + n) / (10
    + n)).

    After n updates a young average must forget the random start sooner than ``decay`` would let it.
    Source: Ho et al. 2020, appendix B (decay 0.9999 there); the ramp: TensorFlow's ExponentialMovingAverage.
    """

    @torch.no_grad()
    def update(ema: list[Tensor], weights: list[Tensor], n: Tensor | int) -> None:
        d = min(decay, (1 + int(n)) / (10 + int(n)))
        torch._foreach_lerp_(ema, weights, 1 - d)

    return update


def _compiled(model: nn.Module, x: Tensor, autocast: torch.autocast) -> nn.Module:
    """torch.compile(model), tried once there and back; the model itself, and a warning, where that fails."""
    compiled = torch.compile(model)
    try:
        with torch.random.fork_rng(devices=[x.device] if x.device.type == "cuda" else []), autocast:
            output = compiled(x, torch.ones(len(x), dtype=torch.int64, device=x.device))
        output.float().sum().backward()
        return compiled  # type: ignore[return-value]
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        warnings.warn(f"torch.compile does not work here ({reason}); training goes on without it, slower", stacklevel=2)
        return model
    finally:
        model.zero_grad(set_to_none=True)


def _recipe(config: TrainConfig, diffusion: GaussianDiffusion, data: ImageSet, model: nn.Module) -> dict[str, Any]:
    """What two parts of one run must share. A run may be prolonged: with ``decay_steps`` named, the part before the
    decay is the same whatever ``n_steps`` is.
    """
    free = ("n_steps", "decay_steps", "compile", "save_every")
    recipe = {k: v for k, v in asdict(config).items() if k not in free}
    schedule = f"T = {diffusion.T}, SNR_T = {terminal_snr(diffusion.schedule):.6g}"
    recipe["beta_sha256"] = hashlib.sha256(diffusion.schedule.float().cpu().numpy().tobytes()).hexdigest()
    network = getattr(model, "config", None)
    for name, value in network.items() if isinstance(network, dict) else ():
        recipe[f"network.{name}"] = json.loads(json.dumps(value, default=lambda x: type(x).__name__))
    return {**recipe, "schedule": schedule, "data": f"{data.name} {data.split}, {data.source}, {len(data)} images"}
