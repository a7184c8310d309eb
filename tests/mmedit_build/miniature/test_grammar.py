"""Every wording of every meaning is understood, and no wording has two meanings."""

from __future__ import annotations

import itertools
import random

import pytest

from mmedit_build.miniature.grammar import FORMS, Meaning, parse, plural, say, with_articles
from mmedit_build.miniature.questions import QUESTION_TYPES, askable
from mmedit_build.miniature.world import COLORS, CORNERS, KINDS, scenes

SLOTS: dict[str, tuple[str, ...]] = {
    "x": (*KINDS, *(f"{color} {kind}" for color, kind in zip(COLORS, KINDS, strict=False)), "orange thing"),
    "y": ("fish", "white apple"),
    "c": COLORS,
    "corner": CORNERS,
}


def _slots_of(form: str) -> list[str]:
    return [slot for slot in SLOTS if _uses(FORMS[form][0], slot)]


def _uses(wording: str, slot: str) -> bool:
    return f"{{{slot}}}" in wording or f"{{{slot}s}}" in wording


def _meanings(form: str) -> list[Meaning]:
    slots = _slots_of(form)
    return [
        Meaning(form, **dict(zip(slots, words, strict=True)))
        for words in itertools.product(*(SLOTS[slot] for slot in slots))
    ]


@pytest.mark.parametrize("form", FORMS)
def test_every_wording_has_its_meaning(form: str) -> None:
    for meaning in _meanings(form):
        for wording in say(meaning):
            assert parse(wording) == meaning, wording


def test_whatever_can_be_asked_is_understood_in_every_wording() -> None:
    said: dict[str, Meaning] = {}
    for seed, scene in scenes("grammar", 60):
        for meaning in askable(scene, random.Random(seed)):
            for wording in say(meaning):
                assert said.setdefault(wording, meaning) == meaning, wording
                assert parse(wording) == meaning, wording
    assert {meaning.form for meaning in said.values()} == set(FORMS)


def test_no_wording_is_shared() -> None:
    templates = [wording for wordings in FORMS.values() for wording in wordings]
    assert len(templates) == len(set(templates))
    wordings = [wording for form in FORMS for meaning in _meanings(form) for wording in say(meaning)]
    assert len(wordings) == len(set(wordings))


@pytest.mark.parametrize("form", FORMS)
def test_each_form_has_at_least_seven_wordings_that_use_all_its_slots(form: str) -> None:
    assert len(FORMS[form]) >= 7
    for wording in FORMS[form]:
        assert [slot for slot in SLOTS if _uses(wording, slot)] == _slots_of(form), wording


@pytest.mark.parametrize(
    ("sentence", "meaning"),
    [
        ("  what COLOR is\n the cat? ", Meaning("color", x="cat")),
        ("Is there an orange apple?", Meaning("exists", x="orange apple")),
        ("Is there a orange apple?", Meaning("exists", x="orange apple")),
        ("Are there fewer fish than red cats?", Meaning("more", x="red cat", y="fish")),
        ("What has the cat on its right?", Meaning("left of", x="cat")),
        ("Is orange the color of the car?", Meaning("verify", x="car", c="orange")),
    ],
)
def test_sentences_that_are_understood(sentence: str, meaning: Meaning) -> None:
    assert parse(sentence) == meaning


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        "cat",
        "What color is the dog?",
        "What color is the brown cat?",
        "What color is the cat",
        "What color is the cat? What color is the cat?",
        "How many cat are there?",
        "What is in the middle corner?",
        "What color is the animal?",
    ],
)
def test_sentences_that_are_not_of_the_world(sentence: str) -> None:
    assert parse(sentence) is None


def test_plurals_and_articles() -> None:
    assert [plural(name) for name in ("cat", "red fish", "thing")] == ["cats", "red fish", "things"]
    assert with_articles("A apple and a orange cat, a cup") == "An apple and an orange cat, a cup"


def test_each_type_is_a_question_type() -> None:
    assert {Meaning(form).type for form in FORMS} == set(QUESTION_TYPES)
