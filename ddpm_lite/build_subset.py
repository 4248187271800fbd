"""Build the embedded subset of MNIST from the full set: ``python -m ddpm_lite.build_subset --root DIR``.

The rule needs no random number generator, so that it gives the same images on every machine and with every version:
images are sorted by sha256("SEED/SPLIT/INDEX"); of each digit the first ones are taken, in proportion to the full set.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .checkpoints import write_file
from .mnist_files import CARD, SETS, DataError, assets, find_full, read_subset, sha256, to_sheet

SEED = 0
SIZE = {"train": 10_000, "test": 2_000}
COLUMNS = {"train": 100, "test": 50}
PNG: dict[str, Any] = {"compress_level": 9, "compress_type": 3}  # zlib's run lengths: no larger here, and quick


def select(labels: Tensor, n: int, split: str, seed: int = SEED) -> Tensor:
    """Return ``n`` distinct indices into ``labels``, int64 (n,), stratified and in an order without pattern.

    labels: int64 (N,). Each label gets n times its share, rounded down; those with the largest remainders get one more.
    """
    count = torch.bincount(labels)
    quota = count * n // len(labels)  # exact in integers
    remainder = count * n % len(labels)
    quota[remainder.argsort(descending=True, stable=True)[: n - int(quota.sum())]] += 1
    key = {i: hashlib.sha256(f"{seed}/{split}/{i}".encode()).digest() for i in range(len(labels))}
    chosen: list[int] = []
    for label, k in enumerate(quota.tolist()):
        chosen += sorted((labels == label).nonzero().flatten().tolist(), key=key.__getitem__)[:k]
    return torch.tensor(sorted(chosen, key=key.__getitem__), dtype=torch.int64)


def build(root: Path | None, out: Path) -> dict[str, Any]:
    """Write both sheets and the card to ``out``, each file in one move, and return the card.

    root: holds MNIST/raw (None: $DDPM_LITE_DATA or the cache folder). Raises: DataError without the full set.
    """
    from PIL import Image, __version__, features

    splits: dict[str, Any] = {}
    sheets = {}
    for split, n in SIZE.items():
        found = find_full("mnist", split, root)
        if found is None:
            raise DataError("the full MNIST set is not there; --root must name a folder that holds MNIST/raw")
        index = select(found[1], n, split)
        images, labels = found[0][index], found[1][index]
        sheets[split] = Image.fromarray(to_sheet(images, COLUMNS[split]).numpy())
        splits[split] = {
            "file": f"mnist_subset_{split}.png",
            "n": n,
            "of": len(found[1]),
            "columns": COLUMNS[split],
            "per_digit": torch.bincount(labels, minlength=10).tolist(),
            "sha256_pixels": sha256(images),
            "sha256_labels": sha256(labels.to(torch.uint8)),
            "labels": "".join(map(str, labels.tolist())),
        }
    card = {
        "name": "MNIST, a stratified subset of 12,000 images",
        "source": "The MNIST database of handwritten digits, http://yann.lecun.com/exdb/mnist/",
        "attribution": "Yann LeCun and Corinna Cortes",
        "license": "CC BY-SA 3.0, https://creativecommons.org/licenses/by-sa/3.0/",
        "changes": "10,000 of 60,000 training and 2,000 of 10,000 test images; pixels unchanged, laid out on sheets",
        "selection": (
            "Images are sorted by the sha256 of 'SEED/SPLIT/INDEX' ('0/train/0', ...); of each digit the first ones "
            "are taken, in proportion to its number in the full split (largest remainders rounded up), and stand on "
            "the sheet in the order of that sorting."
        ),
        "seed": SEED,
        "layout": "28x28 images without gaps, in reading order; 'labels' holds one digit per image in that order.",
        "checksums": "sha256 of the 8-bit pixels, image by image, row by row, and of the labels as one byte each.",
        "command": "python -m ddpm_lite.build_subset --root DIR",
        "encoder": f"Pillow {__version__}, zlib {features.version('zlib')}",  # the same encoder gives the same bytes
        "idx_md5": SETS["mnist"][1],
        "splits": splits,
    }
    for split, sheet in sheets.items():
        write_file(out / splits[split]["file"], functools.partial(sheet.save, format="PNG", **PNG))
    write_file(out / CARD, lambda f: Path(f).write_text(json.dumps(card, indent=2) + "\n", "utf-8"))
    return card


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m ddpm_lite.build_subset", description="Build the embedded MNIST subset from the full set."
    )
    parser.add_argument("--root", type=Path, help="holds MNIST/raw (default: $DDPM_LITE_DATA, else the cache folder)")
    parser.add_argument("--out", type=Path, default=assets(), help="where to write (default: the package's assets)")
    args = parser.parse_args(argv)
    try:
        card = build(args.root, args.out)
    except DataError as error:
        parser.exit(1, f"{error}\n")
    for split, entry in card["splits"].items():
        read_subset(split, args.out)  # what was written can be read, and is what was meant
        size = (args.out / entry["file"]).stat().st_size
        sys.stdout.write(f"{args.out / entry['file']}: {entry['n']:,} images, {size:,} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
