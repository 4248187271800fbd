"""How fast training and sampling are, as ratios from one run: ``python benchmarks/speed.py``.

Networks train on the same batch, in turns, and the median counts:
  ours, plain       the paper's U-Net, 16 x (1, 2, 4), one residual block a level, no folding (patch_size=1)
  diffusers         UNet2DModel of the same widths and depth, as it comes, and in channels_last
  lucidrains        Unet(dim=16, dim_mults=(1, 2, 4)) of denoising-diffusion-pytorch (``pip install -e .[bench]``)
  ours, shipped     the architecture of the shipped model
  ours, 13.8 M      96 x (1, 2, 2), two residual blocks a level: the size of older MNIST demos
Also: the share that is reached of the machine's own rate, which is that of a matrix product or of one wide convolution,
whichever is higher; and the diffusion arithmetic's share of a training step.

``--minutes 4`` asks instead how good the last four are after so many minutes of training each, the machine to itself.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_lite import GaussianDiffusion, UNet, linear_beta_schedule, mnist, pretrained_card
from ddpm_lite.checkpoints import machine


class Diffusers(nn.Module):
    """diffusers' UNet2DModel behind our contract."""

    def __init__(self) -> None:
        super().__init__()
        from diffusers import UNet2DModel

        self.net = UNet2DModel(
            sample_size=28,
            in_channels=1,
            out_channels=1,
            layers_per_block=1,
            block_out_channels=(16, 32, 64),
            down_block_types=("DownBlock2D",) * 3,
            up_block_types=("UpBlock2D",) * 3,
            norm_num_groups=4,
            add_attention=False,
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.net(x, t).sample


class Lucidrains(nn.Module):
    """denoising-diffusion-pytorch's Unet behind our contract."""

    def __init__(self) -> None:
        super().__init__()
        from denoising_diffusion_pytorch import Unet

        self.net = Unet(dim=16, dim_mults=(1, 2, 4), channels=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.net(x, t)


def networks() -> dict[str, Callable[[], nn.Module]]:
    """Name -> a new network."""
    shipped = {k: v for k, v in pretrained_card("mnist")["architecture"].items() if k != "name"}
    last = {"memory_format": torch.channels_last}
    return {
        "ours, plain": lambda: UNet(channels=16, channel_mult=(1, 2, 4), scale_shift=False).to(**last),
        "ours, plain, compiled": lambda: torch.compile(
            UNet(channels=16, channel_mult=(1, 2, 4), scale_shift=False).to(**last)
        ),
        "diffusers, default": Diffusers,
        "diffusers, channels_last": lambda: Diffusers().to(**last),
        "lucidrains": Lucidrains,
        "ours, shipped": lambda: UNet(**shipped).to(**last),
        "ours, shipped, compiled": lambda: torch.compile(UNet(**shipped).to(**last)),
        "ours, 13.8 M": lambda: UNet(channels=96, channel_mult=(1, 2, 2), n_res_blocks=2).to(**last),
    }


def flops(model: nn.Module) -> int:
    """Floating-point operations of one image's forward pass, counted by torch; attention as its products."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 1, 28, 28), torch.ones(1, dtype=torch.int64))
    return int(counter.get_total_flops())


def after_minutes(minutes: float) -> dict[str, dict[str, Any]]:
    """Train each network for so long, at its best setting here; judge its moving average.

    The same recipe for all: batch 128, AdamW, lr 2e-3 with warm-up, to 0 over the last half; images of MNIST's
    embedded subset. Held-out loss: L_simple of 500 test images, t and eps fixed. recognized: of 64 samples by 25 DDIM
    steps, the share to which the classifier gives p > 0.9.
    """
    from ddpm_lite import sample
    from ddpm_lite.evaluation import recognized
    from ddpm_lite.training import ema_update

    diffusion, data = GaussianDiffusion(linear_beta_schedule(1000)), mnist("train", full=False)
    test = mnist("test", full=False).batch(torch.arange(500))
    generator = torch.Generator().manual_seed(0)
    t_test, eps_test = torch.randint(1, 1001, (500,), generator=generator), torch.randn(test.shape, generator=generator)
    result = {}
    for name in ("ours, shipped, compiled", "ours, plain, compiled", "lucidrains", "ours, 13.8 M"):
        torch.manual_seed(0)
        model = networks()[name]()
        plain = getattr(model, "_orig_mod", model)
        ema = torch.optim.swa_utils.AveragedModel(plain, multi_avg_fn=ema_update(0.995))
        optimizer = torch.optim.AdamW(model.parameters(), 2e-3, betas=(0.9, 0.99), fused=True)
        diffusion.loss(model, data.batch(torch.arange(128)), generator=generator).backward()  # compile off the clock
        indices, start, n = data.random_indices(128, seed=0), time.perf_counter(), 0
        while (passed := (time.perf_counter() - start) / (60 * minutes)) < 1:
            n += 1
            optimizer.param_groups[0]["lr"] = 2e-3 * min(1, n / 100, 2 * (1 - passed))
            optimizer.zero_grad(set_to_none=True)
            diffusion.loss(model, data.batch(next(indices)), generator=generator).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            ema.update_parameters(plain)
        net, fixed = ema.module.eval(), torch.Generator().manual_seed(1)
        with torch.no_grad():
            parts = zip(test.split(100), t_test.split(100), eps_test.split(100), strict=True)
            loss = statistics.mean(float(diffusion.loss(net, *part)) for part in parts)
        x = sample(diffusion, net, (64, 1, 28, 28), n_steps=25, generator=fixed)
        result[name] = {
            "images": n * 128,
            "held-out loss": round(loss, 4),
            "recognized": recognized(x)["share"],
        }
        print(name, result[name], flush=True)
    return result


def seconds(f: Callable[[], Any]) -> float:
    """The time of one call."""
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def peak_rates() -> dict[str, float]:
    """Floating-point operations a second of the two kernels that networks live on: a machine may be good at one."""
    a = torch.randn(1024, 1024)
    conv = nn.Conv2d(128, 128, 3, padding=1).to(memory_format=torch.channels_last)
    x = torch.randn(64, 128, 28, 28).to(memory_format=torch.channels_last)
    with torch.no_grad():
        return {
            "matrix product": 2 * 1024**3 / min(seconds(lambda: a @ a) for _ in range(20)),
            "convolution": 2 * x.numel() * 128 * 9 / min(seconds(lambda: conv(x)) for _ in range(10)),
        }


def main() -> None:
    """Measure and print."""
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--rounds", type=int, default=7, help="turns of each network; the median counts (default 7)")
    args.add_argument("--batch-size", type=int, default=128, help="default 128")
    args.add_argument("--json", action="store_true", help="print JSON")
    args.add_argument("--minutes", type=float, default=0, help="quality after so many minutes of training each")
    options = args.parse_args()
    if options.minutes:
        print(f"{machine()}; {options.minutes:g} minutes each")
        after_minutes(options.minutes)
        return
    batch, generator = options.batch_size, torch.Generator().manual_seed(0)
    diffusion = GaussianDiffusion(linear_beta_schedule(1000))
    x_0 = mnist("train", full=False).batch(torch.arange(batch))
    t = torch.randint(1, 1001, (batch,), generator=generator)

    rates = peak_rates()
    peak = max(rates.values())
    train: dict[str, list[float]] = {}
    evaluate: dict[str, list[float]] = {}
    work, steps, forwards, sizes = {}, {}, {}, {}
    for name, make in networks().items():
        model = make()
        plain = getattr(model, "_orig_mod", model)
        work[name], sizes[name] = flops(plain), sum(p.numel() for p in plain.parameters())
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)

        def step(model: nn.Module = model, optimizer: torch.optim.Optimizer = optimizer) -> None:
            loss = diffusion.loss(model, x_0, t, generator=generator)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        def forward(model: nn.Module = model) -> None:
            with torch.no_grad():
                model(x_0[:64], t[:64])

        steps[name], forwards[name] = step, forward
    for turn in range(options.rounds + 1):  # the first turn warms up
        for name in steps:
            pair = seconds(steps[name]), seconds(forwards[name])
            if turn:
                train.setdefault(name, []).append(batch / pair[0])
                evaluate.setdefault(name, []).append(64 / pair[1])
    arithmetic = statistics.median(
        seconds(lambda: diffusion.loss(lambda x, t: x, x_0, t, generator=generator)) for _ in range(30)
    )
    rows = {
        name: {
            "parameters": sizes[name],
            "train images/s": round(statistics.median(train[name]), 1),
            "evaluations/s": round(statistics.median(evaluate[name]), 1),
            "train, share of the machine's rate": round(statistics.median(train[name]) * 3 * work[name] / peak, 3),
            "evaluate, share of the machine's rate": round(statistics.median(evaluate[name]) * work[name] / peak, 3),
        }
        for name in steps
    }
    ours = rows["ours, plain"]
    result = {
        "machine": machine(),
        "GFLOP/s": {name: round(rate / 1e9, 1) for name, rate in rates.items()},
        "networks": rows,
        "ratios to diffusers": {
            f"{ours_name}, {what}, over {theirs}": round(rows[ours_name][what] / rows[theirs][what], 2)
            for ours_name in ("ours, plain", "ours, plain, compiled")
            for theirs in ("diffusers, default", "diffusers, channels_last")
            for what in ("train images/s", "evaluations/s")
        },
        "diffusion arithmetic, share of a training step": round(arithmetic * ours["train images/s"] / batch, 4),
    }
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['machine']}; GFLOP/s: " + ", ".join(f"{k} {v}" for k, v in result["GFLOP/s"].items()))
    for name, row in rows.items():
        print(f"{name:26}", ", ".join(f"{k} {v:,}" for k, v in row.items()))
    for name, value in result["ratios to diffusers"].items():
        print(f"{name}: {value}")
    print("diffusion arithmetic, share of a training step:", result["diffusion arithmetic, share of a training step"])


if __name__ == "__main__":
    main()
