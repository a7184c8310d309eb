"""The bundled checkpoints do what the report says of them, here measured on fewer examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmedit_build.checkpoints import WEIGHTS
from mmedit_build.miniature.measure import chat, clip, diffusion, hops
from mmedit_build.miniature.measure import mllm as base_model
from mmedit_build.miniature.measure.base import Measure, share

RECORDED = {
    (row["subject"], row["name"]): row
    for row in json.loads((Path(__file__).parents[4] / "docs" / "miniature.json").read_text("utf-8"))
}
MISSED = {("chat", "judge: questions that differ are refused")}
"""Bars that are known to be missed, and by how much: see docs/miniature.md."""
TOLERANCE = 0.2
"""How far a share of some forty examples may lie from that of hundreds."""


def _near_the_recorded(measures: list[Measure]) -> None:
    assert measures
    for row in measures:
        recorded = RECORDED[row.subject, row.name]["value"]
        assert recorded > 1 or abs(row.value - recorded) <= TOLERANCE, row


def test_every_bar_holds_but_the_known_ones() -> None:
    assert {key for key, row in RECORDED.items() if not row["holds"]} == MISSED


@pytest.mark.parametrize("name", ["mllm", "qwen"])
def test_a_base_model(name: str) -> None:
    measures = base_model.measure_mllm(name, WEIGHTS, "cpu", val_images=60)
    assert {row.name for row in measures} >= {"VQA accuracy", "OK-VQA accuracy", "closed-book facts"}
    _near_the_recorded([row for row in measures if row.examples >= 30])


def test_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "QUESTIONS", 100)
    monkeypatch.setattr(chat, "SAMPLED_QUESTIONS", 20)
    monkeypatch.setattr(chat, "PAIRS", 100)
    _near_the_recorded(chat.measure_chat(WEIGHTS, "cpu"))


def test_hops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hops, "QUESTIONS", 60)
    _near_the_recorded(hops.measure_hops(WEIGHTS, "cpu"))


def test_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip, "PICTURES", 100)
    _near_the_recorded(clip.measure_clip(WEIGHTS, "cpu"))


def test_diffusion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffusion, "CAPTIONS", 40)
    monkeypatch.setattr(diffusion, "SEED_PAIRS", 5)
    _near_the_recorded(diffusion.measure_diffusion(WEIGHTS, "cpu"))


def test_the_weights_are_small() -> None:
    size = sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file())
    assert size < 24 * 1000**2


def test_a_measure_holds_within_its_bounds() -> None:
    assert share("x", "y", [1, 1, 0, 1], least=0.75, most=0.75).holds
    assert not share("x", "y", [1, 0], least=0.6).holds
    assert not share("x", "y", [1, 1], most=0.9).holds
    assert share("x", "y", [0]).holds
