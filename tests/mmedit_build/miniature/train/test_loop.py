"""The training loop: an interrupted training ends exactly where an undisturbed one does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from mmedit_build.errors import UserError
from mmedit_build.miniature.train import loop
from mmedit_build.miniature.train.loop import Run, Stage, fit, progress_bar

STAGE = Stage("stage", steps=30, rate=0.05, batch=1, average=0.9)


class InterruptedTrainingError(Exception):
    pass


def _train(work: Path, stop_at: int | None = None, stage: Stage = STAGE) -> nn.Linear:
    torch.manual_seed(3)
    module = nn.Linear(4, 1)

    def loss(step: int) -> torch.Tensor:
        if step == stop_at:
            raise InterruptedTrainingError
        generator = stage.random(step)
        inputs = torch.tensor([[generator.random() for _ in range(4)]])
        wrong: torch.Tensor = ((module(inputs) - inputs.sum()) ** 2).mean() + 0.01 * torch.rand(
            ()
        ) * module.weight.sum()
        return wrong

    with progress_bar() as progress:
        fit(stage, module, loss, Run(work, torch.device("cpu"), progress))
    return module


def test_learns(tmp_path: Path) -> None:
    torch.manual_seed(3)
    untrained = nn.Linear(4, 1)
    trained = _train(tmp_path, stage=replace(STAGE, steps=300, average=0.0))
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
    last = _train(tmp_path / "b", stage=replace(STAGE, average=0.0))
    assert not torch.equal(averaged.weight, last.weight)


def test_rate_rises_then_falls() -> None:
    stage = replace(STAGE, steps=1000)
    factors = [stage.factor(step) for step in range(1000)]
    top = factors.index(max(factors))
    assert factors[0] < 0.02
    assert 50 <= top <= 150
    assert factors[-1] == pytest.approx(0.02, abs=0.001)


def test_a_changed_stage_is_not_mixed_with_the_old_one(tmp_path: Path) -> None:
    _train(tmp_path)
    with pytest.raises(UserError, match=r"stage\.pt was trained as"):
        _train(tmp_path, stage=replace(STAGE, rate=0.1))


def test_batches_depend_on_stage_and_step_alone() -> None:
    again = replace(STAGE, rate=1.0, batch=8)
    first = replace(STAGE, batch=8).rows(3, 100)
    assert (again.rows(3, 100) == first).all()
    assert (again.rows(4, 100) != first).any()
    assert first.min() >= 0
    assert first.max() < 100
