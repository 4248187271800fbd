"""Schedules: values from the papers, the promises of their docstrings, bad input."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddpm_lite import beta_schedule, cosine_beta_schedule, linear_beta_schedule, sigmoid_beta_schedule, terminal_snr
from ddpm_lite.schedules import SCHEDULES


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("T", [50, 200, 1000])
def test_a_schedule_is_a_rising_row_of_variances(name, T):
    beta = beta_schedule(name, T)
    assert beta.shape == (T,) and beta.dtype == torch.float64
    assert bool((beta > 0).all()) and bool((beta < 1).all())
    assert bool((beta.diff() >= -1e-12).all()) or name == "sigmoid"


def test_linear_ends():
    beta = linear_beta_schedule(1000)
    assert beta[0] == pytest.approx(1e-4) and beta[-1] == pytest.approx(0.02)
    beta = linear_beta_schedule(500)  # both ends times 2
    assert beta[0] == pytest.approx(2e-4) and beta[-1] == pytest.approx(0.04)


@pytest.mark.parametrize("T, left", [(1000, 4.0e-5), (400, 0.0175), (200, 0.132), (150, 0.219)])
def test_unscaled_linear_schedule_leaves_signal(T, left):
    alpha_bar_T = float((1 - linear_beta_schedule(T, rescale=False)).prod())
    assert alpha_bar_T == pytest.approx(left, rel=0.02)


def test_rescaling_makes_the_signal_left_nearly_independent_of_T():
    left = [float((1 - linear_beta_schedule(T)).prod()) for T in (100, 200, 500, 1000, 4000)]
    assert max(left) < 5e-5 and min(left) > 1e-5


def test_cosine_is_eq_17():
    T, s = 300, 0.008
    f = [math.cos((t / T + s) / (1 + s) * math.pi / 2) ** 2 for t in range(T + 1)]
    alpha_bar = (1 - cosine_beta_schedule(T)).cumprod(0)
    expected = torch.tensor(f[1:], dtype=torch.float64) / f[0]
    torch.testing.assert_close(alpha_bar[:-1], expected[:-1], rtol=0, atol=1e-12)  # the last beta is cut
    assert cosine_beta_schedule(T)[-1] == 0.999


def test_sigmoid_is_its_formula():
    T = 100
    level = torch.sigmoid(torch.linspace(-3, 3, T + 1, dtype=torch.float64))
    alpha_bar = (level[-1] - level) / (level[-1] - level[0])
    ours = (1 - sigmoid_beta_schedule(T)).cumprod(0)
    torch.testing.assert_close(ours[:-1], alpha_bar[1:-1], rtol=0, atol=1e-12)


def test_terminal_snr():
    assert terminal_snr(linear_beta_schedule(1000)) == pytest.approx(4.036e-5, rel=1e-3)
    assert terminal_snr(torch.tensor([0.5])) == pytest.approx(1.0)


@given(T=st.one_of(st.integers(max_value=0), st.floats(), st.text(max_size=3), st.none(), st.booleans()))
def test_a_bad_T_is_named(T):
    for schedule in SCHEDULES.values():
        with pytest.raises((TypeError, ValueError), match="^T must"):
            schedule(T)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: linear_beta_schedule(20), "rescale=False"),
        (lambda: linear_beta_schedule(100, beta_1=0.0), "^beta_1 must"),
        (lambda: linear_beta_schedule(100, beta_1=0.1, beta_T=0.01), "^beta_T must"),
        (lambda: linear_beta_schedule(100, beta_T=float("nan")), "^beta_T must"),
        (lambda: cosine_beta_schedule(100, s=-1), "^s must"),
        (lambda: cosine_beta_schedule(100, beta_max=1), "^beta_max must"),
        (lambda: sigmoid_beta_schedule(100, start=3, end=-3), "^end must"),
        (lambda: sigmoid_beta_schedule(100, tau=0), "^tau must"),
        (lambda: sigmoid_beta_schedule(100, tau=0.01), "^start, end and tau must"),  # beta_1 = 0
        (lambda: sigmoid_beta_schedule(100, start=90, end=100), "^start, end and tau must"),  # 0 / 0
        (
            lambda: beta_schedule("quadratic", 100),
            "^name must be one of 'linear', 'cosine', 'sigmoid', got 'quadratic'",
        ),
        (lambda: terminal_snr(torch.zeros(0)), "^beta must"),
    ],
)
def test_bad_input_is_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
