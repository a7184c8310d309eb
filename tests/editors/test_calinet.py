"""CaliNET, on the tiny random BLIP-2."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from editors.base import Edit
from editors.calinet import CaliNET, CaliNETConfig, new_slots
from editors.losses import target_nll
from editors.neurons.patches import AddedNeurons
from editors.neurons.rewordings import FORMS, reworded
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot


def plan(mllm: MLLM, edits: list[Edit], **options: Any) -> AddedNeurons:
    return CaliNET(CaliNETConfig(**options)).plan(mllm, edits)


def loss(mllm: MLLM, queries: list[Query]) -> float:
    return target_nll(mllm.score(queries)).mean().item()


def test_slots_learn_a_batch_of_facts_and_the_model_stays(mllm: MLLM, edits: list[Edit]) -> None:
    before = Snapshot(mllm)
    patch = plan(mllm, edits, steps=120)
    before.assert_unchanged(mllm)
    assert patch.changed == 2 * 64 * 32
    assert patch.neurons.biases is None
    assert not patch.neurons.keys.requires_grad
    assert not patch.neurons.values.requires_grad
    assert patch.first_layer(mllm) == 5
    with patch.applied(mllm) as model:
        for one in model.score([edit.query for edit in edits]):
            assert torch.equal(one.argmax, one.target_ids)
    before.assert_unchanged(mllm)


def test_they_start_as_linear_modules_do(mllm: MLLM) -> None:
    config = CaliNETConfig(slots=200)
    slots = new_slots(mllm, 5, config)
    for tensor, inputs in ((slots.keys, 32), (slots.values, 200)):
        assert tensor.shape == (200, 32)
        # The deviation of a uniform distribution up to 1 / sqrt(inputs).
        assert tensor.std().item() == pytest.approx(1 / math.sqrt(3 * inputs), rel=0.03)
        assert tensor.abs().max().item() <= 1 / math.sqrt(inputs)
        assert tensor.abs().max().item() > 0.99 / math.sqrt(inputs)
    assert torch.equal(slots.keys, new_slots(mllm, 5, config).keys)
    assert not torch.equal(slots.keys, new_slots(mllm, 5, CaliNETConfig(slots=200, seed=1)).keys)


def test_they_act_from_the_start_and_grow_better(mllm: MLLM, edits: list[Edit]) -> None:
    queries = [edit.query for edit in edits]
    losses = [loss(mllm, queries)]
    options: dict[str, Any] = {"stop_below": None, "forms": ("{prompt}",)}
    with AddedNeurons(5, new_slots(mllm, 5, CaliNETConfig())).applied(mllm):
        losses.append(loss(mllm, queries))
    for steps in (1, 10, 40):
        with plan(mllm, edits, steps=steps, **options).applied(mllm):
            losses.append(loss(mllm, queries))
    assert losses[0] != losses[1]
    assert losses[1:] == sorted(losses[1:], reverse=True)


def test_they_learn_all_forms_of_the_prompt(mllm: MLLM, edits: list[Edit]) -> None:
    queries = [query for edit in edits for query in reworded(mllm, edit, FORMS, edit.target)]
    assert len(queries) > len(edits)
    mean = {}
    for forms in (FORMS, ("{prompt}",)):
        with plan(mllm, edits, forms=forms, steps=60).applied(mllm):
            mean[forms] = loss(mllm, queries)
    assert mean[FORMS] < 0.8 * mean["{prompt}",]


def test_it_stops_when_the_loss_is_low(mllm: MLLM, edits: list[Edit]) -> None:
    known = loss(mllm, [edit.query for edit in edits])
    untrained = new_slots(mllm, 5, CaliNETConfig())
    patch = plan(mllm, edits, stop_below=known + 10, forms=("{prompt}",))
    assert torch.equal(patch.neurons.keys, untrained.keys)
    with plan(mllm, edits, stop_below=2.5, forms=("{prompt}",), steps=200).applied(mllm):
        assert 2.2 < loss(mllm, [edit.query for edit in edits]) < 2.5
    with plan(mllm, edits, stop_below=None, forms=("{prompt}",), steps=200).applied(mllm):
        assert loss(mllm, [edit.query for edit in edits]) < 2.2


def test_many_facts_are_learned_in_parts(mllm: MLLM, edits: list[Edit], monkeypatch: Any) -> None:
    whole = plan(mllm, edits, steps=5)
    monkeypatch.setattr("editors.descent.CHUNK", 2)
    parts = plan(mllm, edits, steps=5)
    torch.testing.assert_close(whole.neurons.keys, parts.neurons.keys, rtol=0, atol=1e-4)
    torch.testing.assert_close(whole.neurons.values, parts.neurons.values, rtol=0, atol=1e-4)


def test_slots_stand_beside_any_layer(mllm: MLLM, edits: list[Edit]) -> None:
    patch = plan(mllm, edits, layer=2, slots=16, steps=40)
    assert patch.first_layer(mllm) == 2
    assert patch.changed == 2 * 16 * 32
    before = loss(mllm, [edit.query for edit in edits])
    with patch.applied(mllm):
        assert loss(mllm, [edit.query for edit in edits]) < before / 2


def test_slots_of_a_model_in_half_precision_are_learned_in_single(folder: str, edits: list[Edit]) -> None:
    mllm = MLLM.load(folder, device="cpu", dtype="bfloat16")
    before = loss(mllm, [edit.query for edit in edits])
    patch = plan(mllm, edits, steps=30)
    assert patch.neurons.keys.dtype == torch.float32
    with patch.applied(mllm):
        assert loss(mllm, [edit.query for edit in edits]) < before / 2
