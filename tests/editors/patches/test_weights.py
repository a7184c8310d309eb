"""Patches that change weights, on the tiny random BLIP-2."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from editors.patches.weights import Factors, LowRankPatch, WeightPatch
from editors.saving import load_patch, save_patch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot

FC1, FC2 = (f"language_model.model.decoder.layers.4.{name}.weight" for name in ("fc1", "fc2"))


def noise(mllm: MLLM, *names: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {name: mllm.model.get_parameter(name).shape for name in names}
    return {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def low_rank(seed: int, rank: int = 2) -> LowRankPatch:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return 0.3 * torch.randn(shape, generator=generator)

    return LowRankPatch(
        {FC1: Factors(random(64, rank), random(rank, 32)), FC2: Factors(random(32, rank), random(rank, 64))}
    )


def test_differences_are_added_and_taken_back(mllm: MLLM, probes: list[Query]) -> None:
    before, plain = Snapshot(mllm), mllm.score(probes)
    names = list(mllm.part("mlp.4"))
    old = {name: parameter.detach().clone() for name, parameter in mllm.part("mlp.4").items()}
    deltas = noise(mllm, *names)
    patch = WeightPatch(deltas)
    assert patch.changed == sum(delta.numel() for delta in deltas.values())
    assert patch.first_layer(mllm) == 4
    with patch.applied(mllm) as model:
        for name in names:
            assert torch.equal(mllm.model.get_parameter(name), old[name] + deltas[name])
        changed = model.score(probes)
    assert not any(torch.equal(a.logits, b.logits) for a, b in zip(plain, changed, strict=True))
    before.assert_unchanged(mllm)


@pytest.mark.parametrize("name", ["vision_model.encoder.layers.0.mlp.fc1.weight", "query_tokens"])
def test_images_are_seen_anew_when_what_sees_them_changes(mllm: MLLM, probes: list[Query], name: str) -> None:
    plain = mllm.score(probes)
    patch = WeightPatch(noise(mllm, name))
    assert patch.first_layer(mllm) is None
    with patch.applied(mllm) as model:
        changed = model.score(probes)
    for query, one, other in zip(probes, plain, changed, strict=True):
        assert torch.equal(one.logits, other.logits) == (query.image is None)
    assert all(torch.equal(a.logits, b.logits) for a, b in zip(plain, mllm.score(probes), strict=True))


def test_images_stay_remembered_when_only_layers_change(mllm: MLLM, probes: list[Query]) -> None:
    mllm.score(probes)
    seen = mllm.counts.vision
    with low_rank(0).applied(mllm) as model:
        model.score(probes)
    assert mllm.counts.vision == seen


def test_a_change_that_fails_half_way_is_taken_back(mllm: MLLM) -> None:
    before = Snapshot(mllm)
    deltas = {**noise(mllm, FC1), FC2: torch.zeros(3, 3)}
    with pytest.raises(UserError, match="planned for"), WeightPatch(deltas).applied(mllm):
        pytest.fail("a patch of another shape was applied")
    before.assert_unchanged(mllm)
    with pytest.raises(UserError, match="has none"), WeightPatch({"no.such": deltas[FC1]}).applied(mllm):
        pytest.fail("a patch of a parameter that is not there was applied")


def test_half_precision_is_changed_by_the_sum_in_float32(folder: str) -> None:
    mllm = MLLM.load(folder, device="cpu", dtype="bfloat16")
    parameter = mllm.model.get_parameter(FC1)
    old = parameter.detach().clone()
    deltas = noise(mllm, FC1)
    with WeightPatch(deltas).applied(mllm):
        assert parameter.dtype == torch.bfloat16
        assert torch.equal(parameter, (old.float() + deltas[FC1]).to(torch.bfloat16))
    assert torch.equal(parameter, old)


def test_low_rank_is_the_product_of_its_factors(mllm: MLLM, probes: list[Query]) -> None:
    patch = low_rank(1)
    full = WeightPatch({name: pair.left @ pair.right for name, pair in patch.factors.items()})
    with patch.applied(mllm) as model:
        one = model.score(probes)
    with full.applied(mllm) as model:
        other = model.score(probes)
    assert all(torch.equal(a.logits, b.logits) for a, b in zip(one, other, strict=True))
    assert patch.changed == full.changed == 2 * 64 * 32
    assert patch.first_layer(mllm) == 4


def test_factors_are_saved_as_they_are(tmp_path: Path) -> None:
    patch = low_rank(2, rank=3)
    save_patch(patch, tmp_path / "patch")
    loaded = load_patch(tmp_path / "patch")
    assert isinstance(loaded, LowRankPatch)
    assert loaded.factors.keys() == patch.factors.keys()
    for name, pair in patch.factors.items():
        assert torch.equal(pair.left, loaded.factors[name].left)
        assert torch.equal(pair.right, loaded.factors[name].right)
