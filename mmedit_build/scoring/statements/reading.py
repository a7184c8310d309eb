"""Reading a caption: things with their number, color, size and place, and how they lie to each other.

English captions are noun phrases joined by small words and verbs, so a reader needs no grammar beyond these:
a phrase ends at a small word, a verb or a mark, and its last word is the thing.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

from mmedit_build.scoring.statements import nouns
from mmedit_build.scoring.statements.things import Quality, Relation, Said, Thing
from mmedit_build.scoring.statements.tokens import about, ends, is_picture, is_verb, noun, tokens
from mmedit_build.scoring.statements.vocabulary import (
    ADJECTIVES,
    COLLECTIVE,
    COLORS,
    FIRST,
    GROUPS,
    LINKS,
    NUMBERS,
    PLACES,
    RELATIONS,
    SHOWS,
    SIZES,
    VAGUE,
    Number,
)
from mmedit_build.scoring.words import singular

LONGEST = 1000
"""Letters of a caption that are read; comparing takes time with their square."""
_NO_THINGS = (FIRST, NUMBERS, SIZES, PLACES, COLORS, ADJECTIVES)
_OPENS_NOTHING = frozenset({"or", "and"})
"""What stands between two things of which the same is said."""


def read(caption: str) -> Said:
    """Read a caption; of what is far too long for one, the beginning."""
    return _Reader(tokens(caption[:LONGEST])).said


class _Reader:
    """Goes through the words once and gathers phrases."""

    def __init__(self, tokens: list[str]) -> None:
        self.said = Said()
        self._tokens = tokens
        self._phrase: list[str] = []
        self._last: int | None = None
        self._relation: tuple[str, int, int] | None = None
        self._number: Number | None = None
        self._before = ""
        for place, token in enumerate(tokens):
            self._take(place, token.removesuffix("'s"), owner=token.endswith("'s"))
        self._end(len(tokens))

    def _next(self, place: int, ahead: int = 1) -> str:
        return self._tokens[place + ahead] if place + ahead < len(self._tokens) else ""

    def _take(self, place: int, word: str, *, owner: bool) -> None:
        self.said.hints |= about(word)
        if self._between_colors(place):
            return
        if word in RELATIONS:
            self._end(place)
            of, sign = RELATIONS[word]
            self._relation = None if self._last is None else (of, sign, self._last)
            self._before = "on"
        elif ends(word) or (is_verb(word) and self._acts(place, word)):
            self._end(place)
            self._before = self._before if word in _OPENS_NOTHING else word
            self._relation = None
            if not ends(word) or not word[0].isalnum():
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
        known = [one for one in map(noun, self._phrase) if one and one not in COLORS]
        if noun(word):
            return bool(known) and not nouns.kinds(nouns.concept(known[-1])).isdisjoint(("person", "animal"))
        if known or self._phrase in ([], ["that"]) or any(singular(one) in VAGUE for one in self._phrase):
            return True
        after = self._next(place)
        return not after or ends(after) or after in FIRST or after in NUMBERS

    def _end(self, place: int) -> None:
        """Make a thing of the phrase that ends before a place."""
        phrase, self._phrase = self._phrase, []
        if not phrase:
            return
        self._show(phrase)
        head = _head(phrase)
        of = self._next(place, 0) == "of"
        if head is None or (of and singular(head) in GROUPS) or singular(head) in VAGUE:
            if of and head and singular(head) in GROUPS and not is_picture(self._tokens[place + 1 :]):
                self._number = GROUPS[singular(head)]
            else:
                self._tell(phrase, place, of=of)
            return
        if phrase[0] == "no" or self._before == "without":
            return
        if noun(head) is None and phrase[0] not in FIRST and phrase[0] not in NUMBERS:
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
        elif self._before in ("in", "on", "at", "to") and (not of or is_picture(self._tokens[place + 1 :])):
            qualities = [
                Quality(PLACES[word][0], frozenset([PLACES[word][1]])) for word in phrase if word in PLACES
            ]
        thing = self.said.things[self._last]
        told = {quality.of for quality in thing.qualities}
        more = tuple(quality for quality in qualities if quality.of not in told)
        self.said.things[self._last] = replace(thing, qualities=thing.qualities + more)

    def _add(self, phrase: list[str], head: str) -> None:
        name = nouns.concept(noun(head) or singular(head))
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
        return words[-1]
    while words and (any(words[-1] in no_things for no_things in _NO_THINGS) or _is_adverb(words[-1])):
        words.pop()
    return words[-1] if words else None


def _is_adverb(word: str) -> bool:
    return word.endswith("ly") and noun(word) is None


def _adjectives(phrase: list[str]) -> list[Quality]:
    colors = frozenset(color for word in phrase if word in COLORS for color in COLORS[word].split())
    sizes = frozenset(SIZES[word] for word in phrase if word in SIZES)
    return [Quality(of, values) for of, values in (("color", colors), ("size", sizes)) if values]


def _count(phrase: list[str], head: str, name: str, number: Number | None) -> Number:
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
    if noun(head) not in (head, None) or (noun(head) is None and singular(head) != head):
        return 2, inf
    return (1, 1) if name not in nouns.SAME_IN_PLURAL or exact else (1, inf)
