"""Checkpoints: what is written comes back, what is foreign or damaged is named, nothing is half-written."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from ddpm_lite import (
    CheckpointError,
    GaussianDiffusion,
    MLPDenoiser,
    UNet,
    beta_schedule,
    load_checkpoint,
    load_pretrained,
    pretrained_card,
    read_card,
    sample,
    save_checkpoint,
)
from ddpm_lite.checkpoints import add_to_card, average_checkpoints, write_file, write_tensors
from ddpm_lite.run_state import save_state

MODELS = [
    UNet(channels=8, channel_mult=(1, 2), attention_levels=(1,), patch_size=2, dropout=0.1, scale_shift=False),
    UNet(in_channels=3, channels=8, channel_mult=(1,), out_channels=6),
    MLPDenoiser(dim=2, width=16, n_layers=2),
]


@pytest.mark.parametrize("model", MODELS, ids=["gray", "color", "points"])
def test_what_is_written_comes_back(model, tmp_path):
    diffusion = GaussianDiffusion(beta_schedule("cosine", 30))
    path = save_checkpoint(tmp_path / "new" / "a", model, diffusion, {"seed": 3, "note": "ü"})
    assert path == tmp_path / "new" / "a.safetensors"
    again, other = load_checkpoint(path)
    assert type(again) is type(model) and again.config == model.config and not again.training
    assert torch.equal(other.schedule, diffusion.schedule)
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])
    card = read_card(path)
    assert (
        card["seed"] == 3
        and card["note"] == "ü"
        and card["T"] == 30
        and card["architecture"]
        == {
            "name": type(model).__name__,
            **model.config,
        }
    )
    assert json.loads(path.with_suffix(".json").read_text("utf-8")) == card
    assert sorted(p.name for p in path.parent.iterdir()) == ["a.json", "a.safetensors"]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "a.safetensors"
    save_checkpoint(path, MODELS[2], GaussianDiffusion(beta_schedule("linear", 100)))
    return path.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 0.999))
def test_a_truncated_file_is_named(good, tmp_path, cut):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(good[: int(len(good) * cut)])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 0.9999), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed(good, tmp_path, where, bit):
    path, data = tmp_path / "flipped.safetensors", bytearray(good)
    data[int(len(data) * where)] ^= 1 << bit
    path.write_bytes(data)
    try:
        model, diffusion = load_checkpoint(path)
    except CheckpointError:
        return
    # only the card's text can have changed: never a weight
    assert torch.equal(diffusion.schedule, beta_schedule("linear", 100))
    for key, value in MODELS[2].state_dict().items():
        assert torch.equal(value, model.state_dict()[key])


def test_the_average_of_models_has_their_mean_weights_and_says_so(tmp_path):
    diffusion = GaussianDiffusion(beta_schedule("linear", 50))
    models = [MLPDenoiser(width=8, n_layers=1) for _ in range(3)]
    for k, network in enumerate(models):
        torch.nn.init.constant_(next(network.parameters()), float(k))
        save_checkpoint(tmp_path / f"step-{k}", network, diffusion, {"data": "toy", "loss": 0.1 * k})
    paths = [tmp_path / f"step-{k}.safetensors" for k in range(3)]
    out = average_checkpoints(paths, tmp_path / "mean", {"note": "of three"})
    loaded, _ = load_checkpoint(out)
    for name, value in loaded.state_dict().items():
        want = torch.stack([network.state_dict()[name].double() for network in models]).mean(0)
        torch.testing.assert_close(value.double(), want, rtol=0, atol=1e-7)
    card = read_card(out)
    assert card["loss"] == 0.2 and card["note"] == "of three"
    assert [part["sha256"] for part in card["averaged"]] == [read_card(path)["sha256"] for path in paths]
    with pytest.raises(ValueError, match="paths must name two checkpoints at least, got 1"):
        average_checkpoints(paths[:1], out)
    save_checkpoint(tmp_path / "other", MLPDenoiser(width=4, n_layers=1), diffusion, {"data": "toy"})
    save_checkpoint(tmp_path / "digits", models[0], diffusion, {"data": "mnist"})
    save_checkpoint(tmp_path / "cosine", models[0], GaussianDiffusion(beta_schedule("cosine", 50)), {"data": "toy"})
    before = out.read_bytes()
    for name, what in (("other", "architecture"), ("digits", "data"), ("cosine", "tensors")):
        with pytest.raises(ValueError, match=f"of one run, but .*{what}"):
            average_checkpoints([tmp_path / name, *paths], out)
    assert out.read_bytes() == before


def test_metrics_are_added_to_a_card_and_weights_stay(tmp_path):
    path = save_checkpoint(tmp_path / "a", MODELS[2], GaussianDiffusion(beta_schedule("linear", 100)), {"seed": 1})
    add_to_card(path, {"one": 1})
    add_to_card(path, {"two": {"x": 2}})
    assert read_card(path)["metrics"] == {"one": 1, "two": {"x": 2}} and read_card(path)["seed"] == 1
    assert json.loads(path.with_suffix(".json").read_text("utf-8")) == read_card(path)
    model, _ = load_checkpoint(path)
    assert torch.equal(model.stem.weight, MODELS[2].stem.weight)


def test_foreign_files_are_named(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="not one that ddpm_lite wrote"):
        load_checkpoint(path)
    path.write_bytes(pickle.dumps({"model": 1}))
    with pytest.raises(CheckpointError, match="never read"):
        load_checkpoint(path)
    path.write_text("hello")
    with pytest.raises(CheckpointError, match="damaged"):
        read_card(path)
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*missing"):
        load_checkpoint(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path)


def test_a_pickle_is_not_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    path = tmp_path / "bomb.safetensors"
    torch.save({"x": Bomb()}, path)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not (tmp_path / "exploded").exists()


def test_a_later_format_says_so(tmp_path, monkeypatch):
    path = tmp_path / "later.safetensors"
    monkeypatch.setattr("ddpm_lite.checkpoints.FORMAT", "ddpm_lite/2")
    write_tensors(path, {"x": torch.zeros(1)}, {})
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="install a newer ddpm_lite"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "change",
    [{"name": "Transformer"}, {"name": "UNet"}, {"width": 32}, {"width": "wide"}, {"new_option": 1}],
    ids=str,
)
def test_a_card_that_does_not_fit_says_so(tmp_path, change):
    path = tmp_path / "a.safetensors"
    tensors = {f"model.{k}": v for k, v in MODELS[2].state_dict().items()} | {"beta": beta_schedule("linear", 100)}
    write_tensors(path, tensors, {"architecture": {"name": "MLPDenoiser", **MODELS[2].config, **change}})
    with pytest.raises(CheckpointError, match="does not fit this version"):
        load_checkpoint(path)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(name):
        with open(name, "w") as file:
            file.write("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_file(path, fail)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_what_cannot_be_saved_is_named(tmp_path):
    diffusion = GaussianDiffusion(beta_schedule("linear", 100))
    with pytest.raises(TypeError, match="^model must be one of UNet, MLPDenoiser, got Linear"):
        save_checkpoint(tmp_path / "a", torch.nn.Linear(2, 2), diffusion)
    with pytest.raises(TypeError, match="^card must"):
        save_checkpoint(tmp_path / "a", MODELS[2], diffusion, {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_the_shipped_model_loads_and_samples():
    model, diffusion = load_pretrained("mnist")
    card = pretrained_card("mnist")
    assert diffusion.T == card["T"] == 1000
    assert sum(p.numel() for p in model.parameters()) == card["parameters"] <= 1_500_000
    x = sample(diffusion, model, (2, 1, 28, 28), n_steps=5, generator=torch.Generator().manual_seed(0))
    assert x.shape == (2, 1, 28, 28) and float(x.abs().max()) <= 1


def test_an_unknown_pretrained_name_lists_those_there_are():
    with pytest.raises(ValueError, match="^name must be one of 'mnist', got 'imagenet'"):
        load_pretrained("imagenet")


def test_what_is_known_of_a_model_wins_over_the_card_handed_in(tmp_path):
    diffusion = GaussianDiffusion(beta_schedule("linear", 100))
    foreign = {**pretrained_card(), "format": "ddpm_lite/9", "seed": 4}
    paths = [save_checkpoint(tmp_path / name, MODELS[2], diffusion, foreign) for name in ("a", "b")]
    paths.append(average_checkpoints(paths, tmp_path / "mean", {**foreign, "averaged": []}))
    for path in paths:
        model, again = load_checkpoint(path)
        assert model.config == MODELS[2].config and again.T == read_card(path)["T"] == 100
        assert read_card(path)["seed"] == 4
    assert len(read_card(paths[2])["averaged"]) == 2
    for call in (
        lambda: save_checkpoint(paths[0], MODELS[2], diffusion, [("seed", 3)]),
        lambda: average_checkpoints(paths[:2], paths[2], "of two"),
    ):
        with pytest.raises(TypeError, match="^card must be a dict, got (list|str)"):
            call()


@pytest.mark.parametrize(
    "change, card, match",
    [
        ({}, {"T": 50}, "T is 50 on the card, but there are 100 betas"),
        ({"model.head.bias": torch.tensor([0.0, torch.nan])}, {}, "model.head.bias must hold finite floating-point"),
        ({"model.head.bias": torch.zeros(2, dtype=torch.int64)}, {}, "model.head.bias must hold finite floating-point"),
        ({"extra": torch.zeros(2)}, {}, "nothing is known of a tensor extra"),
        ({"model.extra": torch.zeros(2)}, {}, "Unexpected key"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, change, card, match):
    tensors = {f"model.{k}": v for k, v in MODELS[2].state_dict().items()} | {"beta": beta_schedule("linear", 100)}
    architecture = {"architecture": {"name": "MLPDenoiser", **MODELS[2].config}}
    write_tensors(tmp_path / "good.safetensors", tensors, architecture)  # an older card may not name T
    load_checkpoint(tmp_path / "good")
    write_tensors(tmp_path / "bad.safetensors", tensors | change, architecture | card)
    with pytest.raises(CheckpointError, match=match):
        load_checkpoint(tmp_path / "bad")


def test_the_state_of_a_run_is_no_model(tmp_path):
    network = MODELS[2]
    ema = torch.optim.swa_utils.AveragedModel(network)
    path = tmp_path / "state.safetensors"
    save_state(path, network, ema, torch.optim.AdamW(network.parameters()), {}, 3, 1.0)
    before = path.read_bytes()
    for call in (
        lambda: load_checkpoint(path),
        lambda: average_checkpoints([path, path], tmp_path / "mean"),
        lambda: add_to_card(path, {"one": 1}),
    ):
        with pytest.raises(CheckpointError, match=r"is the state of a training run, not a model; use model\."):
            call()
    assert path.read_bytes() == before


@pytest.mark.parametrize("path", ["", ".", ".."])
def test_a_path_without_a_name_is_named(path):
    for call in (
        lambda: load_checkpoint(path),
        lambda: read_card(path),
        lambda: save_checkpoint(path, MODELS[2], GaussianDiffusion(beta_schedule("linear", 100))),
    ):
        with pytest.raises(ValueError, match="^path must name a file"):
            call()
