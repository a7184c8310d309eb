"""Rows in the layouts of the official files."""

from __future__ import annotations

import random

import pytest

from mmedit_build.miniature.captions import is_true
from mmedit_build.miniature.grammar import parse
from mmedit_build.miniature.official import (
    Picture,
    caption_rows,
    known_question,
    okvqa_rows,
    stemmed,
    vqa_rows,
)
from mmedit_build.miniature.questions import answer
from mmedit_build.miniature.world import Scene, Thing

PICTURE = Picture(
    42, Scene((Thing(0, "cat", "red", big=True), Thing(3, "car", "pink", big=False)), "sand"), "seed"
)


def test_vqa_questions_have_right_answers() -> None:
    rows = list(vqa_rows([PICTURE]))
    assert [question["question_id"] for question, _ in rows] == [42000, 42001, 42002, 42003, 42004]
    for question, annotation in rows:
        meaning = parse(question["question"])
        assert meaning is not None
        assert annotation["multiple_choice_answer"] == answer(meaning, PICTURE.scene)
        assert annotation["question_type"] == meaning.type
        assert annotation["question_id"] == question["question_id"]


def test_okvqa_answers_have_a_raw_and_a_stemmed_form() -> None:
    ((question, annotation),) = okvqa_rows([PICTURE])
    known = known_question(PICTURE, PICTURE.rng("okvqa"))
    assert question == {"question_id": 425, "image_id": 42, "question": known.question}
    assert annotation["question_type"] == known.topic
    raw = [row["raw_answer"] for row in annotation["answers"]]
    assert max(raw, key=raw.count) == known.answer
    assert [row["answer"] for row in annotation["answers"]] == [stemmed(text) for text in raw]


def test_captions_are_true() -> None:
    rows = list(caption_rows([PICTURE]))
    assert len({row["caption"] for row in rows}) == 5
    assert all(is_true(row["caption"], PICTURE.scene) for row in rows)
    assert [row["id"] for row in rows] == [420, 421, 422, 423, 424]


def test_a_picture_draws_differently_for_each_purpose() -> None:
    assert PICTURE.rng("a").random() == PICTURE.rng("a").random() != PICTURE.rng("b").random()
    assert PICTURE.rng("a").random() == random.Random("seed/a").random()


@pytest.mark.parametrize(
    ("raw", "stem"),
    [
        ("driving", "drive"),
        ("opening doors", "open door"),
        ("rooms", "room"),
        ("grass", "grass"),
        ("gas", "gas"),
        ("key", "key"),
    ],
)
def test_stems(raw: str, stem: str) -> None:
    assert stemmed(raw) == stem
