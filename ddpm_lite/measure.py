"""Measure a training: how fast it runs, how much work it is, how it goes, and what became of the long one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ._validate import check_choice, check_int
from .checkpoints import PRETRAINED
from .diffusion import GaussianDiffusion
from .sampling import sample
from .training import TrainConfig, TrainStep, train

if TYPE_CHECKING:
    from .data import ImageSet


class Work(NamedTuple):
    """``flop``: floating-point operations of convolutions and matrix products, a multiplication and an addition
    counting as two; ``operations``: calls of PyTorch's operators that compute or copy, each of which a GPU is sent on
    its own. What only names memory in another way (a view, a new empty tensor) is not counted.
    """

    flop: int
    operations: int


def seconds(f: Callable[[], Any], repeat: int = 12) -> float:
    """Return the time of the fastest of ``repeat`` calls, each waited for until the device is done."""
    times = []
    for _ in range(check_int("repeat", repeat, 1)):
        start = time.perf_counter()
        f()
        _wait()
        times.append(time.perf_counter() - start)
    return min(times)


def training_speed(
    model: nn.Module, diffusion: GaussianDiffusion, data: ImageSet, config: TrainConfig
) -> tuple[float, float]:
    """Train for ``config.n_steps`` (at least 4) and return images a second, and the seconds before the first step.

    The speed is that of the median step from the third on; the seconds hold what is done once, such as compiling.
    """
    check_int("config.n_steps", config.n_steps, 4)
    begin = time.perf_counter()
    clock = [step.seconds for step in train(model, diffusion, data, config)]
    ready = time.perf_counter() - begin - clock[-1]
    return config.batch_size / median(b - a for a, b in zip(clock[1:-1], clock[2:], strict=True)), ready


def count_work(f: Callable[[], Any]) -> Work:
    """Call ``f`` once and return the work that PyTorch did in it."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as flops, _CountOperations() as calls:
        f()
    return Work(int(flops.get_total_flops()), calls.n)


@torch.no_grad()
def look(
    step: TrainStep, diffusion: GaussianDiffusion, x_T: Tensor, held_out: Sequence[Tensor], *, n_steps: int = 25
) -> dict[str, Any]:
    """Return how a run stands, for its raw weights and their average: what ``plots.plot_training`` draws.

    x_T: (B, 1, 28, 28), the noise from which both draw digits, by ``n_steps`` of DDIM. held_out: x_0, t, eps: with all
    three held fixed, the loss changes only by the network. Returns: {"step", "loss", "recognized", "digits"}, the
    last three by "raw" and "EMA".
    """
    from .evaluation import recognized

    device = diffusion.beta.device
    seen: dict[str, Any] = {"step": step.step, "loss": {}, "recognized": {}, "digits": {}}
    for name, network in (("raw", step.model), ("EMA", step.ema)):
        digits = sample(diffusion, network, x_T.shape, n_steps=n_steps, x_T=x_T).cpu()
        seen["loss"][name] = float(diffusion.loss(network, *(a.to(device) for a in held_out)))
        seen["recognized"][name] = recognized(digits)["share"]
        seen["digits"][name] = digits
    return seen


@torch.no_grad()
def loss_by_t(
    model: nn.Module, diffusion: GaussianDiffusion, x_0: Tensor, eps: Tensor, *, n_parts: int = 10
) -> list[float]:
    """Return which share of the loss comes from each part of t = 1..T, in ``n_parts`` equal ones: they sum to 1.

    x_0, eps: (B, C, H, W), the same for all parts. In each part, the B images have times spread evenly over it.
    Raises: ValueError unless n_parts divides T.
    """
    size, rest = divmod(diffusion.T, check_int("n_parts", n_parts, 1))
    if rest:
        raise ValueError(f"n_parts must divide T = {diffusion.T}, got {n_parts}")
    device = diffusion.beta.device
    x_0, eps, within = x_0.to(device), eps.to(device), 1 + (torch.arange(len(x_0), device=device) * size) // len(x_0)
    losses = [float(diffusion.loss(model, x_0, part * size + within, eps)) for part in range(n_parts)]
    return [loss / sum(losses) for loss in losses]


def pretrained_history(name: str = "mnist") -> dict[str, Any]:
    """Return what was noted while a shipped model trained: "command", "loss", "quality", "recognized_real".

    "loss" holds lists of "step", "images" and "loss" (means of 100 steps), "quality" those of "images", "recognized"
    and "frechet_distance" of models that were kept on the way. Raises: ValueError for an unknown name.
    """
    asset = files("ddpm_lite") / "assets" / f"{check_choice('name', name, PRETRAINED)}_history.json"
    history: dict[str, Any] = json.loads(asset.read_text(encoding="utf-8"))
    return history


def history_changes(history: Mapping[str, Any], since: float = 1 / 3) -> dict[str, float]:
    """Return by what fraction loss, share not recognized, and Frechet distance have changed in the late part of a run.

    history: as from ``pretrained_history``. since: where the late part begins, as a fraction of all images: at the
    first judged model from there on. The loss is the mean of what was noted within 10 % of its images. Returns:
    {"from": images, "to": images, "loss": -0.05 where it fell by 5 %, "not recognized", "Frechet distance"}.
    """
    quality, at = history["quality"], history["quality"]["images"]
    late = next(i for i, images in enumerate(at) if images >= since * at[-1])

    def loss_near(images: float) -> float:
        pairs = zip(history["loss"]["images"], history["loss"]["loss"], strict=True)
        near = [loss for seen, loss in pairs if 0.9 * images < seen <= 1.1 * images]
        if not near:
            raise ValueError(f"history: has no loss within 10 % of {images} images")
        return sum(near) / len(near)

    missed = [1 - share for share in quality["recognized"]]
    distance = quality["frechet_distance"]
    return {
        "from": at[late],
        "to": at[-1],
        "loss": loss_near(at[-1]) / loss_near(at[late]) - 1,
        "not recognized": missed[-1] / missed[late] - 1,
        "Frechet distance": distance[-1] / distance[late] - 1,
    }


class _CountOperations(TorchDispatchMode):
    n = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        schema = operation._schema
        shares = any(a.alias_info is not None and not a.alias_info.is_write for a in schema.arguments)
        self.n += not (shares or "empty" in schema.name or schema.name == "aten::_unsafe_view")
        return operation(*args, **(kwargs or {}))


def _wait() -> None:
    """Wait until the device has done all it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()
