"""The functions that lesson 07 defines, and the study whose results it shows, on models without training."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

import build
import rules
from ddpm_lite import (
    GaussianDiffusion,
    MixtureOracle,
    UNet,
    cosine_beta_schedule,
    ddpm_steps,
    linear_beta_schedule,
    plots,
    save_checkpoint,
)

T = 40


def table(beta: Tensor) -> Tensor:
    return torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])


@pytest.fixture(scope="module")
def study() -> ModuleType:
    path = rules.ROOT / "benchmarks" / "clipping.py"
    spec = importlib.util.spec_from_file_location("clipping", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def world() -> tuple[GaussianDiffusion, MixtureOracle]:
    diffusion = GaussianDiffusion(cosine_beta_schedule(T))
    generator = torch.Generator().manual_seed(3)
    return diffusion, MixtureOracle(diffusion, 1.6 * torch.rand(4, 1, 28, 28, generator=generator) - 0.8, 0.3)


@pytest.fixture(scope="module")
def lesson() -> dict[str, Any]:
    """The functions of the lesson, over a cosine schedule of 40 steps, with a model that returns its times."""
    beta = torch.cat([torch.zeros(1), cosine_beta_schedule(T)])
    alpha_bar = (1 - beta).cumprod(0)
    namespace: dict[str, Any] = {"torch": torch, "GaussianDiffusion": GaussianDiffusion, "T": T}
    namespace |= {"beta": beta, "alpha": 1 - beta, "alpha_bar": alpha_bar, "model": lambda x, t: t}
    (path,) = build.lessons(["07"])
    for cell in build.read_source(path).cells:
        if cell.cell_type == "code":
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.FunctionDef) and not any(isinstance(n, ast.Raise) for n in ast.walk(node)):
                    exec(compile(ast.Module([node], []), "lesson", "exec"), namespace)
    return namespace


def test_shorten_keeps_alpha_bar_and_tells_the_network_its_true_times(lesson: dict[str, Any]) -> None:
    chain, tau, network = lesson["shorten"](8)
    assert tau.tolist() == list(range(0, T + 1, 5))
    torch.testing.assert_close(chain.alpha_bar.double(), lesson["alpha_bar"][tau], rtol=1e-6, atol=0)
    assert network(None, torch.tensor([1, 8])).tolist() == [5, T]


def test_shorten_of_another_schedule_asks_at_the_times_of_nearest_noise(lesson: dict[str, Any]) -> None:
    linear, own = table(linear_beta_schedule(T)), lesson["alpha_bar"]
    chain, tau, _ = lesson["shorten"](T, linear)
    torch.testing.assert_close(chain.alpha_bar.double(), linear, rtol=1e-5, atol=0)
    for k in range(T + 1):
        gaps = (own.sqrt().acos() - linear[k].sqrt().acos()).abs()
        assert gaps[tau[k]] == gaps.min()
    assert tau[0] == 0 and bool((tau.diff() >= 0).all())


def test_the_two_parts_of_an_image_and_their_distances(lesson: dict[str, Any]) -> None:
    x, y = torch.randn(2, 3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    coarse, fine = lesson["distances"](x, y)
    assert float(coarse + fine) == pytest.approx(float((x - y).square().mean()), rel=1e-5)
    shifted, rest = lesson["distances"](x, x + 0.5)
    assert float(shifted) == pytest.approx(0.25, rel=1e-5) and float(rest) == pytest.approx(0, abs=1e-10)


# ---- the study ----------------------------------------------------------------------------------------------------


def test_a_drawn_batch_is_that_of_the_library(study: ModuleType, world: Any) -> None:
    for arm in study.ARMS.values():
        found = study.draw(*world, 3, **arm, generator=torch.Generator().manual_seed(5))
        generator, seen = torch.Generator().manual_seed(5), {}
        x = torch.randn(3, 1, 28, 28, generator=generator)
        for step in ddpm_steps(*world, x.shape, x_T=x, generator=generator, **arm):
            seen[step.t] = world[0].predict_x0(x, step.t, step.eps_hat).abs()
            x = step.x
        seen[0] = x.abs()
        assert torch.equal(found["x"], x)
        for t in (0, 1, 17, T):
            assert float(found["largest"][t]) == pytest.approx(float(seen[t].max()))
            assert float(found["outside"][t]) == pytest.approx(float((seen[t] > 1 + 1e-6).float().mean()))
            assert float(found["far"][t]) == pytest.approx(float((seen[t] > 1.1).float().mean()))
            assert float(found["excess"][t]) == pytest.approx(float((seen[t] - 1).clamp(min=0).mean()), abs=1e-7)
        assert arm["clip"] == (float(found["largest"][0]) <= 1)


def test_all_arms_share_their_noises_and_done_batches_are_not_drawn_again(
    study: ModuleType, world: Any, tmp_path: Path
) -> None:
    diffusion, oracle = world
    calls, starts = [0], []

    def counting(x_t: Tensor, t: Tensor) -> Tensor:
        calls[0] += 1
        if int(t[0]) == T:
            starts.append(x_t)
        return oracle(x_t, t)

    settings = {"checkpoint": "a" * 64, "n": 5, "seed": 1, "batch_size": 3}
    names = list(study.ARMS)[:2]
    results = [study.run_arm(diffusion, counting, tmp_path, name, settings) for name in names]
    assert calls[0] == 2 * 2 * T and [len(x) for x in starts] == [3, 2, 3, 2]
    assert torch.equal(starts[0], starts[2]) and torch.equal(starts[1], starts[3])
    assert not torch.equal(starts[0][:2], starts[1])
    (tmp_path / "beta_tilde-clipped-1.safetensors").unlink()
    again = study.run_arm(diffusion, counting, tmp_path, names[0], settings)
    assert calls[0] == 5 * T and all(torch.equal(again[key], results[0][key]) for key in again)
    assert len(again["x"]) == 5 and float(again["outside"].max()) <= 1
    study.run_arm(diffusion, counting, tmp_path, names[0], {**settings, "seed": 2})
    assert calls[0] == 7 * T, "batches of another seed were taken"


def test_standard_errors(study: ModuleType) -> None:
    values = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    group = torch.arange(50) % study.GROUPS
    means = [float(values[group != g].mean()) for g in range(study.GROUPS)]
    of_groups = torch.stack([values[group == g].mean() for g in range(study.GROUPS)])
    assert study.jackknife(means) == pytest.approx(float(of_groups.std()) / study.GROUPS**0.5)


def test_last_noise_is_that_of_step_1(study: ModuleType) -> None:
    diffusion = GaussianDiffusion(linear_beta_schedule(50))
    noisy = study.with_last_noise(diffusion, torch.zeros(200, 1, 28, 28), 0)
    assert float(noisy.var()) == pytest.approx(float(diffusion.beta[1]), rel=0.02)


def test_the_whole_study(
    study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DDPM_LITE_DATA", raising=False)
    monkeypatch.setenv("DDPM_LITE_CACHE", str(tmp_path / "cache"))  # the embedded digits only
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = UNet(channels=8, channel_mult=(1,), attention_levels=(), patch_size=4, n_heads=1)
    save_checkpoint("tiny", model, GaussianDiffusion(cosine_beta_schedule(3)))
    study.main(["--n", "20", "--batch-size", "12", "--checkpoint", "tiny.safetensors", "--out", "study.json"])
    assert "wrote study.json" in capsys.readouterr().out
    result = json.loads(Path("study.json").read_text())
    names = [arm["name"] for arm in result["arms"]]
    assert names == [*study.ARMS, study.LAST_NOISE] and result["n"] == 20 and result["T"] == 3
    assert result["checkpoint"]["sha256"] == json.loads(Path("tiny.json").read_text())["sha256"]
    assert result["command"].endswith("--checkpoint tiny.safetensors --out study.json")
    assert result["nearest"]["searched"].endswith("embedded subset: 10,000 training images")
    assert result["nearest"]["test"]["quantiles"][0] > 1
    assert result["arms"][0]["x0_hat"]["t"] == [0, 1, 2, 3] and "x0_hat" not in result["arms"][-1]
    for picture in (plots.plot_arms(result), plots.plot_saturation(result)):
        plots.png_bytes(picture)
    with pytest.raises(ValueError, match="--n must be between 20 and"):
        study.main(["--n", "5"])
