"""How edits are written into a side memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from editors.base import Edit
from editors.gating.sides import Place, beside
from editors.gating.writing import Moving, Wish, WritingConfig, hinges, margins, write
from editors.losses import target_nll
from editors.patches.hooks import hooked
from mmedit_build.mllm import MLLM, Batch

PLACE = Place(3, "up")
"""A matrix with a bias, in OPT."""


def options(**changed: Any) -> WritingConfig:
    return WritingConfig.model_validate({"lr": 0.1, "steps": 3} | changed)


@pytest.fixture
def wish(mllm: MLLM, edits: list[Edit]) -> Wish:
    random = torch.Generator().manual_seed(1)
    inputs, one, other = (torch.randn(5, 32, generator=random) for _ in range(3))
    return Wish(mllm.below([edits[0].query], PLACE.layer), inputs, [one, other])


@pytest.fixture
def nothing(mllm: MLLM) -> Tensor:
    return torch.zeros_like(PLACE.linear(mllm).module.weight)


def gradient(mllm: MLLM, wish: Wish, change: Tensor, config: WritingConfig) -> Tensor:
    """By the whole matrix in the place of the change."""
    linear = PLACE.linear(mllm)
    whole = (linear.module.weight + change).clone().requires_grad_(True)

    def put(_: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001
        return torch.nn.functional.linear(x, whole, linear.module.bias)

    moving = Moving(mllm, PLACE, [[wish.inputs, *wish.untouched]], change.dtype)
    with hooked(mllm, {linear.name: put}), torch.enable_grad():
        moved = whole - linear.module.weight
        loss = target_nll(mllm.logits(wish.query)).mean() + margins(moving.by(moved[None], [0]), config)[0]
        loss.backward()
    assert whole.grad is not None
    return whole.grad


def written(mllm: MLLM, config: WritingConfig, wish: Wish, change: Tensor, mask: Tensor) -> Tensor:
    return write(mllm, PLACE, config, [wish], change[None], mask)[0]


def test_hinges_are_zero_where_all_is_as_wished_and_30_at_the_start() -> None:
    config = WritingConfig()
    assert hinges(torch.tensor(25.0), torch.tensor([0.0, 0.0]), config) == 0
    assert hinges(torch.tensor(0.0), torch.tensor([0.0]), config) == 30
    # A mean over those beyond it: 7 - 5, and 10 + 7 - 16.
    assert hinges(torch.tensor(16.0), torch.tensor([7.0, 1.0]), config) == 2 + 4 + 1


def test_what_comes_out_has_the_bias_of_the_main_matrix(mllm: MLLM, nothing: Tensor) -> None:
    linear = PLACE.linear(mllm).module
    assert linear.bias.abs().max() > 0
    x = torch.randn(4, 32)
    assert torch.equal(beside(x, linear(x), nothing), linear(x))
    assert Moving(mllm, PLACE, [[x]], x.dtype).by(nothing[None], [0]) == 0
    change = torch.randn_like(nothing)
    expected = torch.nn.functional.linear(x, linear.weight + change, linear.bias)
    torch.testing.assert_close(beside(x, linear(x), change), expected)


def test_without_a_mask_it_is_plain_gradient_descent(mllm: MLLM, wish: Wish, nothing: Tensor) -> None:
    config, expected = options(), nothing
    for _ in range(config.steps):
        expected = expected - config.lr * gradient(mllm, wish, expected, config)
    assert expected.abs().max() < config.norm
    found = written(mllm, config, wish, nothing, torch.ones_like(nothing, dtype=torch.bool))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert not nothing.any()


def test_what_the_mask_leaves_out_stays_unless_all_decays(mllm: MLLM, wish: Wish, nothing: Tensor) -> None:
    mask = torch.rand_like(nothing) < 0.2
    found = written(mllm, options(), wish, nothing, mask)
    assert not found[~mask].any()
    assert found[mask].any()
    weight = PLACE.linear(mllm).module.weight
    decayed = written(mllm, options(weight_decay=0.1), wish, nothing, mask)
    expected = (weight * (1 - 0.1 * 0.1) ** 3 - weight)[~mask]
    torch.testing.assert_close(decayed[~mask], expected, rtol=1e-4, atol=1e-7)


def test_no_weight_moves_farther_than_the_norm(mllm: MLLM, wish: Wish, nothing: Tensor) -> None:
    everything = torch.ones_like(nothing, dtype=torch.bool)
    found = written(mllm, options(lr=100.0, norm=0.01), wish, nothing, everything)
    assert found.abs().max() == torch.tensor(0.01)


def test_it_ends_once_the_loss_is_low_and_settled(
    mllm: MLLM, wish: Wish, nothing: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    def settled(scored: Any) -> Tensor:
        seen.append(0.01)
        return target_nll(scored) * 0 + 0.01

    monkeypatch.setattr("editors.gating.writing.target_nll", settled)
    content = Wish(wish.query, wish.inputs, ())
    monkeypatch.setattr("editors.gating.writing.margins", lambda *_: torch.zeros(1, requires_grad=True))
    written(mllm, options(steps=20), content, nothing, torch.ones_like(nothing, dtype=torch.bool))
    assert len(seen) == 2
