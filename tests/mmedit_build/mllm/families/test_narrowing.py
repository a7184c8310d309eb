"""Rows cut to what predicts their targets answer as whole ones, whatever is done to the last MLP."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mmedit_build.mllm import MLLM, Below, Query
from tests.mmedit_build.mllm.families.conftest import Specimens
from tests.zoo.members import MEMBERS

CLOSE = 2e-5


@pytest.fixture
def asked(queries: list[Query]) -> list[Query]:
    """With targets of unequal lengths."""
    targets = ("red", "two trees", "a small boat", "left")
    return [replace(query, target=targets[i % len(targets)]) for i, query in enumerate(queries)]


def logits(mllm: MLLM, known: Below, moved: Tensor) -> tuple[Tensor, Tensor]:
    """What predicts the targets under a changed last MLP, and the gradient of the change."""
    change = moved.clone().requires_grad_()
    linear = mllm.mlp(-1).down.module
    hook = linear.register_forward_hook(lambda _, inputs, y: y + inputs[0] @ change.mT)
    try:
        with torch.enable_grad():
            found = torch.cat([one.target_logits for one in mllm.logits(known)])
            found.square().mean().backward()
    finally:
        hook.remove()
    assert change.grad is not None
    return found.detach(), change.grad


@pytest.mark.parametrize("name", [*MEMBERS, "aya_vision"])
def test_they_answer_and_learn_as_whole_rows(specimens: Specimens, asked: list[Query], name: str) -> None:
    mllm = specimens(name).mllm
    whole = mllm.below(asked, mllm.n_layers - 1)
    cut = mllm.narrowed(whole)
    weight = mllm.mlp(-1).down.module.weight
    moved = 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    for found, expected in zip(logits(mllm, cut, moved), logits(mllm, whole, moved), strict=True):
        assert torch.allclose(found, expected, atol=CLOSE, rtol=1e-4)
    assert [row.target_ids for row in cut.rows] == [row.target_ids for row in whole.rows]
    assert all(len(one) == len(row.target_ids) + 1 for one, row in zip(cut.hidden, cut.rows, strict=True))
    assert cut.nbytes < whole.nbytes
    few = mllm.logits(cut[1:3])
    alone = mllm.logits(whole[1:3])
    assert all(
        torch.allclose(one.logits, other.logits, atol=CLOSE) for one, other in zip(few, alone, strict=True)
    )


def test_the_model_is_left_as_it_was(specimens: Specimens, asked: list[Query]) -> None:
    mllm = specimens("llava").mllm
    before = mllm.score(asked)
    mllm.score(mllm.narrowed(mllm.below(asked, mllm.n_layers - 1)))
    assert "forward" not in vars(mllm.attention(-1).module)
    after = mllm.score(asked)
    assert all(torch.equal(one.logits, two.logits) for one, two in zip(before, after, strict=True))


def test_only_from_the_last_layer(specimens: Specimens, asked: list[Query]) -> None:
    mllm = specimens("llava").mllm
    with pytest.raises(ValueError, match="this is known up to 0"):
        mllm.narrowed(mllm.below(asked, 0))
