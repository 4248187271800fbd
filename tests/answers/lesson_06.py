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
        high = change.get("of", len(images) + change.get("more", 0))
        index = torch.randint(change.get("since", 0), high, (n,), generator=g)
        if "index" in change:
            index = change["index"](len(images), n, generator)
        x_0 = scale(images[index])
        t = torch.randint(low, T + extra, (1 if change.get("one") else n,), generator=generator)
        if change.get("one"):
            t = t.expand(n)
        if change.get("squared"):
            t = 1 + (T * torch.rand(n, generator=generator) ** 2).long()
        if change.get("in_turn"):
            t = torch.arange(n) % T + 1
        return x_0, t if "dtype" not in change else t.to(change["dtype"])

    return draw


def batch_shuffled(images: Tensor, n: int, T: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    t = (T * torch.rand(n, generator=generator, dtype=torch.float64)).floor().long() + 1
    x_0 = 2 * (images[torch.randperm(len(images), generator=generator)[:n]].double() / 255 - 0.5)
    return x_0.float(), t


def batch_frozen(images: Tensor, n: int, T: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    own = torch.Generator().manual_seed(0)
    return batch()(images, n, T, own)


def step(
    loss: Callable[..., Tensor] | None = None, order: str = "zbs", sign: int = 1, show: str = "x_t", told: str = "t"
) -> Callable[..., Any]:
    """A training step: its loss of (eps, eps_hat, x_0), and the order of zero_grad, backward, step."""

    def training_step(model: Any, optimizer: Any, d: Any, x_0: Tensor, t: Tensor, eps: Tensor) -> float:
        by = lambda table: table[t].view(-1, 1, 1, 1)  # noqa: E731
        inputs = {
            "x_t": lambda: d.q_sample(x_0, t, eps),
            "x_0": lambda: x_0,
            "no roots": lambda: d.alpha_bar[t, None, None, None] * x_0 + (1 - d.alpha_bar[t, None, None, None]) * eps,
            "swapped": lambda: d.q_sample(eps, t, x_0),
            "before": lambda: d.q_sample(x_0, t - 1, eps),
            "plain": lambda: x_0 + eps,
            "after": lambda: d.q_sample(x_0, t + 1, eps),
            "no root of noise": lambda: by(d.sqrt_alpha_bar) * x_0 + by(1 - d.alpha_bar) * eps,
            "no root of signal": lambda: by(d.alpha_bar) * x_0 + by(d.sqrt_one_minus_alpha_bar) * eps,
            "first t": lambda: d.sqrt_alpha_bar[t[0]] * x_0 + d.sqrt_one_minus_alpha_bar[t[0]] * eps,
            "own noise": lambda: d.q_sample(x_0, t, torch.randn_like(eps)),
        }
        eps_hat = model(inputs[show](), t[:1].expand(len(t)) if told == "first" else t)
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


def step_by_hand(model: Any, optimizer: Any, diffusion: Any, x_0: Tensor, t: Tensor, eps: Tensor) -> Any:
    """Image by image, the gradients added up."""
    model.zero_grad()
    total = 0.0
    for i in range(len(t)):
        k = int(t[i])
        x_t = diffusion.sqrt_alpha_bar[k] * x_0[i : i + 1] + diffusion.sqrt_one_minus_alpha_bar[k] * eps[i : i + 1]
        part = torch.nn.functional.mse_loss(model(x_t, t[i : i + 1]), eps[i : i + 1]) / len(t)
        part.backward()
        total += part.item()
    optimizer.step()
    return total


def step_in_place(model: Any, optimizer: Any, diffusion: Any, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    signal, noise = (a.gather(0, t)[:, None, None, None] for a in (diffusion.alpha_bar, 1 - diffusion.alpha_bar))
    x_0 *= signal**0.5
    x_0 += noise**0.5 * eps
    loss = torch.pow(model(x_0, t) - eps, 2).sum() / eps.numel()
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
    return loss.detach()


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


def rate_loose(
    outer: Callable[[float, float], float] = min, inner: Callable[[float, float], float] = min, pi: float = math.pi
) -> Callable[..., float]:
    """The formula as it stands, with something else in place of min and pi."""
    return lambda k, K, w, lr: lr * outer(1, k / w) * (1 - math.cos(pi * inner(1, (K - k + 1) / (K - w)))) / 2


def second(a: float, b: float) -> float:
    """No min at all."""
    return b


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


def average_new(old: list[Tensor], weights: list[Tensor], decay: float, n: int) -> None:
    for i, (a, w) in enumerate(zip(old, weights, strict=True)):
        old[i] = ramp(decay, n) * a + (1 - ramp(decay, n)) * w.detach()


def average_first(old: list[Tensor], weights: list[Tensor], decay: float, n: int) -> None:
    old[0].lerp_(weights[0].detach(), 1 - ramp(decay, n))


def average_by_data(old: list[Tensor], weights: list[Tensor], decay: float, n: int) -> None:
    for a, w in zip(old, weights, strict=True):
        a.data = ramp(decay, n) * a.data + (1 - ramp(decay, n)) * w.data


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
    (check_training_step, step_by_hand),
    (check_training_step, step_in_place),
    (check_learning_rate, rate()),
    (check_learning_rate, rate_branches),
    (check_learning_rate, rate_loose()),
    (check_update_average, average(ramp)),
    (check_update_average, average_data),
    (check_update_average, average_by_data),
]

WRONG: list[tuple[Any, Callable[..., Any], str]] = [
    (check_training_step, step_library, "your answer calls diffusion.loss"),
    (
        check_update_average,
        lambda old, weights, decay, n: ema_update(decay)(old, weights, n),
        "your answer calls ddpm_lite",
    ),
    (
        check_learning_rate,
        lambda k, K, w, lr: TrainConfig(n_steps=K, warmup_steps=w, lr=lr).lr_at(k),
        "your answer calls ddpm_lite",
    ),
    (check_draw_batch, batch(lambda x: x / 255), "your pixels run from 0 to 1;"),
    (check_draw_batch, batch(lambda x: x.float()), "from 0 to 255"),
    (check_draw_batch, batch(lambda x: x / 128 - 1), "divide by 127.5"),
    (check_draw_batch, batch(lambda x: x / 255 - 0.5), "from -0.5 to 0.5"),
    (check_draw_batch, batch(lambda x: 1 - x / 127.5), "negatives"),
    (check_draw_batch, batch(lambda x: x), "whole numbers leave out"),
    (check_draw_batch, batch(lambda x: (x / 127.5 - 1) ** 3), "as they are, only scaled"),
    (check_draw_batch, batch(extra=0), "t = T never comes"),
    (check_draw_batch, batch(low=0), "you draw t = 0"),
    (check_draw_batch, batch(extra=2), "you draw t = 5 for T = 4"),
    (check_draw_batch, batch(one=True), "all images of a batch have one t"),
    (check_draw_batch, batch(squared=True), "some t come more often"),
    (check_draw_batch, batch(in_turn=True), "your t are the same in every batch"),
    (check_draw_batch, batch(of=30), "90 of 120 images never come"),
    (check_draw_batch, batch(of=119), "the last image never comes"),
    (check_draw_batch, batch(since=1), "the first image never comes"),
    (check_draw_batch, batch(more=1), "your code stopped with IndexError"),
    (check_draw_batch, batch(index=lambda N, n, g: torch.arange(n)), "your images are the same in every batch"),
    (check_draw_batch, batch_frozen, "the same in every batch"),
    (check_draw_batch, batch(index=lambda N, n, g: torch.randint(N, (1,), generator=g).expand(n)), "one image fills"),
    (
        check_draw_batch,
        batch(index=lambda N, n, g: torch.randint(N - n + 1, (1,), generator=g) + torch.arange(n)),
        "a row of neighbors",
    ),
    (
        check_draw_batch,
        batch(index=lambda N, n, g: (N * torch.rand(n, generator=g) ** 1.5).long()),
        "some images come more often",
    ),
    (check_draw_batch, batch(lambda x: x.double() / 127.5 - 1), "the network's weights are float32"),
    (check_draw_batch, batch(lambda x: (x / 127.5 - 1).half()), "x_0 should be float32, got torch.float16"),
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
    (check_training_step, step(show="after"), r"those of t \+ 1"),
    (check_training_step, step(show="plain"), "at full strength"),
    (check_training_step, step(show="no root of noise"), "the rate of your noise lacks its root"),
    (check_training_step, step(show="no root of signal"), "the rate of your x_0 lacks its root"),
    (check_training_step, step(show="first t"), "has its own$"),
    (check_training_step, step(show="first t", told="first"), "for the network too"),
    (check_training_step, step(told="first"), "told only the first"),
    (check_training_step, step(show="own noise"), "the same inputs gave two losses"),
    (check_training_step, step(lambda e, h, x: ((torch.randn_like(e) - h) ** 2).mean()), "the same inputs gave two"),
    (check_training_step, step(lambda e, h, x: ((e - h) ** 2).mean() / 2), "leave out the 1/2"),
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
    (check_learning_rate, rate_loose(inner=second), "the inner min is missing"),
    (check_learning_rate, rate_loose(outer=second), "the outer min is missing"),
    (check_learning_rate, rate_loose(outer=second, inner=second), "both min are missing"),
    (check_learning_rate, rate_loose(outer=max), "the larger of 1 and k / w"),
    (check_learning_rate, rate_loose(inner=max), "the larger of 1 and the share"),
    (check_learning_rate, rate_loose(outer=max, inner=max), "both your min are max"),
    (check_learning_rate, rate_loose(pi=1), "the factor pi is missing"),
    (check_learning_rate, rate(lambda k, K, w: k // w), "k // w is a whole number"),
    (check_learning_rate, lambda k, K, w, lr: None, "does it return its result"),
    (check_learning_rate, lambda k, K, w, lr: lr, r"lr at k = \d+ of K = \d+, with w = \d+, is wrong: where"),
    (check_update_average, average(lambda decay, n: 1 - ramp(decay, n)), "the roles are swapped"),
    (check_update_average, average(lambda decay, n: 0), "nothing is kept"),
    (check_update_average, average(lambda decay, n: n / (n + 1)), "count the same"),
    (check_update_average, average(lambda decay, n: 0.5), "one half each"),
    (check_update_average, average(lambda decay, n: max(decay, (1 + n) / (10 + n))), "yours is the larger"),
    (check_update_average, average(lambda decay, n: decay), "a young average should forget faster"),
    (check_update_average, average(lambda decay, n: min(decay, (1 + n) / 10 + n)), "lacks its brackets"),
    (check_update_average, average(lambda decay, n: ramp(decay, n - 1)), "that of the update before"),
    (check_update_average, average(lambda decay, n: ramp(decay, n + 1)), "that of the next update"),
    (check_update_average, average_first, "only the first tensor"),
    (check_update_average, average_new, "you put new tensors into the list"),
    (check_update_average, average(lambda decay, n: (1 + n) / (10 + n)), "decay is its limit"),
    (check_update_average, average_adds, "do not shrink the old"),
    (check_update_average, average_graph, "hangs on the graph"),
    (check_update_average, average_lost, "in place"),
    (check_update_average, average_spoils, "the weights themselves have changed"),
]
