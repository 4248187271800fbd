"""The three targets say the same, their errors are in proportion, and the weights are those of the bound's terms."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ddpm_lite import GaussianDiffusion, GaussianOracle, MLPDenoiser, cosine_beta_schedule, linear_beta_schedule
from ddpm_lite.sampling import ddpm_steps
from ddpm_lite.targets import TARGETS, as_eps, bound_weight, convert, make_target, relative_weight

PAIRS = list(itertools.product(TARGETS, TARGETS))
SCHEDULES = {"linear": linear_beta_schedule(40), "cosine": cosine_beta_schedule(40)}


@pytest.fixture(params=SCHEDULES)
def diffusion(request: pytest.FixtureRequest) -> GaussianDiffusion:
    return GaussianDiffusion(SCHEDULES[request.param], dtype=torch.float64)


def noised(diffusion: GaussianDiffusion) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """x_0, eps and mu_tilde of one draw at every t, with x_t and t."""
    generator = torch.Generator().manual_seed(0)
    t = torch.arange(1, diffusion.T + 1)
    x_0, eps = torch.randn(2, len(t), 3, 2, generator=generator, dtype=torch.float64)
    x_t = diffusion.q_sample(x_0, t, eps)
    return {"x_0": x_0, "eps": eps, "mu_tilde": diffusion.q_posterior(x_0, x_t, t)[0]}, x_t, t


@pytest.mark.parametrize("source, target", PAIRS)
def test_each_target_becomes_each_other(diffusion: GaussianDiffusion, source: str, target: str) -> None:
    truth, x_t, t = noised(diffusion)
    torch.testing.assert_close(
        convert(diffusion, truth[source], x_t, t, source, target), truth[target], rtol=1e-8, atol=1e-8
    )
    torch.testing.assert_close(make_target(diffusion, truth["x_0"], x_t, t, target), truth[target])


def test_one_t_holds_for_the_whole_batch(diffusion: GaussianDiffusion) -> None:
    x_t, y = torch.randn(2, 5, 2, dtype=torch.float64)
    one = convert(diffusion, y, x_t, 7, "mu_tilde", "eps")
    torch.testing.assert_close(one, convert(diffusion, y, x_t, torch.full((5,), 7), "mu_tilde", "eps"))


@pytest.mark.parametrize("target", TARGETS)
def test_squared_errors_differ_by_the_relative_weight(diffusion: GaussianDiffusion, target: str) -> None:
    truth, x_t, t = noised(diffusion)
    eps_hat = torch.randn(x_t.shape, dtype=torch.float64)
    y_hat = convert(diffusion, eps_hat, x_t, t, "eps", target)
    r = relative_weight(diffusion, target)
    assert r.shape == (diffusion.T + 1,) and r.dtype == torch.float64 and r[0] == 0
    square = ((truth[target] - y_hat) ** 2).flatten(1).sum(1)
    torch.testing.assert_close(square, r[t] * ((truth["eps"] - eps_hat) ** 2).flatten(1).sum(1), rtol=1e-8, atol=0)


@pytest.mark.parametrize("target, sigma", list(itertools.product(TARGETS, ["beta", "beta_tilde"])))
def test_the_bound_is_a_weighted_squared_error(diffusion: GaussianDiffusion, target: str, sigma: str) -> None:
    truth, x_t, t = (x[1:] if isinstance(x, Tensor) else x for x in noised(diffusion))  # t = 2 .. T
    network = torch.randn(x_t.shape, dtype=torch.float64)  # answers the target, whatever it sees
    model = as_eps(diffusion, lambda x, t: network, target)
    terms = diffusion.bound_terms(model, truth["x_0"][1:], t, truth["eps"][1:], sigma=sigma, clip=False)
    error = ((truth[target][1:] - network) ** 2).flatten(1).mean(1)
    constant = torch.zeros(len(t), dtype=torch.float64)
    if sigma == "beta":
        ratio = diffusion.beta_tilde[t] / diffusion.beta[t]
        constant = (ratio - 1 - ratio.log()) / 2
    nats = bound_weight(diffusion, target, sigma=sigma)[t] * error + constant
    torch.testing.assert_close(terms, nats / math.log(2), rtol=1e-7, atol=1e-9)


def test_the_bound_weights_in_terms_of_the_snr(diffusion: GaussianDiffusion) -> None:
    snr = diffusion.snr[1:]  # SNR_1 .. SNR_T
    by_eps, by_x_0 = bound_weight(diffusion), bound_weight(diffusion, "x_0")
    torch.testing.assert_close(by_eps[2:], (snr[:-1] / snr[1:] - 1) / 2, rtol=1e-8, atol=0)
    torch.testing.assert_close(by_x_0[2:], (snr[:-1] - snr[1:]) / 2, rtol=1e-8, atol=0)
    assert by_eps[0] == by_x_0[0] == 0 and by_eps[1] == by_x_0[1] == math.inf
    with_beta = bound_weight(diffusion, sigma="beta")
    torch.testing.assert_close(with_beta[1], 1 / (2 * diffusion.alpha[1]))
    assert bool(with_beta.isfinite().all())


def test_what_lesson_04_says_of_the_weights() -> None:
    linear, cosine = (GaussianDiffusion(f(1000)) for f in (linear_beta_schedule, cosine_beta_schedule))
    for sigma, at_2 in (("beta_tilde", 60), ("beta", 30)):  # beside L_simple, which is 1
        w = bound_weight(linear, sigma=sigma)[2:]
        assert float(w[0] / w.mean()) == pytest.approx(at_2, rel=0.1)
        assert bool((w[:8] > 7 * w.mean()).all())  # t < 10
    r = relative_weight(linear, "mu_tilde")[2:]
    assert bool((r / r.mean() > 1 / 4).all() and (r / r.mean() < 4).all())
    r = relative_weight(linear, "x_0")
    assert 7.5 < math.log10(float(r[-1] / r[2])) < 8.5
    assert bool((bound_weight(cosine)[2:-1] < 2).all()) and bound_weight(cosine)[-1] > 400  # beta_T is cut at 0.999
    by_x_0 = bound_weight(GaussianDiffusion(linear_beta_schedule(50)), "x_0", sigma="beta")
    assert 0.8 < float(by_x_0[1] / by_x_0.sum()) < 0.85  # four fifths of the weight at t = 1


def test_a_network_with_another_target_can_be_sampled() -> None:
    diffusion = GaussianDiffusion(linear_beta_schedule(30))
    oracle = GaussianOracle(diffusion, torch.tensor([0.3, -0.1]), 0.2)

    def run(model: Any) -> Tensor:
        *_, last = ddpm_steps(diffusion, model, (8, 2), generator=torch.Generator().manual_seed(0))
        return last.x

    for target in TARGETS:

        def network(x_t: Tensor, t: Tensor, target: str = target) -> Tensor:
            return convert(diffusion, oracle(x_t, t), x_t, t, "eps", target)

        torch.testing.assert_close(run(as_eps(diffusion, network, target)), run(oracle), rtol=1e-3, atol=1e-4)
    network = MLPDenoiser()
    model = as_eps(diffusion, network, "x_0")  # answers 0: all of x_t is noise
    eps_hat = model(torch.ones(4, 2), torch.full((4,), 9))
    torch.testing.assert_close(eps_hat, torch.full((4, 2), 1 / float(diffusion.sqrt_one_minus_alpha_bar[9])))


def test_gradients_pass_through_a_target() -> None:
    diffusion = GaussianDiffusion(linear_beta_schedule(30))
    y = torch.zeros(4, 2, requires_grad=True)
    convert(diffusion, y, torch.ones(4, 2), 9, "mu_tilde", "eps").sum().backward()
    assert y.grad is not None and bool((y.grad != 0).all())


def test_wrong_arguments_are_named(diffusion: GaussianDiffusion) -> None:
    x = torch.zeros(4, 2, dtype=torch.float64)
    for call, message in [
        (lambda: convert(diffusion, x, x, 3, "v", "eps"), "^source must be one of"),
        (lambda: convert(diffusion, x, x, 3, "eps", "noise"), "^target must be one of"),
        (lambda: convert(diffusion, x[:2], x, 3, "eps", "x_0"), "^y must have the shape of x_t"),
        (lambda: convert(diffusion, x, x, 0, "eps", "eps"), "^t must be between 1 and 40, got 0"),
        (lambda: convert(diffusion, x / 0, x, 3, "eps", "x_0"), "^y contains NaN"),
        (lambda: make_target(diffusion, x[:2], x, 3, "eps"), "^x_0 must have the shape of x_t"),
        (lambda: as_eps(diffusion, lambda x, t: x, "mu"), "^target must be one of"),
        (lambda: relative_weight(diffusion, "score"), "^target must be one of"),
        (lambda: bound_weight(diffusion, "v"), "^target must be one of"),
        (lambda: bound_weight(diffusion, sigma="1"), "^sigma must be one of"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="^y must be a torch.Tensor, got float"):
        convert(diffusion, 0.5, x, 3, "eps", "x_0")  # type: ignore[arg-type]
