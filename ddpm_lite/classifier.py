"""A classifier of digits: the judge and the eye of ``evaluation``. A small network that ships with the package.

    net = load_classifier()                    # 67 thousand weights, trained by the command below
    p = net(images).softmax(1)                 # (B, 10)

`python -m ddpm_lite.classifier --epochs 10 --seed 0` made it, from all 60,000 training images; the card beside its file
says on which machine, in which time, and how good it is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._validate import check_float, check_int, check_tensor
from .sampling import with_progress

CLASSIFIER = Path(str(files("ddpm_lite") / "assets" / "mnist_classifier.safetensors"))


class Classifier(nn.Module):
    """A small convolutional network for 28x28 digits: ``logits = head(features(x))``.

    Three 3x3 convolutions, each with ReLU and 2x2 max-pooling, and a hidden layer of ``num_features`` units, dropout
    before and after it. x: (B, 1, 28, 28) in [-1, 1]; logits: (B, 10).
    """

    def __init__(self, channels: Sequence[int] = (24, 48, 48), num_features: int = 80, dropout: float = 0.3):
        super().__init__()
        self.config = {"channels": list(channels), "num_features": num_features, "dropout": dropout}
        a, b, c = (check_int(f"channels[{i}]", n, 1) for i, n in enumerate(channels))
        self.num_features = check_int("num_features", num_features, 1)
        self.dropout = check_float("dropout", dropout, 0, 1)
        self.conv1, self.conv2, self.conv3 = (
            nn.Conv2d(n_in, n_out, 3, padding=1) for n_in, n_out in ((1, a), (a, b), (b, c))
        )
        self.hidden, self.head = nn.Linear(9 * c, num_features), nn.Linear(num_features, 10)

    def features(self, x: Tensor) -> Tensor:
        """Return what the last layer sees: (B, num_features). Raises: TypeError, ValueError for anything but images."""
        h = check_images("x", x)
        for conv in (self.conv1, self.conv2, self.conv3):
            h = F.max_pool2d(F.relu(conv(h)), 2)  # 28 -> 14 -> 7 -> 3
        return F.silu(self.hidden(F.dropout(h.flatten(1), self.dropout, self.training)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.dropout(self.features(x), self.dropout, self.training))


def train_classifier(
    data: Any, *, epochs: int = 10, batch_size: int = 256, lr: float = 3e-3, seed: int = 0, progress: bool = False
) -> Classifier:
    """Train a ``Classifier`` with AdamW, a one-cycle learning rate, and digits turned, scaled and shifted at random.

    To each batch come an eighth as many images that show no digit, noise and shuffled pixels, for which each digit is
    to have p = 1/10; without them the network is sure that noise is an 8 (outlier exposure, Hendrycks et al. 2019,
    arXiv 1812.04606).

    data: an ``ImageSet`` with labels, such as ``mnist("train")``. Returns: the network in evaluation mode. The same
    seed, machine and number of threads give the same weights; global random state is left as it was.
    """
    epochs, n = check_int("epochs", epochs, 1), len(data)
    batch_size = check_int("batch_size", batch_size, 1, n)
    generator = torch.Generator().manual_seed(check_int("seed", seed, 0))
    with torch.random.fork_rng(devices=[]):  # initial weights and dropout know no generators
        torch.default_generator.manual_seed(seed)
        net = Classifier().to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=1e-2)
        total = epochs * (n // batch_size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total, pct_start=0.15)
        order = (i for _ in range(epochs) for i in torch.randperm(n, generator=generator).split(batch_size))
        batches = (i for i in order if len(i) == batch_size)
        for i in with_progress(batches, total, "classifier") if progress else batches:
            x = data.batch(i)
            x = torch.cat([_augment(x, generator), _no_digits(x[: -(-len(x) // 8)], generator)])
            logits = net(x.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits[: len(i)], data.labels[i])
            loss = loss - 0.5 * logits[len(i) :].log_softmax(1).mean()  # cross-entropy with 1/10 for each digit
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.to(memory_format=torch.contiguous_format).eval()


def load_classifier() -> Classifier:
    """Return the classifier that ships with the package, in evaluation mode; its card lies beside its file.

    Raises: FileNotFoundError, CheckpointError where the file is missing or not a bit as it was.
    """
    from .checkpoints import read_tensors

    tensors, card = read_tensors(CLASSIFIER)
    net = Classifier(**card["architecture"])
    net.load_state_dict(tensors)
    return net.eval().requires_grad_(False)


def accuracy(data: Any, classifier: Classifier | None = None) -> float:
    """Return the share of an ``ImageSet``'s labels that the classifier (the shipped one if None) gets right."""
    _, p = features_and_p(data.batch(torch.arange(len(data))), classifier)
    return float((p.argmax(1) == data.labels).double().mean())


@torch.no_grad()
def features_and_p(images: Tensor, classifier: Classifier | None = None) -> tuple[Tensor, Tensor]:
    """Return features (N, num_features), float64, and class probabilities (N, 10) of images (N, 1, 28, 28)."""
    net, images = classifier or load_classifier(), check_images("images", images).cpu()
    was_training, found = net.training, []
    net.eval()
    for x in images.float().split(1000):
        features = net.features(x)
        found.append((features.double(), net.head(features).softmax(1)))
    net.train(was_training)
    features, p = (torch.cat(parts) for parts in zip(*found, strict=True))
    return features, p


def check_images(name: str, x: Tensor) -> Tensor:
    """Return ``x`` if it is finite and (B, 1, 28, 28) with B >= 1, else raise TypeError or ValueError."""
    if check_tensor(name, check_tensor(name, x).cpu()).shape[1:] != (1, 28, 28) or not len(x):  # NaN on a GPU, too
        raise ValueError(f"{name} must be images of shape (B, 1, 28, 28), got {tuple(x.shape)}")
    return x


def _augment(x: Tensor, generator: torch.Generator) -> Tensor:
    """Turn each image by up to 10 degrees, scale it by up to 10 %, shift it by up to 5 % of its width."""
    n = len(x)
    angle, scale, right, down = torch.rand(4, n, generator=generator) * 2 - 1
    angle, scale = angle * torch.pi / 18, 1 + 0.1 * scale
    cos, sin = scale * angle.cos(), scale * angle.sin()
    theta = torch.stack([cos, -sin, 0.1 * right, sin, cos, 0.1 * down], 1).view(n, 2, 3)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x + 1, grid, align_corners=False) - 1  # what comes in from outside is black


def _no_digits(x: Tensor, generator: torch.Generator) -> Tensor:
    """As many images without a digit: noise of any level and strength, every other clipped; a third are x, shuffled."""
    level, strength = torch.rand(2, len(x), 1, 1, 1, generator=generator)
    noise = 2 * level - 1 + 2 * strength * torch.randn(x.shape, generator=generator)
    noise[::2] = noise[::2].clamp(-1, 1)
    pixels = torch.randperm(28 * 28, generator=generator)
    noise[::3] = x[::3].flatten(1)[:, pixels].view_as(x[::3])
    return noise


def main(argv: Sequence[str] | None = None) -> None:
    """Train the classifier on all of MNIST, and write it and its card."""
    from .checkpoints import machine, read_card, write_file, write_tensors
    from .data import mnist

    text = "Train the classifier that judges samples of digits, on all of MNIST; some minutes on two cores."
    parser = argparse.ArgumentParser("python -m ddpm_lite.classifier", description=text)
    parser.add_argument("--epochs", type=int, default=10, help="passes over the 60,000 training images (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--out", type=Path, default=CLASSIFIER, help="file to write (default: the one that ships)")
    args = parser.parse_args(argv)
    try:
        start, train, test = time.perf_counter(), mnist("train", full=True), mnist("test", full=True)
        net = train_classifier(train, epochs=args.epochs, seed=args.seed, progress=True)
        seconds, right = time.perf_counter() - start, accuracy(test, net)
        card = {
            "architecture": net.config,
            "parameters": sum(p.numel() for p in net.parameters()),
            "data": f"{train.name}, {train.source}, {len(train):,} images",
            "training": {"epochs": args.epochs, "seed": args.seed, "batch_size": 256, "lr": 3e-3, "outliers": 1 / 8},
            "metrics": {"test_accuracy": right, "test_images": len(test)},
            "wall_time_seconds": round(seconds),
            "machine": machine(),
            "command": f"python -m ddpm_lite.classifier --epochs {args.epochs} --seed {args.seed}",
        }
        write_tensors(args.out, net.state_dict(), card)
        text = json.dumps(read_card(args.out), indent=2, ensure_ascii=False) + "\n"
        write_file(args.out.with_suffix(".json"), lambda name: Path(name).write_text(text, "utf-8"))
        sys.stdout.write(text)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
