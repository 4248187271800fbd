"""What each part of the U-Net buys: ``python benchmarks/ablation.py``, about 25 minutes on one core.

The full network and five that lack something train on the same 10,000 digits of the package, on the same batches, t and
noise, with three seeds each. Then each is asked for the noise in test digits it has not seen (L_simple at fixed t and
eps), and for samples (from the same starting noise), which the package's classifier judges. Every run is written to
``ddpm_lite/assets/ablation.json`` as soon as it is done; called again, the study goes on with those that are missing.
"""

from __future__ import annotations

import argparse
import functools
import json
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_lite import GaussianDiffusion, TrainConfig, UNet, cosine_beta_schedule, mnist, sample, train
from ddpm_lite.anatomy import anatomy
from ddpm_lite.checkpoints import machine, write_file
from ddpm_lite.evaluation import evaluate_samples
from ddpm_lite.unet import Level

OUT = Path(__file__).parent.parent / "ddpm_lite" / "assets" / "ablation.json"
NETWORK: dict[str, Any] = {"channels": 16, "channel_mult": (1, 2), "attention_levels": (1,), "patch_size": 2}


class WithoutTime(UNet):
    """A U-Net that is told t = 1 whatever t is."""

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        return super().forward(x_t, torch.ones_like(t))


class WithoutSkips(UNet):
    """A U-Net whose way up gets zeros where the skip connections would come in; as many parameters."""

    def __init__(self, **config: Any):
        super().__init__(**config)
        width = self.middle[-1].block.conv_2.out_channels
        for layer in self.up:
            if isinstance(layer, Level):
                layer.register_forward_pre_hook(functools.partial(_cut, width))
                width = layer.block.conv_2.out_channels


def _cut(width: int, layer: nn.Module, arguments: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Set all channels of the first argument after ``width`` to zero."""
    x, emb = arguments
    return torch.cat([x[:, :width], torch.zeros_like(x[:, width:])], dim=1), emb


ARMS: dict[str, tuple[str, Callable[[], UNet]]] = {
    "full": ("two levels, attention on the second, skips, time as scale and shift", lambda: UNet(**NETWORK)),
    "time added": ("time as a shift only, before the norm", lambda: UNet(**NETWORK, scale_shift=False)),
    "no attention": ("no self-attention", lambda: UNet(**{**NETWORK, "attention_levels": ()})),
    "one level": (
        "no way down: one level of 16 channels, with attention",
        lambda: UNet(**{**NETWORK, "channel_mult": (1,), "attention_levels": (0,)}),
    ),
    "no skips": ("zeros in place of the skip connections", lambda: WithoutSkips(**NETWORK)),
    "no time": ("always told t = 1", lambda: WithoutTime(**NETWORK)),
}


@torch.no_grad()
def held_out_loss(model: nn.Module, diffusion: GaussianDiffusion, draws: int) -> list[float]:
    """L_simple on 1,000 test digits, in each fifth of 1..T; digits, t and eps are the same for every network."""
    data, generator = mnist("test", full=False), torch.Generator().manual_seed(12345)
    x_0, fifth = data.batch(slice(1000)), diffusion.T // 5
    losses = []
    for part in range(5):
        total = 0.0
        for _ in range(draws):
            t = torch.randint(part * fifth + 1, (part + 1) * fifth + 1, (len(x_0),), generator=generator)
            eps = torch.randn(x_0.shape, generator=generator)
            for some in torch.arange(len(x_0)).split(250):
                total += float(diffusion.loss(model, x_0[some], t[some], eps[some])) * len(some)
        losses.append(total / (draws * len(x_0)))
    return losses


def run(arm: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Train one network and judge it; ``cpu_seconds`` are the processor's, for training alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ARMS[arm][1]()
    diffusion = GaussianDiffusion(cosine_beta_schedule(1000))
    start, tail = time.process_time(), []
    for step in train(model, diffusion, mnist("train", full=False), TrainConfig(**settings["training"], seed=seed)):
        tail = [*tail[-199:], step.loss]
    seconds = time.process_time() - start
    by_t = held_out_loss(step.ema, diffusion, settings["held_out"]["draws"])
    generator = torch.Generator().manual_seed(seed)
    shape = (settings["samples"]["n"], 1, 28, 28)
    x = sample(diffusion, step.ema, shape, sampler="ddim", n_steps=settings["samples"]["n_steps"], generator=generator)
    found = evaluate_samples(x, full=False)
    return {
        "seed": seed,
        "cpu_seconds": round(seconds, 1),
        "train_loss": round(sum(tail) / len(tail), 6),
        "L_simple": round(sum(by_t) / len(by_t), 6),
        "L_simple_by_fifths_of_T": [round(loss, 6) for loss in by_t],
        "recognized": found["recognized"],
        "frechet_distance": round(found["frechet_distance"], 4),
        "frechet_floor": round(found["frechet_floor"]["mean"], 4),
        "recognized_real": found["recognized_real"],
    }


def main(argv: list[str] | None = None) -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT, help="default: the file that the lesson shows")
    parser.add_argument("--seeds", type=int, default=3, help="default 3")
    parser.add_argument("--n-steps", type=int, default=1000, help="updates of training (default 1000)")
    parser.add_argument("--n", type=int, default=500, help="samples a network (default 500)")
    parser.add_argument("--ddim-steps", type=int, default=25, help="default 25")
    parser.add_argument("--draws", type=int, default=1, help="of t and eps, per test digit and fifth of T (default 1)")
    options = parser.parse_args(argv)
    config = TrainConfig(options.n_steps, batch_size=32, warmup_steps=min(100, options.n_steps // 2), ema_decay=0.99)
    settings: dict[str, Any] = {
        "network": json.loads(json.dumps(NETWORK)),
        "schedule": "cosine, T = 1000",
        "training": {k: v for k, v in asdict(config).items() if k != "seed"},
        "images": config.n_steps * config.batch_size,
        "data": repr(mnist("train", full=False)),
        "held_out": {"images": 1000, "draws": options.draws, "data": repr(mnist("test", full=False))},
        "samples": {"n": options.n, "sampler": "ddim", "n_steps": options.ddim_steps, "weights": "moving average"},
    }
    command = shlex.join(["python", "benchmarks/ablation.py", *(sys.argv[1:] if argv is None else argv)])
    study: dict[str, Any] = {"command": command, "machine": machine(), **settings, "arms": {}}
    if options.out.exists():
        study = json.loads(options.out.read_text("utf-8"))
        if other := [key for key, value in settings.items() if study.get(key) != value]:
            sys.exit(f"{options.out} is of a study with another {', '.join(other)}; move it, or name another --out")
    for seed in range(options.seeds):
        for arm, (what, make) in ARMS.items():
            parts = anatomy(make())
            new = {
                "what": what,
                "parameters": sum(p.parameters for p in parts),
                "multiply_adds": sum(p.multiply_adds for p in parts),
                "runs": [],
            }
            entry = study["arms"].setdefault(arm, new)
            if any(r["seed"] == seed for r in entry["runs"]):
                continue
            entry["runs"].append(run(arm, seed, settings))
            text = json.dumps(study, indent=1) + "\n"
            write_file(options.out, lambda name, text=text: Path(name).write_text(text, encoding="utf-8"))
            print(f"{arm}, seed {seed}:", {k: v for k, v in entry["runs"][-1].items() if k != "seed"}, flush=True)


if __name__ == "__main__":
    main()
