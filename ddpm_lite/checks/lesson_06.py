"""The exercises of lesson 06: a batch, an update, a learning rate, an average of weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..diffusion import GaussianDiffusion
from .machinery import WrongAnswer, diagnose, exercise, fresh_generator


def _integer(low: int, high: int, generator: torch.Generator) -> int:
    return int(torch.randint(low, high, (1,), generator=generator))


# ---- exercise 1 ------------------------------------------------------------------------------------------------------

SCALES: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x / 127.5 - 1,
    "your pixels run from 0 to 1; the schedule and the clipping of samples take them to run from -1 to 1": (
        lambda x: x / 255
    ),
    "your pixels run from 0 to 255, as they are stored; bring them to -1 .. 1": lambda x: x,
    "white, 255, becomes 0.992 and not 1: divide by 127.5, not by 128": lambda x: x / 128 - 1,
    "your pixels run from -0.5 to 0.5; bring them to -1 .. 1": lambda x: x / 255 - 0.5,
    "your images are negatives: 0 is black, and becomes -1": lambda x: 1 - x / 127.5,
}


@exercise
def check_draw_batch(answer: Callable[[Tensor, int, int, torch.Generator], tuple[Tensor, Tensor]]) -> str:
    """Check ``draw_batch(images, n, T, generator) -> x_0, t``: n of the images, in [-1, 1]; n times from 1..T."""
    fresh, n, T, rounds = fresh_generator(), 60, 4, 60
    images = torch.randint(0, 256, (120, 1, 4, 4), generator=fresh, dtype=torch.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = 0, 255
    seed, before = _integer(0, 10**6, fresh), torch.get_rng_state()
    first, again = (answer(images.clone(), n, T, torch.Generator().manual_seed(seed)) for _ in range(2))
    if not isinstance(first, tuple) or len(first) != 2:
        raise WrongAnswer("return two tensors: x_0, t")
    x_0, t = first
    for name, x, shape in (("x_0", x_0, (n, 1, 4, 4)), ("t", t, (n,))):
        if not isinstance(x, Tensor) or x.shape != shape:
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise WrongAnswer(f"{name} should be a tensor of shape {shape}, got {got}")
    if t.dtype != torch.int64:
        raise WrongAnswer(f"t indexes a table: it should be int64, got {t.dtype}")
    if x_0.dtype != torch.float32:
        why = "the network's weights are float32" if x_0.is_floating_point() else "whole numbers leave out 0.5"
        raise WrongAnswer(f"x_0 should be float32, got {x_0.dtype}: {why}")
    if not (torch.equal(x_0, again[0]) and torch.equal(t, again[1])) or not torch.equal(before, torch.get_rng_state()):
        raise WrongAnswer("two generators of one seed give two batches: pass generator=generator to each draw")
    fits = {
        why: torch.cdist(x_0.flatten(1).double(), scale(images.double()).flatten(1)).amin(1).max() < 1e-4
        for why, scale in SCALES.items()
    }
    if not fits[""]:
        known = [why for why, fit in fits.items() if fit]
        raise WrongAnswer(known[0] if known else "x_0 should hold images as they are, only scaled to -1 .. 1")
    generator = torch.Generator().manual_seed(seed)
    draws = [answer(images.clone(), n, T, generator) for _ in range(rounds)]
    times = torch.stack([t for _, t in draws])
    if int(times.min()) < 1:
        raise WrongAnswer("you draw t = 0, the clean image: there is no noise in it to predict; t runs from 1 to T")
    if int(times.max()) > T:
        raise WrongAnswer(f"you draw t = {int(times.max())} for T = {T}: the table ends at entry T")
    if int(times.max()) < T:
        raise WrongAnswer("t = T never comes: torch.randint leaves out its upper end, so that end should be T + 1")
    if bool((times == times[:, :1]).all()):
        raise WrongAnswer("all images of a batch have one t: draw n of them")
    if bool((times == times[0]).all()):
        raise WrongAnswer("your t are the same in every batch: draw them anew, with the generator that is given")
    shares = times.flatten().bincount(minlength=T + 1)[1:] / times.numel()
    if float((shares - 1 / T).abs().max()) > 0.06:
        raise WrongAnswer("some t come more often than others: each of 1..T should be equally likely")
    drawn, known = torch.stack([x for x, _ in draws]).double(), SCALES[""](images.double())
    _judge_indices(torch.cdist(drawn.flatten(2), known.flatten(1)).argmin(2), len(images))
    return "Every image and every t has its turn."


def _judge_indices(index: Tensor, N: int) -> None:
    """Raise WrongAnswer unless index, (rounds, n), is drawn from 0..N-1 with equal chances, batch by batch."""
    if bool((index == index[0]).all()):
        raise WrongAnswer("every batch holds the same images: draw them anew, with the generator that is given")
    if bool((index == index[:, :1]).all()):
        raise WrongAnswer("one image fills the whole batch: draw n of them")
    if bool((index.diff(dim=1) % N == 1).all()):
        raise WrongAnswer("a batch is a row of neighbors: draw each by itself, with randint(len(images), (n,), ...)")
    counts = index.flatten().bincount(minlength=N).double()
    missing = (counts == 0).nonzero().flatten().tolist()  # by bad luck: one image once in 10^11 checks
    if missing in ([0], [N - 1]):
        which = "first" if missing == [0] else "last"
        raise WrongAnswer(f"the {which} image never comes: draw indices with randint(len(images), ...), 0 to len - 1")
    if missing:
        raise WrongAnswer(f"{len(missing)} of {N} images never come: draw from all, with randint(len(images), ...)")
    mean = index.numel() / N
    if float((counts - mean).square().sum() / mean) > 2 * N:  # chi^2: N - 1 on average, by luck once in 10^9 checks
        raise WrongAnswer("some images come more often than others: each should be equally likely")


# ---- exercise 2 ------------------------------------------------------------------------------------------------------


class _Probe(nn.Module):
    """eps_hat = a x_t + b t + c: a denoiser of three weights, in float64."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights.clone())

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        a, b, c = self.weights
        return a * x_t + b * t.view(-1, 1, 1, 1) / 10 + c


FIRST_T = "you take the first t for the whole batch: each image has its own"


def _losses(model: nn.Module, d: GaussianDiffusion, x_0: Tensor, t: Tensor, eps: Tensor) -> dict[str, Tensor]:
    """The loss under "", and that of each known mistake under its explanation."""

    def mix(signal: Tensor, noise: Tensor, at: Tensor = t) -> Tensor:
        return signal[at].view(-1, 1, 1, 1) * x_0 + noise[at].view(-1, 1, 1, 1) * eps

    def loss(x_t: Tensor, told: Tensor = t) -> Tensor:
        return (eps - model(x_t, told)).square().mean()

    signal, noise = d.sqrt_alpha_bar, d.sqrt_one_minus_alpha_bar
    x_t, first = mix(signal, noise), t[:1].expand(len(t))
    error = eps - model(x_t, t)
    return {
        "": loss(x_t),
        "your loss is the sum of the squares; L_simple is their mean, so that it does not grow with the batch": (
            error.square().sum()
        ),
        "you add up the squares of each image; the loss is the mean over pixels as well as over images": (
            error.square().flatten(1).sum(1).mean()
        ),
        "your loss is the root of the mean square; leave the root out": loss(x_t).sqrt(),
        "your loss is half of the mean square: leave out the 1/2": loss(x_t) / 2,
        "your loss takes the absolute error; square it": error.abs().mean(),
        "the network is asked for the noise, eps; you compare its answer with x_0": (
            (x_0 - model(x_t, t)).square().mean()
        ),
        "you show the network x_0; it should see x_t, the noised image": loss(x_0),
        "your x_t has alpha_bar and 1 - alpha_bar as factors; equation (4) has their roots": (
            loss(mix(d.alpha_bar, 1 - d.alpha_bar))
        ),
        "the rate of your noise lacks its root: it is sqrt(1 - alpha_bar_t)": loss(mix(signal, 1 - d.alpha_bar)),
        "the rate of your x_0 lacks its root: it is sqrt(alpha_bar_t)": loss(mix(d.alpha_bar, noise)),
        "the two rates are swapped: sqrt(alpha_bar_t) belongs to x_0": loss(mix(noise, signal)),
        "your rates are those of t - 1: entry t of the table belongs to t": loss(mix(signal, noise, t - 1)),
        "your rates are those of t + 1: entry t of the table belongs to t": loss(mix(signal, noise, t + 1)),
        "you add the noise to x_0 at full strength: both have their rate, equation (4)": loss(x_0 + eps),
        FIRST_T: loss(mix(signal, noise, first)),
        f"{FIRST_T}, for the network too": loss(mix(signal, noise, first), first),
        f"{FIRST_T}; the network is told only the first": loss(x_t, first),
    }


def _as_text(loss: Any) -> str:
    """A loss to compare, NaN too; "" for what is none."""
    return repr(torch.as_tensor(loss).tolist()) if isinstance(loss, (float, Tensor)) else ""


@exercise
def check_training_step(answer: Callable[..., Any]) -> str:
    """Check ``training_step(model, optimizer, diffusion, x_0, t, eps) -> loss``: one update, called twice."""
    g, lr = fresh_generator(), 0.05
    diffusion = GaussianDiffusion(torch.linspace(0.05, 0.4, 10), dtype=torch.float64)
    model = _Probe(0.2 + 0.3 * torch.rand(3, generator=g, dtype=torch.float64))
    optimizer = torch.optim.SGD(model.parameters(), lr)
    reached, gradients = model.weights.detach().clone(), []
    for call in (1, 2):
        x_0 = 0.3 + 0.5 * torch.rand(3, 1, 2, 2, generator=g, dtype=torch.float64)
        eps = torch.randn(x_0.shape, generator=g, dtype=torch.float64) + 1
        t = 2 + torch.randperm(8, generator=g)[:3]
        twin = _Probe(reached)
        losses = _losses(twin, diffusion, x_0, t, eps)
        loss = losses.pop("")
        (gradient,) = torch.autograd.grad(loss, [twin.weights])
        gradients.append(gradient)
        other = _Probe(model.weights.detach())
        got = answer(model, optimizer, diffusion, x_0.clone(), t.clone(), eps.clone())
        again = answer(other, torch.optim.SGD(other.parameters(), lr), diffusion, x_0.clone(), t.clone(), eps.clone())
        if _as_text(got) != _as_text(again):
            raise WrongAnswer("the same inputs gave two losses: use the t and the eps that are given, draw none")
        diagnose(f"the loss of call {call}", got, loss.detach(), {why: value.detach() for why, value in losses.items()})
        before, reached = reached, reached - lr * gradient
        mistakes = {
            "the loss is right, but the weights did not move: is step() called, after backward(), and is zero_grad() "
            "not between the two?": before,
            "you walk uphill: the loss should be made smaller, so call backward() on the loss itself": (
                before + lr * gradient
            ),
            "you made two updates in one call": before - 2 * lr * gradient,
            "the second update went along the gradients of both calls: backward() adds to what is there; call "
            "zero_grad() before it": before - lr * (gradients[0] + gradient),
        }
        diagnose(f"the weights after call {call}", model.weights, reached, mistakes)
    return "Algorithm 1, one turn of it."


# ---- exercise 3 ------------------------------------------------------------------------------------------------------


@exercise
def check_learning_rate(answer: Callable[[int, int, int, float], float]) -> str:
    """Check ``learning_rate(k, K, w, lr)``: ``lr min(1, k / w) (1 - cos(pi min(1, (K - k + 1) / (K - w)))) / 2``."""
    g = fresh_generator()
    K, w, lr = _integer(40, 90, g), _integer(5, 12, g), 1e-3 * _integer(1, 9, g)
    k = torch.arange(1, K + 1, dtype=torch.float64)

    def fall(left: Tensor) -> Tensor:
        return (1 - torch.cos(math.pi * left)) / 2

    def curve(warm: Tensor, left: Tensor) -> Tensor:
        return lr * warm * fall(left.clamp(0, 1))

    warm, left, one = (k / w).clamp(max=1), (K - k + 1) / (K - w), torch.ones_like(k)
    up = (k / w).clamp(min=1)
    mistakes = {
        "your first update has learning rate 0, and does nothing: updates are counted from 1": curve(
            ((k - 1) / w).clamp(max=1), (K - k + 1) / (K - w)
        ),
        "you count the updates from 0; the first one is k = 1": curve(
            ((k - 1) / w).clamp(max=1), (K - k + 2) / (K - w)
        ),
        "your last update has learning rate 0, and does nothing: K - k + 1 updates are left at update k": curve(
            warm, (K - k) / (K - w)
        ),
        "the warm-up is missing: the first updates should have lr / w, 2 lr / w, ...": curve(one, left),
        "it never falls: over the updates after the warm-up it should go down to 0": lr * warm,
        "it falls in a straight line; half a cosine was asked for": lr * warm * left.clamp(0, 1),
        "it begins to fall at update 1; the fall should begin after the warm-up, over K - w updates": curve(
            warm, (K - k + 1) / K
        ),
        "it rises where it should fall: at the end of the run, the share that is left is small": curve(
            warm, 1 - left.clamp(0, 1)
        ),
        "it is twice as large: the factor 1/2 is missing": 2 * curve(warm, left),
        "the factor lr is missing: it should peak at lr": curve(warm, left) / lr,
        "the share that is left is more than 1 during the warm-up: the inner min is missing": lr * warm * fall(left),
        "k / w grows on after the warm-up: the outer min is missing": lr * k / w * fall(left.clamp(max=1)),
        "both min are missing: what is larger than 1 counts as 1": lr * k / w * fall(left),
        "the factor pi is missing in the cosine": lr * warm * (1 - torch.cos(left.clamp(max=1))) / 2,
        "you take the larger of 1 and k / w; take the smaller, min": lr * up * fall(left.clamp(max=1)),
        "you take the larger of 1 and the share that is left; take min": lr * warm * fall(left.clamp(min=1)),
        "both your min are max": lr * up * fall(left.clamp(min=1)),
        "k // w is a whole number; during the warm-up you need the fraction k / w": curve((k // w).clamp(max=1), left),
    }
    values = [answer(int(i), K, w, lr) for i in k]
    if any(value is None for value in values):
        raise WrongAnswer("your function returns None: does it return its result?")
    got, want = torch.tensor([float(value) for value in values], dtype=torch.float64) / lr, curve(warm, left) / lr
    worst = int((got - want).abs().argmax()) + 1  # judged in units of lr, which is small itself
    what = f"learning rate / lr at k = {worst} of K = {K}, with w = {w},"
    diagnose(what, got, want, {why: wrong / lr for why, wrong in mistakes.items()})
    return "Slow at first, slow at last."


# ---- exercise 4 ------------------------------------------------------------------------------------------------------


@exercise
def check_update_average(answer: Callable[[list[Tensor], list[Tensor], float, int], Any]) -> str:
    """Check ``update_average(average, weights, decay, n)``: in place, ``d = min(decay, (1 + n) / (10 + n))``."""
    g, decay, shapes = fresh_generator(), 0.95, [(2, 3), (4,)]
    ages = (_integer(1, 20, g), _integer(2000, 3000, g))  # on either side of where the ramp ends, n = 170
    olds, nows, got = [], [], []
    for n in ages:
        average = [torch.randn(shape, generator=g, dtype=torch.float64) for shape in shapes]
        weights: list[Tensor] = [nn.Parameter(torch.randn(shape, generator=g, dtype=torch.float64)) for shape in shapes]
        olds.append(_flat(average))
        nows.append(_flat(weights))
        given = list(average)
        answer(average, weights, decay, n)
        if not torch.equal(_flat(weights), nows[-1]):
            raise WrongAnswer("the weights themselves have changed: training goes on with them, only read them")
        if [tuple(a.shape) for a in average] != shapes:
            raise WrongAnswer("the averages have other shapes than before")
        if any(a.requires_grad for a in average):
            raise WrongAnswer(
                "your average hangs on the graph of all updates before it, and memory fills up: "
                "work under torch.no_grad(), or with w.detach()"
            )
        if not all(a is b for a, b in zip(average, given, strict=True)):
            raise WrongAnswer(
                "you put new tensors into the list; the tensors themselves must change: those of a network hang in it, "
                "not in the list"
            )
        got.append(_flat(average))

    def mix(share: Callable[[int], float]) -> Tensor:
        pairs = zip(ages, olds, nows, strict=True)
        return torch.cat([share(n) * old + (1 - share(n)) * now for n, old, now in pairs])

    def d(n: int) -> float:
        return min(decay, (1 + n) / (10 + n))

    one = [old.clone() for old in olds]  # only the first tensor brought up to date
    for n, old, now in zip(ages, one, nows, strict=True):
        old[: math.prod(shapes[0])].lerp_(now[: math.prod(shapes[0])], 1 - d(n))
    mistakes = {
        "only the first tensor has changed: go through all of them": torch.cat(one),
        "your d is that of the update before: with n updates in the averages, d_n = (1 + n) / (10 + n)": (
            mix(lambda n: min(decay, n / (9 + n)))
        ),
        "your d is that of the next update: with n updates in the averages, d_n = (1 + n) / (10 + n)": (
            mix(lambda n: min(decay, (2 + n) / (11 + n)))
        ),
        "the average is as before: change its tensors in place, as with a.mul_(d).add_(w, alpha=1 - d)": (
            torch.cat(olds)
        ),
        "the roles are swapped: the old average keeps the share d, the new weights come in with 1 - d": (
            mix(lambda n: 1 - d(n))
        ),
        "the average is the newest weights: nothing is kept of the old one": torch.cat(nows),
        "all weights so far count the same in yours; the newest should come in with 1 - d": mix(lambda n: n / (n + 1)),
        "old and new have one half each; d of the old is to be kept": mix(lambda n: 0.5),
        "you add (1 - d) times the weights, and do not shrink the old average by d": torch.cat(
            [old + (1 - d(n)) * now for n, old, now in zip(ages, olds, nows, strict=True)]
        ),
        "d is the smaller of the two, decay and (1 + n) / (10 + n); yours is the larger": (
            mix(lambda n: max(decay, (1 + n) / (10 + n)))
        ),
        "your d is decay from the start, or (10 + n) lacks its brackets; a young average should forget faster: "
        "d = min(decay, (1 + n) / (10 + n))": mix(lambda n: decay),
        "your d is (1 + n) / (10 + n) for ever, and comes near 1; decay is its limit: take the smaller of the two": (
            mix(lambda n: (1 + n) / (10 + n))
        ),
    }
    diagnose("the average", torch.cat(got), mix(d), mistakes)
    return "Sample with this one."


def _flat(tensors: list[Any]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])
