"""T-Patcher, on the tiny random BLIP-2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from editors.base import Edit, Model, TrainEdit
from editors.fitting import ensure_fitted
from editors.neurons.patches import AddedNeurons
from editors.tpatcher import TPatcher, TPatcherConfig
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot

OPTIONS: dict[str, Any] = {"steps": 60, "memory": 64}
EAGER: dict[str, Any] = {"steps": 300, "memory_weight": 0.1}
"""As many steps as a random model takes to say what it should."""


@pytest.fixture
def train(probes: list[Query]) -> list[TrainEdit]:
    """What is remembered is none of the edits."""
    told = [query for query in probes[3:] if query.prompt]
    return [TrainEdit(Edit(f"train {i}", one.image, one.prompt, "cat")) for i, one in enumerate(told)]


def fitted(mllm: MLLM, train: Sequence[TrainEdit], folder: Path, **options: Any) -> TPatcher:
    editor = TPatcher(TPatcherConfig(**OPTIONS | options))
    editor.fit(mllm, train, train[:2], work=folder, advance=lambda _: None)
    return editor


def right(model: Model, edit: Edit) -> bool:
    (scored,) = model.score([edit.query])
    return torch.equal(scored.argmax, scored.target_ids)


def test_mistakes_are_put_right_one_neuron_each(
    mllm: MLLM, edits: list[Edit], train: list[TrainEdit], tmp_path: Path
) -> None:
    editor, before = fitted(mllm, train, tmp_path, **EAGER), Snapshot(mllm)
    for edit in edits:
        (plain,) = mllm.score([edit.query])
        wrong = int((plain.argmax != plain.target_ids).sum())
        patch = editor.plan(mllm, [edit])
        before.assert_unchanged(mllm)
        assert len(patch.neurons) == min(5, wrong) > 0
        assert patch.changed == len(patch.neurons) * 65
        assert patch.first_layer(mllm) == 5
        with patch.applied(mllm) as model:
            assert right(model, edit)
    before.assert_unchanged(mllm)


def test_what_is_known_needs_no_neuron(
    mllm: MLLM, edits: list[Edit], train: list[TrainEdit], tmp_path: Path
) -> None:
    editor = fitted(mllm, train, tmp_path, **EAGER)
    first = editor.plan(mllm, edits[:1])
    with first.applied(mllm):
        again = editor.plan(mllm, edits[:1])
    assert len(again.neurons) == again.changed == 0
    plain = mllm.score([edits[0].query], positions="all")[0].logits
    with again.applied(mllm) as model:
        assert torch.equal(model.score([edits[0].query], positions="all")[0].logits, plain)
    twice = editor.plan(mllm, [edits[0], replace(edits[0], id="again")])
    assert torch.equal(twice.neurons.keys, first.neurons.keys)


def test_a_sequence_grows_by_its_edits(
    mllm: MLLM, edits: list[Edit], train: list[TrainEdit], tmp_path: Path
) -> None:
    editor = fitted(mllm, train, tmp_path, **EAGER)
    grown = [editor.plan(mllm, edits[:number]).neurons for number in (1, 2, 3)]
    assert len(grown[0]) < len(grown[1]) < len(grown[2])
    for fewer, more in pairwise(grown):
        # What was there for earlier edits is not touched by later ones.
        assert torch.equal(more.keys[: len(fewer)], fewer.keys)
        assert torch.equal(more.values[: len(fewer)], fewer.values)
    with AddedNeurons(5, grown[2]).applied(mllm) as model:
        assert all(right(model, edit) for edit in edits)


def test_one_edit_after_the_other_is_the_sequence(
    mllm: MLLM, edits: list[Edit], train: list[TrainEdit], tmp_path: Path
) -> None:
    editor = fitted(mllm, train, tmp_path, remember=False)
    together = editor.plan(mllm, edits[:2]).neurons
    first = editor.plan(mllm, edits[:1])
    with first.applied(mllm):
        second = editor.plan(mllm, edits[1:2])
    assert torch.equal(torch.cat([first.neurons.keys, second.neurons.keys]), together.keys)
    assert torch.equal(torch.cat([first.neurons.values, second.neurons.values]), together.values)
    # Restored, the model gives the second edit as a fresh one does.
    alone = editor.plan(mllm, edits[1:2]).neurons
    fresh = MLLM.load(mllm.name, device="cpu")
    assert torch.equal(alone.keys, editor.plan(fresh, edits[1:2]).neurons.keys)


def test_an_edit_is_remembered_by_those_after_it(
    mllm: MLLM, edits: list[Edit], train: list[TrainEdit], tmp_path: Path
) -> None:
    excited = {}
    for remember in (True, False):
        editor = fitted(mllm, train, tmp_path, remember=remember, top_memory=20)
        neurons = editor.plan(mllm, edits[:2]).neurons
        number = len(editor.plan(mllm, edits[:1]).neurons)
        at_first = neurons.before_activation(mlp_inputs(mllm, edits[0]))
        excited[remember] = at_first[:, number:].max().item()
    assert excited[True] < excited[False]


def mlp_inputs(mllm: MLLM, edit: Edit) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    handle = mllm.mlp(-1).up.module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    mllm.score([edit.query])
    handle.remove()
    return seen[0]


def test_what_it_remembers_is_kept(
    mllm: MLLM, edits: list[Edit], train: list[TrainEdit], tmp_path: Path
) -> None:
    editor = fitted(mllm, train, tmp_path)
    state = editor.fitted()
    assert state.tensors["train"].shape[0] > state.tensors["validation"].shape[0] > 0
    again = TPatcher(editor.config)
    with pytest.raises(ValueError, match="fit"):
        again.plan(mllm, edits[:1])
    again.restore(mllm, state)
    expected, found = (one.plan(mllm, edits[:1]).neurons for one in (editor, again))
    assert torch.equal(expected.keys, found.keys)
    other = fitted(mllm, train, tmp_path, seed=1)
    assert not torch.equal(other.plan(mllm, edits[:1]).neurons.values, found.values)


def test_taken_up_from_a_file_it_plans_the_same_to_the_last_bit(
    miniature: MLLM, world: list[TrainEdit], tmp_path: Path
) -> None:
    # On matrices of this size sums depend on where in memory they lie, and steps of Adam amplify it.
    planned = []
    for _ in ("learned", "read"):
        editor = TPatcher(TPatcherConfig(memory=400, steps=20))
        data = (world[:10], world[10:12])
        ensure_fitted("t-patcher", editor, miniature, data, cache=tmp_path, advance=lambda _: None)
        planned.append(editor.plan(miniature, [world[12].edit]).neurons)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    assert torch.equal(planned[0].keys, planned[1].keys)
    assert torch.equal(planned[0].values, planned[1].values)


def test_it_is_not_fitted_on_nothing(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> None:
    told: list[int] = []
    editor = TPatcher(TPatcherConfig(**OPTIONS))
    with pytest.raises(UserError, match="0 to validate on"):
        editor.fit(mllm, train, [], work=tmp_path, advance=told.append)
    editor.fit(mllm, train, train, work=tmp_path, advance=told.append)
    assert sum(told) == editor.steps(train)


def test_in_any_layer_and_in_half_precision(
    folder: str, edits: list[Edit], train: list[TrainEdit], tmp_path: Path
) -> None:
    for layer, dtype in ((2, "float32"), (-1, "bfloat16")):
        mllm = MLLM.load(folder, device="cpu", dtype=dtype)
        (before,) = mllm.score([edits[0].query])
        patch = fitted(mllm, train, tmp_path, layer=layer, memory_weight=0.0).plan(mllm, edits[:1])
        assert patch.layer == layer % 6
        assert patch.neurons.keys.dtype == torch.float32
        with patch.applied(mllm) as model:
            (after,) = model.score([edits[0].query])
        assert after.log_prob > before.log_prob + 1
