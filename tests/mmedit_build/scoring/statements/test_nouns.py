"""What words name."""

from __future__ import annotations

from importlib.resources import files

import pytest

from mmedit_build.scoring.statements import nouns


@pytest.mark.parametrize(
    ("one", "other"),
    [("couch", "sofa"), ("tv", "television"), ("guy", "man"), ("plane", "aircraft"), ("ocean", "sea")],
)
def test_words_for_the_same(one: str, other: str) -> None:
    assert nouns.concept(one) == nouns.concept(other)


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        ("dog", "animal", True),
        ("man", "person", True),
        ("bike", "motorcycle", True),
        ("bicycle", "motorcycle", False),
        ("boy", "man", True),
        ("child", "man", True),  # a boy is both
        ("woman", "man", False),
        ("cat", "dog", False),
        ("trampoline", "trampoline", True),
        ("trampoline", "cat", False),
    ],
)
def test_what_can_be_said_of_one_thing(one: str, other: str, *, fits: bool) -> None:
    assert nouns.compatible(one, other) is fits
    assert nouns.compatible(other, one) is fits


@pytest.mark.parametrize(
    ("word", "one"), [("women", "woman"), ("buses", "bus"), ("boxes", "box"), ("bus", "bus"), ("skis", "ski")]
)
def test_singulars(word: str, one: str) -> None:
    assert nouns.one_of(word) == one


def test_the_list_says_everything_once() -> None:
    """A word with two meanings would mean the last one; what things are kinds of is in the list as well."""
    text = (files("mmedit_build.scoring.statements") / "nouns.txt").read_text(encoding="utf-8")
    lines = [line for line in text.replace("\n    ", " ").splitlines() if line and not line.startswith("#")]
    words = [word for line in lines for word in line.partition(":")[0].split()]
    assert sorted(words) == sorted(set(words))
    general = {word for line in lines for word in line.partition(":")[2].split() if word[0] != "@"}
    assert general <= {line.split()[0] for line in lines}
