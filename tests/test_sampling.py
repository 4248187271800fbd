"""Samplers against exact denoisers, against each other and against diffusers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddpm_lite import (
    FiniteOracle,
    GaussianDiffusion,
    GaussianOracle,
    MixtureOracle,
    beta_schedule,
    ddim_steps,
    ddpm_steps,
    linear_beta_schedule,
    sample,
)
from ddpm_lite.sampling import ddim_times

D = GaussianDiffusion(linear_beta_schedule(100))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def silent(x, t):
    return torch.zeros_like(x)


@pytest.mark.parametrize("sigma", ["beta_tilde", "beta"])
def test_ancestral_sampling_gives_back_a_gaussian(sigma):
    """x_0 ~ N(m, s^2): m to its standard error, s to that and the O(1 / T) bias of either variance."""
    T, m, s, n = 1000, 0.3, 0.5, 20_000
    d = GaussianDiffusion(linear_beta_schedule(T))
    oracle = GaussianOracle(d, torch.tensor([m, m]), s)
    for step in ddpm_steps(d, oracle, (n, 2), sigma=sigma, clip=False, generator=generator()):
        x = step.x
    exact_mean, exact_var = _law_of_the_chain(d, m, s, sigma)
    count = x.numel()
    assert abs(float(x.mean()) - exact_mean) < 4 * s / math.sqrt(count)
    assert abs(float(x.var()) - exact_var) < 4 * s**2 * math.sqrt(2 / count)
    assert abs(exact_mean - m) < 0.005 and abs(math.sqrt(exact_var) - s) < 0.01


def _law_of_the_chain(d, m, s, sigma):
    """Mean and variance of x_0 when the exact (linear) denoiser drives the chain from N(0, 1): a recursion."""
    mean, var = 0.0, 1.0
    ab, a0, at = (table.double() for table in (d.alpha_bar, d.mu_coef_x_0, d.mu_coef_x_t))
    noise = (d.beta_tilde if sigma == "beta_tilde" else d.beta).double()
    for t in range(d.T, 0, -1):
        gain = float(ab[t].sqrt() * s**2 / (ab[t] * s**2 + 1 - ab[t]))  # x0_hat = m + gain (x_t - sqrt(ab) m)
        slope = float(a0[t]) * gain + float(at[t])
        mean = slope * mean + float(a0[t]) * (m - gain * float(ab[t].sqrt()) * m)
        var = slope**2 * var + (float(noise[t]) if t > 1 else 0)
    return mean, var


def test_a_finite_set_is_sampled_as_it_is():
    data = torch.tensor([[-0.9, 0.1], [0.4, 0.8], [0.7, -0.6]])
    weights = torch.tensor([0.5, 0.3, 0.2])
    d = GaussianDiffusion(beta_schedule("cosine", 200))
    oracle = FiniteOracle(d, data, weights)
    n = 3000
    for steps in (
        ddpm_steps(d, oracle, (n, 2), generator=generator()),
        ddim_steps(d, oracle, (n, 2), n_steps=200, generator=generator()),
    ):
        for step in steps:
            x = step.x
        distance = torch.cdist(x, data)
        assert float(distance.min(1).values.max()) < 0.01
        share = distance.argmin(1).bincount(minlength=3) / n
        tolerance = 4.5 * (weights * (1 - weights) / n).sqrt() + 0.03  # 0.03: 200 steps, not infinitely many
        assert bool(((share - weights).abs() < tolerance).all()), share


def test_the_mixture_oracle_is_the_minimizer():
    """E[eps | x_t] by brute force: weight many (x_0, eps) by how near their x_t comes."""
    d = GaussianDiffusion(linear_beta_schedule(100), dtype=torch.float64)
    mean, std = torch.tensor([[-0.6], [0.5]], dtype=torch.float64), torch.tensor([0.2, 0.1], dtype=torch.float64)
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64)
    oracle = MixtureOracle(d, mean, std, weights)
    grid = torch.linspace(-2, 2, 8001, dtype=torch.float64)  # x_0
    p = (weights[:, None] * torch.exp(-((grid - mean) ** 2) / (2 * std[:, None] ** 2)) / std[:, None]).sum(0)
    for t in (5, 40, 90):
        for x in (-0.8, 0.1, 0.6):
            signal, noise = d.sqrt_alpha_bar[t], d.sqrt_one_minus_alpha_bar[t]
            eps = (x - signal * grid) / noise
            w = p * torch.exp(-(eps**2) / 2)
            expected = float((w * eps).sum() / w.sum())
            got = float(oracle(torch.full((1, 1), x, dtype=torch.float64), t))
            assert got == pytest.approx(expected, abs=1e-6)


def test_ddim_with_eta_1_and_all_steps_is_ancestral_sampling():
    d = GaussianDiffusion(beta_schedule("cosine", 60), dtype=torch.float64)
    oracle = FiniteOracle(d, torch.rand(5, 3, generator=generator()).double() * 2 - 1)
    for clip in (True, False):
        a = list(ddpm_steps(d, oracle, (7, 3), clip=clip, generator=generator()))
        b = list(ddim_steps(d, oracle, (7, 3), n_steps=60, eta=1.0, clip=clip, generator=generator()))
        for first, second in zip(a, b, strict=True):
            assert first.t == second.t
            torch.testing.assert_close(first.x, second.x, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("eta", [0.0, 0.5])
@pytest.mark.parametrize("clip", [True, False])
def test_ddim_steps_equal_diffusers(eta, clip):
    from diffusers import DDIMScheduler

    d = GaussianDiffusion(linear_beta_schedule(100), dtype=torch.float64)
    other = DDIMScheduler(
        num_train_timesteps=100,
        trained_betas=d.schedule.numpy(),
        clip_sample=clip,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
    )
    other.alphas_cumprod, other.final_alpha_cumprod = d.alpha_bar[1:], torch.ones((), dtype=torch.float64)
    other.set_timesteps(20)
    assert [t - 1 for t in ddim_times(100, 20)] == other.timesteps.tolist()
    oracle = GaussianOracle(d, torch.full((2,), 0.9, dtype=torch.float64), 0.4)
    x_T = torch.randn(6, 2, generator=generator(), dtype=torch.float64)
    ours = ddim_steps(d, oracle, (6, 2), n_steps=20, eta=eta, clip=clip, x_T=x_T, generator=generator(1))
    x, g = x_T, generator(1)
    for step in ours:
        eps_hat = oracle(x, step.t)
        last = step.t == ddim_times(100, 20)[-1]
        noise = torch.randn(x.shape, generator=g, dtype=torch.float64) if eta and not last else torch.zeros_like(x)
        x = other.step(eps_hat, step.t - 1, x, eta=eta, use_clipped_model_output=True, variance_noise=noise).prev_sample
        torch.testing.assert_close(step.x, x, rtol=1e-6, atol=1e-6)


def test_the_last_step_adds_no_noise():
    *_, last = ddpm_steps(D, silent, (3, 2), sigma="beta", generator=generator())
    assert last.t == 1 and torch.equal(last.x, last.x0_hat)


def test_a_sampler_visits_every_time_once():
    assert [s.t for s in ddpm_steps(D, silent, (1, 2))] == list(range(100, 0, -1))
    assert [s.t for s in ddim_steps(D, silent, (1, 2), n_steps=100)] == list(range(100, 0, -1))
    assert ddim_times(1000, 4) == [1000, 750, 500, 250] and ddim_times(1000, 1) == [1000]


@given(T=st.integers(1, 2000), share=st.floats(0, 1))
def test_times_fall_from_T(T, share):
    n = max(1, round(share * T))
    times = ddim_times(T, n)
    assert (
        len(times) == len(set(times)) == n and times[0] == T and times == sorted(times, reverse=True) and times[-1] >= 1
    )


def test_one_seed_one_sample_and_one_start_one_sample():
    a, b = (sample(D, silent, (4, 2), generator=generator(3)) for _ in range(2))
    assert torch.equal(a, b)
    x_T = torch.randn(5, 2)
    whole, parts = sample(D, silent, (5, 2), x_T=x_T), sample(D, silent, (5, 2), x_T=x_T, batch_size=2)
    assert torch.equal(whole, parts)


def test_sample_leaves_the_mode_of_the_model():
    class Net(torch.nn.Module):
        def forward(self, x, t):
            assert not self.training
            return x

    net = Net().train()
    sample(D, net, (2, 2), n_steps=2)
    assert net.training


def test_clipping_keeps_x0_hat_in_range():
    loud = lambda x, t: 10 * x  # noqa: E731
    for step in ddpm_steps(D, loud, (2, 2), generator=generator()):
        assert float(step.x0_hat.abs().max()) <= 1


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: ddpm_steps(D, silent, (4,)), "^shape must"),
        (lambda: ddpm_steps(D, silent, 4), "^shape must"),
        (lambda: ddpm_steps(D, silent, (0, 2)), r"^shape\[0\] must"),
        (lambda: ddpm_steps(D, silent, (4, 2), sigma="big"), "^sigma must"),
        (lambda: ddim_steps(D, silent, (4, 2), n_steps=0), "^n_steps must"),
        (lambda: ddim_steps(D, silent, (4, 2), n_steps=101), "^n_steps must be between 1 and 100, got 101"),
        (lambda: ddim_steps(D, silent, (4, 2), eta=1.5), "^eta must"),
        (lambda: ddim_steps(D, silent, (4, 2), x_T=torch.zeros(3, 2)), "^x_T must"),
        (lambda: ddim_steps(D, silent, (4, 2), x_T=torch.full((4, 2), torch.nan)), "^x_T contains NaN"),
        (lambda: sample(D, silent, (4, 2), sampler="euler"), "^sampler must"),
        (lambda: sample(D, silent, (4, 2), batch_size=0), "^batch_size must"),
        (lambda: sample(D, silent, (4, 2), generator=0), "^generator must be a torch.Generator"),
        (lambda: ddim_steps(D, silent, (4, 2), generator=np.random.default_rng(0)), "^generator must"),
        (lambda: ddpm_steps(D, silent, (4, 2), x_T=torch.zeros(4, 2), generator=0), "^generator must"),
    ],
)
def test_bad_input_is_named_before_the_first_step(call, match):
    with pytest.raises((TypeError, ValueError), match=match):
        call()


def test_a_model_that_answers_nonsense_is_named():
    with pytest.raises(ValueError, match="^eps_hat must have the shape"):
        list(ddpm_steps(D, lambda x, t: x[:, :1], (4, 2)))
    with pytest.raises(ValueError, match="^eps contains NaN|^eps_hat contains NaN"):
        list(ddim_steps(D, lambda x, t: x * torch.nan, (4, 2)))


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: MixtureOracle(D, torch.zeros(2)), "^mean must"),
        (lambda: MixtureOracle(D, torch.zeros(2, 2), -1.0), "^std must"),
        (lambda: MixtureOracle(D, torch.zeros(2, 2), weights=torch.tensor([1.0, 0.0])), "^weights must"),
        (lambda: FiniteOracle(D, torch.full((2, 2), torch.nan)), "^x_0 contains NaN"),
        (lambda: FiniteOracle(D, torch.zeros(2, 3))(torch.zeros(4, 2), 1), "^x_t must"),
        (lambda: FiniteOracle(D, torch.zeros(2, 3))(torch.zeros(4, 3), 101), "^t must"),
    ],
)
def test_oracles_name_bad_input(call, match):
    with pytest.raises((TypeError, ValueError), match=match):
        call()
