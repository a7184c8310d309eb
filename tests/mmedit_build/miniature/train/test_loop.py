"""The training loop: an interrupted training ends exactly where an undisturbed one does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mmedit_build.miniature.train import loop
from mmedit_build.miniature.train.loop import Run, Schedule, fit, progress_bar, step_random

SCHEDULE = Schedule(steps=30, rate=0.05, average=0.9)


class InterruptedTrainingError(Exception):
    pass


def _train(work: Path, stop_at: int | None = None, schedule: Schedule = SCHEDULE) -> nn.Linear:
    torch.manual_seed(3)
    module = nn.Linear(4, 1)

    def loss(step: int) -> torch.Tensor:
        if step == stop_at:
            raise InterruptedTrainingError
        inputs = torch.tensor([[step_random("test", step).random() for _ in range(4)]])
        return ((module(inputs) - inputs.sum()) ** 2).mean() + 0.01 * torch.rand(()) * module.weight.sum()

    with progress_bar() as progress:
        fit("stage", module, loss, schedule, Run(work, torch.device("cpu"), progress))
    return module


def test_learns(tmp_path: Path) -> None:
    torch.manual_seed(3)
    untrained = nn.Linear(4, 1)
    trained = _train(tmp_path, schedule=Schedule(steps=300, rate=0.05))
    inputs = torch.eye(4)

    def wrong(module: nn.Module) -> float:
        return float((module(inputs) - 1).abs().mean().detach())

    assert wrong(trained) < 0.2 * wrong(untrained)


@pytest.mark.parametrize("stop_at", [1, 17, 29])
def test_resumed_equals_undisturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY_SECONDS", -1)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = _train(tmp_path / "whole")
    with pytest.raises(InterruptedTrainingError):
        _train(tmp_path / "parts", stop_at)
    parts = _train(tmp_path / "parts")
    assert torch.equal(whole.weight, parts.weight)
    assert torch.equal(whole.bias, parts.bias)


def test_a_finished_stage_is_not_trained_again(tmp_path: Path) -> None:
    first = _train(tmp_path)
    again = _train(tmp_path, stop_at=0)
    assert torch.equal(first.weight, again.weight)


def test_the_average_replaces_the_weights(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    averaged = _train(tmp_path / "a")
    last = _train(tmp_path / "b", schedule=Schedule(steps=30, rate=0.05))
    assert not torch.equal(averaged.weight, last.weight)


def test_rate_rises_then_falls() -> None:
    schedule = Schedule(steps=1000, rate=1.0)
    factors = [schedule.factor(step) for step in range(1000)]
    top = factors.index(max(factors))
    assert factors[0] < 0.02
    assert 50 <= top <= 150
    assert factors[-1] == pytest.approx(0.02, abs=0.001)
