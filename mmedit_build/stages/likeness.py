"""Whether a painted image can stand for the original: checks from cheap to dear, each with its score."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mmedit_build.recipe import ImagineStage
from mmedit_build.rows import EditRow
from mmedit_build.scoring.bounds import NoNumberError, within
from mmedit_build.services.asking import NoAnswer
from mmedit_build.stages.quiz import Examiner, Item

if TYPE_CHECKING:
    from mmedit_build.services.images.resemblance import Resemblance

UNCHANGED = "nearly the original"
UNLIKE = "unlike the caption"
QUIZ_FAILED = "known questions answered otherwise"
TARGET_LOST = "the target is not seen"

Exam = tuple[Item, ...]
"""What one model is asked about the paintings of an edit."""


@dataclass(slots=True)
class Attempt:
    """An image for an edit, on its way through the checks."""

    edit: EditRow
    seed: int
    caption: str
    source: Image.Image | None
    """The original, for image-to-image."""
    strength: float | None = None
    """How much of it is painted over."""
    exams: tuple[Exam, ...] = ()
    """For each model what it is asked, in the order of the models."""
    data: bytes | None = None
    """The painted image, encoded; None if there is none."""
    reason: str | None = None
    """Why it was refused."""
    failure: str | None = None
    """Why it could not be judged."""
    scores: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    """Questions that were answered otherwise."""

    @property
    def passing(self) -> bool:
        """Whether nothing speaks against it so far."""
        return self.data is not None and self.reason is None and self.failure is None

    def decide(self, name: str, score: float, least: float, reason: str) -> None:
        """Note a score, and the reason if it is below the least."""
        try:
            if not within(name, score, least=least):
                self.reason = reason
        except NoNumberError as error:
            self.failure = str(error)
        else:
            self.scores[name] = round(score, 4)

    @property
    def rank(self) -> tuple[float, float]:
        """The better, the higher: what keeps the answers, then what fits the caption."""
        return self.scores.get("quiz", 0.0), self.scores.get("resemblance", 0.0)


@dataclass(frozen=True, slots=True)
class Likeness:
    """The checks of one recipe."""

    config: ImagineStage
    resemblance: Resemblance | None
    examiners: Sequence[Examiner]
    usual: dict[str, float] = field(default_factory=dict, init=False)
    """By edit, how much the original resembles the caption: the same for all attempts."""

    def check(self, attempts: Sequence[Attempt]) -> None:
        """Give each attempt its scores, and a reason where it fails; what failed is checked no further."""
        for check in (self._differs, self._resembles):
            check([attempt for attempt in attempts if attempt.passing])
        for number in range(len(self.examiners)):
            self._keeps_answers(number, [attempt for attempt in attempts if attempt.passing])

    def _differs(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            if attempt.source is not None and attempt.data is not None:
                difference = round(_difference(attempt.source, attempt.data), 3)
                attempt.decide("difference", difference, self.config.least_difference, UNCHANGED)

    def _resembles(self, attempts: Sequence[Attempt]) -> None:
        config = self.config.resemblance
        if config is None or self.resemblance is None:
            return
        images = [attempt.data for attempt in attempts if attempt.data is not None]
        cosines = self.resemblance.text_image([attempt.caption for attempt in attempts], images)
        for attempt, cosine in zip(attempts, cosines, strict=True):
            attempt.decide("resemblance", cosine, config.least, UNLIKE)
        if config.most_lost is not None:
            self._check_loss(attempts, self.resemblance, config.most_lost)

    def _check_loss(self, attempts: Sequence[Attempt], matcher: Resemblance, most: float) -> None:
        """Refuse what resembles the caption clearly less than the original does."""
        over = [one for one in attempts if one.source is not None and one.passing]
        new = [one for one in over if one.edit.id not in self.usual]
        originals = [one.source for one in new if one.source is not None]
        cosines = matcher.text_image([one.caption for one in new], originals) if new else []
        self.usual.update({one.edit.id: cosine for one, cosine in zip(new, cosines, strict=True)})
        for attempt in over:
            gain = attempt.scores["resemblance"] - self.usual[attempt.edit.id]
            attempt.decide("resemblance_gain", gain, -most, UNLIKE)

    def _keeps_answers(self, number: int, attempts: Sequence[Attempt]) -> None:
        """Have one model examine the images."""
        examiner = self.examiners[number]
        images = [attempt.data for attempt in attempts if attempt.data is not None]
        exams = [attempt.exams[number] for attempt in attempts]
        results = examiner.examine(images, exams)
        for attempt, exam, failed in zip(attempts, exams, results, strict=True):
            if examiner.own and attempt.edit.task == "vqa":
                attempt.scores["target_asked"] = float(any(item.own for item in exam))
            if isinstance(failed, NoAnswer):
                attempt.failure = failed.reason
            else:
                self._mark(attempt, exam, failed)

    def _mark(self, attempt: Attempt, exam: Exam, failed: Sequence[Item]) -> None:
        assert self.config.quiz is not None
        others = [item for item in exam if not item.own]
        lost = [item for item in failed if not item.own]
        if others and (len(others) - len(lost)) / len(others) < self.config.quiz.least:
            attempt.reason = QUIZ_FAILED
        if len(others) < len(exam):
            attempt.scores["target_seen"] = float(len(lost) == len(failed))
        if len(lost) < len(failed):
            attempt.reason = TARGET_LOST
        attempt.failed += [item.question for item in failed]
        asked = attempt.scores.get("asked", 0) + len(exam)
        if asked:
            attempt.scores |= {"asked": asked, "quiz": round(1 - len(attempt.failed) / asked, 4)}


def _difference(source: Image.Image, data: bytes) -> float:
    with Image.open(io.BytesIO(data)) as image:
        painted = np.asarray(image.convert("RGB"), dtype=np.int16)
    height, width, _ = painted.shape
    original = np.asarray(source.resize((width, height), Image.Resampling.LANCZOS), dtype=np.int16)
    return float(np.abs(painted - original).mean())
