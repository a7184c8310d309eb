"""Questions one step beyond a question of the world: what is known about the thing that it asks for.

"What is in the top left corner?" is answered by "cat"; one step further, "What does the thing in the top left
corner eat?" is answered by "mice", as "What does a cat eat?" is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mmedit_build.miniature.grammar import Meaning, parse, with_articles
from mmedit_build.miniature.knowledge import known_of
from mmedit_build.miniature.knowledge_tables import ABOUT_THINGS
from mmedit_build.rows import Proposal

POINTERS = {
    "kind by color": "the {c} thing",
    "kind by corner": "the thing in the {corner} corner",
    "left of": "the thing to the left of the {x}",
    "right of": "the thing to the right of the {x}",
    "above": "the thing above the {x}",
    "below": "the thing below the {x}",
}
"""How to speak of what a question asks for without naming it, by form. The others ask for no thing, or, as
"bigger" does, name it."""


@dataclass(frozen=True, slots=True)
class WorldHop:
    """A question about a picture, the same in words alone, and all that is right."""

    question: str
    premise: str
    answers: tuple[str, ...]


def hops(meaning: Meaning, target: str) -> Iterator[WorldHop]:
    """Every step further from a question with its answer; none where nothing is known or a step would give
    the answer away."""
    if meaning.form not in POINTERS:
        return
    pointer = POINTERS[meaning.form].format(x=meaning.x, c=meaning.c, corner=meaning.corner)
    for topic, (wordings, _) in ABOUT_THINGS.items():
        answers = known_of(topic).get(target, "").split("/")
        for wording in wordings if answers[0] else ():
            question, premise = (_sentence(wording, thing) for thing in (pointer, f"a {target}"))
            if not any(_holds(question, word) for word in (target, *answers)):
                yield WorldHop(question, premise, tuple(answers))


def telling_hops(meaning: Meaning, target: str, prediction: str) -> list[WorldHop]:
    """The steps whose answer is not also right of the wrong answer."""
    other = {hop.question: set(hop.answers) for hop in hops(meaning, prediction)}
    return [hop for hop in hops(meaning, target) if not other.get(hop.question, set()) & set(hop.answers)]


def is_right(asked: str, target: str, hop: Proposal) -> bool:
    """Whether a proposal is a step of the world beyond a question in whatever wording, rightly answered."""
    meaning = parse(asked)
    steps = hops(meaning, target) if meaning else ()
    return any(
        (hop.question, hop.premise) == (step.question, step.premise) and hop.answer in step.answers
        for step in steps
    )


def _sentence(wording: str, thing: str) -> str:
    text = with_articles(wording.format(thing=thing))
    return text[0].upper() + text[1:]


def _holds(text: str, words: str) -> bool:
    return re.search(rf"\b{re.escape(words)}\b", text.lower()) is not None
