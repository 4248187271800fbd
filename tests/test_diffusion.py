"""GaussianDiffusion: parity with diffusers, exact identities, the bound, bad input."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddpm_lite import GaussianDiffusion, GaussianOracle, beta_schedule, linear_beta_schedule
from ddpm_lite.likelihood import discretized_log_likelihood, gaussian_kl

GRID = [("linear", 10), ("linear", 1000), ("cosine", 50), ("cosine", 1000), ("sigmoid", 200)]


def make(name, T, dtype=torch.float32):
    options = {"rescale": False} if name == "linear" else {}
    return GaussianDiffusion(beta_schedule(name, T, **options), dtype=dtype)


def scheduler(diffusion, **options):
    """diffusers' DDPMScheduler on the same beta. Its t is ours minus 1."""
    from diffusers import DDPMScheduler

    beta = diffusion.schedule.numpy()
    return DDPMScheduler(num_train_timesteps=diffusion.T, trained_betas=beta, **options)


@pytest.mark.parametrize("name, T", GRID)
def test_tables_equal_those_of_diffusers(name, T):
    d = make(name, T)
    other = scheduler(d)
    torch.testing.assert_close(d.beta[1:], other.betas.float(), rtol=1e-6, atol=0)
    torch.testing.assert_close(d.alpha_bar[1:], other.alphas_cumprod.float(), rtol=0, atol=1e-6)
    # relative to values as small as 1e-9, what is left is their float32: each 1 - beta_t, and each product, is off by
    # 2^-24
    rtol = float((2**-24 / d.alpha[1:] + 2**-24).sum())
    torch.testing.assert_close(d.alpha_bar[1:], other.alphas_cumprod.float(), rtol=rtol, atol=0)


def test_our_cosine_and_linear_betas_are_those_of_diffusers():
    from diffusers import DDPMScheduler

    for T in (100, 1000):
        theirs = DDPMScheduler(num_train_timesteps=T, beta_schedule="squaredcos_cap_v2").betas
        torch.testing.assert_close(beta_schedule("cosine", T).float(), theirs, rtol=1e-6, atol=1e-7)
        theirs = DDPMScheduler(num_train_timesteps=T, beta_schedule="linear").betas
        ours = beta_schedule("linear", T, rescale=False)
        torch.testing.assert_close(ours.float(), theirs, rtol=1e-5, atol=1e-8)  # a float32 linspace there


@pytest.mark.parametrize("name, T", GRID)
def test_noising_equals_diffusers(name, T):
    d, g = make(name, T), torch.Generator().manual_seed(0)
    other = scheduler(d)
    x_0 = torch.rand(16, 1, 8, 8, generator=g) * 2 - 1
    eps = torch.randn(x_0.shape, generator=g)
    t = torch.randint(1, T + 1, (16,), generator=g)
    theirs = other.add_noise(x_0, eps, t - 1)
    # sqrt(alpha_bar) near 0 and sqrt(1 - alpha_bar) near t = 1 carry the rounding of their float32 tables
    atol = 1e-6 + float((_their_noise_rate(other) - d.sqrt_one_minus_alpha_bar[1:]).abs().max()) * float(
        eps.abs().max()
    )
    torch.testing.assert_close(d.q_sample(x_0, t, eps), theirs, rtol=0, atol=atol)


def _their_noise_rate(other):
    return (1 - other.alphas_cumprod).sqrt().float()


@pytest.mark.parametrize("name, T", GRID)
@pytest.mark.parametrize("clip", [True, False])
def test_mean_and_variance_of_a_step_equal_diffusers(name, T, clip):
    """In float64, on tables that are both float64: to 1e-6, in fact to 1e-9."""
    d, g = make(name, T, torch.float64), torch.Generator().manual_seed(1)
    other = scheduler(d, clip_sample=clip, variance_type="fixed_small")
    other.betas = d.beta[1:].clone()
    other.alphas, other.alphas_cumprod, other.one = d.alpha[1:], d.alpha_bar[1:], torch.ones((), dtype=torch.float64)
    for t in sorted({1, 2, T // 2, T}):
        x_t = torch.randn(4, 1, 5, 5, generator=g, dtype=torch.float64)
        eps_hat = torch.randn(x_t.shape, generator=g, dtype=torch.float64)
        mean, variance, x0_hat = d.p_mean_variance(eps_hat, x_t, t, clip=clip)
        zero = torch.Generator().manual_seed(0)
        theirs = other.step(eps_hat, t - 1, x_t, generator=zero)
        torch.testing.assert_close(x0_hat, theirs.pred_original_sample, rtol=1e-6, atol=1e-6)
        noise = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        made = mean + variance.sqrt() * noise if t > 1 else mean
        torch.testing.assert_close(made, theirs.prev_sample, rtol=1e-6, atol=1e-6)
        assert float(variance.flatten()[0]) == pytest.approx(float(d.beta_tilde[t]), abs=1e-12)


@pytest.mark.parametrize("name, T", GRID)
def test_float32_tables_are_the_float64_ones_rounded_once(name, T):
    coarse, fine = make(name, T), make(name, T, torch.float64)
    for key, table in coarse.named_buffers():
        assert torch.equal(table, dict(fine.named_buffers())[key].float()), key


def test_entry_0_is_the_data():
    d = make("linear", 100)
    assert d.beta[0] == 0 and d.alpha_bar[0] == 1 and d.sqrt_one_minus_alpha_bar[0] == 0 and math.isinf(d.snr[0])
    assert d.beta_tilde[1] == 0
    x_0 = torch.randn(2, 3)
    assert torch.equal(d.q_sample(x_0, 0), x_0)
    assert torch.equal(d.predict_x0(x_0, 0, torch.randn(2, 3)), x_0)


def test_the_last_posterior_is_the_data():
    d, x_0, x_t = make("linear", 100), torch.randn(4, 2), torch.randn(4, 2)
    mean, variance = d.q_posterior(x_0, x_t, 1)
    assert torch.equal(mean, x_0) and bool((variance == 0).all())


def test_predictions_undo_the_noising():
    d = make("cosine", 40, torch.float64)
    x_0, eps = torch.randn(40, 3, dtype=torch.float64), torch.randn(40, 3, dtype=torch.float64)
    t = torch.arange(1, 41)
    x_t = d.q_sample(x_0, t, eps)
    torch.testing.assert_close(d.predict_x0(x_t, t, eps), x_0, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(d.predict_eps(x_t, t, x_0), eps, rtol=1e-9, atol=1e-9)


def test_posterior_is_prior_times_likelihood_on_a_grid():
    d = make("linear", 20, torch.float64)
    x = torch.linspace(-6, 6, 24_001, dtype=torch.float64)
    for t in (2, 10, 20):
        x_0, x_t = 0.4, -0.7
        prior = -((x - d.sqrt_alpha_bar[t - 1] * x_0) ** 2) / (2 * (1 - d.alpha_bar[t - 1]))
        likelihood = -((x_t - d.alpha[t].sqrt() * x) ** 2) / (2 * d.beta[t])
        p = (prior + likelihood).softmax(0)
        mean = (p * x).sum()
        variance = (p * (x - mean) ** 2).sum()
        a, b = (torch.full((1, 1), v, dtype=torch.float64) for v in (x_0, x_t))
        mu_tilde, beta_tilde = d.q_posterior(a, b, t)
        assert float(mu_tilde) == pytest.approx(float(mean), abs=1e-9)
        assert float(beta_tilde) == pytest.approx(float(variance), rel=1e-6)


def test_unclipped_mean_is_eq_11():
    d = make("linear", 1000, torch.float64)
    t = torch.arange(1, 1001)
    x_t, eps = torch.randn(1000, 2, dtype=torch.float64), torch.randn(1000, 2, dtype=torch.float64)
    mean, variance, _ = d.p_mean_variance(eps, x_t, t, sigma="beta", clip=False)
    beta, alpha, rate = (table[t][:, None] for table in (d.beta, d.alpha, d.sqrt_one_minus_alpha_bar))
    torch.testing.assert_close(mean, (x_t - beta / rate * eps) / alpha.sqrt(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(variance, beta)


def test_loss_of_a_silent_and_of_a_perfect_model():
    d, g = make("linear", 100), torch.Generator().manual_seed(0)
    x_0 = torch.rand(500, 20, generator=g)
    silent = d.loss(lambda x, t: torch.zeros_like(x), x_0, generator=g)
    assert float(silent) == pytest.approx(1, abs=5 * math.sqrt(2 / 10_000))
    perfect = d.loss(lambda x, t: d.predict_eps(x, t, x_0), x_0, generator=g)
    assert float(perfect) < 1e-4


def test_training_draws_every_t_from_1_to_T():
    d, seen = make("linear", 10), set()
    g = torch.Generator().manual_seed(0)
    d.loss(lambda x, t: seen.update(t.tolist()) or x, torch.zeros(1000, 1), generator=g)
    assert seen == set(range(1, 11))


# ---- the bound -------------------------------------------------------------------------------------------------------


def test_kl_of_two_gaussians_against_torch():
    from torch.distributions import Normal, kl_divergence

    m, n, v, w = torch.randn(50), torch.randn(50), torch.rand(50) + 0.1, torch.rand(50) + 0.1
    torch.testing.assert_close(gaussian_kl(m, v, n, w), kl_divergence(Normal(m, v.sqrt()), Normal(n, w.sqrt())))


def test_discretized_probabilities_sum_to_1():
    x = torch.linspace(-1, 1, 256, dtype=torch.float64)
    for mean in (-1.7, -1.0, -0.3, 0.0, 0.999, 1.2):
        for std in (0.003, 0.01, 0.2, 3.0):
            m, s = torch.full_like(x, mean), torch.full_like(x, std)
            log_p = discretized_log_likelihood(x, m, s)
            assert bool(log_p.isfinite().all())
            assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-9)


def test_bound_of_a_gaussian_equals_its_formula_term_by_term():
    """With the exact denoiser, L_{t-1} = coef_0^2 Var(x_0 | x_t) / (2 beta_tilde_t): nothing but what the data
    hides."""
    d = GaussianDiffusion(linear_beta_schedule(50), dtype=torch.float64)
    m, s, n = 0.2, 0.4, 40_000
    g = torch.Generator().manual_seed(0)
    x_0 = m + s * torch.randn(n, 1, generator=g, dtype=torch.float64)
    oracle = GaussianOracle(d, torch.full((1,), m), s)
    for t in (2, 10, 25, 50):
        terms = d.bound_terms(oracle, x_0, t, clip=False, generator=g)
        hidden = s**2 * (1 - d.alpha_bar[t]) / (d.alpha_bar[t] * s**2 + 1 - d.alpha_bar[t])  # Var(x_0 | x_t)
        expected = float(d.mu_coef_x_0[t] ** 2 * hidden / (2 * d.beta_tilde[t]) / math.log(2))
        se = float(terms.std() / math.sqrt(n))
        assert abs(float(terms.mean()) - expected) < 4.5 * se, t
    prior = d.prior_term(x_0)
    noise = 1 - d.alpha_bar[-1]
    expected = float((d.alpha_bar[-1] * (m**2 + s**2) + noise - 1 - noise.log()) / (2 * math.log(2)))
    assert abs(float(prior.mean()) - expected) < 4.5 * float(prior.std() / math.sqrt(n))


def test_bound_is_above_the_entropy_and_comes_nearer_with_more_steps():
    """Data on 256 levels, exact denoiser. A finer chain leaves less to the Gaussian form of p: the gap shrinks with
    T."""
    from ddpm_lite import FiniteOracle

    level = torch.linspace(-1, 1, 256)[:, None]
    p = torch.exp(-((level[:, 0] - 0.1) ** 2) / (2 * 0.3**2))
    p /= p.sum()
    entropy = -float((p * p.log2()).sum())
    gap, error = {}, {}
    for T in (30, 300):
        g = torch.Generator().manual_seed(0)
        d = GaussianDiffusion(linear_beta_schedule(T, beta_1=1e-6, beta_T=0.02))
        oracle = FiniteOracle(d, level, p)
        x_0 = level[torch.multinomial(p, 1500, replacement=True, generator=g)]
        sums = d.prior_term(x_0) + sum(d.bound_terms(oracle, x_0, t, clip=False, generator=g) for t in range(1, T + 1))
        # -log2 p(x_0) itself averages to the entropy: compare with it example by example, which takes out its scatter
        own = -p[((x_0[:, 0] + 1) * 127.5).round().long()].log2()
        gap[T] = float((sums - own).mean())
        error[T] = float((sums - own).std() / math.sqrt(len(x_0)))
    assert entropy == pytest.approx(7.29, abs=0.01)
    assert gap[300] > -4.5 * error[300]
    assert gap[30] - gap[300] > 4.5 * (error[30] + error[300])


# ---- bad input -------------------------------------------------------------------------------------------------------

D = make("linear", 100)
X = torch.zeros(4, 1, 2, 2)


@given(t=st.one_of(st.integers().filter(lambda t: not 0 <= t <= 100), st.floats(), st.text(max_size=2), st.booleans()))
def test_a_bad_t_is_named(t):
    with pytest.raises((TypeError, ValueError), match="^t must"):
        D.q_sample(X, t)


@pytest.mark.parametrize(
    "t, error",
    [
        (torch.tensor([1, 2, 3, 101]), ValueError),
        (torch.tensor([1, 2, 3]), ValueError),
        (torch.tensor([1.0, 2, 3, 4]), TypeError),
        (torch.tensor([1, 2, 3, 4], dtype=torch.int32), TypeError),
        (torch.tensor([[1, 2, 3, 4]]), ValueError),
    ],
)
def test_a_bad_tensor_t_is_named(t, error):
    for call in (lambda: D.q_sample(X, t), lambda: D.q_posterior(X, X, t), lambda: D.loss(lambda x, t: x, X, t)):
        with pytest.raises(error, match="^t must"):
            call()


@given(bad=st.sampled_from(["nan", "inf", "int", "list", "shape", "scalar"]))
def test_a_bad_image_is_named(bad):
    x = {
        "nan": torch.full_like(X, torch.nan),
        "inf": torch.full_like(X, torch.inf),
        "int": X.byte(),
        "list": [[0.0]],
        "shape": torch.zeros(4, 2),
        "scalar": torch.tensor(1.0),
    }[bad]
    calls = {
        "x_0": lambda: D.q_posterior(x, X, 5),
        "eps": lambda: D.predict_x0(X, 5, x),
        "eps_hat": lambda: D.p_mean_variance(x, X, 5),
    }
    for name, call in calls.items():
        with pytest.raises((TypeError, ValueError), match=f"^{name} "):
            call()


def test_t_0_has_no_posterior_and_no_noise_to_predict():
    for call in (lambda: D.q_posterior(X, X, 0), lambda: D.predict_eps(X, 0, X), lambda: D.p_mean_variance(X, X, 0)):
        with pytest.raises(ValueError, match="^t must be between 1 and 100, got 0"):
            call()


@pytest.mark.parametrize(
    "beta, error",
    [
        ([0.1, 0.2], TypeError),
        (torch.tensor([1, 2]), TypeError),
        (torch.zeros(0), ValueError),
        (torch.full((2, 2), 0.1), ValueError),
        (torch.tensor([0.1, 1.0]), ValueError),
        (torch.tensor([0.1, torch.nan]), ValueError),
        (torch.tensor([0.0, 0.1]), ValueError),
    ],
)
def test_a_bad_beta_is_named(beta, error):
    with pytest.raises(error, match="^beta must"):
        GaussianDiffusion(beta)


def test_an_unknown_sigma_is_named():
    with pytest.raises(ValueError, match="^sigma must be one of 'beta_tilde', 'beta', got 'learned'"):
        D.p_mean_variance(X, X, 5, sigma="learned")


def test_moving_to_another_dtype_keeps_the_schedule_exact():
    d = make("linear", 100)
    before = d.schedule.clone()
    d.half()
    assert d.beta.dtype == torch.float16 and d.schedule.dtype == torch.float64 and torch.equal(d.schedule, before)


@pytest.mark.parametrize(
    "answer, error, match",
    [
        (lambda x, t: x[..., :1], ValueError, r"^eps_hat must have the shape of x_t, \(4, 1, 4, 4\), got"),
        (lambda x, t: x.mean(), ValueError, "^eps_hat must"),
        (lambda x, t: None, TypeError, "^eps_hat must be a torch.Tensor, got NoneType"),
        (lambda x, t: (x, x), TypeError, "^eps_hat must be a torch.Tensor, got tuple"),
        (lambda x, t: x.long(), TypeError, "^eps_hat must have a floating-point dtype"),
    ],
)
def test_the_loss_of_an_answer_that_is_no_noise_is_refused(answer, error, match):
    x_0 = torch.zeros(4, 1, 4, 4)
    with pytest.raises(error, match=match):
        D.loss(answer, x_0)


def test_the_loss_of_a_network_gone_wild_is_no_number_and_no_error():
    assert math.isnan(float(D.loss(lambda x, t: x * torch.nan, X)))


def test_no_images_have_no_loss():
    with pytest.raises(ValueError, match=r"^x_0 must hold one image at least, got shape \(0, 2\)"):
        D.loss(lambda x, t: x, torch.zeros(0, 2))


@pytest.mark.parametrize("generator", [0, np.random.default_rng(0)])
def test_a_generator_of_another_kind_is_named(generator):
    calls = [lambda: D.q_sample(X, 5, generator=generator), lambda: D.loss(lambda x, t: x, X, generator=generator)]
    for call in calls:
        with pytest.raises(TypeError, match="^generator must be a torch.Generator"):
            call()
