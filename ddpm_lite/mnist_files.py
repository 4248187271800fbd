"""Where image sets come from: the embedded subset, the four IDX files on this machine, or the network. Not public.

Nothing counts as data before its checksum is right. The full sets are read by ``torchvision.datasets``, in its folder
layout: ROOT/MNIST/raw/train-images-idx3-ubyte and so on.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import os
import struct
import sys
import tempfile
import urllib.request
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

TIMEOUT = 10.0  # seconds that a server may stay silent
LARGEST = 64 * 2**20  # bytes that a compressed file may have
CARD = "mnist_subset.json"
PREFIX = {"train": "train", "test": "t10k"}

#: By name: torchvision's class, and the md5 of each uncompressed file.
SETS: dict[str, tuple[str, dict[str, str]]] = {
    "mnist": (
        "MNIST",
        {
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
    ),
    "fashion_mnist": (
        "FashionMNIST",
        {
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        },
    ),
}


class DataError(RuntimeError):
    """A data set is not there, cannot be had, or is damaged; the message says which and what to do."""


class DataFallbackWarning(UserWarning):
    """The full set could not be had, and the embedded subset stands in for it."""


def assets() -> Path:
    """Return the folder of the files that ship with the package."""
    return Path(str(files("ddpm_lite") / "assets"))


def cache_folder() -> Path:
    """Return where downloads go: $DDPM_LITE_CACHE, else the folder ``ddpm_lite`` in the system's place for caches."""
    if chosen := os.environ.get("DDPM_LITE_CACHE"):
        return Path(chosen).expanduser()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "ddpm_lite"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "ddpm_lite"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "ddpm_lite"


def roots(root: str | os.PathLike[str] | None) -> list[Path]:
    """Return the folders to look in: ``root``, else $DDPM_LITE_DATA (if set) and the cache. Raises: DataError."""
    try:
        if root is not None:
            return [Path(root).expanduser()]
        return [Path(p).expanduser() for p in [os.environ.get("DDPM_LITE_DATA")] if p] + [cache_folder()]
    except RuntimeError as error:
        raise DataError(f"{error} Set DDPM_LITE_CACHE to the folder for downloads") from error


# ---- the embedded subset ------------------------------------------------------------------------------------------


def read_subset(split: str, folder: Path | None = None) -> tuple[Tensor, Tensor]:
    """Return the embedded images, uint8 (N, 28, 28), and labels, int64 (N,). Raises: DataError if a file is damaged."""
    folder = folder or assets()
    try:
        entry = json.loads((folder / CARD).read_text("utf-8"))["splits"][split]
        images = from_sheet(read_png(folder / entry["file"]), int(entry["n"]))
        labels = torch.tensor([int(digit) for digit in entry["labels"]])  # (N,)
        sums = (sha256(images), sha256(labels.to(torch.uint8)))
        if sums != (entry["sha256_pixels"], entry["sha256_labels"]):
            raise ValueError("its checksum differs from the one on its card")
    except Exception as error:  # a bad PNG alone can raise OSError, SyntaxError, ValueError and more
        raise DataError(
            f"the embedded {split} images are damaged; install ddpm_lite again ({_reason(error)})"
        ) from error
    return images, labels


def read_png(path: Path) -> Tensor:
    """Return the pixels of an 8-bit grayscale PNG, uint8 (H, W)."""
    import numpy as np
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as sheet:
        if sheet.mode != "L":
            raise ValueError(f"{path.name} must be 8-bit grayscale, got mode {sheet.mode}")
        return torch.from_numpy(np.array(sheet))


def to_sheet(images: Tensor, columns: int) -> Tensor:
    """Lay images (N, 28, 28) out in rows of ``columns``, in reading order: (N / columns * 28, columns * 28)."""
    return images.reshape(-1, columns, 28, 28).transpose(1, 2).reshape(-1, columns * 28)


def from_sheet(sheet: Tensor, n: int) -> Tensor:
    """Undo ``to_sheet``: the first ``n`` images, (n, 28, 28)."""
    images = sheet.reshape(-1, 28, sheet.shape[1] // 28, 28).transpose(1, 2).reshape(-1, 28, 28)
    return images[:n].clone()


def sha256(x: Tensor) -> str:
    """Return the sha256 of a uint8 tensor's values, in row-major order."""
    return hashlib.sha256(x.contiguous().numpy().data).hexdigest()


# ---- the full sets ------------------------------------------------------------------------------------------------


def find_full(name: str, split: str, root: str | os.PathLike[str] | None) -> tuple[Tensor, Tensor] | None:
    """Return images and labels from the first folder that has them whole, or None where no folder has any of it.

    Raises: DataError if what was found is damaged and no later folder has it whole.
    """
    damaged = ""
    for folder in roots(root):
        try:
            (folder / SETS[name][0]).stat()  # is_dir() hides a forbidden folder in some versions of Python
            return read_full(name, split, folder)
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a path that no system takes
            continue
        except (DataError, OSError) as error:
            damaged = damaged or (f"{error}" if isinstance(error, DataError) else f"{folder} cannot be read ({error})")
    if damaged:
        raise DataError(damaged)
    return None


def read_full(name: str, split: str, root: Path) -> tuple[Tensor, Tensor]:
    """Read one split, images uint8 (N, 28, 28) and labels int64 (N,), through torchvision, and verify every byte of it.

    Raises: DataError if files are missing, truncated or altered.
    """
    import torchvision

    kind, md5s = SETS[name]
    where = root / kind / "raw"
    try:
        data = getattr(torchvision.datasets, kind)(str(root), train=split == "train", download=False)
        images, labels = data.data, data.targets
        # What is in memory is what counts: an IDX file is this header (magic number, sizes), then the values.
        sums = {
            f"{PREFIX[split]}-images-idx3-ubyte": _md5(struct.pack(">4I", 2051, *images.shape), images),
            f"{PREFIX[split]}-labels-idx1-ubyte": _md5(struct.pack(">2I", 2049, *labels.shape), labels.byte()),
        }
    except Exception as error:  # torchvision asserts, views and unpacks: anything can come of a truncated file
        raise DataError(f"the files in {where} are damaged or not all there ({_reason(error)})") from error
    for file, found in sums.items():
        if found != md5s[file]:
            raise DataError(f"{where / file} is damaged: its md5 is {found}, not {md5s[file]}")
    return images, labels.to(torch.int64)


def download(name: str, root: Path) -> None:
    """Fetch the four files of a set to ``root``, with a progress bar: verified first, then moved there in one step.

    Raises: DataError if no mirror gives a file with the right checksum; ``root`` is then as it was before.
    """
    import torchvision

    kind, _ = SETS[name]
    source: Any = getattr(torchvision.datasets, kind)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=f".{kind}.") as folder:
            raw = Path(folder, kind, "raw")
            raw.mkdir(parents=True)
            for file, md5 in source.resources:
                data = _fetch([f"{mirror}{file}" for mirror in source.mirrors], md5)
                (raw / file.removesuffix(".gz")).write_bytes(gzip.decompress(data))
            for split in PREFIX:
                read_full(name, split, Path(folder))
            try:
                Path(folder, kind).rename(root / kind)
            except OSError:  # something is there already
                _replace(name, Path(folder), root)
    except (OSError, ValueError) as error:  # ValueError: a path that no system takes
        raise DataError(f"{kind} cannot be stored in {root} ({error}); DDPM_LITE_CACHE names another folder") from error


def _replace(name: str, new: Path, root: Path) -> None:
    """Keep the set in ``root`` if another process has put it there meanwhile; else set it aside and move ours there."""
    kind, _ = SETS[name]
    try:
        for split in PREFIX:
            read_full(name, split, root)
    except DataError:
        (root / kind).rename(root / f"{kind}.damaged{new.name.removeprefix(f'.{kind}')}")
        (new / kind).rename(root / kind)


def _fetch(urls: list[str], md5: str) -> bytes:
    """Return the contents of the first url that has the right md5. Raises: DataError with each url's failure."""
    from tqdm.auto import tqdm

    failures = []
    for url in urls:
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "ddpm_lite"})
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                with tqdm(total=response.length, desc=url.rpartition("/")[2], unit="B", unit_scale=True) as bar:
                    data = bytearray()
                    while len(data) <= LARGEST and (block := response.read(2**16)):
                        data += block
                        bar.update(len(block))
            if _md5(data) == md5:
                return bytes(data)
            failures.append(f"{url}: {len(data):,} bytes with the wrong checksum")
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{url}: {error or type(error).__name__}")
    raise DataError(f"download failed ({'; '.join(failures)})")


def _md5(data: bytes | bytearray, values: Tensor | None = None) -> str:
    digest = hashlib.md5(data, usedforsecurity=False)
    if values is not None:
        digest.update(values.contiguous().numpy().data)
    return digest.hexdigest()


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
