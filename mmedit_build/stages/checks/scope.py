"""Numbers, negations and colors: whether they are the same, and still said of the same things."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from mmedit_build.scoring.text import ARTICLES, has_negation, lowered, numbers, singular, words
from mmedit_build.stages.checks.trial import FUNCTIONS, Trial, content_words

_LETTER_ONE = re.compile(r"\b1\b")
_OF_THE_TWO = re.compile(r"(?:^|\bwhich (?:one )?|\bwhat )of (?:the|these|those) two\b")
_QUANTITIES = {"both": "2", "pair": "2", "couple": "2", "twice": "2", "single": "1", "once": "1"}
_NEGATIVE = frozenset(("no", "not", "without"))
_COLOR_WORDS = "black white red green blue yellow orange purple pink brown gray beige tan gold silver"
_COLORS = frozenset(_COLOR_WORDS.split())


def changes_numbers(trial: Trial) -> bool:
    asked, said = trial.question, trial.candidate
    return bool(_stated(asked) - _implied(said) or _stated(said) - _implied(asked))


def changes_negation(trial: Trial) -> bool:
    return has_negation(trial.question) != has_negation(trial.candidate)


def changes_colors(trial: Trial) -> bool:
    """Whether one color stands where another one stood."""
    asked, said = (_COLORS.intersection(words(text)) for text in (trial.question, trial.candidate))
    return bool(asked - said and said - asked)


def changes_scope(trial: Trial) -> bool:
    """Whether "two cats and no dog" became "two dogs and no cat": a word says something of another word, and
    both are in both sentences."""
    about = content_words(trial.question) & content_words(trial.candidate)
    asked, said = _said_of(trial.question), _said_of(trial.candidate)
    return any(
        asked[word] | said[word] <= about and asked[word].isdisjoint(said[word])
        for word in asked.keys() & said.keys()
    )


def _stated(text: str) -> set[str]:
    """The numbers, without those that may only point: "which one", "of the two"."""
    found = set(numbers(_OF_THE_TWO.sub("", lowered(text))))
    return found if _LETTER_ONE.search(text) else found - {"1"}


def _implied(text: str) -> set[str]:
    return set(numbers(text)) | {_QUANTITIES[word] for word in words(text) if word in _QUANTITIES}


def _said_of(text: str) -> dict[str, set[str]]:
    """What each number, negation and color stands right before."""
    found: dict[str, set[str]] = {}
    for word, following in pairwise(word for word in words(text) if word not in ARTICLES):
        for name in _names(word):
            if following not in FUNCTIONS:
                found.setdefault(name, set()).add(singular(following))
    return found


def _names(word: str) -> Iterator[str]:
    if word in _NEGATIVE:
        yield "not"
    elif word in _COLORS:
        yield word
    elif word != "one":
        yield from numbers(word)
