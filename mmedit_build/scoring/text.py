"""What questions and answers are, judged by their words alone. The tools for words are here too.

Every judgement is about English and about the form of a sentence. Where the form leaves it open, the
judgement is the one that does no harm: a question that may be of any type has no answers of a wrong type.
"""

from __future__ import annotations

import re
from typing import Literal

from mmedit_build.scoring.words import (
    ARTICLES,
    bare,
    contains,
    contains_letters,
    has_negation,
    lowered,
    numbers,
    plain,
    singular,
    words,
)

AnswerType = Literal["yes/no", "number", "other"]

_POSITIVE = "is are was were do does did can could will would should has have had am be shall may might must"
_NEGATIVE = """
    isn't aren't wasn't weren't don't doesn't didn't can't couldn't won't wouldn't shouldn't hasn't haven't
    hadn't ain't
"""
_SLIPS = _NEGATIVE.replace("'", "")
AUXILIARIES = frozenset(f"{_POSITIVE} {_NEGATIVE} {_SLIPS}".split())
"""What a yes/no question begins with."""

_ASKING = r"(?:what|which|who|whom|whose|where|when|why|how)(?:'(?:s|re|d|ll))?"
_ASKS = re.compile(rf"\b{_ASKING}\b")
_ASKS_ALSO = re.compile(r"(?:and |or )?(?:if so|if yes|what|how|why)\b")
_LEADS_IN = re.compile(
    r"(?:in|on|at|from|within|inside|during|under|by|with|to|for|according|based|judging|given|considering"
    r"|looking|if|when|while|assuming)\b"
)
_SEGMENT = re.compile(r"(?<=[.!?:;,])\s+|\s+[-\u2013\u2014]\s+")
_MARKS = " \t\n\"'`\u201c\u201d\u2018?.,:;!()"

_YOU = "(?:you|we|anyone) (?:please )?"
_REQUEST = re.compile(
    rf"(?:can|could|will) {_YOU}(?:(?:tell|inform|show|give) (?:me|us)|name|describe|list|specify|state|guess"
    r"|identify(?! (?:a|an|any)\b)|explain|count|clarify|estimate|provide|determine|indicate)\b"
    rf"|would {_YOU}(?:(?:tell|give) (?:me|us)|name|list|state|specify)\b"
)
_KNOWING = re.compile(
    rf"(?:(?:do|does|did|can|could|would|will) {_YOU}|(?:is|was) it possible to )"
    r"(?:know|see|say|tell|think|remember|make out|figure out|find out|determine)(?: from \w+ \w+)? "
    rf"{_ASKING}\b|do you know the\b"
)
_WHETHER = re.compile(r"\b(?:if|whether)\b")
_KIND_ASKED = re.compile(r"\bwhat (?:kind|type|sort|breed|brand|color|colour|size)\b")
_COMMAND = re.compile(r"(?:please )?(?:name|tell|describe|identify|count|list|give|state|guess)\b")
_EITHER = re.compile(r"(?<!')\bor (?!(?:not|no|so|more|other|any|anything|some|something|someone|anyone)\b)")
_ANY_OF = re.compile(
    r"\b(?:any|anything|anyone|anybody|anywhere|ever) [^,;]*\bor (?!(?:is|are|does|do|was)\b)"
)

_COUNTED = r"(?:(?:total|exact|approximate|estimated|overall) )?(?:number(?! plate)|amount|quantity|count)\b"
_COUNTING = re.compile(
    rf"\bhow many\b|\b(?:what|which)(?:'s| is| are| was| would be)?(?: the)? {_COUNTED}|^(?:please )?count\b"
    rf"|\b(?:tell me|tell us|state|specify|give|provide|determine|estimate|name) the {_COUNTED}"
)
_AMOUNT_WORDS = """
    many few several lot lots dozens hundreds thousands millions couple pair both half all some plenty enough
    countless infinite multiple numerous single unknown unsure various
"""
_AMOUNTS = frozenset(_AMOUNT_WORDS.split())
_HEDGE_WORDS = "maybe perhaps possibly probably partly partially sometimes somewhat almost unsure unknown"
_HEDGES = frozenset(_HEDGE_WORDS.split())


def is_yes_no(answer: str) -> bool:
    """Whether the answer is "yes" or "no", alone or before a comma or the end of a sentence."""
    return plain(re.split(r"[,.;!]", answer.strip(), maxsplit=1)[0]) in {"yes", "no"}


def opens_with_auxiliary(question: str) -> bool:
    """Whether the first word is an auxiliary verb, the crudest test for a yes/no question."""
    return bool(AUXILIARIES.intersection(words(question)[:1]))


def is_yes_no_question(question: str) -> bool:
    """Whether yes and no are the answers that the question expects.

    They are, if an auxiliary verb opens it or follows a lead-in ("In this picture, is ..."), unless it offers
    alternatives ("Is it red or blue?") or is a polite form of another question ("Can you tell me what ...?").
    """
    clause = _polar_clause(question)
    return clause is not None and not offers_alternatives(clause) and not _asks_politely(clause)


def offers_alternatives(question: str) -> bool:
    """Whether the question names answers to choose from, unlike "Are there any cats or dogs?"."""
    text = lowered(question)
    return _EITHER.search(text) is not None and _ANY_OF.search(text) is None


def answer_type(question: str) -> AnswerType:
    """What kind of answer the question expects, by its form."""
    if is_yes_no_question(question):
        return "yes/no"
    return "number" if _COUNTING.search(lowered(question)) else "other"


def wrong_type(question: str, answer: str) -> bool:
    """Whether the answer is of a kind that cannot answer the question, such as "no" to "How deep is it?"."""
    expected = answer_type(question)
    if is_yes_no(answer):
        return expected == "number" or (expected == "other" and _is_open(question))
    if expected == "other" or has_negation(answer):
        return not plain(answer)
    if expected == "number":
        return not (numbers(answer) or _AMOUNTS.intersection(words(answer)))
    return _HEDGES.isdisjoint(words(answer))


def _segments(question: str) -> list[str]:
    return [part for piece in _SEGMENT.split(lowered(question)) if (part := piece.strip(_MARKS))]


def _polar_clause(question: str) -> str | None:
    """The question from its auxiliary verb on, if that opens it or follows a mere lead-in."""
    segments = _segments(question)
    for index, segment in enumerate(segments):
        clause = _from_auxiliary(segment)
        if clause is not None:
            rest = segments[index + 1 :]
            return None if any(map(_ASKS_ALSO.match, rest)) else ", ".join([clause, *rest])
        if _ASKS.search(segment) and not segment.startswith("when "):
            return None
    return None


def _from_auxiliary(segment: str) -> str | None:
    """The segment itself, or what follows a lead-in without a comma: "In this picture is there a cat"."""
    if opens_with_auxiliary(segment):
        return segment
    if not _LEADS_IN.match(segment):
        return None
    tokens = segment.split()
    start = next((index for index, token in enumerate(tokens) if token in AUXILIARIES), None)
    if start is None or _ASKS.search(" ".join(tokens[:start])):
        return None
    return " ".join(tokens[start:])


def _asks_politely(clause: str) -> bool:
    """Whether yes or no would not do: "Can you name the color?", but "Can you tell me if it is red?"."""
    request = _REQUEST.match(clause)
    if request:
        return _WHETHER.search(clause) is None
    return _KNOWING.match(clause) is not None or _KIND_ASKED.search(clause) is not None


def _is_open(question: str) -> bool:
    """Whether it surely asks for something else than yes or no, unlike "The man is tall?"."""
    text = lowered(question).strip(_MARKS)
    asks = _ASKS.search(text) or _COMMAND.match(text) or _polar_clause(question)
    return bool(asks) or offers_alternatives(text)


__all__ = [
    "ARTICLES",
    "AUXILIARIES",
    "AnswerType",
    "answer_type",
    "bare",
    "contains",
    "contains_letters",
    "has_negation",
    "is_yes_no",
    "is_yes_no_question",
    "lowered",
    "numbers",
    "offers_alternatives",
    "opens_with_auxiliary",
    "plain",
    "singular",
    "words",
    "wrong_type",
]
