"""Numbers to pixels: the mapping, grids, sprite sheets, PNG, animations, and what bad input says."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ddpm_lite.pixels import (
    MAX_PIXELS,
    MAX_SIDE,
    SEPARATOR,
    encode_png,
    frame_curves,
    frame_labels,
    frames_to_pixels,
    image_grid,
    save_animation,
    side_by_side,
    sprite_sheet,
    to_uint8,
    views_to_pixels,
)


def decode(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def random_pixels(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_bytes_survive_the_round_trip_through_floats() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert np.array_equal(to_uint8(levels.float() / 127.5 - 1), levels.numpy())
    assert to_uint8([-5.0, -1.0, 0.0, 1.0, 5.0]).tolist() == [0, 0, 128, 255, 255]
    assert to_uint8(torch.zeros(2, dtype=torch.bfloat16, requires_grad=True)).tolist() == [128, 128]


@given(st.integers(1, 12), st.integers(1, 14), st.integers(0, 3), st.sampled_from([1, 3]))
def test_every_image_of_a_grid_stands_where_it_should(B: int, n_columns: int, padding: int, C: int) -> None:
    images = random_pixels((B, C, 3, 4))
    grid = image_grid(images, n_columns, padding=padding)
    columns = min(B, n_columns)
    rows = -(-B // columns)
    assert grid.shape[:2] == (rows * (3 + padding) - padding, columns * (4 + padding) - padding)
    for b, image in enumerate(images):
        y, x = (b // columns) * (3 + padding), (b % columns) * (4 + padding)
        wanted = image[0] if C == 1 else image.transpose(1, 2, 0)
        assert np.array_equal(grid[y : y + 3, x : x + 4], wanted)
    if padding and columns > 1:
        assert (grid[:3, 4 : 4 + padding] == SEPARATOR).all()


def test_a_grid_is_about_square_by_itself() -> None:
    assert image_grid(random_pixels((64, 28, 28)), padding=0).shape == (224, 224)
    assert image_grid(random_pixels((10, 28, 28)), padding=0).shape == (84, 112)


def test_frames_of_every_accepted_shape() -> None:
    x = random_pixels((5, 6, 1, 8, 8))
    assert frames_to_pixels(x[:, 0, 0]).shape == (5, 8, 8)
    assert frames_to_pixels(x[:, 0]).shape == (5, 8, 8)
    assert frames_to_pixels(random_pixels((5, 3, 8, 8))).shape == (5, 8, 8, 3)
    assert frames_to_pixels(random_pixels((5, 8, 9, 3))).shape == (5, 8, 9, 3)
    assert frames_to_pixels(list(torch.zeros(5, 1, 8, 8))).shape == (5, 8, 8)
    tiled = frames_to_pixels(x, n_columns=3)
    assert tiled.shape == (5, 17, 26)
    for frame, images in zip(tiled, x, strict=True):
        assert np.array_equal(frame, image_grid(images, 3))


@given(st.integers(2, 40), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_a_sprite_sheet_holds_every_frame(N: int, H: int, W: int, color: bool) -> None:
    frames = random_pixels((N, H, W, 3) if color else (N, H, W))
    sheet, columns = sprite_sheet(frames)
    decoded = decode(encode_png(sheet))
    for i, frame in enumerate(frames):
        y, x = (i // columns) * H, (i % columns) * W
        cut = decoded[y : y + H, x : x + W]
        assert np.array_equal(cut if cut.ndim == frame.ndim else cut[..., None], frame)


def test_a_sprite_sheet_has_a_limit_that_it_states() -> None:
    side = np.zeros((2, 1, MAX_SIDE + 1), np.uint8)
    with pytest.raises(ValueError, match=rf"^frames: got 2 frames .* wanted at most {MAX_SIDE} a side"):
        sprite_sheet(side)
    many = np.lib.stride_tricks.as_strided(
        np.zeros(1, np.uint8), (MAX_PIXELS // 1024 + 64, 32, 32), (0, 0, 0)
    )
    with pytest.raises(ValueError, match=r"^frames: .* show fewer frames"):
        sprite_sheet(many)


def test_views_stand_side_by_side() -> None:
    grey, color = random_pixels((4, 5, 6)), random_pixels((4, 7, 8, 3))
    cells, panels = side_by_side({"a": grey, "b": color})
    assert cells.shape == (4, 7, 14, 3)
    assert panels == [
        {"name": "a", "x": 0, "width": 6, "height": 5},
        {"name": "b", "x": 6, "width": 8, "height": 7},
    ]
    assert np.array_equal(cells[:, :5, :6, 1], grey) and np.array_equal(cells[:, :, 6:], color)


def test_png_is_grey_where_there_is_no_color_and_exact() -> None:
    grey = random_pixels((9, 7))
    assert np.array_equal(decode(encode_png(np.repeat(grey[..., None], 3, -1))), grey)
    color = random_pixels((9, 7, 3))
    assert np.array_equal(decode(encode_png(color)), color)
    assert Image.open(io.BytesIO(encode_png(color, colors=8))).mode == "P"


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_hold_all_frames(tmp_path: Path, suffix: str) -> None:
    frames = random_pixels((6, 5, 4))
    path = save_animation(frames, tmp_path / "new" / f"a{suffix}", fps=10, scale=2)
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == 6
        for i, frame in enumerate(frames):
            image.seek(i)
            shown = np.asarray(image.convert("L"))
            assert np.abs(shown[::2, ::2].astype(int) - frame).max() <= 1
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_failed_animation_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "a.gif"
    old.write_bytes(b"old")

    def fail(self: Image.Image, name: str, *_: object, **__: object) -> None:
        Path(name).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_animation(random_pixels((3, 4, 4)), old)
    assert old.read_bytes() == b"old" and list(tmp_path.iterdir()) == [old]


BAD_FRAMES = [
    (torch.zeros(4), ValueError, r"frames: got shape \(4,\), wanted \(N, H, W\)"),
    (torch.zeros(2, 3, 4, 5, 6, 7), ValueError, "frames: got shape"),
    (torch.zeros(3, 5, 8, 8), ValueError, "frames: .* with 5 channels, wanted 1 or 3"),
    (torch.zeros(0, 8, 8), ValueError, "frames: .* wanted no empty dimension"),
    (torch.zeros(3, 0, 8), ValueError, "frames: .* wanted no empty dimension"),
    (torch.zeros(3, 8, 8, dtype=torch.int64), TypeError, "frames: got dtype int64, wanted floats"),
    (np.zeros((3, 8, 8), complex), TypeError, "frames: got ndarray of dtype complex128, wanted numbers"),
    ("abc", TypeError, "frames: got str of dtype .*, wanted numbers"),
    (None, TypeError, "frames: got NoneType"),
    ([], ValueError, "frames: got an empty list"),
    ([np.zeros((2, 2)), np.zeros((3, 2))], ValueError, "frames: got arrays of different shapes"),
    (torch.full((3, 8, 8), float("nan")), ValueError, "frames: got NaN or infinity in 192 places"),
    (torch.full((3, 8, 8), float("inf")), ValueError, "frames: got NaN or infinity in 192 places"),
]


@pytest.mark.parametrize(("frames", "kind", "message"), BAD_FRAMES)
def test_bad_frames_are_named(frames: object, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match="^" + message):
        frames_to_pixels(frames)


@given(st.lists(st.integers(0, 4), min_size=0, max_size=6))
def test_any_shape_gives_pictures_or_the_documented_error(shape: list[int]) -> None:
    frames = np.zeros(shape, np.float32)
    try:
        pixels = frames_to_pixels(frames)
    except ValueError as error:
        assert str(error).startswith("frames: got shape")
    else:
        assert pixels.dtype == np.uint8 and pixels.ndim in (3, 4) and len(pixels) == shape[0]


def test_bad_arguments_are_named(tmp_path: Path) -> None:
    x = random_pixels((4, 5, 5))
    with pytest.raises(ValueError, match=r"^images: got shape \(5, 5\)"):
        image_grid(x[0])
    with pytest.raises(ValueError, match="^n_columns: got 0"):
        image_grid(x, 0)
    with pytest.raises(ValueError, match="^padding: got -1"):
        image_grid(x, padding=-1)
    with pytest.raises(ValueError, match="^frames: got an empty dict"):
        views_to_pixels({})
    with pytest.raises(ValueError, match="^frames: got views of different lengths .*'a': 4, 'b': 3"):
        views_to_pixels({"a": x, "b": x[:3]})
    with pytest.raises(ValueError, match=r"^frames\['b'\]: got NaN"):
        views_to_pixels({"a": x, "b": np.full((4, 5, 5), np.nan)})
    with pytest.raises(ValueError, match="^path: got .*a.mp4.* wanted a name that ends in .gif"):
        save_animation(x, tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="^fps, scale, hold: got 0"):
        save_animation(x, tmp_path / "a.gif", fps=0)
    with pytest.raises(ValueError, match="^frames: got 1 frame"):
        save_animation(x[:1], tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []


def test_labels_and_curves() -> None:
    assert frame_labels(None, 2, "t") == ["t = 0", "t = 1"]
    assert frame_labels([3, "b"], 2) == ["3", "b"]
    assert frame_curves(None, 2) == []
    assert frame_curves((torch.tensor([1, 2]), "a"), 2) == [{"label": "a", "y": [1.0, 2.0]}]
    for labels in ("ab", ["a"], ["a", "b", "c"]):
        with pytest.raises(ValueError, match="^labels: got .* wanted a list of 2 texts"):
            frame_labels(labels, 2)
    for curve in ([1.0, 2.0, 3.0], [1.0, float("nan")], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="^curve: got shape .* wanted 2 finite numbers"):
            frame_curves((curve, "a"), 2)
    with pytest.raises(TypeError, match="^curve: got list"):
        frame_curves([1.0, 2.0], 2)
    with pytest.raises(ValueError, match="^curve: got 5 curves, wanted 1 to 4"):
        frame_curves({str(i): [0, 1] for i in range(5)}, 2)
