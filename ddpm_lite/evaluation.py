"""Evaluation: how good are samples (a classifier, a Frechet distance, its floor), how good is the bound (bits/dim)?

    result = evaluate_samples(sample(diffusion, model, (2000, 1, 28, 28), n_steps=100))

The Frechet distance is that of Heusel et al. 2017, but its features are those of our small digit classifier, not of the
Inception network: values compare with each other, with the floor of ``frechet_floor``, and with no published FID.

    python -m ddpm_lite.evaluation score mnist --sampler ddim --n-steps 100 --n 2000 --seed 0      # prints JSON
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._validate import check_float, check_int, check_tensor
from .classifier import Classifier, accuracy, check_images, features_and_p, load_classifier, train_classifier
from .diffusion import Denoiser, GaussianDiffusion
from .sampling import sample, with_progress

__all__ = ["Classifier", "accuracy", "background", "bits_per_dim", "evaluate_samples", "frechet_distance"]
__all__ += ["frechet_floor", "load_classifier", "real_features", "recognized", "score", "train_classifier"]


def recognized(images: Tensor, *, threshold: float = 0.9, classifier: Classifier | None = None) -> dict[str, Any]:
    """Return which share of images the classifier is sure of (max p > threshold), and the share of each digit.

    images: (N, 1, 28, 28) in [-1, 1]. Returns: {"share": float, "digits": ten floats that sum to 1}; a digit's share is
    that of the images for which it is the most probable, sure or not.
    """
    return _shares(features_and_p(images, classifier)[1], check_float("threshold", threshold, 0, 1))


def frechet_distance(a: Tensor, b: Tensor, classifier: Classifier | None = None) -> float:
    """Return the Frechet distance between two sets of images, or of features, as if each were Gaussian.

    ``d^2 = |mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))``, Heusel et al. 2017 (arXiv 1706.08500), eq. 6, by
    torchmetrics in float64. Positive for finite sets of one distribution, the more so the smaller they are: compare at
    equal sizes, and with ``frechet_floor``.

    a, b: both images (N, 1, 28, 28) in [-1, 1], whose features are then the classifier's, or both features (N, D).
    Raises: TypeError, ValueError for fewer than 2 rows, NaN, or another shape.
    """
    a, b = (_as_features(name, x, classifier) for name, x in (("a", a), ("b", b)))
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"b must have as many features as a, {a.shape[1]}, got {b.shape[1]}")
    from torchmetrics.image.fid import FrechetInceptionDistance  # some seconds, once

    given = nn.Identity()
    given.num_features = a.shape[1]  # type: ignore[assignment]
    metric = FrechetInceptionDistance(feature=given).set_dtype(torch.float64)
    metric.update(a, real=True)
    metric.update(b, real=False)
    if not math.isfinite(distance := float(metric.compute())):
        raise ValueError(f"a and b must have finite means and covariances, but their distance is {distance}")
    return max(0.0, distance)  # rounding leaves -1e-12 for equal sets


def real_features(
    n: int, *, n_splits: int = 10, seed: int = 0, full: bool | None = None, classifier: Classifier | None = None
) -> tuple[Tensor, list[Tensor], str]:
    """Return what samples are compared with: features of n test images, and of disjoint sets of n training images.

    Which images is chosen by ``seed``; n_splits: at most so many sets, at least 2; full: as in ``mnist``.
    Returns: reference (n, D), splits [(n, D), ...], and one line that says which images they are.
    """
    from .data import mnist

    test, train = mnist("test", full=full), mnist("train", full=full)
    n, n_splits = check_int("n", n, 2, min(len(test), len(train) // 2)), check_int("n_splits", n_splits, 2)
    generator = torch.Generator().manual_seed(check_int("seed", seed, 0))
    chosen = torch.randperm(len(test), generator=generator)[:n]
    sets = torch.randperm(len(train), generator=generator)[: n * min(n_splits, len(train) // n)].split(n)
    net = classifier or load_classifier()
    reference = features_and_p(test.batch(chosen), net)[0]
    text = f"{n} of {len(test)} test images; floor: {len(sets)} disjoint sets of {n} of {len(train)} training images"
    return reference, [features_and_p(train.batch(i), net)[0] for i in sets], f"MNIST, {test.source}: {text}"


def frechet_floor(
    n: int, *, n_splits: int = 10, seed: int = 0, full: bool | None = None, classifier: Classifier | None = None
) -> dict[str, Any]:
    """Return the Frechet distance of real images from real images, each set of size n: what no sampler need beat.

    The same n test images, chosen by ``seed``, are compared with each of up to ``n_splits`` disjoint sets of n training
    images; ``evaluate_samples`` compares samples with these test images too. Returns: {"mean", "se": its standard error
    over the sets, for these test images (other test images move the mean by more), "n_splits", "compared"}.
    """
    return _floor(*real_features(n, n_splits=n_splits, seed=seed, full=full, classifier=classifier))


def evaluate_samples(
    samples: Tensor, *, seed: int = 0, full: bool | None = None, classifier: Classifier | None = None
) -> dict[str, Any]:
    """Return everything that a card says on samples of digits, as numbers that fit into JSON.

    samples: (n, 1, 28, 28) in [-1, 1]; full: compare with all of MNIST (True), the subset (False), what is here (None).
    Returns: n; recognized, recognized_real: shares with max p > 0.9 among samples and all test images; digits: share
    of each; frechet_distance to n test images; frechet_floor (see there); ratio: distance to floor; background (see
    there) of samples and of all test images.
    """
    from .data import mnist

    n, net = len(check_images("samples", samples)), classifier or load_classifier()
    floor_of = real_features(n, seed=seed, full=full, classifier=net)
    real = mnist("test", full=full).batch(slice(None))
    features, p = features_and_p(samples, net)
    found, floor = _shares(p, 0.9), _floor(*floor_of)
    distance = frechet_distance(features, floor_of[0])
    return {
        "n": n,
        "recognized": found["share"],
        "recognized_real": _shares(features_and_p(real, net)[1], 0.9)["share"],
        "digits": found["digits"],
        "frechet_distance": distance,
        "frechet_floor": floor,
        "ratio": distance / floor["mean"],
        "background": {"samples": background(samples, full=full), "real": background(real, full=full)},
    }


def background(images: Tensor, *, full: bool | None = None) -> dict[str, float]:
    """Return how bright images are where they should be black; 0 is black, 1 white.

    untouched: pixels, mostly at the border, that are black in every training image: mean and 95th percentile of all
    of them. far: pixels of each image with none brighter than 0.5 within two pixels: mean (real digits: not quite 0).
    """
    from .data import mnist

    touched = mnist("train", full=full).images.amax(0)[0] > 0  # (28, 28)
    brightness = ((check_images("images", images).double().cpu() + 1) / 2).clamp(0, 1)
    untouched = brightness[:, 0, ~touched].flatten()
    far = F.max_pool2d(brightness, 5, stride=1, padding=2) <= 0.5
    rank = max(1, math.ceil(0.95 * len(untouched)))  # kthvalue: torch.quantile takes 16 million values at most
    return {
        "untouched_mean": float(untouched.mean()),
        "untouched_p95": float(untouched.kthvalue(rank).values),
        "far_mean": float(brightness[far].mean()) if bool(far.any()) else 0.0,
    }


def bits_per_dim(
    diffusion: GaussianDiffusion, model: Denoiser, images: Tensor, *, n_t: int = 20, progress: bool = False,
    sigma: str = "beta_tilde", generator: torch.Generator | None = None,
) -> dict[str, Any]:
    """Return the variational bound on -log2 p(x_0), per dimension, and its three parts, with standard errors.

    ``L = L_T + sum_{t=2..T} L_{t-1} + L_0``, Ho et al. 2020, eq. 5. The sum is estimated without bias: 2..T is cut into
    n_t strata, narrow at small t, where the terms are large; each image draws one t from each, and the sum is
    ``sum_k |stratum_k| L_{t_k - 1}``. n_t >= T - 1 takes every t. sigma: as in ``diffusion.bound_terms``.

    images: (N, ...), N >= 2, in [-1, 1] on 256 levels. Returns: {"L_T", "L_sum", "L_0", "total"}, each {"mean", "se"},
    in bits per dimension; the errors, over images, hold the choice of images as well as that of t and noise.
    """
    x_0 = check_tensor("images", images)
    n = check_int("the number of images", len(x_0), 2)
    edges = _strata(diffusion.T, min(check_int("n_t", n_t, 1), diffusion.T - 1))
    network = model if isinstance(model, nn.Module) else nn.Module()
    device, was_training = x_0.device if generator is None else generator.device, network.training

    def term(t: Tensor) -> Tensor:
        pairs = zip(x_0.split(250), t.to(x_0.device).split(250), strict=True)
        return torch.cat([diffusion.bound_terms(model, *p, sigma=sigma, generator=generator) for p in pairs]).double()

    try:
        network.eval()
        l_0, l_sum = term(torch.ones(n, dtype=torch.int64)), torch.zeros(n, dtype=torch.float64, device=x_0.device)
        strata = list(zip(edges[:-1], edges[1:], strict=True))
        for low, high in with_progress(strata, len(strata), "bits/dim") if progress else strata:
            t = torch.randint(low, high, (n,), generator=generator, device=device)  # one of low..high - 1 per image
            l_sum += (high - low) * term(t)
    finally:
        network.train(was_training)
    parts = {"L_T": diffusion.prior_term(x_0).double(), "L_sum": l_sum, "L_0": l_0}
    parts["total"] = parts["L_T"] + parts["L_sum"] + parts["L_0"]
    return {name: {"mean": float(x.mean()), "se": float(x.std()) / math.sqrt(n)} for name, x in parts.items()}


def _strata(T: int, n: int) -> list[int]:
    """Edges of n strata of 2..T, about geometric, none empty: [2, ..., T + 1]; [2] if T is 1."""
    edges = [2]
    for left in range(n, 0, -1):
        edges.append(max(edges[-1] + 1, round(edges[-1] * ((T + 1) / edges[-1]) ** (1 / left))))
    return edges


def _as_features(name: str, x: Tensor, classifier: Classifier | None) -> Tensor:
    if check_tensor(name, x).ndim == 4:
        x = features_and_p(check_images(name, x), classifier)[0]
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"{name} must be (N, 1, 28, 28) or (N, D) with N >= 2, got {tuple(x.shape)}")
    return check_tensor(name, x.detach().cpu().double())


def _shares(p: Tensor, threshold: float) -> dict[str, Any]:
    digits = torch.bincount(p.argmax(1), minlength=10).double() / len(p)
    return {"share": float((p.amax(1) > threshold).double().mean()), "digits": digits.tolist()}


def _floor(reference: Tensor, splits: list[Tensor], compared: str) -> dict[str, Any]:
    d = torch.tensor([frechet_distance(split, reference) for split in splits], dtype=torch.float64)
    return {"mean": float(d.mean()), "se": float(d.std()) / len(d) ** 0.5, "n_splits": len(d), "compared": compared}


def score(argv: Sequence[str]) -> dict[str, Any]:
    """Sample from a checkpoint and evaluate: what ``python -m ddpm_lite.evaluation score ...`` prints."""
    from .checkpoints import PRETRAINED, add_to_card, load_checkpoint, load_pretrained, machine
    from .data import mnist

    p = argparse.ArgumentParser("python -m ddpm_lite.evaluation", description="Judge a checkpoint's samples.")
    p.add_argument("verb", choices=["score"])
    p.add_argument("checkpoint", help="a .safetensors file, or mnist (the one that ships)")
    p.add_argument("--sampler", default="ddim", help="ddim (default) or ddpm")
    p.add_argument("--n-steps", type=int, default=100, help="steps of ddim (default 100)")
    p.add_argument("--eta", type=float, default=0.0, help="of ddim: 0 adds no noise (default), 1 as much as ddpm")
    p.add_argument("--n", type=int, default=2000, help="how many samples (default 2000)")
    p.add_argument("--bits", type=int, default=0, help="bits/dim too, of so many test images (default 0: none)")
    p.add_argument("--seed", type=int, default=0, help="default 0")
    p.add_argument("--subset", dest="full", action="store_const", const=False, help="compare with the package's digits")
    p.add_argument("--add-to-card", action="store_true", help="note the result on the checkpoint's card")
    a = p.parse_args(argv)
    test = mnist("test", full=a.full)
    check_int("--n", a.n, 2, len(test)), check_int("--bits", a.bits, 2 if a.bits else 0, len(test))
    check_int("--seed", a.seed, 0, 2**63 - 1)
    model, diffusion = (load_pretrained if a.checkpoint in PRETRAINED else load_checkpoint)(a.checkpoint)
    generator, start = torch.Generator().manual_seed(a.seed), time.perf_counter()
    ddim = a.sampler == "ddim"
    options: dict[str, Any] = {"sampler": a.sampler} | ({"n_steps": a.n_steps, "eta": a.eta} if ddim else {})
    x = sample(diffusion, model, (a.n, 1, 28, 28), progress=True, generator=generator, **options)
    result: dict[str, Any] = {"command": shlex.join(["python", "-m", "ddpm_lite.evaluation", *argv])}
    result |= {"machine": machine(), **options, "sampling_seconds": round(time.perf_counter() - start, 1)}
    result |= evaluate_samples(x, seed=a.seed, full=a.full)
    if a.bits:
        images = test.batch(torch.randperm(len(test), generator=generator)[: a.bits])
        result["bits_per_dim"] = bits_per_dim(diffusion, model, images, progress=True, generator=generator)
    if a.add_to_card:
        name = f"{a.sampler} {a.n_steps if ddim else diffusion.T} steps" + f", eta {a.eta:g}" * (ddim and a.eta > 0)
        add_to_card(a.checkpoint, {name: result})
    return result


if __name__ == "__main__":
    try:
        sys.stdout.write(json.dumps(score(sys.argv[1:]), indent=2, allow_nan=False) + "\n")
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
