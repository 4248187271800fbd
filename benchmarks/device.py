"""How fast the shipped network trains and samples on the device that is here: ``python benchmarks/device.py``.

Trains it by ``ddpm_lite.train`` itself, for some updates, as it is, in bf16, compiled, and both; then draws digits. The
device is the one that accelerate finds. Each line is printed when it is known; the compiled ones first take a while.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch

from ddpm_lite import TrainConfig, UNet, load_pretrained, mnist, pretrained_card, sample
from ddpm_lite.checkpoints import machine
from ddpm_lite.measure import seconds, training_speed

CHOICES = {
    "float32": {},
    "bf16": {"precision": "bf16"},
    "compiled": {"compile": True},
    "compiled, bf16": {"compile": True, "precision": "bf16"},
}


def main() -> None:
    """Measure and print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 512], help="default 64 512")
    p.add_argument("--n-steps", type=int, default=40, help="updates of each; the median from the third on counts")
    p.add_argument("--n", type=int, default=64, help="digits to draw (default 64)")
    a = p.parse_args()
    from accelerate import Accelerator

    device = Accelerator().device
    model, diffusion = load_pretrained("mnist", device=device)
    print(f"{machine()}; device {device}", flush=True)
    shape, generator = (a.n, 1, 28, 28), torch.Generator().manual_seed(0)
    for sampler, steps in (("ddim", 50), ("ddpm", diffusion.T)):
        options = {"n_steps": steps} if sampler == "ddim" else {}
        draw = partial(sample, diffusion, model, shape, sampler=sampler, generator=generator, **options)
        print(f"{a.n} digits by {steps} {sampler} steps: {seconds(draw, 2):.2f} s", flush=True)
    data = mnist("train", full=False)
    parts = {name: value for name, value in pretrained_card("mnist")["architecture"].items() if name != "name"}
    for name, changes in CHOICES.items():
        for batch_size in a.batch_sizes:
            config = TrainConfig(n_steps=a.n_steps, batch_size=batch_size, **changes)
            speed, ready = training_speed(UNet(**parts), diffusion, data, config)
            per = speed / batch_size
            print(f"{name:14} batch {batch_size:4}: {speed:7,.0f} images/s, {per:5.1f} updates/s; ", end="")
            print(f"{ready:.0f} s to start", flush=True)


if __name__ == "__main__":
    main()
