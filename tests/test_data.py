"""Data: the embedded subset, full sets found, verified and downloaded, batches, 2-D sets of known density."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import itertools
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from ddpm_lite import build_subset, mnist_files
from ddpm_lite.data import (
    DataError,
    DataFallbackWarning,
    GaussianMixture,
    ImageSet,
    mnist,
    normalize,
    to_uint8,
    toy,
)
from ddpm_lite.diffusion import GaussianDiffusion
from ddpm_lite.oracle import MixtureOracle
from ddpm_lite.schedules import linear_beta_schedule

FULL = os.environ.get("DDPM_LITE_DATA")
SPLITS = {"train": 30, "test": 20}  # sizes of the small stand-in for the full set


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any data set; returns its cache folder."""
    monkeypatch.delenv("DDPM_LITE_DATA", raising=False)
    monkeypatch.setenv("DDPM_LITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return mnist(full=False)


# ---- pixels -------------------------------------------------------------------------------------------------------


def test_normalize_and_to_uint8_are_inverse_for_every_pixel_value() -> None:
    u = torch.arange(256, dtype=torch.uint8)
    x = normalize(u)
    assert x.dtype == torch.float32 and (x[0], x[-1]) == (-1.0, 1.0)
    assert_close(x.double(), u.double() / 127.5 - 1, atol=1e-7, rtol=0)
    assert torch.equal(to_uint8(x), u)
    assert torch.equal(to_uint8(x.double()), u)


def test_to_uint8_clips_and_rounds_and_leaves_its_argument_alone() -> None:
    x = torch.tensor([-math.inf, -1.5, -1.0, -0.998, 0.0, 0.9999, 2.0, math.inf])
    before = x.clone()
    assert to_uint8(x).tolist() == [0, 0, 0, 0, 128, 255, 255, 255]
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: normalize(torch.zeros(2)), TypeError, "images.*uint8.*float32"),
        (lambda: normalize([1, 2]), TypeError, "images.*uint8.*list"),
        (lambda: to_uint8(torch.zeros(2, dtype=torch.int64)), TypeError, "x must.*floating.*int64"),
        (lambda: to_uint8(0.5), TypeError, "x must.*float"),
        (lambda: to_uint8(torch.tensor([0.0, math.nan])), ValueError, "x contains 1 NaN of 2"),
    ],
)
def test_pixels_refuse(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


# ---- the embedded subset ------------------------------------------------------------------------------------------


def test_subset_is_there_without_network_or_full_set(digits: ImageSet) -> None:
    test = mnist("test", full=False)
    assert (len(digits), len(test)) == (10_000, 2_000)
    assert digits.shape == test.shape == (1, 28, 28)
    assert digits.images.dtype == torch.uint8 and digits.labels.dtype == torch.int64
    assert digits.source == "embedded subset" == mnist().source
    assert repr(test) == "ImageSet(mnist test, embedded subset: 2,000 images of 1x28x28)"
    assert torch.equal(digits.images, mnist(full=False).images)


def test_subset_has_the_statistics_of_mnist(digits: ImageSet) -> None:
    # Of all 60,000: mean 0.1307, std 0.3081 (in 0..1); the mean of 10,000 images has a standard error of about 0.0005.
    pixels = digits.images.double() / 255
    assert abs(float(pixels.mean()) - 0.1307) < 0.002
    assert abs(float(pixels.std()) - 0.3081) < 0.003
    assert int(digits.images[:, 0, :, 0].max()) == 0  # digits stand in the middle of black


def test_card_says_what_the_files_are() -> None:
    folder = mnist_files.assets()
    card = json.loads((folder / mnist_files.CARD).read_text("utf-8"))
    names = [mnist_files.CARD, *(entry["file"] for entry in card["splits"].values())]
    assert sum((folder / name).stat().st_size for name in names) <= 2_500_000
    assert card["attribution"] == "Yann LeCun and Corinna Cortes" and card["license"].startswith("CC BY-SA 3.0")
    assert card["idx_md5"] == mnist_files.SETS["mnist"][1] and card["seed"] == build_subset.SEED
    assert card["command"] == "python -m ddpm_lite.build_subset --root DIR"
    for split, entry in card["splits"].items():
        data = mnist(split, full=False)
        assert entry["per_digit"] == torch.bincount(data.labels).tolist()
        assert entry["sha256_pixels"] == hashlib.sha256(data.images.numpy().tobytes()).hexdigest()


def test_subset_is_rebuilt_from_the_full_set_to_the_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not FULL or not (Path(FULL) / "MNIST" / "raw").is_dir():
        pytest.skip("DDPM_LITE_DATA names no folder with MNIST/raw: the subset cannot be built again here")
    assert build_subset.main(["--root", FULL, "--out", str(tmp_path)]) == 0
    assert "10,000 images" in capsys.readouterr().out
    folder = mnist_files.assets()
    new, old = (json.loads((f / mnist_files.CARD).read_text("utf-8")) for f in (tmp_path, folder))
    if new.pop("encoder") == old.pop("encoder"):
        for name in ["mnist_subset_train.png", "mnist_subset_test.png", mnist_files.CARD]:
            assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    assert new == old  # another encoder may pack the same pixels differently
    for split, share in [("train", 6), ("test", 5)]:
        name = f"mnist_subset_{split}.png"
        assert torch.equal(mnist_files.read_png(tmp_path / name), mnist_files.read_png(folder / name))
        everything, chosen = mnist(split, full=True, root=FULL), mnist(split, full=False)
        drawn = {(x.tobytes(), y) for x, y in zip(everything.images.numpy(), everything.labels.tolist(), strict=True)}
        assert all(
            (x.tobytes(), y) in drawn for x, y in zip(chosen.images.numpy(), chosen.labels.tolist(), strict=True)
        )
        quota = torch.bincount(everything.labels) / share
        assert float((torch.bincount(chosen.labels) - quota).abs().max()) < 1  # stratified


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.data())
def test_selection_is_stratified_and_distinct(values: list[int], data: st.DataObject) -> None:
    labels = torch.tensor(values)
    n = data.draw(st.integers(0, len(values)))
    index = build_subset.select(labels, n, "train")
    assert len(set(index.tolist())) == len(index) == n
    share = torch.bincount(labels) * n / len(labels)
    assert bool(((torch.bincount(labels[index], minlength=len(share)) - share).abs() < 1).all())


def test_building_without_the_full_set_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        build_subset.main(["--root", str(tmp_path), "--out", str(tmp_path / "out")])
    assert stop.value.code == 1 and "--root must name a folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def asset_copy() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("mnist_subset_test.png", mnist_files.CARD):
            shutil.copy(mnist_files.assets() / name, folder)
        yield Path(folder)


@limits(max_examples=25)
@given(data=st.data())
def test_damaged_assets_never_count_as_data(asset_copy: Path, data: st.DataObject) -> None:
    good = mnist_files.read_subset("test")
    path = asset_copy / data.draw(st.sampled_from(["mnist_subset_test.png", mnist_files.CARD]))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    try:
        path.write_bytes(
            whole[:at] if data.draw(st.booleans()) else whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        )
        images, labels = mnist_files.read_subset("test", asset_copy)
    except DataError as error:
        assert "test images are damaged" in str(error) and "\n" not in str(error)
    else:  # the damage was to words on the card, or to nothing that a pixel depends on
        assert torch.equal(images, good[0]) and torch.equal(labels, good[1])
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("missing", ["mnist_subset_test.png", mnist_files.CARD])
def test_missing_assets_are_reported(tmp_path: Path, missing: str) -> None:
    for name in {"mnist_subset_test.png", mnist_files.CARD} - {missing}:
        shutil.copy(mnist_files.assets() / name, tmp_path)
    with pytest.raises(DataError, match="install ddpm_lite again"):
        mnist_files.read_subset("test", tmp_path)


def test_a_sheet_of_another_kind_is_refused(tmp_path: Path) -> None:
    from PIL import Image

    shutil.copy(mnist_files.assets() / mnist_files.CARD, tmp_path)
    Image.new("RGB", (1400, 1120)).save(tmp_path / "mnist_subset_test.png")
    with pytest.raises(DataError, match="grayscale"):
        mnist_files.read_subset("test", tmp_path)


# ---- image sets ---------------------------------------------------------------------------------------------------


def test_batch_is_the_images_normalized(digits: ImageSet) -> None:
    index = torch.tensor([5, 0, 9_999, 5])
    x = digits.batch(index)
    assert x.shape == (4, 1, 28, 28) and x.dtype == torch.float32 and x.is_contiguous()
    assert torch.equal(to_uint8(x), digits.images[index])
    assert torch.equal(digits.batch([5, 0, 9_999, 5]), x)
    assert torch.equal(digits.batch(slice(10, 2, -3)), digits.batch([10, 7, 4]))
    threes = digits.labels == 3
    assert torch.equal(digits.batch(threes), normalize(digits.images[threes]))
    assert digits.batch([]).shape == (0, 1, 28, 28)


@pytest.mark.alone
def test_batch_takes_well_under_a_millisecond(digits: ImageSet) -> None:
    indices = digits.random_indices(128, seed=0)
    best = math.inf
    for _ in range(200):
        index, start = next(indices), time.perf_counter()
        digits.batch(index)
        best = min(best, time.perf_counter() - start)
    assert best < 1e-3, f"{best * 1e3:.2f} ms"


def test_batches_are_one_epoch(digits: ImageSet) -> None:
    small = digits.subset(slice(0, 50))
    assert torch.equal(torch.cat(list(small.batches(16))), normalize(small.images))
    assert [len(x) for x in small.batches(16)] == [16, 16, 16, 2]
    assert [len(x) for x in small.batches(16, drop_last=True)] == [16, 16, 16]
    assert [len(x) for x in small.batches(100)] == [50] and list(small.batches(100, drop_last=True)) == []
    shuffled = torch.cat(list(small.batches(16, generator=generator())))
    assert not torch.equal(shuffled, normalize(small.images))
    assert torch.equal(shuffled.flatten(1).sum(1).sort()[0], normalize(small.images).flatten(1).sum(1).sort()[0])
    assert torch.equal(shuffled, torch.cat(list(small.batches(16, generator=generator()))))


def test_subset_keeps_labels_with_images(digits: ImageSet) -> None:
    sevens = digits.subset(digits.labels == 7)
    assert set(sevens.labels.tolist()) == {7} and len(sevens) == int((digits.labels == 7).sum())
    assert torch.equal(sevens.images, digits.images[digits.labels == 7]) and sevens.source == digits.source
    sevens.images.zero_()
    assert int(digits.images[digits.labels == 7].max()) == 255  # a copy


@given(n=st.integers(1, 60), seed=st.integers(0, 2**31 - 1), start=st.integers(0, 10**9), data=st.data())
def test_a_step_has_the_same_indices_wherever_one_starts(n: int, seed: int, start: int, data: st.DataObject) -> None:
    images = ImageSet(torch.zeros(n, 1, 1, 1, dtype=torch.uint8), torch.zeros(n, dtype=torch.int64), "a", "train", "b")
    size = data.draw(st.integers(1, n))
    ahead = data.draw(st.integers(0, 3 * (n // size)))
    stream = images.random_indices(size, seed=seed, start_step=start)
    later = next(itertools.islice(stream, ahead, None))
    assert torch.equal(later, next(images.random_indices(size, seed=seed, start_step=start + ahead)))
    assert later.shape == (size,) and later.dtype == torch.int64


def test_random_indices_are_permutations_that_differ(digits: ImageSet) -> None:
    small = digits.subset(slice(0, 50))
    stream = small.random_indices(8, seed=3)
    epochs = [
        torch.cat([next(stream) for _ in range(6)]) for _ in range(20)
    ]  # 48 of 50: the incomplete batch is dropped
    assert all(len(set(epoch.tolist())) == 48 for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 20
    assert set(torch.cat(epochs).tolist()) == set(range(50))
    other = torch.cat([i for i, _ in zip(small.random_indices(8, seed=4), range(6), strict=False)])
    assert not torch.equal(other, epochs[0])
    # The next seed's first epoch is not this seed's second.
    assert not torch.equal(other, epochs[1])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda d: d.batch(3), TypeError, "indices.*int"),
        (lambda d: d.batch("012"), TypeError, "indices.*str"),
        (lambda d: d.batch([0.0]), TypeError, "indices.*float"),
        (lambda d: d.batch([True, 2]), TypeError, "indices.*bool"),
        (lambda d: d.batch([-1]), ValueError, "indices.*0 and 9999.*-1"),
        (lambda d: d.batch([10_000]), ValueError, "indices.*10000"),
        (lambda d: d.batch(torch.tensor([0, 10_000])), ValueError, "indices.*0..9999.*from 0 to 10000"),
        (lambda d: d.batch(torch.tensor([[0]])), ValueError, "indices.*shape.*1, 1"),
        (lambda d: d.batch(torch.tensor([0], dtype=torch.int32)), TypeError, "indices.*int32"),
        (lambda d: d.batch(torch.tensor([0.5])), TypeError, "indices.*float32"),
        (lambda d: d.batch(torch.tensor([True])), ValueError, "indices.*10000.*1"),
        (lambda d: d.subset(slice("a", None)), TypeError, "indices.*slice of integers"),
        (lambda d: d.subset(slice(0, 5, 0)), ValueError, "indices.*zero"),
        (lambda d: d.batches(0), ValueError, "batch_size.*at least 1.*0"),
        (lambda d: d.batches(2.0), TypeError, "batch_size.*float"),
        (lambda d: d.batches(2, generator=0), TypeError, "generator.*int"),
        (lambda d: d.random_indices(10_001, seed=0), ValueError, "batch_size.*10000.*10001"),
        (lambda d: d.random_indices(1, seed=None), TypeError, "seed.*NoneType"),
        (lambda d: d.random_indices(1, seed=2**64), ValueError, "seed"),
        (lambda d: d.random_indices(1, seed=0, start_step=-1), ValueError, "start_step.*-1"),
        (lambda d: ImageSet(d.images.float(), d.labels, "", "", ""), TypeError, "images.*float32"),
        (lambda d: ImageSet(d.images[0], d.labels, "", "", ""), ValueError, "images.*4 dimensions"),
        (lambda d: ImageSet(d.images, d.labels.int(), "", "", ""), TypeError, "labels.*int32"),
        (lambda d: ImageSet(d.images, d.labels[:5], "", "", ""), ValueError, "labels.*10000, got 5"),
        (lambda d: ImageSet(None, d.labels, "", "", ""), TypeError, "images.*NoneType"),
    ],
)
def test_image_sets_refuse_at_once(
    digits: ImageSet, call: Callable[[ImageSet], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        call(digits)


JUNK = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers(0, 3)), st.binary(max_size=4)
)


@pytest.mark.parametrize("argument", ["split", "name", "full", "fallback", "download", "root", "size"])
@given(value=JUNK)
def test_mnist_names_the_bad_argument(argument: str, value: Any) -> None:
    good: dict[str, Any] = {
        "split": ["train", "test"],
        "name": ["mnist", "fashion_mnist"],
        "full": [None],
        "root": [None],
        "size": [28, 32],
    }
    assume(not any(value is x or value == x for x in good.get(argument, [])))
    assume(not (argument == "root" and isinstance(value, str)))
    with pytest.raises((TypeError, ValueError), match=f"^{argument} must be"):
        mnist(**{"full": False, argument: value})


def test_size_32_pads_with_black(digits: ImageSet) -> None:
    wide = mnist(full=False, size=32)
    assert wide.shape == (1, 32, 32)
    assert torch.equal(wide.images[:, :, 2:-2, 2:-2], digits.images)
    assert int(wide.images.sum(dtype=torch.int64)) == int(digits.images.sum(dtype=torch.int64))


# ---- the full sets ------------------------------------------------------------------------------------------------


def idx(x: Tensor) -> bytes:
    return struct.pack(f">{1 + x.ndim}I", 2048 + x.ndim, *x.shape) + x.byte().numpy().tobytes()


class Stand:
    """A small stand-in for a full set: its IDX files, and a server of their compressed forms that can misbehave."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.images: dict[str, Tensor] = {}
        for split, n in SPLITS.items():
            self.images[split] = torch.randint(256, (n, 28, 28), generator=generator(n), dtype=torch.uint8)
            self.files[f"{mnist_files.PREFIX[split]}-images-idx3-ubyte"] = idx(self.images[split])
            self.files[f"{mnist_files.PREFIX[split]}-labels-idx1-ubyte"] = idx(torch.arange(n) % 10)
        self.served = {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in self.files.items()}
        self.asked: list[str] = []
        self.answer: Callable[[Any, str], None] = self.well

    md5s = property(lambda self: {name: hashlib.md5(data).hexdigest() for name, data in self.files.items()})
    resources = property(lambda self: [(name, hashlib.md5(data).hexdigest()) for name, data in self.served.items()])

    def write(self, root: Path, kind: str = "MNIST") -> Path:
        raw = root / kind / "raw"
        raw.mkdir(parents=True)
        for name, data in self.files.items():
            (raw / name).write_bytes(data)
        return raw

    def well(self, request: Any, name: str) -> None:
        self.send(request, self.served[name])

    def send(self, request: Any, data: bytes, length: int | None = None) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(data) if length is None else length))
        request.end_headers()
        request.wfile.write(data)


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    import torchvision

    stand = Stand()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stand.asked.append(self.path[1:])
            try:
                stand.answer(self, self.path[1:])
            except (BrokenPipeError, ConnectionResetError):
                pass

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        stand.mirror = f"http://127.0.0.1:{server.server_port}/"  # type: ignore[attr-defined]
        for kind, name in [("MNIST", "mnist"), ("FashionMNIST", "fashion_mnist")]:
            monkeypatch.setattr(getattr(torchvision.datasets, kind), "mirrors", [stand.mirror])  # type: ignore[attr-defined]
            monkeypatch.setattr(getattr(torchvision.datasets, kind), "resources", stand.resources)
            monkeypatch.setitem(mnist_files.SETS, name, (kind, stand.md5s))
        yield stand
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("how", ["root", "DDPM_LITE_DATA", "cache"])
@pytest.mark.parametrize("full", [None, True])
def test_a_full_set_is_found(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bare_machine: Path, how: str, full: bool | None
) -> None:
    stand.write(bare_machine if how == "cache" else tmp_path / "here")
    if how == "DDPM_LITE_DATA":
        monkeypatch.setenv(how, str(tmp_path / "here"))
    for split, n in SPLITS.items():
        data = mnist(split, full=full, root=str(tmp_path / "here") if how == "root" else None)
        assert torch.equal(data.images[:, 0], stand.images[split]) and data.source == "full"
        assert data.labels.tolist() == [i % 10 for i in range(n)] and data.labels.dtype == torch.int64
    assert not stand.asked


def test_the_real_full_set() -> None:
    if not FULL or not (Path(FULL) / "MNIST" / "raw").is_dir():
        pytest.skip("DDPM_LITE_DATA names no folder with MNIST/raw")
    data = mnist(root=FULL)
    assert repr(data) == "ImageSet(mnist train, full: 60,000 images of 1x28x28)"
    assert data.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert len(mnist("test", full=True, root=FULL)) == 10_000


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_a_full_set_is_downloaded_once(
    stand: Stand, bare_machine: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    data = mnist(name=name, full=True)
    assert torch.equal(data.images[:, 0], stand.images["train"]) and data.name == name
    progress = capsys.readouterr()
    assert progress.out == "" and "train-images-idx3-ubyte.gz: 100%" in progress.err
    assert len(stand.asked) == 4
    assert len(mnist("test", name=name, full=True)) == len(mnist("test", name=name)) == SPLITS["test"]
    assert len(stand.asked) == 4
    assert [p.name for p in bare_machine.iterdir()] == [mnist_files.SETS[name][0]]


def test_the_second_mirror_serves_where_the_first_fails(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision

    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:9/", stand.mirror])  # type: ignore[attr-defined]
    assert mnist(full=True).source == "full"


def half(stand: Stand, request: Any, name: str) -> None:
    data = stand.served[name]
    stand.send(request, data[: len(data) // 2], len(data))


def other(stand: Stand, request: Any, name: str) -> None:
    stand.send(request, gzip.compress(b"not what was asked for"))


def gone(stand: Stand, request: Any, name: str) -> None:
    request.send_error(404)


def silent(stand: Stand, request: Any, name: str) -> None:
    time.sleep(1.0)


def endless(stand: Stand, request: Any, name: str) -> None:
    stand.send(request, bytes(2**20), 2**40)


@pytest.mark.parametrize("when", ["train-images", "t10k-labels"])
@pytest.mark.parametrize("failure", [half, other, gone, silent, endless])
def test_a_failed_download_leaves_nothing(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, bare_machine: Path, failure: Callable[..., None], when: str
) -> None:
    monkeypatch.setattr(mnist_files, "TIMEOUT", 0.3)
    monkeypatch.setattr(mnist_files, "LARGEST", 2**19)
    stand.answer = lambda request, name: (
        failure(stand, request, name) if name.startswith(when) else stand.well(request, name)
    )
    with pytest.raises(DataError, match=f"(?s)download failed.*{when}.*DDPM_LITE_DATA.*MNIST/raw"):
        mnist(full=True)
    assert list(bare_machine.iterdir()) == []
    with pytest.warns(DataFallbackWarning, match=f"10,000 images instead.*{when}.*with a network, mnist") as caught:
        data = mnist(full=True, fallback=True)
    assert data.source == "embedded subset" and len(caught) == 1 and "\n" not in str(caught[0].message)
    assert Path(caught[0].filename) == Path(__file__)
    with pytest.raises(DataError, match="FashionMNIST.*no embedded subset.*download failed"):
        mnist(name="fashion_mnist", full=True, fallback=True)
    stand.answer = stand.well  # the network is back
    assert mnist(full=True).source == "full"


def test_without_a_network_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(DataError, match="not known.*DDPM_LITE_DATA.*full=False is the subset"):
        mnist(full=True)
    with pytest.warns(DataFallbackWarning, match="not known.*mnist\\(full=True\\) downloads it"):
        assert len(mnist(full=True, fallback=True)) == 10_000


def test_the_network_is_asked_only_when_wanted(stand: Stand, tmp_path: Path) -> None:
    assert mnist().source == "embedded subset"
    with pytest.raises(DataError, match="it is not in"):
        mnist(full=True, download=False)
    with pytest.raises(DataError, match=r"mnist\(name='fashion_mnist', full=True\) downloads it"):
        mnist(name="fashion_mnist")
    assert not stand.asked


def test_a_place_without_the_full_set_is_not_passed_over_in_silence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.warns(DataFallbackWarning, match="10,000 images instead: it is not in .*; with a network, mnist"):
        assert mnist(root=tmp_path).source == "embedded subset"
    monkeypatch.setenv("DDPM_LITE_DATA", str(tmp_path / "mistyped"))
    with pytest.warns(DataFallbackWarning, match="it is not in .*mistyped or .*cache"):
        assert mnist().source == "embedded subset"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mnist(full=False).source == mnist(full=False, root=tmp_path).source == "embedded subset"


def test_an_interrupt_leaves_nothing(stand: Stand, monkeypatch: pytest.MonkeyPatch, bare_machine: Path) -> None:
    fetch = mnist_files._fetch

    def interrupted(urls: list[str], md5: str) -> bytes:
        if "t10k-images" in urls[0]:
            raise KeyboardInterrupt
        return fetch(urls, md5)

    with monkeypatch.context() as patch:
        patch.setattr(mnist_files, "_fetch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            mnist(full=True)
    assert list(bare_machine.iterdir()) == []


def test_a_killed_download_does_not_count(stand: Stand, bare_machine: Path) -> None:
    stuck, release = threading.Event(), threading.Event()

    def answer(request: Any, name: str) -> None:
        if name.startswith("t10k-labels"):
            stuck.set()
            release.wait(30)
        else:
            stand.well(request, name)

    stand.answer = answer
    code = (
        "import sys\nfrom ddpm_lite import data\n"
        "assert not {'torchvision', 'PIL', 'tqdm.auto'} & set(sys.modules)\n"  # nothing heavier than torch until now
        "import torchvision\nM = torchvision.datasets.MNIST\n"
        f"M.mirrors, M.resources = [{stand.mirror!r}], {stand.resources!r}\n"  # type: ignore[attr-defined]
        "data.mnist(full=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        while not stuck.wait(0.1):  # then three of four files are on the disk
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        release.set()
    assert list(bare_machine.rglob("train-images-idx3-ubyte"))
    assert mnist().source == "embedded subset"
    stand.answer = stand.well
    assert mnist(full=True).source == "full"


def test_two_downloads_at_once_agree(stand: Stand, bare_machine: Path) -> None:
    results: list[Any] = []
    arrived = threading.Barrier(2)

    def answer(request: Any, name: str) -> None:
        if name.startswith("train-images"):
            arrived.wait(10)
        stand.well(request, name)

    stand.answer = answer
    threads = [threading.Thread(target=lambda: results.append(mnist(full=True))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [data.source for data in results] == ["full", "full"]
    assert [p.name for p in bare_machine.iterdir()] == ["MNIST"]


def test_a_damaged_set_is_replaced_by_a_download_and_kept_aside(stand: Stand, bare_machine: Path) -> None:
    raw = stand.write(bare_machine)
    (raw / "train-images-idx3-ubyte").write_bytes(b"")
    (raw / "mine.txt").write_text("notes")
    assert mnist(full=True).source == "full"
    assert len(stand.asked) == 4
    kept, whole = sorted(bare_machine.iterdir(), key=lambda p: len(p.name), reverse=True)
    assert whole.name == "MNIST" and (kept / "raw" / "mine.txt").read_text() == "notes"


def test_a_damaged_set_is_passed_over_for_a_whole_one(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bare_machine: Path
) -> None:
    (stand.write(tmp_path / "here") / "train-labels-idx1-ubyte").unlink()
    monkeypatch.setenv("DDPM_LITE_DATA", str(tmp_path / "here"))
    with pytest.warns(DataFallbackWarning, match="here/MNIST/raw are damaged or not all there"):
        assert mnist().source == "embedded subset"
    stand.write(bare_machine)
    assert mnist().source == "full"


def test_a_folder_that_cannot_be_written_is_reported(stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be stored in.*file"):
        mnist(full=True, root=tmp_path / "file")


@pytest.mark.parametrize("place", ["root", "DDPM_LITE_DATA", "DDPM_LITE_CACHE"])
def test_a_forbidden_folder_is_reported(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bare_machine: Path, place: str
) -> None:
    stand.write(tmp_path / "closed")
    root = tmp_path / "closed" if place == "root" else None
    if root is None:
        monkeypatch.setenv(place, str(tmp_path / "closed"))
    stat = os.stat

    def forbidden(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *args, **kwargs)

    with monkeypatch.context() as patch:  # root may read everything, so file modes would prove nothing there
        patch.setattr(os, "stat", forbidden)
        patch.setattr(Path, "stat", forbidden)  # of Python 3.10, which keeps the first os.stat
        with pytest.warns(DataFallbackWarning, match="closed cannot be read .*Permission denied"):
            assert mnist(root=root).source == "embedded subset"
        with pytest.raises(DataError, match="closed cannot be read .*Permission denied"):
            mnist(full=True, root=root, download=False)
    assert mnist(root=root).source == "full"


def test_a_cache_folder_that_cannot_be_made_is_reported(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", forbidden)
    with pytest.raises(
        DataError, match="cannot be stored in .*cache .*Permission denied.*DDPM_LITE_CACHE names another"
    ):
        mnist(full=True)
    assert not stand.asked


def test_paths_without_meaning_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="cannot be stored in .*null"):
        mnist(full=True, root="a\0b")
    with pytest.raises(DataError, match="[Hh]ome"):
        mnist(full=True, root="~nobody-of-this-name/data")
    monkeypatch.delenv("DDPM_LITE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.warns(DataFallbackWarning, match="home directory. Set DDPM_LITE_CACHE"):
        assert mnist().source == "embedded subset"
    with pytest.raises(DataError, match="home directory. Set DDPM_LITE_CACHE"):
        mnist(full=True)


@limits(max_examples=60)
@given(data=st.data())
def test_truncated_or_altered_idx_files_never_count(data: st.DataObject) -> None:
    stand = Stand()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setitem(mnist_files.SETS, "mnist", ("MNIST", stand.md5s))
        raw = stand.write(Path(folder))
        name = data.draw(st.sampled_from([n for n in stand.files if n.startswith("train")]))
        whole = stand.files[name]
        at = data.draw(st.one_of(st.integers(0, 20), st.integers(0, len(whole) - 1)))
        kind = data.draw(st.sampled_from(["cut", "flip", "grow"]))
        bad = {"cut": whole[:at], "flip": whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :], "grow": whole + b"\0"}
        (raw / name).write_bytes(bad[kind])
        with pytest.raises(DataError, match=r"damaged"):
            mnist(full=True, root=folder, download=False)
        assert mnist("test", full=True, root=folder, download=False).source == "full"  # the other split is whole


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"DDPM_LITE_CACHE": "/a/b"}, "/a/b"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/ddpm_lite"),
        ("linux", {}, "HOME/.cache/ddpm_lite"),
        ("darwin", {}, "HOME/Library/Caches/ddpm_lite"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/ddpm_lite"),
    ],
)
def test_cache_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, variables: dict[str, str], folder: str
) -> None:
    for name in ("DDPM_LITE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert mnist_files.cache_folder() == Path(folder.replace("HOME", str(tmp_path)))


# ---- 2-D sets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["swiss_roll", "moons", "gaussian_mixture"])
def test_toys_fill_about_the_unit_square(name: str) -> None:
    x = toy(name, 4_000, generator=generator())
    assert x.shape == (4_000, 2) and x.dtype == torch.float32
    assert 0.9 < float(x.abs().max()) < 1.2
    assert float(x.mean(0).abs().max()) < 0.2
    assert torch.equal(x, toy(name, 4_000, generator=generator()))
    assert not torch.equal(x, toy(name, 4_000, generator=generator(1)))
    assert toy(name, 0, generator=generator()).shape == (0, 2)


def test_toys_have_their_shapes() -> None:
    x = toy("swiss_roll", 2_000, generator=generator()).double()
    radius = x.norm(dim=1)  # phi / (4.5 pi) along the curve
    turn = torch.atan2(x[:, 1], x[:, 0])
    off = (radius * 4.5 * math.pi - turn + math.pi) % (2 * math.pi) - math.pi  # how far radius and angle disagree
    assert float(off.abs().mean()) < 0.35
    x = toy("moons", 2_000, generator=generator()).double() * 1.6 + torch.tensor([0.5, 0.25])
    to_upper = (x.norm(dim=1) - 1).abs()
    to_lower = ((x - torch.tensor([1.0, 0.5])).norm(dim=1) - 1).abs()
    assert float(torch.minimum(to_upper, to_lower).max()) < 5 * 1.6 * 0.04
    assert 800 < int((to_upper < to_lower).sum()) < 1_200


MIX = GaussianMixture([[0.3, -0.2], [-0.5, 0.4], [0.1, 0.7]], [0.2, 0.3, 0.15], [0.5, 0.3, 0.2])


def plane(width: float = 6.0, n: int = 601) -> tuple[Tensor, float]:
    axis = torch.linspace(-width / 2, width / 2, n, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), float((axis[1] - axis[0]) ** 2)


def test_density_integrates_to_one_and_its_samples_have_it() -> None:
    points, area = plane()
    log_p = MIX.log_prob(points)
    assert_close(float(log_p.exp().sum() * area), 1.0, atol=1e-9, rtol=0)
    n = 200_000
    x = MIX.sample(n, generator=generator()).double()
    value = MIX.log_prob(x)  # minus its mean is the entropy
    assert abs(float(value.mean() - (log_p.exp() * log_p).sum() * area)) < 5 * float(value.std()) / math.sqrt(n)
    error = (x.mean(0) - MIX.weights @ MIX.means) / (x.std(0) / math.sqrt(n))
    assert float(error.abs().max()) < 5
    for k in range(3):  # where one component is certain, its share, mean and std
        assert abs(float((((x - MIX.means[k]) ** 2).sum(1) < 1e-2).double().mean()) - disk(k)) < 5e-3


def disk(k: int) -> float:
    points, area = plane()
    inside = ((points - MIX.means[k]) ** 2).sum(1) < 1e-2
    return float(MIX.log_prob(points[inside]).exp().sum() * area)


def test_score_is_the_gradient_of_log_density() -> None:
    x = (3 * torch.randn(5, 40, 2, generator=generator(), dtype=torch.float64)).requires_grad_()
    (gradient,) = torch.autograd.grad(MIX.log_prob(x).sum(), x)
    assert_close(MIX.score(x.detach()), gradient, atol=1e-10, rtol=1e-10)
    assert MIX.score(x.detach().float()).dtype == MIX.log_prob(x.detach().float()).dtype == torch.float32
    assert MIX.log_prob(torch.zeros(2)).shape == ()
    far = MIX.score(torch.tensor([[1e6, 0.0]], dtype=torch.float64))
    assert bool(far.isfinite().all())


@pytest.mark.parametrize("t", [1, 37, 100])
def test_diffused_is_the_law_of_x_t(t: int) -> None:
    diffusion = GaussianDiffusion(linear_beta_schedule(100))
    alpha_bar = 1 / (
        1 + (1 / diffusion.snr[t].double())
    )  # the float32 table's alpha_bar, without its rounding of 1 - it
    law = MIX.diffused(float(alpha_bar))
    x_t = torch.randn(64, 2, generator=generator(), dtype=torch.float64)
    eps_hat = MixtureOracle(diffusion, MIX.means, MIX.std, MIX.weights)(x_t, t)
    assert_close(-math.sqrt(1 - alpha_bar) * law.score(x_t), eps_hat, atol=1e-4, rtol=1e-4)
    n = 100_000
    x_0 = MIX.sample(n, generator=generator())
    x = diffusion.q_sample(x_0, torch.full((n,), t), generator=generator(1)).double()
    points, area = plane(12.0, 801)
    log_p = law.log_prob(points)
    value = law.log_prob(x)
    assert abs(float(value.mean() - (log_p.exp() * log_p).sum() * area)) < 5 * float(value.std()) / math.sqrt(n)


def test_diffused_at_both_ends() -> None:
    assert_close(MIX.diffused(1.0).std, MIX.std, atol=1e-15, rtol=1e-15)
    assert torch.equal(MIX.diffused(1).means, MIX.means)
    noise = MIX.diffused(0.0)
    assert bool((noise.std == 1).all()) and bool((noise.means == 0).all())


@pytest.mark.parametrize("beta", [0.001, 0.2, 0.97])
def test_reverse_is_bayes_rule(beta: float) -> None:
    x_t = torch.tensor([0.4, -0.7], dtype=torch.float64)
    law = MIX.reverse(x_t, beta)
    x = 2 * torch.randn(200, 2, generator=generator(), dtype=torch.float64)
    step = torch.distributions.Normal(math.sqrt(1 - beta) * x, math.sqrt(beta)).log_prob(x_t).sum(1)
    expected = step + MIX.log_prob(x) - MIX.diffused(1 - beta).log_prob(x_t)
    assert_close(law.log_prob(x), expected, atol=1e-8, rtol=1e-8)


def test_reverse_at_both_ends() -> None:
    mixture = GaussianMixture([[-1.0], [1.0]], [0.1, 0.2], [0.3, 0.7])
    almost_all_noise = mixture.reverse(0.5, 1 - 1e-12)  # x_t says nothing
    assert_close(almost_all_noise.means, mixture.means, atol=1e-5, rtol=0)
    assert_close(almost_all_noise.weights, mixture.weights, atol=1e-5, rtol=0)
    hardly_a_step = mixture.reverse(torch.tensor([0.5]), 1e-8)  # x is x_t, whichever component it came from
    assert_close(hardly_a_step.means, torch.full((2, 1), 0.5, dtype=torch.float64), atol=1e-5, rtol=0)
    assert float(mixture.reverse(40.0, 0.001).weights.sum()) == pytest.approx(1)  # far away: one weight is almost 0


def test_the_ring_is_what_the_toy_draws_from() -> None:
    ring = GaussianMixture.ring()
    assert_close(ring.means.norm(dim=1), torch.full((8,), 0.75, dtype=torch.float64))
    assert repr(ring) == "GaussianMixture(8 components in 2 dimensions)"
    assert torch.equal(toy("gaussian_mixture", 9, generator=generator()), ring.sample(9, generator=generator()))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: toy("roll", 3, generator=generator()), ValueError, "name must be one of 'swiss_roll'.*'roll'"),
        (lambda: toy("moons", -1, generator=generator()), ValueError, "n must.*-1"),
        (lambda: toy("moons", 2.5, generator=generator()), TypeError, "n must.*float"),
        (lambda: toy("moons", 2, generator=None), TypeError, "generator must.*NoneType"),
        (lambda: GaussianMixture([1.0, 2.0], 1.0), ValueError, r"means.*\(K, D\).*\(2,\)"),
        (lambda: GaussianMixture(torch.zeros(0, 2), 1.0), ValueError, r"means.*\(0, 2\)"),
        (lambda: GaussianMixture([["a"]], 1.0), TypeError, "means must be numbers"),
        (lambda: GaussianMixture([[math.nan]], 1.0), ValueError, "means contains NaN"),
        (lambda: GaussianMixture([[0.0]], 0.0), ValueError, "std must be positive"),
        (lambda: GaussianMixture([[0.0]], [1.0, 1.0]), ValueError, r"std must have shape \(1,\)"),
        (lambda: GaussianMixture([[0.0]], None), TypeError, "std must be numbers"),
        (lambda: GaussianMixture([[0.0], [1.0]], 1.0, [0.5, 0.6]), ValueError, "weights must sum to 1, got 1.1"),
        (lambda: GaussianMixture([[0.0], [1.0]], 1.0, [1.5, -0.5]), ValueError, "weights must be positive"),
        (lambda: GaussianMixture([[0.0], [1.0]], 1.0, [1.0]), ValueError, r"weights must have shape \(2,\)"),
        (lambda: GaussianMixture.ring(0), ValueError, "n must be at least 1"),
        (lambda: GaussianMixture.ring(radius=math.inf), ValueError, "radius"),
        (lambda: MIX.sample(2, generator=1), TypeError, "generator"),
        (lambda: MIX.sample("2", generator=generator()), TypeError, "n must"),
        (lambda: MIX.log_prob(torch.zeros(4, 3)), ValueError, r"x must have shape \(\.\.\., 2\), got \(4, 3\)"),
        (lambda: MIX.score(torch.zeros(4, 2, dtype=torch.int64)), TypeError, "x must.*int64"),
        (lambda: MIX.score([[0.0, 0.0]]), TypeError, "x must.*list"),
        (lambda: MIX.log_prob(torch.tensor([0.0, math.nan])), ValueError, "x contains NaN"),
        (lambda: MIX.diffused(1.5), ValueError, "alpha_bar.*1.5"),
        (lambda: MIX.diffused(math.nan), ValueError, "alpha_bar"),
        (lambda: MIX.diffused("half"), TypeError, "alpha_bar"),
        (lambda: MIX.diffused(torch.ones(2)), ValueError, r"alpha_bar must be one number.*\(2,\)"),
        (lambda: MIX.reverse([0.0, 0.0], 0.0), ValueError, r"beta must lie in \(0, 1\)"),
        (lambda: MIX.reverse([0.0, 0.0], 1.5), ValueError, "beta.*1.5"),
        (lambda: MIX.reverse([0.0, 0.0], "half"), TypeError, "beta"),
        (lambda: MIX.reverse(0.0, 0.1), ValueError, r"x_t must have shape \(2,\), got \(1,\)"),
        (lambda: MIX.reverse([0.0, math.nan], 0.1), ValueError, "x_t contains NaN"),
    ],
)
def test_toys_refuse(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
