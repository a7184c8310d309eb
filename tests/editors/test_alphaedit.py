"""AlphaEdit's equation, and what it keeps of earlier edits; see also test_parity_alphaedit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from editors.alphaedit import AlphaEdit, AlphaEditConfig, constrained, gathered
from editors.associations.layers import Written
from editors.associations.nullspace import NullSpace
from editors.base import Edit, TrainEdit
from editors.growing import Made
from editors.patches.growing import GrowingPatch
from editors.patches.weights import LowRankPatch
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import IN, OUT, deltas, drawn
from tests.editors.contract import assert_takes_in_any_order

EDITS, EARLIER, TAKEN = 3, 2, 5
CPU = torch.device("cpu")
NOTHING = torch.empty(IN, 0, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# The equation, in float64


@pytest.fixture
def taken() -> Tensor:
    found: Tensor = torch.linalg.qr(drawn(IN, TAKEN)).Q
    return found


def change(residuals: Tensor, keys: Tensor, earlier: Tensor, taken: Tensor, penalty: float) -> Tensor:
    pair = constrained(residuals, keys, earlier, NullSpace(taken, CPU), penalty)
    assert pair.left.shape[1] == len(pair.right) == keys.shape[1]
    return pair.left @ pair.right


def projection(taken: Tensor) -> Tensor:
    return torch.eye(IN, dtype=torch.float64) - taken @ taken.mT


@pytest.mark.parametrize("earlier", [0, EARLIER, 2 * IN])
def test_it_is_the_published_equation(taken: Tensor, earlier: int) -> None:
    residuals, keys, before, matrix = (
        drawn(OUT, EDITS),
        drawn(IN, EDITS),
        drawn(IN, earlier),
        projection(taken),
    )
    found = change(residuals, keys, before, taken, 0.7)
    whole = matrix @ (keys @ keys.mT + before @ before.mT) + 0.7 * torch.eye(IN, dtype=torch.float64)
    expected = torch.linalg.solve(whole, matrix @ keys @ residuals.mT).mT
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    slope = (found @ keys - residuals) @ keys.mT + found @ before @ before.mT + 0.7 * found
    assert float((slope @ matrix).abs().max()) < 1e-10
    torch.testing.assert_close(found @ matrix, found, rtol=0, atol=1e-12)


def test_what_is_known_stays(taken: Tensor) -> None:
    found = change(drawn(OUT, EDITS), drawn(IN, EDITS), drawn(IN, EARLIER), taken, 0.1)
    assert float((found @ taken @ drawn(TAKEN, 20)).abs().max()) < 1e-12


def test_with_all_directions_free_it_is_the_ridge_solution() -> None:
    residuals, keys = drawn(OUT, EDITS), drawn(IN, EDITS)
    found = change(residuals, keys, NOTHING, NOTHING, 2.0)
    whole = keys @ keys.mT + 2.0 * torch.eye(IN, dtype=torch.float64)
    torch.testing.assert_close(found, torch.linalg.solve(whole, keys @ residuals.mT).mT, rtol=0, atol=1e-12)


def test_nothing_free_or_nothing_missing_changes_nothing(taken: Tensor) -> None:
    all_taken = torch.linalg.qr(drawn(IN, IN)).Q
    keys = drawn(IN, EDITS)
    assert float(change(drawn(OUT, EDITS), keys, NOTHING, all_taken, 1.0).abs().max()) < 1e-12
    # As of a key that was written before.
    assert not change(torch.zeros(OUT, EDITS), keys, keys, taken, 1.0).any()


def test_with_little_penalty_every_edit_in_the_free_directions_is_exact(taken: Tensor) -> None:
    residuals, keys = drawn(OUT, EDITS), projection(taken) @ drawn(IN, EDITS)
    found = change(residuals, keys, NOTHING, taken, 1e-10)
    torch.testing.assert_close(found @ keys, residuals, rtol=0, atol=1e-8)


def test_earlier_keys_stay_where_there_is_room_for_both(taken: Tensor) -> None:
    residuals, keys, earlier = drawn(OUT, EDITS), drawn(IN, EDITS), drawn(IN, EARLIER)
    found = change(residuals, keys, earlier, taken, 1e-10)
    torch.testing.assert_close(found @ keys, residuals, rtol=0, atol=1e-7)
    assert float((found @ earlier).abs().max()) < 1e-7


def test_the_order_of_edits_does_not_matter(taken: Tensor) -> None:
    residuals, keys, earlier, order = drawn(OUT, EDITS), drawn(IN, EDITS), drawn(IN, EARLIER), [2, 0, 1]
    one = change(residuals, keys, earlier, taken, 2.0)
    other = change(residuals[:, order], keys[:, order], earlier[:, [1, 0]], taken, 2.0)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_what_is_kept_of_keys_does_not_outgrow_their_sum() -> None:
    few, more = drawn(IN, 3), drawn(IN, 2 * IN)
    assert torch.equal(gathered(few, few), torch.cat([few, few], dim=1).float())
    both = gathered(few, more).double()
    assert both.shape == (IN, IN)
    expected = few @ few.mT + more @ more.mT
    torch.testing.assert_close(both @ both.mT, expected, rtol=1e-5, atol=1e-5)


# On a model


def fitted(mllm: MLLM, edits: list[Edit], folder: Path, **options: Any) -> AlphaEdit:
    options = {"share": 0.5, "l2": 1e-2, "prefix_count": 1} | options
    editor = AlphaEdit(AlphaEditConfig(**options))
    fact = Query(None, "who wrote the book?", "the cat")
    train = [TrainEdit(one, text_locality=(fact,)) for one in edits]
    editor.fit(mllm, train, [], work=folder / "work", advance=lambda _: None)
    return editor


def inputs(mllm: MLLM, layer: int, queries: list[Query]) -> Tensor:
    """What goes into a layer's down-projection at all positions (width, positions)."""
    seen: list[Tensor] = []
    module = mllm.mlp(layer).down.module
    handle = module.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    for query in queries:
        mllm.below([query], layer + 1)
    handle.remove()
    return torch.cat([one.reshape(-1, one.shape[-1]) for one in seen]).mT.double()


def test_outputs_for_what_is_known_stay(
    mllm: MLLM, edits: list[Edit], mixture: list[Query], tmp_path: Path
) -> None:
    editor = fitted(mllm, edits, tmp_path, edited=(3,), l2=1.0)
    taken = editor.fitted().tensors["3"].double()
    assert 0 < taken.shape[1] < len(taken)
    (change_made,) = deltas(editor.plan(mllm, edits)).values()
    assert float(change_made.norm()) > 0.1
    # Keys that were not learned from, as far as they lie in the directions that are taken.
    basis = torch.linalg.qr(taken).Q
    known = basis @ basis.mT @ inputs(mllm, 3, mixture)
    before = mllm.mlp(3).down.module.weight.double() @ known
    assert float((change_made.double() @ known).norm() / before.norm()) < 1e-6


def test_keys_are_kept_as_the_edits_left_them(mllm: MLLM, edits: list[Edit], tmp_path: Path) -> None:
    editor = fitted(mllm, edits, tmp_path)
    patch = editor.plan(mllm, edits[:2])
    assert patch.known.keys() == patch.factors.keys()
    writing = Written(mllm, [editor.contexts(mllm, edits[:2])], editor.layers(mllm))
    (before,) = writing.keys([LowRankPatch({})])
    (after,) = writing.keys([patch])
    for layer in (2, 3, 4):
        torch.testing.assert_close(patch.known[writing.weight(layer)], after[layer].float())
    # The lowest layer's are as they were: nothing below it changes.
    assert torch.equal(before[2], after[2])
    assert not torch.allclose(before[4], after[4], atol=1e-3)


def test_batches_go_on_from_the_changed_weights_and_keep_earlier_keys(
    mllm: MLLM, edits: list[Edit], tmp_path: Path
) -> None:
    editor = fitted(mllm, edits, tmp_path, edited=(3,), l2=1e-6)
    first = editor.plan(mllm, edits[:1])
    both = editor.extend(mllm, Made((edits[0],), first), edits[1:2])
    (name,) = first.factors
    assert torch.equal(both.known[name][:, :1], first.known[name])
    with first.applied(mllm):
        alone = editor.plan(mllm, edits[1:2])
    key = first.known[name][:, 0]
    drift = {
        patch: float((deltas(patch)[name] @ key).norm())
        for patch in (alone, GrowingPatch({name: last_rank(both, name)}, {}))
    }
    kept, not_kept = drift.values()
    assert not_kept < 1e-3 * kept
    swapped = editor.extend(mllm, Made((edits[1],), editor.plan(mllm, edits[1:2])), edits[:1])
    assert not torch.allclose(deltas(swapped)[name], deltas(both)[name], atol=1e-3)


def last_rank(patch: GrowingPatch, name: str) -> Any:
    pair = patch.factors[name]
    return type(pair)(pair.left[:, -1:], pair.right[-1:])


def test_a_batch_of_edits_takes_in_any_order(mllm: MLLM, edits: list[Edit], tmp_path: Path) -> None:
    assert_takes_in_any_order(fitted(mllm, edits, tmp_path), mllm, edits)


def test_without_a_step_nothing_is_missing(mllm: MLLM, edits: list[Edit], tmp_path: Path) -> None:
    patch = fitted(mllm, edits, tmp_path, steps=1).plan(mllm, edits)
    assert all(float(one.abs().max()) < 1e-4 for one in deltas(patch).values())
