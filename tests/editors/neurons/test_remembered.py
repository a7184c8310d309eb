"""What T-Patcher remembers of train edits, on the tiny random BLIP-2."""

from __future__ import annotations

import random

import torch

from editors.base import Edit, TrainEdit
from editors.neurons.patches import look_into
from editors.neurons.remembered import POSITIONS, Remembered, draw, queries_of
from mmedit_build.mllm import MLLM, Query


def test_train_edits_and_their_locality_are_remembered(edits: list[Edit]) -> None:
    text, image = Query(None, "who?", "red"), Query(edits[1].image, "what?", "tree")
    train = [TrainEdit(edits[0], text_locality=(text,), image_locality=(image,)), TrainEdit(edits[1])]
    found = queries_of(train, 1000, random.Random(0))
    assert sorted(found, key=str) == sorted([edits[0].query, text, image, edits[1].query], key=str)
    assert len(queries_of(train, 2 * POSITIONS, random.Random(0))) == 2
    assert len(queries_of(train, 2 * POSITIONS + 1, random.Random(0))) == 3


def test_inputs_that_decide_about_an_answer_come_first(mllm: MLLM, probes: list[Query]) -> None:
    inputs = look_into(mllm, mllm.below(probes, 3), 3)
    found = torch.cat(list(draw(mllm, probes, 3, random.Random(0)))).split(
        [min(POSITIONS, len(one) - 1) for one in inputs]
    )
    for row, whole, part in zip(mllm.below(probes, 0).rows, inputs, found, strict=True):
        number = len(row.target_ids)
        deciding = whole[row.prompt_length - 1 : row.length - 1]
        torch.testing.assert_close(part[:number], deciding[:POSITIONS])
        # The rest are other positions of the same query, none of them twice.
        places = [int((whole - one).norm(dim=1).argmin()) for one in part]
        assert len(set(places)) == len(part)
        for place, one in zip(places, part, strict=True):
            torch.testing.assert_close(whole[place], one, rtol=0, atol=1e-5)
    assert max(len(one) for one in inputs) > POSITIONS


def test_an_edit_joins_both_memories() -> None:
    one, other, new = torch.zeros(2, 3), torch.ones(1, 3), torch.full((2, 3), 2.0)
    grown = Remembered(one, other).joined_by([new])
    assert torch.equal(grown.train, torch.cat([one, new]))
    assert torch.equal(grown.validation, torch.cat([other, new]))
