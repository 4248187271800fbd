"""The classifier, the Frechet distance and its floor, the judgement of samples, and bits/dim."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ddpm_lite import evaluation
from ddpm_lite.checkpoints import CheckpointError, read_card, save_checkpoint
from ddpm_lite.classifier import CLASSIFIER, features_and_p
from ddpm_lite.data import mnist
from ddpm_lite.diffusion import GaussianDiffusion
from ddpm_lite.oracle import GaussianOracle
from ddpm_lite.schedules import linear_beta_schedule
from ddpm_lite.unet import UNet


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def digits() -> Tensor:
    """1,000 training digits of the subset."""
    data = mnist("train", full=False)
    return data.batch(torch.randperm(len(data), generator=seeded())[:1000])


# ---- the classifier ----------------------------------------------------------------------------------------------


def test_the_shipped_classifier_knows_the_embedded_test_digits() -> None:
    assert evaluation.accuracy(mnist("test", full=False)) >= 0.99


def test_its_card_says_what_it_is_and_the_copy_beside_agrees() -> None:
    card = read_card(CLASSIFIER)
    assert json.loads(CLASSIFIER.with_suffix(".json").read_text("utf-8")) == card
    assert card["metrics"]["test_accuracy"] >= 0.994
    assert card["parameters"] == sum(p.numel() for p in evaluation.load_classifier().parameters())
    assert card["command"].startswith("python -m ddpm_lite.classifier")


def test_a_damaged_classifier_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = bytearray(CLASSIFIER.read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "c.safetensors").write_bytes(damaged)
    monkeypatch.setattr("ddpm_lite.classifier.CLASSIFIER", tmp_path / "c.safetensors")
    with pytest.raises(CheckpointError, match="checksum"):
        evaluation.load_classifier()


def test_logits_are_the_head_of_the_features_and_one_batch_size_is_as_good_as_another(digits: Tensor) -> None:
    net = evaluation.load_classifier()
    features, p = features_and_p(digits, net)
    assert features.shape == (1000, net.num_features) and features.dtype == torch.float64
    torch.testing.assert_close(net(digits[:7]).softmax(1), p[:7], rtol=0, atol=1e-5)
    torch.testing.assert_close(net.features(digits[:7]).double(), features[:7], rtol=0, atol=1e-5)


def test_training_learns_repeats_itself_and_leaves_the_global_generator_alone() -> None:
    data = mnist("train", full=False).subset(slice(0, 1000))
    before = torch.get_rng_state()
    first = evaluation.train_classifier(data, epochs=2, batch_size=50, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(5)
    again = evaluation.train_classifier(data, epochs=2, batch_size=50, seed=3)
    torch.set_rng_state(before)
    other = evaluation.train_classifier(data.subset(slice(0, 50)), epochs=1, batch_size=50, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.head.weight, other.head.weight)
    assert not first.training
    assert evaluation.accuracy(mnist("test", full=False), first) > 0.6


def test_noise_is_hardly_ever_recognized_and_digits_nearly_always(digits: Tensor) -> None:
    noise = torch.randn(300, 1, 28, 28, generator=seeded())
    smooth = F.interpolate(noise[:, :, ::4, ::4], size=28, mode="bilinear").clamp(-1, 1)  # of a kind not trained on
    black = torch.full((1, 1, 28, 28), -1.0)
    for images in (noise, noise.clamp(-1, 1), torch.rand(noise.shape, generator=seeded()) * 2 - 1, black):
        assert evaluation.recognized(images)["share"] < 0.02
    assert evaluation.recognized(smooth)["share"] < 0.3
    real = evaluation.recognized(digits)
    assert real["share"] > 0.97
    assert math.isclose(sum(real["digits"]), 1) and min(real["digits"]) > 0.07 and max(real["digits"]) < 0.13
    eights = mnist("test", full=False)
    eights = eights.subset(eights.labels == 8)
    assert evaluation.recognized(eights.batch(torch.arange(len(eights))))["digits"][8] > 0.95


def test_the_threshold_is_one(digits: Tensor) -> None:
    shares = [evaluation.recognized(digits, threshold=p)["share"] for p in (0, 0.5, 0.9, 0.999, 1)]
    assert shares == sorted(shares, reverse=True) and shares[0] == 1 and shares[3] < 1 and shares[4] == 0


# ---- the Frechet distance ----------------------------------------------------------------------------------------


def direct_frechet(a: Tensor, b: Tensor) -> float:
    """The formula as it stands, with scipy's matrix square root."""
    a, b = a.double().numpy(), b.double().numpy()
    c_a, c_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(c_a @ c_b)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c_a + c_b - 2 * np.real(root)))


def test_the_distance_equals_the_formula() -> None:
    a = torch.randn(300, 6, generator=seeded(1)) @ torch.randn(6, 6, generator=seeded(2))
    b = torch.randn(200, 6, generator=seeded(3)) @ torch.randn(6, 6, generator=seeded(4)) + 0.5
    assert math.isclose(evaluation.frechet_distance(a, b), direct_frechet(a, b), rel_tol=1e-9)
    assert math.isclose(evaluation.frechet_distance(b, a), direct_frechet(a, b), rel_tol=1e-9)


def test_of_two_gaussians_it_is_what_theory_says() -> None:
    # N(m, s^2 I): |m_a - m_b|^2 + D (s_a - s_b)^2, up to the error of the means, about 2 |m| sqrt(2 / n), and of s
    n, dim = 40_000, 4
    a = torch.randn(n, dim, generator=seeded(1))
    b = 2 * torch.randn(n, dim, generator=seeded(2)) + 1.5
    exact = dim * 1.5**2 + dim * (2 - 1) ** 2
    assert abs(evaluation.frechet_distance(a, b) - exact) < 0.3
    shifted = evaluation.frechet_distance(a, a + 1.5)
    assert math.isclose(shifted, dim * 1.5**2, rel_tol=1e-6)


def test_equal_sets_have_distance_zero_and_worse_ones_more(digits: Tensor) -> None:
    a, b = digits[:500], digits[500:]
    features = features_and_p(a)[0]
    assert evaluation.frechet_distance(a, a) < 1e-6
    assert math.isclose(evaluation.frechet_distance(a, b), evaluation.frechet_distance(features, b), rel_tol=1e-9)
    noise = torch.randn(b.shape, generator=seeded())
    distances = [evaluation.frechet_distance(a, (b + s * noise).clamp(-1, 1)) for s in (0, 0.2, 0.5, 1)]
    assert distances == sorted(distances) and distances[1] > 1.5 * distances[0] > 0


class Elsewhere(Tensor):
    """A tensor that says it lies on a GPU."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("cuda")

    def cpu(self, *_: Any, **__: Any) -> Tensor:
        return self.as_subclass(Tensor)


def test_what_is_not_finite_is_no_perfect_score(digits: Tensor) -> None:
    a = torch.randn(10, 3, generator=seeded(), dtype=torch.float64)
    with pytest.raises(ValueError, match="^a and b must have finite means and covariances"):
        evaluation.frechet_distance(1e200 * a, a)  # its covariance overflows
    broken, bad = digits[:4].clone(), a.clone()
    broken[0, 0, 0, 0], bad[0, 0] = torch.nan, torch.inf
    for wrong in (broken, broken.as_subclass(Elsewhere)):
        for call in (evaluation.recognized, evaluation.background, evaluation.evaluate_samples):
            with pytest.raises(ValueError, match="contains NaN or infinite values"):
                call(wrong)
    for wrong in (bad, bad.as_subclass(Elsewhere)):
        with pytest.raises(ValueError, match="^b contains NaN or infinite values"):
            evaluation.frechet_distance(a, wrong)
    with pytest.raises(ValueError, match="contains NaN or infinite values"):
        evaluation.frechet_distance(1e300 * digits[:4].double(), digits[:4])  # finite images, but not their features


def test_the_floor_compares_disjoint_real_images_and_shrinks_with_n() -> None:
    reference, splits, text = evaluation.real_features(300, n_splits=3, full=False)
    assert reference.shape == splits[0].shape == (300, 80) and len(splits) == 3
    rows = torch.cat(splits)
    assert len(rows.unique(dim=0)) >= 895  # no image in two sets (MNIST itself holds a few doubles)
    floor = evaluation.frechet_floor(300, n_splits=3, full=False)
    distances = [direct_frechet(split, reference) for split in splits]
    assert math.isclose(floor["mean"], sum(distances) / 3, rel_tol=1e-3)
    assert math.isclose(floor["se"], float(np.std(distances, ddof=1)) / math.sqrt(3), rel_tol=0.05)
    assert floor["compared"] == text and "300 of 2000 test images" in text
    assert evaluation.frechet_floor(1000, n_splits=2, full=False)["mean"] < floor["mean"]
    assert evaluation.frechet_floor(300, n_splits=3, seed=1, full=False)["mean"] != floor["mean"]


def test_real_digits_pass_as_samples_and_grainy_ones_do_not(digits: Tensor) -> None:
    digits = digits[:200]
    good = evaluation.evaluate_samples(digits, full=False)
    grain = (digits + 0.3 * torch.randn(digits.shape, generator=seeded())).clamp(-1, 1)
    bad = evaluation.evaluate_samples(grain, full=False)
    assert json.loads(json.dumps(good, allow_nan=False)) == good
    assert good["n"] == 200 and good["frechet_floor"]["n_splits"] == 10
    assert 0.5 < good["ratio"] < 1.5 and abs(good["recognized"] - good["recognized_real"]) < 0.03
    assert good["ratio"] == good["frechet_distance"] / good["frechet_floor"]["mean"]
    assert good["background"]["samples"]["untouched_mean"] == 0 == good["background"]["samples"]["untouched_p95"]
    assert good["background"]["samples"]["far_mean"] < 0.02
    assert bad["ratio"] > 3 and bad["background"]["samples"]["untouched_p95"] > 0.2
    assert bad["background"]["samples"]["far_mean"] > 3 * bad["background"]["real"]["far_mean"]


def test_background_is_measured_where_it_should_be_black() -> None:
    gray = torch.full((3, 1, 28, 28), -0.8)
    found = evaluation.background(gray, full=False)
    assert all(math.isclose(value, 0.1, rel_tol=1e-6) for value in found.values())
    center = torch.full((3, 1, 28, 28), -1.0)
    center[:, :, 10:18, 10:18] = 1
    assert set(evaluation.background(center, full=False).values()) == {0.0}
    assert evaluation.background(torch.ones(1, 1, 28, 28), full=False)["far_mean"] == 0  # no such pixel


# ---- bits per dimension ------------------------------------------------------------------------------------------


def gaussian_images(n: int, std: float) -> Tensor:
    """Pixels of N(0, std^2), rounded to 256 levels."""
    x = (torch.randn(n, 1, 4, 4, generator=seeded()) * std).clamp(-1, 1)
    return ((x + 1) * 127.5).round() / 127.5 - 1


def test_all_times_give_the_bound_and_few_estimate_it() -> None:
    diffusion = GaussianDiffusion(linear_beta_schedule(50))
    oracle, x = GaussianOracle(diffusion, torch.zeros(1, 4, 4), 0.25), gaussian_images(200, 0.25)
    every = evaluation.bits_per_dim(diffusion, oracle, x, n_t=49, generator=seeded(1))
    # The sum over each t, by hand; another noise, so equal within the errors
    eps = seeded(2)
    terms = torch.stack([diffusion.bound_terms(oracle, x, t, generator=eps) for t in range(1, 51)]).double()
    by_hand = {"L_T": diffusion.prior_term(x), "L_0": terms[0], "L_sum": terms[1:].sum(0)}
    for name, value in by_hand.items():
        error = math.hypot(every[name]["se"], float(value.std()) / math.sqrt(200))
        assert abs(every[name]["mean"] - float(value.mean())) < 4 * error + 1e-6, name
    few = evaluation.bits_per_dim(diffusion, oracle, x, n_t=8, generator=seeded(3))
    assert abs(few["L_sum"]["mean"] - every["L_sum"]["mean"]) < 4 * math.hypot(few["L_sum"]["se"], every["L_sum"]["se"])
    assert few["L_sum"]["se"] > 0
    for result in (every, few):
        assert math.isclose(result["total"]["mean"], sum(result[name]["mean"] for name in by_hand), rel_tol=1e-9)


def test_for_gaussian_data_the_parts_are_what_algebra_says() -> None:
    # With sigma^2 = beta_tilde, L_{t-1} = c^2 Var(x_0 | x_t) / (2 beta_tilde_t), where c x_0 is x_0's part of mu_tilde
    # and Var(x_0 | x_t) = s^2 (1 - alpha_bar_t) / (alpha_bar_t s^2 + 1 - alpha_bar_t) for x_0 ~ N(0, s^2).
    diffusion, s = GaussianDiffusion(linear_beta_schedule(200)), 0.25
    x = gaussian_images(400, s)
    oracles = (GaussianOracle(diffusion, torch.full((1, 4, 4), mean), s) for mean in (0.0, 0.3))
    right, wrong = (evaluation.bits_per_dim(diffusion, o, x, generator=seeded()) for o in oracles)
    alpha_bar, alpha_bar_before = diffusion.alpha_bar[2:].double(), diffusion.alpha_bar[1:-1].double()
    c = alpha_bar_before.sqrt() * diffusion.beta[2:] / (1 - alpha_bar)
    variance = s**2 * (1 - alpha_bar) / (alpha_bar * s**2 + 1 - alpha_bar)
    exact = float((c**2 * variance / (2 * diffusion.beta_tilde[2:])).sum()) / math.log(2)
    assert abs(right["L_sum"]["mean"] - exact) < 4 * right["L_sum"]["se"] < 0.1 * exact
    entropy = 0.5 * math.log2(2 * math.pi * math.e * s**2) + math.log2(127.5)  # of a pixel's level, in bits
    assert entropy < right["total"]["mean"] < wrong["total"]["mean"] - 0.1


def test_the_other_sigma_has_another_bound_which_is_nearer_for_smooth_data() -> None:
    # With sigma^2 = beta_t, 2 L_{t-1} = ln(beta_t / beta_tilde_t) - 1 + (beta_tilde_t + c^2 Var(x_0 | x_t)) / beta_t
    diffusion, s = GaussianDiffusion(linear_beta_schedule(200)), 0.25
    oracle, x = GaussianOracle(diffusion, torch.zeros(1, 4, 4), s), gaussian_images(400, s)
    tilde, beta = (
        evaluation.bits_per_dim(diffusion, oracle, x, sigma=sigma, generator=seeded())
        for sigma in ("beta_tilde", "beta")
    )
    b, b_tilde, c = (table[2:].double() for table in (diffusion.beta, diffusion.beta_tilde, diffusion.mu_coef_x_0))
    variance = 1 / (1 / s**2 + diffusion.snr[2:].double())
    exact = float(((b / b_tilde).log() - 1 + (b_tilde + c**2 * variance) / b).sum()) / 2 / math.log(2)
    assert abs(beta["L_sum"]["mean"] - exact) < 4 * beta["L_sum"]["se"] < 0.1 * exact
    assert beta == evaluation.bits_per_dim(diffusion, oracle, x, sigma="beta", generator=seeded())
    assert beta["total"]["mean"] < tilde["total"]["mean"] - 0.1
    assert tilde == evaluation.bits_per_dim(diffusion, oracle, x, generator=seeded())  # the default
    with pytest.raises(ValueError, match="^sigma must be one of"):
        evaluation.bits_per_dim(diffusion, oracle, x, sigma="learned")


def test_the_standard_error_is_the_spread_of_repeated_estimates() -> None:
    diffusion, generator = GaussianDiffusion(linear_beta_schedule(50)), seeded()
    oracle, sets = GaussianOracle(diffusion, torch.zeros(1, 4, 4), 0.25), gaussian_images(3000, 0.25).split(20)
    runs = [evaluation.bits_per_dim(diffusion, oracle, x, n_t=4, generator=generator) for x in sets]
    spread = float(np.std([run["total"]["mean"] for run in runs], ddof=1))
    claimed = float(np.sqrt(np.mean([run["total"]["se"] ** 2 for run in runs])))
    assert 0.8 < spread / claimed < 1.25


@given(st.integers(2, 1100), st.integers(1, 1200))
def test_strata_cover_every_time_once(T: int, n: int) -> None:
    n = min(n, T - 1)
    edges = evaluation._strata(T, n)
    assert edges[0] == 2 and edges[-1] == T + 1 and len(edges) == n + 1
    assert all(a < b for a, b in zip(edges[:-1], edges[1:], strict=True))


def test_one_step_of_diffusion_has_no_sum_and_the_network_keeps_its_mode() -> None:
    class Zero(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            assert not self.training
            return torch.zeros_like(x)

    model = Zero().train()
    result = evaluation.bits_per_dim(GaussianDiffusion(torch.tensor([0.5])), model, gaussian_images(5, 0.2))
    assert result["L_sum"] == {"mean": 0.0, "se": 0.0} and result["L_0"]["mean"] > 0 and model.training


# ---- the command line and bad input ------------------------------------------------------------------------------


def test_the_command_prints_json_on_stdout_and_progress_on_stderr(tmp_path: Path) -> None:
    diffusion = GaussianDiffusion(linear_beta_schedule(50))
    save_checkpoint(tmp_path / "m", UNet(channels=8, channel_mult=(1, 2), n_res_blocks=1), diffusion)
    args = f"score {tmp_path / 'm'} --n-steps 2 --n 20 --bits 2 --seed 1 --subset".split()
    command = [sys.executable, "-m", "ddpm_lite.evaluation", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True)
    result = json.loads(done.stdout)
    assert result["n"] == 20 and result["sampler"] == "ddim" and result["command"].endswith("--seed 1 --subset")
    assert len(result["digits"]) == 10 and result["ratio"] > 1 and result["bits_per_dim"]["total"]["mean"] > 0
    assert "ddim" in done.stderr and "Traceback" not in done.stderr
    assert (result["n_steps"], result["eta"]) == (2, 0)
    wrongs = {"--n 1": "--n must be between 2", "--sampler euler": "sampler must be", "--eta 2": "eta must"}
    wrongs |= {"--seed -1": "--seed must be", "--bits 1": "--bits must be"}
    for wrong, said in wrongs.items():
        with pytest.raises(ValueError, match=said):
            evaluation.score([*args, *wrong.split()])


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = "('torchvision', 'torchmetrics', 'matplotlib', 'PIL', 'scipy')"
    code = f"import sys, ddpm_lite.evaluation; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


GOOD = torch.zeros(4, 1, 28, 28)
BAD_CALLS: dict[str, tuple[Any, type[Exception], str]] = {
    "uint8": (lambda: evaluation.recognized(GOOD.to(torch.uint8)), TypeError, "images must have a floating"),
    "size": (lambda: evaluation.recognized(torch.zeros(4, 1, 32, 32)), ValueError, r"images must be .* got \(4, 1, 32"),
    "empty": (lambda: evaluation.recognized(GOOD[:0]), ValueError, "images must be"),
    "NaN": (lambda: evaluation.evaluate_samples(GOOD / 0, full=False), ValueError, "samples contains NaN"),
    "array": (lambda: evaluation.frechet_distance(GOOD.numpy(), GOOD), TypeError, "a must be a torch.Tensor"),
    "one row": (lambda: evaluation.frechet_distance(GOOD[:1], GOOD), ValueError, "a must be .* N >= 2"),
    "features": (lambda: evaluation.frechet_distance(torch.ones(9, 2), torch.ones(9, 3)), ValueError, "b must have"),
    "many": (lambda: evaluation.frechet_floor(2001, full=False), ValueError, "n must be between 2 and 2000, got 2001"),
    "splits": (lambda: evaluation.frechet_floor(10, n_splits=1, full=False), ValueError, "n_splits must be at least 2"),
    "threshold": (lambda: evaluation.recognized(GOOD, threshold=2), ValueError, "threshold must lie in"),
    "epochs": (lambda: evaluation.train_classifier([], epochs=0), ValueError, "epochs must be at least 1"),
    "dropout": (lambda: evaluation.Classifier(dropout=-1), ValueError, "dropout must lie in"),
    "one image": (
        lambda: evaluation.bits_per_dim(GaussianDiffusion(linear_beta_schedule(50)), lambda x, t: x, GOOD[:1]),
        ValueError,
        "number of images must be at least 2",
    ),
    "n_t": (
        lambda: evaluation.bits_per_dim(GaussianDiffusion(linear_beta_schedule(50)), lambda x, t: x, GOOD, n_t=0),
        ValueError,
        "n_t must be at least 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CALLS)
def test_an_error_names_the_argument(case: str) -> None:
    call, kind, message = BAD_CALLS[case]
    with pytest.raises(kind, match=message):
        call()
