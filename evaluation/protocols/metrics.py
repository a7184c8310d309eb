"""Scores of one probe, as pure functions of what a model gave before and after an edit.

The `legacy` scores are MMEdit's and are teacher-forced. Token ids are arrays: of the targets (T), or the
likeliest ids at each position, best first (T, K). Where two outputs differ in length, because an editor put
text before the prompt, the last positions that both have are compared: the prompt itself stands at the end.

The `wild` scores compare texts that the model wrote until it stopped by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmedit_build.scoring.caption import Consensus
from mmedit_build.scoring.vqa import normalize, vqa_accuracy

Ids = NDArray[np.int32]
Floats = NDArray[np.float32]


# Legacy: teacher-forced


def token_accuracy(predicted: Ids, target: Ids) -> float:
    """The share of target tokens that the model would have said; easyedit's `acc` without exact match."""
    _check_target(predicted, target)
    return float(np.mean(predicted == target))


def exact_match(predicted: Ids, target: Ids) -> float:
    """1 if the model would have said every target token, else 0."""
    _check_target(predicted, target)
    return float(np.all(predicted == target))


def top1_agreement(before: Ids, after: Ids) -> float:
    """T-Locality: the share of positions with the same likeliest token before and after."""
    return ranked_agreement(before[:, :1], after[:, :1])


def ranked_agreement(before: Ids, after: Ids) -> float:
    """M-Locality: the share of cells (position, rank) with the same token before and after."""
    length = min(len(before), len(after))
    if length == 0 or before.shape[1] != after.shape[1]:
        raise ValueError(f"cannot compare likeliest tokens of shapes {before.shape} and {after.shape}")
    return float(np.mean(before[-length:] == after[-length:]))


# Wild: what the model writes


def kl_divergence(before: Floats, after: Floats) -> float:
    """The mean over positions (rows) of KL(before || after), from log-probabilities of the same events.

    Where the events are single tokens and all others together, as `base_outputs` keeps them, it is a lower
    bound of that over all tokens, and differs from it by less than the others' probability allows.
    """
    if before.shape != after.shape or not before.size:
        raise ValueError(f"cannot compare distributions of shapes {before.shape} and {after.shape}")
    # An event of no probability before adds nothing, whatever it has after.
    known = np.isfinite(before)
    safe = np.where(known, before, 0.0).astype(np.float64)
    with np.errstate(invalid="ignore"):
        terms = np.where(known, np.exp(safe) * (safe - after.astype(np.float64)), 0.0)
    # Rounding can make the sum of two equal distributions a little less than nothing.
    return max(0.0, float(terms.sum(axis=1).mean()))


def match(said: str, targets: Sequence[str]) -> float:
    """1 if the answer is one of the targets as VQA normalizes both, else 0."""
    return float(_same(said) in {_same(target) for target in targets})


def unchanged(before: str, after: str) -> float:
    """1 if both answers are the same as VQA normalizes them, else 0."""
    return float(_same(before) == _same(after))


def soft_accuracy(said: str, target: str, answers: Sequence[str]) -> float:
    """VQA accuracy after an edit, whose target is right whatever the annotators say.

    The target itself gets 1. Another answer gets the official accuracy, unless no annotator agrees with the
    target: then the edit is against what they see, and their answers are wrong.
    """
    if match(said, [target]):
        return 1.0
    if not any(match(answer, [target]) for answer in answers):
        return 0.0
    return vqa_accuracy(said, answers)


def caption_consensus(said: str, target: str, consensus: Consensus) -> float:
    """CIDEr-D of a caption against the target alone, as a share of the target's own; at most 1."""
    if match(said, [target]):
        return 1.0
    own = consensus.cider_d(target, [target])
    return min(1.0, consensus.cider_d(said, [target]) / own) if own else 0.0


def _same(text: str) -> str:
    # Some answers are nothing but an article to the normalization, such as blood type A.
    return normalize(text) or " ".join(text.lower().split())


def _check_target(predicted: Ids, target: Ids) -> None:
    if predicted.shape != target.shape or not len(target):
        raise ValueError(f"cannot compare predictions {predicted.shape} with targets {target.shape}")
