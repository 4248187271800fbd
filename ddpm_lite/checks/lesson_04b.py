"""The exercises that only the set of lesson 04 has: L_simple written out and drawn, and what it drops of the bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..diffusion import GaussianDiffusion
from ..schedules import linear_beta_schedule
from ..targets import bound_weight
from .machinery import (
    WrongAnswer,
    choice,
    curve,
    diagnose,
    exercise,
    fresh_generator,
    multiple_choice,
    random_alpha_bar,
)

__all__ = ["check_dropped_weights", "check_loss_by_time"]


class Network:
    """A denoiser that knows the images, is right in part, and writes down what it is asked."""

    def __init__(self, x_0: Tensor, alpha_bar: Tensor):
        self.x_0, self.alpha_bar = x_0, alpha_bar
        self.calls: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def __call__(self, x_t: Any, t: Any) -> Tensor:
        if not isinstance(x_t, Tensor) or x_t.shape[1:] != self.x_0.shape[1:]:
            shape = tuple(x_t.shape) if isinstance(x_t, Tensor) else type(x_t).__name__
            raise WrongAnswer(f"model wants images of shape (B, {str(tuple(self.x_0.shape[1:]))[1:]}, got {shape}")
        if not isinstance(t, Tensor) or t.shape != (len(x_t),) or t.dtype != torch.int64:
            given = f"{t.dtype} of shape {tuple(t.shape)}" if isinstance(t, Tensor) else type(t).__name__
            raise WrongAnswer(f"model wants t as an int64 tensor ({len(x_t)},), one t for each image; got {given}")
        if int(t.min()) < 0 or int(t.max()) >= len(self.alpha_bar):
            raise WrongAnswer(f"t runs from 1 to T = {len(self.alpha_bar) - 1}; model is asked about {t.tolist()}")
        x = x_t.detach().double()
        likeness = x.flatten(1) @ normalize(self.x_0.flatten(1)).T  # (n, B)
        x_0 = self.x_0[likeness.argmax(1)]  # whose noisy copies they are
        a = self.alpha_bar[t].view(-1, 1, 1, 1)
        eps_hat = 0.6 * (x - a.sqrt() * x_0) / (1 - a + 1e-3).sqrt() + 0.2 * (t.view(-1, 1, 1, 1) + x_0).sin()
        self.calls.append((x.clone(), t.clone(), x_0, eps_hat))
        return eps_hat.to(x_t.dtype)

    def asked(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x_t, t, x_0 and eps_hat of all calls, one row for each image."""
        if not self.calls:
            raise WrongAnswer("you never call model(x_t, t)")
        x_t, t, x_0, eps_hat = (torch.cat(parts) for parts in zip(*self.calls, strict=True))
        return x_t, t, x_0, eps_hat


@exercise(library=("ddpm_lite.plots",))
def check_loss_by_time(answer: Callable[[Network, Tensor, Tensor, torch.Generator], Any]) -> str:
    """Check the lines of ``loss_by_time(model, x_0, alpha_bar, generator)``: the loss at each t, and the bound's."""
    generator = fresh_generator()
    for T, shape in ((9, (8, 1, 8, 10)), (12, (5, 2, 6, 9))):
        alpha_bar = random_alpha_bar(T, generator)
        x_0 = 10 * torch.randn(shape, generator=generator, dtype=torch.float64)  # a noisy one still shows whose it is
        seed = int(torch.randint(2**40, (), generator=generator))
        model = Network(x_0, alpha_bar)
        figure = answer(model, x_0.clone(), alpha_bar.clone(), torch.Generator().manual_seed(seed))
        got = _line("L_simple", *curve(figure, "L_simple"), torch.arange(1, T + 1))
        want = _by_time(model, got, T)
        again = answer(Network(x_0, alpha_bar), x_0.clone(), alpha_bar.clone(), torch.Generator().manual_seed(seed))
        if not torch.allclose(_line("L_simple", *curve(again, "L_simple"), torch.arange(1, T + 1)), got, rtol=1e-5):
            raise WrongAnswer("a generator of the same seed gives other numbers: draw with generator=generator")
        _bound(_line("bound", *curve(figure, "bound"), torch.arange(2, T + 1)), want, alpha_bar)
    return "L_simple is the mean of the first line; the second sums to L_1 + ... + L_{T-1}, per pixel."


def _line(label: str, x: Tensor, y: Tensor, times: Tensor) -> Tensor:
    """y of a line, ordered by t; its x must be ``times``."""
    order = x.argsort()
    x, y = x[order], y[order]
    if len(x) == len(times) and torch.allclose(x, times - times[0].double()):
        raise WrongAnswer(
            f"your line {label!r} lies over 0, 1, ...: plot(t, y) with t from {int(times[0])}, not plot(y)"
        )
    if label == "bound" and len(x) == len(times) + 1 and x[0] == 1:
        raise WrongAnswer("your line 'bound' begins at t = 1, where SNR_0 is infinite and there is no KL; begin at 2")
    if len(x) != len(times) or not torch.allclose(x, times.double()):
        span = f"{x[0]:g} to {x[-1]:g}, {len(x)} points" if len(x) else "no point"
        raise WrongAnswer(
            f"your line {label!r} should have a point at each t = {times[0]} to {times[-1]}; it has {span}"
        )
    if not bool(y.isfinite().all()):
        raise WrongAnswer(f"your line {label!r} has a value that is not finite, at t = {int(x[~y.isfinite()][0])}")
    return y


def _by_time(model: Network, got: Tensor, T: int) -> Tensor:
    """The loss at each t, as it should be; raises where the model was asked wrongly, or ``got`` differs."""
    x_t, t, x_0, eps_hat = model.asked()
    a_bar, times = model.alpha_bar, torch.arange(1, T + 1)
    if int(t.min()) == 0 and int(t.max()) == T - 1:
        raise WrongAnswer("you ask the model about t = 0 .. T - 1; t runs from 1 to T, and t = 0 is the clean image")
    missing = sorted(set(times.tolist()) - set(t.tolist()))
    if missing:
        raise WrongAnswer(f"you never ask the model about t = {missing[0]}; t runs from 1 to T = {T}")
    rows = [t == k for k in times]

    def noise(signal: Tensor, rate: Tensor) -> Tensor:
        return (x_t - signal[t].view(-1, 1, 1, 1) * x_0) / rate[t].view(-1, 1, 1, 1)

    def mean(x: Tensor) -> Tensor:
        return torch.stack([x[row].mean() for row in rows])

    def loss(signal: Tensor, rate: Tensor) -> Tensor:
        return mean((noise(signal, rate) - eps_hat).square())

    s, n = a_bar.sqrt(), (1 - a_bar).sqrt()
    eps, pixels = noise(s, n), x_0[0].numel()
    want, error = loss(s, n), eps - eps_hat
    of_image = torch.stack([error[row].flatten(1).mean(1).square().mean() for row in rows])
    counts = torch.tensor([int(row.sum()) for row in rows])
    before = torch.cat([a_bar[:1], a_bar[:-1]])
    late = torch.cat([got[:1], loss(before.sqrt(), (1 - before).sqrt())[1:]])  # at t = 1 there is no noise in that x_t
    mistakes = {
        "your x_t lacks both roots: sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps": loss(a_bar, 1 - a_bar),
        "your noise rate lacks its root: sqrt(1 - alpha_bar_t)": loss(s, 1 - a_bar),
        "your signal rate lacks its root: sqrt(alpha_bar_t)": loss(a_bar, n),
        "your two rates are swapped: x_0 gets sqrt(alpha_bar_t)": loss(n, s),
        "your x_t is made with the table's entry t - 1; entry t belongs to t": late,
        "your x_t has all of x_0 in it: x_0 is shrunk by sqrt(alpha_bar_t)": loss(torch.ones_like(s), n),
        "your x_t has all of eps in it: eps is shrunk by sqrt(1 - alpha_bar_t)": loss(s, torch.ones_like(n)),
        "you compare the answer with x_0; the model predicts the noise": mean((x_0 - eps_hat).square()),
        "you compare the answer with x_t; the model predicts the noise in it": mean((x_t - eps_hat).square()),
        "you sum over the pixels; take the mean": want * pixels,
        "you sum over the batch; take the mean": want * counts,
        "you sum over batch and pixels; take the mean": want * counts * pixels,
        "you took the absolute error; the loss has its square": mean(error.abs()),
        "you took the root; the loss is the mean square itself": want.sqrt(),
        "your loss has a factor 1/2; this one has none": want / 2,
        "you averaged over the pixels before squaring: errors of opposite sign cancel": of_image,
        "you averaged before squaring: errors of opposite sign cancel": mean(error).square(),
        "you drew the logarithm; draw the loss itself, the axis can be logarithmic (set_yscale)": want.log(),
        "you drew the logarithm; draw the loss itself, on a logarithmic axis": want.log10(),
        "your line is the first one divided by its sum or mean; draw the loss itself": want / want.mean(),
        "your line is the mean over all t, everywhere; draw the loss at each t": want.mean().expand(T),
        "your line is the sum over t so far; draw the loss at each t": want.cumsum(0),
        "your line runs from t = T down: its value at t = 1 is the loss at T": want.flip(0),
        "only the first image counts in your loss": torch.stack([error[row][0].square().mean() for row in rows]),
    }
    mistakes = {why: value for why, value in mistakes.items() if bool(value.isfinite().all())}
    N = pixels * len(model.x_0)  # as if one eps served for all t
    other_noise = mean(eps_hat.square()) + 1
    spread = 12 * math.sqrt(2 * float(other_noise.max()) ** 2 / N)
    plain = bool((got - want).abs().max() > 1e-4) and not any(
        torch.allclose(got, value, rtol=1e-4, atol=1e-4) for value in mistakes.values()
    )
    if plain and torch.allclose(got, other_noise, rtol=0, atol=spread) and float((got - want).mean()) > 0.5:
        raise WrongAnswer("the noise that you compare with is not the noise in x_t: draw eps once, and keep it")
    diagnose("the loss at each t", got, want, mistakes, tol=1e-4)
    _normal(eps, t, N)
    return want


def _normal(eps: Tensor, t: Tensor, N: int) -> None:
    """Raise unless eps looks like independent normal numbers."""
    first = eps[t == 1]
    if torch.allclose(eps, eps.mean((1, 2, 3), keepdim=True).expand(eps.shape), atol=1e-6):
        raise WrongAnswer("your noise is one number for an image; each pixel has its own")
    if len(first) > 1 and torch.allclose(first, first[:1].expand(first.shape), atol=1e-4):
        raise WrongAnswer("all images get the same noise; draw it in the shape of x_0, new for each")
    mean, variance = float(eps.mean()), float(eps.square().mean())
    if abs(mean) > 6 / math.sqrt(N) or abs(variance - 1) > 6 * math.sqrt(2 / N):
        raise WrongAnswer(
            f"your noise has mean {mean:.2f} and mean square {variance:.2f}; that of torch.randn has 0 and 1 "
            "(torch.rand is uniform)"
        )


def _bound(got: Tensor, loss: Tensor, alpha_bar: Tensor) -> None:
    snr = alpha_bar[1:] / (1 - alpha_bar[1:])  # t = 1 .. T
    w, loss = (snr[:-1] / snr[1:] - 1) / 2, loss[1:]
    mistakes = {
        "your two lines are the same; the bound's has the weight w_t": loss,
        "your line 'bound' is w_t alone; multiply it by the loss at t": w,
        "you divide by w_t; multiply": loss / w,
        "your w_t lacks the factor 1/2": 2 * w * loss,
        "your w_t lacks the -1": (w + 0.5) * loss,
        "your ratio is upside down: SNR_{t-1} / SNR_t": (snr[1:] / snr[:-1] - 1) / 2 * loss,
        "your w_t is the weight of |x_0 - x0_hat|^2; that of eps is divided by SNR_t": (snr[:-1] - snr[1:]) / 2 * loss,
        "your w_t and losses are shifted against each other by one t": torch.cat([w[1:], w[-1:]]) * loss,
        "your w_t meets the loss at t - 1": w * torch.cat([loss.new_zeros(1), loss[:-1]]),
        "your w_t run from t = T down": w.flip(0) * loss,
        "your line is scaled to mean 1; draw w_t times the loss, in nats": w * loss / (w * loss).mean(),
        "your w_t is scaled to mean 1; draw w_t times the loss, in nats": w / w.mean() * loss,
        "your line is in bits; draw nats": w * loss / math.log(2),
        "you drew the logarithm; draw the term itself, on a logarithmic axis": (w * loss).log(),
        "your line is the sum over t so far; draw each term": (w * loss).cumsum(0),
    }
    diagnose("the bound's term at each t", got, w * loss, mistakes, tol=1e-4)


@exercise
def check_dropped_weights(answer: choice) -> str:
    """Check the choice of what happens to small and large t where L_simple drops the bound's weights."""
    diffusion = GaussianDiffusion(linear_beta_schedule(1000), dtype=torch.float64)
    w = bound_weight(diffusion)[2:]
    w = w / w.mean()
    early, late = w[:99], w[99:]  # t = 2 .. 100, 101 .. 1000
    falls = bool((early > 1).all()) and float((late < 1).double().mean()) > 0.99
    options = {
        "a": "in the bound, small t weigh less than the mean",
        "b": f"at t = 2 the bound's weight is {w[0]:.0f} times its mean, at t = 500 {w[498]:.2f} times; with weight 1, "
        "it is small t that lose",
        "c": f"the weight is no constant: {w[0]:.0f} times its mean at t = 2, {w[498]:.2f} times at t = 500",
        "d": "each t from 1 to T has weight 1 in L_simple; what L_T would add to a loss is 0 gradient in both",
    }
    right = "a" if falls else "b"
    reasons = {
        2: "the error of eps_hat is smallest at large t, where x_t is nearly eps itself; and what is asked for is the "
        "weight, which stands before the error",
        3: "true for a network that could do everything: no weight changes the best answer at a t. It does not say "
        "which t count, and a network that has to divide its capacity follows the weights",
        4: "true, and so in both losses: L_T has no weight, and no parameter in it. It says nothing about w_t",
    }
    multiple_choice(answer, (right, 1), {k: why for k, why in options.items() if k != right}, reasons)
    share = float(w[:9].sum() / w.sum())
    return f"In the bound, t = 2 to 10 alone have {share:.0%} of all weight; in L_simple, less than 1%."
