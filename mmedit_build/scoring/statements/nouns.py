"""Nouns of captions: which words name the same, and which a more general thing; nouns.txt lists them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from mmedit_build.scoring.words import singular

IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "people": "person", "persons": "person",
    "mice": "mouse", "geese": "goose", "feet": "foot", "teeth": "tooth", "knives": "knife", "wolves": "wolf",
    "leaves": "leaf", "shelves": "shelf", "bookshelves": "bookshelf", "loaves": "loaf", "calves": "calf",
    "scarves": "scarf", "halves": "half", "buses": "bus", "busses": "bus", "potatoes": "potato",
    "tomatoes": "tomato", "skis": "ski", "taxis": "taxi", "cookies": "cookie", "movies": "movie",
    "hoodies": "hoodie", "veggies": "veggie", "oxen": "ox", "policemen": "policeman",
    "gentlemen": "gentleman", "firemen": "fireman", "fishermen": "fisherman", "businessmen": "businessman",
    "ladies": "lady", "families": "family", "pairs": "pair", "mangoes": "mango", "lenses": "lens",
    "doggies": "doggy", "zombies": "zombie", "selfies": "selfie", "brownies": "brownie",
    "smoothies": "smoothie",
}  # fmt: skip
SAME_IN_PLURAL = ("sheep", "fish", "deer")


def one_of(word: str) -> str:
    """The noun in the singular."""
    return IRREGULAR.get(word) or (word if word in NAMES else singular(word))


def concept(noun: str) -> str:
    """What a noun in the singular names; itself, if it is not in the lists."""
    return NAMES.get(noun, noun)


@cache
def kinds(thing: str) -> frozenset[str]:
    """The thing, and all that it is a kind of."""
    return frozenset({thing}).union(*(kinds(general) for general in _GENERAL.get(thing, ())))


@cache
def compatible(one: str, other: str) -> bool:
    """Whether something can be both: one names the other in general, or a third is a kind of both."""
    if other in kinds(one) or one in kinds(other):
        return True
    return any(one in kinds(third) and other in kinds(third) for third in _GENERAL)


def is_setting(thing: str) -> bool:
    """Whether it stands behind or below everything, such as grass."""
    return "@setting" in _GENERAL.get(thing, ())


def is_part(thing: str) -> bool:
    """Whether it is part of a body, which every body has."""
    return "@part" in _GENERAL.get(thing, ())


def is_counted(thing: str) -> bool:
    """Whether the form of its word tells how many there are."""
    return not _UNCOUNTED.intersection(_GENERAL.get(thing, ()))


def _read() -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    names: dict[str, str] = {}
    general: dict[str, tuple[str, ...]] = {}
    text = (files(__package__) / "nouns.txt").read_text(encoding="utf-8").replace("\n    ", " ")
    for line in text.splitlines():
        words, _, kinds_of = line.partition(":")
        if words and not words.startswith("#"):
            thing = words.split()[0]
            general[thing] = tuple(kinds_of.split())
            names |= dict.fromkeys(words.split(), thing)
    return names, general


_UNCOUNTED = frozenset({"@uncounted", "@setting", "@part"})
NAMES, _GENERAL = _read()
"""By each word in the lists, the thing that it names; and by each thing, what it is a kind of."""
