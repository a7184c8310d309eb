"""Proposals of questions one step beyond an edit: read from replies, and checked by their words alone.

"Who sits on this?", asked of what was taken for a table and is a chair, is one step beyond "What is this?".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mmedit_build.rows import EditRow, Proposal
from mmedit_build.scoring.text import bare, numbers, plain, singular
from mmedit_build.stages.checks import content_words, says_the_opposite

UNREADABLE = "not in the lines asked for"
NONE = "no question proposed"
MOST_WORDS = 5
"""The longest answer. One that is longer is a sentence, which no model gives word for word."""

_LINE = re.compile(r"^[\W_]*(picture|words|answer)[*_ ]*:[*_ ]*(.*\S)", re.IGNORECASE | re.MULTILINE)
_SIDE = re.compile(r"\b(?:left|right|above|over|below|under)\b", re.IGNORECASE)
_OWN_SIDE = re.compile(r"\b(?:its (?:left|right)|(?:above|over|below|under) it)\b", re.IGNORECASE)
_QUOTES = "\"'`\u201c\u201d\u2018\u2019*"


def read_hop(reply: str) -> Proposal:
    """The proposal in a reply; where there is none, the hop says why, and holds the reply."""
    found = {name.lower(): text.strip(_QUOTES).strip() for name, text in _LINE.findall(reply)}
    if {"picture", "words", "answer"} <= found.keys():
        answer = found["answer"].rstrip(".")
        return Proposal(question=found["picture"], premise=found["words"], answer=answer, reason=None)
    reason = NONE if plain(reply) == "none" else UNREADABLE
    return Proposal(question=reply, premise="", answer="", reason=reason)


def refusal(edit: EditRow, hop: Proposal) -> str | None:
    """Why a proposal is no hop of the edit: the first check that fails, or None."""
    return next((reason for reason, fails in CHECKS.items() if fails(edit, hop)), None)


def put_in_place(premise: str, target: str, other: str) -> str:
    """The question in words with another answer in the place of the target, and the article that it takes."""
    pattern = rf"(?<!\w)(?:(an?)(\s+))?{re.escape(target.strip())}(?!\w)"

    def put(found: re.Match[str]) -> str:
        if found[1] is None:
            return other
        article = "an" if other[:1].lower() in "aeiou" else "a"
        return f"{article.capitalize() if found[1][0].isupper() else article}{found[2]}{other}"

    return re.sub(pattern, put, premise, flags=re.IGNORECASE) if target.strip() else premise


def _is_no_question(_edit: EditRow, hop: Proposal) -> bool:
    return not all(text.endswith("?") for text in (hop.question, hop.premise))


def _names_an_answer(edit: EditRow, hop: Proposal) -> bool:
    """Also of the numbers: "two" names "2". The wrong answer may stand where the edit's question has it, as
    in "What is left of the cat?", answered by "cat"."""
    said = set(numbers(hop.question)) - set(numbers(edit.question))
    wrong_stood = _stands_in(edit.prediction, edit.question)
    secret = (edit.target,) if wrong_stood else (edit.target, edit.prediction)
    return any(_stands_in(answer, hop.question) or said & set(numbers(answer)) for answer in secret)


def _lacks_the_target(edit: EditRow, hop: Proposal) -> bool:
    """Whether it is not named in words, or the wrong answer cannot be put in its place."""
    return put_in_place(hop.premise, edit.target, edit.prediction) == hop.premise


def _asks_otherwise(edit: EditRow, hop: Proposal) -> bool:
    """Whether the question in words is about something of which the one about the image says nothing."""
    said = content_words(hop.question) | content_words(edit.target)
    return bool(content_words(hop.premise) - said)


def _points_elsewhere(edit: EditRow, hop: Proposal) -> bool:
    """Whether left is right in it, or could be: "What has the cat on its left?" means what is right of it."""
    own_side = _OWN_SIDE.search(edit.question) and _SIDE.search(hop.question)
    return bool(own_side) or says_the_opposite(edit.question, hop.question)


def _stands_in(answer: str, text: str) -> bool:
    """Word by word, without the article that it begins with; plurals count as singulars."""
    inner, outer = (" ".join(map(singular, one.split())) for one in (bare(answer), plain(text)))
    return bool(inner) and f" {inner} " in f" {outer} "


CHECKS: Mapping[str, Callable[[EditRow, Proposal], bool]] = {
    "not a question": _is_no_question,
    "names the right or the wrong answer": _names_an_answer,
    "does not name the right answer in words": _lacks_the_target,
    "asks the same as the edit": lambda edit, hop: plain(hop.question) == plain(edit.question),
    "in words it asks something else": _asks_otherwise,
    "points elsewhere than the edit": _points_elsewhere,
    "the answer stands in the question": lambda _, hop: (
        _stands_in(hop.answer, hop.question) or _stands_in(hop.answer, hop.premise)
    ),
    "the answer is that of the edit": lambda edit, hop: _stands_in(edit.target, hop.answer),
    "no short answer": lambda _, hop: not 0 < len(plain(hop.answer).split()) <= MOST_WORDS,
}
"""Reasons and their checks, in the order in which they are made."""
