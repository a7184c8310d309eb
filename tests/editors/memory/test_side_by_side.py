"""Memories of several patches in one call: each query is told apart by those of its own patch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from editors.memory.counterfactual import Counterfactual
from editors.memory.memories import Mixing, remember
from editors.memory.patch import MemoryPatch
from editors.memory.side_by_side import MemoriesSideBySide
from mmedit_build.mllm import MLLM, Positions, Query
from tests.editors.conftest import Points

POINTS = {"cat": 0.0, "kitten": 0.3, "boat": 5.0, "ship": 5.4}
QUERIES = [Query(None, prompt, "yes") for prompt in ("cat", "kitten", "boat", "ship", "boat", "cat")]
OWNERS = [0, 1, 1, 0, 0, 0]


def patches(mllm: MLLM, mixing: Mixing) -> list[MemoryPatch]:
    """One patch about a boat, and one about a boat and a cat."""
    scope = Points.load("base", mllm, images=False).requires_grad_(False)
    scope.points = POINTS
    counterfactual = Counterfactual.load("base", mllm, 2).requires_grad_(False)
    wishes = [[Query(None, "boat", "no")], [Query(None, "boat", "two"), Query(None, "cat", "red")]]
    memories = [tuple(remember(mllm, wish, "prompt", images=False)) for wish in wishes]
    return [MemoryPatch(of, scope, counterfactual, "prompt", mixing) for of in memories]


@pytest.mark.parametrize("mixing", ["hard", "soft"])
@pytest.mark.parametrize("positions", ["target", "all"])
def test_each_query_is_answered_as_under_its_patch_alone(
    mllm: MLLM, mixing: Mixing, positions: Positions
) -> None:
    made = patches(mllm, mixing)
    with MemoriesSideBySide(made).applied(mllm, OWNERS) as model:
        together = model.score(QUERIES, positions=positions)
        said = model.generate(QUERIES, max_new_tokens=3)
    for query, owner, one, text in zip(QUERIES, OWNERS, together, said, strict=True):
        with made[owner].applied(mllm) as model:
            (alone,) = model.score([query], positions=positions)
            assert model.generate([query], max_new_tokens=3) == [text]
        torch.testing.assert_close(one.logits, alone.logits, rtol=0, atol=1e-4)
        assert one.first == alone.first
    # To the first patch cats are unknown, and to the second they are not.
    assert not torch.equal(together[1].logits, mllm.score([QUERIES[1]], positions=positions)[0].logits)


def test_queries_and_owners_are_as_many(mllm: MLLM) -> None:
    side = MemoriesSideBySide(patches(mllm, "hard"))
    with side.applied(mllm, [0, 1]) as model, pytest.raises(ValueError, match="owners"):
        model.score(QUERIES)
    with pytest.raises(ValueError, match="from 0 to 1"), side.applied(mllm, [2]):
        pass


def test_only_patches_of_one_pair_of_models_stand_beside_each_other(mllm: MLLM) -> None:
    one, other = patches(mllm, "hard")
    with pytest.raises(ValueError, match="several pairs"):
        MemoriesSideBySide([one, replace(other, mixing="soft")])
