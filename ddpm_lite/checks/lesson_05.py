"""The exercises of lesson 05: the time embedding, the weights of a block, attention, the order of the skips."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..unet import ResidualBlock
from .machinery import WrongAnswer, diagnose, exercise, fresh_generator

Layer = Callable[[Tensor], Tensor]


@exercise
def check_time_embedding(answer: Callable[[Tensor, int, float], Tensor]) -> str:
    """Check ``time_embedding(t, d, max_period)``: ``[cos(w_i t), sin(w_i t)], w_i = max_period^(-i / (d / 2))``."""
    generator = fresh_generator()
    for d, period in ((8, 10_000.0), (12, 500.0)):
        t = torch.randperm(900, generator=generator)[:5] + 20
        half = d // 2
        i = torch.arange(half, dtype=torch.float64)

        def waves(w: Tensor, t: Tensor = t) -> tuple[Tensor, Tensor]:
            angle = t[:, None].double() * w
            return angle.cos(), angle.sin()

        w = period ** (-i / half)
        cos, sin = waves(w)
        mistakes = {
            "your sines and cosines take turns; here all cosines come first, then all sines": torch.stack(
                [cos, sin], dim=2
            ).flatten(1),
            "your sines come first; here the cosines do": torch.cat([sin, cos], 1),
            "your sines and cosines take turns, sines first; here all cosines come first, then all sines": torch.stack(
                [sin, cos], dim=2
            ).flatten(1),
            "your rates grow with i; the exponent has a minus: w_i = max_period^(-i / (d / 2))": torch.cat(
                waves(period ** (i / half)), 1
            ),
            "your exponent divides i by d; there are d / 2 rates, so divide by d / 2": torch.cat(
                waves(period ** (-i / d)), 1
            ),
            "your slowest rate is exactly 1 / max_period: you divided i by d / 2 - 1, as some codes do; here it is "
            "d / 2": torch.cat(waves(period ** (-i / (half - 1))), 1),
            "your max_period is fixed at 10,000; use the argument": torch.cat(waves(10_000.0 ** (-i / half)), 1),
            "your angles have a factor 2 pi; w_i t is an angle in radians already": torch.cat(
                waves(2 * math.pi * w), 1
            ),
            "your time is divided: angles are w_i t, with t as it is": torch.cat(waves(w, t / 1000), 1),
        }
        if period == 10_000:
            mistakes.pop("your max_period is fixed at 10,000; use the argument")
        diagnose("e(t)", answer(t.clone(), d, period), torch.cat([cos, sin], 1), mistakes, tol=1e-3)
    return "The library calls it timestep_embedding; there max_period is 10,000."


@exercise
def check_block_parameters(answer: Callable[[int, int, int], int]) -> str:
    """Check ``block_parameters(c_in, c_out, D)``: the number of weights of a ``ResidualBlock``."""
    draw = torch.randint(3, 20, (3,), generator=fresh_generator()).tolist()
    for c_in, c_out, D in ((4 * draw[0], 4 * draw[0] + 8, 16 * draw[1]), (4 * draw[2], 4 * draw[2], 128)):
        with torch.device("meta"):  # counts only; nothing is drawn
            want = sum(p.numel() for p in ResidualBlock(c_in, c_out, D).parameters())
        skip = c_in * c_out + c_out
        biases = 2 * c_out + 2 * c_out + (c_out if c_in != c_out else 0)
        mistakes = {
            "you forgot the biases: one for each output of a convolution or linear layer": want - biases,
            "you forgot the norms: each has a factor and a shift for every channel": want - 2 * c_in - 2 * c_out,
            "your norms both have c_out channels; the first one acts on the c_in that come in": want
            + 2 * (c_out - c_in),
            "your norms have one number for each channel; they have two, a factor and a shift": want - c_in - c_out,
            "your linear layer has c_out outputs; scale and shift together are 2 c_out": want - D * c_out - c_out,
            "your second convolution starts from c_in channels; the first one has already made c_out of them": want
            + 9 * c_out * (c_in - c_out),
            "your convolutions have 3 weights a pair of channels; a 3x3 kernel has 9": want
            - 6 * (c_in * c_out + c_out**2),
        }
        if c_in != c_out:
            mistakes["you forgot the 1x1 convolution that adapts x where the channels change"] = want - skip
        else:
            mistakes["your block has a 1x1 convolution even where c_in = c_out; there x passes as it is"] = want + skip
        got = answer(c_in, c_out, D)
        numbers = {why: torch.tensor(float(n)) for why, n in mistakes.items() if n != want}
        diagnose(f"the count for ({c_in}, {c_out}, {D})", got, torch.tensor(float(want)), numbers, tol=1e-9)
    return "Most of them stand in the two 3x3 convolutions and, for a long time vector, in the linear layer."


@exercise
def check_attention(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Check ``attend(q, k, v)``: ``softmax(q k^T / sqrt(d)) v`` over the keys, (B, heads, n, d)."""
    generator = fresh_generator()
    for B, heads, n, d in ((2, 3, 5, 4), (1, 2, 6, 6)):  # n = d too: a transposed product then has the right shape
        q, k, v = (2 * torch.randn(3, B, heads, n, d, generator=generator, dtype=torch.float64)).unbind(0)
        scores = q @ k.transpose(-1, -2) / math.sqrt(d)
        p = scores.softmax(-1)
        mistakes = {
            "your scores lack the factor 1 / sqrt(d)": (scores * math.sqrt(d)).softmax(-1) @ v,
            "your scores are divided by d; divide by its root": (scores / math.sqrt(d)).softmax(-1) @ v,
            "your scores are multiplied by sqrt(d); divide": (scores * d).softmax(-1) @ v,
            "your scores are divided by sqrt(n), the number of pixels; d is the size of a query": (
                scores * math.sqrt(d / n)
            ).softmax(-1)
            @ v,
            "your softmax runs over the queries; each query's weights must sum to 1 over the keys, the last axis": (
                scores.softmax(-2) @ v
            ),
            "your softmax runs over the heads or the batch; it belongs on the last axis, the keys": (
                scores.softmax(1) @ v
            ),
            "your keys ask and your queries answer: the rows of weights belong to q": scores.transpose(-1, -2).softmax(
                -1
            )
            @ v,
            "you applied the weights transposed: row i of p, times v, is the answer to query i": p.transpose(-1, -2)
            @ v,
            "you collected the keys; the weights act on the values": p @ k,
            "your weights are the bare scores: the softmax is missing": scores @ v,
        }
        got = answer(q.clone(), k.clone(), v.clone())
        if isinstance(got, Tensor) and got.shape == p.shape != v.shape and torch.allclose(got.double(), p):
            raise WrongAnswer("you returned the weights; the answer is what they collect, p v")
        diagnose("the answer", got, p @ v, mistakes)
    return "PyTorch's scaled_dot_product_attention computes the same without keeping the n x n weights."


@exercise
def check_walk_the_u(answer: Callable[[Tensor, list[Layer], list[Layer], list[Layer]], Tensor]) -> str:
    """Check ``walk_the_u(h, down, middle, up)``: skips kept on the way down, joined behind h in reverse on the way up.

    All layers keep the resolution here, and h and every skip have C channels, so that wrong orders run too.
    """
    generator, C = fresh_generator(), 3
    h = torch.randn(2, C, 4, 4, generator=generator, dtype=torch.float64)

    def layer(c_in: int) -> Layer:
        weight = torch.randn(C, c_in, generator=generator, dtype=torch.float64)
        return lambda x: torch.einsum("oc,bchw->bohw", weight, x).tanh()

    down, middle, up = [layer(C) for _ in range(3)], [layer(C)], [layer(2 * C) for _ in range(4)]

    def walk(*, kept: str = "outputs", last: int = -1, behind: bool = True, through: bool = True) -> Tensor:
        x, skips = h, [h]
        for f in down:
            before, x = x, f(x)
            skips.append(before if kept == "inputs" else x)
        for f in middle if through else ():
            x = f(x)
        skips = skips if kept != "same" else [x] * len(skips)
        for f in up:
            skip = skips.pop(last)
            x = f(torch.cat([x, skip] if behind else [skip, x], dim=1))
        return x

    def peeked() -> Tensor:
        x, skips = h, [h]
        for f in down:
            skips.append(x := f(x))
        for f in middle:
            x = f(x)
        for f in up:
            x = f(torch.cat([x, skips[-1]], dim=1))
        return x

    mistakes = {
        "your skips come in the order in which they were kept (pop(0)); the latest must come first, so that "
        "resolutions match": walk(last=0),
        "your skip stands in front; what is there comes first, and the skip behind it": walk(behind=False),
        "you kept what goes into each layer of down; keep what comes out": walk(kept="inputs"),
        "you used the last skip again and again: take it off the list (pop)": peeked(),
        "you left the middle out": walk(through=False),
        "your skips are those of the bottom of the U, not those of the way down": walk(kept="same"),
    }
    try:
        got = answer(h.clone(), list(down), list(middle), list(up))
    except IndexError as error:
        raise WrongAnswer(
            f"your list of skips ran empty ({error}): there are as many as layers in up, h itself among them"
        ) from error
    diagnose("the result", got, walk(), mistakes)
    return "These few lines are the forward pass of every U-Net."
