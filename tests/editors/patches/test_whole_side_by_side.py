from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from editors.patches.weights import Factors, LowRankPatch, WeightPatch
from editors.patches.whole_side_by_side import WholeSideBySide, can_stand_beside
from mmedit_build.mllm import MLLM, Query

ROOM = 2**20


def make_patch(mllm: MLLM, layer: int, seed: int, kinds: Sequence[str] = ("weight", "bias")) -> WeightPatch:
    generator = torch.Generator().manual_seed(seed)
    part = {name: one for name, one in mllm.part(f"mlp.{layer}").items() if name.endswith(tuple(kinds))}
    return WeightPatch(
        {name: 0.3 * torch.randn(one.shape, generator=generator) for name, one in part.items()}
    )


def test_each_query_is_answered_under_its_own_patch(mllm: MLLM, mixture: list[Query]) -> None:
    patches = [
        make_patch(mllm, -1, 1),
        make_patch(mllm, -2, 2, ["bias"]),
        make_patch(mllm, -2, 3, ["weight"]),
    ]
    beside = WholeSideBySide(patches)
    layer = beside.first_layer(mllm)
    assert layer == mllm.n_layers - 2
    owners = [i % 3 for i in range(len(mixture))]
    below = mllm.below(mixture, layer, for_generation=True)
    with beside.applied(mllm, owners) as model:
        scored = model.score(below, positions="all", batch_size=4)
        written = model.write(below, max_new_tokens=4, batch_size=3)
    for i, owner in enumerate(owners):
        (plain,) = mllm.score([mixture[i]], positions="all")
        with patches[owner].applied(mllm) as model:
            (alone,) = model.score([mixture[i]], positions="all")
            (said,) = model.write([mixture[i]], max_new_tokens=4)
        torch.testing.assert_close(scored[i].logits, alone.logits, atol=1e-4, rtol=1e-4)
        assert written[i].text == said.text
        assert not torch.allclose(alone.logits, plain.logits, atol=1e-2)


def test_the_model_is_left_as_it_was(mllm: MLLM, mixture: list[Query]) -> None:
    before = mllm.score(mixture)
    with (
        pytest.raises(ValueError, match="owners"),
        WholeSideBySide([make_patch(mllm, -1, 1)]).applied(mllm, [1]),
    ):
        pass
    assert all(torch.equal(a.logits, b.logits) for a, b in zip(before, mllm.score(mixture), strict=True))


def test_only_small_changes_of_linear_modules_stand_side_by_side(mllm: MLLM) -> None:
    assert can_stand_beside(make_patch(mllm, -1, 1), mllm, ROOM)
    assert not can_stand_beside(make_patch(mllm, -1, 1), mllm, 100)
    for what in ("connector", "layer.-1", "*final_layer_norm*"):
        whole = WeightPatch({name: torch.zeros_like(one) for name, one in mllm.part(what).items()})
        assert not can_stand_beside(whole, mllm, ROOM * 2**10)
    name = next(iter(mllm.part("mlp.-1")))
    out, into = mllm.model.get_parameter(name).shape
    low = LowRankPatch({name: Factors(torch.zeros(out, 1), torch.zeros(1, into))})
    assert not can_stand_beside(low, mllm, ROOM)


def test_not_in_half_precision(folder: str) -> None:
    half = MLLM.load(folder, device="cpu", dtype="bfloat16")
    assert not can_stand_beside(make_patch(half, -1, 1), half, ROOM)
