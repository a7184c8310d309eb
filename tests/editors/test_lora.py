"""LoRA, on the tiny random BLIP-2."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from editors import load_editor
from editors.base import Edit
from editors.growing import Made
from editors.lora import LoRA, LoRAConfig
from editors.losses import target_nll
from editors.patches.weights import Factors, LowRankPatch, added_outputs, together
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from tests.editors.conftest import Snapshot, deltas

SGD: dict[str, Any] = {"optimizer": "sgd", "stop_below": None, "lr": 0.1}


def lora(**options: Any) -> LoRA:
    return LoRA(LoRAConfig(**options))


def gradients(mllm: MLLM, names: list[str], edits: list[Edit]) -> dict[str, torch.Tensor]:
    """By a plain backward pass through the whole model."""
    parameters = [mllm.model.get_parameter(name).requires_grad_(True) for name in names]
    mean = target_nll(mllm.logits([edit.query for edit in edits])).mean()
    found = torch.autograd.grad(mean, parameters)
    for parameter in parameters:
        parameter.requires_grad_(False)
    return dict(zip(names, found, strict=True))


def logits(mllm: MLLM, edits: list[Edit]) -> list[torch.Tensor]:
    return [one.logits for one in mllm.score([edit.query for edit in edits])]


def negated(patch: LowRankPatch) -> LowRankPatch:
    return LowRankPatch({name: Factors(-pair.left, pair.right) for name, pair in patch.factors.items()})


def ranks(patch: LowRankPatch) -> set[int]:
    products = [pair.left.double() @ pair.right.double() for pair in patch.factors.values()]
    return {int(torch.linalg.matrix_rank(one)) for one in products}


def test_at_the_start_it_changes_nothing(mllm: MLLM, edits: list[Edit]) -> None:
    plain = logits(mllm, edits)
    patch = lora(lr=0.0, steps=3).plan(mllm, edits[:1])
    assert all(not pair.left.any() and pair.right.any() for pair in patch.factors.values())
    with patch.applied(mllm):
        assert all(torch.equal(*pair) for pair in zip(plain, logits(mllm, edits), strict=True))


@pytest.mark.parametrize("edited", [1, 3])
def test_the_first_step_moves_b_alone_along_the_gradient(mllm: MLLM, edits: list[Edit], edited: int) -> None:
    editor = lora(**SGD, steps=1)
    start = lora(lr=0.0, steps=1).plan(mllm, edits[:1])
    patch = editor.plan(mllm, edits[:edited])
    expected = gradients(mllm, list(patch.factors), edits[:edited])
    for name, pair in patch.factors.items():
        a = start.factors[name].right
        assert torch.equal(pair.right, a)
        # dL/dB is (alpha / rank) G A^T, and B counts alpha / rank times.
        torch.testing.assert_close(pair.left, -0.1 * 2.0**2 * expected[name] @ a.mT, rtol=1e-3, atol=1e-6)
        assert pair.left.any()


def test_the_rate_falls_after_each_step(mllm: MLLM, edits: list[Edit]) -> None:
    once = lora(**SGD, steps=1).plan(mllm, edits[:1])
    often = lora(**SGD, steps=4, lr_factor=1e-12).plan(mllm, edits[:1])
    for name, delta in deltas(once).items():
        torch.testing.assert_close(deltas(often)[name], delta, rtol=0, atol=1e-7)


def test_it_stops_before_a_step_when_the_loss_is_low(mllm: MLLM, edits: list[Edit]) -> None:
    start = target_nll(mllm.score([edits[0].query])).item()
    known = lora(stop_below=start + 0.01).plan(mllm, edits[:1])
    assert all(not pair.left.any() for pair in known.factors.values())
    with lora(lr=1e-2, steps=300, stop_below=start / 2).plan(mllm, edits[:1]).applied(mllm):
        assert start / 4 < target_nll(mllm.score([edits[0].query])).item() < start / 2


def test_one_adapter_keeps_its_rank_and_a_sum_of_several_does_not(mllm: MLLM, edits: list[Edit]) -> None:
    before, editor = Snapshot(mllm), lora(rank=2, lr=1e-2, steps=5)
    made = Made((edits[0],), editor.plan(mllm, edits[:1]))
    for edit in edits[1:]:
        made = Made((*made.edits, edit), editor.extend(mllm, made, [edit]))
    assert isinstance(made.patch, LowRankPatch)
    assert ranks(made.patch) == {2}
    assert {pair.left.shape[1] for pair in made.patch.factors.values()} == {2}
    others = [lora(rank=2, lr=1e-2, steps=5, seed=seed) for seed in range(3)]
    alone = [one.plan(mllm, [edit]) for one, edit in zip(others, edits, strict=True)]
    assert ranks(together(alone)) == {6}
    before.assert_unchanged(mllm)


def test_beside_the_weights_it_does_as_within_them(mllm: MLLM, edits: list[Edit]) -> None:
    patch = lora(lr=1e-2, steps=5).plan(mllm, edits[:1])
    plain = logits(mllm, edits)
    with patch.applied(mllm):
        merged = logits(mllm, edits)
    with added_outputs(mllm, patch.factors):
        beside = logits(mllm, edits)
    for one, other, before in zip(merged, beside, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
        assert float((one - before).abs().max()) > 0.1
    with patch.applied(mllm), negated(patch).applied(mllm):
        for one, other in zip(plain, logits(mllm, edits), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_only_what_is_named_moves(mllm: MLLM, edits: list[Edit]) -> None:
    mlps = [name.rpartition("layers.")[2] for name in lora(steps=1).plan(mllm, edits[:1]).factors]
    assert mlps == [f"{layer}.{name}.weight" for layer in (3, 4, 5) for name in ("fc1", "fc2")]
    queries = lora(preset="easyedit", modules=["self_attn.q_proj"], layers=[-1, 2, 5], steps=1)
    assert [name.rpartition("layers.")[2] for name in queries.plan(mllm, edits[:1]).factors] == [
        "2.self_attn.q_proj.weight",
        "5.self_attn.q_proj.weight",
    ]
    with pytest.raises(UserError, match="No linear module of the chosen layers is called gate or w9"):
        lora(modules=["gate", "w9"]).plan(mllm, edits[:1])


def test_easyedit_adapts_queries_and_values_of_all_layers(mllm: MLLM, edits: list[Edit]) -> None:
    config = LoRAConfig(preset="easyedit")
    assert (config.optimizer, config.lr, config.lr_factor, config.steps) == ("sgd", 0.1, 0.9, 5)
    assert (config.rank, config.alpha, config.layers, config.stop_below) == (8, 32.0, None, None)
    patch = LoRA(config).plan(mllm, edits[:1])
    assert {name.rpartition("self_attn.")[2] for name in patch.factors} == {"q_proj.weight", "v_proj.weight"}
    assert len(patch.factors) == 2 * mllm.n_layers


def test_what_is_said_besides_a_preset_counts() -> None:
    config = LoRAConfig(preset="easyedit", steps=7, layers=(1,))
    assert (config.steps, config.layers, config.lr) == (7, (1,), 0.1)
    with pytest.raises(UserError, match="preset"):
        load_editor("lora", {"preset": ["easyedit"]})


def test_half_precision_learns_in_float32(folder: str, edits: list[Edit]) -> None:
    mllm = MLLM.load(folder, device="cpu", dtype="bfloat16")
    start = target_nll(mllm.score([edits[0].query])).item()
    patch = lora(lr=1e-3, steps=40).plan(mllm, edits[:1])
    assert all(pair.left.dtype == pair.right.dtype == torch.float32 for pair in patch.factors.values())
    with patch.applied(mllm):
        assert target_nll(mllm.score([edits[0].query])).item() < start - 0.5
