"""What a caption says: things with their number, color, size and place, and how they lie to each other.

English captions are noun phrases joined by small words and verbs, so a reader needs no grammar beyond these:
a phrase ends at a small word, a verb or a mark, and its last word is the thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from math import inf
from typing import NamedTuple

from mmedit_build.scoring.statements import nouns
from mmedit_build.scoring.statements.vocabulary import (
    ADJECTIVES,
    COLLECTIVE,
    COLORS,
    ENDS,
    FIRST,
    GROUPS,
    LINKS,
    MEANS,
    NO_VERBS,
    NUMBERS,
    PLACES,
    RELATIONS,
    SHOWS,
    SIZES,
    VAGUE,
    VERBS,
)
from mmedit_build.scoring.words import lowered, singular

_PICTURE = r"(?:the |this |an? )?(?:picture|image|photo|frame|screen|drawing)"
_BESIDE = re.compile(
    r"\b(?:(?:on|to|at|in) )?(?:(?:the|its|their|his|her) )?(left|right)(?:[- ]hand)?(?: side)? of "
    rf"(?!{_PICTURE})"
)
_PHRASES = (
    (re.compile(r"\bin front of\b"), " front_of "),
    (re.compile(r"\bon top of\b"), " atop "),
    (re.compile(r"\b(?:at|for|towards?|into) (?:the|a) camera\b"), " "),
    (
        re.compile(
            rf"\b(?:{'|'.join(NUMBERS)}) (?:way|speed|story|storey|wheeler|lane|tier|year|piece|foot)\b"
        ),
        " ",
    ),
)
"""What stands for a relation, and what looks like a thing or a number and is none."""
_TOKEN = re.compile(r"[a-z0-9_]+(?:'[a-z]+)?|[,.;:!?]")
_OF_PICTURE = re.compile(_PICTURE)


_NO_THINGS = (FIRST, NUMBERS, SIZES, PLACES, COLORS, ADJECTIVES)


class Quality(NamedTuple):
    """Something that is said of a thing, such as its color, and what it may be."""

    of: str
    values: frozenset[str]


class Relation(NamedTuple):
    """Of two things, by their places among those said: the first is left of, above or before the second."""

    of: str
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that a caption says is there."""

    name: str
    text: str
    least: int
    most: float
    counted: bool
    """Whether its number is a statement; that of grass is not."""
    qualities: tuple[Quality, ...] = ()


@dataclass(slots=True)
class Said:
    """All that a caption says."""

    things: list[Thing] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    hints: set[str] = field(default_factory=set)
    """Names of all things that any word is about: "skiing" is about skis, "pizza cutter" about pizza."""


def read(caption: str) -> Said:
    """Read a caption."""
    return _Reader(_tokens(caption)).said


def _tokens(caption: str) -> list[str]:
    text = _BESIDE.sub(r" \1_of ", lowered(caption).replace("-", " "))
    for pattern, word in _PHRASES:
        text = pattern.sub(word, text)
    tokens = _TOKEN.findall(text)
    return list(_joined(tokens))


def _joined(tokens: list[str]) -> Iterator[str]:
    """Names of two words, such as "hot dogs", as one."""
    place = 0
    while place < len(tokens):
        pair = f"{tokens[place]}_{nouns.one_of(tokens[place + 1])}" if place + 1 < len(tokens) else ""
        if pair in nouns.NAMES:
            yield f"{tokens[place]}_{tokens[place + 1]}"
            place += 2
        else:
            yield tokens[place]
            place += 1


@cache
def _noun(word: str) -> str | None:
    """The noun in the singular, if it is in the lists."""
    first, joint, last = word.rpartition("_")
    one = f"{first}{joint}{nouns.one_of(last)}"
    return one if one in nouns.NAMES else None


@cache
def _is_verb(word: str) -> bool:
    if word in NO_VERBS or word in COLORS:
        return False
    return word in VERBS or (_noun(word) is None and len(word) > 5 and word.endswith(("ing", "ed")))


@cache
def _about(word: str) -> frozenset[str]:
    """The names of things that a word is about."""
    one = _noun(word) or singular(word)
    stem = re.sub(r"(ing|ed|s)$", "", word)
    found = {nouns.concept(one), SHOWS.get(word), MEANS.get(one), MEANS.get(word), MEANS.get(stem)}
    parts = word.split("_") if "_" in word else ()
    return frozenset(name for name in found if name).union(*map(_about, parts))


def _ends(word: str) -> bool:
    """Whether a small word or a mark ends a noun phrase."""
    return word in ENDS or not word[0].isalnum()


class _Reader:
    """Goes through the words once and gathers phrases."""

    def __init__(self, tokens: list[str]) -> None:
        self.said = Said()
        self._tokens = tokens
        self._phrase: list[str] = []
        self._last: int | None = None
        self._relation: tuple[str, int, int] | None = None
        self._number: tuple[int, float] | None = None
        self._before = ""
        for place, token in enumerate(tokens):
            self._take(place, token.removesuffix("'s"), owner=token.endswith("'s"))
        self._end(len(tokens))

    def _next(self, place: int, ahead: int = 1) -> str:
        return self._tokens[place + ahead] if place + ahead < len(self._tokens) else ""

    def _take(self, place: int, word: str, *, owner: bool) -> None:
        self.said.hints |= _about(word)
        if self._between_colors(place):
            return
        if word in RELATIONS:
            self._end(place)
            of, sign = RELATIONS[word]
            self._relation = None if self._last is None else (of, sign, self._last)
            self._before = "on"
        elif _ends(word) or (_is_verb(word) and self._acts(place, word)):
            self._end(place)
            self._before = word
            self._relation = None
            if not _ends(word) or not word[0].isalnum():
                self._number = None
        elif (word in FIRST or word in NUMBERS) and self._has_noun():
            self._end(place)
            self._phrase = [word]
        elif not owner:
            self._phrase.append(word)

    def _has_noun(self) -> bool:
        return any(word not in FIRST and word not in NUMBERS for word in self._phrase)

    def _between_colors(self, place: int) -> bool:
        """Whether a comma or an "and" stands in "red, white and blue"."""
        if self._tokens[place] not in ("and", ","):
            return False
        after = self._next(place) if self._next(place) != "and" else self._next(place, 2)
        return bool(self._phrase) and self._phrase[-1] in COLORS and after in COLORS

    def _acts(self, place: int, word: str) -> bool:
        """Whether a form of a verb is one here, and not part of a noun phrase as in "a parked car"."""
        if singular(word) in GROUPS and self._next(place) == "of":
            return False
        known = [one for one in map(_noun, self._phrase) if one and one not in COLORS]
        if _noun(word):
            return bool(known) and not nouns.kinds(nouns.concept(known[-1])).isdisjoint(("person", "animal"))
        if known or not self._phrase or any(singular(one) in VAGUE for one in self._phrase):
            return True
        after = self._next(place)
        return not after or _ends(after) or after in FIRST or after in NUMBERS

    def _end(self, place: int) -> None:
        """Make a thing of the phrase that ends before a place."""
        phrase, self._phrase = self._phrase, []
        if not phrase:
            return
        self._show(phrase)
        head = _head(phrase)
        of = self._next(place, 0) == "of"
        if head is None or (of and singular(head) in GROUPS) or singular(head) in VAGUE:
            if of and head and singular(head) in GROUPS:
                self._number = GROUPS[singular(head)]
            else:
                self._tell(phrase, place, of=of)
            return
        if phrase[0] == "no" or self._before == "without":
            return
        if _noun(head) is None and phrase[0] not in FIRST and phrase[0] not in NUMBERS:
            return
        self._add(phrase, head)

    def _show(self, phrase: list[str]) -> None:
        for word in phrase:
            if word in SHOWS:
                self.said.things.append(Thing(SHOWS[word], SHOWS[word], 1, inf, counted=False))

    def _tell(self, phrase: list[str], place: int, *, of: bool) -> None:
        """Words without a thing may tell of the last one: "is red", "in the top left corner"."""
        if self._last is None:
            return
        qualities: list[Quality] = []
        if self._before in LINKS:
            qualities = _adjectives(phrase)
        elif self._before in ("in", "on", "at", "to") and (not of or self._of_picture(place)):
            qualities = [
                Quality(PLACES[word][0], frozenset([PLACES[word][1]])) for word in phrase if word in PLACES
            ]
        thing = self.said.things[self._last]
        told = {quality.of for quality in thing.qualities}
        more = tuple(quality for quality in qualities if quality.of not in told)
        self.said.things[self._last] = Thing(
            thing.name, thing.text, thing.least, thing.most, thing.counted, thing.qualities + more
        )

    def _of_picture(self, place: int) -> bool:
        return _OF_PICTURE.match(" ".join(self._tokens[place + 1 : place + 3])) is not None

    def _add(self, phrase: list[str], head: str) -> None:
        name = nouns.concept(_noun(head) or singular(head))
        qualities = tuple(_adjectives([word for word in phrase if word is not head]))
        number, self._number = self._number, None
        known = self._named_before(name) if phrase[0] in ("the", "its", "this") and not qualities else None
        if known is None:
            least, most = _count(phrase, head, name, number)
            counted = least > 0 and nouns.is_counted(name)
            if not counted:
                least, most = 1, inf
            text = " ".join(word for word in phrase if word not in FIRST).replace("_", " ")
            self.said.things.append(Thing(name, text, least, most, counted, qualities))
            known = len(self.said.things) - 1
        if self._relation is not None:
            of, sign, other = self._relation
            if other != known:
                pair = (other, known) if sign > 0 else (known, other)
                self.said.relations.append(Relation(of, *pair))
        self._relation, self._last = None, known

    def _named_before(self, name: str) -> int | None:
        places = (i for i, thing in enumerate(self.said.things) if nouns.compatible(thing.name, name))
        return next(places, None)


def _head(phrase: list[str]) -> str | None:
    """The word of a phrase that names its thing."""
    words = list(phrase)
    if len(words) > 1 and words[-1] == "orange" and words[0] in FIRST:
        return "orange"
    while words and any(words[-1] in no_things for no_things in _NO_THINGS):
        words.pop()
    return words[-1] if words else None


def _adjectives(phrase: list[str]) -> list[Quality]:
    colors = frozenset(color for word in phrase if word in COLORS for color in COLORS[word].split())
    sizes = frozenset(SIZES[word] for word in phrase if word in SIZES)
    return [Quality(of, values) for of, values in (("color", colors), ("size", sizes)) if values]


def _count(phrase: list[str], head: str, name: str, number: tuple[int, float] | None) -> tuple[int, float]:
    """The least and the most that a phrase says there are; `number` is what "a couple of" before it tells."""
    told = [NUMBERS[word] for word in phrase if word in NUMBERS] + [
        GROUPS[word] for word in phrase[:-1] if word in ("couple", "pair", "dozen")
    ]
    exact = max(told, default=None)
    if exact is not None and exact[0] > 1:
        return exact
    if number is not None and (number[0] > 0 or exact is None):
        return number
    if head in COLLECTIVE:
        return COLLECTIVE[head]
    if _noun(head) not in (head, None) or (_noun(head) is None and singular(head) != head):
        return 2, inf
    return (1, 1) if name not in ("sheep", "fish", "deer") or exact else (1, inf)
