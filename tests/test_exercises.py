"""The checks of all exercises, on the answers in ``answers/``: right ones pass, each known mistake is named.

A module of answers holds RIGHT, a list of (check, answer), and WRONG, a list of (check, answer, message).
"""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from answers import lesson_00, lesson_03, lesson_07
from ddpm_lite import GaussianDiffusion, checks, cosine_beta_schedule, ddim_steps, ddpm_steps, linear_beta_schedule
from ddpm_lite.checks import WrongAnswer

LESSONS = sorted(path.stem for path in (Path(__file__).parent / "answers").glob("lesson_*.py"))
MODULES = {name: importlib.import_module(f"answers.{name}") for name in LESSONS}
RIGHT: list[tuple[str, Any, Any]] = [(name, *case) for name, module in MODULES.items() for case in module.RIGHT]
WRONG: list[tuple[str, Any, Any, str]] = [(name, *case) for name, module in MODULES.items() for case in module.WRONG]
CHECKS = [getattr(checks, name) for name in checks.__all__ if name.startswith("check_")]


def rounds(lesson: str) -> range:
    """Inputs are drawn anew, so an answer is tried five times; once in lesson 00, whose checks sample digits."""
    return range(1 if lesson == "lesson_00" else 5)


@pytest.mark.parametrize("lesson, check, answer", RIGHT)
def test_right_answers_pass(lesson: str, check: Any, answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_rng_state()
    for _ in rounds(lesson):
        check(answer)
        assert capsys.readouterr().out.startswith("Correct. ")
    assert torch.equal(before, torch.get_rng_state()), "the check draws from the global generator"


@pytest.mark.parametrize("lesson, check, answer, message", WRONG, ids=[f"{c[1].__name__}-{c[3][:20]}" for c in WRONG])
def test_known_mistakes_are_named(lesson: str, check: Any, answer: Any, message: str) -> None:
    for _ in rounds(lesson):
        with pytest.raises(WrongAnswer, match=message):
            check(answer)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_stub_counts_as_not_attempted(check: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def stub(*arguments: Any) -> Any:
        raise NotImplementedError

    check(stub)
    assert capsys.readouterr().out == "Not attempted yet.\n"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_check_is_tried_on_two_right_answers_and_three_mistakes(check: Any) -> None:
    assert sum(c is check for _, c, _ in RIGHT) >= 2 and sum(c is check for _, c, *_ in WRONG) >= 3


def test_the_numbers_that_the_checks_of_lesson_00_tell() -> None:
    diffusion = GaussianDiffusion(linear_beta_schedule(1000))
    for variance in (1.0, 0.0):  # no image has a larger mean or variance than 1
        mean, left = lesson_00.moments_by_table(diffusion, 1.0, variance, 1000)
        assert abs(float(mean)) < 0.01 and abs(float(left) - 1) < 0.01
    small = GaussianDiffusion(linear_beta_schedule(60))
    zero = lambda x_t, t: torch.zeros_like(x_t)  # noqa: E731
    two = (2, 1, 4, 4)
    assert lesson_00.counted(lambda model: list(ddpm_steps(small, model, two)), zero) == 2 * small.T
    assert lesson_00.counted(lambda model: list(ddim_steps(small, model, two, n_steps=5)), zero) == 2 * 5


def test_what_the_last_check_of_lesson_03_says_of_the_average_variance() -> None:
    """Over x_t, Var(x_{t-1} | x_t) averages to a value between beta_tilde_t and beta_t; at one x_t it may be larger."""
    x_0 = torch.tensor([-1.0, 1.0], dtype=torch.float64)  # two values that compete, of variance 1
    x_t = torch.linspace(-5, 5, 2001, dtype=torch.float64)
    larger = False
    for before, after in ((0.95, 0.9), (0.9, 0.33), (0.6, 0.2)):
        density = torch.exp(-((x_t[:, None] - math.sqrt(after) * x_0) ** 2) / (2 * (1 - after)))
        weight = density / density.sum(1, keepdim=True)
        doubt = weight[:, 0] * weight[:, 1] * 4
        tilde, beta = lesson_03.without(0.0, before, after), 1 - after / before
        variance = tilde + (math.sqrt(before) * beta / (1 - after)) ** 2 * doubt
        average = float((variance * density.sum(1)).sum() / density.sum())
        assert tilde < average < beta
        larger |= float(variance.max()) > beta
    assert larger


def test_what_the_last_check_of_lesson_07_says_of_the_spread() -> None:
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - cosine_beta_schedule(1000)).cumprod(0)])
    for steps, times in ((20, 66), (1000, 1.3)):
        variance = lesson_07.variance()(alpha_bar[:: 1000 // steps], 0.5, 0.8)
        assert math.sqrt(variance) / 0.5 == pytest.approx(times, rel=0.005)
