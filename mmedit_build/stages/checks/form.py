"""Whether a candidate is one bare question at all, and not the same one again."""

from __future__ import annotations

import re

from mmedit_build.scoring.text import lowered, plain, words
from mmedit_build.stages.checks.trial import Trial

_QUOTE = re.compile("[\"`\u201c\u201d«»]|''")
_WRAPPED = re.compile("[\"'\u201c\u2018].*[\"'\u201d\u2019]", re.DOTALL)
_CHATTER = re.compile(
    r"(?:sure|certainly|of course|okay|here(?:'s| is| are))\b|(?:question|answer|q|a):|[-*\u2022] |\d+[.)] "
    r"|.*\b(?:rephras|reword|paraphras|rewrit|rewrote)"
    r"|.*\b(?:following|original|given|revised|different) (?:question|statement|sentence|version)\b"
)


def is_empty(trial: Trial) -> bool:
    return not plain(trial.candidate)


def has_several_lines(trial: Trial) -> bool:
    return "\n" in trial.candidate.strip()


def is_identical(trial: Trial) -> bool:
    return plain(trial.candidate) == plain(trial.question)


def is_quoted(trial: Trial) -> bool:
    text = trial.candidate.strip()
    added = _QUOTE.search(text) and not _QUOTE.search(trial.question)
    return bool(added or _WRAPPED.fullmatch(text))


def is_no_question(trial: Trial) -> bool:
    return trial.question.strip().endswith("?") and not trial.candidate.strip().endswith("?")


def is_too_long(trial: Trial) -> bool:
    return len(words(trial.candidate)) > 3 * len(words(trial.question)) + 8


def is_chatter(trial: Trial) -> bool:
    question, candidate = lowered(trial.question).strip(), lowered(trial.candidate).strip()
    return _CHATTER.match(candidate) is not None and not _CHATTER.match(question)
