"""Lesson 05: its sliders at every setting, and the study that it shows: arms, resuming, the stored results."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import build
from ddpm_lite import UNet, plots, widgets

ROOT = Path(__file__).parent.parent
STORED = ROOT / "ddpm_lite" / "assets" / "ablation.json"


@pytest.fixture(scope="module")
def lesson() -> dict[str, Any]:
    """What the lesson's code has defined when it comes to its last slider."""
    (path,) = build.lessons(["05"])
    namespace: dict[str, Any] = {"sliders": []}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "show", lambda *arguments, **options: None)
        patch.setattr(widgets, "scrub", lambda frames, **options: namespace["sliders"].append((frames, options)))
        patch.setattr(widgets, "explore", lambda f, **controls: namespace["sliders"].append((f, controls)))
        for cell in build.read_source(path).cells:
            if cell.cell_type == "code" and len(namespace["sliders"]) < 3:
                exec(cell.source, namespace)
    return namespace


def test_the_embedding_at_every_t(lesson: dict[str, Any]) -> None:
    picture, controls = lesson["sliders"][0]
    low, high, step, default = controls["t"]
    for t in (low, default, high):
        picture(t)
        assert int(np.argmax(picture.curve.get_ydata())) == t and picture.curve.get_ydata()[t] == pytest.approx(1)
        assert picture.curve.get_ydata().min() > picture.axis.get_ylim()[0]
    assert step == 1 and high == len(picture.table) - 1


def test_the_told_time(lesson: dict[str, Any]) -> None:
    views, options = lesson["sliders"][1]
    error, _ = options["curve"]
    n = len(lesson["told"])
    assert [len(view) for view in views.values()] == [n, n] and len(options["labels"]) == len(error) == n
    assert options["labels"][options["value"]] == "told t = 300, true t = 300"  # it opens at the truth
    a_bar = lesson["diffusion"].alpha_bar[300]
    x_t = a_bar.sqrt() * views["x0_hat"] + (1 - a_bar).sqrt() * views["eps_hat"]
    torch.testing.assert_close(x_t, lesson["x_t"][None, :8].expand(x_t.shape), rtol=0, atol=1e-4)  # all of one x_t


def test_attention_at_every_pixel(lesson: dict[str, Any]) -> None:
    picture, controls = lesson["sliders"][2]
    heads, h, w = picture.maps.shape[:3]
    assert (controls["row"][:2], controls["column"][:2]) == ((0, h - 1), (0, w - 1)) and heads >= 1
    pictures = {plots.png_bytes(picture(row, column)) for row in (0, 3, h - 1) for column in (0, 3, w - 1)}
    assert len(pictures) == 9
    np.testing.assert_allclose(picture.maps.sum((-1, -2)), 1, rtol=1e-4)


@pytest.fixture(scope="module")
def ablation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ablation", ROOT / "benchmarks" / "ablation.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@torch.no_grad()
def test_each_arm_lacks_what_it_says_and_nothing_else(ablation: ModuleType) -> None:
    generator = torch.Generator().manual_seed(0)
    x, t = torch.randn(2, 1, 28, 28, generator=generator), torch.tensor([10, 900])
    nets = {name: make().eval() for name, (_, make) in ablation.ARMS.items()}
    for net in nets.values():
        for p in net.parameters():
            p.copy_(0.1 * torch.randn(p.shape, generator=generator))
    sizes = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    assert sizes["full"] == sizes["no skips"] == sizes["no time"]
    assert sizes["one level"] < sizes["full"] > sizes["no attention"] and sizes["full"] > sizes["time added"]

    plain = UNet(**ablation.NETWORK).eval()
    for name in ("no time", "no skips"):
        plain.load_state_dict(nets[name].state_dict())
        assert not torch.allclose(nets[name](x, t), plain(x, t), atol=1e-3)
    plain.load_state_dict(nets["no time"].state_dict())
    torch.testing.assert_close(nets["no time"](x, t), plain(x, torch.ones_like(t)))

    def change(net: nn.Module) -> float:
        """How much the answer moves when all that the skips bring moves, the way from the left being the same."""
        before, moved = net(x, t), []

        def shift(layer: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
            h, emb = arguments
            width = h.shape[1] - moved.pop(0)
            return torch.cat([h[:, :width], h[:, width:] + 1], 1), emb

        joins = [layer for layer in net.up if hasattr(layer, "block")]
        left = net.middle[-1].block.conv_2.out_channels
        for layer in joins:
            moved.append(layer.block.norm_1.num_channels - left)
            left = layer.block.conv_2.out_channels
        hooks = [layer.register_forward_pre_hook(shift, prepend=True) for layer in joins]
        after = net(x, t)
        for hook in hooks:
            hook.remove()
        return float((after - before).abs().max())

    assert change(nets["no skips"]) == 0 and change(nets["full"]) > 1e-3


def test_a_study_goes_on_where_it_stopped(ablation: ModuleType, tmp_path: Path, monkeypatch: Any) -> None:
    calls: list[tuple[str, int]] = []

    def run(arm: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
        calls.append((arm, seed))
        if len(calls) == 9:
            raise KeyboardInterrupt
        return {"seed": seed, "L_simple": 0.1}

    monkeypatch.setattr(ablation, "run", run)
    out = tmp_path / "study.json"
    options = ["--out", str(out), "--seeds", "2", "--n-steps", "20"]
    with pytest.raises(KeyboardInterrupt):
        ablation.main(options)
    study = json.loads(out.read_text("utf-8"))
    assert sum(len(arm["runs"]) for arm in study["arms"].values()) == 8
    ablation.main(options)
    study = json.loads(out.read_text("utf-8"))
    assert calls[8] == calls[9] and len(calls) == 13 and len(set(calls)) == 12
    assert all([run["seed"] for run in arm["runs"]] == [0, 1] for arm in study["arms"].values())
    assert study["images"] == 20 * 32 and "--n-steps 20" in study["command"]
    with pytest.raises(SystemExit, match="another training, images"):
        ablation.main([*options[:4], "--n-steps", "21"])


@pytest.mark.timeout(600)
def test_one_run_of_a_tiny_study(ablation: ModuleType) -> None:
    settings = {
        "training": {"n_steps": 3, "batch_size": 4},
        "held_out": {"draws": 1},
        "samples": {"n": 20, "n_steps": 2},
    }
    one, again = (ablation.run("no skips", 1, settings) for _ in range(2))
    del one["cpu_seconds"], again["cpu_seconds"]
    assert one == again
    assert one["L_simple"] == pytest.approx(sum(one["L_simple_by_fifths_of_T"]) / 5, abs=1e-6)
    assert 0.5 < one["L_simple"] < 2 and 0 <= one["recognized"] <= 1 < one["frechet_floor"]


def test_the_stored_study_is_whole(ablation: ModuleType) -> None:
    study = json.loads(STORED.read_text("utf-8"))
    assert study["command"] == "python benchmarks/ablation.py" and study["machine"]
    assert list(study["arms"]) == list(ablation.ARMS) and study["network"] == json.loads(json.dumps(ablation.NETWORK))
    for name, arm in study["arms"].items():
        assert [run["seed"] for run in arm["runs"]] == [0, 1, 2], name
        assert arm["parameters"] == sum(p.numel() for p in ablation.ARMS[name][1]().parameters())
        assert all(0 < run["L_simple"] < 1 and run["frechet_distance"] > run["frechet_floor"] for run in arm["runs"])


def test_what_the_lesson_says_of_the_stored_study() -> None:
    arms = json.loads(STORED.read_text("utf-8"))["arms"]

    def column(arm: str, field: str) -> np.ndarray:
        return np.array([run[field] for run in arms[arm]["runs"]])

    full, gap = column("full", "L_simple"), {}
    for arm in arms:
        ratio = column(arm, "L_simple") / full - 1
        gap[arm] = (ratio.mean(), ratio.std(ddof=1) / len(ratio) ** 0.5)
    assert gap["one level"][0] < -2 * gap["one level"][1]  # the lower loss ...
    for field, sign in (("frechet_distance", 1), ("recognized", -1)):
        better = sign * column("full", field)
        assert (sign * column("one level", field)).min() > better.max()  # ... and the worse samples
        assert (sign * column("no time", field)).min() > (sign * column("time added", field)).max() > better.max()
        assert (sign * column("no skips", field)).min() > (sign * column("no time", field)).max()
        assert (sign * column("no attention", field)).min() < better.max()  # too small for three seeds
    assert abs(gap["no attention"][0]) < 2 * gap["no attention"][1] and 0.08 < gap["no time"][0] < 0.12
