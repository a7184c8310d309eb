"""Texts as words: tidied, compared, and searched for numbers and negations. English only."""

from __future__ import annotations

import re

ARTICLES = frozenset(("a", "an", "the"))

_LEADING = ARTICLES | {"in", "on"}
_MARK = re.compile(r"[^\w\s]|_")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")

_UNITS = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen
"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: value for value, word in enumerate(_UNITS.split())}
_VALUES |= {word: 10 * tens for tens, word in enumerate(_TENS.split(), 2)}
_FACTORS = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 1_000_000}
_DIGIT_ORDINALS = "1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th"
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth"
_RANKS = dict(zip(_ORDINALS.split(), _DIGIT_ORDINALS.split(), strict=True))
_NUMERAL = re.compile(r"\d+(?:[.,:]\d+)*(?:(?:st|nd|rd|th)\b)?|[^\W\d_]+")

_OR_NOT = re.compile(r"\b(?:or not|yes or no)\b")
_NEGATION = re.compile(
    r"\b(?:no|not|never|without|none|nobody|nothing|nowhere|neither|nor|cannot"
    r"|(?:is|are|was|were|do|does|did|has|have|had|ca|could|wo|would|should|must|ai)n'?t)\b"
)


def lowered(text: str) -> str:
    """The text in lower case with straight apostrophes."""
    return text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def plain(text: str) -> str:
    """The text in lower case, without punctuation and with single spaces."""
    return " ".join(_MARK.sub("", text.lower()).split())


def words(text: str) -> list[str]:
    """The words in lower case; every mark but an apostrophe inside a word separates them."""
    return _WORD.findall(lowered(text))


def singular(word: str) -> str:
    """The word without the ending of a plural, crudely: what matters is that both forms come to the same."""
    if len(word) <= 3 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word.removesuffix("s")


def bare(text: str) -> str:
    """The plain text without the articles, "in" and "on" that it begins with; its last word always stays."""
    rest = plain(text).split()
    while len(rest) > 1 and rest[0] in _LEADING:
        rest = rest[1:]
    return " ".join(rest)


def contains(one: str, other: str) -> bool:
    """Whether one text has all of the other in it, word by word and in order; plurals count as singulars."""
    first, second = (f" {' '.join(map(singular, plain(text).split()))} " for text in (one, other))
    return bool(first.strip() and second.strip()) and (first in second or second in first)


def contains_letters(one: str, other: str) -> bool:
    """Whether one text has the letters of the other in it, even inside a word: "female" contains "male"."""
    first, second = plain(one), plain(other)
    return bool(first and second) and (first in second or second in first)


def numbers(text: str) -> tuple[str, ...]:
    """The numbers in the order of the text, in digits: "two of 1,000" gives 2 and 1000, "first" gives 1st."""
    found: list[str] = []
    running: int | None = None
    for token in [*_NUMERAL.findall(text.lower()), ""]:
        joined = _joined(running, token)
        if running is not None and joined in {None, _VALUES.get(token)}:
            found.append(str(running))
        running = joined
        if token[:1].isdigit() or token in _RANKS:
            found.append(_RANKS.get(token, token.replace(",", "")))
    return tuple(found)


def has_negation(text: str) -> bool:
    """Whether a word negates something; "or not" and "yes or no" do not."""
    return _NEGATION.search(_OR_NOT.sub("", lowered(text))) is not None


def _joined(running: int | None, token: str) -> int | None:
    """The number that a word makes with those before it ("twenty", "one"); None if it is no number."""
    if token in _FACTORS:
        return (1 if running is None else running) * _FACTORS[token]
    value = _VALUES.get(token)
    if value is None or running is None:
        return value
    room = 100 if running % 100 == 0 else 10 if running % 10 == 0 and running > 10 else 0
    return running + value if 0 < value < room else value
