"""What captions of COCO, and of drawings, state."""

from __future__ import annotations

import pytest

from mmedit_build.scoring.stated import phrases, stated


@pytest.mark.parametrize(
    ("caption", "told"),
    [
        ("A man riding a wave on top of a surfboard.", ["1 man", "1 wave", "1 surfboard"]),
        ("Two women are holding a bowl with doughnuts", ["2 women", "1 bowl"]),
        ("A group of men in an open field", ["1 open field"]),
        ("A dog sits on the grass, next to a fire hydrant", ["1 dog", "1 fire hydrant"]),
        ("a field covered with snow at night", ["1 field"]),
        ("The woman in pink is holding her tennis racket.", ["1 woman"]),
        ("A person in the air", ["1 person"]),
        ("three small sheep on a hill", ["3 small sheep", "1 hill"]),
        ("a picture of a small red house and two big green cars", ["1 small red house", "2 big green cars"]),
        ("one bus and a swimming pool", ["1 bus", "1 swimming pool"]),
        ("a view from above at 10 past two", []),
        ("Many sheep on the ground", []),
        ("a large building and a red shed parked by a tree", ["1 large building", "1 red shed", "1 tree"]),
        ("a very long and winding road", ["1 very long"]),
        ("a big old red wooden horse barn", []),
        ("", []),
    ],
)
def test_noun_phrases(caption: str, told: list[str]) -> None:
    assert [f"{one.number} {' '.join(one.name)}" for one in phrases(caption)] == told


def test_one_thing_is_asked_for_by_color_name_and_number() -> None:
    assert stated(["a red cat", "an umbrella"]) == [
        ("What is the red object?", "cat"),
        ("What color is the cat?", "red"),
        ("Is there a red cat in the picture?", "yes"),
        ("How many cats are in the picture?", "1"),
        ("Is there an umbrella in the picture?", "yes"),
        ("How many umbrellas are in the picture?", "1"),
    ]


def test_several_are_counted() -> None:
    assert stated(["two red boxes"]) == [
        ("What color are the boxes?", "red"),
        ("Are there red boxes in the picture?", "yes"),
        ("How many boxes are in the picture?", "2"),
    ]


def test_what_is_there_twice_has_neither_number_nor_color_of_its_own() -> None:
    assert stated(["a red cat and a blue cat"]) == [
        ("What is the red object?", "cat"),
        ("What is the blue object?", "cat"),
        ("Is there a red cat in the picture?", "yes"),
        ("Is there a blue cat in the picture?", "yes"),
    ]
    assert "What is the red object?" not in dict(stated(["a red cat and a red ball"]))


def test_each_question_is_asked_once_as_the_first_caption_answers_it() -> None:
    assert ("What color is the cat?", "red") in stated(["a red cat", "an orange cat"])
    assert len(stated(["a red cat", "a red cat"])) == 4


@pytest.mark.parametrize(
    ("noun", "question"),
    [
        ("person", "How many people are in the picture?"),
        ("baby", "How many babies are in the picture?"),
        ("toy", "How many toys are in the picture?"),
        ("bench", "How many benches are in the picture?"),
        ("fish", "How many fish are in the picture?"),
    ],
)
def test_plurals(noun: str, question: str) -> None:
    assert (question, "1") in stated([f"a {noun}"])


@pytest.mark.parametrize(
    ("caption", "article"),
    [("one apple", "an"), ("the unicorn", "a"), ("one old man", "an"), ("one bus", "a")],
)
def test_articles(caption: str, article: str) -> None:
    assert stated([caption])[0][0].startswith(f"Is there {article} ")
