"""Fine-tuning, on the tiny random BLIP-2."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from editors.base import Edit
from editors.ft import FT, FTConfig, FTLConfig, FTVisionConfig
from editors.losses import target_nll
from editors.patches.weights import WeightPatch
from editors.portions import CHUNK
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot


def plan(mllm: MLLM, edits: list[Edit], **options: Any) -> WeightPatch:
    return FT(FTConfig(**options)).plan(mllm, edits)


def loss(mllm: MLLM, edits: list[Edit]) -> float:
    return target_nll(mllm.score([edit.query for edit in edits])).mean().item()


def gradients(mllm: MLLM, part: str, edits: list[Edit]) -> dict[str, torch.Tensor]:
    """By a plain backward pass through the whole model."""
    parameters = mllm.part(part)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    with mllm.fresh_features():
        mean = target_nll(mllm.logits([edit.query for edit in edits])).mean()
    found = torch.autograd.grad(mean, list(parameters.values()))
    for parameter in parameters.values():
        parameter.requires_grad_(False)
    return dict(zip(parameters, found, strict=True))


def test_a_learning_rate_of_zero_changes_nothing(mllm: MLLM, edits: list[Edit]) -> None:
    patch = plan(mllm, edits[:1], lr=0.0, steps=3)
    assert all(not delta.any() for delta in patch.deltas.values())
    queries = [edit.query for edit in edits]
    plain = mllm.score(queries)
    with patch.applied(mllm) as model:
        pairs = zip(plain, model.score(queries), strict=True)
        assert all(torch.equal(a.logits, b.logits) for a, b in pairs)


@pytest.mark.parametrize("part", ["mlp.-1", "mlp.2", "connector"])
def test_the_first_step_of_adam_is_the_sign_of_the_gradient(mllm: MLLM, edits: list[Edit], part: str) -> None:
    expected = gradients(mllm, part, edits)
    patch = plan(mllm, edits, part=part, optimizer="adam", lr=1e-3, steps=1, weight_decay=0.0)
    assert patch.deltas.keys() == expected.keys()
    compared = 0
    for name, gradient in expected.items():
        closed = -1e-3 * gradient / (gradient.abs() + 1e-8)
        # Gradients near zero are all rounding.
        clear = gradient.abs() > 1e-6
        torch.testing.assert_close(patch.deltas[name][clear], closed[clear], rtol=1e-2, atol=1e-6)
        compared += int(clear.sum())
    assert compared > 1000


def test_adamw_takes_the_decay_off_the_weights(mllm: MLLM, edits: list[Edit]) -> None:
    options: dict[str, Any] = {"lr": 1e-3, "steps": 1}
    free, decayed = (plan(mllm, edits, **options, weight_decay=decay) for decay in (0.0, 0.1))
    for name, parameter in mllm.part("mlp.-1").items():
        expected = free.deltas[name] - 1e-3 * 0.1 * parameter.detach()
        torch.testing.assert_close(decayed.deltas[name], expected, rtol=0, atol=1e-6)


def test_no_weight_moves_farther_than_the_norm(mllm: MLLM, edits: list[Edit]) -> None:
    patch = plan(mllm, edits, lr=1e-2, steps=6, norm=5e-3)
    far = [delta.abs().max().item() for delta in patch.deltas.values()]
    assert max(far) <= 5e-3 * (1 + 1e-4)
    assert max(far) > 4.9e-3
    with patch.applied(mllm):
        limited = loss(mllm, edits)
    with plan(mllm, edits, lr=1e-2, steps=6).applied(mllm):
        assert loss(mllm, edits) < limited


def test_it_stops_before_a_step_when_the_loss_is_low(mllm: MLLM, edits: list[Edit]) -> None:
    before, start = Snapshot(mllm), loss(mllm, edits)
    known = plan(mllm, edits, stop_below=start + 0.01)
    before.assert_unchanged(mllm)
    assert all(not delta.any() for delta in known.deltas.values())
    threshold = start / 2
    patch = plan(mllm, edits, lr=1e-2, steps=500, stop_below=threshold)
    with patch.applied(mllm):
        end = loss(mllm, edits)
    assert 0 < end < threshold
    with plan(mllm, edits, lr=1e-2, steps=500).applied(mllm):
        assert loss(mllm, edits) < end - 1.0


@pytest.mark.parametrize(
    ("part", "layer"),
    [("mlp.-1", 5), ("layer.2", 2), ("connector", None), ("vision", None), ("*.layers.4.fc2.weight", 4)],
)
def test_only_the_part_moves_and_the_target_becomes_likely(
    mllm: MLLM, edits: list[Edit], part: str, layer: int | None
) -> None:
    before, start = Snapshot(mllm), loss(mllm, edits[:1])
    patch = plan(mllm, edits[:1], part=part, lr=5e-3)
    before.assert_unchanged(mllm)
    assert patch.first_layer(mllm) == layer
    assert patch.deltas.keys() == mllm.part(part).keys()
    with patch.applied(mllm):
        assert loss(mllm, edits[:1]) < start - 0.2
    before.assert_unchanged(mllm)


def test_only_layers_that_can_change_are_run(mllm: MLLM, edits: list[Edit]) -> None:
    loss(mllm, edits)
    seen, run = mllm.counts.vision, mllm.counts.layers
    plan(mllm, edits[:1], part="mlp.4", steps=10)
    assert mllm.counts.vision == seen
    # Four layers once, then two in each of ten steps.
    assert mllm.counts.layers - run == 4 + 10 * 2


def test_images_are_seen_anew_in_each_step_when_their_features_are_tuned(
    mllm: MLLM, edits: list[Edit]
) -> None:
    loss(mllm, edits)
    seen = mllm.counts.vision
    plan(mllm, edits[:1], part="connector", steps=4)
    assert mllm.counts.vision - seen == 4


def test_many_edits_are_learned_as_if_in_one_batch(mllm: MLLM, edits: list[Edit]) -> None:
    many = [Edit(f"{i}", edit.image, edit.prompt, edit.target) for i in range(CHUNK) for edit in edits[:2]]
    few = plan(mllm, edits[:2], lr=1e-3, steps=3)
    # Each of the two stands in the larger plan as often as the other, so that the mean loss is the same.
    patch = plan(mllm, many, lr=1e-3, steps=3)
    for name, delta in few.deltas.items():
        torch.testing.assert_close(patch.deltas[name], delta, rtol=0, atol=3e-4)
    known = plan(mllm, many, stop_below=loss(mllm, edits[:2]) + 0.01)
    assert all(not delta.any() for delta in known.deltas.values())


def test_an_error_on_the_way_leaves_the_model_as_it_was(
    mllm: MLLM, edits: list[Edit], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Snapshot(mllm)
    calls = []

    def fail(*_: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.AdamW, "step", fail)
    with pytest.raises(KeyboardInterrupt):
        plan(mllm, edits, part="layer.3")
    before.assert_unchanged(mllm)


def test_it_can_be_planned_where_gradients_are_off(mllm: MLLM, edits: list[Edit]) -> None:
    with torch.no_grad():
        one = plan(mllm, edits[:1])
    other = plan(mllm, edits[:1])
    assert all(torch.equal(one.deltas[name], other.deltas[name]) for name in one.deltas)


def test_half_precision_learns_in_float32(folder: str, edits: list[Edit]) -> None:
    mllm = MLLM.load(folder, device="cpu", dtype="bfloat16")
    start = loss(mllm, edits[:1])
    # Steps of this size are lost in bfloat16 one by one.
    patch = plan(mllm, edits[:1], lr=2e-4, steps=60, part="layer.5")
    assert all(delta.dtype == torch.float32 for delta in patch.deltas.values())
    with patch.applied(mllm):
        assert loss(mllm, edits[:1]) < start - 0.5


def test_tuning_what_sees_images_needs_images(mllm: MLLM) -> None:
    edit = Edit("text", None, "who wrote the book?", "the cat")
    with pytest.raises(UserError, match="does not act on"):
        plan(mllm, [edit], part="connector")
    with pytest.raises(UserError, match="No parameter matches"):
        plan(mllm, [edit], part="nothing")


def test_an_edit_needs_a_target() -> None:
    with pytest.raises(UserError, match="Edit blank has no target"):
        Edit("blank", None, "who?", "  ")


def test_the_published_settings() -> None:
    last = FTConfig()
    assert (last.part, last.optimizer, last.lr, last.steps, last.norm) == ("mlp.-1", "adamw", 2e-4, 15, None)
    assert FTVisionConfig() == FTVisionConfig(part="connector")
    limited = FTLConfig()
    assert (limited.norm, limited.stop_below, limited.weight_decay) == (5e-4, 1e-2, 0.0)


def test_the_loss_is_that_of_the_target_after_the_prompt(mllm: MLLM, edits: list[Edit]) -> None:
    query = edits[0].query
    (scored,) = mllm.score([query])
    by_hand = 0.0
    words = mllm.tokenizer(f" {query.target}", add_special_tokens=False)["input_ids"]
    (full,) = mllm.score([Query(query.image, query.prompt, query.target)], positions="all")
    for step, token in enumerate(words):
        by_hand -= math.log(full.logits[full.first + step].softmax(dim=-1)[token].item())
    assert target_nll([scored]).item() == pytest.approx(by_hand / len(words), rel=1e-4)
