"""LiveEdit on the tiny random BLIP-2."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from editors.base import Edit, TrainEdit
from editors.experts.modules import Experts, Reader, Seen, alike, shares_of
from editors.experts.patch import ExpertPatch, route
from editors.experts.practice import ExpertPractice, neighbours, strangers
from editors.growing import Made
from editors.learning.exercise import Locality
from editors.liveedit import LiveEdit, LiveEditConfig
from editors.losses import locality_kl, target_nll
from editors.patches.layers import leaving
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Batch, Query
from mmedit_build.mllm.rows import pad_left
from tests.editors.contract import answers, assert_equal

WIDTH = 32
OPTIONS: dict[str, Any] = {
    "steps": 2,
    "batch_size": 2,
    "middle": 16,
    "layer": 2,
    "prototype": 6,
    "margin": 0.0,
}


@pytest.fixture
def editor(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> LiveEdit:
    found = fitted(mllm, train, tmp_path)
    # The prototype is far from all images, so that experts act.
    put_prototype(found._known()[1], -1e6)
    return found


def fitted(mllm: MLLM, train: Sequence[TrainEdit], folder: Path, **options: Any) -> LiveEdit:
    found = LiveEdit(LiveEditConfig(**OPTIONS | options))
    found.fit(mllm, train[:2], train[2:], work=folder, advance=lambda _: None)
    return found


def put_prototype(reader: Reader, likeness: float) -> None:
    """Have all images so much like the prototype."""

    def likeness_of(_: Seen, image: Tensor) -> Tensor:
        return torch.full((len(image), 1), likeness)

    reader.to_prototype = likeness_of  # type: ignore[method-assign, assignment]


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def seen(mllm: MLLM, query: Query, layer: int = 2) -> Seen:
    ((states,),) = leaving(mllm, [query], (layer,))
    padded, valid = pad_left([states])
    return Seen.of(Batch([0], mllm.rows([query]), valid), padded)


def test_experts_act_at_all_positions_and_on_images_alone(
    mllm: MLLM, editor: LiveEdit, edits: list[Edit], mixture: list[Query]
) -> None:
    patch, before = editor.plan(mllm, edits), answers(mllm, mixture)
    with patch.applied(mllm) as model:
        after = answers(model, mixture)
        lifted = model.score(mllm.below(mixture, 2), positions="all")
    for query, one, other in zip(mixture, before, after, strict=True):
        assert torch.equal(one, other) is (query.image is None)
    assert patch.first_layer(mllm) == 2
    assert len(lifted) == len(mixture)


def test_nothing_acts_where_the_prototype_is_nearer(
    mllm: MLLM, editor: LiveEdit, edits: list[Edit], mixture: list[Query]
) -> None:
    patch, before = editor.plan(mllm, edits), answers(mllm, mixture)
    put_prototype(patch.reader, 1e6)
    with patch.applied(mllm) as model:
        assert_equal(before, answers(model, mixture))


def test_experts_that_put_nothing_out_change_nothing(
    mllm: MLLM, editor: LiveEdit, edits: list[Edit], mixture: list[Query]
) -> None:
    patch, before = editor.plan(mllm, edits), answers(mllm, mixture)
    patch = replace(patch, experts=replace(patch.experts, out=0 * patch.experts.out))
    with patch.applied(mllm) as model:
        assert_equal(before, answers(model, mixture))


def test_one_expert_acts_by_its_own_likeness_and_two_equal_ones_as_one() -> None:
    likeness, kept = drawn(3, 1), torch.ones(3, 1, dtype=torch.bool)
    torch.testing.assert_close(shares_of(likeness, kept), likeness.sigmoid())
    both = shares_of(likeness.expand(3, 2), kept.expand(3, 2))
    torch.testing.assert_close(both.sum(dim=1, keepdim=True), likeness.sigmoid())
    assert not shares_of(likeness, ~kept).any()
    # What was filtered out has no part in the softmax.
    mixed = shares_of(torch.cat([likeness, likeness + 5], dim=1), torch.tensor([[True, False]] * 3))
    torch.testing.assert_close(mixed, torch.cat([likeness.sigmoid(), torch.zeros(3, 1).double()], dim=1))


def test_what_an_expert_adds_is_of_its_rank() -> None:
    reader = Reader(WIDTH, 16, 2, 4, 6).double()
    experts = Experts(drawn(3, 2, 16), drawn(3, 2, 16), drawn(3, 4, WIDTH), drawn(3, 4, WIDTH))
    states, shares = drawn(2, 50, WIDTH), drawn(2, 3)
    expected = torch.zeros_like(states)
    for row in range(2):
        for number in range(3):
            excited = F.relu(reader.norm(states[row]) @ experts.into[number].mT)
            expected[row] += shares[row, number] * (excited @ experts.out[number])
    torch.testing.assert_close(reader(states, experts, shares), expected, rtol=0, atol=1e-10)
    alone = reader(states[:1], experts.take(torch.tensor([1])), shares[:1, 1:2])
    assert torch.linalg.matrix_rank(alone[0]) == 4


def test_likeness_is_the_mean_over_slots_of_scaled_products() -> None:
    some, others = drawn(2, 3, 16), drawn(4, 3, 16)
    expected = torch.einsum("nsd,msd->nms", some, others).mean(dim=2) / 4
    torch.testing.assert_close(alike(some, others), expected, rtol=0, atol=1e-12)


def test_columns_of_a_batch_are_image_question_and_answer(mllm: MLLM, edits: list[Edit]) -> None:
    for edit in edits:
        found, (row,) = seen(mllm, edit.query), mllm.rows([edit.query])
        behind = row.image[-1] + 1
        assert found.image[0].nonzero()[:, 0].tolist() == list(row.image)
        assert found.question[0].nonzero()[:, 0].tolist() == list(range(behind, row.prompt_length))
        assert found.answer[0].nonzero()[:, 0].tolist() == list(range(row.prompt_length, row.length))


def test_the_answer_enters_the_expert_and_not_what_it_is_found_by(
    mllm: MLLM, editor: LiveEdit, edits: list[Edit]
) -> None:
    one, other = (editor.plan(mllm, [replace(edits[0], target=target)]).experts for target in ("red", "two"))
    torch.testing.assert_close(one.image, other.image, rtol=0, atol=1e-6)
    torch.testing.assert_close(one.text, other.text, rtol=0, atol=1e-6)
    assert not torch.allclose(one.into, other.into, rtol=0, atol=1e-6)
    assert not torch.allclose(one.out, other.out, rtol=0, atol=1e-6)


def test_an_image_is_near_if_it_is_more_like_an_expert_than_like_the_prototype(
    mllm: MLLM, train: list[TrainEdit], edits: list[Edit], tmp_path: Path
) -> None:
    editor = fitted(mllm, train, tmp_path)
    patch, reader = editor.plan(mllm, edits), editor._known()[1]
    for edit in edits:
        told = seen(mllm, edit.query)
        image = reader.extract.image(told)
        other = reader.extract.image(told, reader.prototype)
        to_other = (image[0] * other[0]).sum(dim=1).mean() / 4
        near = [float(alike(image, one[None])) > float(to_other) for one in patch.experts.image]
        assert reader.near(told, patch.experts)[0].tolist() == near
        shares = route(reader, patch.experts, told)
        assert (shares[0] > 0).tolist() == near
    # With a margin some of them, or all.
    assert reader.near(told, patch.experts, -100.0).all()
    assert not reader.near(told, patch.experts, 100.0).any()
    equal = replace(patch.experts, image=other.expand(3, -1, -1))
    # As much alike as the prototype is not near.
    assert (
        not (alike(image, equal.image) > reader.to_prototype(told, image)).any()
        or not reader.near(told, equal).all()
    )


def test_what_was_decided_holds_for_what_is_written(
    mllm: MLLM, editor: LiveEdit, edits: list[Edit], mixture: list[Query]
) -> None:
    patch = editor.plan(mllm, edits)
    with patch.applied(mllm) as model:
        written = model.write(mixture, max_new_tokens=4)
        for query, one in zip(mixture, written, strict=True):
            # Scored along what was written, the same tokens are the likeliest with the same probabilities.
            (scored,) = model.score([replace(query, target=one.text)])
            if one.text and len(scored.target_ids) == len(one.token_log_probs):
                torch.testing.assert_close(
                    scored.token_log_probs, torch.tensor(one.token_log_probs), rtol=0, atol=1e-3
                )


def test_a_stream_is_the_patch_of_all_at_once_to_the_bit(
    mllm: MLLM, editor: LiveEdit, edits: list[Edit]
) -> None:
    grown: ExpertPatch = editor.plan(mllm, edits[:1])
    for number in (1, 2):
        grown = editor.extend(mllm, Made(tuple(edits[:number]), grown), [edits[number]])
    at_once = editor.plan(mllm, edits)
    assert all(
        torch.equal(*pair) for pair in zip(grown.experts.tensors, at_once.experts.tensors, strict=True)
    )
    assert len(grown.experts.image) == 3


def test_the_loss_is_that_of_the_paper(mllm: MLLM, editor: LiveEdit, train: list[TrainEdit]) -> None:
    practice = ExpertPractice(mllm, 2, editor._known(), editor.config, (train, train))
    lesson = practice._train[:1]
    one = train[0]
    patch = editor.plan(mllm, [one.edit])
    asked = [one.edit.query, one.text_rephrase or one.edit.query, one.image_rephrase or one.edit.query]
    kept = list(one.image_locality)
    before = [mllm.score([query]) for query in kept]
    with patch.applied(mllm) as model:
        expected = sum(float(target_nll(model.score([query]))) for query in asked)
        expected += sum(
            float(locality_kl(old, model.score([query]))) / len(kept)
            for old, query in zip(before, kept, strict=True)
        )
    with torch.no_grad():
        drawn_kept = practice.drawn_locality(lesson, None, texts=False)
        shares = torch.cat([route(patch.reader, patch.experts, seen(mllm, query)) for query in asked + kept])
        numbers = [lesson[0].inner, lesson[0].text_rephrase, lesson[0].image_rephrase]
        found = practice._answers(lesson, numbers, drawn_kept, shares)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_pairs_are_of_one_lesson_and_strangers_of_two_sorts() -> None:
    kept = Locality([7, 8, 9], [0, 0, 2], [0.5, 0.5, 1.0])
    for seed in range(20):
        for lesson, pair in enumerate(neighbours(3, kept, random.Random(seed))):
            about = [place < 9 for place in pair]
            assert about[0] == about[1]
            assert all(
                place % 3 == lesson if place < 9 else kept.owners[place - 9] == lesson for place in pair
            )
        found = strangers(3, kept, random.Random(seed))
        # The second lesson has nothing whose answer shall stay.
        assert len(found) == 2
        assert all((one < 9) != (other < 9) for one, other in found)


def test_gradients_reach_all_that_is_learned(mllm: MLLM, editor: LiveEdit, train: list[TrainEdit]) -> None:
    untouched = fitted_practice(mllm, editor, train)
    untouched.module.requires_grad_(True)
    for seed in range(4):
        untouched.loss([0, 1, 2], random.Random(seed)).backward()
    for name, parameter in untouched.module.named_parameters():
        assert parameter.grad is not None, name
        # What is added to all keys alike changes no attention.
        assert parameter.grad.any() or name.endswith("key.bias"), name


def fitted_practice(mllm: MLLM, editor: LiveEdit, train: list[TrainEdit]) -> ExpertPractice:
    again = LiveEdit(editor.config)
    again.restore(mllm, editor.fitted())
    return ExpertPractice(mllm, 2, again._known(), editor.config, (train, train))


def test_the_margin_is_tuned_unless_one_is_given(
    mllm: MLLM, train: list[TrainEdit], edits: list[Edit], tmp_path: Path
) -> None:
    tuned = fitted(mllm, train, tmp_path, margin=None)
    again = LiveEdit(tuned.config)
    again.restore(mllm, tuned.fitted())
    patch = again.plan(mllm, edits)
    assert patch.margin == tuned._margin != 0
    # Half way between what the one edit held out asks and what shall stay.
    reader, own = patch.reader, again.plan(mllm, [train[2].edit]).experts
    inside = float(reader.nearness(seen(mllm, train[2].edit.query), own))
    outside = float(reader.nearness(seen(mllm, train[2].image_locality[0]), own))
    assert patch.margin == pytest.approx((inside + outside) / 2, abs=1e-4)


def test_what_cannot_be_edited_is_refused(
    mllm: MLLM, editor: LiveEdit, train: list[TrainEdit], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="questions about images alone"):
        editor.plan(mllm, [Edit("text", None, "who wrote the book?", "the cat")])
    with pytest.raises(UserError, match="3 heads"):
        fitted(mllm, train, tmp_path, heads=3)
