"""VQA accuracy, in the two ways in which it is published.

`official` is the evaluation code of the VQA challenge: a prediction is right as often as three of the other
nine annotators agree with it, averaged over the choices of nine. Texts are normalized only if the ten answers
differ, so "Yes" against ten times "yes" scores nothing. `evalai` is the variant of the EvalAI server, which
most toolkits report: every text is normalized, after a tokenization of its own. Both leave an annotator out
by position; the original compares records, which is the same as long as each record has its own id.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

Mode = Literal["official", "evalai"]

PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMERALS = {"none": "0"} | {word: str(number) for number, word in enumerate(_NUMBER_WORDS)}
ARTICLES = frozenset(("a", "an", "the"))

_WITH_ONE_APOSTROPHE = """
    ain't aren't can't couldn't didn't doesn't don't hadn't hasn't haven't isn't mightn't mustn't needn't
    oughtn't shan't shouldn't wasn't weren't won't wouldn't
    could've might've must've not've should've they've we've what've where've who've would've you've
    he'd how'd it'd someone'd something'd there'd they'd where'd who'd you'd
    how'll it'll somebody'll someone'll something'll they'll what'll who'll why'll you'll
    there're they're what're why're you're
    he's how's somebody's someone's that's there's what's when's where's who's why's
    ma'am o'clock 'twas y'all
"""
_WITH_MORE = """
    couldn't've hadn't've mightn't've shouldn't've wouldn't've he'd've it'd've she'd've somebody'd've
    someone'd've something'd've there'd've they'd've we'd've who'd've you'd've 'ow's'at y'all'll y'all'd've
"""


def _without_one_apostrophe(word: str) -> list[str]:
    """All spellings of a word that lack exactly one of its apostrophes."""
    return [word[:index] + word[index + 1 :] for index, letter in enumerate(word) if letter == "'"]


# The official table has this misspelling and not the regular "somebodyd".
CONTRACTIONS = {"somebody'd": "somebodyd"} | {
    slip: word
    for word in (_WITH_ONE_APOSTROPHE + _WITH_MORE).split()
    for slip in _without_one_apostrophe(word)
}
"""Slips of the apostrophe to the right spelling; text is in lower case by then, so "Im" needs no entry."""

# Meant as "no digit before", the first group says "not the letters <= and a digit from here", which is always
# true: a full stop is kept before a digit and removed everywhere else. Scores were published with it.
_PERIOD = re.compile(r"(?!<=\d)(\.)(?!\d)")
# The original hands re.UNICODE (32) to `sub` as its count.
_PERIODS_REMOVED = 32
_COMMA_IN_NUMBER = re.compile(r"\d,\d")


def vqa_accuracy(prediction: str, answers: Sequence[str], mode: Mode = "official") -> float:
    """The accuracy of one predicted answer against those of the annotators, between 0 and 1."""
    if not answers:
        raise ValueError("VQA accuracy needs the answers of at least one annotator")
    if mode == "evalai":
        return _agreement(normalize(prediction, mode), [normalize(answer, mode) for answer in answers])
    prediction, answers = _flat(prediction), [_flat(answer) for answer in answers]
    if len(set(answers)) > 1:
        prediction, answers = normalize(prediction), [normalize(answer) for answer in answers]
    return _agreement(prediction, answers)


@lru_cache(maxsize=2**16)
def normalize(text: str, mode: Mode = "official") -> str:
    """The text in lower case, without punctuation and articles, with digits for words and all apostrophes."""
    if mode == "evalai":
        text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's")
    words = _without_punctuation(_flat(text)).lower().split()
    numbered = (NUMERALS.get(word, word) for word in words)
    return " ".join(CONTRACTIONS.get(word, word) for word in numbered if word not in ARTICLES)


def _agreement(prediction: str, answers: Sequence[str]) -> float:
    """Leave out each annotator in turn: three others of the same opinion make the prediction fully right."""
    same = [answer == prediction for answer in answers]
    total = sum(same)
    return sum(min(1.0, (total - left_out) / 3) for left_out in same) / len(same)


def _flat(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


def _without_punctuation(text: str) -> str:
    """A mark goes if a space is beside it anywhere or a number has a comma, else a space replaces it."""
    comma_in_number = _COMMA_IN_NUMBER.search(text) is not None
    stripped = text
    for mark in PUNCTUATION:
        beside_space = f"{mark} " in text or f" {mark}" in text
        stripped = stripped.replace(mark, "" if beside_space or comma_in_number else " ")
    return _PERIOD.sub("", stripped, count=_PERIODS_REMOVED)
