"""The command line: what it writes, that it goes on where it stopped, one-line errors; what importing costs."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from ddpm_lite.__main__ import main, parser
from ddpm_lite.checkpoints import read_card

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
