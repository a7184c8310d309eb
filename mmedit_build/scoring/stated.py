"""What captions state, as questions with their answers: a quiz about images of which nobody asked anything.

Whoever asks makes sure that a model answers a question as the caption does about the original image: what is
read amiss, or is said oddly, is dropped there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from mmedit_build.scoring.statements import read
from mmedit_build.scoring.statements.nouns import IRREGULAR, SAME_IN_PLURAL
from mmedit_build.scoring.statements.vocabulary import NUMBERS

_PLURALS = {one: many for many, one in IRREGULAR.items() if many != "persons"}
_PLURALS |= {one: one for one in SAME_IN_PLURAL}
_AN = re.compile(r"(?!uni|use|uti|eu|one\b)[aeiou]|hour|honest")
MOST = 10
"""What is still counted."""


@dataclass(frozen=True, slots=True)
class _Phrase:
    """Things of one kind that a caption counts."""

    number: int
    kind: str
    name: str
    """In the plural if there are more."""
    color: str
    """Their color, if it has just one."""

    @property
    def noun(self) -> str:
        return self.name.split()[-1]


def stated(captions: Iterable[str]) -> list[tuple[str, str]]:
    """Questions that the captions of one image answer, each once, with the answers."""
    found: dict[str, str] = {}
    for question, answer in chain.from_iterable(_questions(list(_phrases(one))) for one in captions):
        found.setdefault(question, answer)
    return list(found.items())


def _phrases(caption: str) -> Iterator[_Phrase]:
    for thing in read(caption).things:
        colors = [color for quality in thing.qualities if quality.of == "color" for color in quality.values]
        name = " ".join(word for word in thing.text.split() if word not in NUMBERS)
        if thing.counted and thing.least == thing.most <= MOST and name:
            color = colors[0] if len(colors) == 1 and colors[0] in name.split() else ""
            yield _Phrase(thing.least, thing.name, name, color)


def _questions(said: list[_Phrase]) -> Iterator[tuple[str, str]]:
    """What tells most comes first: a model that says yes to everything names no thing and no color by it."""
    kinds = Counter(phrase.kind for phrase in said)
    colors = Counter(phrase.color for phrase in said)
    single = [phrase for phrase in said if kinds[phrase.kind] == 1]
    for phrase in said:
        if phrase.number == 1 and phrase.color and colors[phrase.color] == 1:
            yield f"What is the {phrase.color} object?", phrase.noun
    for phrase in single:
        if phrase.color:
            yield f"What color {'is' if phrase.number == 1 else 'are'} the {phrase.noun}?", phrase.color
    for phrase in said:
        article = "" if phrase.number > 1 else "an " if _AN.match(phrase.name) else "a "
        yield f"{'Is' if article else 'Are'} there {article}{phrase.name} in the picture?", "yes"
    for phrase in single:
        many = phrase.noun if phrase.number > 1 else _many(phrase.noun)
        yield f"How many {many} are in the picture?", str(phrase.number)


def _many(noun: str) -> str:
    """The plural of a noun."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if re.search(r"(?:s|x|z|ch|sh)$", noun) else f"{noun}s"
