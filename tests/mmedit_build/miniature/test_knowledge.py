"""Knowledge questions have one right answer for their scene, and need the picture and knowledge."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mmedit_build.miniature.grammar import parse
from mmedit_build.miniature.knowledge import TOPICS, Knowledge, answers_of, ask_knowledge, askable_knowledge
from mmedit_build.miniature.knowledge_tables import ABOUT_THINGS, FINDS, GROUPS
from mmedit_build.miniature.world import KINDS, Scene, Thing, scenes

TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT = range(4)
SCENE = Scene(
    (
        Thing(TOP_LEFT, "cat", "red", big=True),
        Thing(TOP_RIGHT, "car", "blue", big=False),
        Thing(BOTTOM_LEFT, "apple", "green", big=False),
    ),
    "grass",
)


def _answers(scene: Scene) -> dict[str, str]:
    return {known.question: known.answer for known in askable_knowledge(scene)}


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is the blue thing used for?", "driving"),
        ("Which thing here can be eaten?", "apple"),
        ("What in the picture has wheels?", "car"),
        ("What sound does the animal make?", "meow"),
        ("What sound does the big thing make?", "meow"),
        ("Can you eat the thing in the top right corner?", "no"),
        ("Can you eat the thing below the cat?", "yes"),
        ("Where would you find the thing to the right of the cat?", "road"),
        ("What do you do with the green thing?", "eat"),
        ("How many fruits are in the picture?", "1"),
        ("How many toys are in the picture?", "0"),
        ("Is there an animal in the picture?", "yes"),
        ("Is there a building in the picture?", "no"),
        ("What color is the vehicle?", "blue"),
        ("Where is the fruit?", "bottom left"),
        ("How many wheels does the vehicle have?", "4"),
        ("What is the thing above the apple covered with?", "fur"),
    ],
)
def test_answers_by_hand(question: str, answer: str) -> None:
    assert _answers(SCENE)[question] == answer


@pytest.mark.parametrize(
    "question",
    [
        "What is the small thing used for?",  # two things are small
        "Is there a plant in the picture?",  # an apple could be called one
        "What in the picture is alive?",  # so could an apple
        "Is the green thing alive?",
        "What is the thing above the car used for?",  # nothing is there
        "What is the yellow thing used for?",
        "What color is the toy?",
        "What kind of thing is the animal?",  # gives its answer away
    ],
)
def test_what_is_not_asked(question: str) -> None:
    assert question not in _answers(SCENE)


def test_twins_are_not_pointed_at_by_their_group() -> None:
    cats = Scene(
        (Thing(TOP_LEFT, "cat", "red", big=True), Thing(BOTTOM_RIGHT, "cat", "red", big=True)), "snow"
    )
    answers = _answers(cats)
    assert "What sound does the animal make?" not in answers
    assert "What sound does the red thing make?" not in answers
    assert answers["What sound does the thing in the top left corner make?"] == "meow"
    assert answers["How many animals are in the picture?"] == "2"


def test_no_question_has_two_answers_or_is_one_of_the_plain_questions() -> None:
    for _, scene in scenes("knowledge", 60):
        answers: dict[str, Knowledge] = {}
        for known in askable_knowledge(scene):
            first = answers.setdefault(known.question, known)
            assert (first.answer, first.alternatives) == (known.answer, known.alternatives)
        assert all(parse(question) is None for question in random.Random(0).sample(sorted(answers), 20))


def test_questions_about_things_do_not_name_them() -> None:
    for known in askable_knowledge(Scene((Thing(TOP_LEFT, "boat", "pink", big=True),), "water")):
        assert "boat" not in known.question.lower(), known


def test_ask_gives_different_questions_of_different_topics() -> None:
    for seed, scene in scenes("ask", 40):
        asked = ask_knowledge(scene, random.Random(seed), 6)
        assert asked == ask_knowledge(scene, random.Random(seed), 6)
        assert len({known.question for known in asked}) == len({known.topic for known in asked}) == 6


def test_ask_stops_when_there_is_nothing_left_to_ask() -> None:
    everything = {known.question for known in askable_knowledge(SCENE)}
    asked = [known.question for known in ask_knowledge(SCENE, random.Random(0), 10_000)]
    assert sorted(asked) == sorted(everything)


def test_topics_are_many_and_answers_varied_and_short() -> None:
    asked = [
        known for seed, scene in scenes("all", 600) for known in ask_knowledge(scene, random.Random(seed), 2)
    ]
    assert {known.topic for known in asked} == set(TOPICS)
    assert len(TOPICS) >= 12
    answers = Counter(known.answer for known in asked)
    assert len(answers) >= 60
    assert max(answers.values()) < 0.25 * len(asked)
    assert all(len(known.answer.split()) <= 2 for known in asked)


def test_tables_name_only_kinds_of_the_world() -> None:
    for table in (*GROUPS.values(), *FINDS.values()):
        assert set(table.replace("/", " ").split()) <= set(KINDS)
    for _, table in ABOUT_THINGS.values():
        assert {entry.split(":")[0] for entry in " ".join(table.split()).split(", ")} <= set(KINDS)


def test_alternatives_are_right_answers_in_other_words() -> None:
    (known,) = (
        one for one in askable_knowledge(SCENE) if one.question == "Where would you find the blue thing?"
    )
    assert known == Knowledge("Where would you find the blue thing?", "road", ("street",), "place")


def test_answers_of_a_topic() -> None:
    assert answers_of("sound") == ("meow", "honk")
    assert answers_of("find") == ()
