"""Who does something to whom, read from a question: "is the cat chasing", "is chased by", "who chases"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mmedit_build.scoring.text import AUXILIARIES
from mmedit_build.stages.checks.axes import PLACES
from mmedit_build.stages.checks.phrases import (
    ASKED,
    SEEING,
    Side,
    asked,
    asks,
    auxiliary,
    content,
    nearest,
    tokens,
)
from mmedit_build.stages.checks.trial import FUNCTIONS

_BEING_WORDS = "is are was were be been being isn't aren't wasn't weren't get gets getting got"
_BEING = frozenset(_BEING_WORDS.split())
_DOING = frozenset(("do", "does", "did", "don't", "doesn't", "didn't"))
_NOUN_WORDS = """
    building wedding ceiling king ring string evening morning clothing thing something anything nothing
    everything wing painting railing during spring sling earring dressing topping crossing covering
"""
_NOUNS = frozenset(_NOUN_WORDS.split())
"""Words in -ing that are no verbs."""
_DETERMINERS = "a an the this that these those his her its their my your of"
_BEFORE_NOUNS = frozenset(_DETERMINERS.split())
_PARTICIPLES = {
    "held": "hold", "ridden": "ride", "worn": "wear", "driven": "drive", "eaten": "eat", "taken": "take",
    "thrown": "throw", "caught": "catch", "fed": "feed", "led": "lead", "given": "give", "bitten": "bite",
    "hit": "hit", "kept": "keep", "flown": "fly", "swung": "swing", "made": "make", "drunk": "drink",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Deed:
    """A verb, who does it, and to whom."""

    stem: str
    one: Side
    other: Side


def stem(word: str) -> str:
    """A verb without its ending, crudely: what matters is that its forms come to the same."""
    word = re.sub(r"(?:ing|ed|es|s|e)$", "", _PARTICIPLES.get(word, word))
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def verbs(question: str) -> set[str]:
    """The stems of all that looks like a verb."""
    said = tokens(question)
    return {stem(said[place]) for place in _verbs(said)}


def deeds(question: str, stems: set[str]) -> list[Deed]:
    """What is done by the verbs of these stems, as far as both sides are told or asked for."""
    said = tokens(question)
    places = [place for place, word in enumerate(said) if _is_telling(word) and stem(word) in stems]
    found = [Deed(stem(said[place]), *_sides(said, place)) for place in places if _is_plain(said, place)]
    times = Counter(stem(said[place]) for place in places)
    return [deed for deed in found if deed.one and deed.other and times[deed.stem] == 1]


def _is_plain(said: Sequence[str], place: int) -> bool:
    """Whether it is the verb of a main clause, unlike "the drawing", "drink" in "which drink is", and
    "wearing" in "what is the hat she is wearing": there the sides lie elsewhere."""
    if said[place - 1] in _BEFORE_NOUNS:
        return False
    start = auxiliary(said)
    if start is None or start > place:
        return start is None and place > 0
    groups = [at for at in range(place) if said[at] in AUXILIARIES and said[at - 1] not in AUXILIARIES]
    return len(groups) == 1 or (len(groups) == 2 and said[place - 1] in ("being", "been"))


def _verbs(said: Sequence[str]) -> list[int]:
    """The places of what looks like a verb behind the auxiliary."""
    start = auxiliary(said)
    if start is None:
        return []
    places = [place for place in range(start + 1, len(said)) if _is_telling(said[place])]
    if said[start] in _DOING:
        return _end_of_phrase(said, places)
    return [place for place in places if said[place].endswith("ing") or _is_participle(said[place])]


def _end_of_phrase(said: Sequence[str], places: Sequence[int]) -> list[int]:
    """The verb behind a subject: the last of the first telling words that stand together."""
    first = next((place for place in places if place + 1 not in places), None)
    if first is None or first - 1 not in places:
        return []
    return [] if first + 1 < len(said) and said[first + 1] in AUXILIARIES else [first]


def _is_telling(word: str) -> bool:
    return not any(word in listed for listed in (FUNCTIONS, AUXILIARIES, PLACES, SEEING, _NOUNS))


def _is_participle(word: str) -> bool:
    return word.endswith("ed") or word in _PARTICIPLES


def _sides(said: Sequence[str], place: int) -> tuple[Side, Side]:
    """Who does it, and to whom."""
    start = auxiliary(said[:place])
    before = said[start + 1 : place] if start is not None else ()
    questioned = asked(said[:start]) if asks(said[:start]) else frozenset()
    told, after = content(before), said[place + 1 :]
    if _is_passive(said[: place + 1]):
        doer = nearest(after[after.index("by") + 1 :]) if "by" in after else frozenset()
        if not doer and "by" in (*said[:start], *after):
            doer = questioned
        return doer, told or questioned
    if told:
        return told, nearest(after) or (questioned and frozenset((ASKED,)) | questioned)
    return questioned or content(said[:place]), nearest(after)


def _is_passive(said: Sequence[str]) -> bool:
    return _is_participle(said[-1]) and not _BEING.isdisjoint(said[:-1])
