"""Answers to the exercises of lesson 06: right ones in several forms, and mistakes with the words that name them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lite import TrainConfig
from ddpm_lite.checks import (
    check_draw_batch,
    check_learning_rate,
    check_training_step,
    check_update_average,
)
from ddpm_lite.training import ema_update


def batch(
    scale: Callable[[Tensor], Tensor] = lambda x: x / 127.5 - 1, low: int = 1, extra: int = 1, **change: Any
) -> Callable[..., Any]:
    """A drawer of batches; one thing of it may be changed."""

    def draw(images: Tensor, n: int, T: int, generator: torch.Generator) -> Any:
        g = None if change.get("unseeded") else generator
        high = change.get("of", len(images))
        x_0 = scale(images[torch.randint(high, (n,), generator=g)])
        t = torch.randint(low, T + extra, (1 if change.get("one") else n,), generator=generator)
        if change.get("one"):
            t = t.expand(n)
        if change.get("squared"):
            t = 1 + (T * torch.rand(n, generator=generator) ** 2).long()
        return x_0, t if "dtype" not in change else t.to(change["dtype"])

    return draw


def batch_shuffled(images: Tensor, n: int, T: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    t = (T * torch.rand(n, generator=generator, dtype=torch.float64)).floor().long() + 1
    return 2 * (images[torch.randperm(len(images), generator=generator)[:n]].double() / 255 - 0.5), t


def step(
    loss: Callable[..., Tensor] | None = None, order: str = "zbs", sign: int = 1, show: str = "x_t"
) -> Callable[..., Any]:
    """A training step: its loss of (eps, eps_hat, x_0), and the order of zero_grad, backward, step."""

    def training_step(model: Any, optimizer: Any, d: Any, x_0: Tensor, t: Tensor, eps: Tensor) -> float:
        inputs = {
            "x_t": lambda: d.q_sample(x_0, t, eps),
            "x_0": lambda: x_0,
            "no roots": lambda: d.alpha_bar[t, None, None, None] * x_0 + (1 - d.alpha_bar[t, None, None, None]) * eps,
            "swapped": lambda: d.q_sample(eps, t, x_0),
            "before": lambda: d.q_sample(x_0, t - 1, eps),
            "plain": lambda: x_0 + eps,
        }
        eps_hat = model(inputs[show](), t)
        value = ((eps - eps_hat) ** 2).mean() if loss is None else loss(eps, eps_hat, x_0)
        actions = {"z": optimizer.zero_grad, "b": lambda: (sign * value).backward(), "s": optimizer.step}
        for letter in order:
            actions[letter]()
        return value.item()

    return training_step


def step_library(model: Any, optimizer: Any, diffusion: Any, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    loss = diffusion.loss(model, x_0, t, eps)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss


def rate(
    warm: Callable[..., float] = lambda k, K, w: k / w,
    left: Callable[..., float] = lambda k, K, w: (K - k + 1) / (K - w),
    shape: Callable[[float], float] = lambda x: (1 - math.cos(math.pi * x)) / 2,
) -> Callable[..., float]:
    def learning_rate(k: int, K: int, w: int, lr: float) -> float:
        return lr * min(1.0, warm(k, K, w)) * shape(max(0.0, min(1.0, left(k, K, w))))

    return learning_rate


def rate_branches(k: int, K: int, w: int, lr: float) -> Tensor:
    if k <= w:
        return torch.tensor(lr * k / w, dtype=torch.float64)
    return torch.tensor(lr * math.sin(math.pi / 2 * (K - k + 1) / (K - w)) ** 2, dtype=torch.float64)


def average(d: Callable[[float, int], float]) -> Callable[..., None]:
    def update(old: list[Tensor], weights: list[Tensor], decay: float, n: int) -> None:
        with torch.no_grad():
            for a, w in zip(old, weights, strict=True):
                a.lerp_(w, 1 - d(decay, n))

    return update


def ramp(decay: float, n: int) -> float:
    return min(decay, (1 + n) / (10 + n))


def average_data(old: list[Tensor], weights: list[Tensor], decay: float, n: int) -> list[Tensor]:
    d = ramp(decay, n)
    for i in range(len(old)):
        old[i] *= d
        old[i] += (1 - d) * weights[i].detach()
    return old


def average_graph(old: list[Tensor], weights: list[Tensor], decay: float, n: int) -> None:
    for i, (a, w) in enumerate(zip(old, weights, strict=True)):
        old[i] = ramp(decay, n) * a + (1 - ramp(decay, n)) * w


def average_lost(old: list[Tensor], weights: list[Tensor], decay: float, n: int) -> None:
    for a, w in zip(old, weights, strict=True):
        a = ramp(decay, n) * a + (1 - ramp(decay, n)) * w.detach()


def average_spoils(old: list[Tensor], weights: list[Tensor], decay: float, n: int) -> None:
    for a, w in zip(old, weights, strict=True):
        w.data.lerp_(a, ramp(decay, n))


def average_adds(old: list[Tensor], weights: list[Tensor], decay: float, n: int) -> None:
    for a, w in zip(old, weights, strict=True):
        a += (1 - ramp(decay, n)) * w.detach()


RIGHT: list[tuple[Any, Callable[..., Any]]] = [
    (check_draw_batch, batch()),
    (check_draw_batch, batch(lambda x: (x.float() / 255) * 2 - 1)),
    (check_draw_batch, batch_shuffled),
    (check_training_step, step()),
    (check_training_step, step(order="bsz")),
    (check_training_step, step(lambda eps, eps_hat, x_0: torch.nn.functional.mse_loss(eps_hat, eps))),
    (check_training_step, step_library),
    (check_learning_rate, rate()),
    (check_learning_rate, rate_branches),
    (check_learning_rate, lambda k, K, w, lr: TrainConfig(n_steps=K, warmup_steps=w, lr=lr).lr_at(k)),
    (check_update_average, average(ramp)),
    (check_update_average, average_data),
    (check_update_average, lambda old, weights, decay, n: ema_update(decay)(old, weights, n)),
]

WRONG: list[tuple[Any, Callable[..., Any], str]] = [
    (check_draw_batch, batch(lambda x: x / 255), "your pixels run from 0 to 1;"),
    (check_draw_batch, batch(lambda x: x.float()), "from 0 to 255"),
    (check_draw_batch, batch(lambda x: x / 128 - 1), "divide by 127.5"),
    (check_draw_batch, batch(lambda x: x / 255 - 0.5), "from -0.5 to 0.5"),
    (check_draw_batch, batch(lambda x: 1 - x / 127.5), "negatives"),
    (check_draw_batch, batch(lambda x: x), "whole numbers cannot lie"),
    (check_draw_batch, batch(lambda x: (x / 127.5 - 1) ** 3), "as they are, only scaled"),
    (check_draw_batch, batch(extra=0), "t = T never comes"),
    (check_draw_batch, batch(low=0), "you draw t = 0"),
    (check_draw_batch, batch(extra=2), "you draw t = 5 for T = 4"),
    (check_draw_batch, batch(one=True), "all images of a batch have one t"),
    (check_draw_batch, batch(squared=True), "some t come more often"),
    (check_draw_batch, batch(of=30), "the same few images"),
    (check_draw_batch, batch(unseeded=True), "pass generator=generator"),
    (check_draw_batch, batch(dtype=torch.float32), "it should be int64"),
    (check_draw_batch, lambda images, n, T, generator: images[:n] / 127.5 - 1, "return two tensors"),
    (check_draw_batch, lambda images, n, T, generator: (images[:n, 0] / 127.5 - 1, 0), "x_0 should be a tensor of"),
    (check_training_step, step(order="bs"), "call zero_grad"),
    (check_training_step, step(order="bzs"), "the weights did not move"),
    (check_training_step, step(order="zb"), "the weights did not move"),
    (check_training_step, step(order="zbss"), "two updates in one call"),
    (check_training_step, step(sign=-1), "you walk uphill"),
    (check_training_step, step(lambda e, h, x: ((e - h) ** 2).sum()), "your loss is the sum of the squares"),
    (check_training_step, step(lambda e, h, x: ((e - h) ** 2).sum((1, 2, 3)).mean()), "you add up the squares of each"),
    (check_training_step, step(lambda e, h, x: ((e - h) ** 2).mean().sqrt()), "the root of the mean square"),
    (check_training_step, step(lambda e, h, x: (e - h).abs().mean()), "the absolute error"),
    (check_training_step, step(lambda e, h, x: ((x - h) ** 2).mean()), "you compare its answer with x_0"),
    (check_training_step, step(show="x_0"), "you show the network x_0"),
    (check_training_step, step(show="no roots"), "has their roots"),
    (check_training_step, step(show="swapped"), "the two rates are swapped"),
    (check_training_step, step(show="before"), "those of t - 1"),
    (check_training_step, step(show="plain"), "at full strength"),
    (check_training_step, lambda *arguments: None, "does your function return its result"),
    (check_learning_rate, rate(lambda k, K, w: (k - 1) / w), "your first update has learning rate 0"),
    (
        check_learning_rate,
        rate(lambda k, K, w: (k - 1) / w, lambda k, K, w: (K - k + 2) / (K - w)),
        "you count the updates from 0",
    ),
    (check_learning_rate, rate(left=lambda k, K, w: (K - k) / (K - w)), "your last update has learning rate 0"),
    (check_learning_rate, rate(lambda k, K, w: 1), "the warm-up is missing"),
    (check_learning_rate, rate(left=lambda k, K, w: 1), "it never falls"),
    (check_learning_rate, rate(shape=lambda x: x), "in a straight line"),
    (check_learning_rate, rate(left=lambda k, K, w: (K - k + 1) / K), "begins to fall at update 1"),
    (check_learning_rate, rate(shape=lambda x: (1 + math.cos(math.pi * x)) / 2), "it rises where it should fall"),
    (check_learning_rate, rate(shape=lambda x: 1 - math.cos(math.pi * x)), "the factor 1/2 is missing"),
    (check_learning_rate, lambda k, K, w, lr: rate()(k, K, w, 1), "the factor lr is missing"),
    (check_learning_rate, lambda k, K, w, lr: lr, "is wrong: where"),
    (check_update_average, average(lambda decay, n: 1 - ramp(decay, n)), "the roles are swapped"),
    (check_update_average, average(lambda decay, n: 0), "nothing is kept"),
    (check_update_average, average(lambda decay, n: n / (n + 1)), "count the same"),
    (check_update_average, average(lambda decay, n: 0.5), "one half each"),
    (check_update_average, average(lambda decay, n: max(decay, (1 + n) / (10 + n))), "yours is the larger"),
    (check_update_average, average(lambda decay, n: decay), "a young average should forget faster"),
    (check_update_average, average(lambda decay, n: (1 + n) / (10 + n)), "decay is its limit"),
    (check_update_average, average_adds, "do not shrink the old"),
    (check_update_average, average_graph, "hangs on the graph"),
    (check_update_average, average_lost, "in place"),
    (check_update_average, average_spoils, "the weights themselves have changed"),
]
