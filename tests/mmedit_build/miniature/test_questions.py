"""Answers are right on scenes answered by hand, and only questions with one answer are asked."""

from __future__ import annotations

import random

import pytest

from mmedit_build.miniature.grammar import FORMS, Meaning
from mmedit_build.miniature.questions import QUESTION_TYPES, answer, answer_type, ask, askable
from mmedit_build.miniature.world import CORNERS, Scene, Thing, scenes

TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT = range(4)
SCENE = Scene(
    (
        Thing(TOP_LEFT, "cat", "red", big=True),
        Thing(TOP_RIGHT, "fish", "blue", big=False),
        Thing(BOTTOM_LEFT, "cat", "white", big=False),
        Thing(BOTTOM_RIGHT, "car", "red", big=True),
    ),
    "sand",
)
"""A big red cat and a small blue fish over a small white cat and a big red car."""

ANSWERS = [
    (Meaning("exists", x="cat"), "yes"),
    (Meaning("exists", x="star"), "no"),
    (Meaning("exists", x="white cat"), "yes"),
    (Meaning("exists", x="blue cat"), "no"),
    (Meaning("verify", x="fish", c="blue"), "yes"),
    (Meaning("verify", x="fish", c="red"), "no"),
    (Meaning("count", x="cat"), "2"),
    (Meaning("count", x="key"), "0"),
    (Meaning("count", x="thing"), "4"),
    (Meaning("count", x="red thing"), "2"),
    (Meaning("count", x="red cat"), "1"),
    (Meaning("color", x="car"), "red"),
    (Meaning("color", x="fish"), "blue"),
    (Meaning("kind by color", c="white"), "cat"),
    (Meaning("kind by color", c="blue"), "fish"),
    (Meaning("kind by corner", corner="top right"), "fish"),
    (Meaning("kind by corner", corner="bottom right"), "car"),
    (Meaning("size", x="fish"), "small"),
    (Meaning("size", x="red cat"), "big"),
    (Meaning("position", x="car"), "bottom right"),
    (Meaning("position", x="white cat"), "bottom left"),
    (Meaning("left of", x="fish"), "cat"),
    (Meaning("left of", x="car"), "cat"),
    (Meaning("right of", x="red cat"), "fish"),
    (Meaning("right of", x="white cat"), "car"),
    (Meaning("above", x="car"), "fish"),
    (Meaning("above", x="white cat"), "cat"),
    (Meaning("below", x="fish"), "car"),
    (Meaning("background"), "sand"),
    (Meaning("more", x="cat", y="fish"), "yes"),
    (Meaning("more", x="fish", y="cat"), "no"),
    (Meaning("more", x="fish", y="car"), "no"),
    (Meaning("same color", x="fish", y="car"), "no"),
    (Meaning("bigger", x="fish", y="car"), "car"),
    (Meaning("bigger", x="car", y="fish"), "car"),
]


@pytest.mark.parametrize(("meaning", "expected"), ANSWERS)
def test_answers_by_hand(meaning: Meaning, expected: str) -> None:
    assert answer(meaning, SCENE) == expected


def test_the_answers_by_hand_cover_every_form() -> None:
    assert {meaning.form for meaning, _ in ANSWERS} == set(FORMS)


def test_things_of_one_color_have_the_same_color() -> None:
    scene = Scene(
        (Thing(TOP_LEFT, "cup", "pink", big=True), Thing(TOP_RIGHT, "key", "pink", big=True)), "snow"
    )
    assert answer(Meaning("same color", x="cup", y="key"), scene) == "yes"


def _asked(scene: Scene) -> set[Meaning]:
    return {meaning for seed in range(20) for meaning in askable(scene, random.Random(seed))}


def test_ambiguous_questions_are_not_asked() -> None:
    asked = _asked(SCENE)
    assert Meaning("size", x="red cat") in asked
    assert Meaning("left of", x="fish") in asked
    for ambiguous in (
        Meaning("color", x="cat"),
        Meaning("size", x="cat"),
        Meaning("position", x="cat"),
        Meaning("kind by color", c="red"),
        Meaning("left of", x="red cat"),
        Meaning("above", x="fish"),
        Meaning("bigger", x="cat", y="car"),
    ):
        assert ambiguous not in asked, ambiguous


def test_equal_twins_are_only_counted() -> None:
    twins = (Thing(TOP_LEFT, "ball", "green", big=True), Thing(TOP_RIGHT, "ball", "green", big=False))
    asked = _asked(Scene(twins, "grass"))
    assert Meaning("count", x="ball") in asked
    assert not asked & {
        Meaning("size", x="green ball"),
        Meaning("size", x="ball"),
        Meaning("right of", x="ball"),
    }


def test_equal_sizes_are_not_compared() -> None:
    scene = Scene(
        (Thing(TOP_LEFT, "cup", "pink", big=True), Thing(TOP_RIGHT, "key", "red", big=True)), "snow"
    )
    assert not [meaning for meaning in _asked(scene) if meaning.form == "bigger"]


def test_ask_gives_the_number_asked_for_all_different() -> None:
    for seed, scene in scenes("ask", 40):
        asked = ask(scene, random.Random(seed), 5)
        assert len(set(asked)) == len(asked) == 5
        assert asked == ask(scene, random.Random(seed), 5)
        assert len({meaning.type for meaning in asked}) >= 4


def test_every_type_is_asked_and_every_answer_varies() -> None:
    answers: dict[str, set[str]] = {}
    for seed, scene in scenes("types", 150):
        for meaning in ask(scene, random.Random(seed), 5):
            answers.setdefault(meaning.type, set()).add(answer(meaning, scene))
    assert set(answers) == set(QUESTION_TYPES)
    assert all(len(found) >= 2 for found in answers.values())
    assert answers["exists"] == answers["verify"] == {"yes", "no"}
    assert answers["position"] == set(CORNERS)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("yes", "yes/no"), ("no", "yes/no"), ("0", "number"), ("3", "number"), ("top left", "other")],
)
def test_answer_types(text: str, kind: str) -> None:
    assert answer_type(text) == kind


def test_more_questions_than_there_are_is_a_mistake_of_the_caller() -> None:
    scene = Scene((Thing(TOP_LEFT, "cup", "pink", big=True),), "snow")
    allowed = len(set(askable(scene, random.Random(0))))
    assert len(set(ask(scene, random.Random(0), allowed))) == allowed
    with pytest.raises(ValueError, match=f"allows {allowed} different questions, not {allowed + 1}"):
        ask(scene, random.Random(0), allowed + 1)
