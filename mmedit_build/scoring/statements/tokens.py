"""The words of a caption, and what each may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from mmedit_build.scoring.statements import nouns
from mmedit_build.scoring.statements.vocabulary import (
    COLORS,
    ENDS,
    MEANS,
    NO_VERBS,
    NUMBERS,
    PLACES,
    SHOWS,
    VERBS,
)
from mmedit_build.scoring.words import lowered, singular

_PICTURE = r"(?:the |this |an? )?(?:picture|image|photo|frame|screen|drawing)"
_UNIT = "way|speed|story|storey|wheeler|lane|tier|year|piece|foot"
_BESIDE = r"(?:(?:on|to|at|in) )?(?:(?:the|its|their|his|her) )?(left|right)(?: hand)?(?: side)? of"
_PHRASES = (
    (rf"\b{_BESIDE} (?!{_PICTURE})", r" \1_of "),
    (r"\b(snow|skate|surf) board", r"\1board"),
    (r"\bin front of\b", " front_of "),
    (r"\bon top of\b", " atop "),
    (r"\b(?:at|for|towards?|into) (?:the|a) camera\b", " "),
    (rf"\b(?:{'|'.join(NUMBERS)}) (?:{_UNIT})\b", " "),
)
"""What stands for a relation, and what looks like a thing or a number and is none."""
_COMPILED = tuple((re.compile(pattern), word) for pattern, word in _PHRASES)
_TOKEN = re.compile(r"[a-z0-9_]+(?:'[a-z]+)?|[,.;:!?]")
_OF_PICTURE = re.compile(_PICTURE)


def tokens(caption: str) -> list[str]:
    """Words and marks in lower case; names of two words, such as "hot dogs", are one."""
    text = lowered(caption).replace("-", " ")
    for pattern, word in _COMPILED:
        text = pattern.sub(word, text)
    return list(_joined(_TOKEN.findall(text)))


def _joined(words: list[str]) -> Iterator[str]:
    place = 0
    while place < len(words):
        pair = f"{words[place]}_{nouns.one_of(words[place + 1])}" if place + 1 < len(words) else ""
        if pair in nouns.NAMES:
            yield f"{words[place]}_{words[place + 1]}"
            place += 2
        else:
            yield words[place]
            place += 1


@cache
def noun(word: str) -> str | None:
    """The noun in the singular, if it is in the lists."""
    first, joint, last = word.rpartition("_")
    one = f"{first}{joint}{nouns.one_of(last)}"
    return one if one in nouns.NAMES else None


@cache
def is_verb(word: str) -> bool:
    """Whether the word may be a form of a verb."""
    if word in NO_VERBS or word in COLORS or word in PLACES:
        return False
    return word in VERBS or (noun(word) is None and len(word) > 5 and word.endswith(("ing", "ed")))


@cache
def about(word: str) -> frozenset[str]:
    """The names of things that a word is about."""
    one = noun(word) or singular(word)
    stem = re.sub(r"(ing|ed|s)$", "", word)
    found = {nouns.concept(one), *SHOWS.get(word, "").split()}
    for name in {one, word, stem}:
        found.update(MEANS.get(name, "").split())
    found.update(nouns.concept(name) for name in (stem, f"{stem}e") if noun(name))
    parts = word.split("_") if "_" in word else ()
    return frozenset(found).union(*map(about, parts))


def ends(word: str) -> bool:
    """Whether a small word or a mark ends a noun phrase."""
    return word in ENDS or not word[0].isalnum()


def is_picture(words: list[str]) -> bool:
    """Whether the words begin with "the picture" or the like."""
    return _OF_PICTURE.match(" ".join(words[:2])) is not None
