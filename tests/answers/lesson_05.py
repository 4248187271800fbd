"""Answers to the exercises of lesson 05: right ones in several forms, and mistakes with the words that name them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_lite.checks import (
    check_attention,
    check_block_parameters,
    check_turn_the_hands,
    check_walk_the_u,
)


def rates(d: int, P: float) -> Tensor:
    return P ** (-torch.arange(d // 2, dtype=torch.float64) / (d / 2))


def turn(e: Tensor, k: float, P: float, w: Tensor | None = None, plus: int = 1, minus: int = -1) -> Tensor:
    c, s = e.chunk(2, dim=1)
    angle = k * (rates(e.shape[1], P) if w is None else w)
    return torch.cat([c * angle.cos() + minus * s * angle.sin(), s * angle.cos() + plus * c * angle.sin()], dim=1)


def turn_by_matrix(e: Tensor, k: int, P: float) -> Tensor:
    rows = []
    for row in e.tolist():
        half, new = len(row) // 2, [0.0] * len(row)
        for i in range(half):
            a = k / P ** (i / half)
            new[i] = math.cos(a) * row[i] - math.sin(a) * row[i + half]
            new[i + half] = math.sin(a) * row[i] + math.cos(a) * row[i + half]
        rows.append(new)
    return torch.tensor(rows)  # float32


def turn_complex(e: Tensor, k: int, P: float) -> Tensor:
    w = torch.exp(-math.log(P) * torch.arange(e.shape[1] // 2) / (e.shape[1] // 2))  # float32
    hands = torch.complex(*e.float().chunk(2, 1)) * torch.exp(1j * k * w)
    return torch.cat([hands.real, hands.imag], -1)


def turn_in_place(e: Tensor, k: int, P: float) -> Tensor:
    c, s = e.chunk(2, dim=1)
    angle = k * rates(e.shape[1], P)
    c = c * angle.cos() - s * angle.sin()
    return torch.cat([c, s * angle.cos() + c * angle.sin()], dim=1)


def halves(e: Tensor, k: int, P: float) -> list[Tensor]:
    return list(turn(e, k, P).chunk(2, 1))


def zero(e: Tensor) -> Tensor:
    """e(0), for as many times as e has."""
    return torch.tensor([1.0, 0.0], dtype=e.dtype).repeat_interleave(e.shape[1] // 2).expand(e.shape)


def steps(e: Tensor) -> Tensor:
    return torch.arange(e.shape[1] // 2, dtype=torch.float64)


def block_by_layers(c_in: int, c_out: int, D: int) -> int:
    with torch.device("meta"):
        layers = [nn.GroupNorm(1, c_in), nn.Conv2d(c_in, c_out, 3), nn.Linear(D, 2 * c_out), nn.GroupNorm(1, c_out)]
        layers += [nn.Conv2d(c_out, c_out, 3)] + ([nn.Conv2d(c_in, c_out, 1)] if c_in != c_out else [])
    return sum(p.numel() for layer in layers for p in layer.parameters())


def block(
    c_in: int, c_out: int, D: int, *, k: int = 9, time: int = 2, adapt: bool | None = None, norms: int | None = None,
    second: int | None = None, bias: int = 1,
) -> int:  # fmt: skip
    adapt = c_in != c_out if adapt is None else adapt
    count = 2 * c_in + 2 * c_out if norms is None else norms
    count += k * c_in * c_out + bias * c_out + k * (second or c_out) * c_out + bias * c_out
    count += D * time * c_out + bias * time * c_out
    return count + (c_in * c_out + bias * c_out if adapt else 0)


def attend(q: Tensor, k: Tensor, v: Tensor, scale: float | None = None, axis: int = -1) -> Tensor:
    return (q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)).softmax(axis) @ v


def attend_by_exp(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = torch.exp(torch.einsum("bhid,bhjd->bhij", q, k) / math.sqrt(q.size(3)))
    return torch.einsum("bhij,bhjd->bhid", p / p.sum(-1, keepdim=True), v)


def walk(h: Tensor, down: Any, middle: Any, up: Any) -> Tensor:
    kept = [h]
    for layer in down:
        h = layer(h)
        kept.append(h)
    for layer in middle:
        h = layer(h)
    for layer in up:
        h = layer(torch.cat([h, kept.pop()], dim=1))
    return h


def walk_backward(h: Tensor, down: Any, middle: Any, up: Any) -> Tensor:
    kept = [h]
    for layer in down:
        kept += [layer(kept[-1])]
    x = middle[0](kept[-1])
    for layer, skip in zip(up, reversed(kept), strict=True):
        x = layer(torch.concat((x, skip), 1))
    return x


def walk_wrong(mistake: str) -> Callable[..., Tensor]:
    def run(h: Tensor, down: Any, middle: Any, up: Any) -> Tensor:
        stem, kept = h, [h]
        for layer in down:
            before, h = h, layer(stem if mistake == "stuck" else h)
            kept.append(before if mistake == "inputs" else h)
        for layer in middle if mistake != "middle" else []:
            h = layer(stem if mistake == "forgotten" else h)
        bottom = h
        if mistake == "keeps the middle":
            kept.append(h)
        for layer in reversed(up) if mistake == "reversed" else up:
            skip = kept[-1] if mistake == "peek" else kept.pop(0 if mistake == "order" else -1)
            skip = bottom if mistake == "bottom" else skip
            if mistake in ("rows", "columns"):
                h = layer(torch.cat([h, skip], dim=0 if mistake == "rows" else -1))
            elif mistake in ("plus", "none"):
                h = layer(h + skip if mistake == "plus" else h)
            else:
                h = layer(torch.cat([skip, h] if mistake == "front" else [h, skip], dim=1))
        return h

    return run


def walk_joining_on_the_way_down(h: Tensor, down: Any, middle: Any, up: Any) -> Tensor:
    for layer in down:
        h = layer(torch.cat([h, h], dim=1))
    return h


def walk_without_the_first(h: Tensor, down: Any, middle: Any, up: Any) -> Tensor:
    kept = []
    for layer in down:
        h = layer(h)
        kept.append(h)
    for layer in middle:
        h = layer(h)
    for layer in up:
        h = layer(torch.cat([h, kept.pop()], dim=1))
    return h


def block_by_shapes(a: int, b: int, n: int) -> Tensor:
    """The sizes of all tensors, a bias as one more input; a tensor."""
    shapes = [(a, 2), (b, 9 * a + 1), (2 * b, n + 1), (b, 2), (b, 9 * b + 1), (b, (a + 1) * int(a != b))]
    return torch.tensor(shapes).prod(1).sum()


def attend_by_loops(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One query at a time, in float32, written into q."""
    values, keys = v.float(), k.float()
    for b in range(len(q)):
        for head in range(q.shape[1]):
            for i in range(q.shape[2]):
                score = keys[b, head] @ q[b, head, i].float() / math.sqrt(q.shape[3])
                weights = (score - score.max()).exp()
                q[b, head, i] = (weights / weights.sum()) @ values[b, head]
    return q.float()


def walk_and_empty(h: Tensor, down: Any, middle: Any, up: Any) -> Tensor:
    """Takes the layers off the lists, and keeps the latest in front."""
    kept = [h]
    while down:
        kept.insert(0, down.pop(0)(kept[0]))
    h = kept[0]
    while middle:
        h = middle.pop(0)(h)
    while up:
        h = up.pop(0)(torch.hstack([h, kept.pop(0)]))
    return h


RIGHT: list[tuple[Any, Callable[..., Any]]] = [
    (check_block_parameters, block_by_shapes),
    (check_attention, attend_by_loops),
    (check_walk_the_u, walk_and_empty),
    (check_turn_the_hands, turn),
    (check_turn_the_hands, turn_by_matrix),
    (check_turn_the_hands, turn_complex),
    (check_block_parameters, block),
    (check_block_parameters, block_by_layers),
    (check_attention, attend),
    (check_attention, attend_by_exp),
    (check_attention, F.scaled_dot_product_attention),
    (check_walk_the_u, walk),
    (check_walk_the_u, walk_backward),
]

WRONG: list[tuple[Any, Callable[..., Any], str]] = [
    (check_turn_the_hands, lambda e, k, P: turn(e, -k, P), "you turned the hands back"),
    (check_turn_the_hands, lambda e, k, P: turn(e, k, P, minus=1), "your cosines have a plus"),
    (check_turn_the_hands, lambda e, k, P: turn(e, k, P, plus=-1), "your sines have a minus"),
    (check_turn_the_hands, turn_in_place, "made from the new cosines"),
    (check_turn_the_hands, lambda e, k, P: torch.cat(halves(e, k, P)[::-1], 1), "your sines come first"),
    (check_turn_the_hands, lambda e, k, P: torch.stack(halves(e, k, P), 2).flatten(1), "take turns"),
    (check_turn_the_hands, lambda e, k, P: e * turn(zero(e), k, P), "entry by entry"),
    (check_turn_the_hands, lambda e, k, P: e + turn(zero(e), k, P), "you added"),
    (check_turn_the_hands, lambda e, k, P: turn(zero(e), k, P), r"you returned e\(k\)"),
    (check_turn_the_hands, lambda e, k, P: e, "as it came"),
    (check_turn_the_hands, lambda e, k, P: turn(e, k, P, torch.ones(1)), "by the same angle k"),
    (check_turn_the_hands, lambda e, k, P: turn(e, k, P, P ** -(steps(e) // e.shape[1])), "// rounds"),
    (check_turn_the_hands, lambda e, k, P: turn(e, 1, P), "by one step whatever k is"),
    (check_turn_the_hands, lambda e, k, P: turn(e, k, P, 1 / rates(e.shape[1], P)), "your rates grow with i"),
    (check_turn_the_hands, lambda e, k, P: turn(e, k, P, P ** (-(steps(e) + 1) / len(steps(e)))), "i runs from 1"),
    (check_turn_the_hands, lambda e, k, P: turn(e, k, P, rates(e.shape[1], P).flip(0)), "your slow hands come first"),
    (check_turn_the_hands, lambda e, k, P: turn(e, k, P, P ** (-steps(e) / e.shape[1])), "exponent divides i by d;"),
    (check_turn_the_hands, lambda e, k, P: turn(e, k, P, P ** (-steps(e) / steps(e)[-1])), "exactly 1 / max_period"),
    (check_turn_the_hands, lambda e, k, P: turn(e, 2 * math.pi * k, P), "factor 2 pi"),
    (check_turn_the_hands, lambda e, k, P: turn(e, k, 1e4), "fixed at 10,000"),
    (check_turn_the_hands, lambda e, k, P: torch.cat(halves(e, k, P)), "along dim=1"),
    (check_turn_the_hands, lambda e, k, P: halves(e, k, P)[0], "you returned half of it"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, bias=0), "you forgot the biases"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, norms=0), "you forgot the norms"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, bias=0, norms=0), "the biases and the norms"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, norms=2 * b), "2 c_in are missing"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, norms=2 * a), "2 c_out are missing"),
    (check_block_parameters, lambda a, b, D: block(a, b, D) - 2 * b, "or the biases of the linear layer"),
    (check_block_parameters, lambda a, b, D: block(a, b, D) - (2 if a == b else 3) * b, "c_out are missing: each of"),
    (check_block_parameters, lambda a, b, D: block(a, b, D) - (a != b) * b, "one of the convolutions without"),
    (check_block_parameters, lambda a, b, D: block(a, b, a), "starts from c_in numbers"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, time=0), "the linear layer is missing"),
    (check_block_parameters, lambda a, b, D: block(a, b, D) + D, r"too large, which is .*\bD$"),
    (check_block_parameters, lambda a, b, D: block(a, b, D) - 9 * b * b, r"too small, which is 9 c_out\^2"),
    (check_block_parameters, lambda a, b, D: block(a, b, D) - 1, "1 too small: write down"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, norms=4 * b), "your norms both have c_out"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, norms=a + b), "one number for each channel"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, time=1), "your linear layer has c_out outputs"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, second=a), "your second convolution starts from c_in"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, k=3), "a 3x3 kernel has 9"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, adapt=False), "you forgot the 1x1"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, adapt=True), "even where c_in = c_out"),
    (check_attention, lambda q, k, v: attend(q, k, v, 1.0), "lack the factor"),
    (check_attention, lambda q, k, v: attend(q, k, v, 1 / q.shape[-1]), "divided by d; divide by its root"),
    (check_attention, lambda q, k, v: attend(q, k, v, q.shape[-1] ** 0.5), "multiplied by sqrt"),
    (check_attention, lambda q, k, v: attend(q, k, v, q.shape[-2] ** -0.5), r"sqrt\(n\), n pixels"),
    (check_attention, lambda q, k, v: attend(q, k, v, q.shape[1] ** -0.5), "the number of heads"),
    (check_attention, lambda q, k, v: attend(q, k, v, q[0, :, 0].numel() ** -0.5), "each head has d of its own"),
    (check_attention, lambda q, k, v: attend(q, k, v, 1 / 16**0.5), "of a fixed number, 16"),
    (check_attention, lambda q, k, v: attend(q, k, v, 1 / 2), "of a fixed number, 4"),
    (check_attention, lambda q, k, v: attend(q, k, v, 1.0) / q.shape[-1] ** 0.5, "after the softmax; divide"),
    (check_attention, lambda q, k, v: attend(q, k, v) / q.shape[-1] ** 0.5, "you divided twice"),
    (check_attention, lambda q, k, v: (q * k / q.shape[-1] ** 0.5).softmax(-1) * v, "entry by entry"),
    (
        check_attention,
        lambda q, k, v: attend(*(x.flatten(1, 2) for x in (q, k, v))).reshape(v.shape),
        "your heads look at each other",
    ),
    (check_attention, lambda q, k, v: (q @ k).softmax(-1) @ v, r"k\.mT"),
    (check_attention, lambda q, k, v: (q @ k.permute(3, 2, 1, 0)).softmax(-1) @ v, "the last two axes only"),
    (check_attention, lambda q, k, v: attend(q, k, v, axis=-2), "runs over the queries"),
    (check_attention, lambda q, k, v: attend(q, k, v, axis=1), "over the heads or the batch"),
    (check_attention, lambda q, k, v: attend(k, q, v), "your keys ask"),
    (check_attention, lambda q, k, v: attend(q, k, torch.eye(q.shape[2]).double()).mT @ v, "weights transposed"),
    (check_attention, lambda q, k, v: attend(q, k, k), "you collected the keys"),
    (check_attention, lambda q, k, v: q @ k.mT / q.shape[-1] ** 0.5 @ v, "the softmax is missing"),
    (check_attention, lambda q, k, v: attend(q, k, torch.eye(q.shape[2]).double()), "you returned the weights"),
    (check_walk_the_u, walk_wrong("order"), r"\(pop\(0\)\)"),
    (check_walk_the_u, walk_wrong("front"), "your skip stands in front"),
    (check_walk_the_u, walk_wrong("inputs"), "you kept what goes into"),
    (check_walk_the_u, walk_wrong("peek"), "you used the last skip again"),
    (check_walk_the_u, walk_wrong("middle"), "you left the middle out"),
    (check_walk_the_u, walk_wrong("bottom"), "those of the bottom"),
    (check_walk_the_u, walk_wrong("keeps the middle"), "you kept what the middle makes"),
    (check_walk_the_u, walk_wrong("stuck"), "each layer of your way down gets the stem's h"),
    (check_walk_the_u, walk_wrong("forgotten"), "your middle gets the stem's h"),
    (check_walk_the_u, walk_wrong("reversed"), "the layers of up in reverse"),
    *(
        (check_walk_the_u, walk_wrong(mistake), "a layer of up got 3 channels, wanted 6: h and what was kept")
        for mistake in ("rows", "columns", "plus", "none")
    ),
    (check_walk_the_u, walk_joining_on_the_way_down, "got 6 channels, wanted 3: h alone"),
    (check_walk_the_u, walk_without_the_first, "ran empty"),
    (check_walk_the_u, lambda h, down, middle, up: None, "does your function return"),
]
