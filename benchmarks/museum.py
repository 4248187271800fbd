"""What the museum of bugs cannot train while it is read: ``python benchmarks/museum.py``, ten minutes of one core.

A small U-Net trains on the package's digits, with a learning rate that does not fall; its samples are kept every 100
updates, drawn from the same noise by the weights as they are (raw) and by their moving average. A second one trains in
the same way on images that were left in [0, 1]. The pictures go to ``ddpm_lite/assets/museum.safetensors``, with the
settings on its card. Called again, the study goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_lite import GaussianDiffusion, TrainConfig, UNet, cosine_beta_schedule, mnist, sample, train
from ddpm_lite._validate import check_int
from ddpm_lite.checkpoints import machine, read_tensors, write_tensors
from ddpm_lite.data import ImageSet, to_uint8

OUT = Path(__file__).parent.parent / "ddpm_lite" / "assets" / "museum.safetensors"
NETWORK: dict[str, Any] = {"channels": 16, "channel_mult": (1, 2), "patch_size": 2, "input_skip": True}
LOOKS, GAP = 8, 100  # how many looks at the samples, and updates from one to the next
IMAGES, SAMPLER = 12, {"sampler": "ddim", "n_steps": 50}


@dataclass(frozen=True, eq=False, repr=False)
class LeftAsLoaded(ImageSet):
    """An image set without the last step of its preparation: pixels in [0, 1]."""

    def batch(self, indices: Any) -> Tensor:
        return (super().batch(indices) + 1) / 2


def run_arm(name: str, data: ImageSet, config: TrainConfig, runs: Path) -> Tensor:
    """Train one network and return its looks, (LOOKS, 2, IMAGES, 1, 28, 28): raw, then the moving average."""
    settings = {"arm": name, **asdict(config), **SAMPLER, "images": IMAGES}
    at = [config.n_steps - GAP * i for i in reversed(range(LOOKS))]
    state, paths = runs / f"{name}.safetensors", [runs / f"{name}-{step}.safetensors" for step in at]
    done = [path for path in paths if path.is_file() and read_tensors(path)[1].get("settings") == settings]
    if len(done) < LOOKS:
        torch.manual_seed(config.seed)  # of the weights
        model, diffusion = UNet(**NETWORK), GaussianDiffusion(cosine_beta_schedule(1000))
        x_T = torch.randn(IMAGES, 1, 28, 28, generator=torch.Generator().manual_seed(config.seed))
        for step in train(model, diffusion, data, config, state=state):
            if step.step in at:
                looks = [sample(diffusion, net, x_T.shape, x_T=x_T, **SAMPLER) for net in (step.model, step.ema)]
                write_tensors(paths[at.index(step.step)], {"x": torch.stack(looks)}, {"settings": settings})
                print(f"{name}: update {step.step}, loss {step.loss:.4f}", flush=True)
    found = [read_tensors(path) if path.is_file() else ({}, {}) for path in paths]
    if any(card.get("settings") != settings for _, card in found):
        raise SystemExit(f"looks of {name} are missing or of other settings; remove {state} and start again")
    return torch.stack([tensors["x"] for tensors, _ in found])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-steps", type=int, default=2000, help="updates of each network (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--runs", type=Path, default=Path("runs/museum"), help="where runs are kept")
    parser.add_argument("--out", type=Path, default=OUT, help="the file to write")
    a = parser.parse_args(argv)
    n_steps = check_int("--n-steps", a.n_steps, LOOKS * GAP)
    config = TrainConfig(
        n_steps=n_steps, batch_size=64, lr=4e-3, decay_steps=0, ema_decay=0.995, save_every=GAP, seed=a.seed
    )
    torch.set_num_threads(1)
    right = mnist("train", full=False)
    left = LeftAsLoaded(right.images, right.labels, right.name, right.split, f"{right.source}, in [0, 1]")
    looks = run_arm("right", right, config, a.runs)  # (LOOKS, 2, IMAGES, 1, 28, 28)
    zero_one = run_arm("zero_one", left, config, a.runs)[-1, 1]  # (IMAGES, 1, 28, 28): of the average, at the end
    card = {
        "command": shlex.join(["python", "benchmarks/museum.py", *(sys.argv[1:] if argv is None else argv)]),
        "machine": machine(),
        "network": NETWORK,
        "training": asdict(config),
        "data": f"{right.name}, {right.source}, {len(right):,} images",
        "samples": {**SAMPLER, "at": [n_steps - GAP * i for i in reversed(range(LOOKS))]},
    }
    tensors = {"raw": looks[:, 0], "ema": looks[:, 1], "zero_one": zero_one}
    write_tensors(a.out, {name: to_uint8(x) for name, x in tensors.items()}, card)
    print(f"wrote {a.out}, {a.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
