"""The bundled checkpoints meet their bars, on fewer examples than the report uses and with some slack."""

from __future__ import annotations

import pytest

from mmedit_build.checkpoints import WEIGHTS
from mmedit_build.miniature.measure import chat, clip, diffusion
from mmedit_build.miniature.measure import mllm as base_model
from mmedit_build.miniature.measure.base import Measure, share

SLACK = 0.1


def _within(measures: list[Measure]) -> None:
    for row in measures:
        if row.value <= 1:
            assert row.least is None or row.value >= row.least - SLACK, row
            assert row.most is None or row.value <= row.most + SLACK, row


def test_mllm() -> None:
    measures = base_model.measure_mllm(WEIGHTS, "cpu", val_images=120)
    assert {row.name for row in measures} >= {"VQA accuracy", "OK-VQA accuracy", "closed-book facts"}
    _within([row for row in measures if row.examples >= 50])


def test_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "QUESTIONS", 100)
    monkeypatch.setattr(chat, "SAMPLED_QUESTIONS", 20)
    _within(chat.measure_chat(WEIGHTS, "cpu"))


def test_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip, "PICTURES", 100)
    _within(clip.measure_clip(WEIGHTS, "cpu"))


def test_diffusion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffusion, "CAPTIONS", 40)
    monkeypatch.setattr(diffusion, "SEED_PAIRS", 5)
    _within(diffusion.measure_diffusion(WEIGHTS, "cpu"))


def test_the_weights_are_small() -> None:
    size = sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file())
    assert size < 16 * 1000**2


def test_a_measure_holds_within_its_bounds() -> None:
    assert share("x", "y", [1, 1, 0, 1], least=0.75, most=0.75).holds
    assert not share("x", "y", [1, 0], least=0.6).holds
    assert not share("x", "y", [1, 1], most=0.9).holds
    assert share("x", "y", [0]).holds
