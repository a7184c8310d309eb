"""The losses, against numbers made by hand."""

from __future__ import annotations

import math

import pytest
import torch

from editors.losses import locality_kl, smoothed_nll, target_nll
from mmedit_build.mllm import MLLM, Query, Scored


def scored(probabilities: list[list[float]], targets: list[int], first: int = 0) -> Scored:
    return Scored(torch.tensor(probabilities).log() + 3.0, torch.tensor(targets), first)


def test_target_nll_is_the_mean_over_the_tokens_of_each_target() -> None:
    one = scored([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], [1, 2])
    other = scored([[0.9, 0.05, 0.05], [0.2, 0.2, 0.6]], [0], first=1)
    expected = [-(math.log(0.25) + math.log(0.8)) / 2, -math.log(0.2)]
    assert target_nll([one, other]).tolist() == pytest.approx(expected, abs=1e-6)


def test_labels_are_smoothed_over_all_other_tokens() -> None:
    logits = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one, other = Scored(logits, torch.tensor([2, 0, 6]), 2), Scored(logits[:1], torch.tensor([3]))
    labels = torch.full((3, 7), 0.1 / 6, dtype=torch.float64)
    labels[range(3), [2, 0, 6]] = 0.9
    expected = -(labels * logits[2:].log_softmax(dim=1)).sum(dim=1).mean()
    assert smoothed_nll([one], 0.1).mean().item() == pytest.approx(expected.item(), abs=1e-12)
    apart = [smoothed_nll([single], 0.1).mean().item() for single in (one, other)]
    assert smoothed_nll([one, other], 0.1).mean().item() == pytest.approx(sum(apart) / 2, abs=1e-12)
    assert smoothed_nll([one], 0.0).item() == pytest.approx(target_nll([one]).item(), abs=1e-12)


def test_locality_kl_is_the_mean_over_all_positions_and_leads_no_gradient_to_the_reference() -> None:
    before = scored([[0.5, 0.5], [0.9, 0.1]], [0]), scored([[0.2, 0.8]], [1])
    after = scored([[0.25, 0.75], [0.9, 0.1]], [0]), scored([[0.6, 0.4]], [1])
    for one in (*before, *after):
        one.logits.requires_grad_(True)
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    expected += 0.2 * math.log(0.2 / 0.6) + 0.8 * math.log(0.8 / 0.4)
    loss = locality_kl(before, after)
    assert loss.item() == pytest.approx(expected / 3, abs=1e-6)
    loss.backward()
    assert all(one.logits.grad is None for one in before)
    assert all(one.logits.grad is not None for one in after)


def test_locality_kl_of_a_model_with_itself_is_zero(mllm: MLLM, mixture: list[Query]) -> None:
    full = mllm.score(mixture, positions="all")
    assert locality_kl(full, full).item() == 0.0
    assert sum(len(one.logits) for one in full) > 60


def test_locality_kl_refuses_other_positions(mllm: MLLM, mixture: list[Query]) -> None:
    with pytest.raises(ValueError, match="same positions"):
        locality_kl(mllm.score(mixture), mllm.score(mixture, positions="all"))
