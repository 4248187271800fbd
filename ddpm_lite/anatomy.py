"""Anatomy of a denoiser: what every part of it makes, how many weights it has, how much it multiplies and remembers.

    for part in anatomy(UNet(), (1, 28, 28)):
        ...                    # part.name, part.shape, part.parameters, part.multiply_adds, part.activation_bytes

One image runs through a copy of the network on PyTorch's ``meta`` device, where tensors have a shape and no values: no
memory is used and nothing is multiplied, however large the network is. Forward hooks note what each module returns.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ._validate import check_int
from .unet import SelfAttention


class Part(NamedTuple):
    """One call of one module, for one image.

    ``name``: its path in the network, such as "down.0.block.conv_1"; ``kind``: its class. ``shape``: of what it
    returns, without the batch. ``level``: 0 for the finest resolution inside the network, 1 for the next, ...; a part
    that returns no image has the level of the module around it, and None (the time embedding) if there is none. The
    network itself, under the name "", is a part only if it has weights that belong to none of its modules.
    ``parameters``, ``multiply_adds``, ``activation_bytes``: its own, not those of the parts within it, so that they
    sum to the network's.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    level: int | None
    parameters: int
    multiply_adds: int
    activation_bytes: int


class Cost(NamedTuple):
    """A sum over parts: ``parameters``, and for one image ``multiply_adds`` and ``activation_bytes``."""

    parameters: int
    multiply_adds: int
    activation_bytes: int


def anatomy(model: nn.Module, shape: Sequence[int] = (1, 28, 28)) -> list[Part]:
    """Return the parts of a denoiser, in the order in which they are called.

    A convolution multiplies and adds ``H W C_out C_in k^2`` times (outputs times inputs of each), a linear layer
    ``D_out D_in`` times, ``SelfAttention`` over n positions ``2 n^2 C`` times besides its two 1x1 convolutions; nothing
    else is counted: no norm, sum or nonlinearity. Activations are what modules return, each tensor once, in the dtype
    of the weights; the results of functions called between modules (SiLU, concatenation) are not among them.

    model: ``model(x_t, t) -> eps_hat``; it is not changed. shape: of one x_t, without the batch.
    Raises: TypeError, ValueError for a wrong argument; what the model itself raises.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    sizes = [check_int("shape", n, 1) for n in shape]
    network = copy.deepcopy(model).to("meta").eval()
    dtype = next((p.dtype for p in network.parameters()), torch.float32)
    calls: list[_Call] = []  # in the order in which they begin
    open_calls: list[_Call] = []  # that have not returned yet
    made: dict[int, Tensor] = {}  # by id; kept, so that no id is given away twice

    def enter(name: str, module: nn.Module) -> None:
        calls.append(_Call(name, module, open_calls[-1] if open_calls else None))
        open_calls.append(calls[-1])

    def leave(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        call = open_calls.pop()
        if not isinstance(output, Tensor):
            return
        call.output, call.multiply_adds = output, _multiply_adds(module, arguments, output)
        if id(output) not in made and not any(output is x for x in arguments):
            made[id(output)] = output
            call.activation_bytes = output.numel() * output.element_size()

    for name, module in network.named_modules():
        if module is not network:
            module.register_forward_pre_hook(lambda module, _, name=name: enter(name, module))
            module.register_forward_hook(leave)
    enter("", network)
    with torch.no_grad():
        network(torch.empty(1, *sizes, dtype=dtype, device="meta"), torch.ones(1, dtype=torch.int64, device="meta"))

    resolutions = sorted({call.resolution for call in calls if call.resolution}, key=math.prod, reverse=True)
    levels: dict[Any, int] = {resolution: level for level, resolution in enumerate(resolutions)}
    parts, counted = [], set()
    for call in calls:
        own = {id(p): p.numel() for p in call.module.parameters(recurse=False) if id(p) not in counted}
        counted |= set(own)
        if call.output is None and not own:
            continue
        around: _Call | None = call
        while around is not None and around.resolution is None:
            around = around.inside
        level = None if around is None else levels[around.resolution]
        shape_out = () if call.output is None else tuple(call.output.shape[1:])
        figures = sum(own.values()), call.multiply_adds, call.activation_bytes
        parts.append(Part(call.name, type(call.module).__name__, shape_out, level, *figures))
    return parts


@dataclass(eq=False)
class _Call:
    """What is noted of one call of a module while the network runs."""

    name: str
    module: nn.Module
    inside: _Call | None
    output: Tensor | None = None
    multiply_adds: int = 0
    activation_bytes: int = 0

    @property
    def resolution(self) -> tuple[int, ...] | None:
        """(H, W) of what came out, if that is an image."""
        return tuple(self.output.shape[2:]) if self.output is not None and self.output.ndim == 4 else None


def cost(parts: Iterable[Part]) -> Cost:
    """Return the sum over ``parts``."""
    rows = [part[-3:] for part in parts]
    return Cost(*map(sum, zip(*rows, strict=True))) if rows else Cost(0, 0, 0)


def cost_by_level(parts: Sequence[Part]) -> dict[int | None, Cost]:
    """Return the sum over the parts of each level, the finest first; under None, that of the time embedding."""
    levels = sorted({part.level for part in parts}, key=lambda level: math.inf if level is None else level)
    return {level: cost(part for part in parts if part.level == level) for level in levels}


@torch.no_grad()
def attention_maps(model: nn.Module, x_t: Tensor, t: Tensor) -> dict[str, Tensor]:
    """Return how much each position attends to each other, in every ``SelfAttention`` of a denoiser.

    ``softmax(q k^T / sqrt(d))``, the weights that the layer uses but does not keep, computed from what enters it while
    ``model(x_t, t)`` runs.

    Returns: name of the layer -> (B, heads, H, W, H, W); entry [b, h, i, j] is the map of what pixel (i, j) looks at,
    and sums to 1.
    """
    maps: dict[str, Tensor] = {}

    def look(layer: SelfAttention, x: Tensor, name: str) -> None:
        b, c, h, w = x.shape
        qkv = layer.qkv(layer.norm(x)).reshape(b, 3, layer.n_heads, c // layer.n_heads, h * w)
        q, k = qkv[:, 0], qkv[:, 1]  # (B, heads, d, H W)
        weights = (q.transpose(-1, -2) @ k / (c // layer.n_heads) ** 0.5).softmax(dim=-1)  # (B, heads, H W, H W)
        maps[name] = weights.reshape(b, layer.n_heads, h, w, h, w)

    hooks = [
        layer.register_forward_pre_hook(lambda layer, arguments, name=name: look(layer, arguments[0], name))
        for name, layer in model.named_modules()
        if isinstance(layer, SelfAttention)
    ]
    try:
        model(x_t, t)
    finally:
        for hook in hooks:
            hook.remove()
    return maps


def _multiply_adds(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> int:
    """The multiply-adds that a module does itself, for one image."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return output.numel() * (module.in_channels // module.groups) * math.prod(module.kernel_size)
    if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        return arguments[0].numel() * (module.out_channels // module.groups) * math.prod(module.kernel_size)
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    if isinstance(module, SelfAttention):
        _, c, h, w = output.shape
        return 2 * (h * w) ** 2 * c
    return 0
