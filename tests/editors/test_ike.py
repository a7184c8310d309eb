"""In-context editing: which demonstrations, in what order, and what the model is given."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from editors.base import Edit, TrainEdit
from editors.ike import IKE, IKEConfig
from editors.patches.overlays import PromptPatch
from editors.sentences import load_encoder
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query

ADJECTIVES = ("red", "small", "two", "wet")
NOUNS = ("cat", "boat", "house", "tree", "book", "water", "photo", "color", "front", "image")


def train_edit(mllm: MLLM, number: int) -> TrainEdit:
    thing = f"{ADJECTIVES[number % 4]} {NOUNS[number // 4]}"
    told = Query(None, mllm.question_prompt(f"who has the {thing}?"), f"answer {number}")
    other = Query(None, f"rephrase of {number}", f"answer {number}")
    kept = Query(None, f"fact {number}", f"truth {number}")
    more = Query(None, f"more of {number}", f"truth {number}")
    return TrainEdit(Edit(f"train/{number}", None, told.prompt, told.target), other, None, (kept, more), ())


@pytest.fixture
def train(mllm: MLLM) -> list[TrainEdit]:
    return [train_edit(mllm, number) for number in range(40)]


def fitted(mllm: MLLM, train: list[TrainEdit], **options: Any) -> IKE:
    editor = IKE(IKEConfig(encoder="base", **options))
    editor.fit(mllm, train, [], work=Path("unused"), advance=lambda _: None)
    return editor


@pytest.fixture
def wish(mllm: MLLM) -> Edit:
    return Edit("test/0", None, mllm.question_prompt("who has the two boats?"), "the cat")


def number_of(piece: str) -> int:
    return int(piece.partition("answer ")[2].split("\n")[0])


def kind_of(piece: str) -> str:
    asked = piece.partition("Prompt: ")[2]
    return "copy" if asked.startswith("who") else "update" if asked.startswith("rephrase") else "retain"


def likeness(mllm: MLLM, piece: str, other: str) -> float:
    one, two = load_encoder("base", mllm)([piece, other])
    return float(one @ two)


COPY = "New Fact: who has the two boats? the cat\nPrompt: who has the two boats? the cat\n\n"
TOLD = "New Fact: who has the two boats? the cat\nPrompt: "


def test_the_published_numbers_of_each_type_then_the_own_copy_then_the_fact(
    mllm: MLLM, train: list[TrainEdit], wish: Edit
) -> None:
    patch = fitted(mllm, train).plan(mllm, [wish])
    *shown, own, told = patch.pieces
    assert Counter(map(kind_of, shown)) == {"copy": 4, "update": 12, "retain": 16}
    assert len({number_of(piece) for piece in shown}) == 32
    assert (own, told) == (COPY, TOLD)
    for piece in shown:
        number = number_of(piece)
        question = f"who has the {ADJECTIVES[number % 4]} {NOUNS[number // 4]}?"
        endings = {
            "copy": f"{question} answer {number}",
            "update": f"rephrase of {number} answer {number}",
            "retain": f"fact {number} truth {number}",
        }
        expected = f"New Fact: {question} answer {number}\nPrompt: {endings[kind_of(piece)]}\n\n"
        assert piece == expected


def test_the_nearest_stands_last_and_the_farthest_goes_first(
    mllm: MLLM, train: list[TrainEdit], wish: Edit
) -> None:
    patch = fitted(mllm, train).plan(mllm, [wish])
    copies = [_copy(mllm, train[number_of(piece)]) for piece in patch.pieces[:-2]]
    found = [likeness(mllm, copy, COPY) for copy in copies]
    assert found == sorted(found)
    others = [_copy(mllm, one) for one in train if _copy(mllm, one) not in copies]
    assert len(others) == 8
    assert max(likeness(mllm, other, COPY) for other in others) <= found[0] + 1e-6
    assert patch.spare == tuple(range(33))
    assert patch.bare


def _copy(mllm: MLLM, one: TrainEdit) -> str:
    return (
        fitted(mllm, [one], copies=1, updates=0, retains=0).plan(mllm, [replace(one.edit, id="x")]).pieces[0]
    )


def test_easyedit_takes_the_most_similar_of_any_type_nearest_first(
    mllm: MLLM, train: list[TrainEdit], wish: Edit
) -> None:
    patch = fitted(mllm, train, variant="easyedit", copies=2, updates=2, retains=2).plan(mllm, [wish])
    *shown, own, told = patch.pieces
    assert (own, told) == (COPY, TOLD)
    found = [likeness(mllm, piece, COPY) for piece in shown]
    assert found == sorted(found, reverse=True)
    assert len(found) == 6
    everything = fitted(mllm, train, variant="easyedit", copies=200).plan(mllm, [wish]).pieces[:-2]
    assert len(everything) == 3 * 40
    assert list(everything[:6]) == shown
    # Whole demonstrations go from the far end, which is next to the own copy.
    assert patch.spare == (5, 4, 3, 2, 1, 0, 6)


def test_an_edit_of_the_pool_does_not_demonstrate_itself(mllm: MLLM, train: list[TrainEdit]) -> None:
    for variant in ("ike", "easyedit"):
        editor = fitted(mllm, train, variant=variant, copies=40, updates=0, retains=0)
        shown = editor.plan(mllm, [train[7].edit]).pieces[:-2]
        assert 7 not in {number_of(piece) for piece in shown}


def test_what_is_shown_depends_on_seed_and_edit_alone(mllm: MLLM, train: list[TrainEdit], wish: Edit) -> None:
    def kinds(wish: Edit, **options: Any) -> list[str]:
        return [kind_of(piece) for piece in fitted(mllm, train, **options).plan(mllm, [wish]).pieces[:-2]]

    assert kinds(wish) == kinds(wish)
    assert kinds(wish) != kinds(wish, seed=1)
    assert kinds(wish) != kinds(replace(wish, id="test/1"))


def test_edits_that_lack_a_type_are_not_shown(mllm: MLLM, train: list[TrainEdit], wish: Edit) -> None:
    pool = [replace(train[0], text_rephrase=None), replace(train[1], text_locality=()), *train[2:5]]
    shown = fitted(mllm, pool).plan(mllm, [wish]).pieces[:-2]
    assert {number_of(piece) for piece in shown} == {2, 3, 4}
    with pytest.raises(UserError, match="no train edit has"):
        fitted(mllm, pool[:2])
    # The pool's only edit is the edit itself.
    assert len(fitted(mllm, pool[2:3]).plan(mllm, [pool[2].edit]).pieces) == 2


def test_several_facts_are_told_one_after_the_other(mllm: MLLM, train: list[TrainEdit], wish: Edit) -> None:
    other = Edit("test/1", None, "a photo of", "a boat")
    patch = fitted(mllm, train, copies=1, updates=0, retains=0).plan(mllm, [wish, other])
    assert len(patch.pieces) == 4
    assert patch.pieces[1] == COPY
    assert patch.pieces[2] == "New Fact: a photo of a boat\nPrompt: a photo of a boat\n\n"
    assert patch.pieces[3] == (
        "New Fact: who has the two boats? the cat\nNew Fact: a photo of a boat\nPrompt: "
    )


def test_without_demonstrations_the_fact_alone_is_told(mllm: MLLM, wish: Edit) -> None:
    options: dict[str, Any] = {"copies": 0, "updates": 0, "retains": 0, "self_copy": False}
    editor = IKE(IKEConfig(encoder="no such encoder", **options))
    patch = editor.plan(mllm, [wish])
    assert patch == PromptPatch((TOLD,), (), bare=True)
    editor.fit(mllm, [], [], work=Path("unused"), advance=lambda _: None)
    with patch.applied(mllm) as model:
        (found,) = model.score([wish.query])
    (expected,) = mllm.score([Query(None, f"{TOLD}who has the two boats?", "the cat")])
    assert torch.equal(found.logits, expected.logits)


def test_mistakes(mllm: MLLM, train: list[TrainEdit], wish: Edit, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fitted"):
        IKE(IKEConfig()).plan(mllm, [wish])
    editor = IKE(IKEConfig(encoder=str(tmp_path)))
    with pytest.raises(UserError, match="name another encoder, or 'base' for the model's own"):
        editor.fit(mllm, train, [], work=tmp_path, advance=lambda _: None)


def test_the_miniature_follows_a_new_fact(miniature: MLLM, world: list[TrainEdit]) -> None:
    options: dict[str, Any] = {"copies": 0, "updates": 0, "retains": 0, "self_copy": False}
    editor = IKE(IKEConfig(**options))
    right = 0
    for one in world:
        assert one.text_rephrase is not None
        with editor.plan(miniature, [one.edit]).applied(miniature) as model:
            said = model.generate([one.edit.query, one.text_rephrase], max_new_tokens=8)
        right += sum(text == one.edit.target for text in said)
    assert right >= 0.8 * 2 * len(world)
