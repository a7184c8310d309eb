"""VisEdit on the tiny random BLIP-2."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from editors.adaptors.influence import influence, sampled_influence, traced
from editors.adaptors.modules import Adaptor, Signals
from editors.adaptors.patch import AdaptorPatch, nearest
from editors.base import Edit, TrainEdit
from editors.growing import Made
from editors.losses import locality_kl, target_nll
from editors.patches.hooks import hooked
from editors.saving import load_patch, save_patch
from editors.visedit import GatedPractice, VisEdit, VisEditConfig
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Batch, Query
from tests.editors.contract import answers, assert_equal

WIDTH = 32
OPTIONS: dict[str, Any] = {
    "steps": 2,
    "batch_size": 2,
    "middle": 16,
    "gate_middle": 8,
    "layer": 2,
    "sampled": 3,
}


@pytest.fixture
def editor(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> VisEdit:
    return fitted(mllm, train, tmp_path)


def fitted(mllm: MLLM, train: Sequence[TrainEdit], folder: Path, **options: Any) -> VisEdit:
    found = VisEdit(VisEditConfig(**OPTIONS | options))
    found.fit(mllm, train[:2], train[2:], work=folder, advance=lambda _: None)
    return found


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def adaptor_of(patch: AdaptorPatch) -> Adaptor:
    return patch.placed[0].adaptor


def moved(mllm: MLLM, patch: AdaptorPatch, query: Query) -> list[int]:
    """The positions of a query that are others when they leave the patch's layer."""
    kept: list[torch.Tensor] = []

    def keep(batch: Batch, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
        kept.append(y.clone())
        return y

    layer = mllm.layer_name(patch.placed[0].layer)
    with hooked(mllm, {layer: keep}), patch.applied(mllm), hooked(mllm, {layer: keep}):
        mllm.score([query])
    return (kept[0] != kept[1]).any(dim=-1)[0].nonzero()[:, 0].tolist()


def test_the_positions_of_the_image_move_and_no_other(mllm: MLLM, editor: VisEdit, edits: list[Edit]) -> None:
    patch = editor.plan(mllm, edits[:1])
    (row,) = mllm.rows([edits[1].query])
    assert moved(mllm, patch, edits[1].query) == list(row.image)
    assert patch.first_layer(mllm) == 2


def test_text_alone_is_answered_bit_for_bit(
    mllm: MLLM, editor: VisEdit, edits: list[Edit], mixture: list[Query]
) -> None:
    before = answers(mllm, mixture)
    with editor.plan(mllm, edits[:1]).applied(mllm) as model:
        after = answers(model, mixture)
    for query, one, other in zip(mixture, before, after, strict=True):
        assert torch.equal(one, other) is (query.image is None)


@pytest.mark.parametrize("shut", ["output", "gate"])
def test_what_adds_nothing_changes_nothing(
    mllm: MLLM, editor: VisEdit, edits: list[Edit], mixture: list[Query], shut: str
) -> None:
    patch = editor.plan(mllm, edits[:1])
    adaptor = adaptor_of(patch)
    assert adaptor.gate is not None
    with torch.no_grad():
        if shut == "output":
            adaptor.leave.weight.zero_()
            adaptor.leave.bias.zero_()
        else:
            for side, sign in ((adaptor.gate.map_states, 1), (adaptor.gate.map_ends, -1)):
                side.leave.bias.fill_(sign * 1e4)
    expected = answers(mllm, mixture)
    with patch.applied(mllm) as model:
        assert_equal(expected, answers(model, mixture))


def test_of_one_token_the_adaptor_sees_its_value_everywhere() -> None:
    adaptor = Adaptor(WIDTH, 16, 4).double()
    states, token = drawn(1, 5, WIDTH), drawn(1, 1, WIDTH)
    change, gate = adaptor(states, Signals(token, torch.tensor([[True]]), token[:, 0]))
    expected = adaptor.leave(adaptor.attend.value(adaptor.norm_edit(token)))
    assert gate is None
    torch.testing.assert_close(change, expected.expand(1, 5, WIDTH), rtol=0, atol=1e-12)


def test_padding_of_an_edit_is_not_seen() -> None:
    adaptor = Adaptor(WIDTH, 16, 4, 8).double()
    states, edit = drawn(2, 5, WIDTH), drawn(2, 6, WIDTH)
    real = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    both, logits = adaptor(states, Signals(edit, real, edit[:, 2]))
    alone, own = adaptor(states[1:], Signals(edit[1:, :4], real[1:, :4], edit[1:, 2]))
    assert logits is not None
    assert own is not None
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=1e-12)
    torch.testing.assert_close(logits[1:], own, rtol=0, atol=1e-12)


def test_influence_is_what_noise_at_a_feature_changes_in_the_attention(mllm: MLLM, edits: list[Edit]) -> None:
    below = mllm.below([edits[0].query], 2)
    row, layers, places = below.rows[0], range(3, 5), below.rows[0].image[1:3]
    noises = torch.randn(2, 2, WIDTH)
    found = influence(mllm, below, layers, places, noises)
    expected = torch.zeros(2)
    for noise, layer in zip(noises, layers, strict=True):
        norm = mllm.model.get_submodule(f"{mllm.layer_name(layer)}.self_attn_layer_norm")
        attention = mllm.model.get_submodule(f"{mllm.layer_name(layer)}.self_attn")
        entering = norm(mllm.below([edits[0].query], layer).hidden[0][None])
        mask = torch.full((row.length, row.length), -torch.inf).triu(1)[None, None]
        (clean,) = attention(hidden_states=entering, attention_mask=mask)[:1]
        for number, place in enumerate(places):
            noisy = entering.clone()
            noisy[0, place] += noise[number]
            (other,) = attention(hidden_states=noisy, attention_mask=mask)[:1]
            ends = (one[0, row.prompt_length - 1] for one in (clean, other))
            expected[number] += (1 - F.cosine_similarity(next(ends), next(ends), dim=0)) / 2
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert influence(mllm, below, layers, places, 0 * noises).abs().max() < 1e-6


def test_influences_are_shares_of_some_features(mllm: MLLM, edits: list[Edit]) -> None:
    below = mllm.below([edits[0].query], 2)
    shares = [
        sampled_influence(mllm, below, traced(mllm, 2), number=3, noise=0.7, rng=random.Random(seed))
        for seed in (0, 0, 1)
    ]
    assert len(shares[0].features) == len(set(shares[0].features.tolist())) == 3
    assert float(shares[0].shares.sum()) == pytest.approx(1)
    assert torch.equal(shares[0].shares, shares[1].shares)
    assert not torch.equal(shares[0].shares, shares[2].shares)
    still = sampled_influence(mllm, below, traced(mllm, 2), number=3, noise=0.0, rng=random.Random(0))
    assert float(still.shares.sum()) <= 1
    # All but the last layer, unless there is no other.
    assert list(traced(mllm, 2)) == [3, 4]
    assert list(traced(mllm, 4)) == [5]


def test_the_loss_is_that_of_the_paper(mllm: MLLM, editor: VisEdit, train: list[TrainEdit]) -> None:
    practice = GatedPractice(mllm, editor._placed, editor.config, (train, train))
    expected = torch.zeros(())
    for one in train:
        asked = [one.edit.query, one.text_rephrase or one.edit.query, one.image_rephrase or one.edit.query]
        kept = list(one.image_locality)
        before = [mllm.score([query]) for query in kept]
        with editor.plan(mllm, [one.edit]).applied(mllm) as model:
            expected += sum(float(target_nll(model.score([query]))) for query in asked)
            expected += sum(
                float(locality_kl(old, model.score([query]))) / len(kept)
                for old, query in zip(before, kept, strict=True)
            )
    with torch.no_grad():
        gated = practice.mean_loss(practice._train, None)
        practice._config = editor.config.model_copy(update={"gate_weight": 0.0})
        plain = practice.mean_loss(practice._train, None)
        edits = practice._told.of([one.inner for one in practice._train])
        told = [one.inner for one in practice._train] * 3
        _, weighed = practice._scored(edits, told, [0, 1, 2] * 3)
    assert float(plain) == pytest.approx(float(expected) / 3, rel=1e-4)
    # The gate's own part, where nothing is to be shut.
    logits = weighed[0].logits
    shares = [practice._influence.of([number])[0] for number in told]
    by_hand = -F.logsigmoid(logits).mean() - sum(
        float(one.shares @ row[one.features].log_softmax(0)) for row, one in zip(logits, shares, strict=True)
    ) / len(told)
    assert float(practice.of_gate(weighed[0], told)) == pytest.approx(float(by_hand), rel=1e-5)
    assert float(gated) > float(plain)


def test_gradients_reach_all_that_is_learned(mllm: MLLM, editor: VisEdit, train: list[TrainEdit]) -> None:
    practice = GatedPractice(mllm, editor._placed, editor.config, (train, train))
    practice.module.requires_grad_(True)
    practice.loss([0, 1], random.Random(1)).backward()
    for name, parameter in practice.module.named_parameters():
        assert parameter.grad is not None, name
        # What is added to all keys alike changes no attention.
        assert parameter.grad.any() or name.endswith("attend.key.bias"), name
    assert not any(one.requires_grad for one in mllm.model.parameters())


def test_of_several_edits_the_one_most_like_the_query_counts(
    mllm: MLLM, editor: VisEdit, edits: list[Edit], tmp_path: Path
) -> None:
    alone = [editor.plan(mllm, [edit]) for edit in edits]
    patch = editor.plan(mllm, edits)
    for edit, one in zip(edits, alone, strict=True):
        with one.applied(mllm) as model:
            expected = answers(model, [edit.query])
        with patch.applied(mllm) as model:
            assert_equal(expected, answers(model, [edit.query]))
    # One by one they are the very same patch, also from a file.
    grown = alone[0]
    for number in (1, 2):
        grown = editor.extend(mllm, Made(tuple(edits[:number]), grown), [edits[number]])
    save_patch(grown, tmp_path / "patch")
    state, expected_state = load_patch(tmp_path / "patch").state(), patch.state()
    assert state.fields == expected_state.fields
    assert all(torch.equal(one, state.tensors[name]) for name, one in expected_state.tensors.items())


def test_of_equals_the_newest_counts() -> None:
    edits = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    chosen, near = nearest(edits, torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]]), 0.8)
    assert chosen.tolist() == [2, 1, 2]
    assert near.tolist() == [True, True, False]
    # As much alike as the threshold is near enough, and without one all are.
    assert nearest(edits, edits, 1.0)[1].all()
    assert nearest(edits, -edits, None)[1].all()


def test_what_cannot_be_edited_is_refused(
    mllm: MLLM, editor: VisEdit, train: list[TrainEdit], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="questions about images alone"):
        editor.plan(mllm, [Edit("text", None, "who wrote the book?", "the cat")])
    with pytest.raises(UserError, match="the last one"):
        fitted(mllm, train, tmp_path, layer=-1)
    with pytest.raises(UserError, match="3 heads"):
        fitted(mllm, train, tmp_path, heads=3)


def test_train_edits_without_an_image_are_left_out(
    mllm: MLLM, train: list[TrainEdit], tmp_path: Path
) -> None:
    text = TrainEdit(Edit("text", None, "who wrote the book?", "the cat"))
    states = [
        fitted(mllm, data, tmp_path / str(number)).fitted()
        for number, data in enumerate((train, [train[0], train[1], train[2], text]))
    ]
    assert all(torch.equal(one, states[1].tensors[name]) for name, one in states[0].tensors.items())
