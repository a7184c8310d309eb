"""What a rephrase must not do to a question, judged by the words alone, cheap checks first.

A rephrase that is refused by mistake costs one candidate of several; one that asks something else spoils an
edit. So the checks would rather refuse too much than too little, where they cannot be right every time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mmedit_build.scoring.text import (
    answer_type,
    has_negation,
    is_yes_no,
    is_yes_no_question,
    lowered,
    numbers,
    offers_alternatives,
    plain,
    singular,
    words,
)

_QUOTE = re.compile("[\"`\u201c\u201d«»]|''")
_WRAPPED = re.compile("[\"'\u201c\u2018].*[\"'\u201d\u2019]", re.DOTALL)
_CHATTER = re.compile(
    r"(?:sure|certainly|of course|okay|here(?:'s| is| are))\b|(?:question|answer|q|a):|[-*\u2022] |\d+[.)] "
    r"|.*\b(?:rephras|reword|paraphras|rewrit|rewrote)"
    r"|.*\b(?:following|original|given|revised|different) (?:question|statement|sentence|version)\b"
)

_FUNCTION_WORDS = """
    a an the this that these those it its he him his she her they them their we our us you your i my me
    is are was were am be been being do does did has have had can could will would shall should may might must
    in on at of to from by with for into onto and or not no there here one ones
    what which who whose where when how why
"""
_FUNCTIONS = frozenset(_FUNCTION_WORDS.split())

# "How big" asks for a size: it does not give "big" away. Nor does "big or small".
_DEGREE = re.compile(r"\bhow \w+")
_CHOICE = r"\b(?:{0}(?: one)? or|or (?:an? )?{0})\b"

_LETTER_ONE = re.compile(r"\b1\b")
_OF_THE_TWO = re.compile(r"(?:^|\bwhich (?:one )?|\bwhat )of (?:the|these|those) two\b")
_QUANTITIES = {"both": "2", "pair": "2", "couple": "2", "twice": "2", "single": "1", "once": "1"}
_COUNTING = re.compile(r"\b(?:numbers?|numeric\w*|counts?|many|much|total|quantity|amount|digits?|figure)\b")

_AXES = (
    ("left leftmost", "right rightmost"),
    ("top upper above over topmost uppermost", "bottom lower below under beneath underneath lowest"),
    ("bigger larger big large biggest largest", "smaller small little smallest tiny"),
    ("before earlier", "after later"),
    ("inside indoors", "outside outdoors"),
    ("front", "back behind"),
    ("first", "last"),
    ("more most", "less fewer least fewest"),
    ("old older oldest", "young younger youngest new newer newest"),
    ("long longer longest tall taller tallest", "short shorter shortest"),
    ("open", "closed shut"),
)
"""Opposites: words of the one pole, words of the other."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate beside its question, and the answers that it must not give away."""

    question: str
    candidate: str
    answers: tuple[str, ...]


def refusal(question: str, candidate: str, target: str, answers: Sequence[str]) -> str | None:
    """Why the candidate is no rephrase of the question: the first check that fails, or None.

    `answers` are those of all annotators; what half of them say is as secret as the target.
    """
    votes = Counter(lowered(answer).strip() for answer in answers)
    common = (answer for answer, count in votes.items() if 2 * count >= len(answers))
    trial = Trial(question, candidate, tuple(dict.fromkeys([lowered(target).strip(), *common])))
    return next((reason for reason, fails in CHECKS.items() if fails(trial)), None)


def difference(question: str, candidate: str) -> float:
    """How different the words are, between 0 (the same in the same order) and 1 (none in common).

    It is one minus the words of the longest common subsequence, as a share of the words of both sentences.
    """
    one, other = words(question), words(candidate)
    common = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for place, theirs in enumerate(other, 1):
            above = common[place]
            common[place] = before + 1 if word == theirs else max(above, common[place - 1])
            before = above
    return 1 - 2 * common[-1] / max(len(one) + len(other), 1)


def content_words(text: str) -> set[str]:
    """What a question is about: its words in the singular, without those that any sentence may hold."""
    return {singular(word) for word in words(text) if word not in _FUNCTIONS}


def says_the_opposite(question: str, candidate: str) -> bool:
    """Whether a pair such as left and right is turned round."""
    return _turns_round(Trial(question, candidate, ()))


def _is_quoted(trial: Trial) -> bool:
    text = trial.candidate.strip()
    added = _QUOTE.search(text) and not _QUOTE.search(trial.question)
    return bool(added or _WRAPPED.fullmatch(text))


def _is_no_question(trial: Trial) -> bool:
    return trial.question.strip().endswith("?") and not trial.candidate.strip().endswith("?")


def _is_too_long(trial: Trial) -> bool:
    return len(words(trial.candidate)) > 3 * len(words(trial.question)) + 8


def _is_chatter(trial: Trial) -> bool:
    question, candidate = lowered(trial.question).strip(), lowered(trial.candidate).strip()
    return _CHATTER.match(candidate) is not None and not _CHATTER.match(question)


def _gives_away(trial: Trial) -> bool:
    question, candidate = _folded(trial.question), _folded(_DEGREE.sub("", lowered(trial.candidate)))
    return any(
        f" {answer} " in f" {candidate} "
        and f" {answer} " not in f" {question} "
        and not re.search(_CHOICE.format(re.escape(answer)), candidate)
        for answer in map(_folded, filter(_is_secret, trial.answers))
    )


def _is_secret(answer: str) -> bool:
    """Not yes, no and the words that any sentence may hold."""
    return not is_yes_no(answer) and not _FUNCTIONS.issuperset(words(answer))


def _folded(text: str) -> str:
    return " ".join(map(singular, words(text)))


def _changes_numbers(trial: Trial) -> bool:
    asked, said = trial.question, trial.candidate
    return bool(_stated(asked) - _implied(said) or _stated(said) - _implied(asked))


def _stated(text: str) -> set[str]:
    """The numbers, without those that may only point: "which one", "of the two"."""
    found = set(numbers(_OF_THE_TWO.sub("", lowered(text))))
    return found if _LETTER_ONE.search(text) else found - {"1"}


def _implied(text: str) -> set[str]:
    return set(numbers(text)) | {_QUANTITIES[word] for word in words(text) if word in _QUANTITIES}


def _changes_negation(trial: Trial) -> bool:
    return has_negation(trial.question) != has_negation(trial.candidate)


def _loses_yes_no(trial: Trial) -> bool:
    return is_yes_no_question(trial.question) and not is_yes_no_question(trial.candidate)


def _becomes_yes_no(trial: Trial) -> bool:
    return is_yes_no_question(trial.candidate) and not is_yes_no_question(trial.question)


def _changes_counting(trial: Trial) -> bool:
    was, now = answer_type(trial.question), answer_type(trial.candidate)
    if was == "number":
        return now != "number" and not _COUNTING.search(lowered(trial.candidate))
    return now == "number" and not _COUNTING.search(lowered(trial.question))


def _loses_alternatives(trial: Trial) -> bool:
    if not offers_alternatives(trial.question):
        return False
    kept = set(map(singular, words(trial.candidate)))
    return not all(side in kept for side in _sides(trial.question))


def _sides(question: str) -> list[str]:
    """The last telling word before the last "or" and the first one after it."""
    said = list(map(singular, words(question)))
    place = len(said) - 1 - said[::-1].index("or")
    after = next((word for word in said[place + 1 :] if word not in _FUNCTIONS), None)
    before = next((word for word in said[:place][::-1] if word not in _FUNCTIONS | {after}), None)
    return [word for word in (before, after) if word is not None]


def _turns_round(trial: Trial) -> bool:
    """Says the opposite, and not with its two sides exchanged, as "a above b" is "b below a"."""
    asked, said = words(trial.question), words(trial.candidate)
    turned = any(
        _poles(asked, axis) | _poles(said, axis) == {0, 1} and _differ(asked, said, axis) for axis in _AXES
    )
    return turned and not _exchanges_sides(asked, said)


def _poles(text: Sequence[str], axis: tuple[str, str]) -> set[int]:
    return {pole for pole in (0, 1) if not set(axis[pole].split()).isdisjoint(text)}


def _differ(asked: Sequence[str], said: Sequence[str], axis: tuple[str, str]) -> bool:
    one, other = _poles(asked, axis), _poles(said, axis)
    return bool(one and other) and one != other


def _exchanges_sides(asked: Sequence[str], said: Sequence[str]) -> bool:
    poles = {word for axis in _AXES for pole in axis for word in pole.split()}
    common = [word for word in asked if word in said and word not in poles | _FUNCTIONS]
    places = [said.index(word) for word in dict.fromkeys(common)]
    return places != sorted(places)


CHECKS: Mapping[str, Callable[[Trial], bool]] = {
    "empty": lambda trial: not plain(trial.candidate),
    "several lines": lambda trial: "\n" in trial.candidate.strip(),
    "identical": lambda trial: plain(trial.candidate) == plain(trial.question),
    "stray quotes": _is_quoted,
    "not a question": _is_no_question,
    "too long": _is_too_long,
    "more than the question": _is_chatter,
    "gives the answer away": _gives_away,
    "numbers changed": _changes_numbers,
    "negation changed": _changes_negation,
    "no longer a yes/no question": _loses_yes_no,
    "became a yes/no question": _becomes_yes_no,
    "counts something else": _changes_counting,
    "alternatives lost": _loses_alternatives,
    "says the opposite": _turns_round,
}
"""Reasons and their checks, in the order in which they are made."""
