"""What clipping, the choice of sigma, and noise in the last step do to samples: a study of ancestral sampling.

    python benchmarks/clipping.py [--n 500] [--seed 0] [--checkpoint mnist] [--runs runs/clipping] [--out FILE]

Draws n digits in T steps, with x0_hat clipped and not, for sigma^2 = beta_tilde and beta, all with the same noises; one
more arm adds the noise that the last step must not have. At each t it notes what the network's x0_hat was before any
clipping. Scores are those of ``ddpm_lite.evaluation``. A batch that is done is kept in --runs, so a study that was
stopped goes on when the command is called again. On one core it takes about 6 seconds a digit; lesson 07 warns if there
are fewer than 100 in an arm. Writes --out, by default the file that lesson 07 draws, in one move.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_lite import GaussianDiffusion, ddpm_steps, load_checkpoint, load_pretrained, mnist, pretrained_card, read_card
from ddpm_lite._validate import check_int
from ddpm_lite.checkpoints import PRETRAINED, machine, read_tensors, write_file, write_tensors
from ddpm_lite.classifier import features_and_p
from ddpm_lite.diffusion import Denoiser
from ddpm_lite.evaluation import evaluate_samples, frechet_distance, real_features
from ddpm_lite.sampling import with_progress

ARMS: dict[str, dict[str, Any]] = {
    "beta_tilde, clipped": {"sigma": "beta_tilde", "clip": True},
    "beta_tilde, not clipped": {"sigma": "beta_tilde", "clip": False},
    "beta, clipped": {"sigma": "beta", "clip": True},
    "beta, not clipped": {"sigma": "beta", "clip": False},
}
LAST_NOISE = "beta, clipped, last noise"
OUT = Path(str(files("ddpm_lite") / "assets" / "clipping.json"))
GROUPS = 10  # of the jackknife


def draw(
    diffusion: GaussianDiffusion, model: Denoiser, n: int, sigma: str, clip: bool, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw n digits, and return them with what x0_hat was at t = 0..T before any clipping.

    Returns: x (n, 1, 28, 28); outside, far, excess, largest (T+1,): the share of pixels with |x0_hat| > 1, that with
    |x0_hat| > 1.1, the mean of max(|x0_hat| - 1, 0), and the largest |x0_hat|; entry 0 is that of the samples.
    """
    x = torch.randn((n, 1, 28, 28), generator=generator)
    noted = {name: torch.zeros(diffusion.T + 1) for name in ("outside", "far", "excess", "largest")}

    def note(t: int, x0_hat: Tensor) -> None:
        size = x0_hat.abs()
        noted["outside"][t], noted["far"][t] = (size > 1 + 1e-6).float().mean(), (size > 1.1).float().mean()
        noted["excess"][t], noted["largest"][t] = (size - 1).clamp(min=0).mean(), size.max()

    steps = ddpm_steps(diffusion, model, x.shape, sigma=sigma, clip=clip, x_T=x, generator=generator)
    for step in with_progress(steps, diffusion.T, f"sigma {sigma}, clip {clip}"):
        note(step.t, diffusion.predict_x0(x, step.t, step.eps_hat))
        x = step.x
    note(0, x)
    return {"x": x, **noted}


def batches(n: int, size: int) -> list[int]:
    """The sizes of the batches that make up n."""
    return [min(size, n - first) for first in range(0, n, size)]


def run_arm(
    diffusion: GaussianDiffusion, model: Denoiser, folder: Path, name: str, settings: dict[str, Any]
) -> dict[str, Tensor]:
    """Draw an arm batch by batch, or read what an earlier run has kept; return samples and what was noted of x0_hat."""
    sizes = batches(settings["n"], settings["batch_size"])
    done: list[dict[str, Tensor]] = []
    for i, size in enumerate(sizes):
        path = folder / f"{name.replace(', ', '-').replace(' ', '_')}-{i}.safetensors"
        card = {**settings, **ARMS[name], "batch": i}
        if path.is_file():
            tensors, found = read_tensors(path)
            if all(found.get(key) == value for key, value in card.items()):
                done.append(tensors)
                continue
        generator = torch.Generator().manual_seed(1_000_003 * settings["seed"] + i)  # the same in every arm
        done.append(draw(diffusion, model, size, **ARMS[name], generator=generator))
        write_tensors(path, done[-1], card)
    weights = torch.tensor(sizes, dtype=torch.float64)[:, None] / settings["n"]
    result = {"x": torch.cat([tensors["x"] for tensors in done])}
    for key in ("outside", "far", "excess"):
        result[key] = (weights * torch.stack([tensors[key] for tensors in done])).sum(0)
    result["largest"] = torch.stack([tensors["largest"] for tensors in done]).amax(0)
    return result


def with_last_noise(diffusion: GaussianDiffusion, x: Tensor, seed: int) -> Tensor:
    """What a chain with sigma^2 = beta returns if its last step adds noise too: x is the mean of that step."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + 999_983)
    return x + diffusion.beta[1].sqrt() * torch.randn(x.shape, generator=generator)


def leave_out(features: Tensor, reference: Tensor) -> list[float]:
    """Frechet distances of the samples without each of their groups: image i belongs to group i mod GROUPS."""
    group = torch.arange(len(features)) % GROUPS
    return [frechet_distance(features[group != g], reference) for g in range(GROUPS)]


def jackknife(values: list[float]) -> float:
    """The standard error that values, each with another group left out, give: sqrt((G - 1)/G sum (d - mean)^2)."""
    return float(((len(values) - 1) * torch.tensor(values, dtype=torch.float64).var(correction=0)).sqrt())


def score(x: Tensor, seed: int, reference: Tensor) -> dict[str, Any]:
    """All scores of one arm, with standard errors."""
    found, without = evaluate_samples(x, seed=seed), leave_out(features_and_p(x)[0], reference)
    share = found["recognized"]
    return {
        "n": len(x),
        "recognized": {"mean": share, "se": (share * (1 - share) / len(x)) ** 0.5},
        "frechet": {"mean": found["frechet_distance"], "se": jackknife(without), "leave_out": without},
        "digits": found["digits"],
        "background": found["background"]["samples"],
        "floor": found["frechet_floor"],
        "recognized_real": found["recognized_real"],
        "background_real": found["background"]["real"],
    }


def nearest(x: Tensor) -> dict[str, Any]:
    """Distances from samples and from as many test images to their nearest training images: 5, 50 and 95 %."""
    train, test = mnist("train"), mnist("test")
    some = torch.linspace(0, len(test) - 1, min(len(x), len(test))).long()
    levels = torch.tensor([0.05, 0.5, 0.95])

    def quantiles(images: Tensor) -> dict[str, Any]:
        best = torch.full((len(images),), torch.inf)
        for seen in train.batches(10_000):
            best = torch.minimum(best, torch.cdist(images.flatten(1), seen.flatten(1)).amin(1))
        return {"n": len(images), "quantiles": best.quantile(levels).tolist()}

    searched = f"MNIST, {train.source}: {len(train):,} training images"
    return {"searched": searched, "samples": quantiles(x), "test": quantiles(test.batch(some))}


def noted(result: dict[str, Tensor]) -> dict[str, list[float]]:
    """What was noted of x0_hat, at every t near both ends and at every tenth between."""
    T = len(result["outside"]) - 1
    times = sorted({*range(0, T, 10), *range(min(T, 20)), *range(max(0, T - 20), T + 1)})
    keys = ("outside", "far", "excess", "largest")
    return {"t": times, **{key: [float(f"{result[key][t]:.4g}") for t in times] for key in keys}}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=500, help="digits in each arm (default 500)")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--batch-size", type=int, default=50, help="what is kept at a time (default 50)")
    parser.add_argument("--checkpoint", default="mnist", help="a .safetensors file, or mnist (the one that ships)")
    parser.add_argument("--runs", type=Path, default=Path("runs/clipping"), help="where batches are kept")
    parser.add_argument("--out", type=Path, default=OUT, help="the file to write")
    a = parser.parse_args(argv)
    check_int("--n", a.n, 2 * GROUPS, len(mnist("test"))), check_int("--batch-size", a.batch_size, 1)
    check_int("--seed", a.seed, 0)
    shipped = a.checkpoint in PRETRAINED
    model, diffusion = (load_pretrained if shipped else load_checkpoint)(a.checkpoint)
    sha256 = (pretrained_card if shipped else read_card)(a.checkpoint)["sha256"]
    settings = {"checkpoint": sha256, "n": a.n, "seed": a.seed, "batch_size": a.batch_size}
    start = time.perf_counter()
    drawn = {name: run_arm(diffusion, model, a.runs, name, settings) for name in ARMS}
    seconds = time.perf_counter() - start
    reference, _, _ = real_features(a.n, n_splits=2, seed=a.seed)
    arms: list[dict[str, Any]] = []
    for name, result in drawn.items():
        arm = {"name": name, **ARMS[name], "last_noise": False, **score(result["x"], a.seed, reference)}
        arms.append({**arm, "x0_hat": noted(result)})
    x = with_last_noise(diffusion, drawn["beta, clipped"]["x"], a.seed)
    arms.append({"name": LAST_NOISE, "sigma": "beta", "clip": True, "last_noise": True})
    arms[-1] |= score(x, a.seed, reference)
    for arm in arms:
        pairs = zip(arm["frechet"]["leave_out"], arms[0]["frechet"]["leave_out"], strict=True)
        gap = arm["frechet"]["mean"] - arms[0]["frechet"]["mean"]
        arm["frechet_minus_first"] = {"mean": gap, "se": jackknife([p - q for p, q in pairs])}
    common = {key: [arm.pop(key) for arm in arms][0] for key in ("floor", "recognized_real", "background_real")}
    study = {
        "command": shlex.join(["python", "benchmarks/clipping.py", *(sys.argv[1:] if argv is None else argv)]),
        "machine": machine(),
        "seconds": round(seconds),
        "n": a.n,
        "seed": a.seed,
        "T": diffusion.T,
        "checkpoint": {"name": a.checkpoint, "sha256": sha256},
        **common,
        "nearest": nearest(drawn["beta_tilde, clipped"]["x"]),
        "arms": arms,
    }
    text = json.dumps(study, indent=1, allow_nan=False) + "\n"
    write_file(a.out, lambda name: Path(name).write_text(text, "utf-8"))
    print(f"wrote {a.out}; {a.n} digits an arm, {seconds:.0f} s of sampling in this call")


if __name__ == "__main__":
    main()
