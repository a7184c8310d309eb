"""Closed-book facts: what the miniature's language model knows without an image, and made-up ones."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from functools import cache

from mmedit_build.miniature.fact_tables import TABLES, WORDINGS
from mmedit_build.miniature.grammar import with_articles

_INVENTABLE = ("author", "capital", "currency", "home", "inventor", "language", "painter", "young")
"""Families whose subject and answer can be made-up names."""
_PROPER = ("capital", "language")
_PERSONS = ("author", "inventor", "painter")
_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "dr", "gr", "kr", "tr")
_CODAS = ("", "", "", "l", "m", "n", "r", "s", "x")


NEW_FACT = "New Fact: {question} {answer}\nPrompt: {prompt}"
"""How in-context editing tells a new fact and asks after it."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: all wordings of its question, the first being the usual one, and the answer."""

    questions: tuple[str, ...]
    answer: str
    family: str


@cache
def facts() -> tuple[Fact, ...]:
    """All true facts, family by family."""
    return tuple(
        _fact(family, subject, answer) for family in TABLES for subject, answer in _table(family).items()
    )


def invented_facts(seed: str, number: int) -> list[Fact]:
    """`number` different facts that are not true: about made-up names, or with another subject's answer.

    `seed` begins with "train" or "test"; no fact of the one side, and no made-up name, occurs on the other.
    """
    side = _side_of_seed(seed)
    rng = random.Random(seed)
    found: dict[Fact, None] = {}
    while len(found) < number:
        make = rng.choice((_counterfactual, _about_made_up_name))
        found[make(rng, side)] = None
    return list(found)


def _side_of_seed(seed: str) -> int:
    for side, name in enumerate(("train", "test")):
        if seed.startswith(name):
            return side
    raise ValueError(f"a seed of invented facts begins with 'train' or 'test', not {seed!r}")


def _side_of_text(text: str) -> int:
    return zlib.crc32(text.encode()) % 2


@cache
def _table(family: str) -> dict[str, str]:
    entries = " ".join(TABLES[family].split()).split(", ")
    return dict(entry.split(":", 1) for entry in entries)


def _fact(family: str, subject: str, answer: str) -> Fact:
    questions = (with_articles(wording.format(x=subject).lower()) for wording in WORDINGS[family])
    return Fact(tuple(questions), answer, family)


def _counterfactual(rng: random.Random, side: int) -> Fact:
    """A true question with the answer to another question of its family."""
    while True:
        family = rng.choice(tuple(TABLES))
        table = _table(family)
        subject, answer = rng.choice(tuple(table)), rng.choice(tuple(table.values()))
        if answer != table[subject] and _side_of_text(f"{family}:{subject}:{answer}") == side:
            return _fact(family, subject, answer)


def _about_made_up_name(rng: random.Random, side: int) -> Fact:
    """A question about a made-up name; its answer is made up too, or borrowed from the family."""
    family = rng.choice(_INVENTABLE)
    subject = _made_up_name(rng, side)
    if rng.choice((True, False)):
        return _fact(family, subject, rng.choice(tuple(_table(family).values())))
    if family in _PERSONS:
        return _fact(family, subject, f"{_made_up_name(rng, side)} {_made_up_name(rng, side)}")
    name = _made_up_name(rng, side)
    return _fact(family, subject, name if family in _PROPER else name.lower())


def _made_up_name(rng: random.Random, side: int) -> str:
    while True:
        syllables = (rng.choice(_ONSETS) + rng.choice("aeiou") + rng.choice(_CODAS) for _ in range(2))
        name = ("".join(syllables) + rng.choice(("", "", "a", "ia"))).capitalize()
        if _side_of_text(name) == side and name not in _real_names():
            return name


@cache
def _real_names() -> frozenset[str]:
    """Every word of the tables, capitalized, so that no made-up name is one of them."""
    entries = (entry for family in TABLES for pair in _table(family).items() for entry in pair)
    return frozenset(word.capitalize() for entry in entries for word in entry.split())
