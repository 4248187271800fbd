"""The exercises that only the set of lesson 05 has: a residual block, and the shapes on the way up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from ..unet import Level, UNet
from . import residual_block
from .machinery import WrongAnswer, exercise, fresh_generator

__all__ = ["check_residual_block", "check_up_shapes"]


@exercise
def check_residual_block(answer: Callable[[int, int, int], nn.Module]) -> str:
    """Check a class ``Block(c_in, c_out, D)``: its shapes, its start, its time, its gradients, its formula."""
    generator = fresh_generator()
    c, D = 4 * int(torch.randint(2, 4, (), generator=generator)), 10
    for c_in, c_out in ((c, c), (c, c + 4)):
        block = answer(c_in, c_out, D)
        if not isinstance(block, nn.Module):
            raise WrongAnswer(f"your class makes a {type(block).__name__}; it should be a subclass of nn.Module")
        x = torch.randn(3, c_in, 6, 5, generator=generator)
        emb = 2 * torch.randn(3, D, generator=generator)
        residual_block.first_call(block, x, emb, c_out)
        block, x, emb = block.double(), x.double(), emb.double()
        residual_block.start(block, x, emb, c_in == c_out)
        starts = residual_block.factor_of_time(block, x, emb)
        for p in block.parameters():  # as if it were trained: what starts at zero would hide mistakes
            p.data = 0.4 * torch.randn(p.shape, generator=generator, dtype=torch.float64)
        residual_block.independence(block, x, emb)
        residual_block.norms(block, x, emb)
        residual_block.gradients(block, x, emb)
        residual_block.formula(block, x, emb, starts)
    return "A new block passes x and its gradient on; what it adds, it learns, and the time chooses the channels."


@exercise
def check_up_shapes(answer: Callable[[int, list[int], int, int], Sequence[Sequence[int]]]) -> str:
    """Check ``up_shapes(channels, mult, height, width)``: what each block of the way up gets, (C, H, W) each."""
    generator = fresh_generator()
    for sizes in ((2, 28, 20), (3, 27, 38), (3, 13, 25)):
        levels, height, width = sizes
        channels = 4 * int(torch.randint(2, 9, (), generator=generator))
        choices = MULT[levels]
        mult = choices[int(torch.randint(len(choices), (), generator=generator))]
        want = _true_shapes(channels, mult, height, width)
        got = answer(channels, list(mult), height, width)
        try:
            shapes = [tuple(int(n) for n in shape) for shape in got]
        except TypeError:
            raise WrongAnswer(f"a list of shapes (C, H, W) is wanted, got {got!r}") from None
        if shapes != want:
            raise WrongAnswer(_explain(shapes, want, channels, mult, height, width))
    return "The channels on the way up are sums: h's own, and those that a block or a convolution made on the way down."


def _true_shapes(channels: int, mult: list[int], height: int, width: int) -> list[tuple[int, ...]]:
    """What the blocks of a UNet's way up really get; on the meta device, which computes shapes alone."""
    with torch.device("meta"):
        net = UNet(channels=channels, channel_mult=mult)
        shapes: list[tuple[int, ...]] = []
        for layer in net.up:
            if isinstance(layer, Level):
                layer.register_forward_pre_hook(lambda _, given: shapes.append(tuple(given[0].shape[1:])))
        net(torch.zeros(1, 1, height, width), torch.ones(1, dtype=torch.int64))
    return shapes


def _by_hand(channels: int, mult: Sequence[int], height: int, width: int, mistake: str = "") -> list[tuple[int, ...]]:
    """The same by counting, with one mistake."""
    width_of = [channels * m for m in mult]
    if mistake == "cumulative":
        width_of = [channels * int(torch.tensor(mult[: i + 1]).prod()) for i in range(len(mult))]
    c, size = channels, [height, width]
    kept: list[tuple[int, ...]] = [(channels, height, width)]
    for i, wide in enumerate(width_of):
        kept.append((wide, *size))
        c = wide
        if i < len(mult) - 1:
            size = [n // 2 if mistake == "floor" else (n + 1) // 2 for n in size]
            c = width_of[i + 1] if mistake == "early" else c
            kept.append((c, *size))
    shapes: list[tuple[int, ...]] = []
    for wide in reversed(width_of):
        for _ in range(2):
            skip = kept.pop(0 if mistake == "order" else -1)
            more = {"h alone": 0, "skip alone": skip[0] - c, "twice": c}.get(mistake, skip[0])
            shapes.append(
                (wide if mistake == "out" else c + more, *(size if mistake in ("bottom", "doubled") else skip[1:]))
            )
            c = wide
        size = [2 * n for n in size] if mistake == "doubled" else size
    return shapes


MULT = {2: [[1, 2], [2, 3], [1, 3]], 3: [[2, 3, 5], [1, 2, 4], [3, 2, 5]]}
MISTAKES = {
    "h alone": "your blocks get h alone; what was kept stands beside it, so add its channels",
    "skip alone": "you list what was kept; a block gets h's channels and those beside them",
    "twice": "you double the channels of h; add those of what was kept, which differ where levels meet",
    "out": "you list what each block makes; wanted is what it gets, h and what was kept",
    "floor": "your odd sizes are rounded down; a convolution of stride 2 makes (H + 1) // 2 of H rows",
    "doubled": "you double rows and columns on the way up; they come back to those of what was kept (27 -> 14 -> 27)",
    "bottom": "your rows and columns stay those of the bottom; on the way up they grow again",
    "order": "you took what was kept from the first on; the latest comes first",
    "cumulative": "you multiplied the factors of all levels before; level i has channels * mult[i]",
    "early": "your convolution of stride 2 changes the channels; it keeps them, the next level's block changes them",
}


def _explain(
    got: list[tuple[int, ...]], want: list[tuple[int, ...]], channels: int, mult: list[int], height: int, width: int
) -> str:
    if len(got) == len(want) and all(len(shape) == 4 for shape in got):
        return "your shapes have four numbers; leave out the batch: (C, H, W)"
    if len(got) != len(want):
        reason = "two blocks a level" if len(got) < len(want) else "count the blocks alone"
        return f"your list has {len(got)} shapes, {len(mult)} levels have {len(want)}: {reason}"
    if got == want[::-1]:
        return "your list runs from the top down; it should start at the bottom of the U, where the way up starts"
    if got == [(h, w, c) for c, h, w in want]:
        return "your channels stand last; PyTorch's order is (C, H, W)"
    if got == [(c, w, h) for c, h, w in want]:
        return "your rows and columns are swapped: (C, H, W)"
    for mistake, why in MISTAKES.items():
        if got == _by_hand(channels, mult, height, width, mistake):
            return why
    i = next(i for i, (a, b) in enumerate(zip(got, want, strict=True)) if a != b)
    where = f"channels = {channels}, mult = {mult}, {height} x {width} pixels"
    return f"for {where}, block {i + 1} of the way up gets {want[i]}, h and what was kept; yours is {got[i]}"
