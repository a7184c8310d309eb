"""What leaves whole decoder layers, and what is put there."""

from __future__ import annotations

import torch
from torch import Tensor

from editors.patches.hooks import hooked
from editors.patches.layers import Columns, leaving
from editors.patches.places import asking, prompt_ends
from mmedit_build.mllm import MLLM, Batch, Query


def test_what_leaves_a_layer_is_what_enters_the_next_one(mllm: MLLM, mixture: list[Query]) -> None:
    found = leaving(mllm, mixture, (1, 3))
    for number, layer in enumerate((1, 3)):
        below = mllm.below(mixture, layer + 1)
        assert all(torch.equal(of[number], one) for of, one in zip(found, below.hidden, strict=True))
    # Also where queries are known so far.
    known = leaving(mllm, mllm.below(mixture, 1), (1, 3))
    for one, other in zip(found, known, strict=True):
        torch.testing.assert_close(one[1], other[1])


def test_columns_are_taken_and_put_back() -> None:
    chosen = torch.tensor([[0, 1, 0, 1, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]).bool()
    states, columns = torch.randn(3, 5, 2), Columns(chosen)
    taken = columns.take(states)
    assert columns.real.tolist() == [[True] * 3, [True, False, False], [False] * 3]
    assert torch.equal(taken[0], states[0, [1, 3, 4]])
    assert torch.equal(taken[1, 0], states[1, 4])
    changed = columns.add(states, torch.ones(3, 3, 2))
    assert torch.equal(changed, states + chosen[..., None])
    assert not Columns(torch.zeros(2, 5).bool()).real.any()


def test_the_text_that_asks_stands_behind_the_image(mllm: MLLM, mixture: list[Query]) -> None:
    seen: list[Batch] = []

    def see(batch: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001
        seen.append(batch)
        return y

    with hooked(mllm, {mllm.layer_name(0): see}):
        mllm.score(mixture)
    for batch in seen:
        found, ends = asking(batch), prompt_ends(batch)
        for i, row in enumerate(batch.rows):
            start, first = batch.valid.shape[1] - row.length, row.image[-1] + 1 if row.image else 1
            expected = [start + place for place in range(first, row.prompt_length)]
            assert found[i].nonzero()[:, 0].tolist() == (expected or [int(ends[i])])
