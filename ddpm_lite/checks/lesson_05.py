"""The exercises of lesson 05: the clock's hands, the weights of a block, attention, the order of the skips."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..unet import ResidualBlock
from .machinery import WrongAnswer, diagnose, exercise, fresh_generator

__all__ = ["check_attention", "check_block_parameters", "check_turn_the_hands", "check_walk_the_u"]

Layer = Callable[[Tensor], Tensor]


@exercise
def check_turn_the_hands(answer: Callable[[Tensor, int, float], Tensor]) -> str:
    """Check ``turn(e, k, max_period)``: e(t) -> e(t + k) by ``cos(a + b) = cos a cos b - sin a sin b`` and its like."""
    generator = fresh_generator()
    for B, d, k, period in ((5, 8, 31, 10_000.0), (5, 12, -17, 500.0)):
        t = torch.randperm(900, generator=generator)[:B, None].double() + 20
        half = d // 2
        i = torch.arange(half, dtype=torch.float64)
        w = period ** (-i / half)
        c, s = (t * w).cos(), (t * w).sin()

        def turned(w: Tensor, k: float = k, c: Tensor = c, s: Tensor = s) -> tuple[Tensor, Tensor]:
            return c * (k * w).cos() - s * (k * w).sin(), s * (k * w).cos() + c * (k * w).sin()

        cos, sin = turned(w)
        right, e = torch.cat([cos, sin], 1), torch.cat([c, s], 1)
        turn = torch.cat([(k * w).cos(), (k * w).sin()]).expand(B, d)
        mistakes = {
            "you turned the hands back, to e(t - k): look at the two signs": torch.cat(turned(w, -k), 1),
            "your cosines have a plus: cos(a + b) = cos a cos b - sin a sin b": torch.cat(
                [2 * c * (k * w).cos() - cos, sin], 1
            ),
            "your sines have a minus: sin(a + b) = sin a cos b + cos a sin b": torch.cat(
                [cos, 2 * s * (k * w).cos() - sin], 1
            ),
            "your new sines are made from the new cosines: keep the old ones until both are done": torch.cat(
                [cos, s * (k * w).cos() + cos * (k * w).sin()], 1
            ),
            "your sines come first; in e(t) the cosines do": torch.cat([sin, cos], 1),
            "your sines and cosines take turns; in e(t) all cosines come first, then all sines": torch.stack(
                [cos, sin], 2
            ).flatten(1),
            "you multiplied e(t) by e(k), entry by entry; a turn mixes the cosine and the sine of a hand": e * turn,
            "you added e(k) to e(t); angles add, their cosines and sines do not": e + turn,
            "you returned e(k); its hands stand where e(0) is turned to, yours start at e(t)": turn,
            "you returned e(t) as it came: turn it by the angles k w_i": e,
            "your hands all turn by the same angle k; hand i turns by k w_i (// rounds its exponent)": torch.cat(
                turned(torch.ones(half)), 1
            ),
            "your hands turn by one step whatever k is: the angles are k w_i": torch.cat(turned(w, 1), 1),
            "your rates grow with i; the exponent has a minus: w_i = max_period^(-i / (d / 2))": torch.cat(
                turned(period ** (i / half)), 1
            ),
            "your i runs from 1; the first rate is w_0 = 1": torch.cat(turned(period ** (-(i + 1) / half)), 1),
            "your slow hands come first; w_0 = 1 is the fastest, and i grows from there": torch.cat(
                turned(w.flip(0)), 1
            ),
            "your exponent divides i by d; there are d / 2 rates, so divide by d / 2": torch.cat(
                turned(period ** (-i / d)), 1
            ),
            "your slowest rate is exactly 1 / max_period: you divided i by d / 2 - 1, as some codes do; here it is "
            "d / 2": torch.cat(turned(period ** (-i / (half - 1))), 1),
            "your angles have a factor 2 pi; k w_i is an angle in radians already": torch.cat(
                turned(w, 2 * math.pi * k), 1
            ),
        }
        if period != 10_000:
            mistakes["your max_period is fixed at 10,000; use the argument"] = torch.cat(turned(1e4 ** (-i / half)), 1)
        got = answer(e.clone(), k, period)
        if isinstance(got, Tensor) and got.shape == (2 * B, half):
            raise WrongAnswer("your sines stand below the cosines, as more times: join the two halves along dim=1")
        if isinstance(got, Tensor) and got.shape == (B, half):
            raise WrongAnswer("you returned half of it: d / 2 cosines, then d / 2 sines, side by side")
        diagnose("e(t + k)", got, right, mistakes, tol=1e-4)
    return "It never needed t: one rotation takes every e(t) to e(t + k)."


@exercise
def check_block_parameters(answer: Callable[[int, int, int], int]) -> str:
    """Check ``block_parameters(c_in, c_out, D)``: the number of weights of a ``ResidualBlock``."""
    draw = torch.randint(3, 20, (3,), generator=fresh_generator()).tolist()
    for c_in, c_out, D in ((4 * draw[0], 4 * draw[0] + 8, 16 * draw[1] + 2), (4 * draw[2], 4 * draw[2], 128)):
        with torch.device("meta"):  # counts only; nothing is drawn
            want = sum(p.numel() for p in ResidualBlock(c_in, c_out, D).parameters())
        skip, norms = c_in * c_out + c_out, 2 * c_in + 2 * c_out
        biases = 2 * c_out + 2 * c_out + (c_out if c_in != c_out else 0)
        mistakes = {
            "you forgot the biases: one for each output of a convolution or linear layer": want - biases,
            "you forgot the biases and the norms": want - biases - norms,
            "you forgot the norms: each has a factor and a shift for every channel": want - norms,
            "your norms both have c_out channels; the first one acts on the c_in that come in": want
            + 2 * (c_out - c_in),
            "your norms have one number for each channel; they have two, a factor and a shift": want - c_in - c_out,
            "2 c_in are missing: the first norm's factors and shifts": want - 2 * c_in,
            "2 c_out are missing: the second norm's factors and shifts, or the biases of the linear layer": want
            - 2 * c_out,
            "3 c_out are missing: each of the convolutions has a bias for each output": want - 3 * c_out,
            "c_out are missing: is one of the convolutions without its biases?": want - c_out,
            "your linear layer has c_out outputs; scale and shift together are 2 c_out": want - D * c_out - c_out,
            "your linear layer starts from c_in numbers; it reads the time's vector, D numbers": want
            + 2 * c_out * (c_in - D),
            "the linear layer is missing: from D numbers to scale and shift": want - 2 * D * c_out - 2 * c_out,
            "your second convolution starts from c_in channels; the first one has already made c_out of them": want
            + 9 * c_out * (c_in - c_out),
            "your convolutions have 3 weights a pair of channels; a 3x3 kernel has 9": want
            - 6 * (c_in * c_out + c_out**2),
        }
        if c_in != c_out:
            mistakes["you forgot the 1x1 convolution that adapts x where the channels change"] = want - skip
        else:
            mistakes["your block has a 1x1 convolution even where c_in = c_out; there x passes as it is"] = want + skip
        got, what = answer(c_in, c_out, D), f"the count for c_in = {c_in}, c_out = {c_out}, D = {D}"
        numbers = {why: torch.tensor(float(n)) for why, n in mistakes.items() if n != want}
        if isinstance(got, int | float) and got != want and got not in mistakes.values():
            raise WrongAnswer(f"{what} is {want:,}; yours is {_off(got - want, c_in, c_out, D)}")
        diagnose(what, got, torch.tensor(float(want)), numbers, tol=1e-9)
    return "Most of them stand in the two 3x3 convolutions and, for a long time vector, in the linear layer."


def _off(gap: float, c_in: int, c_out: int, D: int) -> str:
    """How far a count is off, and which part of the block, if any, is of that size."""
    sizes = {
        "c_in": c_in, "c_out": c_out, "c_in c_out": c_in * c_out, "c_out^2": c_out**2, "D c_out": D * c_out, "D": D
    }  # fmt: skip
    words = f"{abs(gap):,} too {'large' if gap > 0 else 'small'}"
    known = [f"{n} {name}" if n > 1 else name for n in (1, 2, 9, 18) for name, s in sizes.items() if n * s == abs(gap)]
    return f"{words}, which is {' or '.join(known)}" if known else f"{words}: write down each of the layers alone"


@exercise
def check_attention(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Check ``attend(q, k, v)``: ``softmax(q k^T / sqrt(d)) v`` over the keys, (B, heads, n, d)."""
    generator = fresh_generator()
    for B, heads, n, d in ((2, 3, 6, 5), (1, 2, 7, 7)):  # n = d too: a transposed product then has the right shape
        q, k, v = (2 * torch.randn(3, B, heads, n, d, generator=generator, dtype=torch.float64)).unbind(0)
        scores = q @ k.mT / math.sqrt(d)
        p = scores.softmax(-1)

        def scaled(factor: float, scores: Tensor = scores, v: Tensor = v) -> Tensor:
            return (scores * factor).softmax(-1) @ v

        together = q.flatten(1, 2) @ k.flatten(1, 2).mT / math.sqrt(d)  # (B, heads n, heads n)
        mistakes = {
            "your scores lack the factor 1 / sqrt(d)": scaled(math.sqrt(d)),
            "your scores are divided by d; divide by its root": scaled(1 / math.sqrt(d)),
            "your scores are multiplied by sqrt(d); divide": scaled(d),
            "your scores are divided by sqrt(n), n pixels; d is the size of a query": scaled(math.sqrt(d / n)),
            "your root is of the number of heads; d is the last axis, q.shape[-1]": scaled(math.sqrt(d / heads)),
            "your root is of all heads' numbers; each head has d of its own": scaled(1 / math.sqrt(heads)),
            "you divided by the root of d after the softmax; divide the scores, before it": scaled(math.sqrt(d))
            / math.sqrt(d),
            "you divided twice, before the softmax and after it": p @ v / math.sqrt(d),
            "your softmax runs over the queries; each query's weights must sum to 1 over the keys, the last axis": (
                scores.softmax(-2) @ v
            ),
            "your softmax runs over the heads or the batch; it belongs on the last axis, the keys": (
                scores.softmax(1) @ v
            ),
            "your keys ask and your queries answer: the rows of weights belong to q": scores.mT.softmax(-1) @ v,
            "you applied the weights transposed: row i of p, times v, is the answer to query i": p.mT @ v,
            "you collected the keys; the weights act on the values": p @ k,
            "your weights are the bare scores: the softmax is missing": scores @ v,
            "your q * k multiplies entry by entry; every query meets every key in q @ k.mT": (
                (q * k / math.sqrt(d)).softmax(-1) * v
            ),
            "your heads look at each other's keys: leave their axis as it is": (
                together.softmax(-1) @ v.flatten(1, 2)
            ).reshape(v.shape),
        }
        for n in (4, 8, 16, 32, 64):
            fixed = f"your root is of a fixed number, {n}; d is the size of a query, q.shape[-1]"
            mistakes[fixed] = scaled(math.sqrt(d / n))
        try:
            got = answer(q.clone(), k.clone(), v.clone())
        except RuntimeError as error:
            if isinstance(error, NotImplementedError):
                raise
            advice = "to turn keys into columns, swap the last two axes only, k.mT (.T turns all four around)"
            raise RuntimeError(f"{error}; {advice}").with_traceback(error.__traceback__) from error
        if isinstance(got, Tensor) and got.shape == p.shape != v.shape and torch.allclose(got.double(), p):
            raise WrongAnswer("you returned the weights; the answer is what they collect, p v")
        diagnose("the answer", got, p @ v, mistakes, tol=1e-5)
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

        def run(x: Tensor) -> Tensor:
            if x.shape[1] != c_in:
                where = "down or middle" if c_in == C else "up"
                advice = "h alone" if c_in == C else "h and what was kept, side by side along dim=1 (torch.cat)"
                raise ValueError(f"a layer of {where} got {x.shape[1]} channels, wanted {c_in}: {advice}")
            return torch.einsum("oc,bchw->bohw", weight, x).tanh()

        return run

    down, middle, up = [layer(C) for _ in range(3)], [layer(C)], [layer(2 * C) for _ in range(4)]

    def walk(kept: str = "outputs", last: int = -1, behind: bool = True, way: str = "") -> Tensor:
        x, skips = h, [h]
        for f in down:
            before, x = x, f(h if way == "stuck" else x)
            skips.append(before if kept == "inputs" else x)
        for f in middle if way != "no middle" else ():
            x = f(h if way == "forgotten" else x)
        skips = [x] * len(skips) if kept == "bottom" else [*skips, x] if kept == "middle" else skips
        for f in reversed(up) if way == "reversed" else up:
            skip = skips[-1] if kept == "peek" else skips.pop(last)
            x = f(torch.cat([x, skip] if behind else [skip, x], dim=1))
        return x

    mistakes = {
        "your skips come in the order in which they were kept (pop(0)); the latest must come first, so that "
        "resolutions match": walk(last=0),
        "your skip stands in front; what is there comes first, and the skip behind it": walk(behind=False),
        "you kept what goes into each layer of down; keep what comes out": walk(kept="inputs"),
        "you used the last skip again and again: take it off the list (pop)": walk(kept="peek"),
        "you left the middle out": walk(way="no middle"),
        "your skips are those of the bottom of the U, not those of the way down": walk(kept="bottom"),
        "you kept what the middle makes, too; only the stem and the way down are kept": walk(kept="middle"),
        "each layer of your way down gets the stem's h; it must get what the layer before it made": walk(way="stuck"),
        "your middle gets the stem's h; it must get what the way down made": walk(way="forgotten"),
        "you took the layers of up in reverse; they stand in the order in which they run": walk(way="reversed"),
    }
    try:
        got = answer(h.clone(), list(down), list(middle), list(up))
    except IndexError as error:
        raise WrongAnswer(
            f"your list of skips ran empty ({error}): there are as many as layers in up, h itself among them"
        ) from error
    diagnose("the result", got, walk(), mistakes)
    return "These few lines are the forward pass of every U-Net."
