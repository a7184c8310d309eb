"""In which order rows are shown: drawn by lot, or the doubtful ones first.

What was drawn is a sample, and tells about all rows; doubtful rows tell where errors are. A score is near
its bar as compared with the same score of the other rows, so that cosines and distances of pixels can be
compared.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmedit_build.engine.settings import MANIFEST, read_settings
from mmedit_build.files import exists
from mmedit_build.review.asked import QUESTIONS
from mmedit_build.rows import EditRow, ReviewQuestion
from mmedit_build.stages.borders import order
from mmedit_build.work import Work

SEED = "review"
"""The same for everybody: who compares answers has to judge the same rows."""

Key = tuple[str, str]
"""A stage and a score."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bar:
    """What a score had to be at least or, if `most`, at most."""

    stage: str
    score: str
    bound: float
    most: bool = False

    def margin(self, score: float) -> float:
        return max(0.0, self.bound - score if self.most else score - self.bound)


_PLACES: tuple[tuple[Key, tuple[str, ...], float], ...] = (
    (("mine", "agreement"), ("vqa", "least_agreement"), 1.0),
    (("rephrase", "similarity"), ("similarity", "least"), 1.0),
    (("rephrase", "alike"), ("answers_alike", "least"), 1.0),
    (("imagine", "difference"), ("least_difference",), 1.0),
    (("imagine", "resemblance"), ("resemblance", "least"), 1.0),
    (("imagine", "resemblance_gain"), ("resemblance", "most_lost"), -1.0),
    (("imagine", "quiz"), ("quiz", "least"), 1.0),
)
"""Scores, where settings of their stages have the bound, and its sign."""


_ABOUT: dict[str, ReviewQuestion] = {"mine": "failure", "rephrase": "rephrase", "imagine": "painting"}
"""The question by which people judge what a stage did."""


def drawn(edits: Iterable[EditRow], most: int = sys.maxsize) -> list[EditRow]:
    """So many rows as drawn by lot: whatever number comes first is a sample of all, and of each split. No
    more than these are held."""
    return nsmallest(most, edits, key=lot_of)


def lot_of(edit: EditRow) -> str:
    """The lot that a row draws: it sorts as if shuffled."""
    return order(SEED, edit.id)


def doubtful_first(edits: Iterable[EditRow], bars: Sequence[Bar], most: int = sys.maxsize) -> list[EditRow]:
    """So many rows by how near the nearest of their scores is to its bar; equals as drawn. The edits are gone
    through twice, and no more of them are held."""
    found = zip(_doubts(edits, bars), edits, strict=True)
    return [edit for _, edit in nsmallest(most, found, key=lambda one: (one[0], lot_of(one[1])))]


def bars_of(work: Work, questions: Collection[ReviewQuestion] = QUESTIONS) -> list[Bar]:
    """The bars that the rows of a build have passed, as the settings of its stages say, of those stages about
    which something is asked."""
    settings = {
        stage: _settings(work, stage) if question in questions else {} for stage, question in _ABOUT.items()
    }
    bars = [
        Bar(stage, score, sign * bound)
        for (stage, score), path, sign in _PLACES
        if (bound := _at(settings[stage], path)) is not None
    ]
    most = _at(settings["mine"], ("vqa", "most_accuracy"))
    mode = settings["mine"].get("vqa") or {}
    name = "accuracy_evalai" if mode.get("mode") == "evalai" else "accuracy"
    return bars if most is None else [*bars, Bar("mine", name, most, most=True)]


def _doubts(edits: Iterable[EditRow], bars: Sequence[Bar]) -> Floats:
    """By row, the least of its margins, each as a multiple of what is usual. One that is usually zero says
    nothing."""
    margins = [array("d") for _ in bars]
    doubts = array("d")
    for edit in edits:
        scores = _scores(edit)
        doubts.append(math.inf)
        for bar, column in zip(bars, margins, strict=True):
            score = scores.get((bar.stage, bar.score))
            column.append(math.nan if score is None else bar.margin(score))
    least = np.array(doubts)
    for column in margins:
        margin = np.array(column)
        known = margin[~np.isnan(margin)]
        usual = np.median(known) if known.size else 0.0
        if usual > 0:
            least = np.fmin(least, margin / usual)
    return least


def _scores(edit: EditRow) -> dict[Key, float]:
    """What was measured of the answer, the rephrase and the painting that were taken."""
    found: dict[str, Mapping[str, float]] = {"mine": edit.scores}
    if edit.rephrase is not None:
        texts = (one for one in edit.rephrase.candidates if one.reason is None)
        found["rephrase"] = next((one.scores for one in texts if one.text == edit.rephrase.text), {})
    if edit.imagined is not None:
        paintings = (one for one in edit.imagined.candidates if one.reason is None)
        found["imagine"] = next((one.scores for one in paintings if one.digest == edit.imagined.digest), {})
    return {(stage, name): score for stage, scores in found.items() for name, score in scores.items()}


def _settings(work: Work, stage: str) -> Mapping[str, Any]:
    """The stage's section of the recipe; nothing of edits that were imported."""
    folder = work.stage(stage)
    section = read_settings(folder).get(stage) if exists(folder / MANIFEST) else None
    return section if isinstance(section, dict) else {}


def _at(section: Mapping[str, Any], path: Sequence[str]) -> float | None:
    value: Any = section
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) else None
