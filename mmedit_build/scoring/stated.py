"""What captions state, as questions with their answers: a quiz about images of which nobody asked anything.

Only noun phrases with an article or a number are read ("a red cat", "two dogs"), and what a caption begins
with ("the woman in pink"). Whoever asks makes sure that a model answers a question as the caption does about
the original image: what is read amiss, or is said oddly, is dropped there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from mmedit_build.scoring.words import numbers, singular, words

_NO_VERBS = """
    bed shed sled seed weed building ceiling railing awning clothing string ring wing king crossing opening
"""
"""Nouns that end like verbs."""
_COLORS = """
    red orange yellow green blue purple violet pink white black brown gray grey
"""
_ENDS = """
    a an the this that these those his her its their some any each another other no one
    of on in with at by to from near next over under above below beside behind through into inside outside
    between among around along across against for as up down off out onto during before after past beneath
    underneath toward towards like without within about atop amid upside
    and or but while when where which who whose
    is are was were be been being has have had can could will would
"""
"""Words that no noun phrase goes on with."""
_NO_THINGS = """
    picture photo photograph image drawing painting shot view scene day night time way lot bit kind type
    variety couple few front back side top bottom left right middle center background foreground
"""
_ENDINGS, _NOT_SEEN = frozenset(_ENDS.split()), frozenset(_NO_THINGS.split())
COLORS = frozenset(_COLORS.split())
_NOUNS = COLORS.union(_NO_VERBS.split())
_PLURALS = {"man": "men", "woman": "women", "child": "children", "person": "people", "foot": "feet"}
_PLURALS |= {"mouse": "mice", "goose": "geese", "tooth": "teeth", "knife": "knives", "shelf": "shelves"}
_PLURALS |= {"leaf": "leaves", "loaf": "loaves"} | {one: one for one in ("sheep", "fish", "deer")}
_IRREGULAR = frozenset(_PLURALS.values())
_AN = re.compile(r"(?!uni|use|uti|eu|one\b)[aeiou]|hour|honest")
MOST = 10
"""What is still counted."""
LONGEST = 4
"""Words of a phrase; longer ones were hardly read right."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Things of one kind: how many, and their name, in the plural if there are more."""

    number: int
    name: tuple[str, ...]

    @property
    def noun(self) -> str:
        return self.name[-1]

    @property
    def color(self) -> str:
        """Its color, if it has just one."""
        found = [word for word in self.name[:-1] if word in COLORS]
        return found[0] if len(found) == 1 else ""


def stated(captions: Iterable[str]) -> list[tuple[str, str]]:
    """Questions that the captions of one image answer, each once, with the answers."""
    found: dict[str, str] = {}
    for question, answer in chain.from_iterable(_questions(phrases(caption)) for caption in captions):
        found.setdefault(question, answer)
    return list(found.items())


def phrases(caption: str) -> list[Phrase]:
    """The noun phrases of a caption that begin with an article or a number, in order."""
    # "The" may be said of anything ("in the air"), but not of what a sentence is about.
    caption = re.sub(r"^\s*the\b", "a", caption, flags=re.IGNORECASE)
    return [phrase for clause in re.split(r"[.,;:!?()]", caption) for phrase in _in_clause(words(clause))]


def _in_clause(said: list[str]) -> Iterator[Phrase]:
    for place, word in enumerate(said):
        number = _number(word)
        name = _name(said[place + 1 :], plural=number > 1) if number else ()
        after = said[place + 1 + len(name) : place + 2 + len(name)]
        # "a group of men", "a picture of a cat": what there is comes after the "of".
        if name and after != ["of"] and name[-1] not in _NOT_SEEN:
            yield Phrase(number, name)


def _number(word: str) -> int:
    """How many things of the name that follows; 0 if the word does not say so."""
    if word in ("a", "an"):
        return 1
    found = numbers(word)
    return int(found[0]) if found and found[0].isdigit() and int(found[0]) <= MOST else 0


def _name(said: list[str], *, plural: bool) -> tuple[str, ...]:
    """The words up to the noun, as far as they can be told from what follows; none where they cannot."""
    name: list[str] = []
    for word in said:
        if word in _ENDINGS or (name and _is_verb(word, plural=plural)):
            break
        name.append(word)
        if plural and _is_plural(word):
            return tuple(name) if len(name) <= LONGEST else ()
    return tuple(name) if not plural and len(name) <= LONGEST else ()


def _is_plural(word: str) -> bool:
    return word in _IRREGULAR or singular(word) != word


def _is_verb(word: str, *, plural: bool) -> bool:
    """Whether a word after the first is rather a verb: "a dog sits", "a man riding", "a field covered"."""
    if word in _NOUNS:
        return False
    return word.endswith(("ing", "ed")) or (not plural and singular(word) != word)


def _questions(said: list[Phrase]) -> Iterator[tuple[str, str]]:
    """What tells most comes first: a model that says yes to everything names no thing and no color by it."""
    nouns = Counter(singular(phrase.noun) for phrase in said)
    colors = Counter(phrase.color for phrase in said)
    single = [phrase for phrase in said if nouns[singular(phrase.noun)] == 1]
    for phrase in said:
        if phrase.number == 1 and phrase.color and colors[phrase.color] == 1:
            yield f"What is the {phrase.color} object?", phrase.noun
    for phrase in single:
        if phrase.color:
            yield f"What color {'is' if phrase.number == 1 else 'are'} the {phrase.noun}?", phrase.color
    for phrase in said:
        name = " ".join(phrase.name)
        article = "" if phrase.number > 1 else "an " if _AN.match(name) else "a "
        yield f"{'Is' if article else 'Are'} there {article}{name} in the picture?", "yes"
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
