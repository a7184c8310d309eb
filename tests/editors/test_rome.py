"""ROME's rank-one change: what it must do to keys, and what it must leave; see also test_parity_rome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.linalg import matrix_rank

from editors.associations.lookup import places
from editors.associations.moments import Covariance
from editors.associations.values import learn_values
from editors.base import Edit, TrainEdit
from editors.patches.weights import LowRankPatch
from editors.rome import ROME, ROMEConfig, rank_one
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import IN, OUT, drawn

LAYER = 3


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# The change itself, in float64


def changed(covariance: Covariance, weight: Tensor, value: Tensor, key: Tensor, mean_key: Tensor) -> Tensor:
    pair = rank_one(value - weight @ key, key, mean_key, covariance)
    return weight + pair.left @ pair.right


def test_the_key_of_the_prompt_gives_the_value_exactly(covariance: Covariance) -> None:
    weight, value, key, mean_key = drawn(OUT, IN), drawn(OUT), drawn(IN), drawn(IN)
    after = changed(covariance, weight, value, key, mean_key)
    torch.testing.assert_close(after @ key, value, rtol=0, atol=1e-10)
    assert matrix_rank(after - weight) == 1
    # At the mean key it is exact only where both are the same.
    assert float((after @ mean_key - value).norm()) > 0.1


def test_it_is_the_equation_of_the_paper_where_the_keys_are_one(covariance: Covariance) -> None:
    weight, value, key = drawn(OUT, IN), drawn(OUT), drawn(IN)
    turned = torch.linalg.inv(covariance.matrix) @ key
    expected = weight + torch.outer((value - weight @ key) / (turned @ key), turned)
    torch.testing.assert_close(changed(covariance, weight, value, key, key), expected, rtol=0, atol=1e-10)


def test_keys_that_have_nothing_to_do_with_it_stay(covariance: Covariance) -> None:
    weight, value, key, mean_key = drawn(OUT, IN), drawn(OUT), drawn(IN), drawn(IN)
    turned = torch.linalg.inv(covariance.matrix) @ mean_key
    others = drawn(IN, 5)
    others -= torch.outer(turned, turned @ others) / (turned @ turned)
    after = changed(covariance, weight, value, key, mean_key)
    torch.testing.assert_close(after @ others, weight @ others, rtol=0, atol=1e-10)


def test_no_other_change_that_does_the_same_disturbs_less(covariance: Covariance) -> None:
    residual, key = drawn(OUT), drawn(IN)
    pair = rank_one(residual, key, key, covariance)
    least = pair.left @ pair.right

    def disturbance(change: Tensor) -> float:
        return float((change @ covariance.matrix @ change.mT).trace())

    for _ in range(20):
        other = drawn(OUT, IN)
        other -= torch.outer(other @ key, key) / (key @ key)
        torch.testing.assert_close((least + other) @ key, residual, rtol=0, atol=1e-10)
        assert disturbance(least + 1e-3 * other) > disturbance(least)


def test_without_correlations_it_goes_along_the_key() -> None:
    plain = Covariance(2 * torch.eye(IN, dtype=torch.float64), 0.0, torch.device("cpu"))
    key, mean_key = drawn(IN), drawn(IN)
    pair = rank_one(drawn(OUT), key, mean_key, plain)
    cosine = torch.cosine_similarity(pair.right[0], mean_key, dim=0)
    assert abs(float(cosine)) == pytest.approx(1.0, abs=1e-12)


# On a model


def fitted(mllm: MLLM, edits: list[Edit], folder: Path, **options: Any) -> ROME:
    rome = ROME(ROMEConfig(layer=LAYER, **options))
    fact = Query(None, "who wrote the book?", "the cat")
    train = [TrainEdit(one, text_locality=(fact,)) for one in edits]
    rome.fit(mllm, train, [], work=folder / "work", advance=lambda _: None)
    return rome


def outputs(mllm: MLLM, query: Query, subject: str | None) -> Tensor:
    """What the down-projection gives out at the looked-up position, computed without padding."""
    seen: list[Tensor] = []
    module = mllm.mlp(LAYER).down.module
    handle = module.register_forward_hook(lambda _, __, output: seen.append(output))
    offset = places(mllm, [(query, subject)], LAYER + 1).offsets[0]
    handle.remove()
    return seen[-1].reshape(-1, seen[-1].shape[-1])[offset]


@pytest.mark.parametrize("subject", [None, "cat"])
def test_the_module_gives_out_the_value_with_its_bias_behind_an_image(
    mllm: MLLM, edits: list[Edit], tmp_path: Path, subject: str | None
) -> None:
    wish = Edit("one", edits[0].image, edits[0].prompt, edits[0].target, subject)
    rome = fitted(mllm, edits, tmp_path)
    module = mllm.mlp(LAYER).down.name
    values = learn_values(mllm, rome.contexts(mllm, [wish]), LAYER, module, rome.config)
    assert float(mllm.mlp(LAYER).down.module.bias.norm()) > 0.1
    torch.testing.assert_close(outputs(mllm, wish.query, subject), values.start[0])
    with rome.plan(mllm, [wish]).applied(mllm):
        after = outputs(mllm, wish.query, subject)
    torch.testing.assert_close(after, values.start[0] + values.delta[0], rtol=1e-4, atol=1e-4)


def test_only_one_weight_changes_by_rank_one(mllm: MLLM, edits: list[Edit], tmp_path: Path) -> None:
    patch = fitted(mllm, edits, tmp_path).plan(mllm, edits[:1])
    (pair,) = patch.factors.values()
    assert list(patch.factors) == [f"{mllm.mlp(LAYER).down.name}.weight"]
    assert pair.left.shape[1] == len(pair.right) == 1
    assert pair.left.dtype == pair.right.dtype == torch.float32
    assert patch.first_layer(mllm) == LAYER


def test_several_edits_are_written_one_after_the_other(mllm: MLLM, edits: list[Edit], tmp_path: Path) -> None:
    rome = fitted(mllm, edits, tmp_path)
    first = rome.plan(mllm, edits[:1])
    with first.applied(mllm):
        second = rome.plan(mllm, edits[1:2])
    together = rome.plan(mllm, edits[:2])
    assert isinstance(together, LowRankPatch)
    (name,) = together.factors
    lefts = torch.cat([first.factors[name].left, second.factors[name].left], dim=1)
    rights = torch.cat([first.factors[name].right, second.factors[name].right])
    assert torch.equal(together.factors[name].left, lefts)
    assert torch.equal(together.factors[name].right, rights)


def test_without_a_step_nothing_changes(mllm: MLLM, edits: list[Edit], tmp_path: Path) -> None:
    patch = fitted(mllm, edits, tmp_path, steps=1).plan(mllm, edits[:1])
    before = mllm.score([one.query for one in edits], positions="all")
    with patch.applied(mllm) as model:
        after = model.score([one.query for one in edits], positions="all")
    assert all(torch.equal(one.logits, other.logits) for one, other in zip(before, after, strict=True))
