"""What is asked about an edit's image, and of whom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.rows import EditRow
from mmedit_build.services.asking import NoAnswer
from mmedit_build.stages.quiz import Examiner, Item, items_of, known_said
from mmedit_build.work import Work
from tests.mmedit_build.stages.conftest import Told

KNOWN = {"42": [("Is it day?", "yes"), ("how many  CATS are there?", "4"), ("Where?", "home")]}


@pytest.fixture
def edit(make_edit: Any) -> EditRow:
    """How many cats are there? 2."""
    made = make_edit(42, imagined=None)
    assert isinstance(made, EditRow)
    return replace(made, caption="a dog")


def examiner(asker: Told, *, own: bool) -> Examiner:
    return Examiner(asker, Work(Path("nowhere")), own)


def test_the_own_question_comes_first_then_those_of_the_sources_then_the_captions(edit: EditRow) -> None:
    items = items_of(edit, KNOWN, 12)
    assert [item.question for item in items] == [
        edit.question,
        "Is it day?",
        "Where?",
        "Is there a dog in the picture?",
        "How many dogs are in the picture?",
    ]
    assert [item.own for item in items] == [True, False, False, False, False]
    assert items_of(edit, KNOWN, 2) == items[:2]


def test_captions_are_held_by_what_all_references_state(make_edit: Any) -> None:
    caption = make_edit(7, task="caption", target="two red cats", answers=("two red cats", "a box"))
    assert [(item.question, item.answers) for item in items_of(caption, KNOWN, 12)] == [
        ("What color are the cats?", ("red",)),
        ("Are there red cats in the picture?", ("yes",)),
        ("How many cats are in the picture?", ("2",)),
        ("Is there a box in the picture?", ("yes",)),
        ("How many boxes are in the picture?", ("1",)),
    ]


def test_only_what_is_right_about_the_original_is_asked_about_the_painting(edit: EditRow) -> None:
    asker = Told({"Is it day?": "Yes.", "Where?": "away", edit.question: "two"})
    items = items_of(edit, KNOWN, 3)
    (chosen,) = examiner(asker, own=True).choose([edit], [items])
    assert chosen == (items[0], items[1])


def test_the_base_model_is_not_asked_what_it_gets_wrong(edit: EditRow) -> None:
    asker = Told({"Is it day?": "yes", "Where?": "home"})
    (chosen,) = examiner(asker, own=False).choose([edit], [items_of(edit, KNOWN, 3)])
    assert chosen == (Item("Is it day?", ("yes",)), Item("Where?", ("home",)))
    assert asker.asked == ["Is it day?", "Where?"]


def test_nothing_is_asked_twice_about_an_original(edit: EditRow) -> None:
    asker = Told({edit.question: "2", "Is there a dog in the picture?": "yes"})
    asked = examiner(asker, own=True)
    asked.said.update(known_said(KNOWN))
    items = [items_of(edit, KNOWN, 4)] * 2
    first, second = asked.choose([edit, replace(edit, id="another")], items)
    assert first == second == tuple(items[0])
    assert asked.choose([edit], items[:1]) == [first]
    assert asker.asked == [edit.question, "Is there a dog in the picture?"]


def test_an_original_without_an_answer_is_told(edit: EditRow) -> None:
    (silent,) = examiner(Told({}), own=True).choose([edit], [items_of(edit, KNOWN, 3)])
    assert silent == NoAnswer("the server is silent")


def test_paintings_of_several_edits_are_examined_together() -> None:
    day, where = Item("Is it day?", ("yes",)), Item("Where?", ("home",))
    asker = Told({"Is it day?": "no", "Where?": "home"})
    asked = examiner(asker, own=True)
    assert asked.examine([b"1", b"2", b"3"], [(day, where), (), (where,)]) == [[day], [], []]
    assert asked.examine([b"1"], [(Item("Why?", ("so",)),)]) == [NoAnswer("the server is silent")]
