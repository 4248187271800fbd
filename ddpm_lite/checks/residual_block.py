"""What can be said of a reader's residual block, whatever its layers are called: used by ``check_residual_block``.

Each function raises ``WrongAnswer`` for what it finds wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .machinery import WrongAnswer


def first_call(block: nn.Module, x: Tensor, emb: Tensor, c_out: int) -> None:
    """One call in float32: channels, rows and columns, nothing random, nothing in place, every layer registered."""
    before, (b, c_in, h, w) = x.clone(), x.shape
    try:
        out = block(x, emb)
    except RuntimeError as error:
        if "size" not in str(error):
            raise
        numbers = {int(n) for n in re.findall(r"tensor . \((\d+)\)", str(error))}
        if numbers == {c_in, c_out}:
            raise WrongAnswer(
                f"x has {c_in} channels, the convolutions make {c_out} of them: x passes through a 1x1 convolution "
                "before it is added"
            ) from error
        if numbers and max(numbers) <= h:
            raise WrongAnswer(f"a 3x3 convolution needs padding=1 to keep rows and columns ({error})") from error
        if "dimension 3" in str(error) or "dimension 2" in str(error):
            raise WrongAnswer(
                f"scale and shift have shape (B, C); [:, :, None, None] gives them one row and one column ({error})"
            ) from error
        raise
    if not torch.equal(x, before):
        raise WrongAnswer("your block changes x itself (in place); others still need it: make a new tensor")
    if not isinstance(out, Tensor):
        raise WrongAnswer(f"forward returns {type(out).__name__}; it should return a tensor")
    if out.shape != (b, c_out, h, w):
        why = "a 3x3 convolution needs padding=1" if out.shape[2:] != x.shape[2:] else "the convolutions make c_out"
        raise WrongAnswer(f"the output should have shape {(b, c_out, h, w)}, got {tuple(out.shape)}: {why}")
    if not torch.equal(block(x, emb), out):
        raise WrongAnswer(
            "two calls on the same x and emb differ: is a layer made in forward, new each time, or is there dropout? "
            "Make the layers in __init__; this block has no dropout"
        )
    if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in block.modules()):
        raise WrongAnswer("BatchNorm mixes the images of a batch, nearly clean ones with noise: use nn.GroupNorm")


def start(block: nn.Module, x: Tensor, emb: Tensor, same: bool) -> None:
    """A new block is the identity (or its 1x1 convolution alone), and something in it can be learned."""
    try:
        out = block(x, emb)
    except RuntimeError as error:
        if "type" not in str(error):
            raise
        raise WrongAnswer(
            f"some of your layers are not registered, so no optimizer would find their weights ({error}): make each an "
            "attribute of self, or put them in an nn.ModuleList, not in a plain list or dict"
        ) from error
    if not out.requires_grad:
        raise WrongAnswer(
            "the output has no gradient: is there a detach, .data or no_grad in forward, or does no layer take part?"
        )
    names = dict(block.named_modules())
    convs = [(name, m) for name, m in names.items() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]
    zero = [name for name, m in convs if not m.weight.detach().any()]
    if same and not torch.allclose(out, x, atol=1e-9):
        extra = out.detach() - x
        if not out.detach().any():
            raise WrongAnswer("a new block returns zeros: x itself has to be added to what the convolutions make")
        if torch.allclose(out, F.silu(x)):
            raise WrongAnswer("your SiLU acts on the sum; x is added last, and nothing comes after")
        if torch.allclose(extra, extra.mean((0, 2, 3), keepdim=True), atol=1e-9):
            raise WrongAnswer(
                "a new block adds a constant to each channel of x: the last convolution's bias has to start at zero too"
            )
        if _affine(block, x, emb):
            raise WrongAnswer(
                "a new block turns x into a mixture of its channels: where c_in = c_out, x is added as it is, without "
                "a 1x1 convolution"
            )
        normed = [m for m in names.values() if isinstance(m, nn.GroupNorm) and m.num_channels == x.shape[1]]
        if any(torch.allclose(out, f(m(x)), atol=1e-6) for m in normed for f in (F.silu, nn.Identity())):
            raise WrongAnswer("you add the normed x, not x: keep what came in under a name of its own")
        if zero:
            raise WrongAnswer(f"the convolution that starts at zero has to be the last one; yours is {zero[0]!r}")
        raise WrongAnswer(
            "a new block should return x exactly: set weight and bias of the last convolution to zero (nn.init.zeros_)"
        )
    if not same and not _affine(block, x, emb):
        raise WrongAnswer(
            "a new block that changes the channels should return the 1x1 convolution of x and no more: "
            "its last convolution starts at zero, and x goes to the 1x1 convolution before any norm or SiLU"
        )
    weight = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).reshape(out.shape).sin()
    parameters = [p for p in block.parameters() if p.requires_grad]
    gradients = torch.autograd.grad((out * weight).sum(), parameters, allow_unused=True)
    inside = [g for p, g in zip(parameters, gradients, strict=True) if not (p.ndim == 4 and p.shape[2] == 1)]
    if not any(bool(g.any()) for g in inside if g is not None and g.ndim == 4):
        raise WrongAnswer(
            "no weight of a 3x3 convolution gets a gradient, so the block will stay what it is: only one thing on the "
            "way may be zero, the last convolution's own weights and bias"
        )


def _affine(block: nn.Module, x: Tensor, emb: Tensor) -> bool:
    """Whether block(x, emb) is a linear map of x plus a constant, and the same for every emb."""
    with torch.no_grad():
        a, b, both, none = (block(y, emb) for y in (x, x.flip(0), x + x.flip(0), 0 * x))
    return torch.allclose(both, a + b - none, atol=1e-8) and torch.allclose(block(x, -emb), a, atol=1e-8)


def independence(block: nn.Module, x: Tensor, emb: Tensor) -> None:
    """Each image has its own time, and the time matters."""
    with torch.no_grad():
        out, later = block(x, emb), block(x, torch.cat([emb[:1] + 1, emb[1:]]))
        other = block(torch.cat([x[:1], x[1:].flip(1)]), emb)
    if torch.allclose(out, later, atol=1e-9):
        raise WrongAnswer(
            "the time does not reach the output: another emb, the same answer. Scale and shift act after norm_2"
            if torch.allclose(out, block(x, 3 - emb).detach(), atol=1e-9)
            else "the time of the first image does not reach it: image b has emb[b]"
        )
    if not torch.allclose(out[1:], later[1:], atol=1e-9):
        raise WrongAnswer("the time of one image changes another: image b has scale and shift made from emb[b] alone")
    if not torch.allclose(out[0], other[0], atol=1e-9):
        raise WrongAnswer("what comes out for an image depends on the others in its batch: normalize each image alone")


def gradients(block: nn.Module, x: Tensor, emb: Tensor) -> None:
    """Every weight is used, and x and emb both get a gradient."""
    x, emb = x.clone().requires_grad_(), emb.clone().requires_grad_()
    named = [(name, p) for name, p in block.named_parameters() if p.requires_grad]
    out = (block(x, emb) ** 2).sum()
    of_x, of_emb, *rest = torch.autograd.grad(out, [x, emb, *(p for _, p in named)], allow_unused=True)
    if of_x is None or of_emb is None:
        raise WrongAnswer(f"no gradient flows back to {'x' if of_x is None else 'emb'}: is there a detach or no_grad?")
    unused = [name for (name, _), g in zip(named, rest, strict=True) if g is None]
    if unused:
        raise WrongAnswer(f"{unused[0]} is never used: this layer is made in __init__, but left out in forward")


def _layers(block: nn.Module, x: Tensor, emb: Tensor) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """The norms, the 3x3 convolutions, the linear layers of the time, and all layers, in the order of their calls."""
    calls: list[tuple[nn.Module, torch.Size]] = []  # a layer, and the shape of what it gets
    kinds = (nn.GroupNorm, nn.Conv2d, nn.Linear)
    found = [m for m in block.modules() if isinstance(m, kinds)]
    hooks = [m.register_forward_pre_hook(lambda m, given: calls.append((m, given[0].shape))) for m in found]
    with torch.no_grad():
        block(x, emb)
    for hook in hooks:
        hook.remove()
    norms = [m for m, _ in calls if isinstance(m, nn.GroupNorm)]
    convs = [m for m, _ in calls if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]
    time = [m for m, shape in calls if isinstance(m, nn.Linear) and shape == emb.shape]
    return norms, convs, time, [m for m, _ in calls]


def factor_of_time(block: nn.Module, x: Tensor, emb: Tensor) -> bool:
    """Whether the new block's linear layers make factors that start at 1, so that no 1 has to be added."""
    *_, time, _ = _layers(block, x, emb)
    biases = [m.bias.detach() for m in time if m.bias is not None]
    return bool(biases) and int((torch.cat(biases) == 1).sum()) == sum(len(b) for b in biases) // 2


def norms(block: nn.Module, x: Tensor, emb: Tensor) -> None:
    """A norm in front of either convolution, none behind."""
    found, convs, _, calls = _layers(block, x, emb)
    with torch.no_grad():
        out = block(x, emb)
        if out.shape == x.shape and not torch.allclose(block(9 * x, emb) - 9 * x, out - x, atol=1e-3):
            if isinstance(calls[0], nn.GroupNorm):
                raise WrongAnswer("norm_1 acts on x itself; SiLU comes after it, not before")
            raise WrongAnswer("what the convolutions add grows with x: norm_1 comes first, then SiLU, then conv_1")
        if len(convs) != 2 or convs[0] is convs[1]:
            return
        if any(isinstance(layer, nn.GroupNorm) for layer in calls[calls.index(convs[1]) :]):
            raise WrongAnswer("a norm comes after your last convolution; it stands before it, then SiLU")
        for p in convs[0].parameters():
            p.mul_(7)
        scaled = block(x, emb)
        for p in convs[0].parameters():
            p.div_(7)
        if len(found) < 2 and not torch.allclose(scaled, out, atol=1e-3):
            raise WrongAnswer("norm_2 is missing: what conv_1 makes is normed before scale and shift act on it")


def formula(block: nn.Module, x: Tensor, emb: Tensor, starts_at_1: bool) -> None:
    """The formula of the lesson with the block's own layers, as far as they are torch.nn's."""
    norms, convs, time, calls = _layers(block, x, emb)
    with torch.no_grad():
        out = block(x, emb)
        same = out.shape == x.shape
        if len(norms) != 2 or len(convs) != 2 or len(time) not in (1, 2):
            return  # other layers than the usual ones: all that could be tested without them has been
        vectors = [torch.cat([m(e) for m in time], 1)[:, :, None, None] for e in (F.silu(emb), emb)]
        if vectors[0].shape[1] == out.shape[1]:
            raise WrongAnswer("your linear layer has c_out outputs; it makes a scale and a shift, 2 c_out")
        if vectors[0].shape[1] != 2 * out.shape[1]:
            return
        around = [m for m in calls if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
        skip = around[0](x) if around and not same else x

        def is_(inner: Callable[..., Tensor], v: Tensor = vectors[0], missing: str = "") -> bool:
            """Whether the block is this formula, whatever names and places scale and shift have in the vector."""
            n1, (c1, c2) = norms[0], convs
            h = c1(n1(x) if missing == "first" else F.silu(n1(x)))
            (a, b), (c, d) = v.chunk(2, 1), (v[:, ::2], v[:, 1::2])
            for scale, shift in ((a, b), (b, a), (c, d), (d, c)):
                g = inner(h, norms[1], scale, shift)
                if torch.allclose(skip + c2(g if missing == "second" else F.silu(g)), out, atol=1e-7):
                    return True
            return False

        def bare(h: Tensor, n2: nn.Module, a: Tensor, b: Tensor) -> Tensor:
            return n2(h) * a + b

        def right(h: Tensor, n2: nn.Module, a: Tensor, b: Tensor) -> Tensor:
            return bare(h, n2, 1 + a, b)

        if is_(right) or (starts_at_1 and is_(bare)):
            return
        mistakes = {
            "your factor is a; it should be 1 + a, so that a = 0 leaves the channel as it is": is_(bare),
            "your scale and shift come before norm_2, which undoes part of it; they act on what it makes": is_(
                lambda h, n2, a, b: n2(h * (1 + a) + b)
            ),
            "you add the shift first and scale both; it is norm_2(h) (1 + a) + b": is_(
                lambda h, n2, a, b: (n2(h) + b) * (1 + a)
            ),
            "your shift is missing: norm_2(h) (1 + a) + b": is_(lambda h, n2, a, b: n2(h) * (1 + a)),
            "your scale is missing: norm_2(h) (1 + a) + b": is_(lambda h, n2, a, b: n2(h) + b),
            "emb goes through SiLU before the linear layer; yours goes in as it is": is_(right, vectors[1]),
            "scale and shift come straight from the linear layer; yours went through a SiLU after it": is_(
                lambda h, n2, a, b: right(h, n2, F.silu(a), F.silu(b)), vectors[1]
            ),
            "the SiLU before conv_1 is missing": is_(right, missing="first"),
            "the SiLU before conv_2 is missing": is_(right, missing="second"),
        }
        formula = "x + conv_2(silu(norm_2(h) (1 + a) + b)) with h = conv_1(silu(norm_1(x)))"
        otherwise = f"the start is right, but with other weights the block is not {formula}: compare it line by line"
        raise WrongAnswer(next((why for why, holds in mistakes.items() if holds), otherwise))
