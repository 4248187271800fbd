"""The average of weights of lesson 06, and what only its set has: a loss curve, the loss by t."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from matplotlib import pyplot
from torch import Tensor, nn

from ..diffusion import GaussianDiffusion
from ..measure import pretrained_history
from .lesson_06 import _integer, _refuse, _Tables
from .machinery import WrongAnswer, choice, curve, diagnose, exercise, fresh_generator, multiple_choice

__all__ = ["check_loss_curve", "check_plot_loss_by_t", "check_update_average"]


@exercise
def check_update_average(answer: Callable[[list[Tensor], list[Tensor], float, int], Any]) -> str:
    """Check ``update_average(average, weights, decay, n)``: in place, ``d = min(decay, (1 + n) / (10 + n))``."""
    g, decay, shapes, rows = fresh_generator(), 0.95, [(2, 3), (4,)], list[tuple[Tensor, Tensor, Tensor]]()
    ages = (_integer(1, 20, g), _integer(2000, 3000, g))  # on either side of where the ramp ends, n = 170
    for age in ages:
        average = [torch.randn(shape, generator=g, dtype=torch.float64) for shape in shapes]
        weights: list[Tensor] = [nn.Parameter(torch.randn(shape, generator=g, dtype=torch.float64)) for shape in shapes]
        given, before, true = list(average), _flat(average), _flat(weights)
        answer(average, weights, decay, age)
        _refuse(not torch.equal(_flat(weights), true), "the weights themselves have changed: only read them")
        _refuse([tuple(a.shape) for a in average] != shapes, "the averages have other shapes than before")
        graph = "your average hangs on the graph of all updates before it: use torch.no_grad(), or w.detach()"
        _refuse(any(a.requires_grad for a in average), graph)
        new = "you put new tensors into the list; the tensors themselves must change, as a network holds those"
        _refuse(any(a is not b for a, b in zip(average, given, strict=True)), new)
        rows.append((before, true, _flat(average)))
    old, now, got = (torch.cat(column) for column in zip(*rows, strict=True))
    n = torch.tensor(ages).repeat_interleave(10).double()
    second = torch.tensor(2 * (6 * [False] + 4 * [True]))  # the entries of the second tensor

    def mix(share: Tensor | float) -> Tensor:
        return share * old + (1 - share) * now

    ramp, count = (1 + n) / (10 + n), "with n updates in the averages, d_n = (1 + n) / (10 + n)"
    d = ramp.clamp(max=decay)
    mistakes = {
        "only the first tensor has changed: go through all of them": torch.where(second, old, mix(d)),
        f"your d is that of the update before: {count}": mix((n / (9 + n)).clamp(max=decay)),
        f"your d is that of the next update: {count}": mix(((2 + n) / (11 + n)).clamp(max=decay)),
        "the average is as before: change its tensors in place, as with a.mul_(d).add_(w, alpha=1 - d)": old,
        "the roles are swapped: the old average keeps the share d, the new weights come in with 1 - d": mix(1 - d),
        "the average is the newest weights: nothing is kept of the old one": now,
        "all weights so far count the same in yours; the newest should come in with 1 - d": mix(n / (n + 1)),
        "old and new have one half each; d of the old is to be kept": mix(0.5),
        "you add (1 - d) times the weights, and do not shrink the old average by d": old + (1 - d) * now,
        "d is the smaller of decay and (1 + n) / (10 + n); yours is the larger": mix(ramp.clamp(min=decay)),
        "d is decay from the start, or (10 + n) lacks its brackets; a young average should forget faster": mix(decay),
        "your d is (1 + n) / (10 + n) for ever, and comes near 1; decay is its limit: take the smaller": mix(ramp),
    }
    diagnose("the average", got, mix(d), mistakes)
    return "Sample with this one."


def _flat(tensors: list[Any]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def late_falls() -> tuple[int, float, float, float]:
    """Of the shipped network's training: the update from which its learning rate falls, by which fraction the loss
    falls from there on and in as many updates before, and the typical difference of neighboring points before."""
    history = pretrained_history("mnist")
    n_steps, falling = (
        int(re.search(rf"--{name} (\d+)", history["command"])[1])  # type: ignore[index]
        for name in ("n-steps", "decay-steps")
    )
    steps, loss = torch.tensor(history["loss"]["step"]), torch.tensor(history["loss"]["loss"], dtype=torch.float64)
    bend = n_steps - falling

    def level(step: int) -> Tensor:  # the mean of the last three points up to a step
        return loss[steps <= step][-3:].mean()

    before, at, after = level(bend - falling), level(bend), level(n_steps)
    tremble = loss[(steps > bend - falling) & (steps <= bend)].diff().abs().mean() / at
    return bend, float(1 - after / at), float(1 - at / before), float(tremble)


@exercise
def check_loss_curve(answer: choice) -> str:
    """Check the choice of what bends the shipped network's loss curve near its end: the learning rate falls."""
    bend, fall, before, tremble = late_falls()
    options = {
        "a": f"a network that learns its images by heart does so little by little; this curve bends at one place, "
        f"near update {bend:,}. And every image comes with another t and eps each time",
        "c": f"in the {before:.0%} that the loss fell over as many updates before, there is no sign of a plateau that "
        "was to end; and what would make it end just there? Ask what the recipe changes in a run",
        "d": f"neighboring points differed by {tremble:.1%} on average, now up, now down; this fall is {fall:.0%}, "
        "point after point. The luck of single batches does not last for thousands",
    }
    reasons = {
        2: "smaller steps go less far: on their way down they are slower. What they end is the trembling",
        3: "the curve is the loss of the raw weights, in which the average has no part; it only has the same effect",
        4: "AdamW divides by the typical size of the gradient at any learning rate; and the leash has not changed",
    }
    multiple_choice(answer, ("b", 1), options, reasons)
    return (
        f"It fell by {before:.1%} in as many updates before, and by {fall:.1%} with the learning rate. "
        "While the rate is high, averaged weights tremble less: so it is they that draw the samples."
    )


class _Straight(nn.Module):
    """eps_hat = a x_t + b sin t + c, in float64; it refuses times that are no int64 tensor (B,)."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, x_t: Tensor, t: Any) -> Tensor:
        made = "torch.full((len(x_0),), t) makes it"
        _refuse(not isinstance(t, Tensor), f"the network wants its t as a tensor, one for each image: {made}")
        _refuse(t.shape != x_t.shape[:1], f"the network wants t of shape (B,), got {tuple(t.shape)}: {made}")
        _refuse(t.dtype != torch.int64, f"the network wants t as int64, got {t.dtype}: {made}")
        a, b, c = self.weights
        return a * x_t + b * t.double().sin().view(-1, 1, 1, 1) + c


@exercise(library=("ddpm_lite.diffusion",))
def check_plot_loss_by_t(answer: Callable[..., Any]) -> str:
    """Check ``plot_loss_by_t(model, diffusion, x_0, eps, times)``: a figure whose line "loss" has, over each of the
    times, the mean square of ``eps - model(x_t, t)``, with x_t made of this x_0 and eps."""
    g = fresh_generator()
    d = _Tables(torch.linspace(0.02, 0.3, 30), dtype=torch.float64)
    model = _Straight(0.3 + 0.4 * torch.rand(3, generator=g, dtype=torch.float64))
    x_0 = 0.2 + 0.6 * torch.rand(5, 1, 3, 2, generator=g, dtype=torch.float64)
    eps = torch.randn(x_0.shape, generator=g, dtype=torch.float64) + 0.4
    times = [1, *sorted((torch.randperm(24, generator=g)[:5] + 3).tolist()), 29]
    curves = []
    for _ in range(2):
        pyplot.figure()  # for answers that draw in the current one
        curves.append(curve(answer(model, d, x_0.clone(), eps.clone(), list(times)), "loss"))
    (x, y), (_, again) = curves
    n = len(times)
    _refuse(len(y) != n, f'the line "loss" has {len(y)} points; there are {n} times, so it should have {n}')
    _refuse(not torch.equal(y, again), "two calls gave two curves: use the eps that is given, draw none")
    where = {
        "your x counts the times, 0, 1, 2, ...; it should hold the times themselves: plot(times, ...)": range(n),
        "your x counts the times, 1, 2, 3, ...; it should hold the times themselves": range(1, n + 1),
        "your x is t / T; it should be t": [t / d.T for t in times],
        "your x is t - 1, as another index convention has it; here it is t, from 1 to T": [t - 1 for t in times],
        "your x is the logarithm of t; plot t, and leave the logarithm to set_xscale": torch.tensor(times).log(),
    }
    wanted = torch.tensor(times).double()
    _refuse(torch.allclose(y.sort().values, wanted), "your x and y are swapped: t goes to the right, the loss up")
    if not torch.allclose(x.sort().values, wanted):
        for why, values in where.items():
            _refuse(torch.allclose(x, torch.as_tensor(values).double(), atol=1e-5), why)
        raise WrongAnswer(f"your x should be the times {times}, got {[round(v, 3) for v in x.tolist()]}")
    diagnose("the loss over t", y[x.argsort()], *_losses_by_t(model, d, x_0, eps, times), tol=1e-5)
    return "On load_pretrained it falls as t grows: where little noise hides in the image, it is hardest to tell."


@torch.no_grad()
def _losses_by_t(
    model: nn.Module, d: GaussianDiffusion, x_0: Tensor, eps: Tensor, times: list[int]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The losses at the times, and those that known mistakes give."""

    def errors(
        signal: Tensor = d.sqrt_alpha_bar, noise: Tensor = d.sqrt_one_minus_alpha_bar, *,
        at: int = 0, told: int = 0, of: list[int] = times, target: Tensor = eps, clean: bool = False,
    ) -> Tensor:  # fmt: skip
        rows = []
        for t in of:
            x_t = x_0 if clean else signal[t + at] * x_0 + noise[t + at] * eps
            rows.append(target - model(x_t, torch.full((len(x_0),), t + told)))
        return torch.stack(rows).flatten(1)  # (n, pixels of all images)

    def loss(*tables: Tensor, **change: Any) -> Tensor:
        return errors(*tables, **change).square().mean(1)

    right, each, B = loss(), errors(), len(x_0)
    mistakes = {
        "your loss is the sum of the squares; take their mean over pixels and images": each.square().sum(1),
        "you add up the squares of each image; the loss is the mean over pixels as well as images": (
            each.square().sum(1) / B
        ),
        "this is the root of the loss; leave the root out": right.sqrt(),
        "this is the logarithm of the loss; plot the loss, and leave the logarithm to set_yscale": right.log(),
        "this is the logarithm of base 10; plot the loss, and leave the logarithm to set_yscale": right.log10(),
        "this is the absolute error; square it": each.abs().mean(1),
        "these are shares, which sum to 1; the loss itself was asked for": right / right.sum(),
        "this is the loss of all times so far, added up; each t has its own": right.cumsum(0),
        "your losses belong to the times in falling order: the x is in another order than the y": right.flip(0),
        "this is the loss of the first image alone; take the mean over all": each.view(len(times), B, -1)[:, 0]
        .square()
        .mean(1),
        "this is the square of the mean error, in which errors of both signs cancel; square first": (
            each.mean(1).square()
        ),
        "the network is asked for the noise; you compare its answer with x_0": loss(target=x_0),
        "you show the network x_0; it should see x_t, the noised image": loss(clean=True),
        "your x_t has alpha_bar and 1 - alpha_bar as factors; they need their roots": loss(
            d.alpha_bar, 1 - d.alpha_bar
        ),
        "the two rates are swapped: sqrt(alpha_bar_t) belongs to x_0": loss(
            d.sqrt_one_minus_alpha_bar, d.sqrt_alpha_bar
        ),
        "the rate of your noise lacks its root: it is sqrt(1 - alpha_bar_t)": loss(d.sqrt_alpha_bar, 1 - d.alpha_bar),
        "your rates are those of t - 1: entry t of the table belongs to t": loss(at=-1),
        "your rates are those of t + 1: entry t of the table belongs to t": loss(at=1),
        "the network is told t - 1; here t runs from 1 to T, and that is what it was trained with": loss(told=-1),
        "your curve is that of t - 1 throughout: t runs from 1 to T, and entry t of the table belongs to t": loss(
            at=-1, told=-1
        ),
        "all times have the loss of the first: does your loop use its t?": loss(of=times[:1]).expand(len(times)),
        "all times have the loss of the last: is x_t made inside the loop?": loss(of=times[-1:]).expand(len(times)),
    }
    return right, mistakes
