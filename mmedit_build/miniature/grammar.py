"""The wordings of every question of the world: from a meaning to its sentences and back.

A meaning is a form (a key of FORMS) with words for its slots. `say` gives all wordings of a meaning and
`parse` recovers the meaning of a sentence, so that "is this a valid paraphrase?" has an exact answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

from mmedit_build.miniature.world import COLORS, CORNERS, KINDS

FORMS: dict[str, tuple[str, ...]] = {
    "exists": (
        "Is there a {x} in the picture?",
        "Is there a {x}?",
        "Can you see a {x}?",
        "Can a {x} be seen here?",
        "Does the picture show a {x}?",
        "Does this drawing contain a {x}?",
        "Is a {x} visible in the image?",
        "Do you see a {x} anywhere?",
        "Is a {x} drawn here?",
    ),
    "verify": (
        "Is the {x} {c}?",
        "Is the color of the {x} {c}?",
        "Does the {x} have a {c} color?",
        "Is {c} the color of the {x}?",
        "Would you say that the {x} is {c}?",
        "Is it true that the {x} is {c}?",
        "Is the {x} in this picture {c}?",
        "Has the {x} been painted {c}?",
    ),
    "count": (
        "How many {xs} are there?",
        "How many {xs} are in the picture?",
        "How many {xs} can you see?",
        "How many {xs} does the picture show?",
        "What is the number of {xs}?",
        "What number of {xs} can be seen here?",
        "Count the {xs}: how many are there?",
        "In this image, how many {xs} are visible?",
        "How many {xs} have been drawn?",
    ),
    "color": (
        "What color is the {x}?",
        "What is the color of the {x}?",
        "Which color is the {x}?",
        "Which color does the {x} have?",
        "What color does the {x} have?",
        "In what color is the {x} drawn?",
        "The {x} is of which color?",
        "What color has the {x} been painted?",
        "Can you name the color of the {x}?",
    ),
    "kind by color": (
        "What is the {c} thing?",
        "What is the {c} object?",
        "Which object is {c}?",
        "What thing in the picture is {c}?",
        "What is painted {c}?",
        "Which thing has the color {c}?",
        "What do you call the {c} thing?",
        "The {c} object is what?",
    ),
    "kind by corner": (
        "What is in the {corner} corner?",
        "What is in the {corner}?",
        "What do you see in the {corner} of the picture?",
        "Which object is in the {corner} corner?",
        "Which thing has been drawn in the {corner}?",
        "The {corner} corner shows what?",
        "What object can be found at the {corner}?",
        "What does the {corner} part of the image show?",
    ),
    "size": (
        "Is the {x} big or small?",
        "What size is the {x}?",
        "How big is the {x}?",
        "What is the size of the {x}?",
        "Which size does the {x} have?",
        "Is the {x} a big one or a small one?",
        "Would you call the {x} big or small?",
        "Is the {x} drawn big or small?",
        "How large is the {x}?",
    ),
    "position": (
        "Where is the {x}?",
        "Where is the {x} in the picture?",
        "In which corner is the {x}?",
        "In what corner can the {x} be found?",
        "Which corner holds the {x}?",
        "What is the position of the {x}?",
        "Where do you see the {x}?",
        "In which part of the image is the {x}?",
        "Where has the {x} been drawn?",
    ),
    "left of": (
        "What is to the left of the {x}?",
        "What is on the left of the {x}?",
        "Which object is left of the {x}?",
        "What do you see to the left of the {x}?",
        "What can be found on the left side of the {x}?",
        "What has the {x} on its right?",
        "Which thing stands to the left of the {x}?",
    ),
    "right of": (
        "What is to the right of the {x}?",
        "What is on the right of the {x}?",
        "Which object is right of the {x}?",
        "What do you see to the right of the {x}?",
        "What can be found on the right side of the {x}?",
        "What has the {x} on its left?",
        "Which thing stands to the right of the {x}?",
    ),
    "above": (
        "What is above the {x}?",
        "What is over the {x}?",
        "Which object is above the {x}?",
        "What do you see above the {x}?",
        "What can be found higher up than the {x}?",
        "What has the {x} below it?",
        "Which thing is drawn over the {x}?",
    ),
    "below": (
        "What is below the {x}?",
        "What is under the {x}?",
        "Which object is below the {x}?",
        "What do you see below the {x}?",
        "What can be found lower down than the {x}?",
        "What has the {x} above it?",
        "Which thing is drawn under the {x}?",
    ),
    "background": (
        "What is in the background?",
        "What is the background?",
        "What does the background show?",
        "What kind of background does the picture have?",
        "Which background can you see?",
        "What is behind everything?",
        "What do you see in the background of the image?",
        "What has been drawn in the background?",
        "On what background is everything drawn?",
    ),
    "more": (
        "Are there more {xs} than {ys}?",
        "Are {xs} more numerous than {ys}?",
        "Do you see more {xs} than {ys}?",
        "Does the picture show more {xs} than {ys}?",
        "Is the number of {xs} higher than the number of {ys}?",
        "Are there fewer {ys} than {xs}?",
        "Can you see more {xs} than {ys} here?",
    ),
    "same color": (
        "Do the {x} and the {y} have the same color?",
        "Are the {x} and the {y} of the same color?",
        "Is the {x} the same color as the {y}?",
        "Does the {x} have the same color as the {y}?",
        "Is the color of the {x} equal to that of the {y}?",
        "Are both the {x} and the {y} painted in one color?",
        "Do the {x} and the {y} share a color?",
    ),
    "bigger": (
        "Which is bigger, the {x} or the {y}?",
        "Which one is bigger, the {x} or the {y}?",
        "What is bigger, the {x} or the {y}?",
        "Which of the two is larger, the {x} or the {y}?",
        "Between the {x} and the {y}, which is bigger?",
        "The {x} or the {y}: which one is larger?",
        "Of the {x} and the {y}, which one is bigger?",
    ),
}
"""All wordings by form. {x} and {y} are things ("cat" or "red cat"), {xs} and {ys} their plurals."""

TYPES = {
    "kind by color": "object",
    "kind by corner": "object",
    "left of": "relation",
    "right of": "relation",
    "above": "relation",
    "below": "relation",
    "more": "comparison",
    "same color": "comparison",
    "bigger": "comparison",
}
"""The question type of each form that is not named like its type."""

SYMMETRIC = ("same color", "bigger")
"""Forms that ask for the same when their two things are exchanged."""

_PLURALS = {kind: kind if kind == "fish" else f"{kind}s" for kind in (*KINDS, "thing")}
_SINGULARS = {plural: kind for kind, plural in _PLURALS.items()}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a question asks, whatever its wording. Slots that a form does not use are empty."""

    form: str
    x: str = ""
    y: str = ""
    c: str = ""
    corner: str = ""

    @property
    def type(self) -> str:
        return TYPES.get(self.form, self.form)


def plural(thing: str) -> str:
    """'red cat' -> 'red cats'."""
    *color, kind = thing.split()
    return " ".join([*color, _PLURALS[kind]])


def with_articles(text: str) -> str:
    """Turn 'a' into 'an' before a vowel."""
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def say(meaning: Meaning) -> list[str]:
    """Every wording of a meaning."""
    words = {"x": meaning.x, "y": meaning.y, "c": meaning.c, "corner": meaning.corner}
    words |= {f"{slot}s": plural(words[slot]) if words[slot] else "" for slot in "xy"}
    return [with_articles(wording.format(**words)) for wording in FORMS[meaning.form]]


def parse(text: str) -> Meaning | None:
    """The meaning of a question, or None where the sentence is not one of the world's."""
    plain = re.sub(r"\ban\b", "a", " ".join(text.lower().split()))
    for form, pattern in _patterns():
        found = pattern.fullmatch(plain)
        if found:
            slots = found.groupdict()
            for name in ("xs", "ys"):
                if name in slots:
                    slots[name[0]] = _singular(slots.pop(name))
            return Meaning(form, **slots)
    return None


def same(one: Meaning | None, other: Meaning | None) -> bool:
    """Whether two questions ask for the same."""
    return one is not None and other is not None and _sorted(one) == _sorted(other)


def all_meanings() -> Iterator[Meaning]:
    """Every question that the world allows, asked of whatever scene."""
    things = [*KINDS, *(f"{color} {kind}" for color, kind in product(COLORS, KINDS))]
    counted = [*things, "thing", *(f"{color} thing" for color in COLORS)]
    yield Meaning("background")
    yield from (Meaning("kind by color", c=color) for color in COLORS)
    yield from (Meaning("kind by corner", corner=corner) for corner in CORNERS)
    yield from (Meaning("count", x=thing) for thing in counted)
    yield from (Meaning("verify", x=kind, c=color) for kind, color in product(KINDS, COLORS))
    for form in ("exists", "color", "size", "position", "left of", "right of", "above", "below"):
        yield from (Meaning(form, x=thing) for thing in things)
    for form in ("more", "same color", "bigger"):
        yield from (Meaning(form, x=x, y=y) for x, y in product(KINDS, KINDS) if x != y)


def changed_words(one: str, other: str) -> int:
    """How many words of either sentence are not in the other."""
    first, second = (set(text.lower().strip("?").split()) for text in (one, other))
    return max(len(first - second), len(second - first))


def _sorted(meaning: Meaning) -> Meaning:
    if meaning.form not in SYMMETRIC:
        return meaning
    x, y = sorted((meaning.x, meaning.y))
    return replace(meaning, x=x, y=y)


def _singular(thing: str) -> str:
    *color, kind = thing.split()
    return " ".join([*color, _SINGULARS[kind]])


def _any_of(words: tuple[str, ...] | dict[str, str]) -> str:
    return "|".join(words)


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    color = f"(?:(?:{_any_of(COLORS)}) )?"
    one, many = f"{color}(?:{_any_of(_PLURALS)})", f"{color}(?:{_any_of(_SINGULARS)})"
    slots = {"x": one, "y": one, "xs": many, "ys": many, "c": _any_of(COLORS), "corner": _any_of(CORNERS)}
    return tuple((form, _pattern(wording, slots)) for form, wordings in FORMS.items() for wording in wordings)


def _pattern(wording: str, slots: dict[str, str]) -> re.Pattern[str]:
    literal = re.escape(wording.lower()).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(re.sub(r"\{(\w+)\}", lambda slot: f"(?P<{slot[1]}>{slots[slot[1]]})", literal))
