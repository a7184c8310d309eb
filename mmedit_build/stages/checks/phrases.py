"""What stands on either side of a relation or a verb, found by auxiliaries and the order of words."""

from __future__ import annotations

from collections.abc import Sequence

from mmedit_build.scoring.text import AUXILIARIES, singular, words
from mmedit_build.stages.checks.trial import FUNCTIONS

Side = frozenset[str]

ASKED = "?"
"""What is asked for, among the words of a side."""
_ASKING = frozenset(["what", "which", "who", "whom", "whose"])
_SEEING_WORDS = """
    see seen find found locate located stand stands standing sit sits sitting lie lies lying show shows
    showing shown depict depicts depicted draw drawn place placed position positioned situated visible
    appear appears present displayed about near next around along picture image photo photograph scene
    drawing anywhere somewhere currently directly side hand
"""
SEEING = frozenset(_SEEING_WORDS.split())
"""Words which say that something is there, and no more."""


def tokens(text: str) -> list[str]:
    """The words; "what's" counts as two."""
    found: list[str] = []
    for word in words(text):
        stem, _, ending = word.partition("'")
        found += [stem, "is"] if ending == "s" and stem in _ASKING | {"there", "it"} else [word]
    return found


def asks(said: Sequence[str]) -> bool:
    """Whether one of the words asks for something."""
    return not _ASKING.isdisjoint(said)


def content(said: Sequence[str]) -> Side:
    """What words are about, in the singular."""
    bare = (word.removesuffix("'s").removesuffix("'") for word in said)
    return frozenset(singular(word) for word in bare if not _is_empty(word) and word not in SEEING)


def asked(said: Sequence[str]) -> Side:
    """What words are about, and whether they ask for it."""
    return content(said) | ({ASKED} if asks(said) else frozenset())


def subject(before: Sequence[str]) -> Side:
    """What stands before a relation: after the auxiliary, as in "is the cat | above", else what is asked for,
    as in "which animal is | above"."""
    place = auxiliary(before)
    if place is None:
        return asked(before)
    return content(before[place + 1 :]) or asked(before[:place])


def auxiliary(said: Sequence[str]) -> int | None:
    """The place of the first auxiliary verb."""
    return next((place for place, word in enumerate(said) if word in AUXILIARIES), None)


def nearest(after: Sequence[str]) -> Side:
    """The first noun phrase, which ends where a word stands that belongs to no such phrase."""
    found: list[str] = []
    for word in after:
        if not _is_empty(word):
            found.append(word)
        elif content(found):
            break
    return content(found) or asked(after)


def _is_empty(word: str) -> bool:
    return word in FUNCTIONS or word in AUXILIARIES
