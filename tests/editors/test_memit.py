"""MEMIT's least squares and how it spreads them over layers; see also test_parity_rome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from editors.associations.moments import Covariance
from editors.associations.values import learn_values
from editors.base import Edit, TrainEdit
from editors.memit import MEMIT, MEMITConfig, spread
from editors.patches.weights import LowRankPatch
from editors.rome import rank_one
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import IN, OUT, drawn
from tests.editors.contract import assert_takes_in_any_order

EDITS = 4


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# The least squares, in float64


def change(residuals: Tensor, keys: Tensor, covariance: Covariance, weight: float) -> Tensor:
    pair = spread(residuals, keys, covariance, weight)
    return pair.left @ pair.right


@pytest.mark.parametrize("number", [1, EDITS, 2 * IN])
def test_it_solves_the_normal_equations(covariance: Covariance, number: int) -> None:
    residuals, keys, weight = drawn(OUT, number), drawn(IN, number), 3.0
    found = change(residuals, keys, covariance, weight)
    slope = (found @ keys - residuals) @ keys.mT + weight * found @ covariance.matrix
    assert float(slope.abs().max()) < 1e-10
    whole = weight * covariance.matrix + keys @ keys.mT
    expected = residuals @ torch.linalg.solve(whole, keys).mT
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_it_is_least_squares_over_edits_and_what_is_known(covariance: Covariance) -> None:
    residuals, keys, weight = drawn(OUT, EDITS), drawn(IN, EDITS), 0.5
    root = torch.linalg.cholesky(weight * covariance.matrix).mT
    rows = torch.cat([keys.mT, root])
    wanted = torch.cat([residuals.mT, torch.zeros(IN, OUT, dtype=torch.float64)])
    expected = torch.linalg.lstsq(rows, wanted).solution.mT
    torch.testing.assert_close(change(residuals, keys, covariance, weight), expected, rtol=0, atol=1e-10)


def test_with_little_weight_every_edit_is_exact(covariance: Covariance) -> None:
    residuals, keys = drawn(OUT, EDITS), drawn(IN, EDITS)
    found = change(residuals, keys, covariance, 1e-10)
    torch.testing.assert_close(found @ keys, residuals, rtol=0, atol=1e-8)


def test_one_edit_goes_in_the_direction_of_rome(covariance: Covariance) -> None:
    residual, key = drawn(OUT), drawn(IN)
    memit = spread(residual[:, None], key[:, None], covariance, 3.0).right[0]
    rome = rank_one(residual, key, key, covariance).right[0]
    assert float(torch.cosine_similarity(memit, rome, dim=0)) == pytest.approx(1.0, abs=1e-12)


def test_nothing_missing_changes_nothing(covariance: Covariance) -> None:
    assert not change(torch.zeros(OUT, EDITS), drawn(IN, EDITS), covariance, 1.0).any()


def test_the_order_of_edits_does_not_matter(covariance: Covariance) -> None:
    residuals, keys, order = drawn(OUT, EDITS), drawn(IN, EDITS), [2, 0, 3, 1]
    one = change(residuals, keys, covariance, 2.0)
    other = change(residuals[:, order], keys[:, order], covariance, 2.0)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


# On a model


def fitted(mllm: MLLM, edits: list[Edit], folder: Path, **options: Any) -> MEMIT:
    memit = MEMIT(MEMITConfig(**options))
    fact = Query(None, "who wrote the book?", "the cat")
    train = [TrainEdit(one, text_locality=(fact,)) for one in edits]
    memit.fit(mllm, train, [], work=folder / "work", advance=lambda _: None)
    return memit


def states(mllm: MLLM, edits: list[Edit], layer: int) -> Tensor:
    """The residual stream after a layer at the last token of each prompt (width, edits)."""
    below = mllm.below([one.query for one in edits], layer + 1)
    rows = zip(below.hidden, below.rows, strict=True)
    return torch.stack([hidden[row.prompt_length - 1] for hidden, row in rows], dim=1)


def test_each_layer_takes_its_share_of_what_is_missing(mllm: MLLM, edits: list[Edit], tmp_path: Path) -> None:
    memit = fitted(mllm, edits, tmp_path, edited=(4, 2, 3), weight=1e-3)
    top = mllm.layer_name(4)
    values = learn_values(mllm, memit.contexts(mllm, edits), 4, top, memit.config)
    wanted = (values.start + values.delta).mT
    patch = memit.plan(mllm, edits)
    names = [f"{mllm.mlp(layer).down.name}.weight" for layer in (2, 3, 4)]
    assert list(patch.factors) == names
    assert patch.first_layer(mllm) == 2
    for number, name in enumerate(names):
        so_far = LowRankPatch({before: patch.factors[before] for before in names[:number]})
        with so_far.applied(mllm):
            missing = wanted - states(mllm, edits, 4)
        expected = missing / (3 - number)
        torch.testing.assert_close(patch.factors[name].left, expected, rtol=1e-3, atol=1e-3)


def test_one_layer_takes_all(mllm: MLLM, edits: list[Edit], tmp_path: Path) -> None:
    memit = fitted(mllm, edits, tmp_path, edited=(3,), weight=1e-6, prefix_count=0)
    values = learn_values(mllm, memit.contexts(mllm, edits), 3, mllm.layer_name(3), memit.config)
    with memit.plan(mllm, edits).applied(mllm):
        after = states(mllm, edits, 3)
    wanted = (values.start + values.delta).mT
    assert float((after - wanted).norm() / wanted.norm()) < 0.01


def test_a_batch_of_edits_takes_in_any_order(mllm: MLLM, edits: list[Edit], tmp_path: Path) -> None:
    assert_takes_in_any_order(fitted(mllm, edits, tmp_path, weight=0.1), mllm, edits)


def test_without_a_step_nothing_is_missing(mllm: MLLM, edits: list[Edit], tmp_path: Path) -> None:
    patch = fitted(mllm, edits, tmp_path, steps=1).plan(mllm, edits)
    assert all(float((pair.left @ pair.right).abs().max()) < 1e-4 for pair in patch.factors.values())
