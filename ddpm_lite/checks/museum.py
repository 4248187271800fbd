"""The exercises of the museum of bugs: find the wrong line, say what it does, mend it, write the test that sees it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .machinery import WrongAnswer, choice, diagnose, exercise, fresh_generator, multiple_choice, random_alpha_bar

__all__ = ["check_foggy_pixel", "check_mend_prepare", "check_mend_previous", "check_my_test", "check_wrong_line"]

Jump = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # q_sample(x_0, t, eps, alpha_bar)


@exercise
def check_wrong_line(answer: choice) -> str:
    """Check the choice of the wrong line in a DDIM loop: d, whose noise has the rate of t, not of s."""
    multiple_choice(
        answer,
        right=("d", 2),
        options={
            "a": "line a solves x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps for x_0, both rates at t",
            "b": "line b is what keeps an error near t = T small (exhibit 12)",
            "c": "line c goes to the next time on the list, and ends at 0, the clean image",
        },
        reasons={
            1: "the clip belongs to x0_hat, which is an image; the next x is none before t = 0",
            3: "with s = 1 at the end the sample would keep noise; s = 0 returns x0_hat",
            4: "the division is right, and the clip after it deals with what it magnifies",
        },
    )
    return "A clean image at t = 0 would still have the noise of the last t added: put s into both rates."


@exercise
def check_mend_previous(answer: Callable[[Tensor], Tensor]) -> str:
    """Check ``previous(alpha_bar)``: (T,), entry i for t = i + 1 -> (T,), alpha_bar_{t-1}, which begins with 1."""
    for T in (7, 12, 2):
        a = random_alpha_bar(T, fresh_generator())[1:]
        one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        mistakes = {
            "this is the table as it was, with 1 at the end: pad in front, alpha_bar_0 = 1": torch.cat([a[:-1], one]),
            "entry i holds alpha_bar_{t+1}: you shifted the table the other way": torch.cat([a[1:], one]),
            "your table is shifted the other way, and its last entry stands twice": torch.cat([a[1:], a[-1:]]),
            "your first entry is 0; nothing is lost at t = 0, so alpha_bar_0 is 1": torch.cat([zero, a[:-1]]),
            "your first entry is alpha_bar_1 once more; the clean image has alpha_bar_0 = 1": torch.cat(
                [a[:1], a[:-1]]
            ),
            "your table went round: alpha_bar_T stands in front; alpha_bar_0 = 1 belongs there": a.roll(1),
            "your table went round the other way; it should begin with alpha_bar_0 = 1": a.roll(-1),
            "you return the table that was given": a,
            "these are ratios, alpha_t; wanted is the table of products, one step earlier": a
            / torch.cat([one, a[:-1]]),
            "your table has its 1 in the place of alpha_bar_1 and is not shifted": torch.cat([one, a[1:]]),
        }
        got = answer(a.clone())
        if isinstance(got, Tensor) and got.shape == (T + 1,):
            raise WrongAnswer(f"your table has T + 1 = {T + 1} entries: leave out alpha_bar_T, no step comes after it")
        if isinstance(got, Tensor) and got.shape == (T - 1,):
            raise WrongAnswer(f"your table has T - 1 = {T - 1} entries: alpha_bar_0 = 1 is missing in front")
        if T == 2:  # so short that several mistakes are one
            mistakes = {}
        diagnose("the table", got, torch.cat([one, a[:-1]]), mistakes, tol=2e-6)
    return "A test of one line: the first entry is 1, and the posterior's variance at t = 1 is 0."


@exercise
def check_foggy_pixel(answer: Callable[[float, float], float]) -> str:
    """Check ``foggy_pixel(x_0, alpha_bar_t)``: E[x_t] of one pixel if eps is uniform on [0, 1]."""
    generator = fresh_generator()
    for _ in range(3):
        x = float(-1 + 0.6 * torch.rand(1, generator=generator))
        a = float(0.2 + 0.5 * torch.rand(1, generator=generator))
        s, n = math.sqrt(a), math.sqrt(1 - a)
        values = {
            "that is the mean with Gaussian noise; a uniform eps has a mean of its own, 1/2": s * x,
            "your rates lack their roots: x_t has sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t)": a * x + (1 - a) / 2,
            "the rate of your noise lacks its root": s * x + (1 - a) / 2,
            "the rate of your image lacks its root": a * x + n / 2,
            "you took eps = 1, its largest value; its mean is 1/2": s * x + n,
            "your noise is added at full strength; it is multiplied by sqrt(1 - alpha_bar_t)": s * x + 0.5,
            "your image is added at full strength; it is multiplied by sqrt(alpha_bar_t)": x + n / 2,
            "the noise pulls you the wrong way: a mean of +1/2 brightens": s * x - n / 2,
            "the two rates are swapped": n * x + s / 2,
            "you added the variance of a uniform number, 1/12; asked is the mean": s * x + n / 12,
            "you added its standard deviation, sqrt(1/12); asked is the mean": s * x + n / math.sqrt(12),
            "that is the noise's part alone; the image has one too": n / 2,
            "that is eps's mean; the image and both rates are missing": 0.5,
        }
        mistakes = {why: torch.tensor(value, dtype=torch.float64) for why, value in values.items()}
        diagnose("the mean", answer(x, a), torch.tensor(s * x + n / 2, dtype=torch.float64), mistakes, tol=2e-6)
    return "At t = T it is 1/2 for every pixel: one number that a test can compare with 0."


@exercise
def check_mend_prepare(answer: Callable[[Tensor], Tensor]) -> str:
    """Check ``prepare(images)``: uint8 0..255 -> float32, ``u / 127.5 - 1``."""
    generator = fresh_generator()
    for low, high in ((0, 256), (40, 200)):  # the second batch holds neither black nor white
        u = torch.randint(low, high, (5, 1, 6, 6), generator=generator, dtype=torch.uint8)
        u.view(-1)[:2] = torch.tensor([low, high - 1])
        x = u.double()
        small, large = x.min(), x.max()
        mistakes = {
            "your pixels run from 0 to 1; the noise is made for -1 to 1": x / 255,
            "your pixels run from 0 to 2: take 1 away": x / 127.5,
            "your pixels run from -1/2 to 1/2: twice as much is wanted": x / 255 - 0.5,
            "your pixels run from -1 to 0": x / 255 - 1,
            "black is 1 in yours, and white -1": 1 - x / 127.5,
            "you divide by 256 or 128: white, 255, should become 1": x / 128 - 1,
            "you divide by 128 after you took 128 away: 255 should become 1": (x - 128) / 128,
            "you divide by 127 after you took 128 away: 0 should become -1": (x - 128) / 127,
            "your scale is that of the batch, its darkest pixel -1; a batch may hold no black": (
                2 * (x - small) / (large - small) - 1
            ),
            "your scale is that of the batch; subtract and divide by constants": (x - x.mean()) / x.std(),
            "you scaled by the largest pixel of the batch; 255 is white whether it occurs or not": 2 * x / large - 1,
            "uint8 has no room for 2 u or for negative numbers, and wraps round: make it float first": (
                (u * 2 - 255).double() / 255
            ),
            "you return the pixels as they came": x,
        }
        given = u.clone()
        got = answer(given)
        if not torch.equal(given, u):
            raise WrongAnswer("the images that were given have changed: make a new tensor")
        diagnose("x_0", got, x / 127.5 - 1, mistakes, tol=1e-5)
        if got.dtype != torch.float32:
            raise WrongAnswer(f"x_0 should be float32, as the network's weights are; got {got.dtype}")
    return "A test of one line: the least and the largest pixel of many images are -1 and 1."


def _jumps() -> tuple[dict[str, Jump], dict[str, Jump]]:
    """Right ways to write q_sample, and wrong ones: what each does -> function."""

    def jump(signal: float = 0.5, noise: float = 0.5, shift: int = 0) -> Jump:
        def q_sample(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
            a = alpha_bar[t - shift].view(-1, *[1] * (x_0.ndim - 1))
            return a**signal * x_0 + (1 - a) ** noise * eps

        return q_sample

    def one_t(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
        return jump()(x_0, t[:1].expand(len(t)), eps, alpha_bar)

    def loop(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
        pairs = [alpha_bar[i] ** 0.5 * x + (1 - alpha_bar[i]) ** 0.5 * e for x, i, e in zip(x_0, t, eps, strict=True)]
        return torch.stack(pairs)

    def rounded(x_0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
        return loop(x_0, t, eps, alpha_bar) * (1 + 1e-7)  # as another order of the same sums may be

    right: dict[str, Jump] = {"written at once": jump(), "written as a loop": loop, "off by rounding": rounded}
    wrong: dict[str, Jump] = {
        "mirrors the image: errors of opposite sign cancel in a sum or a mean": lambda x, t, e, a: jump()(
            x.flip(-1), t, e, a
        ),
        "scales its noise by 1 - alpha_bar_t, without the root: try a t in the middle": jump(noise=1),
        "reads the table at t - 1: a long chain hides it; compare exactly, and take few steps": jump(shift=1),
        "uses the first image's t for all: give the batch several t": one_t,
        "ignores eps and draws its own noise: compare with the eps that you give": lambda x, t, e, a: jump()(
            x, t, torch.randn(e.shape, dtype=e.dtype, generator=fresh_generator()), a
        ),
    }
    return right, wrong


@exercise
def check_my_test(answer: Callable[[Jump], Any]) -> str:
    """Check ``my_test(q_sample)``: raises AssertionError for five wrong functions, and passes the right ones."""
    right, wrong = _jumps()

    def objects(function: Jump) -> bool:
        try:
            verdict = answer(function)
        except AssertionError:
            return True
        if verdict is not None:
            raise WrongAnswer(f"your test returns {verdict!r}: it should raise an AssertionError, by assert, or pass")
        return False

    passed = [what for what, function in wrong.items() if not objects(function)]
    failed = [what for what, function in right.items() if objects(function)]
    if len(passed) == len(wrong):
        raise WrongAnswer("your test passes everything: assert something about what q_sample returns")
    if len(failed) == len(right):
        raise WrongAnswer("your test fails the right functions too: is your own formula right?")
    if failed == ["off by rounding"]:
        raise WrongAnswer("your test wants equality to the last bit; allow for rounding, such as 1e-5")
    if failed:
        raise WrongAnswer(f"your test fails a right function, one {failed[0]}")
    if passed:
        raise WrongAnswer(f"your test passes a function that {passed[0]}")
    return "Five wrong functions caught, three right ones passed: a test that was tested."
