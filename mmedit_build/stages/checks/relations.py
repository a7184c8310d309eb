"""Where things are and how they compare, read from a question: "left of", "has it below", "bigger than"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mmedit_build.stages.checks.axes import PLACES
from mmedit_build.stages.checks.phrases import (
    ASKED,
    Side,
    asked,
    asks,
    auxiliary,
    content,
    nearest,
    subject,
    tokens,
)

_SIDES = frozenset(["left", "right"])
_PREPOSITIONS = frozenset(
    ["above", "over", "atop", "below", "under", "beneath", "underneath", "behind", "before", "after"]
)
_ITS = frozenset(["its", "his", "her", "their"])
_IT = frozenset(["it", "him", "her", "them"])
_HAVING = frozenset(["has", "have", "having", "had", "with"])
_COUNTS = frozenset(["number", "count", "amount", "quantity", "numerous"])
_AMOUNT = PLACES["more"][0]
_REACH = 4
"""How many words there may be from "more" to "than"."""


@dataclass(frozen=True, slots=True)
class Relation:
    """One thing has the first pole of an axis as seen from another thing, which then has the second."""

    axis: int | str
    """Of AXES, or the comparative itself where it stands on none."""
    word_axis: int | str
    """The axis of its word: also "higher" can say more."""
    one: Side
    other: Side
    compares: bool = False
    """Whether it is said by "than"."""


@dataclass(frozen=True, slots=True)
class _Marker:
    """The words that say a relation: from start to before end."""

    word: str
    start: int
    end: int
    owned: bool = False
    """Whether it is seen from what has it: "on its left"."""


def relations(question: str) -> list[Relation]:
    """All relations of which both sides are told or asked for."""
    said = tokens(question)
    found = (_relation(said, marker) for marker in _markers(said))
    return [relation for relation in found if relation.one and relation.other]


def _markers(said: Sequence[str]) -> Iterator[_Marker]:
    for place, word in enumerate(said):
        before, after = said[place - 1] if place else "", said[place + 1 :]
        if word in _SIDES and before in _ITS:
            yield _Marker(word, place - 1, place + 1, owned=True)
        elif word in _SIDES and before.endswith("'s"):
            yield _Marker(word, place, place + 1)
        elif word in _SIDES and "of" in after[:3]:
            yield _Marker(word, place, place + 2 + after.index("of"))
        elif after[:1] == ["of"] and (word == "front" or (before, word) == ("on", "top")):
            yield _marker_before(word, place, place + 2, after[1:])
        elif "than" in after[:_REACH] and _compares(word):
            yield _Marker(word, place, place + 2 + after.index("than"))
        elif word in _PREPOSITIONS:
            yield _marker_before(word, place, place + 1, after)


def _marker_before(word: str, start: int, end: int, after: Sequence[str]) -> _Marker:
    """A preposition, which is owned where a pronoun follows: "has the cat below it"."""
    return _Marker(word, start, end, owned=bool(_IT.intersection(after[:1])))


def _compares(word: str) -> bool:
    return PLACES.get(word, (None,))[0] == _AMOUNT or (word.endswith("er") and len(word) > 4)


def _relation(said: Sequence[str], marker: _Marker) -> Relation:
    axis, pole = PLACES.get(marker.word, (marker.word, 0))
    one, other = _sides(said, marker)
    word_axis, compares = axis, said[marker.end - 1] == "than"
    if compares:
        one |= content(said[marker.start + 1 : marker.end - 1])
        if _COUNTS & (one | other):
            axis = _AMOUNT
        one, other = one - _COUNTS, other - _COUNTS
    return Relation(axis, word_axis, *((one, other) if pole == 0 else (other, one)), compares)


def _sides(said: Sequence[str], marker: _Marker) -> tuple[Side, Side]:
    before, after = said[: marker.start], said[marker.end :]
    if marker.owned:
        return _owned(before)
    if before and before[-1].endswith("'s"):
        # "on the old man's left": what lies there, and the old man.
        ons = [place for place, word in enumerate(before) if word in ("on", "to", "at", "from")]
        owner = ons[-1] if ons else len(before) - 1
        return subject(before[:owner]), content(before[owner:])
    if said[marker.end - 1] == "than" and "of" in after[:3] and _COUNTS & set(after[:2]):
        after = after[after.index("of") + 1 :]
    one, other = subject(before), nearest(after)
    if not other and ASKED not in one and asks(before):
        # "What is the cat above?"
        other = asked(before[: auxiliary(before)])
    return one, other


def _owned(before: Sequence[str]) -> tuple[Side, Side]:
    """What "it has on its left", and it."""
    places = [place for place, word in enumerate(before) if word in _HAVING]
    if not places:
        return frozenset(), frozenset()
    holder, held = before[: places[-1]], content(before[places[-1] + 1 :])
    return held or asked(holder[: auxiliary(holder)]), subject(holder)
