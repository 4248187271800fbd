"""Data: MNIST (an embedded subset, or all of it), and points in the plane whose density is known.

    data = mnist(full=False)                      # 10,000 real digits that come with the package
    x_0 = data.batch(data.labels == 3)            # (B, 1, 28, 28), float32 in [-1, 1]

All images stay in memory as uint8 and are normalized a batch at a time: that is faster than any worker process.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import mnist_files
from ._validate import check_choice, check_generator, check_int
from .mnist_files import DataError, DataFallbackWarning
from .toys import GaussianMixture, toy

__all__ = [
    "DataError",
    "DataFallbackWarning",
    "GaussianMixture",
    "ImageSet",
    "mnist",
    "normalize",
    "to_uint8",
    "toy",
]

Indices = Tensor | Sequence[int] | slice


def normalize(images: Tensor) -> Tensor:
    """Return ``u / 127.5 - 1``: uint8 pixels 0..255 as float32 in [-1, 1], any shape. Raises: TypeError."""
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        got = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise TypeError(f"images must be a torch.uint8 tensor, got {got}")
    return images.float().div_(127.5).sub_(1.0)


def to_uint8(x: Tensor) -> Tensor:
    """Return ``round((x + 1) 127.5)`` as uint8, with x clipped to [-1, 1] first: the inverse of ``normalize``.

    x: floating point, any shape. Raises: TypeError for another dtype, ValueError for NaN.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"x must be a floating-point tensor, got {got}")
    if bool(x.isnan().any()):
        raise ValueError(f"x contains {int(x.isnan().sum())} NaN of {x.numel()} values")
    return x.detach().float().clamp(-1.0, 1.0).add_(1.0).mul_(127.5).round_().to(torch.uint8)


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Images uint8 (N, C, H, W) and their labels int64 (N,), all in memory; ``source`` says where they came from."""

    images: Tensor
    labels: Tensor
    name: str
    split: str
    source: str

    def __post_init__(self) -> None:
        for name, x, dtype, ndim in [("images", self.images, torch.uint8, 4), ("labels", self.labels, torch.int64, 1)]:
            if not isinstance(x, Tensor) or x.dtype != dtype:
                raise TypeError(f"{name} must be a {dtype} tensor, got {getattr(x, 'dtype', type(x).__name__)}")
            if x.ndim != ndim:
                raise ValueError(f"{name} must have {ndim} dimensions, got shape {tuple(x.shape)}")
        if len(self.images) != len(self.labels):
            raise ValueError(f"labels must be as many as images, {len(self.images)}, got {len(self.labels)}")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"ImageSet({self.name} {self.split}, {self.source}: {len(self):,} images of {shape})"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def batch(self, indices: Indices) -> Tensor:
        """Return the images at ``indices`` as float32 (B, C, H, W) in [-1, 1]; their labels are ``labels[indices]``.

        indices: int64 (B,) or a list of integers in 0..N-1, a bool mask (N,), or a slice.
        Raises: TypeError, ValueError.
        """
        return normalize(self.images.index_select(0, self._index(indices)))  # many times faster than images[...]

    def batches(
        self, batch_size: int, *, generator: torch.Generator | None = None, drop_last: bool = False
    ) -> Iterator[Tensor]:
        """Return an iterator over one epoch of batches, as from ``batch``: in order, or shuffled by ``generator``.

        The last batch may be smaller, unless ``drop_last``. Raises: TypeError, ValueError.
        """
        size = check_int("batch_size", batch_size, 1)
        n = len(self)
        order = torch.arange(n) if generator is None else _permutation(n, check_generator(generator))
        stop = n - n % size if drop_last else n
        return (self.batch(order[i : i + size]) for i in range(0, stop, size))

    def random_indices(self, batch_size: int, *, seed: int, start_step: int = 0) -> Iterator[Tensor]:
        """Return an endless iterator over indices int64 (B,), one item per training step, from ``start_step`` on.

        Each epoch is a fresh permutation, its incomplete last batch dropped. The indices of step k depend on seed,
        batch_size, k and N alone, so a run that stopped after k steps goes on exactly with ``start_step=k``.
        Raises: TypeError; ValueError, also if there are fewer images than ``batch_size``.
        """
        size = check_int("batch_size", batch_size, 1)
        if size > len(self):
            raise ValueError(f"batch_size must be at most the number of images, {len(self)}, got {size}")
        seed, start_step = check_int("seed", seed, 0, 2**31 - 1), check_int("start_step", start_step, 0)
        return _random_indices(len(self), size, seed, start_step)

    def subset(self, indices: Indices) -> ImageSet:
        """Return an ``ImageSet`` of the images at ``indices``, which are given and checked as for ``batch``."""
        index = self._index(indices)
        return ImageSet(self.images[index], self.labels[index], self.name, self.split, self.source)

    def _index(self, indices: Any) -> Tensor:
        n = len(self)
        if isinstance(indices, slice):
            try:
                indices = torch.tensor(list(range(n)[indices]), dtype=torch.int64)
            except (TypeError, ValueError) as error:
                raise type(error)(f"indices must be a slice of integers, got {indices}: {error}") from None
        elif isinstance(indices, list | tuple | range):
            mask = bool(indices) and all(isinstance(i, bool) for i in indices)
            values = indices if mask else [check_int("indices", i, 0, n - 1) for i in indices]
            indices = torch.tensor(values, dtype=torch.bool if mask else torch.int64)
        if not isinstance(indices, Tensor) or indices.dtype not in (torch.int64, torch.bool):
            got = indices.dtype if isinstance(indices, Tensor) else type(indices).__name__
            raise TypeError(f"indices must be an int64 tensor, a list of integers, a bool mask or a slice, got {got}")
        if indices.ndim != 1:
            raise ValueError(f"indices must have shape (B,), got {tuple(indices.shape)}")
        if indices.dtype == torch.bool:
            if len(indices) != n:
                raise ValueError(f"indices, a mask, must have shape ({n},), got ({len(indices)},)")
            indices = indices.nonzero().flatten()
        elif len(indices):
            low, high = (int(i) for i in torch.aminmax(indices))
            if low < 0 or high >= n:
                raise ValueError(f"indices must lie in 0..{n - 1}, got values from {low} to {high}")
        return indices.to(self.images.device)


def mnist(
    split: str = "train",
    *,
    name: str = "mnist",
    full: bool | None = None,
    fallback: bool = False,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    size: int = 28,
) -> ImageSet:
    """Return MNIST, or by ``name`` FashionMNIST, whose images have the same shape, as an ``ImageSet``.

    split: "train" or "test". name: "mnist" or "fashion_mnist" (which has no embedded subset).
    full: False, the embedded subset (10,000 training, 2,000 test images); None, the full set if it is on this machine,
        else the subset, never touching the network; True, the full set (60,000 and 10,000), downloaded where needed.
    fallback: with full=True, where the full set cannot be had, warn in one line and return the subset.
    root: folder that holds MNIST/raw; None: $DDPM_LITE_DATA, then the cache folder. Downloads go to root or the cache.
    download: False keeps full=True off the network. size: 28, or 32 with two black pixels more on each side.
    Raises: TypeError, ValueError; DataError (a RuntimeError) if the set cannot be had or the package's own is damaged.
    Warns: DataFallbackWarning if the subset stands in for a full set that is damaged, or not there although ``root``,
        $DDPM_LITE_DATA or ``fallback`` asked for it.
    Source: Y. LeCun, C. Cortes, the MNIST database, CC BY-SA 3.0; Xiao et al. 2017, Fashion-MNIST, MIT.
    """
    check_choice("split", split, mnist_files.PREFIX)
    check_choice("name", name, mnist_files.SETS)
    for key, value in [("full", full), ("fallback", fallback), ("download", download)]:
        if not isinstance(value, bool) and not (key == "full" and value is None):
            raise TypeError(f"{key} must be True or False{' or None' * (key == 'full')}, got {value!r}")
    if root is not None and not isinstance(root, str | os.PathLike):
        raise TypeError(f"root must be a path, got {type(root).__name__}")
    if check_int("size", size, 28, 32) not in (28, 32):
        raise ValueError(f"size must be 28 or 32, got {size}")
    images, labels, source = _load(name, split, full, fallback, root, download)
    padded = images.new_zeros(len(images), 1, size, size)
    edge = (size - 28) // 2
    padded[:, 0, edge : edge + 28, edge : edge + 28] = images
    return ImageSet(padded, labels, name, split, source)


def _load(
    name: str, split: str, full: bool | None, fallback: bool, root: str | os.PathLike[str] | None, fetch: bool
) -> tuple[Tensor, Tensor, str]:
    """Return images, uint8 (N, 28, 28), labels, int64 (N,), and their source; arguments as of ``mnist``."""
    try:
        found = None if full is False else mnist_files.find_full(name, split, root)
        problem = None
    except DataError as error:
        found, problem = None, error
    if found is None and full and fetch:
        try:
            folder = mnist_files.roots(root)[-1]
            mnist_files.download(name, folder)
            found = mnist_files.read_full(name, split, folder)
        except DataError as error:
            problem = error
    if found is not None:
        return *found, "full"
    kind, _ = mnist_files.SETS[name]
    reason = " ".join(str(problem or f"it is not in {' or '.join(map(str, mnist_files.roots(root)))}").split())
    call = f"mnist({'' if name == 'mnist' else f'name={name!r}, '}full=True)"
    advice = f"with a network, {call} downloads it; or set DDPM_LITE_DATA to a folder that holds {kind}/raw"
    if name != "mnist":
        raise DataError(f"{kind} is not here, and has no embedded subset: {reason}; {advice}") from problem
    if full and not fallback:
        raise DataError(f"the full {kind} is not here: {reason}; {advice}; full=False is the subset") from problem
    images, labels = mnist_files.read_subset(split)
    if problem or full or (full is None and (root is not None or os.environ.get("DDPM_LITE_DATA"))):
        line = f"the full {kind} is not here, using the embedded {len(labels):,} images instead: {reason}; {advice}"
        warnings.warn(line, DataFallbackWarning, stacklevel=3)
    return images, labels, "embedded subset"


def _random_indices(n: int, size: int, seed: int, step: int) -> Iterator[Tensor]:
    per_epoch, epoch = n // size, -1
    while True:
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            order = _permutation(n, torch.Generator().manual_seed(seed * 1_000_003 + epoch))
        first = step % per_epoch * size
        yield order[first : first + size]
        step += 1


def _permutation(n: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(n, generator=generator, device=generator.device)
