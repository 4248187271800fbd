"""What the checks of the sets 06 and 07 tell as measured or computed: the bend of the loss curve, the grain."""

from __future__ import annotations

import pytest
import torch

from ddpm_lite import GaussianDiffusion, GaussianOracle, TrainConfig, cosine_beta_schedule
from ddpm_lite.checks.lesson_06b import late_falls
from ddpm_lite.checks.lesson_07b import grain
from ddpm_lite.measure import pretrained_history


def test_the_loss_curve_bends_where_the_learning_rate_begins_to_fall() -> None:
    bend, fall, before, tremble = late_falls()  # of the first of the commands
    history = pretrained_history("mnist")
    words = history["command"].split()
    n_steps, falling, warmup = (int(words[words.index(f"--{x}-steps") + 1]) for x in ("n", "decay", "warmup"))
    recipe = TrainConfig(n_steps=n_steps, decay_steps=falling, warmup_steps=warmup)
    assert recipe.lr_at(bend) == recipe.lr_at(bend // 2) and bend + falling == n_steps
    assert recipe.lr_at(bend + falling // 2) < 0.6 * recipe.lr
    assert fall > 3 * before > 0 and fall > 3 * tremble  # what options c and d are told

    late = [i for i, step in enumerate(history["loss"]["step"]) if n_steps / 2 < step <= n_steps]
    x = torch.tensor([history["loss"]["step"][i] for i in late], dtype=torch.float64)
    y = torch.tensor([history["loss"]["loss"][i] for i in late], dtype=torch.float64)

    def misfit(place: float) -> float:  # of the best line that has a bend there
        A = torch.stack([torch.ones_like(x), x, (x - place).clamp(min=0)], 1)
        return float((A @ torch.linalg.lstsq(A, y[:, None]).solution - y[:, None]).square().sum())

    found = min(x[2:-2].tolist(), key=misfit)
    assert abs(found - bend) < 0.1 * n_steps


@pytest.mark.parametrize("n_steps", [1000, 20])
def test_the_grain_is_what_a_last_noise_leaves(n_steps: int) -> None:
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - cosine_beta_schedule(1000)).cumprod(0)])
    kept = alpha_bar[:: 1000 // n_steps]
    short = GaussianDiffusion(1 - kept[1:] / kept[:-1], dtype=torch.float64)
    oracle = GaussianOracle(short, torch.zeros(1), 0.0)  # one image, all 0: what is left is the noise
    g = torch.Generator().manual_seed(0)
    x = 0.1 * torch.randn(20_000, 1, generator=g, dtype=torch.float64)
    eps_hat = oracle(x, torch.ones(len(x), dtype=torch.int64))
    mean, variance, _ = short.p_mean_variance(eps_hat, x, 1, sigma="beta")
    noisy = mean + variance.sqrt() * torch.randn(x.shape, generator=g, dtype=torch.float64)
    assert float(noisy.std()) * 127.5 == pytest.approx(grain(n_steps), rel=0.03)
