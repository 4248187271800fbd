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
    check_time_embedding,
    check_walk_the_u,
)


def waves(t: Tensor, d: int, P: float, rate: Callable[[Tensor, int, float], Tensor] | None = None) -> list[Tensor]:
    i = torch.arange(d // 2, dtype=torch.float64)
    w = rate(i, d, P) if rate else P ** (-i / (d / 2))
    return [(t[:, None] * w).cos(), (t[:, None] * w).sin()]


def embedding_loop(t: Tensor, d: int, P: float) -> Tensor:
    rows = []
    for time in t.tolist():
        angles = [time / P ** (2 * i / d) for i in range(d // 2)]
        rows.append([math.cos(a) for a in angles] + [math.sin(a) for a in angles])
    return torch.tensor(rows)  # float32


def embedding_exp(t: Tensor, d: int, P: float) -> Tensor:
    w = torch.exp(-math.log(P) * torch.arange(d // 2) / (d // 2))  # float32
    return torch.cat([torch.cos(torch.outer(t, w)), torch.sin(torch.outer(t, w))], dim=-1)


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
        kept = [h]
        for layer in down:
            before, h = h, layer(h)
            kept.append(before if mistake == "inputs" else h)
        for layer in middle if mistake != "middle" else []:
            h = layer(h)
        bottom = h
        for layer in up:
            skip = kept[-1] if mistake == "peek" else kept.pop(0 if mistake == "order" else -1)
            skip = bottom if mistake == "bottom" else skip
            h = layer(torch.cat([skip, h] if mistake == "front" else [h, skip], dim=1))
        return h

    return run


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


RIGHT: list[tuple[Any, Callable[..., Any]]] = [
    (check_time_embedding, lambda t, d, P: torch.cat(waves(t, d, P), 1)),
    (check_time_embedding, embedding_loop),
    (check_time_embedding, embedding_exp),
    (check_block_parameters, block),
    (check_block_parameters, block_by_layers),
    (check_attention, attend),
    (check_attention, attend_by_exp),
    (check_attention, F.scaled_dot_product_attention),
    (check_walk_the_u, walk),
    (check_walk_the_u, walk_backward),
]

WRONG: list[tuple[Any, Callable[..., Any], str]] = [
    (check_time_embedding, lambda t, d, P: torch.stack(waves(t, d, P), 2).flatten(1), "take turns; here all cosines"),
    (check_time_embedding, lambda t, d, P: torch.stack(waves(t, d, P)[::-1], 2).flatten(1), "take turns, sines first"),
    (check_time_embedding, lambda t, d, P: torch.cat(waves(t, d, P)[::-1], 1), "your sines come first"),
    (
        check_time_embedding,
        lambda t, d, P: torch.cat(waves(t, d, P, lambda i, d, P: P ** (2 * i / d)), 1),
        "your rates grow with i",
    ),
    (
        check_time_embedding,
        lambda t, d, P: torch.cat(waves(t, d, P, lambda i, d, P: P ** (-i / d)), 1),
        "your exponent divides i by d;",
    ),
    (
        check_time_embedding,
        lambda t, d, P: torch.cat(waves(t, d, P, lambda i, d, P: P ** (-i / (d / 2 - 1))), 1),
        "exactly 1 / max_period",
    ),
    (check_time_embedding, lambda t, d, P: torch.cat(waves(t, d, 1e4), 1), "fixed at 10,000"),
    (check_time_embedding, lambda t, d, P: torch.cat(waves(2 * math.pi * t, d, P), 1), "factor 2 pi"),
    (check_time_embedding, lambda t, d, P: torch.cat(waves(t / 1000, d, P), 1), "your time is divided"),
    (check_time_embedding, lambda t, d, P: waves(t, d, P)[0], r"should have shape"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, bias=0), "you forgot the biases"),
    (check_block_parameters, lambda a, b, D: block(a, b, D, norms=0), "you forgot the norms"),
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
    (check_attention, lambda q, k, v: attend(q, k, v, q.shape[-2] ** -0.5), "the number of pixels"),
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
    (check_walk_the_u, walk_without_the_first, "ran empty"),
    (check_walk_the_u, lambda h, down, middle, up: None, "does your function return"),
]
