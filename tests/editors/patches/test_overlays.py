"""Patches that rewrite prompts or ask another model, on the tiny random BLIP-2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import pytest
import torch

from editors.base import Model, State
from editors.patches.overlays import PromptPatch, RoutedPatch, bare_prompt
from editors.under import mllm_of
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query, Scored


def assert_same(one: Sequence[Scored], other: Sequence[Scored]) -> None:
    assert len(one) == len(other)
    assert all(torch.equal(a.logits, b.logits) for a, b in zip(one, other, strict=True))


def test_pieces_stand_before_every_prompt_and_after_the_image(mllm: MLLM, probes: list[Query]) -> None:
    patch = PromptPatch(("a cat. ", "two: "))
    written = [replace(query, prompt=f"a cat. two: {query.prompt}") for query in probes]
    with patch.applied(mllm) as model:
        assert_same(model.score(probes, positions="all"), mllm.score(written, positions="all"))
        assert model.generate(probes, max_new_tokens=6) == mllm.generate(written, max_new_tokens=6)
        # What was known of the plain prompts is of no use, but does no harm.
        assert_same(model.score(mllm.below(probes, 3)), mllm.score(written))
    assert patch.first_layer(mllm) is None
    assert patch.changed == 0


def test_without_pieces_nothing_changes(mllm: MLLM) -> None:
    patch = PromptPatch(())
    with patch.applied(mllm) as model:
        assert model is mllm
    assert patch.first_layer(mllm) == mllm.n_layers


def test_whole_pieces_are_left_out_where_there_is_no_room(mllm: MLLM) -> None:
    pieces = tuple(f"{word} cat is red on the boat. " for word in ("one", "two", "three", "four"))
    patch = PromptPatch(pieces, spare=(2, 0, 1))
    short, long = Query(None, "a", "tree"), Query(None, "who wrote the book? " * 3, "tree")
    kept = []
    for query in (short, long):
        for left in ((0, 1, 2, 3), (0, 1, 3), (1, 3), (3,)):
            written = replace(query, prompt="".join(pieces[i] for i in left) + query.prompt)
            if mllm.have_room([written])[0]:
                break
        kept.append(written)
    lengths = [
        len(query.prompt) - len(written.prompt) for query, written in zip((short, long), kept, strict=True)
    ]
    assert lengths[0] < lengths[1] < 0
    with patch.applied(mllm) as model:
        assert_same(model.score([short, long]), mllm.score(kept))


def test_room_for_new_tokens_is_kept_when_writing(mllm: MLLM) -> None:
    piece = "one cat is red on the boat. "
    number = max(n for n in range(1, 30) if mllm.have_room([Query(None, piece * n)], 20)[0])
    pieces = (piece,) * (number + 2)
    with PromptPatch(pieces, spare=tuple(range(number + 2))).applied(mllm) as model:
        # The target takes no room.
        query = Query(None, "", "tree " * 40)
        expected = mllm.generate([Query(None, piece * number)], max_new_tokens=20)
        assert model.generate([query], max_new_tokens=20) == expected


def test_what_has_no_room_even_so_is_refused(mllm: MLLM) -> None:
    with (
        PromptPatch(("cat " * 20, "boat " * 70), spare=(0,)).applied(mllm) as model,
        pytest.raises(UserError, match="shorten"),
    ):
        model.score([Query(None, "a", "tree")])


def test_questions_are_taken_out_of_the_template(mllm: MLLM) -> None:
    question = "what color is the cat?"
    assert bare_prompt(mllm, mllm.question_prompt(question)) == question
    assert bare_prompt(mllm, "a photo of") == "a photo of"
    asked = [Query(None, mllm.question_prompt(question), "red"), Query(None, "a photo of", "red")]
    with PromptPatch(("New: ",), bare=True).applied(mllm) as model:
        expected = [Query(None, f"New: {question}", "red"), Query(None, "New: a photo of", "red")]
        assert_same(model.score(asked), mllm.score(expected))


class Cats(RoutedPatch):
    """Sends questions about cats to a model that is asked something else."""

    def in_scope(self, mllm: MLLM, queries: Sequence[Query]) -> list[bool]:  # noqa: ARG002
        return ["cat" in query.prompt for query in queries]

    def other(self, under: Model) -> Model:
        with PromptPatch(("Answer: ",)).applied(under) as model:
            return model

    @property
    def changed(self) -> int:
        return 0

    def state(self) -> State:
        return State()

    @classmethod
    def from_state(cls, state: State) -> Self:  # noqa: ARG003
        return cls()


def test_each_query_goes_to_its_model(mllm: MLLM, probes: list[Query]) -> None:
    patch = Cats()
    cats = ["cat" in query.prompt for query in probes]
    assert any(cats)
    assert not all(cats)
    there = [query for query, cat in zip(probes, cats, strict=True) if cat]
    here = [query for query, cat in zip(probes, cats, strict=True) if not cat]
    other = patch.other(mllm)
    told, kept = iter(other.score(there)), iter(mllm.score(here))
    expected = [next(told) if cat else next(kept) for cat in cats]
    told_texts = iter(other.generate(there, max_new_tokens=6))
    kept_texts = iter(mllm.generate(here, max_new_tokens=6))
    texts = [next(told_texts) if cat else next(kept_texts) for cat in cats]
    with patch.applied(mllm) as model:
        assert_same(model.score(probes), expected)
        assert model.generate(probes, max_new_tokens=6) == texts
        assert mllm_of(model) is mllm
        assert model.question_prompt("why?") == mllm.question_prompt("why?")


def test_out_of_scope_the_head_alone_is_run_and_the_answers_are_the_same(
    mllm: MLLM, probes: list[Query]
) -> None:
    patch = Cats()
    outside = [query for query in probes if "cat" not in query.prompt]
    below = mllm.below(outside, mllm.n_layers, for_generation=True)
    assert patch.first_layer(mllm) == mllm.n_layers
    with patch.applied(mllm) as model:
        assert_same(model.score(outside), mllm.score(outside))
        work = mllm.counts.layers
        scored = model.score(below)
        assert mllm.counts.layers == work
    for one, other in zip(scored, mllm.score(outside), strict=True):
        torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=1e-4)


def test_a_mixture_of_both_takes_what_lies_below(mllm: MLLM, probes: list[Query]) -> None:
    below = mllm.below(probes, 4, for_generation=True)
    with Cats().applied(mllm) as model:
        pairs = zip(model.score(probes), model.score(below), strict=True)
        assert model.generate(probes, max_new_tokens=6) == model.generate(below, max_new_tokens=6)
    for one, other in pairs:
        torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=1e-4)
