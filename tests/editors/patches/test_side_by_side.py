"""Many patches in one batch, and patches by hooks, on the tiny random BLIP-2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import pytest
import torch
from torch import Tensor

from editors.base import State
from editors.patches.hooks import Hook, HookPatch, hooked
from editors.patches.side_by_side import SideBySide
from editors.patches.weights import Factors, LowRankPatch
from mmedit_build.mllm import MLLM, Batch, Query
from tests.editors.conftest import Snapshot

LAYERS = "language_model.model.decoder.layers"


def patch(seed: int, rank: int, *names: str) -> LowRankPatch:
    generator = torch.Generator().manual_seed(seed)

    def factors(name: str) -> Factors:
        out, into = (64, 32) if name.endswith("fc1") else (32, 64)
        left, right = (torch.randn(shape, generator=generator) for shape in ((out, rank), (rank, into)))
        return Factors(0.3 * left, 0.3 * right)

    return LowRankPatch({f"{LAYERS}.{name}.weight": factors(name) for name in names})


@pytest.fixture
def patches() -> list[LowRankPatch]:
    """Of different ranks, one of them on one weight alone, and one that does nothing."""
    return [
        patch(0, 2, "4.fc1", "4.fc2"),
        patch(1, 5, "4.fc1", "5.fc2"),
        patch(2, 1, "5.fc2"),
        patch(3, 0, "4.fc1"),
    ]


def one_by_one(
    mllm: MLLM, patches: list[LowRankPatch], queries: list[Query], owners: list[int]
) -> tuple[list[Tensor], list[str]]:
    logits, texts = [], []
    for query, owner in zip(queries, owners, strict=True):
        with patches[owner].applied(mllm) as model:
            logits.append(model.score([query], positions="all")[0].logits)
            texts += model.generate([query], max_new_tokens=6)
    return logits, texts


@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_side_by_side_equals_one_by_one(
    mllm: MLLM, patches: list[LowRankPatch], probes: list[Query], batch_size: int
) -> None:
    before = Snapshot(mllm)
    owners = [i % 4 for i in range(len(probes))]
    expected, said = one_by_one(mllm, patches, probes, owners)
    with SideBySide(patches).applied(mllm, owners) as model:
        found = model.score(probes, positions="all", batch_size=batch_size)
        texts = model.generate(probes, max_new_tokens=6, batch_size=batch_size)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one, other.logits, rtol=0, atol=1e-5)
    assert texts == said
    before.assert_unchanged(mllm)
    plain = mllm.score(probes, positions="all")
    acted = [
        not torch.allclose(one, other.logits, atol=1e-3) for one, other in zip(expected, plain, strict=True)
    ]
    assert acted == [owner != 3 for owner in owners]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_small_changes_count_in_half_precision_alone_too(
    folder: str, probes: list[Query], dtype: str
) -> None:
    mllm = MLLM.load(folder, device="cpu", dtype=dtype)
    (pair,) = patch(0, 1, "5.fc2").factors.values()
    name = f"{LAYERS}.5.fc2.weight"
    small = LowRankPatch({name: Factors(0.01 * pair.left, pair.right)})
    before = Snapshot(mllm)
    plain = torch.cat([one.logits for one in mllm.score(probes, positions="all")])
    with small.applied(mllm) as model:
        alone = torch.cat([one.logits for one in model.score(probes, positions="all")])
    with SideBySide([small]).applied(mllm, [0] * len(probes)) as model:
        beside = torch.cat([one.logits for one in model.score(probes, positions="all")])
    before.assert_unchanged(mllm)
    # Added to the weight, the change would be rounded: the answers would be others nearly everywhere.
    assert (alone == beside).float().mean() > 0.99
    assert (alone == plain).float().mean() < 0.9


def test_it_takes_what_lies_below(mllm: MLLM, patches: list[LowRankPatch], probes: list[Query]) -> None:
    side = SideBySide(patches)
    owners = [i % 4 for i in range(len(probes))]
    assert side.first_layer(mllm) == 4
    assert SideBySide(patches[2:3]).first_layer(mllm) == 5
    below = mllm.below(probes, 4, for_generation=True)
    expected, said = one_by_one(mllm, patches, probes, owners)
    with side.applied(mllm, owners) as model:
        found = model.score(below, positions="all")
        assert model.generate(below, max_new_tokens=6) == said
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one, other.logits, rtol=0, atol=1e-5)


def test_gradients_reach_the_factors_of_each_patch_from_its_own_queries(
    mllm: MLLM, probes: list[Query]
) -> None:
    pair = [patch(0, 2, "4.fc1"), patch(1, 2, "4.fc1")]
    factors = [next(iter(one.factors.values())) for one in pair]
    for one in factors:
        one.left.requires_grad_(True)
        one.right.requires_grad_(True)
    with SideBySide(pair).applied(mllm, [0, 1]):
        scored = mllm.logits(probes[:2])
    scored[0].log_prob.backward()
    assert factors[0].left.grad is not None
    assert factors[0].left.grad.abs().sum() > 0
    assert factors[1].left.grad is None or factors[1].left.grad.abs().sum() == 0
    # The same numbers as from the sum of weight and product.
    weight = mllm.model.get_parameter(f"{LAYERS}.4.fc1.weight")
    old, weight.data = weight.data, weight.data + (factors[0].left @ factors[0].right).detach()
    weight.requires_grad_(True)
    mllm.logits(probes[:1])[0].log_prob.backward()
    weight.requires_grad_(False)
    weight.data = old
    assert weight.grad is not None
    torch.testing.assert_close(
        factors[0].left.grad, weight.grad @ factors[0].right.detach().mT, atol=1e-4, rtol=1e-3
    )


def test_every_query_needs_an_owner(mllm: MLLM, patches: list[LowRankPatch], probes: list[Query]) -> None:
    with SideBySide(patches).applied(mllm, [0, 1]) as model:
        with pytest.raises(ValueError, match="3 queries"):
            model.score(probes[:3])
        with pytest.raises(ValueError, match="1 queries"):
            model.generate(probes[:1])
    with pytest.raises(ValueError, match="from 0 to 3"), SideBySide(patches).applied(mllm, [4]):
        pytest.fail("an owner that is not there was taken")


class Shift(HookPatch):
    """Adds a number to the last position of a layer's output of even queries."""

    def __init__(self, module: str, by: float) -> None:
        self._module = module
        self._by = by

    def hooks(self, mllm: MLLM) -> Mapping[str, Hook]:  # noqa: ARG002
        def shift(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
            assert x.shape[:2] == y.shape[:2] == (len(batch.rows), x.shape[1])
            even = torch.tensor([index % 2 == 0 for index in batch.indices])
            moved = y.clone()
            # Not all of them, as a layer norm takes away what is the same everywhere.
            moved[even, -1, ::2] += self._by
            return moved

        return {self._module: shift}

    @property
    def changed(self) -> int:
        return 0

    def state(self) -> State:
        return State()

    @classmethod
    def from_state(cls, state: State) -> Self:
        raise NotImplementedError


@pytest.mark.parametrize(("module", "layer"), [("3", 3), ("2.fc1", 2), ("5.self_attn.out_proj", 5)])
def test_hooks_see_rows_and_positions_of_flat_and_other_modules(
    mllm: MLLM, probes: list[Query], module: str, layer: int
) -> None:
    before, plain = Snapshot(mllm), mllm.score(probes, positions="all")
    shift = Shift(f"{LAYERS}.{module}", 5.0)
    assert shift.first_layer(mllm) == layer
    with shift.applied(mllm) as model:
        moved = model.score(probes, positions="all", batch_size=4)
        reused = model.score(mllm.below(probes, 1), positions="all", batch_size=4)
    for index, (one, other, again) in enumerate(zip(plain, moved, reused, strict=True)):
        torch.testing.assert_close(one.logits[:-1], other.logits[:-1], rtol=0, atol=1e-4)
        torch.testing.assert_close(again.logits, other.logits, rtol=0, atol=1e-4)
        assert torch.allclose(one.logits[-1], other.logits[-1], atol=1e-3) == (index % 2 == 1)
    before.assert_unchanged(mllm)


def unchanged(batch: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001
    return y


def test_hooks_are_removed_when_one_cannot_be_placed(mllm: MLLM) -> None:
    before = Snapshot(mllm)
    hooks = dict.fromkeys((f"{LAYERS}.3.fc1", "no.such"), unchanged)
    with pytest.raises(AttributeError), hooked(mllm, hooks):
        pytest.fail("a hook was placed where there is no module")
    before.assert_unchanged(mllm)


def test_a_hook_outside_of_the_layers_is_a_mistake_that_is_told(mllm: MLLM, probes: list[Query]) -> None:
    with hooked(mllm, {"language_projection": unchanged}), pytest.raises(RuntimeError, match="outside"):
        mllm.score(probes)
