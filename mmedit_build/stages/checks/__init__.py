"""What a rephrase must not do to a question, judged by the words alone, cheap checks first.

A rephrase that is refused by mistake costs one candidate of several; one that asks something else spoils an
edit. So the checks would rather refuse too much than too little, where they cannot be right every time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from mmedit_build.scoring.text import lowered, words
from mmedit_build.stages.checks import answers, form, opposites, roles, scope
from mmedit_build.stages.checks.opposites import says_the_opposite
from mmedit_build.stages.checks.trial import Trial, content_words

CHECKS: Mapping[str, Callable[[Trial], bool]] = {
    "empty": form.is_empty,
    "several lines": form.has_several_lines,
    "identical": form.is_identical,
    "stray quotes": form.is_quoted,
    "not a question": form.is_no_question,
    "too long": form.is_too_long,
    "more than the question": form.is_chatter,
    "gives the answer away": answers.gives_away,
    "numbers changed": scope.changes_numbers,
    "negation changed": scope.changes_negation,
    "no longer a yes/no question": answers.loses_yes_no,
    "became a yes/no question": answers.becomes_yes_no,
    "counts something else": answers.changes_counting,
    "alternatives lost": answers.loses_alternatives,
    "colors changed": scope.changes_colors,
    "said of something else": scope.changes_scope,
    "says the opposite": opposites.turns_round,
    "roles exchanged": roles.exchanges_roles,
    "compares something else": roles.compares_another,
}
"""Reasons and their checks, in the order in which they are made."""

REVERSING = ("colors changed", "said of something else", "says the opposite", "roles exchanged")
"""Reasons for which a rephrase is about the same and asks something else."""


def refusal(question: str, candidate: str, target: str, answers: Sequence[str]) -> str | None:
    """Why the candidate is no rephrase of the question: the first check that fails, or None.

    `answers` are those of all annotators; what half of them say is as secret as the target.
    """
    votes = Counter(lowered(answer).strip() for answer in answers)
    common = (answer for answer, count in votes.items() if 2 * count >= len(answers))
    trial = Trial(question, candidate, tuple(dict.fromkeys([lowered(target).strip(), *common])))
    return next((reason for reason, fails in CHECKS.items() if fails(trial)), None)


def asks_otherwise(question: str, rephrase: str) -> bool:
    """Whether the rephrase is surely another question about the same, such as the reverse one."""
    return any(CHECKS[reason](Trial(question, rephrase, ())) for reason in REVERSING)


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


__all__ = ["CHECKS", "asks_otherwise", "content_words", "difference", "refusal", "says_the_opposite"]
