"""What counts as a failure of the base model, and what only looks like one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from mmedit_build.recipe import MineVqa
from mmedit_build.scoring import text
from mmedit_build.scoring.bounds import within
from mmedit_build.scoring.caption import Consensus
from mmedit_build.scoring.statements import Findings, Said, compare, read
from mmedit_build.scoring.vqa import normalize, vqa_accuracy

RIGHT = "answered right"
"""The reason that later stages look for: what the base model knows makes locality items and quizzes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The right answer, what was measured, and why this is no failure (None if it is one)."""

    target: str
    scores: dict[str, float]
    reason: str | None
    said_wrong: tuple[str, ...] = ()
    """Of a caption, what it says that references deny or do not name."""
    left_out: tuple[str, ...] = ()
    """Of a caption, what most references name that it does not."""


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


def judge_caption(references: Sequence[str], prediction: str, consensus: Consensus) -> Verdict:
    """Hold what a caption says against what the references say."""
    caption, said = read(prediction), [read(reference) for reference in references]
    findings = compare(caption, said)
    agreement = consensus.agreement(references)
    cider, usual = consensus.cider_d(prediction, references), fmean(agreement)
    scores = {
        "cider_d": cider,
        "consensus": cider / usual if usual else 0.0,
        "agreement": max(agreement),
    }
    for name, score in scores.items():
        within(name, score)
    target = _target(caption, said, findings, agreement) if findings else None
    reason = None
    if not text.plain(prediction):
        reason = "no answer"
    elif not findings:
        reason = RIGHT
    elif target is None:
        reason = "no reference sets it right"
    if target is None:
        target = max(range(len(references)), key=agreement.__getitem__)
    return Verdict(references[target].strip(), scores, reason, findings.said_wrong, findings.left_out)


def _target(
    caption: Said, said: Sequence[Said], findings: Findings, agreement: Sequence[float]
) -> int | None:
    """The reference most agreed on, of those that show most of what is wrong and say nothing others deny."""
    shown = {place: _set_right(caption, one, findings) for place, one in enumerate(said)}
    fit = (place for place, much in shown.items() if much and not _denied(said, place))
    return max(fit, key=lambda place: (shown[place], agreement[place]), default=None)


def _denied(said: Sequence[Said], place: int) -> bool:
    """Whether a reference says what the others deny."""
    return bool(compare(said[place], [*said[:place], *said[place + 1 :]]).different)


def _set_right(caption: Said, reference: Said, findings: Findings) -> int:
    """How much of what is wrong with a caption one reference shows: all of it (2), some (1) or nothing."""
    alone = compare(caption, [reference])
    wrong = set(findings.said_wrong) & set(alone.said_wrong)
    missing = bool(findings.left_out and alone.left_out)
    if wrong == set(findings.said_wrong) and missing == bool(findings.left_out):
        return 2
    return int(bool(wrong) or missing)
