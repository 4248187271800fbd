"""Measuring: the fastest of many, the work of known operations, the state of a run, and what a history says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ddpm_lite import GaussianDiffusion, TrainConfig, UNet, linear_beta_schedule, mnist
from ddpm_lite.measure import (
    Work,
    count_work,
    history_changes,
    look,
    loss_by_t,
    pretrained_history,
    seconds,
    training_speed,
)
from ddpm_lite.training import TrainStep


def test_seconds_are_those_of_the_fastest_call(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 3.0, 10.0, 12.0, 20.0, 25.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    calls: list[int] = []
    assert seconds(lambda: calls.append(1), 3) == 2.0 and len(calls) == 3


def test_seconds_need_a_call() -> None:
    with pytest.raises(ValueError, match="^repeat must be"):
        seconds(lambda: None, 0)


def test_training_speed_is_that_of_the_median_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [5.0, 6.0, 8.0, 9.0, 19.0]  # steps 3, 4, 5 took 2, 1 and 10
    steps = [TrainStep(k, 1.0, 0.1, 1.0, s, torch.nn.Identity(), torch.nn.Identity()) for k, s in enumerate(clock)]
    monkeypatch.setattr("ddpm_lite.measure.train", lambda *arguments: iter(steps))
    ticks = iter([100.0, 149.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    nothing: Any = None
    assert training_speed(nothing, nothing, nothing, TrainConfig(n_steps=5, batch_size=64)) == (32.0, 30.0)


def test_training_speed_of_a_network() -> None:
    model, diffusion = UNet(channels=8, channel_mult=(1,), patch_size=4), GaussianDiffusion(linear_beta_schedule(100))
    before = model.stem.weight.clone()
    speed, ready = training_speed(model, diffusion, mnist(full=False), TrainConfig(n_steps=4, batch_size=4))
    assert speed > 0 and ready > 0 and not torch.equal(before, model.stem.weight.cpu())
    with pytest.raises(ValueError, match="^config.n_steps must be"):
        training_speed(model, diffusion, mnist(full=False), TrainConfig(n_steps=3, batch_size=4))


def test_work_is_counted_as_by_hand() -> None:
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert count_work(lambda: a @ b) == Work(2 * 3 * 5 * 7, 1)
    convolution = torch.nn.Conv2d(2, 4, 3, padding=1)
    work = count_work(lambda: convolution(torch.ones(1, 2, 6, 6)))
    assert work.flop == 2 * 6 * 6 * 4 * 2 * 9 and work.operations >= 1
    assert count_work(lambda: None) == Work(0, 0)


@pytest.mark.parametrize(
    "operation, n",
    [
        (lambda a: a.t().unsqueeze(0).view(5, 3, 1).squeeze().detach(), 0),
        (lambda a: a.split(1) + a.unbind(1), 0),
        (lambda a: (torch.empty_like(a), a.new_empty(3)), 0),
        (lambda a: a.add_(1).mul_(2), 2),
        (lambda a: a.t().contiguous() + 1, 2),
        (lambda a: torch.mm(a, a.t(), out=torch.empty(3, 3)), 1),
    ],
)
def test_what_computes_nothing_is_no_operation(operation: Any, n: int) -> None:
    assert count_work(lambda: operation(torch.ones(3, 5)[:])).operations == n + 1  # torch.ones fills memory


def test_a_look_at_a_run_has_both_networks() -> None:
    diffusion = GaussianDiffusion(linear_beta_schedule(100))
    held_out = torch.zeros(2, 1, 28, 28), torch.tensor([5, 50]), torch.ones(2, 1, 28, 28)

    class Constant(torch.nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

        def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
            return torch.full_like(x_t, self.value)

    step = TrainStep(7, 0.5, 1e-3, 1.0, 2.0, Constant(0.0), Constant(0.5))
    seen = look(step, diffusion, torch.zeros(3, 1, 28, 28), held_out, n_steps=2)
    assert seen["step"] == 7 and [list(part) for part in (seen["loss"], seen["digits"])] == [["raw", "EMA"]] * 2
    assert seen["loss"]["raw"] == pytest.approx(1) and seen["loss"]["EMA"] == pytest.approx(0.25)  # (1 - value)^2
    assert torch.equal(seen["digits"]["raw"], torch.zeros(3, 1, 28, 28))  # no noise to take away
    assert float(seen["digits"]["EMA"].max()) < 0
    assert all(0 <= share <= 1 for share in seen["recognized"].values())


class Power(torch.nn.Module):
    """Keeps the times that it was asked for; with eps = 0 its loss is the mean of t^2."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tensor] = []

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.asked.append(t)
        return t.view(-1, 1, 1, 1).expand(x_t.shape).float()


def test_the_shares_of_the_loss_are_those_of_equal_parts_of_t() -> None:
    diffusion, model, zero = GaussianDiffusion(linear_beta_schedule(100)), Power(), torch.zeros(25, 1, 2, 2)
    shares = loss_by_t(model, diffusion, zero, zero, n_parts=4)
    assert [t.tolist() for t in model.asked] == [list(range(25 * i + 1, 25 * i + 26)) for i in range(4)]
    whole = sum(t**2 for t in range(1, 101))
    assert shares == pytest.approx([sum(t**2 for t in range(25 * i + 1, 25 * i + 26)) / whole for i in range(4)])
    few = Power()
    loss_by_t(few, diffusion, zero[:2], zero[:2], n_parts=1)
    assert few.asked[0].tolist() == [1, 51]
    with pytest.raises(ValueError, match="^n_parts must divide T = 100, got 3"):
        loss_by_t(model, diffusion, zero, zero, n_parts=3)


def history() -> dict[str, Any]:
    images = [1000 * k for k in range(1, 13)]
    loss = {"images": images, "loss": [1.0, 0.6, 0.55, 0.5, 0.5, 0.5, 0.48, 0.48, 0.48, 0.4, 0.46, 0.44]}
    quality = {"images": [3000, 5000, 12000], "recognized": [0.2, 0.5, 0.9], "frechet_distance": [90.0, 60.0, 15.0]}
    return {"loss": loss, "quality": quality}


def test_changes_are_those_of_the_late_part() -> None:
    changes = history_changes(history())
    assert (changes.pop("from"), changes.pop("to")) == (5000, 12000)  # the first from 4,000 on
    assert changes["loss"] == pytest.approx(0.45 / 0.5 - 1)  # 11,000 and 12,000 are near 12,000
    assert changes["not recognized"] == pytest.approx(-0.8) and changes["Frechet distance"] == pytest.approx(-0.75)
    assert history_changes(history(), 0.1)["from"] == 3000


def test_a_history_without_a_loss_near_its_end_is_named() -> None:
    given = history()
    given["loss"] = {"images": [5000], "loss": [0.5]}
    with pytest.raises(ValueError, match="no loss within 10 % of 12000 images"):
        history_changes(given)


def test_an_unknown_model_has_no_history() -> None:
    with pytest.raises(ValueError, match="^name must be"):
        pretrained_history("cats")
