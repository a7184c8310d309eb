"""What captions of COCO, and of drawings, state."""

from __future__ import annotations

import pytest

from mmedit_build.scoring.stated import stated


@pytest.mark.parametrize(
    ("caption", "told"),
    [
        ("A man riding a wave on top of a surfboard.", ["a man", "a surfboard"]),
        ("Two women are holding a bowl", ["women", "a bowl"]),
        ("A dog sits on the grass, next to a fire hydrant", ["a dog", "a fire hydrant"]),
        ("a picture of a small red house and two big green cars", ["a small red house", "big green cars"]),
        ("a view from above at 10 past two", []),
        ("", []),
    ],
)
def test_what_is_there(caption: str, told: list[str]) -> None:
    there = [question for question, answer in stated([caption]) if answer == "yes"]
    assert [" ".join(question.split()[2:-3]) for question in there] == told


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
