"""Proposals of one step further: how replies are read, and which the words alone refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmedit_build.rows import Proposal
from mmedit_build.stages.hops import NONE, UNREADABLE, put_in_place, read_hop, refusal
from tests.mmedit_build.conftest import EDIT

CAT = replace(EDIT, id="vqa/1", question="What is in the top left corner?", target="cat", prediction="fish")
GOOD = Proposal(
    question="What does the thing in the top left corner eat?",
    premise="What does a cat eat?",
    answer="mice",
    reason=None,
)


@pytest.mark.parametrize(
    "reply",
    [
        "Picture: What does the thing in the top left corner eat?\nWords: What does a cat eat?\nAnswer: mice",
        "Here you go.\n\n**Picture:** What does the thing in the top left corner eat?\n"
        '- *Words*: "What does a cat eat?"\n\nANSWER: mice.',
    ],
)
def test_three_lines_are_a_proposal_however_they_are_dressed(reply: str) -> None:
    assert read_hop(reply) == GOOD


@pytest.mark.parametrize("reply", ["none", "None.", " *none* "])
def test_none_is_no_proposal(reply: str) -> None:
    assert read_hop(reply).reason == NONE


@pytest.mark.parametrize("reply", ["What does it eat?", "Picture: What does it eat?\nAnswer: mice"])
def test_what_lacks_a_line_is_kept_as_it_came(reply: str) -> None:
    assert read_hop(reply) == Proposal(question=reply, premise="", answer="", reason=UNREADABLE)


def test_a_proposal_in_order_passes() -> None:
    assert refusal(CAT, GOOD) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": "The thing in the corner eats this."}, "not a question"),
        ({"premise": "What a cat eats"}, "not a question"),
        ({"question": "What does the cat in the corner eat?"}, "names the right or the wrong answer"),
        ({"question": "What does it eat, if it is no fish?"}, "names the right or the wrong answer"),
        ({"question": "What do cats like this eat?"}, "names the right or the wrong answer"),
        ({"premise": "What does it eat?"}, "does not name the right answer in words"),
        ({"premise": "What does a caterpillar eat?"}, "does not name the right answer in words"),
        ({"premise": "What does a cat breathe with?"}, "in words it asks something else"),
        ({"question": "What does the thing in the top right corner eat?"}, "points elsewhere than the edit"),
        ({"question": "what is in the top left corner ?"}, "asks the same as the edit"),
        ({"answer": "a corner"}, "the answer stands in the question"),
        ({"answer": "top left"}, "the answer stands in the question"),
        ({"answer": "cat food"}, "the answer is that of the edit"),
        ({"answer": "..."}, "no short answer"),
        ({"answer": "mice and birds and fish and milk"}, "no short answer"),
    ],
)
def test_the_words_alone_refuse_much(changes: dict[str, str], reason: str) -> None:
    assert refusal(CAT, replace(GOOD, **changes)) == reason


def test_sides_that_a_thing_has_itself_are_left_alone() -> None:
    hop = replace(GOOD, question="What does the thing to the left of the fish eat?")
    reason = "points elsewhere than the edit"
    assert refusal(replace(CAT, question="What has the fish on its left?"), hop) == reason
    assert refusal(replace(CAT, question="What is to the left of the fish?"), hop) is None


def test_a_wrong_answer_that_the_edit_asks_about_may_be_named_and_the_right_one_never() -> None:
    hop = replace(GOOD, question="What does the thing to the left of the fish eat?")
    assert refusal(replace(CAT, question="What is to the left of the fish?"), hop) is None
    hop = replace(GOOD, question="What does the thing to the left of the cat eat?")
    reason = "names the right or the wrong answer"
    assert refusal(replace(CAT, question="What is to the left of the cat?"), hop) == reason


def test_a_number_is_named_in_words_too() -> None:
    edit = replace(CAT, question="How many wheels has it?", target="4", prediction="2")
    hop = replace(GOOD, question="What has four wheels?", premise="What has 4 wheels?", answer="car")
    assert refusal(edit, hop) == "names the right or the wrong answer"


@pytest.mark.parametrize(
    ("premise", "target", "other", "expected"),
    [
        ("What does a cat eat?", "cat", "fish", "What does a fish eat?"),
        ("A cat is covered with what?", "cat", "apple", "An apple is covered with what?"),
        ("Where does an apple grow?", "apple", "banana", "Where does a banana grow?"),
        ("What does the Cat eat?", "cat", "dog", "What does the dog eat?"),
        ("Who painted The Starry Night?", "the starry night", "Guernica", "Who painted Guernica?"),
        ("Do cats eat?", "cat", "dog", "Do cats eat?"),
        ("Which tag is a.b?", "a.b", "c\\1", "Which tag is c\\1?"),
        ("What does a cat eat?", "", "dog", "What does a cat eat?"),
    ],
)
def test_another_answer_is_put_in_place_with_its_article(
    premise: str, target: str, other: str, expected: str
) -> None:
    assert put_in_place(premise, target, other) == expected
