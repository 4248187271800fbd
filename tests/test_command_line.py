"""The command line: what it writes, that it goes on where it stopped, one-line errors; what importing costs."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import pytest
import torch
from PIL import Image

from ddpm_lite import load_checkpoint
from ddpm_lite.__main__ import main, parser
from ddpm_lite.checkpoints import read_card, read_tensors

TINY = [
    "--subset",
    "--batch-size",
    "16",
    "--channels",
    "8",
    "--channel-mult",
    "1",
    "--attention-levels",
    "--patch-size",
    "4",
]


def test_train_sample_info(tmp_path, capsys):
    out = tmp_path / "run"
    command = ["train", "--out", str(out), *TINY, "--save-every", "5", "--decay-steps", "2", "--keep-every", "8"]
    main([*command, "--n-steps", "10"])
    main([*command, "--n-steps", "20"])
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [10, 20] and int(rows[-1]["images"]) == 320
    assert {p.name for p in out.glob("step-*.safetensors")} == {f"step-0000{k}.safetensors" for k in ("08", "16")}
    assert read_card(out / "step-000016.safetensors")["training"]["images"] == 16 * 16
    kept = [str(path) for path in sorted(out.glob("step-*.safetensors"))]
    main(["average", *kept, "--out", str(out / "mean.safetensors")])
    card = read_card(out / "mean.safetensors")
    assert [part["file"] for part in card["averaged"]] == [f"step-0000{k}.safetensors" for k in ("08", "16")]
    assert card["command"].startswith("python -m ddpm_lite ") and " && python -m ddpm_lite " in card["command"]
    model = str(out / "model.safetensors")
    capsys.readouterr()
    main(["info", model])
    card = json.loads(capsys.readouterr().out)
    assert card["training"]["n_steps"] == 20 and card["data"] == "mnist, embedded subset, 10,000 images"
    for name, size in (("a.png", 1), ("b.gif", 2)):
        main(["sample", model, "--n", "4", "--n-steps", "3", "--out", str(tmp_path / name)])
        with Image.open(tmp_path / name) as image:
            assert image.width >= 2 * 28 and getattr(image, "n_frames", 1) >= size
    with pytest.raises(SystemExit, match="holds this run already"):
        main([*command, "--n-steps", "20"])
    with pytest.raises(SystemExit, match=r"is the state of a training run, not a model; use model\.safetensors"):
        main(["sample", str(out / "state.safetensors"), "--out", str(tmp_path / "c.png")])


def test_a_run_killed_before_its_model_was_written_writes_it_when_called_again(tmp_path):
    command = ["train", "--out", str(tmp_path), *TINY, "--save-every", "3", "--decay-steps", "2", "--n-steps"]
    model = tmp_path / "model.safetensors"
    main([*command, "3"])
    older = model.read_bytes()
    main([*command, "6"])
    whole, card = read_tensors(model)
    for left in (None, older):  # no model, or that of the run before it was prolonged
        model.unlink()
        if left:
            model.write_bytes(left)
        main([*command, "6"])
        again, its_card = read_tensors(model)
        assert its_card == {**card, "wall_time_seconds": its_card["wall_time_seconds"]}
        assert again.keys() == whole.keys() and all(torch.equal(again[k], whole[k]) for k in whole)
    with pytest.raises(SystemExit, match="holds this run already"):
        main([*command, "6"])


HEADER = "step,images,loss,lr,seconds"


@pytest.mark.parametrize(
    "left, kept",
    [
        (f"{HEADER}\n2,32,1.00000,0.002,1\n4,64,0.9", ["2"]),
        (f"{HEADER}\n2,32,1.00000,1e-05,1\n4,64,0.90000,0.002,1", ["2"]),  # who knows whether it was 1 or 12
        (f"{HEADER}\n2,32,1.00000,0.002,1\n6,96,0.80000,0.002,1\n\0\0", ["2"]),  # 6 is made again
        ("step,ima", []),
        ("", []),
        (None, []),
    ],
)
def test_a_history_that_a_kill_left_torn_is_mended(tmp_path, left, kept):
    command = ["train", "--out", str(tmp_path), *TINY, "--save-every", "4", "--decay-steps", "2", "--n-steps"]
    main([*command, "4"])
    history = tmp_path / "history.csv"
    history.unlink() if left is None else history.write_text(left)
    main([*command, "6"])
    lines = history.read_text().splitlines()
    assert lines[0] == HEADER and [line.split(",")[0] for line in lines[1:]] == [*kept, "6"]
    assert {len(line.split(",")) for line in lines} == {5}
    load_checkpoint(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "argv, match",
    [
        (["sample", "--out", "x.bmp"], "error: --out's ending must be one of '.png'"),
        (["sample", "--out", "x.png", "--n", "0"], "error: --n must be between 1 and"),
        (["sample", "--out", "x.png", "--sampler", "euler"], "error: --sampler must be one of 'ddim', 'ddpm'"),
        (["sample", "--out", "x.png", "--n-steps", "5000"], "error: n_steps must be between 1 and 1000"),
        (["sample", "missing.safetensors", "--out", "x.png"], "error: there is no checkpoint at missing"),
        (["train", "--out", "x", "--schedule", "flat"], "error: name must be one of 'linear'"),
        (["train", "--out", "x", "--lr", "-1"], "error: lr must lie in"),
        (["info", "missing"], "error: there is no checkpoint at missing"),
    ],
)
def test_an_error_is_one_line(argv, match, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert str(stopped.value).startswith(match) and "\n" not in str(stopped.value)
    assert not list(tmp_path.iterdir())


def test_help_teaches():
    for verb in ("train", "average", "sample", "info"):
        (sub,) = (a for a in parser()._actions if a.dest == "verb")
        text = sub.choices[verb].format_help()
        assert len(text) > 300
        for action in sub.choices[verb]._actions:
            assert action.help, (verb, action.dest)


IMPORTS = """
import sys, time
import torch
start = time.perf_counter()
import ddpm_lite
from ddpm_lite import GaussianDiffusion, UNet, load_pretrained, ddpm_steps
print(time.perf_counter() - start)
print(*sorted({name.split(".")[0] for name in sys.modules} & set(sys.argv[1:])))
"""


@pytest.mark.alone
def test_importing_costs_little_over_torch():
    heavy = ["matplotlib", "ipywidgets", "anywidget", "torchvision", "accelerate", "torchmetrics", "diffusers"]
    best = 9.0
    for _ in range(3):
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", IMPORTS, *heavy], capture_output=True, text=True, env=env, check=True
        )
        seconds, loaded = done.stdout.split("\n")[:2]
        best = min(best, float(seconds))
    assert loaded == ""
    assert best < 0.3


def test_every_public_name_is_there_and_documented():
    import ddpm_lite

    assert 20 <= len(ddpm_lite.__all__) <= 35
    for name in ddpm_lite.__all__:
        assert getattr(ddpm_lite, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ddpm_lite.nonsense
