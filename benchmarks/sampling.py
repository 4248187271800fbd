"""How long 64 digits take, from the import on: ``python benchmarks/sampling.py``.

Prints the seconds until the package is imported, the checkpoint is loaded, 64 digits are drawn by 50 DDIM steps (the
median of three), and by all T ancestral steps (once). ``--add-to-card`` notes them on the shipped checkpoint's card.
Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time


def main() -> None:
    """Measure and print JSON."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--n", type=int, default=64, help="digits (default 64)")
    p.add_argument("--add-to-card", action="store_true", help="note the times on the checkpoint's card")
    a = p.parse_args()
    marks = [time.perf_counter()]

    def lap() -> float:
        """Return the seconds since the last lap."""
        marks.append(time.perf_counter())
        return marks[-1] - marks[-2]

    import torch

    times = {"import torch": lap()}
    from ddpm_lite import load_pretrained, sample
    from ddpm_lite.checkpoints import add_to_card, machine

    times["import ddpm_lite"] = lap()
    model, diffusion = load_pretrained("mnist")
    times["load the checkpoint"] = lap()
    generator, ddim = torch.Generator().manual_seed(0), []
    for _ in range(3):
        sample(diffusion, model, (a.n, 1, 28, 28), n_steps=50, generator=generator)
        ddim.append(lap())
    times["ddim, 50 steps"] = statistics.median(ddim)
    sample(diffusion, model, (a.n, 1, 28, 28), sampler="ddpm", progress=True, generator=generator)
    times[f"ddpm, {diffusion.T} steps"] = lap()
    result = {"command": f"python benchmarks/sampling.py --n {a.n} --add-to-card", "machine": machine(), "n": a.n}
    result["seconds"] = {name: round(seconds, 2) for name, seconds in times.items()}
    if a.add_to_card:
        add_to_card("mnist", {"sampling times": result})
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
