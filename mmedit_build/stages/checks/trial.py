"""What all checks read: a candidate beside its question, and the words that say what they are about."""

from __future__ import annotations

from dataclasses import dataclass

from mmedit_build.scoring.text import singular, words

_FUNCTION_WORDS = """
    a an the this that these those it its he him his she her they them their we our us you your i my me
    is are was were am be been being do does did has have had can could will would shall should may might must
    in on at of to from by with for into onto and or not no there here one ones
    what which who whose where when how why
"""
FUNCTIONS = frozenset(_FUNCTION_WORDS.split())
"""Words that any sentence may hold."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate beside its question, and the answers that it must not give away."""

    question: str
    candidate: str
    answers: tuple[str, ...]


def content_words(text: str) -> set[str]:
    """What a question is about: its words in the singular, without those that any sentence may hold."""
    return {singular(word) for word in words(text) if word not in FUNCTIONS}
