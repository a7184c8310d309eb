"""What is wrong with captions, and what is mere style."""

from __future__ import annotations

import pytest

from mmedit_build.scoring.statements import Findings, compare, read


def findings(caption: str, *references: str) -> Findings:
    return compare(read(caption), [read(reference) for reference in references])


PHOTO = (
    "A man riding a brown horse on the beach.",
    "A guy on horseback rides along the sand.",
    "a person rides a horse near the ocean",
    "One man sitting on a large horse at the shore.",
    "a man and his horse by the sea",
)


@pytest.mark.parametrize(
    "caption",
    [
        *PHOTO,
        "a horse with a rider",
        "someone on an animal",
        "On the sand, a horse is ridden by a man",
        "a photo of a man on a horse",
        "a tan horse and a man",
    ],
)
def test_style_is_no_failure(caption: str) -> None:
    assert not findings(caption, *PHOTO)


@pytest.mark.parametrize(
    ("caption", "said_wrong", "left_out"),
    [
        ("a woman riding a horse on the beach", ("woman",), ("man",)),
        ("a man riding a white horse on the beach", ("white horse",), ()),
        ("two men riding horses", ("two men", "horses"), ()),
        ("a man on the beach", (), ("brown horse",)),
        ("a man with a dog on a horse", ("dog",), ()),
        ("a man riding a horse in the snow", ("snow",), ()),
        ("a beach", (), ("man", "brown horse")),
    ],
)
def test_failures(caption: str, said_wrong: tuple[str, ...], left_out: tuple[str, ...]) -> None:
    found = findings(caption, *PHOTO)
    assert (found.said_wrong, found.left_out) == (said_wrong, left_out)


@pytest.mark.parametrize(
    ("caption", "references", "wrong"),
    [
        ("two cats", ("a red cat and a blue cat", "two cats"), ()),
        ("a red cat and a blue cat", ("two cats", "two cats on the grass"), ()),
        ("two red cats", ("a red cat and a blue cat", "two cats"), ("two red cats",)),
        ("a cat", ("a red cat and a blue cat", "two cats"), ("one cat",)),
        ("a red cat and a red cat", ("two red cats",), ()),
        ("three red cats", ("two red cats", "several red cats"), ()),
        ("three red cats", ("two red cats", "two cats"), ("three red cats",)),
        ("a big red cat and a small blue cat", ("a small red cat and a big blue cat",),
         ("big red cat", "small blue cat")),
        ("several dogs", ("three dogs", "a group of dogs"), ()),
        ("a man and a woman", ("two people",), ()),
        ("two people", ("a man and his wife",), ()),
    ],
)  # fmt: skip
def test_twins(caption: str, references: tuple[str, ...], wrong: tuple[str, ...]) -> None:
    assert findings(caption, *references).said_wrong == wrong


@pytest.mark.parametrize(
    ("caption", "references", "wrong"),
    [
        ("a cat to the left of a dog", ("a dog to the right of a cat",), ()),
        ("a cat to the left of a dog", ("a cat to the right of a dog",), ("cat and dog",)),
        ("a cat to the left of a dog", ("a cat next to a dog", "a cat and a dog"), ()),
        ("a cat under a table", ("a cat sitting on a table",), ("table and cat",)),
        ("a cat to the left of a cat", ("a cat to the right of a cat",), ()),
        ("a star in the top left corner", ("a star in the upper left",), ()),
        ("a star in the top left corner", ("a star in the top right corner",), ("star",)),
    ],
)
def test_where_things_are(caption: str, references: tuple[str, ...], wrong: tuple[str, ...]) -> None:
    assert findings(caption, *references).said_wrong == wrong


def test_one_reference_that_agrees_is_enough() -> None:
    assert findings("a gray cat", "a white cat", "a white cat", "a grey cat").said_wrong == ()


def test_a_more_exact_word_needs_somebody_who_leaves_it_open() -> None:
    assert not findings("a dog", "an animal", "a creature")
    assert findings("a dog", "an animal", "a cat").said_wrong == ("dog",)


def test_the_setting_is_never_missed_but_may_be_wrong() -> None:
    assert not findings("a cat", "a cat on the grass", "a cat in a field")
    assert not findings("a cat on the grass", "a cat", "one cat")
    assert findings("a cat in the snow", "a cat on the grass", "a cat in a field").said_wrong == ("snow",)


def test_without_references_nothing_is_different() -> None:
    found = compare(read("a cat"), [])
    assert (found.different, found.left_out) == ((), ())
