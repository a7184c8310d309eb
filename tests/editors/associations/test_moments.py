"""Second moments of keys, by hand and from the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from editors.associations.moments import Covariance, Moment, draw_contexts, mixed, second_moments
from editors.base import Edit, TrainEdit
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "moments"


def moments(mllm: MLLM, layers: Sequence[int], contexts: Sequence[Query], cache: Path) -> dict[int, Moment]:
    return second_moments(mllm, layers, contexts, cache=cache, advance=lambda _: None)


def by_hand(mllm: MLLM, layer: int, contexts: Sequence[Query]) -> Tensor:
    """The mean of k k^T over the positions of rows that run alone, so without padding."""
    seen: list[Tensor] = []

    def see(_: torch.nn.Module, inputs: Any, __: Tensor) -> None:
        seen.extend(inputs[0].reshape(-1, inputs[0].shape[-1]).double())

    handle = mllm.mlp(layer).down.module.register_forward_hook(see)
    for query in contexts:
        mllm.below([query], layer + 1)
    handle.remove()
    return torch.stack([torch.outer(key, key) for key in seen]).mean(dim=0)


def test_all_positions_of_image_and_text_count(mllm: MLLM, mixture: list[Query], tmp_path: Path) -> None:
    before = Snapshot(mllm)
    found = moments(mllm, [1, 4], mixture, tmp_path)
    before.assert_unchanged(mllm)
    for layer in (1, 4):
        expected = by_hand(mllm, layer, mixture).float()
        torch.testing.assert_close(found[layer].second, expected, rtol=1e-4, atol=1e-6)
        assert found[layer].positions == sum(row.length for row in mllm.rows(mixture))


def test_they_are_computed_once_for_each_layer(mllm: MLLM, mixture: list[Query], cache: Path) -> None:
    first = moments(mllm, [1, 2], mixture, cache)
    layers = mllm.counts.layers
    told: list[int] = []
    again = second_moments(mllm, [2, 1], mixture, cache=cache, advance=told.append)
    assert mllm.counts.layers == layers
    assert sum(told) == len(mixture)
    assert all(torch.equal(first[layer].second, again[layer].second) for layer in (1, 2))
    assert all(first[layer].positions == again[layer].positions for layer in (1, 2))
    assert len(list(cache.iterdir())) == 2
    moments(mllm, [2, 3], mixture, cache)
    assert len(list(cache.iterdir())) == 3


def test_other_contexts_and_other_models_have_others(mllm: MLLM, mixture: list[Query], cache: Path) -> None:
    moments(mllm, [1], mixture, cache)
    moments(mllm, [1], [replace(mixture[0], target="blue"), *mixture[1:]], cache)
    moments(mllm, [1], [replace(mixture[0], image=mixture[2].image), *mixture[1:]], cache)
    mllm.mlp(5).up.module.weight.data[0] += 1
    moments(mllm, [1], mixture, cache)
    assert len(list(cache.iterdir())) == 4


def test_contexts_are_what_train_edits_come_with(edits: list[Edit]) -> None:
    fact = Query(None, "who wrote the book?", "the cat")
    train = [TrainEdit(one, replace(one.query, prompt="what?"), one.query, (fact,), ()) for one in edits]
    found = draw_contexts(train, 100, seed=0)
    assert found["text"] == [fact]
    assert {(query.prompt, query.target) for query in found["image"]} == {
        (prompt, one.target) for one in edits for prompt in (one.prompt, "what?")
    }
    fewer = draw_contexts(train, 2, seed=0)["image"]
    assert len(fewer) == 2
    assert fewer == draw_contexts(train, 2, seed=0)["image"]


def test_sorts_are_mixed_by_their_share() -> None:
    text, image = Moment(torch.eye(2), 10), Moment(3 * torch.eye(2), 30)
    both = mixed({"text": text, "image": image}, 0.25)
    assert torch.equal(both.second, 1.5 * torch.eye(2))
    assert both.positions == 40
    assert mixed({"image": image}, 0.25) is image


def test_whitening_is_the_inverse_in_float64() -> None:
    torch.manual_seed(0)
    root = torch.randn(9, 9, dtype=torch.float64)
    found = Covariance(root @ root.mT, 0.1, CPU)
    mean = (root @ root.mT).diagonal().mean()
    expected = root @ root.mT + 0.1 * mean * torch.eye(9, dtype=torch.float64)
    torch.testing.assert_close(found.matrix, expected, rtol=0, atol=1e-12)
    keys = torch.randn(9, 3, dtype=torch.float64)
    torch.testing.assert_close(found.whiten(keys), torch.linalg.inv(expected) @ keys, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ridge_is_put_on_a_copy(dtype: torch.dtype) -> None:
    second = torch.eye(3, dtype=dtype)
    covariance = Covariance(second, 0.5, CPU)
    assert torch.equal(covariance.matrix, 1.5 * torch.eye(3, dtype=torch.float64))
    assert torch.equal(second, torch.eye(3, dtype=dtype))


def test_features_that_never_vary_need_a_ridge() -> None:
    never = torch.diag(torch.tensor([1.0, 1.0, 0.0]))
    with pytest.raises(UserError, match="raise the option ridge"):
        Covariance(never, 0.0, CPU).whiten(torch.ones(3, 1))
    assert Covariance(never, 1e-3, CPU).whiten(torch.ones(3, 1)).isfinite().all()
