"""The checks of all exercises, on the answers in ``answers/``: right ones pass, each known mistake is named.

A module of answers holds RIGHT, a list of (check, answer), and WRONG, a list of (check, answer, message).
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import mutants
from answers import lesson_00, lesson_03, lesson_07
from ddpm_lite import GaussianDiffusion, checks, cosine_beta_schedule, ddim_steps, ddpm_steps, linear_beta_schedule
from ddpm_lite.checks import WrongAnswer, choice

CASES = mutants.load()
RIGHT = [(name, answer) for name, cases in CASES.items() for answer in cases.right]
WRONG = [(name, answer, message) for name, cases in CASES.items() for answer, message in cases.wrong]


@pytest.mark.parametrize("name, answer", RIGHT)
def test_right_answers_pass(name: str, answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_rng_state()
    for _ in range(CASES[name].rounds(5)):
        getattr(checks, name)(answer)
        assert capsys.readouterr().out.startswith("Correct. ")
    assert torch.equal(before, torch.get_rng_state()), "the check draws from the global generator"


@pytest.mark.parametrize("name, answer, message", WRONG, ids=[f"{name}-{message[:20]}" for name, _, message in WRONG])
def test_known_mistakes_are_named(name: str, answer: Any, message: str) -> None:
    for _ in range(CASES[name].rounds(5)):
        with pytest.raises(WrongAnswer, match=message):
            getattr(checks, name)(answer)


@pytest.mark.parametrize("name", mutants.NAMES)
def test_a_stub_counts_as_not_attempted(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    def stub(*arguments: Any) -> Any:
        raise NotImplementedError

    check = getattr(checks, name)
    takes_a_function = check.__annotations__["answer"].startswith("Callable")
    check(...)
    check(stub if takes_a_function else choice(..., because=...))
    assert capsys.readouterr().out == "Not attempted yet.\n" * 2


@pytest.mark.parametrize("name", mutants.NAMES)
def test_every_check_is_tried_on_three_right_answers_and_eight_mistakes(name: str) -> None:
    """Eight mistakes, each with a message of its own; the one that fits any mistake may stand for one of them."""
    cases = CASES[name]
    assert len({id(answer) for answer in cases.right}) >= 3
    general = any(mutants.GENERIC in message for _, message in cases.wrong)
    assert cases.specific() + general >= 8


def test_the_table_of_mutants_finds_what_it_should(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One right answer that is rejected, one mistake that is accepted, one that gets another one's message."""
    cases = mutants.Cases("lesson_01", list(CASES["check_alpha_bar"].right), list(CASES["check_alpha_bar"].wrong))
    total = len(cases.right) + len(cases.wrong)
    assert mutants.judge("check_alpha_bar", cases, 1) == (len(cases.right), len(cases.wrong), [])
    cases.right.append(lambda beta: beta)
    cases.wrong += [(cases.right[0], "Correct"), (cases.wrong[0][0], cases.wrong[1][1])]
    accepted, rejected, failures = mutants.judge("check_alpha_bar", cases, 1)
    assert accepted + rejected == total and len(failures) == 3
    monkeypatch.setattr(mutants, "load", lambda: {"check_alpha_bar": cases})
    assert mutants.main(["--rounds", "1"]) == 1
    out = capsys.readouterr().out
    assert f"{total / (total + 3):5.0%}\n" in out and "right answer 3 is told: alpha_bar has T entries" in out


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
