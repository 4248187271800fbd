"""verify must fail when it should; a wrong answer must be told what is wrong with it."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddpm_lite.checks import VerificationError, WrongAnswer, diagnose, exercise, verify
from ddpm_lite.checks.machinery import fresh_generator, random_alpha_bar


def test_verify_prints_one_line(capsys):
    verify("eq. (4)", 0.5, 0.5)
    verify("mean", torch.zeros(10), torch.full((10,), 0.01), 0.01)
    verify("variance", 1.0, 1.01, 0.02)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "verified: eq. (4), equal to within 1e-06"
    assert lines[1] == "verified: mean (10 values), largest deviation 1.0 of 4.4 standard errors allowed"
    assert lines[2] == "verified: variance, computed 1, measured 1.01 +- 0.02"


@pytest.mark.parametrize(
    "computed, measured, se",
    [
        (1.0, 1.001, None),
        (1.0, math.nan, None),
        (math.nan, math.nan, None),
        (1.0, math.inf, None),
        (1.0, 1.1, 0.02),
        (torch.zeros(3), torch.tensor([0.0, 0.0, 0.1]), torch.tensor([0.1, 0.1, 0.01])),
        (torch.zeros(2), torch.tensor([0.0, math.nan]), 1.0),
    ],
)
def test_verify_fails_when_it_should(computed, measured, se):
    with pytest.raises(VerificationError, match=r"^claim.*computed .* measured"):
        verify("claim", computed, measured, se)


def test_signed_errors_do_not_cancel():
    with pytest.raises(VerificationError):
        verify("claim", torch.tensor([1.0, -1.0]), torch.tensor([-1.0, 1.0]))


@pytest.mark.parametrize(
    "arguments, match",
    [
        ((torch.zeros(2), torch.zeros(3)), "one shape"),
        ((torch.zeros(0), torch.zeros(0)), "at least one"),
        ((0.0, 0.0, 0.0), "^se must be positive"),
        ((0.0, 0.0, math.nan), "^se must be positive"),
        (("a", 0.0), "^computed must"),
        ((0.0, None), "^measured must"),
    ],
)
def test_verify_names_bad_input(arguments, match):
    with pytest.raises((TypeError, ValueError), match=match):
        verify("claim", *arguments)


def test_a_true_statement_passes_about_always():
    g = torch.Generator().manual_seed(0)
    for _ in range(300):
        x = torch.randn(50, 100, generator=g)
        verify("mean 0", torch.zeros(50), x.mean(1), 0.1)


@exercise
def check_double(answer):
    x = torch.tensor([1.0, -2.0], dtype=torch.float64)
    diagnose("the result", answer(x), 2 * x, {"you squared x; double it": x**2})
    return "Twice x it is."


def stub(x):
    raise NotImplementedError


@pytest.mark.parametrize("answer", [..., stub])
def test_what_is_not_attempted(answer, capsys):
    check_double(answer)
    assert capsys.readouterr().out == "Not attempted yet.\n"


@pytest.mark.parametrize("answer", [lambda x: x * 2, lambda x: x + x, lambda x: [2.0, -4.0], lambda x: (2 * x).numpy()])
def test_right_answers(answer, capsys):
    check_double(answer)
    assert capsys.readouterr().out == "Correct. Twice x it is.\n"


@pytest.mark.parametrize(
    "answer, message",
    [
        (lambda x: x**2, "^you squared x; double it$"),
        (lambda x: None, "does your function return its result"),
        (lambda x: x, "where 2 was expected, yours is 1|where -4 was expected, yours is -2"),
        (lambda x: 2 * x[:1], r"should have shape \(2,\), got \(1,\)"),
        (lambda x: x * torch.nan, "contains NaN"),
        (torch.tensor([2.0, -4.0]), "^the check got a Tensor: hand over the function itself"),
        (None, "^the check got None: hand over the function itself"),
        (lambda x: "2x", "should be a tensor or a number, got str"),
        (lambda: 2, "your code stopped with TypeError: "),
        (lambda x: 1 / 0, r"stopped with ZeroDivisionError in line \d+, `\(lambda x: 1 .*`: division by zero"),
    ],
)
def test_wrong_answers_are_told_why(answer, message):
    with pytest.raises(WrongAnswer, match=message) as caught:
        check_double(answer)
    (line,) = caught.value._render_traceback_()
    assert "Not yet." in line and str(caught.value) in line


def helper(x):
    return x @ torch.eye(3)


def calls_a_helper(x):
    return helper(x)


def stops_in_the_library(x):
    return torch.nn.functional.conv2d(x, x)


class Answer:
    def __call__(self, x):
        return x.nothing


@pytest.mark.parametrize(
    "answer, line",
    [
        (calls_a_helper, "return x @ torch.eye(3)"),
        (stops_in_the_library, "return torch.nn.functional.conv2d(x, x)"),
        (torch.no_grad()(calls_a_helper), "return x @ torch.eye(3)"),
        (Answer(), "return x.nothing"),
    ],
)
def test_the_readers_own_line_is_quoted(answer, line):
    with pytest.raises(WrongAnswer) as caught:
        check_double(answer)
    assert f", `{line}`: " in str(caught.value)
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert lines[int(str(caught.value).split("in line ")[1].split(",")[0]) - 1].strip() == line


def test_a_line_that_cannot_be_read_is_only_counted():
    namespace = {}
    exec("def answer(x):\n    return x.nothing", namespace)
    with pytest.raises(WrongAnswer, match="^your code stopped with AttributeError in line 2: "):
        check_double(namespace["answer"])


def test_one_number_is_asked_for_in_words():
    with pytest.raises(WrongAnswer, match=r"^it should be one number, got a tensor of shape \(1,\)$"):
        diagnose("it", torch.zeros(1), torch.tensor(0.0))
    with pytest.raises(WrongAnswer, match=r"^it should have shape \(2,\), got one number$"):
        diagnose("it", 0, torch.zeros(2))


def test_fresh_tables_are_tables_and_never_the_same():
    for T in (1, 2, 30):
        a, b = (random_alpha_bar(T, fresh_generator()) for _ in range(2))
        assert a.shape == (T + 1,) and a.dtype == torch.float64 and not torch.equal(a, b)
        assert a[0] == 1 and bool((a.diff() < 0).all()) and 0.1 < a[-1] < 0.5


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1))
def test_diagnose_sees_small_differences(value, error):
    want = torch.tensor(value, dtype=torch.float64)
    diagnose("it", value, want)
    with pytest.raises(WrongAnswer):
        diagnose("it", value + error * max(1, abs(value)), want)
