"""Answers to the further exercises of lesson 05: right ones in several forms, and mistakes with the words that name
them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_lite.checks import check_residual_block, check_up_shapes
from ddpm_lite.unet import ResidualBlock


class Block(nn.Module):
    """Right as it stands; ``mistake`` names what a subclass of it does wrong."""

    mistake = ""

    def __init__(self, c_in: int, c_out: int, D: int) -> None:
        super().__init__()
        m = self.mistake
        pad = 0 if m == "padding" else 1
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d if m == "batch norm" else lambda c: nn.GroupNorm(4, c)
        self.norm_1, self.conv_1 = norm(c_in), nn.Conv2d(c_in, c_out, 3, padding=pad)
        self.time = nn.Linear(D, c_out if m == "one vector" else 2 * c_out)
        self.norm_2, self.conv_2 = norm(c_out), nn.Conv2d(c_out, c_out, 3, padding=1)
        if m != "not zero":
            nn.init.zeros_((self.conv_1 if m == "other zero" else self.conv_2).weight)
        if m not in ("not zero", "bias"):
            nn.init.zeros_(self.conv_2.bias)  # type: ignore[arg-type]
        if m == "zero in a row":
            self.gate = nn.Parameter(torch.zeros(1))
        if m == "unused":
            self.extra = nn.Conv2d(c_in, c_out, 3, padding=1)
        adapt = (c_in != c_out or m == "always 1x1") and m != "never 1x1"
        self.skip = nn.Conv2d(c_in, c_out, 1) if adapt else nn.Identity()

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        m, came = self.mistake, x
        if m == "in place":
            F.silu(x, inplace=True)
        if m == "no norm_1":
            h = self.conv_1(F.silu(x))
        elif m == "conv first":
            h = F.silu(self.norm_2(self.conv_1(x)))
        elif m == "silu first":
            h = self.conv_1(self.norm_1(F.silu(x)))
        elif m == "no silu_1":
            h = self.conv_1(self.norm_1(x))
        elif m == "normed x":
            came = self.norm_1(x)
            h = self.conv_1(F.silu(came))
        else:
            h = self.conv_1(F.silu(self.norm_1(x)))
        if m == "detached x":
            h = h.detach()
        time = self.time(emb if m in ("plain emb", "silu after") else F.silu(emb))
        if m == "silu after":
            time = F.silu(time)
        if m == "first image":
            time = time[:1].expand(time.shape)
        if m == "batch mean":
            time = time + time.mean(0)
        if m == "detached time":
            time = time.detach()
        if m != "no rows":
            time = time[:, :, None, None]
        scale, shift = (time, time) if m == "one vector" else time.chunk(2, 1)
        if m == "no time":
            h = self.norm_2(h)
        elif m == "before":
            h = self.norm_2(h * (1 + scale) + shift)
        elif m == "both scaled":
            h = (self.norm_2(h) + shift) * (1 + scale)
        elif m == "no shift":
            h = self.norm_2(h) * (1 + scale)
        elif m == "no scale":
            h = self.norm_2(h) + shift
        elif m == "no 1":
            h = self.norm_2(h) * scale + shift
        elif m == "one vector":
            h = self.norm_2(h) + shift
        elif m == "no norm_2":
            h = h * (1 + scale) + shift
        elif m == "twice":
            h = self.norm_2(h) * (1 + scale) ** 2 + shift
        else:
            h = self.norm_2(h) * (1 + scale) + shift
        h = self.conv_2(h if m == "no silu_2" else F.silu(h))
        if m == "norm last":
            h = self.norm_2(h)
        if m == "no skip":
            return h
        if m == "detached":
            return (self.skip(came) + h).detach()
        out = self.skip(came) + (h * self.gate if m == "zero in a row" else h)
        return F.silu(out) if m == "silu last" else out


def wrong_block(mistake: str) -> type[Block]:
    return type("Block", (Block,), {"mistake": mistake})


class BlockOfSequences(nn.Module):
    """Other names, layers in sequences, two linear layers, shift first, zeroed through data."""

    def __init__(self, a: int, b: int, n: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(1, a), nn.SiLU(), nn.Conv2d(a, b, 3, 1, 1))
        self.norm = nn.GroupNorm(2, b)
        self.last = nn.Sequential(nn.SiLU(), nn.Conv2d(b, b, 3, padding="same"))
        for p in self.last.parameters():
            p.data *= 0
        self.move = nn.Sequential(nn.SiLU(), nn.Linear(n, b))
        self.stretch = nn.Sequential(nn.SiLU(), nn.Linear(n, b))
        self.adapt = nn.ModuleList([nn.Conv2d(a, b, 1)] if a != b else [])

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.norm(self.first(x))
        h = h + h * self.stretch(emb).unsqueeze(-1).unsqueeze(-1) + self.move(emb)[..., None, None]
        for layer in self.adapt:
            x = layer(x)
        return x + self.last(h)


class BlockOfParameters(nn.Module):
    """No layers at all: tensors and functions, einsum for the 1x1 convolution, numbers of the time side by side."""

    def __init__(self, a: int, b: int, n: int) -> None:
        super().__init__()

        def new(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(shape) / math.sqrt(math.prod(shape[1:])))

        self.p = nn.ParameterDict({"c1": new(b, a, 3, 3), "b1": new(b), "w": new(b, 2, n), "v": new(b, 2)})
        self.p.update({"g1": new(a), "h1": new(a), "g2": new(b), "h2": new(b)})
        self.p.update({"c2": nn.Parameter(torch.zeros(b, b, 3, 3)), "b2": nn.Parameter(torch.zeros(b))})
        if a != b:
            self.p.update({"s": new(b, a), "r": new(b)})

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        p = self.p
        h = F.conv2d(F.silu(F.group_norm(x, 2, p["g1"], p["h1"])), p["c1"], p["b1"], padding=1)
        time = torch.einsum("bd,ckd->bck", F.silu(emb), p["w"]) + p["v"]
        h = F.group_norm(h, 4, p["g2"], p["h2"]) * (1 + time[:, :, :1, None]) + time[:, :, 1:, None]
        out = F.conv2d(F.silu(h), p["c2"], p["b2"], padding=1)
        if "s" in p:
            x = torch.einsum("oc,bchw->bohw", p["s"], x) + p["r"][:, None, None]
        return out + x


class BlockWithOneInTheBias(Block):
    """The factor itself comes out of the linear layer, whose bias starts at 1."""

    def __init__(self, c_in: int, c_out: int, D: int) -> None:
        super().__init__(c_in, c_out, D)
        nn.init.ones_(self.time.bias[:c_out])
        nn.init.zeros_(self.time.bias[c_out:])

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.norm_2(self.conv_1(F.silu(self.norm_1(x))))
        factor, shift = self.time(F.silu(emb))[:, :, None, None].chunk(2, 1)
        return self.skip(x) + self.conv_2(F.silu(torch.addcmul(shift, h, factor)))


class BlockWithZeroTime(Block):
    """The linear layer starts at zero as well, so that a new block ignores the time; that is a choice, no mistake."""

    def __init__(self, c_in: int, c_out: int, D: int) -> None:
        super().__init__(c_in, c_out, D)
        nn.init.zeros_(self.time.weight), nn.init.zeros_(self.time.bias)


class BlockInAList(Block):
    def __init__(self, c_in: int, c_out: int, D: int) -> None:
        super().__init__(c_in, c_out, D)
        self.layers = [self.conv_1]
        del self.conv_1

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.norm_2(self.layers[0](F.silu(self.norm_1(x))))
        scale, shift = self.time(F.silu(emb))[:, :, None, None].chunk(2, 1)
        return self.skip(x) + self.conv_2(F.silu(h * (1 + scale) + shift))


class BlockOfNewLayers(Block):
    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        skip = nn.Conv2d(x.shape[1], self.conv_1.out_channels, 1)
        return super().forward(x, emb) + skip(x)


class BlockOfLeastEffort(Block):
    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        return self.skip(x)


def up(
    channels: int, mult: list[int], height: int, width: int, *, half: Callable[[int], int] = lambda n: (n + 1) // 2
) -> list[tuple[int, int, int]]:
    kept, h, w = [(channels, height, width)], height, width
    for i, m in enumerate(mult):
        kept.append((channels * m, h, w))
        if i + 1 < len(mult):
            h, w = half(h), half(w)
            kept.append((channels * m, h, w))
    out, c = [], channels * mult[-1]
    for m in reversed(mult):
        for _ in range(2):
            k, h, w = kept.pop()
            out.append((c + k, h, w))
            c = channels * m
    return out


def up_by_formula(channels: int, mult: list[int], height: int, width: int) -> list[list[int]]:
    c = [channels * m for m in mult]
    rows = []
    for i in reversed(range(len(c))):
        size = [math.ceil(height / 2**i), math.ceil(width / 2**i)]
        below, above = c[min(i + 1, len(c) - 1)], c[i - 1] if i else channels
        rows += [[below + c[i], *size], [c[i] + above, *size]]
    return rows


def up_by_layers(channels: int, mult: list[int], height: int, width: int) -> list[torch.Size]:
    with torch.device("meta"):
        h = torch.zeros(channels, height, width)
        kept = [h]
        for i, m in enumerate(mult):
            kept.append(h := h.new_zeros(channels * m, *h.shape[1:]))
            if i < len(mult) - 1:
                kept.append(h := nn.Conv2d(len(h), len(h), 3, stride=2, padding=1)(h))
        shapes = []
        for m in mult[::-1]:
            for _ in "ab":
                skip = kept.pop()
                shapes.append(torch.cat([h.new_zeros(len(h), *skip.shape[1:]), skip]).shape)
                h = skip.new_zeros(channels * m, *skip.shape[1:])
    return shapes


def up_wrong(mistake: str) -> Callable[..., list[tuple[int, ...]]]:
    def run(channels: int, mult: list[int], height: int, width: int) -> list[tuple[int, ...]]:
        c, h, w, kept = channels, height, width, [(channels, height, width)]
        for i, m in enumerate(mult):
            c = c * m if mistake == "cumulative" else channels * m
            kept.append((c, h, w))
            if i + 1 < len(mult):
                h, w = (h + 1) // 2, (w + 1) // 2
                kept.append((channels * mult[i + 1] if mistake == "early" else c, h, w))
        widths = [channels * math.prod(mult[: i + 1]) if mistake == "cumulative" else channels * mult[i]
                  for i in range(len(mult))]  # fmt: skip
        out: list[tuple[int, ...]] = []
        for i in reversed(range(len(mult))):
            for _ in range(2):
                skip, *size = kept.pop(0 if mistake == "order" else -1)
                size = [h, w] if mistake in ("doubled", "bottom") else size
                made = {"h": c, "skip": skip, "twice": 2 * c, "out": widths[i]}.get(mistake, c + skip)
                out.append((made, *size))
                c = widths[i]
            if mistake == "doubled":
                h, w = 2 * h, 2 * w
        return out

    return run


RIGHT: list[tuple[Any, Callable[..., Any]]] = [
    (check_residual_block, Block),
    (check_residual_block, BlockOfSequences),
    (check_residual_block, BlockOfParameters),
    (check_residual_block, BlockWithOneInTheBias),
    (check_residual_block, BlockWithZeroTime),
    (check_up_shapes, up),
    (check_up_shapes, up_by_formula),
    (check_up_shapes, up_by_layers),
]

WRONG: list[tuple[Any, Callable[..., Any], str]] = [
    (check_residual_block, wrong_block("padding"), "needs padding=1"),
    (check_residual_block, wrong_block("batch norm"), "BatchNorm mixes the images"),
    (check_residual_block, wrong_block("one vector"), "makes a scale and a shift, 2 c_out"),
    (check_residual_block, wrong_block("not zero"), "set weight and bias of the last convolution to zero"),
    (check_residual_block, wrong_block("other zero"), "has to be the last one; yours is 'conv_1'"),
    (check_residual_block, wrong_block("bias"), "bias has to start at zero too"),
    (check_residual_block, wrong_block("zero in a row"), "the block will stay what it is"),
    (check_residual_block, wrong_block("unused"), "extra.weight is never used"),
    (check_residual_block, wrong_block("always 1x1"), "without a 1x1 convolution"),
    (check_residual_block, wrong_block("never 1x1"), "x passes through a 1x1 convolution"),
    (check_residual_block, wrong_block("in place"), r"changes x itself \(in place\)"),
    (check_residual_block, wrong_block("no norm_1"), "grows with x: norm_1 comes first"),
    (check_residual_block, wrong_block("silu first"), "norm_1 acts on x itself; SiLU comes after"),
    (check_residual_block, wrong_block("no silu_1"), "the SiLU before conv_1 is missing"),
    (check_residual_block, wrong_block("normed x"), "you add the normed x"),
    (check_residual_block, wrong_block("plain emb"), "emb goes through SiLU before"),
    (check_residual_block, wrong_block("silu after"), "yours went through a SiLU after it"),
    (check_residual_block, wrong_block("first image"), "the time of (the first image|one image)"),
    (check_residual_block, wrong_block("batch mean"), "the time of one image changes another"),
    (check_residual_block, wrong_block("detached time"), "no gradient flows back to emb"),
    (check_residual_block, wrong_block("no rows"), r"\[:, :, None, None\] gives them"),
    (check_residual_block, wrong_block("no time"), "the time does not reach the output"),
    (check_residual_block, wrong_block("before"), "come before norm_2"),
    (check_residual_block, wrong_block("both scaled"), "add the shift first"),
    (check_residual_block, wrong_block("no shift"), "your shift is missing"),
    (check_residual_block, wrong_block("no scale"), "your scale is missing"),
    (check_residual_block, wrong_block("no 1"), "it should be 1 \\+ a"),
    (check_residual_block, wrong_block("no norm_2"), "norm_2 is missing"),
    (check_residual_block, wrong_block("conv first"), "grows with x: norm_1 comes first"),
    (check_residual_block, wrong_block("twice"), "compare it line by line"),
    (check_residual_block, wrong_block("no silu_2"), "the SiLU before conv_2 is missing"),
    (check_residual_block, wrong_block("norm last"), "a norm comes after your last convolution"),
    (check_residual_block, wrong_block("no skip"), "a new block returns zeros"),
    (check_residual_block, wrong_block("detached"), "the output has no gradient"),
    (check_residual_block, wrong_block("silu last"), "nothing comes after"),
    (check_residual_block, BlockInAList, "not registered"),
    (check_residual_block, BlockOfNewLayers, "is a layer made in forward"),
    (check_residual_block, BlockOfLeastEffort, "does no layer take part"),
    (check_residual_block, lambda c_in, c_out, D: c_out, "should be a subclass of nn.Module"),
    (check_residual_block, ResidualBlock, "the library's own"),
    (check_residual_block, type("Mine", (ResidualBlock,), {}), "the library's own"),
    (check_residual_block, lambda c_in, c_out, D: ResidualBlock(c_in, c_out, D), "write it yourself"),
    (check_up_shapes, up_wrong("h"), "your blocks get h alone"),
    (check_up_shapes, up_wrong("skip"), "you list what was kept"),
    (check_up_shapes, up_wrong("twice"), "you double the channels of h"),
    (check_up_shapes, up_wrong("out"), "you list what each block makes"),
    (check_up_shapes, lambda *a: up(*a, half=lambda n: n // 2), "your odd sizes are rounded down"),
    (check_up_shapes, up_wrong("doubled"), "you double rows and columns"),
    (check_up_shapes, up_wrong("bottom"), "stay those of the bottom"),
    (check_up_shapes, up_wrong("order"), "the latest comes first"),
    (check_up_shapes, up_wrong("cumulative"), "the factors of all levels before"),
    (check_up_shapes, up_wrong("early"), "convolution of stride 2 changes the channels"),
    (check_up_shapes, lambda *a: up(*a)[::-1], "from the top down"),
    (check_up_shapes, lambda *a: [(h, w, c) for c, h, w in up(*a)], "your channels stand last"),
    (check_up_shapes, lambda *a: [(c, w, h) for c, h, w in up(*a)], "rows and columns are swapped"),
    (check_up_shapes, lambda *a: [(1, *s) for s in up(*a)], "leave out the batch"),
    (check_up_shapes, lambda *a: up(*a)[::2], "two blocks a level"),
    (check_up_shapes, lambda *a: up(*a)[0], r"a list of shapes \(C, H, W\) is wanted"),
    (check_up_shapes, lambda *a: [(c + 1, h, w) for c, h, w in up(*a)], "block 1 of the way up gets"),
]
