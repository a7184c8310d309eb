"""Splits without leaks, balanced, in the wanted sizes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from mmedit_build.recipe import Sizes
from mmedit_build.rows import SPLITS, EditRow, Task
from mmedit_build.scoring.text import plain
from mmedit_build.stages.select import cut, select

SIZES: dict[Task, Sizes] = {"vqa": Sizes(train=60, test=20), "caption": Sizes(train=30, test=10)}


def edit(
    number: int, image: int, question: str = "", kind: str = "caption", task: str = "caption"
) -> EditRow:
    return EditRow(
        id=f"{task}/val2014/{number}",
        task=task,  # type: ignore[arg-type]
        image=f"{image}.jpg",
        image_id=str(image),
        question=question or "a photo of",
        question_type=kind,
        answers=("yes",),
        target="yes",
        prediction="no",
        first_prediction="no",
        confidence=None,
        scores={},
        base="model",
    )


def failures(seed: int, texts: int = 40, number: int = 400) -> list[EditRow]:
    rng = random.Random(seed)
    asked = [
        edit(
            i, rng.randrange(number), f"What is {(text := rng.randrange(texts))}?", f"type {text % 4}", "vqa"
        )
        for i in range(number)
    ]
    return asked + [edit(i, i, task="caption") for i in range(0, number, 4)]


def image_of(one: EditRow) -> object:
    return one.image_id


def text_of(one: EditRow) -> object:
    """Captions share their prompt, so theirs are told apart by id."""
    return plain(one.question) if one.task == "vqa" else one.id


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("key", [image_of, text_of])
def test_no_image_and_no_text_is_in_both_splits(seed: int, key: Callable[[EditRow], object]) -> None:
    edits, _ = select(failures(seed), SIZES, "seed", spare=0.25)
    train, test = ({key(one) for one in edits if one.split == split} for split in SPLITS)
    assert train
    assert test
    assert not train & test


@pytest.mark.parametrize("seed", range(5))
def test_every_row_ends_once_in_or_out(seed: int) -> None:
    found = failures(seed)
    edits, left_out = select(found, SIZES, "seed", spare=0.25)
    assert sorted([one.id for one in edits] + [one.id for one in left_out]) == sorted(one.id for one in found)


def test_the_sizes_are_those_wanted_and_some_to_spare() -> None:
    edits, _ = select(failures(0), SIZES, "seed", spare=0.2)
    sizes = Counter((one.task, one.split) for one in edits)
    assert sizes == {
        ("vqa", "train"): 72,
        ("vqa", "test"): 24,
        ("caption", "train"): 36,
        ("caption", "test"): 12,
    }
    exact, surplus = cut(edits, SIZES, "seed")
    assert Counter((one.task, one.split) for one in exact)[("vqa", "test")] == 20
    assert {one.reason for one in surplus} == {"more than wanted"}


def test_types_of_question_are_balanced_in_both_splits() -> None:
    edits, _ = select(failures(0), SIZES, "seed", spare=0)
    for split in ("train", "test"):
        types = Counter(one.question_type for one in edits if (one.task, one.split) == ("vqa", split))
        assert len(types) == 4
        assert max(types.values()) - min(types.values()) <= 4


def test_a_rare_type_is_taken_whole() -> None:
    found = [*failures(0), edit(9000, 9000, "Why so rare?", "rare", "vqa")]
    edits, _ = select(found, SIZES, "seed", spare=0)
    assert "rare" in {one.question_type for one in edits}


def test_the_same_question_about_the_same_image_is_taken_once() -> None:
    twice = [edit(1, 1, "What is it?", "what", "vqa"), edit(2, 1, "what is IT", "what", "vqa")]
    edits, left_out = select(twice, SIZES, "seed", spare=0)
    assert [one.id for one in edits] == ["vqa/val2014/1"]
    assert [(one.id, one.reason) for one in left_out] == [("vqa/val2014/2", "asked before")]


def test_the_order_of_what_was_found_does_not_matter() -> None:
    found = failures(3)
    shuffled = random.Random(0).sample(found, len(found))
    assert select(found, SIZES, "seed", spare=0.25)[0] == select(shuffled, SIZES, "seed", spare=0.25)[0]
    assert select(found, SIZES, "other", spare=0.25)[0] != select(found, SIZES, "seed", spare=0.25)[0]


def test_questions_and_captions_of_an_image_go_to_one_split() -> None:
    edits, _ = select(failures(1), SIZES, "seed", spare=9)
    splits: dict[str, set[str | None]] = {}
    for one in edits:
        splits.setdefault(one.image_id, set()).add(one.split)
    assert any(len({one.task for one in edits if one.image_id == image}) == 2 for image in splits)
    assert all(len(split) == 1 for split in splits.values())


def test_every_beginning_has_its_share_of_tasks_and_splits() -> None:
    edits, _ = select(failures(0), SIZES, "seed", spare=0)
    for length in (6, 12, 30):
        counts = Counter((one.task, one.split) for one in edits[:length])
        assert counts["vqa", "train"] == pytest.approx(length / 2, abs=1)
        assert counts["caption", "test"] == pytest.approx(length / 12, abs=1)


def test_nothing_found_gives_nothing() -> None:
    assert select([], SIZES, "seed", spare=0) == ([], [])


def test_cut_keeps_the_order_of_its_beginning() -> None:
    edits, _ = select(failures(2), SIZES, "seed", spare=0.5)
    assert cut(edits, SIZES, "seed")[0] == cut([replace(one) for one in edits], SIZES, "seed")[0]
