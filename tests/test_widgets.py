"""Sliders without a browser: what they hold, call and say to bad input, and their fallback."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import ipywidgets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ddpm_lite import widgets
from ddpm_lite.pixels import MAX_SIDE, image_grid
from ddpm_lite.plots import new_figure, png_bytes
from ddpm_lite.widgets import explore, scrub

# ipywidgets 7 itself uses what newer ipykernel and traitlets call deprecated
OLD = ipywidgets.__version__.startswith("7.")
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning")] if OLD else []


def decode(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def frames(n: int = 11, *shape: int) -> torch.Tensor:
    return torch.rand(n, *(shape or (8, 9)), generator=torch.Generator().manual_seed(0)) * 2 - 1


def drawn(view: Any, i: int, panel: int = 0) -> np.ndarray:
    """What the front end cuts out of the sprite sheet for frame i, by the rule in scrubber.js."""
    g = view.geometry
    x, y = (i % g["columns"]) * g["width"] + g["panels"][panel]["x"], (i // g["columns"]) * g["height"]
    return decode(view.sheet)[y : y + g["panels"][panel]["height"], x : x + g["panels"][panel]["width"]]


@pytest.fixture
def no_canvas(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """anywidget cannot be imported."""
    monkeypatch.setitem(sys.modules, "anywidget", None)
    widgets._canvas_class.cache_clear()
    yield
    widgets._canvas_class.cache_clear()


@pytest.mark.parametrize("i", [0, 5, 10])
def test_the_sheet_holds_each_frame_pixel_by_pixel(i: int) -> None:
    x = frames(11, 6, 1, 8, 9)
    box = scrub(x, value=i)
    assert np.array_equal(drawn(box.view, i), image_grid(x[i]))
    assert np.array_equal(box.frame, image_grid(x[i]))
    assert box.value == box.slider.value == box.player.value == box.view.value == i


def test_several_views_stand_on_one_slider() -> None:
    x, rgb = frames(11), np.random.default_rng(0).integers(0, 256, (11, 6, 5, 3), np.uint8)
    box = scrub({"x_t": x, "other": rgb}, value=10)
    assert [panel["name"] for panel in box.view.geometry["panels"]] == ["xₜ", "other"]
    assert isinstance(box.frame, dict) and set(box.frame) == {"x_t", "other"}
    for i in (0, 5, 10):
        box.value = i
        assert np.array_equal(drawn(box.view, i, 0)[..., 0], box.frame["x_t"])
        assert np.array_equal(drawn(box.view, i, 1), rgb[i]) and np.array_equal(box.frame["other"], rgb[i])


def test_setting_the_value_moves_every_part() -> None:
    box = scrub(frames())
    box.value = 7
    assert box.slider.value == box.player.value == box.view.value == 7
    box.slider.value = 3  # as a message from the browser does
    assert box.value == 3
    for value in (-1, 11):
        with pytest.raises(ValueError, match=f"^value: got {value}, wanted 0 to 10"):
            box.value = value


def test_what_the_browser_is_told() -> None:
    labels = [f"t = {i}" for i in range(11)]
    box = scrub(frames(), labels=labels, title="step", curve={"a": range(11), "b": np.zeros(11)}, fps=50)
    assert box.view.labels == labels and box.view.names == ["step"]
    assert box.view.curves == [
        {"label": "a", "y": [float(i) for i in range(11)]},
        {"label": "b", "y": [0.0] * 11},
    ]
    assert box.player.interval == 20 and box.slider.description == "step"
    assert (box.slider.min, box.slider.max) == (box.player.min, box.player.max) == (0, 10)
    assert box.player in box.children[0].children
    bare = scrub(frames(), play=False)
    assert bare.children[0].children == (bare.slider,) and bare.view.labels[3] == "t = 3"


def test_a_picture_is_enlarged_by_whole_numbers() -> None:
    assert scrub(frames(3, 28, 28)).view.geometry["scale"] == 16
    assert scrub(frames(3, 224, 224)).view.geometry["scale"] == 2
    assert scrub(frames(3, 500, 700)).view.geometry["scale"] == 1
    assert scrub(frames(3, 28, 28), scale=4).view.geometry["scale"] == 4


def test_links_are_made_in_the_browser() -> None:
    made = []
    original = ipywidgets.jslink
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ipywidgets, "jslink", lambda a, b: made.append((a, b)) or original(a, b))
        one = scrub(frames())
        two = scrub(frames(), linked=one)
    pairs = [(a[0], b[0]) for a, b in made]
    assert pairs == [
        (one.player, one.slider),
        (one.slider, one.view),
        (two.player, two.slider),
        (one.slider, two.slider),
        (two.slider, two.view),
    ]
    with pytest.raises(ValueError, match="^linked: got a scrub of 11 frames, wanted 5"):
        scrub(frames(5), linked=one)


@pytest.mark.usefixtures("no_canvas")
@pytest.mark.parametrize("i", [0, 5, 10])
def test_without_anywidget_one_image_shows_the_same_frames(i: int) -> None:
    x = frames()
    box = scrub(x, labels=[f"<{k}>" for k in range(11)], scale=3)
    box.slider.value = i
    assert isinstance(box.view, ipywidgets.Image)
    shown = decode(box.view.value)
    assert np.array_equal(shown, np.asarray(box.frame).repeat(3, 0).repeat(3, 1))
    assert any(getattr(child, "value", None) == f"&lt;{i}&gt;" for child in box.children)


def test_the_fallback_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(scrub(frames(), canvas=False).view, ipywidgets.Image)
    monkeypatch.setenv("DDPM_LITE_CANVAS", "0")
    widgets._canvas_class.cache_clear()
    assert isinstance(scrub(frames()).view, ipywidgets.Image)
    monkeypatch.undo()
    widgets._canvas_class.cache_clear()
    assert not isinstance(scrub(frames()).view, ipywidgets.Image)


@pytest.mark.parametrize("works", [True, False])
def test_colab_is_asked_for_its_widget_manager(monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
    asked = []
    output = ModuleType("google.colab.output")
    if works:
        output.enable_custom_widget_manager = lambda: asked.append(True)  # type: ignore[attr-defined]
    for name in ("google", "google.colab"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "google.colab.output", output)
    widgets._canvas_class.cache_clear()
    try:
        box = scrub(frames())
    finally:
        widgets._canvas_class.cache_clear()
    assert isinstance(box.view, ipywidgets.Image) is not works and bool(asked) is works


def line_of(slope: float = 1.0, shape: str = "line", grid: bool = False) -> np.ndarray:
    """A picture of a slope."""
    if slope > 4.9:
        raise ValueError("slope: <too steep>")
    return np.full((4, 5), round(slope * 10) + 100 * (shape == "root") + grid, np.uint8)


CONTROLS: dict[str, Any] = {"slope": (1.0, 5.0, 0.5, 2.0), "shape": ["line", "root"], "grid": False}


@pytest.mark.parametrize("canvas", [True, False])
def test_explore_shows_what_the_function_returns(canvas: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not canvas:
        monkeypatch.setattr(widgets, "_canvas_class", lambda: None)
    box = explore(line_of, **CONTROLS, names={"slope": "the slope"})

    def shown() -> np.ndarray:
        return decode(box.view.sheet if canvas else box.view.value)

    assert box.settings == {"slope": 2.0, "shape": "line", "grid": False} and (shown() == 20).all()
    for slope in (1.0, 3.0, 4.5):  # the low end, the middle, and the last that the function takes
        box.controls["slope"].value = slope
        assert np.array_equal(shown(), line_of(slope)) and np.array_equal(
            decode(box.render()), line_of(slope)
        )
    box.controls["shape"].value, box.controls["grid"].value = "root", True
    assert np.array_equal(shown(), line_of(4.5, "root", True))
    assert np.array_equal(decode(box.render(slope=1.0, grid=False)), line_of(1.0, "root"))
    assert box.controls["slope"].description == "the slope"
    if canvas:
        assert box.view.labels == ["A picture of a slope., slope = 4.5, shape = root, grid = True"]
        assert box.view.names == ["the slope"] and box.view.texts == ["4.5"]


def test_errors_of_the_function_are_shown_and_kept() -> None:
    box = explore(line_of, **CONTROLS)
    box.controls["slope"].value = 5.0
    assert isinstance(box.error, ValueError)
    assert "ValueError: slope: &lt;too steep&gt;" in box.message.value and 'role="alert"' in box.message.value
    box.controls["slope"].value = 1.0
    assert box.error is None and box.message.value == "" and (decode(box.view.sheet) == 10).all()
    with pytest.raises(ValueError, match="too steep"):
        box.render(slope=5.0)
    with pytest.raises(ValueError, match="too steep"):
        explore(line_of, slope=(1.0, 5.0, 0.5, 5.0))
    with pytest.raises(
        TypeError, match=r"^settings: got \['slop'\], wanted some of \['grid', 'shape', 'slope'\]"
    ):
        box.render(slop=1.0)


@pytest.mark.alone
def test_a_figure_that_is_kept_is_redrawn_quickly() -> None:
    figure, axis = new_figure(size=(6, 3.4))
    t = np.arange(1001)
    (line,) = axis.plot(t, t * 0.0)
    axis.set(ylim=(0, 1), xlabel="$t$", ylabel=r"$\bar\alpha_t$")

    def alpha_bar(beta_T: float) -> Any:
        line.set_ydata(np.concatenate([[1], np.cumprod(1 - np.linspace(1e-4, beta_T, 1000))]))
        return figure

    box = explore(alpha_bar, beta_T=(0.002, 0.05, 0.001, 0.02))
    first = box.render()
    assert first == box.render() == png_bytes(figure, compress_level=1), (
        "the layout is settled from the first"
    )
    times = []
    for beta_T in np.linspace(0.002, 0.05, 9):
        start = time.perf_counter()
        box.controls["beta_T"].value = beta_T
        times.append(time.perf_counter() - start)
    assert np.median(times) <= 0.1, f"{1000 * np.median(times):.0f} ms a change"


def test_controls_follow_their_descriptions() -> None:
    box = explore(
        lambda **_: np.zeros((2, 2), np.uint8), n=(1, 9, 2, 3), x=(0.0, 1, 0.05, 0.5), c=["a", "b"], on=True
    )
    kinds = [type(control).__name__ for control in box.controls.values()]
    assert kinds == ["IntSlider", "FloatSlider", "Dropdown", "Checkbox"]
    assert box.settings == {"n": 3, "x": 0.5, "c": "a", "on": True}
    assert box.controls["x"].readout_format == ".2f"


@pytest.mark.parametrize(
    ("control", "kind"),
    [
        ((1, 2, 3), TypeError),
        ((1, 2, "a", 1), TypeError),
        ([], TypeError),
        (["one"], TypeError),
        (3, TypeError),
        ("abcd", TypeError),
        ((2, 1, 1, 1), ValueError),
        ((1, 2, 0, 1), ValueError),
        ((1, 2, 1, 3), ValueError),
        ((1.0, 2.0, 0.1, float("nan")), ValueError),
    ],
)
def test_bad_controls_are_named(control: object, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="^speed: got .*, wanted"):
        explore(line_of, speed=control)
    with pytest.raises(ValueError, match="^controls: got none"):
        explore(line_of)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": frames(1)}, "^frames: got 1 frame, wanted at least 2"),
        ({"frames": frames() * float("nan")}, "^frames: got NaN"),
        ({"frames": frames(11, 5, 8, 8)}, "^frames: got shape .* with 5 channels"),
        ({"frames": {"a": frames(3), "b": frames(4)}}, "^frames: got views of different lengths"),
        ({"frames": np.zeros((2, 1, MAX_SIDE + 1), np.uint8)}, "^frames: got 2 frames .* wanted at most"),
        ({"frames": {"a": frames(), "b": frames() * float("inf")}}, r"^frames\['b'\]: got NaN or infinity in 792"),
        ({"frames": frames(11)[0]}, r"^frames: got shape \(8, 9\), wanted \(N, H, W\), "),
        ({"frames": torch.zeros(3, 2, 2, 1, 8, 8)}, r"^frames: got shape \(3, 2, 2, 1, 8, 8\), wanted \(N, H, W\), "),
        ({"labels": ["a"] * 12}, r"^labels: got 12 \(list\), wanted a list of 11"),
        ({"labels": ["a"]}, r"^labels: got 1 \(list\), wanted a list of 11"),
        ({"labels": "abcdefghijk"}, r"^labels: got 11 \(str\), wanted a list of 11"),
        ({"value": 11}, "^value: got 11, wanted 0 to 10"),
        ({"value": -1}, "^value: got -1, wanted 0 to 10"),
        ({"curve": (range(3), "a")}, "^curve: got shape"),
        ({"fps": 0}, "^fps, scale: got 0"),
        ({"fps": float("nan")}, "^fps, scale: got nan"),
        ({"scale": 0}, "^fps, scale: got 20, 0"),
        ({"n_columns": 0, "frames": frames(3, 2, 1, 4, 4)}, "^n_columns: got 0"),
    ],
)
def test_bad_input_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scrub(**{"frames": frames(), **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": 7}, "^labels: got int, wanted a list of 11 texts"),
        ({"labels": (str(i) for i in range(11))}, "^labels: got generator, wanted a list of 11 texts"),
        ({"value": 1.5}, "^value: got 1.5, wanted an integer"),
        ({"value": "1"}, "^value: got '1', wanted an integer"),
        ({"fps": "fast"}, "^fps: got 'fast', wanted a number"),
        ({"scale": 1.5}, "^scale: got 1.5, wanted an integer"),
        ({"title": None}, "^title, linked: got None, NoneType, wanted a text"),
        ({"linked": 3}, "^title, linked: got 't', int, wanted a text, a scrub or None"),
        ({"curve": [1.0] * 11}, "^curve: got list, wanted"),
        ({"frames": None}, "^frames: got NoneType of dtype object, wanted numbers"),
        ({"frames": torch.zeros(3, 8, 8, dtype=torch.int64)}, "^frames: got dtype int64, wanted floats"),
    ],
)
def test_another_kind_of_input_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        scrub(**{"frames": frames(), **options})


@pytest.mark.alone
@pytest.mark.parametrize("shape", [(2000, 256, 256), (1001, 64, 1, 28, 28), (2000, 256, 256, 3), (2000, 3, 256, 256)])
def test_too_many_pixels_are_refused_at_once_and_what_is_advised_works(shape: tuple[int, ...]) -> None:
    big = torch.zeros(1).expand(shape)  # one number in memory
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"^frames: got shape .* wanted at most 16777216 in all") as caught:
        scrub(big)
    assert time.perf_counter() - start < 0.1, "before anything is copied"
    advised = re.search(r"frames\[::(\d+)\]", str(caught.value))
    assert advised
    box = scrub(big[:: int(advised[1])], padding=0)
    assert box.n == -(-shape[0] // int(advised[1]))
    with pytest.raises(ValueError, match="^frames: got shape .* 134217728 pixels"):
        scrub({"x_t": torch.zeros(1).expand(1024, 256, 256), "x0_hat": torch.zeros(1).expand(1024, 256, 256)})


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=5),
    st.integers(-2, 6),
    st.none() | st.lists(st.text(max_size=3), max_size=6),
    st.sampled_from(["float32", "float64", "uint8", "int32", "bool"]),
)
def test_any_input_gives_a_slider_or_an_error_that_names_the_argument(
    shape: list[int], value: int, labels: list[str] | None, dtype: str
) -> None:
    try:
        box = scrub(np.zeros(shape, dtype), value=value, labels=labels)
    except (ValueError, TypeError) as error:
        assert str(error).split(":")[0] in ("frames", "value", "labels")
        assert "wanted" in str(error)
    else:
        assert box.n == shape[0] and box.value == value and len(box.view.labels) == box.n


def test_what_shows_no_widgets_shows_one_sentence() -> None:
    box, picture = scrub(frames(), title="t"), explore(line_of, **CONTROLS)
    assert repr(box) == "A slider over 11 pictures (t): run this notebook to move it."
    assert repr(picture) == "A picture to explore by slope, shape, grid: run this notebook to change it."
    for widget in (box, picture):
        if hasattr(widget, "_repr_mimebundle_"):  # ipywidgets 8; 7 displays repr itself
            assert widget._repr_mimebundle_()["text/plain"] == repr(widget)
        assert len(repr(widget)) <= 110  # the rest would be cut off


@pytest.mark.alone
def test_a_scrub_is_quick_to_make_and_small() -> None:
    """51 frames of 64 digits: half a second and 2 MB; here real strokes under growing noise."""
    x_0 = torch.full((64, 1, 28, 28), -1.0)
    x_0[:, :, 6:22, 12:16] = 1
    signal = torch.cos(torch.linspace(0, torch.pi / 2, 51))[:, None, None, None, None]
    eps = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    x_t = signal * x_0 + (1 - signal**2).clamp(min=0).sqrt() * eps
    scrub(x_t[:2])
    start = time.perf_counter()
    box = scrub(x_t, padding=0)
    seconds = time.perf_counter() - start
    assert box.view.geometry["width"] == box.view.geometry["height"] == 224
    assert len(box.view.sheet) <= 2e6
    assert seconds <= 1.0, f"{seconds:.2f} s"  # 0.3 s on two cores that are not busy


def test_only_this_module_imports_ipywidgets() -> None:
    from pathlib import Path

    package = Path(widgets.__file__).parent
    importers = {p.name for p in package.glob("*.py") if "import ipywidgets" in p.read_text(encoding="utf-8")}
    assert importers == {"widgets.py"}


def test_pictures_that_two_threads_ask_for_do_not_mix() -> None:
    figure, axis = new_figure(size=(2, 1.5))
    (line,) = axis.plot([0, 1], [0, 0])
    axis.set(ylim=(0, 10))

    def slope(k: int) -> Any:
        line.set_ydata([0, k])
        time.sleep(0.01)  # another thread may come in here
        return figure

    box = explore(slope, k=(1, 9, 1, 1))
    alone = {k: box.render(k=k) for k in range(1, 10)}
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda k: box.render(k=k), [*alone] * 3))
    assert together == [*alone.values()] * 3 and len(set(together)) == 9
