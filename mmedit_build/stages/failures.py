"""What counts as a failure of the base model, and what only looks like one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from mmedit_build.recipe import MineCaption, MineVqa
from mmedit_build.scoring import text
from mmedit_build.scoring.bounds import within
from mmedit_build.scoring.caption import Consensus, missing_words, new_words
from mmedit_build.scoring.vqa import normalize, vqa_accuracy

RIGHT = "answered right"
"""The reason that later stages look for: what the base model knows makes locality items and quizzes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The right answer, what was measured, and why this is no failure (None if it is one)."""

    target: str
    scores: dict[str, float]
    reason: str | None


def judge_answer(question: str, answers: Sequence[str], prediction: str, config: MineVqa) -> Verdict:
    """Hold an answer against those of the annotators."""
    target, votes = Counter(answers).most_common(1)[0]
    same = sum(normalize(answer) == normalize(target) for answer in answers)
    scores = {
        "accuracy": vqa_accuracy(prediction, answers),
        "accuracy_evalai": vqa_accuracy(prediction, answers, "evalai"),
        "agreement": max(same, votes) / len(answers),
    }
    if not text.plain(question):
        return Verdict(target, scores, "the question is empty")
    deciding = scores["accuracy" if config.mode == "official" else "accuracy_evalai"]
    if not within("accuracy", deciding, most=config.most_accuracy):
        return Verdict(target, scores, RIGHT)
    if not within("agreement", scores["agreement"], least=config.least_agreement):
        return Verdict(target, scores, "annotators disagree")
    return Verdict(target, scores, _false_failure(question, target, prediction, config))


def _false_failure(question: str, target: str, prediction: str, config: MineVqa) -> str | None:
    if not text.plain(prediction):
        return "no answer"
    if text.bare(prediction) == text.bare(target) or normalize(prediction) == normalize(target):
        return "right in other words"
    if not config.keep_contained and text.contains(prediction, target):
        return "contains the target or is contained in it"
    if not config.keep_wrong_type and text.wrong_type(question, prediction):
        return "answer of the wrong type"
    return None


def judge_caption(
    references: Sequence[str], prediction: str, consensus: Consensus, config: MineCaption
) -> Verdict:
    """Hold a caption against the references."""
    agreement = consensus.agreement(references)
    best = max(range(len(references)), key=agreement.__getitem__)
    cider = consensus.cider_d(prediction, references)
    usual = fmean(agreement)
    scores = {
        "cider_d": cider,
        "consensus": cider / usual if usual else 0.0,
        "new_words": new_words(prediction, references),
        "missing_words": missing_words(prediction, references),
        "agreement": agreement[best],
    }
    return Verdict(references[best].strip(), scores, _no_failure(prediction, scores, config))


def _no_failure(prediction: str, scores: dict[str, float], config: MineCaption) -> str | None:
    if not within("consensus", scores["consensus"], most=config.most_consensus):
        return RIGHT
    if not text.plain(prediction):
        return "no answer"
    says_more = within("new_words", scores["new_words"], least=config.least_new)
    lacks_some = within("missing_words", scores["missing_words"], least=config.least_missing)
    return None if says_more and lacks_some else "differs in style only"
