"""Captions are true of their scene, and what they say can be read back."""

from __future__ import annotations

import random

import pytest

from mmedit_build.miniature.captions import aspects, captions, falsehood, is_true, lacks, mentions, place
from mmedit_build.miniature.world import Scene, Thing, scenes

TWO = Scene((Thing(0, "cat", "red", True), Thing(1, "ball", "blue", False)), "snow")
TWINS = Scene(
    (Thing(0, "cat", "red", True), Thing(1, "cat", "red", False), Thing(2, "key", "pink", True)), "sand"
)


def test_every_caption_is_true_of_its_scene() -> None:
    rng = random.Random(1)
    for _, scene in scenes("captions", 300):
        worded = captions(scene, rng, 5)
        assert len(set(worded)) == 5
        assert all(is_true(caption, scene) for caption in worded)


@pytest.mark.parametrize(
    ("caption", "true"),
    [
        ("a red cat and a blue ball", True),
        ("a cat with a ball in the snow", True),
        ("a big red cat to the left of a small blue ball on a snowy day", True),
        ("a red cat", False),
        ("a red cat and a red ball", False),
        ("a small red cat and a blue ball", False),
        ("a red cat and a blue ball at sea", False),
        ("two red cats and a blue ball", False),
        ("a red cat, a blue ball and a key", False),
    ],
)
def test_what_is_true_of_two_things(caption: str, true: bool) -> None:
    assert is_true(caption, TWO) is true


@pytest.mark.parametrize(
    ("caption", "true"),
    [
        ("two red cats and a pink key", True),
        ("a cat, a big red cat and a key on the sand", True),
        ("a red cat, a small red cat and a pink key", True),
        ("a big red cat, a big red cat and a pink key", False),
        ("a red cat and a pink key", False),
        ("three red cats and a pink key", False),
    ],
)
def test_what_is_true_of_twins(caption: str, true: bool) -> None:
    assert is_true(caption, TWINS) is true


def test_references_of_a_scene_say_nothing_false_of_it() -> None:
    rng = random.Random(2)
    for _, scene in scenes("references", 300):
        assert {falsehood(caption, scene) for caption in captions(scene, rng, 5)} == {None}


@pytest.mark.parametrize(
    ("caption", "sort"),
    [
        ("a red cat to the left of a blue ball in the snow", None),
        ("a blue ball to the left of a red cat", "relation"),
        ("a red cat above a blue ball", "relation"),
        ("a red cat next to a blue ball at night", "place"),
        ("a red cat in the snow", "things"),
        ("something in the snow", "things"),
    ],
)
def test_the_sort_of_a_falsehood(caption: str, sort: str | None) -> None:
    assert falsehood(caption, TWO) == sort


def test_a_corner_holds_if_something_is_there() -> None:
    alone = Scene((Thing(2, "key", "pink", True),), "sand")
    assert falsehood("a pink key in the bottom left corner", alone) is None
    assert falsehood("a pink key in the top left corner", alone) == "corner"


def test_what_more_than_half_of_the_references_tell_may_be_lacking() -> None:
    references = ("a red cat at sea", "a big red cat at sea", "a big cat on the water", "a red cat")
    assert aspects("a big red cat in the top left corner at sea") == {"size", "color", "corner", "place"}
    assert lacks("a cat", references) == {"color", "place"}
    assert lacks("an orange cat on the sand", references) == set()


def test_mentions_tell_number_kind_color_size_and_place_in_the_text() -> None:
    caption = "we see two small fish and an orange apple at night"
    fish, apple = mentions(caption)
    assert (fish.number, fish.kind, fish.color, fish.size) == (2, "fish", None, "small")
    assert (apple.number, apple.kind, apple.color, apple.size) == (1, "apple", "orange", None)
    assert caption[: apple.end].endswith("orange apple")
    assert place(caption) == "night sky"
    assert place("a red cat") is None
