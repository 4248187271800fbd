"""Answers to the exercises of the museum: right ones in several forms, and mistakes with the words that name them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lite.checks import (
    check_foggy_pixel,
    check_mend_prepare,
    check_mend_previous,
    check_my_test,
    check_wrong_line,
    choice,
)

ALPHA_BAR = torch.tensor([1, 0.8, 0.5, 0.2], dtype=torch.float64)
Jump = Callable[..., Tensor]


def inputs(n: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """x_0, t, eps."""
    x_0, eps = torch.randn(2, n, 1, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x_0, torch.arange(n) % 3 + 1, eps


def jump(x_0: Tensor, t: Tensor, eps: Tensor, noise: float = 0.5) -> Tensor:
    a = ALPHA_BAR[t].view(-1, 1, 1, 1)
    return a.sqrt() * x_0 + (1 - a) ** noise * eps


def close(q_sample: Jump) -> None:
    x_0, t, eps = inputs()
    torch.testing.assert_close(q_sample(x_0, t, eps, ALPHA_BAR), jump(x_0, t, eps), rtol=1e-5, atol=1e-5)


def largest(q_sample: Jump) -> None:
    x_0, t, eps = inputs(5)
    assert (q_sample(x_0, t, eps, ALPHA_BAR) - jump(x_0, t, eps)).abs().max() < 1e-4


def squares(q_sample: Jump) -> None:
    x_0, t, eps = inputs()
    x_t = q_sample(x_0, t, eps, ALPHA_BAR)
    if x_t.shape != x_0.shape or float((x_t - jump(x_0, t, eps)).square().sum()) > 1e-6:
        raise AssertionError("x_t differs")


def image_by_image(q_sample: Jump) -> None:
    x_0, t, eps = (x.float() if x.is_floating_point() else x for x in inputs())
    x_t = q_sample(x_0, t, eps, ALPHA_BAR.float())
    for b in range(3):
        for row in range(4):
            a = float(ALPHA_BAR[t[b]])
            wanted = [
                math.sqrt(a) * x + math.sqrt(1 - a) * e for x, e in zip(x_0[b, 0, row], eps[b, 0, row], strict=True)
            ]
            assert max(abs(u - v) for u, v in zip(x_t[b, 0, row], wanted, strict=True)) < 1e-5


def tested(
    error: Callable[[Tensor, Tensor], Any], *, t: Tensor | None = None, n: int = 3, noise: float = 0.5,
    x: Tensor | None = None, e: Tensor | None = None, tol: float = 1e-5,
) -> Callable[[Jump], None]:  # fmt: skip
    """A test that asks whether ``error(x_t, wanted)`` is small, on inputs that may be too easy."""

    def test(q_sample: Jump) -> None:
        x_0, times, eps = inputs(n)
        x_0, times, eps = (own if given is None else given for own, given in ((x_0, x), (times, t), (eps, e)))
        assert error(q_sample(x_0, times, eps, ALPHA_BAR), jump(x_0, times, eps, noise)) <= tol

    return test


def absolute(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().max()


def returns_bool(q_sample: Jump) -> bool:
    x_0, t, eps = inputs()
    return bool((q_sample(x_0, t, eps, ALPHA_BAR) - jump(x_0, t, eps)).abs().max() < 1e-4)


def equal_bits(q_sample: Jump) -> None:
    x_0, t, eps = inputs()
    torch.testing.assert_close(q_sample(x_0, t, eps, ALPHA_BAR), jump(x_0, t, eps), rtol=1e-9, atol=1e-9)


def only_variance(q_sample: Jump) -> None:
    """Sees the root and nothing else of what is wrong."""
    generator = torch.Generator().manual_seed(0)
    eps = torch.randn(3, 1, 100, 100, generator=generator, dtype=torch.float64)
    t = torch.tensor([2, 2, 2])
    x_t = q_sample(0 * eps, t, eps, ALPHA_BAR)
    assert abs(float(x_t.var()) - 0.5) < 0.03


def previous_loop(alpha_bar: Tensor) -> Tensor:
    table = torch.ones_like(alpha_bar)
    for i in range(1, len(alpha_bar)):
        table[i] = alpha_bar[i - 1]
    return table


def previous_in_place(alpha_bar: Tensor) -> Tensor:
    alpha_bar[1:] = alpha_bar[:-1].clone()
    alpha_bar[0] = 1
    return alpha_bar


def prepare_loop(images: Tensor) -> Tensor:
    table = [2 * u / 255 - 1 for u in range(256)]
    return torch.tensor([table[u] for u in images.flatten().tolist()]).view(images.shape)


def prepare_in_place(images: Tensor) -> Tensor:
    x = images.to(torch.float32)
    x -= 127.5
    x /= 127.5
    return x


def changes(images: Tensor) -> Tensor:
    images[images > 128] = 255
    return images.float() / 127.5 - 1


pad = torch.nn.functional.pad
flat = torch.zeros(3, 1, 4, 5, dtype=torch.float64)

RIGHT: list[tuple[Any, Any]] = [
    (check_wrong_line, choice("d", because=2)),
    (check_wrong_line, choice("D", because=2)),
    (check_wrong_line, choice(because=2, letter="d")),
    (check_mend_previous, lambda a: pad(a[:-1], (1, 0), value=1.0)),
    (check_mend_previous, lambda a: torch.cat([a.new_ones(1), a])[:-1]),
    (check_mend_previous, previous_loop),
    (check_mend_previous, previous_in_place),
    (check_mend_previous, lambda a: torch.tensor([1.0, *a.tolist()[:-1]])),
    (check_foggy_pixel, lambda x, a: math.sqrt(a) * x + 0.5 * math.sqrt(1 - a)),
    (check_foggy_pixel, lambda x, a: torch.tensor(a).sqrt() * x + (1 - torch.tensor(a)).sqrt() / 2),
    (check_foggy_pixel, lambda x, a: sum(a**0.5 * x + (1 - a) ** 0.5 * e for e in (0.0, 0.5, 1.0)) / 3),
    (check_mend_prepare, lambda u: u.float() / 127.5 - 1),
    (check_mend_prepare, lambda u: 2 * (u.float() / 255) - 1),
    (check_mend_prepare, prepare_loop),
    (check_mend_prepare, prepare_in_place),
    (check_my_test, close),
    (check_my_test, largest),
    (check_my_test, squares),
    (check_my_test, image_by_image),
]

WRONG: list[tuple[Any, Any, str]] = [
    (check_wrong_line, choice("a", because=4), "line a solves"),
    (check_wrong_line, choice("b", because=1), "line b is what keeps"),
    (check_wrong_line, choice("c", because=3), "line c goes to the next time"),
    (check_wrong_line, choice("d", because=1), "the clip belongs to x0_hat"),
    (check_wrong_line, choice("d", because=3), "with s = 1 at the end"),
    (check_wrong_line, choice("d", because=4), "the division is right"),
    (check_wrong_line, choice("e", because=2), "no option"),
    (check_wrong_line, choice("d", because=7), "no reason"),
    (check_wrong_line, "d", "choice"),
    (check_mend_previous, lambda a: pad(a[:-1], (0, 1), value=1.0), "with 1 at the end: pad in front"),
    (check_mend_previous, lambda a: torch.cat([a[1:], a.new_ones(1)]), "shifted the table the other way"),
    (check_mend_previous, lambda a: torch.cat([a[1:], a[-1:]]), "its last entry stands twice"),
    (check_mend_previous, lambda a: pad(a[:-1], (1, 0)), "your first entry is 0"),
    (check_mend_previous, lambda a: torch.cat([a[:1], a[:-1]]), "your first entry is alpha_bar_1 once more"),
    (check_mend_previous, lambda a: a.roll(1), "alpha_bar_T stands in front"),
    (check_mend_previous, lambda a: a.roll(-1), "went round the other way"),
    (check_mend_previous, lambda a: a, "the table that was given"),
    (check_mend_previous, lambda a: pad(a, (1, 0), value=1.0), "leave out alpha_bar_T"),
    (check_mend_previous, lambda a: a[:-1], "alpha_bar_0 = 1 is missing"),
    (check_mend_previous, lambda a: a / pad(a[:-1], (1, 0), value=1.0), "these are ratios"),
    (check_mend_previous, lambda a: pad(a[1:], (1, 0), value=1.0), "in the place of alpha_bar_1"),
    (check_foggy_pixel, lambda x, a: a**0.5 * x, "the mean with Gaussian noise"),
    (check_foggy_pixel, lambda x, a: a * x + (1 - a) / 2, "your rates lack their roots"),
    (check_foggy_pixel, lambda x, a: a**0.5 * x + (1 - a) / 2, "the rate of your noise lacks"),
    (check_foggy_pixel, lambda x, a: a * x + (1 - a) ** 0.5 / 2, "the rate of your image lacks"),
    (check_foggy_pixel, lambda x, a: a**0.5 * x + (1 - a) ** 0.5, "its largest value"),
    (check_foggy_pixel, lambda x, a: a**0.5 * x + 0.5, "your noise is added at full strength"),
    (check_foggy_pixel, lambda x, a: x + (1 - a) ** 0.5 / 2, "your image is added at full strength"),
    (check_foggy_pixel, lambda x, a: a**0.5 * x - (1 - a) ** 0.5 / 2, "the wrong way"),
    (check_foggy_pixel, lambda x, a: (1 - a) ** 0.5 * x + a**0.5 / 2, "rates are swapped"),
    (check_foggy_pixel, lambda x, a: a**0.5 * x + (1 - a) ** 0.5 / 12, "you added the variance"),
    (check_foggy_pixel, lambda x, a: (1 - a) ** 0.5 / 2, "the noise's part alone"),
    (check_foggy_pixel, lambda x, a: 0.5, "both rates are missing"),
    (check_mend_prepare, lambda u: u.float() / 255, "run from 0 to 1"),
    (check_mend_prepare, lambda u: u.float() / 127.5, "run from 0 to 2"),
    (check_mend_prepare, lambda u: u.float() / 255 - 0.5, "run from -1/2 to 1/2"),
    (check_mend_prepare, lambda u: u.float() / 255 - 1, "run from -1 to 0"),
    (check_mend_prepare, lambda u: 1 - u.float() / 127.5, "black is 1 in yours"),
    (check_mend_prepare, lambda u: u.float() / 128 - 1, "you divide by 256 or 128"),
    (check_mend_prepare, lambda u: (u.float() - 128) / 127, "0 should become -1"),
    (check_mend_prepare, lambda u: 2 * (u.float() - u.min()) / (u.max() - u.min()) - 1, "may hold no black"),
    (check_mend_prepare, lambda u: 2 * u.float() / u.max() - 1, "the largest pixel of the batch"),
    (check_mend_prepare, lambda u: (u * 2 - 255).float() / 255, "wraps round"),
    (check_mend_prepare, lambda u: u.float(), "as they came"),
    (check_mend_prepare, lambda u: u.double() / 127.5 - 1, "should be float32"),
    (check_mend_prepare, changes, "the images that were given have changed"),
    (check_my_test, tested(lambda a, b: (a - b).sum().abs()), "mirrors the image"),
    (check_my_test, tested(absolute, x=flat), "mirrors the image"),
    (check_my_test, only_variance, "mirrors the image"),
    (check_my_test, tested(absolute, e=flat), "without the root"),
    (check_my_test, tested(absolute, t=torch.tensor([2, 2, 2])), "the first image's t"),
    (check_my_test, tested(absolute, n=1), "the first image's t"),
    (check_my_test, tested(lambda a, b: (a - b).mean(), tol=1.0), "passes everything"),
    (check_my_test, lambda q: None, "passes everything"),
    (check_my_test, tested(absolute, noise=1), "fails the right functions too"),
    (check_my_test, tested(lambda a, b: 1.0), "fails the right functions too"),
    (check_my_test, equal_bits, "equality to the last bit"),
    (check_my_test, returns_bool, "your test returns"),
    (check_my_test, lambda q: q(torch.zeros(2, 2)), "stopped with TypeError"),
]
