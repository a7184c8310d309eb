"""DualEdit on the tiny random BLIP-2; what it shares with VisEdit is tested there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from editors.adaptors.patch import AdaptorPatch
from editors.base import Edit, TrainEdit
from editors.dualedit import DualEdit, DualEditConfig
from editors.learning.parting import parting
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.editors.contract import answers, assert_equal
from tests.editors.test_visedit import moved as positions_moved

OPTIONS: dict[str, Any] = {"steps": 2, "batch_size": 2, "middle": 16, "text_layer": 1, "image_layer": 3}


def fitted(mllm: MLLM, train: Sequence[TrainEdit], folder: Path, **options: Any) -> DualEdit:
    found = DualEdit(DualEditConfig(**OPTIONS | options))
    found.fit(mllm, train[:2], train[2:], work=folder, advance=lambda _: None)
    return found


def moved(mllm: MLLM, patch: AdaptorPatch, query: Query, number: int) -> list[int]:
    """The positions of a query that the adaptor of that number moves."""
    alone = AdaptorPatch(patch.placed[number : number + 1], _told(patch, number), patch.threshold)
    return positions_moved(mllm, alone, query)


def _told(patch: AdaptorPatch, number: int) -> Any:
    return tuple(replace(edit, states=edit.states[number : number + 1]) for edit in patch.edits)


def test_each_adaptor_moves_its_own_positions(
    mllm: MLLM, train: list[TrainEdit], edits: list[Edit], tmp_path: Path
) -> None:
    patch = fitted(mllm, train, tmp_path, threshold=-1.0).plan(mllm, edits[:1])
    query, text = edits[1].query, Query(None, "who wrote the book?", "the cat")
    (row, words) = mllm.rows([query, text])
    # Words behind the image, but for the last one: it decides, and predicts the answer.
    assert moved(mllm, patch, query, 0) == list(range(row.image[-1] + 1, row.prompt_length - 1))
    assert moved(mllm, patch, query, 1) == list(row.image)
    assert moved(mllm, patch, text, 0) == list(range(1, words.prompt_length - 1))
    assert moved(mllm, patch, text, 1) == []
    assert patch.first_layer(mllm) == 1


def test_below_the_threshold_answers_stay_bit_for_bit(
    mllm: MLLM, train: list[TrainEdit], edits: list[Edit], mixture: list[Query], tmp_path: Path
) -> None:
    editor, before = fitted(mllm, train, tmp_path, threshold=1.0), answers(mllm, mixture)
    # Of equal prompts on one image the ends are equal, whatever the targets.
    asked = [edits[0].query, replace(edits[0].query, target="two small trees")]
    patch = editor.plan(mllm, edits[:1])
    patch = AdaptorPatch(patch.placed, patch.edits, 1 - 1e-5)
    own = answers(mllm, asked)
    with patch.applied(mllm) as model:
        after, there = answers(model, mixture[1:]), answers(model, asked)
    assert_equal(before[1:], after)
    assert not any(torch.equal(one, other) for one, other in zip(own, there, strict=True))


def test_the_decision_is_made_at_the_end_of_the_prompt_of_the_lower_layer(
    mllm: MLLM, train: list[TrainEdit], edits: list[Edit], tmp_path: Path
) -> None:
    query = edits[1].query
    states, told = (mllm.below([one], 2) for one in (query, edits[0].query))
    ends = [below.hidden[0][below.rows[0].prompt_length - 1] for below in (states, told)]
    alike = float(F.cosine_similarity(ends[0], ends[1], dim=0))
    before = answers(mllm, [query])
    editor = fitted(mllm, train, tmp_path, threshold=-1.0)
    plain = editor.plan(mllm, edits[:1])
    for threshold, stays in ((alike + 1e-4, True), (alike - 1e-4, False)):
        with AdaptorPatch(plain.placed, plain.edits, threshold).applied(mllm) as model:
            (after,) = answers(model, [query])
        assert torch.equal(before[0], after) is stays


def test_adaptors_that_give_nothing_change_nothing(
    mllm: MLLM, train: list[TrainEdit], edits: list[Edit], mixture: list[Query], tmp_path: Path
) -> None:
    patch = fitted(mllm, train, tmp_path, threshold=-1.0).plan(mllm, edits)
    for one in patch.placed:
        one.adaptor.leave.weight.zero_()
        one.adaptor.leave.bias.zero_()
    before = answers(mllm, mixture)
    with patch.applied(mllm) as model:
        assert_equal(before, answers(model, mixture))


def test_the_threshold_is_tuned_unless_one_is_given(
    mllm: MLLM, train: list[TrainEdit], tmp_path: Path
) -> None:
    tuned, given = (
        fitted(mllm, train, tmp_path / str(threshold), threshold=threshold) for threshold in (None, 0.3)
    )
    assert given._threshold == 0.3
    assert tuned._threshold is not None
    again = DualEdit(tuned.config)
    again.restore(mllm, tuned.fitted())
    assert again._threshold == tuned._threshold


def test_what_parts_two_sides() -> None:
    inside, outside = torch.tensor([0.9, 0.8, 0.3]), torch.tensor([0.5, 0.1, 0.2, 0.0])
    # Two of three and all of four; lower, all of three and three of four.
    assert parting(inside, outside) == pytest.approx(0.25)
    assert parting(inside, torch.tensor([0.5, 0.4])) == pytest.approx(0.65)
    assert parting(inside, torch.tensor([])) == pytest.approx(0.3)


def test_layers_may_be_the_same_and_not_the_last(
    mllm: MLLM, train: list[TrainEdit], edits: list[Edit], tmp_path: Path
) -> None:
    editor = fitted(mllm, train, tmp_path, image_layer=1, threshold=-1.0)
    patch = editor.plan(mllm, edits[:1])
    assert patch.touched(mllm) == {
        "output at text positions": (1,),
        "output at image positions": (1,),
    }
    with patch.applied(mllm) as model:
        after = answers(model, [edits[0].query])
    assert not torch.equal(after[0], answers(mllm, [edits[0].query])[0])
    with pytest.raises(UserError, match="the last one"):
        fitted(mllm, train, tmp_path, text_layer=5)
