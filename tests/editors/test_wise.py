"""WISE, on the tiny random BLIP-2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch

from editors.base import Edit, TrainEdit
from editors.gating.sides import SidePatch
from editors.gating.ties import merged
from editors.gating.writing import Wish
from editors.growing import Made
from editors.wise import OLD, WISE, WISEConfig
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot

OPTIONS: dict[str, Any] = {"layer": 3, "lr": 0.05, "steps": 4, "beta": 4.0, "gamma": 2.0, "alpha": 1.0}


@pytest.fixture
def train(pictures: list[PIL.Image.Image]) -> list[TrainEdit]:
    told = Edit("train", None, "a photo of", "cat")
    texts = ("who wrote the book?", "a small house")
    return [
        TrainEdit(
            told, text_locality=(Query(None, text, "tree"),), image_locality=(Query(image, text, "red"),)
        )
        for text, image in zip(texts, pictures, strict=False)
    ]


def fitted(mllm: MLLM, train: Sequence[TrainEdit], **options: Any) -> WISE:
    editor = WISE(WISEConfig.model_validate(OPTIONS | options))
    editor.fit(mllm, train, [], work=Path("unused"), advance=lambda _: None)
    return editor


def same(one: SidePatch, other: SidePatch) -> bool:
    states = one.state(), other.state()
    return states[0].fields == states[1].fields and all(
        torch.equal(tensor, states[1].tensors[name]) for name, tensor in states[0].tensors.items()
    )


def test_an_edit_is_written_and_asked(mllm: MLLM, edits: list[Edit], train: list[TrainEdit]) -> None:
    before = Snapshot(mllm)
    for matrix in ("up", "down"):
        patch = fitted(mllm, train, matrix=matrix, lr=0.2, steps=30).plan(mllm, edits[:1])
        before.assert_unchanged(mllm)
        (plain,) = mllm.score([edits[0].query])
        with patch.applied(mllm) as model:
            (found,) = model.score([edits[0].query])
        assert found.log_prob > plain.log_prob + 1
        (side,) = patch.sides
        changed = (side.change != 0).float().mean()
        assert 0.1 < float(changed) <= 0.25
        assert side.change.abs().max() <= 1.0
        assert side.change.dtype == torch.float32


def test_edits_one_after_the_other_are_those_at_once_bit_for_bit(
    mllm: MLLM, edits: list[Edit], train: list[TrainEdit]
) -> None:
    for options in ({"shard": 1}, {"shard": 2, "routing": "merge"}, {"shard": 1, "merge": 1}):
        editor = fitted(mllm, train, **options)
        grown = editor.plan(mllm, edits[:1])
        grown = editor.extend(mllm, Made(tuple(edits[:1]), grown), edits[1:2])
        grown = editor.extend(mllm, Made(tuple(edits[:2]), grown), edits[2:])
        assert same(grown, editor.plan(mllm, edits))


def test_shards_have_masks_of_their_own_and_are_merged(
    mllm: MLLM, edits: list[Edit], train: list[TrainEdit]
) -> None:
    apart = fitted(mllm, train, shard=1, merge=4).plan(mllm, edits)
    assert len(apart.sides) == 4
    assert not apart.sides[3].change.any()
    masks = [side.change != 0 for side in apart.sides[:3]]
    assert not torch.equal(masks[0], masks[1])
    both = fitted(mllm, train, shard=1, merge=2).plan(mllm, edits)
    assert len(both.sides) == 3
    expected = merged([side.change for side in apart.sides[:2]], [0.5, 0.5], 0.53)
    assert torch.equal(both.sides[0].change, expected)
    assert both.sides[0].moved == min(side.moved for side in apart.sides[:2])
    assert torch.equal(both.sides[1].change, apart.sides[2].change)


def test_merged_memories_are_merged_on_with_the_weight_of_the_old(
    mllm: MLLM, edits: list[Edit], train: list[TrainEdit]
) -> None:
    apart = fitted(mllm, train, shard=1, merge=4).plan(mllm, edits).sides
    found = fitted(mllm, train, shard=1, merge=1, routing="merge", kept=1.0).plan(mllm, edits).sides
    old = apart[0].change
    for side in apart[1:3]:
        old = merged([side.change, old], [1 - OLD, OLD], 1.0)
    assert len(found) == 2
    assert torch.equal(found[0].change, old)
    assert {side.moved for side in found} == {min(side.moved for side in apart)}


def test_what_is_not_touched_comes_from_the_train_split(
    mllm: MLLM, edits: list[Edit], train: list[TrainEdit], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Wish] = []

    def note(*given: Any) -> torch.Tensor:
        """Takes the wish, and leaves the change as it is."""
        *_, (wish,), change, _ = given
        assert isinstance(change, torch.Tensor)
        seen.append(wish)
        return change

    monkeypatch.setattr("editors.wise.write", note)
    for scored, lengths in (("text", (0, 0)), ("all", (0, 5))):
        editor = fitted(mllm, train, scored=scored)
        editor.plan(mllm, edits[:2])
        text, image = seen[-1].untouched
        words = [len(mllm.rows([Query(None, one.text_locality[0].prompt)])[0].ids) for one in train]
        assert len(text) in [number + lengths[0] for number in words]
        assert len(image) in [min(16, number + lengths[1]) for number in words]
    with pytest.raises(UserError, match="give a train split that has some"):
        fitted(mllm, [TrainEdit(edits[0])])
    # Without images none with an image is drawn.
    fitted(mllm, [TrainEdit(edits[0], text_locality=train[0].text_locality)]).plan(mllm, edits[:1])
    assert len(seen[-1].untouched) == 1
