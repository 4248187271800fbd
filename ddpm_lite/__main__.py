"""``python -m ddpm_lite train | average | sample | info``: the package from the command line; each --help teaches."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import re
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

TRAIN = """\
Train a U-Net to predict the noise in noised digits (Ho et al. 2020, Algorithm 1).

Draws a batch of images x_0, for each a time t in 1..T and noise eps, mixes x_t = sqrt(alpha_bar_t) x_0 +
sqrt(1 - alpha_bar_t) eps, and teaches the network to tell eps from x_t and t. Writes to the folder --out:
  state.safetensors   the whole run, every --save-every updates: call the same command again and it goes on from there
  history.csv         step, images, loss (mean since the last line), lr, seconds
  model.safetensors   at the end: the moving average of the weights, with its card (model.json)
  step-N.safetensors  with --keep-every: the same, on the way there"""
SAMPLE = """\
Make images: start from noise at t = T and walk back to t = 0.

--sampler ddim  visits --n-steps of the T times; --eta 0 adds no noise, so the start decides the image (Song et al.
2021) --sampler ddpm  visits all T times and adds noise at each (Ho et al. 2020, Algorithm 2)
Writes a grid (.png), or the walk itself as an animation (.gif, .webp)."""
AVERAGE = """\
Average the weights of several models of one run, kept by train --keep-every, into one.

The moving average in each covers its last thousand updates or so; the mean of models that lie further apart makes
better digits, at no cost when sampling (Izmailov et al. 2018)."""
INFO = "Print a checkpoint's card: architecture, schedule, data, seed, steps, loss, time, machine, command, metrics."
EXAMPLES = """\
examples:
  python -m ddpm_lite sample --n 64 --n-steps 50 --out digits.png
  python -m ddpm_lite train --n-steps 2000 --out runs/first
  python -m ddpm_lite sample runs/first/model.safetensors --out first.gif
  python -m ddpm_lite average runs/first/step-*.safetensors --out runs/first/mean.safetensors
  python -m ddpm_lite info mnist"""


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser("python -m ddpm_lite", description=__doc__, epilog=EXAMPLES, formatter_class=raw)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="train | average | sample | info")

    p = verbs.add_parser("train", help="train a U-Net on MNIST", description=TRAIN, formatter_class=raw)
    p.add_argument("--out", type=Path, required=True, help="folder for the run's files")
    p.add_argument("--data", default="mnist", help="mnist (default) or fashion_mnist")
    p.add_argument("--subset", action="store_true", help="train on the 10,000 digits in the package; no download")
    p.add_argument("--schedule", default="linear", help="linear (default), cosine or sigmoid")
    p.add_argument("--T", type=int, default=1000, help="number of diffusion steps (default 1000)")
    p.add_argument("--channels", type=int, default=32, help="channels of the finest level (default 32)")
    p.add_argument("--channel-mult", type=int, nargs="+", default=[1, 2], help="factor of each level (default 1 2)")
    p.add_argument("--n-res-blocks", type=int, default=1, help="residual blocks a level (default 1)")
    p.add_argument("--attention-levels", type=int, nargs="*", default=[1], help="levels with attention (default 1)")
    p.add_argument(
        "--patch-size", type=int, default=2, help="pixels folded into channels (default 2; 1 is the paper's)"
    )
    p.add_argument(
        "--refine", type=int, default=0, help="features of a pixel for a last stage unfolded (default 0: none)"
    )
    p.add_argument("--input-skip", action="store_true", help="add x_t, weighted by t, to the output")
    p.add_argument("--dropout", type=float, default=0.0, help="default 0")
    p.add_argument("--keep-every", type=int, default=0, help="keep a model every so many updates (default 0: none)")
    from .training import TrainConfig

    for field in dataclasses.fields(TrainConfig):
        flag = "--" + field.name.replace("_", "-")
        if field.name == "compile":
            p.add_argument(flag, action="store_true", help="torch.compile the network: a minute first, then faster")
        else:
            kind = {"int": int, "float": float, "str": str, "int | None": int}[str(field.type)]
            text = "all but the warm-up" if field.default is None else field.default
            p.add_argument(flag, type=kind, default=field.default, help=f"default {text}")

    p = verbs.add_parser("average", help="one model out of several", description=AVERAGE, formatter_class=raw)
    p.add_argument("checkpoints", nargs="+", type=Path, help=".safetensors files of one run, in the order of training")
    p.add_argument("--out", type=Path, required=True, help="the .safetensors file to write; its card goes beside it")

    p = verbs.add_parser("sample", help="make images or an animation", description=SAMPLE, formatter_class=raw)
    p.add_argument("checkpoint", nargs="?", default="mnist", help="a .safetensors file, or mnist (default, shipped)")
    p.add_argument("--out", type=Path, required=True, help=".png for a grid, .gif or .webp for an animation")
    p.add_argument("--n", type=int, default=64, help="how many images (default 64)")
    p.add_argument("--size", type=int, default=28, help="height and width (default 28)")
    p.add_argument("--sampler", default="ddim", help="ddim (default) or ddpm")
    p.add_argument("--n-steps", type=int, default=50, help="steps of ddim (default 50)")
    p.add_argument("--eta", type=float, default=0.0, help="noise of ddim, 0 to 1 (default 0)")
    p.add_argument("--sigma", default="beta_tilde", help="variance of ddpm: beta_tilde (default) or beta")
    p.add_argument("--no-clip", action="store_true", help="do not cut x0_hat to [-1, 1]: Algorithm 2 to the letter")
    p.add_argument("--seed", type=int, default=0, help="default 0")

    p = verbs.add_parser("info", help="print a checkpoint's card", description=INFO, formatter_class=raw)
    p.add_argument("checkpoint", nargs="?", default="mnist", help="a .safetensors file, or mnist (default, shipped)")
    return top


def train_command(args: argparse.Namespace) -> None:
    """Train, with a bar, a history and a state to resume from; write the model and its card."""
    from tqdm.auto import tqdm

    from ._validate import check_int
    from .checkpoints import machine, read_card, save_checkpoint
    from .data import mnist
    from .diffusion import GaussianDiffusion
    from .run_state import load_average
    from .schedules import beta_schedule
    from .training import TrainConfig, TrainStep, train
    from .unet import UNet

    check_int("--keep-every", args.keep_every, 0)
    config = TrainConfig(**{f.name: getattr(args, f.name) for f in dataclasses.fields(TrainConfig)})
    diffusion = GaussianDiffusion(beta_schedule(args.schedule, args.T))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        architecture = ["channels", "channel_mult", "n_res_blocks", "attention_levels", "patch_size", "dropout"]
        architecture += ["refine", "input_skip"]
        model = UNet(**{name: getattr(args, name) for name in architecture})
    data = mnist("train", name=args.data, full=not args.subset, fallback=args.data == "mnist")
    args.out.mkdir(parents=True, exist_ok=True)
    history, state = args.out / "history.csv", args.out / "state.safetensors"
    losses: list[float] = []
    bar: Any = None
    last = None

    def save(name: str, step: TrainStep) -> Path:
        tail = [float(row.split(",")[2]) for row in _rows(history)[-10:]]
        card = {
            "schedule": {"name": args.schedule, "T": args.T},
            "data": f"{data.name}, {data.source}, {len(data):,} images",
            "training": {**dataclasses.asdict(config), "step": step.step, "images": step.step * config.batch_size},
            "loss": round(sum(tail) / len(tail), 5) if tail else None,
            "parameters": sum(p.numel() for p in model.parameters()),
            "wall_time_seconds": round(step.seconds),
            "machine": machine(),
            "command": "python -m ddpm_lite " + shlex.join(sys.argv[1:]),
        }
        return save_checkpoint(args.out / name, step.ema, diffusion, card)

    def is_main() -> bool:
        return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0

    for last in train(model, diffusion, data, config, state=state):
        main = is_main()
        if bar is None:
            bar = tqdm(total=config.n_steps, initial=last.step - 1, unit="step", disable=not main)
            if main:
                _cut_history(history, last.step - 1)
        losses.append(last.loss)
        bar.update()
        if main and (last.step % 100 == 0 or last.step == config.n_steps):
            mean = sum(losses) / len(losses)
            losses.clear()
            bar.set_postfix(loss=f"{mean:.4f}")
            with history.open("a", encoding="utf-8") as file:
                images = last.step * config.batch_size
                file.write(f"{last.step},{images},{mean:.5f},{last.lr:.3g},{last.seconds:.0f}\n")
        if main and args.keep_every and last.step % args.keep_every == 0:
            save(f"step-{last.step:06}.safetensors", last)
    if bar is not None:
        bar.close()
    if last is None and is_main():  # the state is complete, but the model may not have been written
        written = args.out / "model.safetensors"
        if written.exists() and read_card(written).get("training", {}).get("step", 0) >= config.n_steps:
            sys.exit(f"{args.out} holds this run already, all {config.n_steps} steps; raise --n-steps to go on")
        step, seconds = load_average(state, model)
        last = TrainStep(step, math.nan, 0.0, math.nan, seconds, model, model)
    if last is not None and is_main():
        print(f"wrote {save('model.safetensors', last)}")


def _cut_history(path: Path, step: int) -> None:
    """Drop the lines after ``step``, which a resumed run is about to make again, and what a kill left of a line."""
    from .checkpoints import write_file

    kept = [row for row in _rows(path) if int(row.split(",")[0]) <= step]
    text = "\n".join(["step,images,loss,lr,seconds", *kept]) + "\n"
    write_file(path, lambda name: Path(name).write_text(text, "utf-8"))


def _rows(path: Path) -> list[str]:
    """The whole lines of a history: five numbers each, and the end of the line."""
    number = r"\d+(?:\.\d+)?(?:e[+-]\d+)?"
    text = path.read_text("utf-8", errors="replace") if path.exists() else ""
    return re.findall(rf"^(\d+,\d+,{number},{number},\d+)\n", text, re.MULTILINE)


def average_command(args: argparse.Namespace) -> None:
    """Average models; the card's command says how the last of them was trained, and then this."""
    from .checkpoints import average_checkpoints, read_card

    trained = read_card(args.checkpoints[-1]).get("command")
    command = "python -m ddpm_lite " + shlex.join(sys.argv[1:])
    card = {"command": f"{trained} && {command}" if trained else command}
    print(f"wrote {average_checkpoints(args.checkpoints, args.out, card)}")


def sample_command(args: argparse.Namespace) -> None:
    """Sample with a bar; write a grid or an animation."""
    from ._validate import check_choice, check_int
    from .pixels import image_grid, save_animation
    from .sampling import SAMPLERS, with_progress

    check_choice("--out's ending", args.out.suffix, (".png", ".gif", ".webp"))
    check_choice("--sampler", args.sampler, SAMPLERS)
    check_int("--n", args.n, 1, 10_000)
    check_int("--size", args.size, 1, 1024)
    model, diffusion = _load(args.checkpoint)
    shape = (args.n, getattr(model, "config", {}).get("in_channels", 1), args.size, args.size)
    own = {"n_steps": args.n_steps, "eta": args.eta} if args.sampler == "ddim" else {"sigma": args.sigma}
    generator = torch.Generator().manual_seed(args.seed)
    steps = SAMPLERS[args.sampler](diffusion, model, shape, clip=not args.no_clip, generator=generator, **own)
    total = args.n_steps if args.sampler == "ddim" else diffusion.T
    every = max(1, total // 60)
    frames = []
    for i, step in enumerate(with_progress(steps, total, args.sampler)):
        if args.out.suffix != ".png" and i % every == 0:
            frames.append(image_grid(step.x))
    frames.append(image_grid(step.x))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if args.out.suffix == ".png":
        from PIL import Image

        from .checkpoints import write_file

        write_file(args.out, lambda name: Image.fromarray(frames[-1]).save(name, format="png"))
    else:
        save_animation(frames, args.out)
    print(f"wrote {args.out}")


def info_command(args: argparse.Namespace) -> None:
    """Print a card as JSON."""
    from .checkpoints import PRETRAINED, pretrained_card, read_card

    card = pretrained_card(args.checkpoint) if args.checkpoint in PRETRAINED else read_card(args.checkpoint)
    print(json.dumps(card, indent=2, ensure_ascii=False))


def _load(checkpoint: str) -> Any:
    from .checkpoints import PRETRAINED, load_checkpoint, load_pretrained

    return load_pretrained(checkpoint) if checkpoint in PRETRAINED else load_checkpoint(checkpoint)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; an error of the reader's is one line, not a traceback."""
    args = parser().parse_args(argv)
    warnings.showwarning = lambda message, *_, **__: print(f"note: {message}", file=sys.stderr)
    try:
        verbs = {"train": train_command, "average": average_command, "sample": sample_command, "info": info_command}
        verbs[args.verb](args)
    except (ValueError, TypeError, OSError, FloatingPointError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped; a training run goes on from its last saved state when the same command is called again")


if __name__ == "__main__":
    main()
