"""Training: it learns, it repeats itself to the bit, it survives being killed, two processes equal one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddpm_lite import CheckpointError, GaussianDiffusion, TrainConfig, UNet, linear_beta_schedule, mnist, train
from ddpm_lite.checkpoints import read_tensors, write_tensors
from ddpm_lite.training import ema_update

SMALL = {"channels": 8, "channel_mult": (1,), "patch_size": 4}
CONFIG = TrainConfig(n_steps=12, batch_size=16, warmup_steps=3, save_every=4, seed=5)


@pytest.fixture(scope="module")
def digits():
    return mnist("train", full=False)


to_the_bit = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU adds up in another order each time")


def make(seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return UNet(**{**SMALL, **options}), GaussianDiffusion(linear_beta_schedule(100))


def run(digits, config=CONFIG, state=None, stop=None, **options):
    model, diffusion = make(**options)
    losses = []
    for step in train(model, diffusion, digits, config, state=state):
        losses.append(step.loss)
        if step.step == stop:
            break
    return losses, step.model.state_dict(), step.ema.state_dict()


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


def test_the_loss_falls(digits):
    losses, *_ = run(digits, TrainConfig(n_steps=150, batch_size=64, warmup_steps=10), channels=16, patch_size=2)
    assert losses[0] == pytest.approx(1, abs=0.1)  # a new U-Net answers 0
    assert sum(losses[-20:]) / 20 < 0.5


@to_the_bit
def test_one_seed_one_run_to_the_bit(digits):
    a, b, other = run(digits), run(digits), run(digits, TrainConfig(**{**vars(CONFIG), "seed": 6}))
    assert a[0] == b[0] and a[0] != other[0]
    assert_same(a[1], b[1])
    assert_same(a[2], b[2])


def test_training_leaves_the_global_random_state_alone(digits):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    run(digits, dropout=0.5)
    assert torch.equal(torch.get_rng_state(), before)


@to_the_bit
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_stopped_run_goes_on_to_the_same_weights(digits, tmp_path, dropout):
    whole = run(digits, dropout=dropout)
    state = tmp_path / "state.safetensors"
    first = run(digits, state=state, stop=6, dropout=dropout)  # saved at 4: steps 5 and 6 are made again
    second = run(digits, state=state, dropout=dropout, seed=9)  # other initial weights: the state overrules them
    assert first[0][:4] + second[0] == whole[0]
    assert_same(second[1], whole[1])
    assert_same(second[2], whole[2])


KILLED = """
    import sys
    import torch
    from ddpm_lite import *
    from ddpm_lite.checkpoints import write_tensors
    torch.manual_seed(0)
    model, diffusion = UNet(channels=8, channel_mult=(1,), patch_size=4), GaussianDiffusion(linear_beta_schedule(100))
    config = TrainConfig(n_steps=60, batch_size=16, warmup_steps=3, save_every=1, seed=5)
    for step in train(model, diffusion, mnist("train", full=False), config, state=sys.argv[1]):
        print(step.step, flush=True)
"""


@to_the_bit
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(KILLED))
    states = [tmp_path / "killed.safetensors", tmp_path / "whole.safetensors"]
    command = [sys.executable, str(script)]
    process = subprocess.Popen([*command, str(states[0])], stdout=subprocess.PIPE, text=True)
    while int(process.stdout.readline()) < 20:
        pass
    time.sleep(0.02)  # anywhere within a step, or within a save
    process.kill()
    process.wait()
    process.stdout.close()
    done = read_tensors(states[0])[1]["step"]
    assert 19 <= done < 60
    for state in states:
        subprocess.run([*command, str(state)], check=True, stdout=subprocess.DEVNULL)
    killed, whole = (read_tensors(state) for state in states)
    assert_same(killed[0], whole[0])
    assert killed[1]["step"] == whole[1]["step"] == 60


@to_the_bit
def test_a_finished_run_can_be_prolonged(digits, tmp_path):
    """With decay_steps named, the part before the decay does not know how long the run will be."""
    state, options = tmp_path / "state.safetensors", {**vars(CONFIG), "decay_steps": 4}
    whole = run(digits, TrainConfig(**{**options, "n_steps": 12}))
    run(digits, TrainConfig(**{**options, "n_steps": 1000}), state=state, stop=8)
    longer = run(digits, TrainConfig(**{**options, "n_steps": 12}), state=state)
    assert_same(longer[1], whole[1])


def test_bf16_trains(digits):
    losses, weights, _ = run(digits, TrainConfig(**{**vars(CONFIG), "precision": "bf16", "n_steps": 40}))
    plain, *_ = run(digits, TrainConfig(**{**vars(CONFIG), "n_steps": 40}))
    assert all(w.dtype == torch.float32 for w in weights.values())
    assert losses[-1] == pytest.approx(plain[-1], abs=0.05) and losses != plain


TWO = """
    import sys
    import torch
    from ddpm_lite import *
    torch.manual_seed(0)
    model, diffusion = UNet(channels=8, channel_mult=(1,), patch_size=4), GaussianDiffusion(linear_beta_schedule(100))
    config = TrainConfig(n_steps=10, batch_size=16, warmup_steps=3, seed=5)
    for step in train(model, diffusion, mnist("train", full=False), config, state=sys.argv[1]):
        pass
"""


def test_two_processes_equal_one_at_the_same_global_batch(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(textwrap.dedent(TWO))
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    env = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    subprocess.run([sys.executable, str(script), str(one)], check=True, env=env)
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    ports = ["--main_process_port", "0", "--mixed_precision", "no", "--dynamo_backend", "no"]
    result = subprocess.run([*launch, *ports, str(script), str(two)], env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    a, b = (read_tensors(path)[0] for path in (one, two))
    for key in a:  # sums in another order: equal to float32 rounding, amplified by Adam's division
        torch.testing.assert_close(a[key], b[key], rtol=1e-3, atol=2e-5, msg=key)


@to_the_bit
def test_compile_that_fails_is_a_warning_and_training_goes_on(digits, monkeypatch):
    def broken(model):
        def call(*_):
            raise RuntimeError("no compiler found")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.warns(UserWarning, match="no compiler found"):
        compiled = run(digits, TrainConfig(**{**vars(CONFIG), "compile": True}))
    assert_same(compiled[1], run(digits)[1])


def test_the_moving_average():
    update = ema_update(0.9)
    average, weights = [torch.zeros(2)], [torch.ones(2)]
    update(average, weights, torch.tensor(0))
    torch.testing.assert_close(average[0], torch.full((2,), 0.9))  # (1 + 0) / (10 + 0) kept
    update(average, weights, torch.tensor(1000))
    torch.testing.assert_close(average[0], torch.full((2,), 0.91))  # 0.9 kept


def test_the_learning_rate():
    config = TrainConfig(n_steps=100, lr=1e-3, warmup_steps=10, decay_steps=20)
    rates = [config.lr_at(step) for step in range(1, 101)]
    assert rates[0] == pytest.approx(1e-4) and rates[9:80] == pytest.approx([1e-3] * 71)
    assert rates[90] == pytest.approx(0.5e-3, rel=1e-6) and 0 < rates[-1] < 1e-5
    assert TrainConfig(n_steps=100, lr=1e-3, warmup_steps=10).lr_at(56) == pytest.approx(0.5e-3, rel=1e-6)


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched(digits, tmp_path):
    model, diffusion = make()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        model.head.bias.fill_(torch.inf)
    before["head.bias"] = model.head.bias.detach().clone()
    with pytest.raises((FloatingPointError, ValueError)):
        next(train(model, diffusion, digits, CONFIG, state=tmp_path / "state.safetensors"))
    assert_same({k: v.cpu() for k, v in model.state_dict().items()}, before)
    assert not list(tmp_path.iterdir())


@given(
    name=st.sampled_from(
        ["n_steps", "batch_size", "save_every", "warmup_steps", "seed", "lr", "ema_decay", "grad_clip"]
    ),
    value=st.sampled_from([-1, 1.5, float("nan"), "many", None, True, 10**12]),
)
def test_a_bad_recipe_is_named(name, value):
    try:
        TrainConfig(**{name: value})
    except (TypeError, ValueError) as error:
        assert str(error).startswith(name)
    else:
        assert isinstance(value, (int, float)) and value == value and value > 0


def test_other_bad_input_is_named(digits, tmp_path):
    model, diffusion = make()
    with pytest.raises(ValueError, match="^precision must be one of"):
        TrainConfig(precision="fp8")
    with pytest.raises(ValueError, match="^data must hold at least one batch of 16, got 3"):
        train(model, diffusion, digits.subset([0, 1, 2]), CONFIG)
    state = tmp_path / "state.safetensors"
    run(digits, state=state)
    with pytest.raises(CheckpointError, match="lr=0.002 there, 0.001 here"):
        run(digits, TrainConfig(**{**vars(CONFIG), "lr": 1e-3}), state=state)
    with pytest.raises(CheckpointError, match=r"network\.channels=8 there, 16 here"):
        run(digits, state=state, channels=16)
    with pytest.raises(CheckpointError, match=r"network\.dropout=0\.0 there, 0\.5 here"):
        run(digits, state=state, dropout=0.5)
    beta = diffusion.schedule.clone()
    beta[0], beta[1] = beta[1], beta[0]  # the same T and SNR_T
    with pytest.raises(CheckpointError, match="beta_sha256="):
        next(train(model, GaussianDiffusion(beta), digits, CONFIG, state=state))
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged"):
        run(digits, state=state)


def test_a_finished_run_yields_nothing(digits, tmp_path):
    state = tmp_path / "state.safetensors"
    run(digits, state=state)
    model, diffusion = make(seed=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(train(model, diffusion, digits, CONFIG, state=state)) == []


def test_a_state_from_before_network_and_betas_were_noted_goes_on(digits, tmp_path):
    state = tmp_path / "state.safetensors"
    whole = run(digits)
    run(digits, state=state, stop=8)
    tensors, card = read_tensors(state)
    card["recipe"] = {k: v for k, v in card["recipe"].items() if k != "beta_sha256" and not k.startswith("network.")}
    write_tensors(state, tensors, card)
    assert run(digits, state=state)[0] == pytest.approx(whole[0][8:], rel=1e-3)
    write_tensors(state, tensors, card)
    with pytest.raises(CheckpointError, match="of another network"):
        run(digits, state=state, channels=16)


def test_a_recipe_holds_plain_numbers():
    config = TrainConfig(n_steps=np.int64(9), lr=np.float32(0.5), seed=np.int64(3), warmup_steps=torch.tensor(2))
    values = {name: getattr(config, name) for name in ("n_steps", "lr", "seed", "warmup_steps")}
    assert values == {"n_steps": 9, "lr": 0.5, "seed": 3, "warmup_steps": 2}
    assert [type(value) for value in values.values()] == [int, float, int, int]
    for name in ("n_steps", "lr", "ema_decay"):
        with pytest.raises(TypeError, match=f"^{name} must be an? .*, got str"):
            TrainConfig(**{name: "0.5"})
    with pytest.raises(TypeError, match="^compile must be True or False, got str"):
        TrainConfig(compile="no")
