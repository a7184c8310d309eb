"""Whether a candidate has the same kind of answer, and gives none away."""

from __future__ import annotations

import re

from mmedit_build.scoring.text import (
    answer_type,
    is_yes_no,
    is_yes_no_question,
    lowered,
    offers_alternatives,
    singular,
    words,
)
from mmedit_build.stages.checks.trial import FUNCTIONS, Trial

# "How big" asks for a size: it does not give "big" away. Nor does "big or small".
_DEGREE = re.compile(r"\bhow \w+")
_CHOICE = r"\b(?:{0}(?: one)? or|or (?:an? )?{0})\b"
_COUNTING = re.compile(r"\b(?:numbers?|numeric\w*|counts?|many|much|total|quantity|amount|digits?|figure)\b")


def gives_away(trial: Trial) -> bool:
    question, candidate = _folded(trial.question), _folded(_DEGREE.sub("", lowered(trial.candidate)))
    return any(
        f" {answer} " in f" {candidate} "
        and f" {answer} " not in f" {question} "
        and not re.search(_CHOICE.format(re.escape(answer)), candidate)
        for answer in map(_folded, filter(_is_secret, trial.answers))
    )


def loses_yes_no(trial: Trial) -> bool:
    return is_yes_no_question(trial.question) and not is_yes_no_question(trial.candidate)


def becomes_yes_no(trial: Trial) -> bool:
    return is_yes_no_question(trial.candidate) and not is_yes_no_question(trial.question)


def changes_counting(trial: Trial) -> bool:
    was, now = answer_type(trial.question), answer_type(trial.candidate)
    if was == "number":
        return now != "number" and not _COUNTING.search(lowered(trial.candidate))
    return now == "number" and not _COUNTING.search(lowered(trial.question))


def loses_alternatives(trial: Trial) -> bool:
    if not offers_alternatives(trial.question):
        return False
    kept = set(map(singular, words(trial.candidate)))
    return not all(side in kept for side in _sides(trial.question))


def _is_secret(answer: str) -> bool:
    """Not yes, no and the words that any sentence may hold."""
    return not is_yes_no(answer) and not FUNCTIONS.issuperset(words(answer))


def _folded(text: str) -> str:
    return " ".join(map(singular, words(text)))


def _sides(question: str) -> list[str]:
    """The last telling word before the last "or" and the first one after it."""
    said = list(map(singular, words(question)))
    place = len(said) - 1 - said[::-1].index("or")
    after = next((word for word in said[place + 1 :] if word not in FUNCTIONS), None)
    before = next((word for word in said[:place][::-1] if word not in FUNCTIONS | {after}), None)
    return [word for word in (before, after) if word is not None]
