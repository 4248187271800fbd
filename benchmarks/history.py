"""How quality grows over a long run, while its loss hardly falls: ``python benchmarks/history.py runs/mnist``.

Reads the folder of ``python -m ddpm_lite train --keep-every ...``: history.csv for the loss, each step-N.safetensors
and, once the run is done, model.safetensors for the quality of their samples. Writes
ddpm_lite/assets/mnist_history.json, which lesson 06 draws. Every model is scored with the same noise. Scores that
a file at --out holds already, of the same weights, are kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import torch

from ddpm_lite import load_checkpoint, mnist, sample
from ddpm_lite.checkpoints import machine, read_card, write_file
from ddpm_lite.evaluation import evaluate_samples, load_classifier

HOME = Path(__file__).parents[1] / "ddpm_lite" / "assets" / "mnist_history.json"


def loss_curve(path: Path, every: int) -> dict[str, list[float]]:
    """The columns of history.csv, its losses averaged over ``every`` lines."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    groups = [rows[i : i + every] for i in range(0, len(rows), every)]
    return {
        "step": [int(group[-1]["step"]) for group in groups],
        "images": [int(group[-1]["images"]) for group in groups],
        "loss": [round(sum(float(row["loss"]) for row in group) / len(group), 5) for group in groups],
    }


def quality(path: Path, n: int, n_steps: int) -> dict[str, Any]:
    """What ``evaluate_samples`` says of n digits by DDIM."""
    model, diffusion = load_checkpoint(path)
    generator = torch.Generator().manual_seed(0)
    x = sample(diffusion, model, (n, 1, 28, 28), n_steps=n_steps, progress=True, generator=generator)
    return evaluate_samples(x, full=True, classifier=load_classifier())


def main() -> None:
    """Score what has not been scored, write after each."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("run", type=Path, help="the folder of the run")
    p.add_argument("--out", type=Path, default=HOME, help="default: the package's own file")
    p.add_argument("--keep", action="store_true", help="keep also scores of models that the folder holds no longer")
    p.add_argument("--n", type=int, default=1000, help="samples of each model (default 1000)")
    p.add_argument("--n-steps", type=int, default=50, help="DDIM steps (default 50)")
    a = p.parse_args()
    mnist("train", full=True)  # fails early where only the subset is at hand
    models = [p for p in [*sorted(a.run.glob("step-*.safetensors")), a.run / "model.safetensors"] if p.exists()]
    if not models:
        sys.exit(f"{a.run} holds no model: train with --keep-every, or to the end")
    cards = [read_card(path) for path in models]
    old = json.loads(a.out.read_text("utf-8")) if a.out.exists() else {}
    same = {"n": a.n, "sampler": f"ddim, {a.n_steps} steps, seed 0", "machine": machine()}
    known = {} if {k: old.get("quality", {}).get(k) for k in same} != same else dict(old["quality"]["models"])
    at = {sha: images for images, sha in zip(old["quality"]["images"], known, strict=True)} if a.keep and known else {}
    at |= {card["sha256"]: card["training"]["images"] for card in cards}
    for path, card in zip(models, cards, strict=True):
        if card["sha256"] not in known:
            known[card["sha256"]] = quality(path, a.n, a.n_steps)
        scored = {sha: known[sha] for sha in sorted(at, key=at.__getitem__) if sha in known}
        first = next(iter(scored.values()))
        result = {
            "command": cards[-1]["command"],
            "score_command": "python " + shlex.join(["benchmarks/history.py", *sys.argv[1:]]),
            "machine": cards[-1]["machine"],
            "loss": loss_curve(a.run / "history.csv", every=5),
            "recognized_real": first["recognized_real"],
            "quality": {
                **same,
                "images": [at[sha] for sha in scored],
                **{key: [score[key] for score in scored.values()] for key in ("recognized", "frechet_distance")},
                "frechet_floor": first["frechet_floor"],
                "models": scored,
            },
        }
        text = json.dumps(result, indent=1) + "\n"
        write_file(a.out, lambda name, text=text: Path(name).write_text(text, "utf-8"))


if __name__ == "__main__":
    main()
