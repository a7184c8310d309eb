"""The numbers of a review as texts, for the terminal and for cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mmedit_build.recipe import Review
from mmedit_build.review.agreement import Estimate
from mmedit_build.review.figures import Figures
from mmedit_build.review.settling import Said
from mmedit_build.rows import ReviewQuestion

ERRORS = ("question", "split", "rows", "judged", "refused", "errors")
AGREEMENT = ("question", "judged by several", "all say the same", "Krippendorff's alpha", "Cohen's kappa")
ALONE = (
    "Nothing was judged by two people yet: another --who NAME, on the same rows, shows how far they agree."
)
_MEANING: dict[ReviewQuestion, str] = {
    "failure": "the model's answer is wrong, and the target right",
    "rephrase": "the rephrase asks for the same",
    "painting": "the target is right about the painting as well",
    "locality": "the answer of a locality item is right",
}
_RULE = {
    "any": "Something is refused where one of them says no.",
    "majority": "Something is refused where more of them say no than yes.",
    "all": "Something is refused where somebody says no and nobody yes.",
}
_NONE = "none, as all say the same"


def meaning(question: ReviewQuestion) -> str:
    """What a yes says."""
    return _MEANING[question]


def rule_text(rule: Review) -> str:
    """How disagreement is settled, in a sentence."""
    return _RULE[rule.refused_by]


def error_lines(figures: Figures) -> Iterator[Sequence[str]]:
    """A line for each question and split."""
    for one in figures.errors:
        counts = (f"{one.rows:,}", f"{one.judged:,}", f"{one.refused:,}")
        yield one.question, one.split, *counts, _percent(one.rate)


def agreement_lines(figures: Figures) -> Iterator[Sequence[str]]:
    """A line for each question."""
    for one in figures.agreement:
        kappas = "; ".join(_number(kappa) for kappa in one.kappas)
        yield one.question, f"{one.judged:,}", f"{one.alike:.1%}", _number(one.alpha), kappas


def people_lines(said: Said) -> Iterator[Sequence[str]]:
    """A line for each person: how often each answer was given."""
    for who, answers in said.items():
        counts = Counter(answers.values())
        yield who, *(f"{counts[answer]:,}" for answer in ("yes", "no", "unsure"))


def _percent(found: Estimate) -> str:
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"


def _number(found: Estimate | None) -> str:
    return _NONE if found is None else f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
