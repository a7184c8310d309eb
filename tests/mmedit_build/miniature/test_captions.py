"""Captions are true of their scene, and what they say can be read back."""

from __future__ import annotations

import random

import pytest

from mmedit_build.miniature.captions import captions, is_true, mentions, place
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


def test_mentions_tell_number_kind_color_size_and_place_in_the_text() -> None:
    caption = "we see two small fish and an orange apple at night"
    fish, apple = mentions(caption)
    assert (fish.number, fish.kind, fish.color, fish.size) == (2, "fish", None, "small")
    assert (apple.number, apple.kind, apple.color, apple.size) == (1, "apple", "orange", None)
    assert caption[: apple.end].endswith("orange apple")
    assert place(caption) == "night sky"
    assert place("a red cat") is None
