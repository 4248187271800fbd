"""The exercises of lesson 06: a batch, an update, a learning rate (the average of weights: ``lesson_06b``)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..diffusion import GaussianDiffusion
from .machinery import WrongAnswer, diagnose, exercise, fresh_generator

__all__ = ["check_draw_batch", "check_learning_rate", "check_training_step"]


def _integer(low: int, high: int, generator: torch.Generator) -> int:
    return int(torch.randint(low, high, (1,), generator=generator))


def _refuse(wrong: Any, message: str) -> None:
    if bool(wrong):
        raise WrongAnswer(message)


SCALES: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x / 127.5 - 1,
    "your pixels run from 0 to 1; the schedule takes them to run from -1 to 1": lambda x: x / 255,
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
    _refuse(not isinstance(first, tuple) or len(first) != 2, "return two tensors: x_0, t")
    x_0, t = first
    for name, x, shape in (("x_0", x_0, (n, 1, 4, 4)), ("t", t, (n,))):
        got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        _refuse(got != shape, f"{name} should be a tensor of shape {shape}, got {got}")
    _refuse(t.dtype != torch.int64, f"t indexes a table: it should be int64, got {t.dtype}")
    why = "the network's weights are float32" if x_0.is_floating_point() else "whole numbers leave out 0.5"
    _refuse(x_0.dtype != torch.float32, f"x_0 should be float32, got {x_0.dtype}: {why}")
    same = torch.equal(x_0, again[0]) and torch.equal(t, again[1]) and torch.equal(before, torch.get_rng_state())
    _refuse(not same, "two generators of one seed give two batches: pass generator=generator to each draw")
    for why, scale in SCALES.items():
        if torch.cdist(x_0.flatten(1).double(), scale(images.double()).flatten(1)).amin(1).max() < 1e-4:
            _refuse(why, why)
            break
    else:
        raise WrongAnswer("x_0 should hold images as they are, only scaled to -1 .. 1")
    generator = torch.Generator().manual_seed(seed)
    draws = [answer(images.clone(), n, T, generator) for _ in range(rounds)]
    times = torch.stack([t for _, t in draws])
    low, high = int(times.min()), int(times.max())
    _refuse(low < 1, f"you draw t = {low}: t runs from 1 to T, and 0 is the clean image, without noise to predict")
    _refuse(high > T, f"you draw t = {high} for T = {T}: the table ends at entry T")
    _refuse(high < T, "t = T never comes: torch.randint leaves out its upper end, so that end should be T + 1")
    _refuse((times == times[:, :1]).all(), "all images of a batch have one t: draw n of them")
    same_every_time = "the same in every batch: draw them anew, with the generator that is given"
    _refuse((times == times[0]).all(), f"your t are {same_every_time}")
    shares = times.flatten().bincount(minlength=T + 1)[1:] / times.numel()
    _refuse((shares - 1 / T).abs().max() > 0.06, "some t come more often than others: give each the same chance")
    drawn, known = torch.stack([x for x, _ in draws]).double(), SCALES[""](images.double())
    index, N = torch.cdist(drawn.flatten(2), known.flatten(1)).argmin(2), len(images)  # (rounds, n)
    _refuse((index == index[0]).all(), f"your images are {same_every_time}")
    _refuse((index == index[:, :1]).all(), "one image fills the whole batch: draw n of them")
    _refuse((index.diff(dim=1) % N == 1).all(), "a batch is a row of neighbors: draw each image by itself")
    counts = index.flatten().bincount(minlength=N).double()
    missing = (counts == 0).nonzero().flatten().tolist()  # by bad luck: one image once in 10^11 checks
    which = {(0,): "the first image never comes", (N - 1,): "the last image never comes"}.get(tuple(missing))
    which = which or f"{len(missing)} of {N} images never come"
    _refuse(missing, f"{which}: draw indices with randint(len(images), ...), 0 to len(images) - 1")
    chi_2 = (counts - counts.mean()).square().sum() / counts.mean()  # N - 1 on average, 2 N once in 10^9 checks
    _refuse(chi_2 > 2 * N, "some images come more often than others: each should be equally likely")
    return "Every image and every t has its turn."


class _Probe(nn.Module):
    """eps_hat = a x_t + b t + c: a denoiser of three weights, in float64."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights.clone())

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        a, b, c = self.weights
        return a * x_t + b * t.view(-1, 1, 1, 1) / 10 + c


class _Tables(GaussianDiffusion):
    """A diffusion without the function that would be the answer."""

    def loss(self, *arguments: Any, **named: Any) -> Tensor:
        raise WrongAnswer("your answer calls diffusion.loss; here, write x_t and the loss yourself")


class _Descent:
    """Plain gradient descent, called as an optimizer of PyTorch; those take seconds to import."""

    def __init__(self, model: _Probe, lr: float) -> None:
        self.param_groups = [{"params": [model.weights], "lr": lr}]
        self.weights, self.lr = model.weights, lr

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.weights.grad = None

    @torch.no_grad()
    def step(self) -> None:
        if self.weights.grad is not None:
            self.weights.sub_(self.lr * self.weights.grad)


def _losses(model: nn.Module, d: GaussianDiffusion, x_0: Tensor, t: Tensor, eps: Tensor) -> dict[str, Tensor]:
    """The loss under "", and that of each known mistake under its explanation."""

    def mix(signal: Tensor, noise: Tensor, at: Tensor = t) -> Tensor:
        return signal[at].view(-1, 1, 1, 1) * x_0 + noise[at].view(-1, 1, 1, 1) * eps

    def loss(x_t: Tensor, told: Tensor = t, target: Tensor = eps) -> Tensor:
        return (target - model(x_t, told)).square().mean()

    signal, noise, a_bar, left = d.sqrt_alpha_bar, d.sqrt_one_minus_alpha_bar, d.alpha_bar, 1 - d.alpha_bar
    x_t, first, entry = mix(signal, noise), t[:1].expand(len(t)), "entry t of the table belongs to t"
    first_t, error = "you take the first t for the whole batch: each image has its own", eps - model(x_t, t)
    by_image = error.square().flatten(1).sum(1)
    return {
        "": loss(x_t),
        "your loss is the sum of the squares; L_simple is their mean, whatever the size of the batch": by_image.sum(),
        "you add up the squares of each image; the loss is the mean over pixels as well as images": by_image.mean(),
        "your loss is the root of the mean square; leave the root out": loss(x_t).sqrt(),
        "your loss is half of the mean square: leave out the 1/2": loss(x_t) / 2,
        "your loss takes the absolute error; square it": error.abs().mean(),
        "the network is asked for the noise, eps; you compare its answer with x_0": loss(x_t, target=x_0),
        "you show the network x_0; it should see x_t, the noised image": loss(x_0),
        "your x_t has alpha_bar and 1 - alpha_bar as factors; equation (4) has their roots": loss(mix(a_bar, left)),
        "the rate of your noise lacks its root: it is sqrt(1 - alpha_bar_t)": loss(mix(signal, left)),
        "the rate of your x_0 lacks its root: it is sqrt(alpha_bar_t)": loss(mix(a_bar, noise)),
        "the two rates are swapped: sqrt(alpha_bar_t) belongs to x_0": loss(mix(noise, signal)),
        f"your rates are those of t - 1: {entry}": loss(mix(signal, noise, t - 1)),
        f"your rates are those of t + 1: {entry}": loss(mix(signal, noise, t + 1)),
        "you add the noise to x_0 at full strength: both have their rate, equation (4)": loss(x_0 + eps),
        first_t: loss(mix(signal, noise, first)),
        f"{first_t}, for the network too": loss(mix(signal, noise, first), first),
        f"{first_t}; the network is told only the first": loss(x_t, first),
    }


@exercise(library=("ddpm_lite.diffusion",))
def check_training_step(answer: Callable[..., Any]) -> str:
    """Check ``training_step(model, optimizer, diffusion, x_0, t, eps) -> loss``: one update, called twice."""
    g, lr = fresh_generator(), 0.05
    diffusion = _Tables(torch.linspace(0.05, 0.4, 10), dtype=torch.float64)
    model = _Probe(0.2 + 0.3 * torch.rand(3, generator=g, dtype=torch.float64))
    optimizer = _Descent(model, lr)
    reached, gradients = model.weights.detach().clone(), list[Tensor]()
    for call in (1, 2):
        x_0 = 0.3 + 0.5 * torch.rand(3, 1, 2, 2, generator=g, dtype=torch.float64)
        eps = torch.randn(x_0.shape, generator=g, dtype=torch.float64) + 1
        t, twin, other = 2 + torch.randperm(8, generator=g)[:3], _Probe(reached), _Probe(model.weights.detach())
        losses = _losses(twin, diffusion, x_0, t, eps)
        gradients += torch.autograd.grad(losses[""], [twin.weights], retain_graph=True)
        got = answer(model, optimizer, diffusion, x_0.clone(), t.clone(), eps.clone())
        again = answer(other, _Descent(other, lr), diffusion, x_0.clone(), t.clone(), eps.clone())
        texts = {repr(torch.as_tensor(x).tolist()) for x in (got, again) if isinstance(x, (float, Tensor))}  # NaN too
        _refuse(len(texts) > 1, "the same inputs gave two losses: use the t and the eps that are given, draw none")
        diagnose(f"the loss of call {call}", got, losses.pop("").detach(), losses)
        before, gradient = reached, gradients[-1]
        reached, both = before - lr * gradient, before - lr * (gradients[0] + gradient)
        mistakes = {
            "the weights did not move: is step() called, after backward(), and no zero_grad() between the two?": before,
            "you walk uphill: to make the loss smaller, call backward() on the loss itself": before + lr * gradient,
            "you made two updates in one call": before - 2 * lr * gradient,
            "the second update went along both gradients: backward() adds to them; call zero_grad() before it": both,
        }
        diagnose(f"the weights after call {call}", model.weights, reached, mistakes)
    return "Algorithm 1, one turn of it."


@exercise
def check_learning_rate(answer: Callable[[int, int, int, float], float]) -> str:
    """Check ``learning_rate(k, K, w, lr)``: ``lr min(1, k / w) (1 - cos(pi min(1, (K - k + 1) / (K - w)))) / 2``."""
    g = fresh_generator()
    K, w, lr = _integer(40, 90, g), _integer(5, 12, g), 1e-3 * _integer(1, 9, g)
    k = torch.arange(1.0, K + 1).double()

    def fall(r: Tensor, pi: float = math.pi) -> Tensor:
        return (1 - torch.cos(pi * r)) / 2

    rise, r, step, one = k / w, (K - k + 1) / (K - w), 1 / (K - w), "what is larger than 1 counts as 1"
    warm, late, whole, left, more, less = (x.clamp(max=1) for x in (rise, (k - 1) / w, k // w, r, r + step, r - step))
    right = warm * fall(left)  # all in units of lr, which is small
    mistakes = {
        "your first update has learning rate 0, and does nothing: updates are counted from 1": late * fall(left),
        "you count the updates from 0; the first one is k = 1": late * fall(more),
        "your last update has learning rate 0, and does nothing: at k, K - k + 1 are left": warm * fall(less),
        "the warm-up is missing: the first updates should have lr / w, 2 lr / w, ...": fall(left),
        "it never falls: over the updates after the warm-up it should go down to 0": warm,
        "it falls in a straight line; half a cosine was asked for": warm * left,
        "it begins to fall at update 1; it should after the warm-up, over K - w updates": warm * fall((K - k + 1) / K),
        "it rises where it should fall: at the end, the share that is left is small": warm * fall(1 - left),
        "it is twice as large: the factor 1/2 is missing": 2 * right,
        "the factor lr is missing: it should peak at lr": right / lr,
        f"the inner min is missing, the share that is left is above 1 in the warm-up: {one}": warm * fall(r),
        f"the outer min is missing, k / w grows on after the warm-up: {one}": rise * fall(left),
        f"both min are missing: {one}": rise * fall(r),
        "the factor pi is missing in the cosine": warm * fall(left, pi=1),
        "you take the larger of 1 and k / w; take the smaller, min": rise.clamp(min=1) * fall(left),
        "you take the larger of 1 and the share that is left; take min": warm * fall(r.clamp(min=1)),
        "both your min are max": rise.clamp(min=1) * fall(r.clamp(min=1)),
        "k // w is a whole number; during the warm-up you need the fraction k / w": whole * fall(left),
    }
    values = [answer(int(i), K, w, lr) for i in k]
    _refuse(any(value is None for value in values), "your function returns None: does it return its result?")
    got = torch.tensor([float(value) for value in values], dtype=torch.float64) / lr
    worst = int((got - right).abs().argmax()) + 1
    diagnose(f"learning rate / lr at k = {worst} of K = {K}, with w = {w},", got, right, mistakes)
    return "Slow at first, slow at last."
