"""Whether a painted image can stand for the original: checks from cheap to dear, each with its score."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mmedit_build.recipe import ImagineStage, Quiz
from mmedit_build.rows import EditRow
from mmedit_build.scoring.bounds import NoNumberError, within
from mmedit_build.scoring.vqa import normalize, vqa_accuracy
from mmedit_build.services.asking import Answer, Asker, NoAnswer, Question

if TYPE_CHECKING:
    from mmedit_build.services.images.resemblance import Resemblance

Known = Mapping[str, Sequence[tuple[str, str]]]
"""By image id: questions that the base model answers right about the original image, with its answers."""

UNCHANGED = "nearly the original"
UNLIKE = "unlike the caption"
QUIZ_FAILED = "known questions answered otherwise"
TARGET_LOST = "the target is not seen"

LEAST_DIFFERENCE = 2.0
"""Mean distance of pixel values (of 255) from the original below which an image is no new rendering. It only
catches what is practically a copy: how much image-to-image changes is decided by its strength."""
ANSWER_TOKENS = 16
"""The longest answer in the quiz."""


@dataclass(slots=True)
class Attempt:
    """An image for an edit, on its way through the checks."""

    edit: EditRow
    seed: int
    caption: str
    source: Image.Image | None
    """The original, for image-to-image."""
    data: bytes | None = None
    """The painted image, encoded; None if there is none."""
    reason: str | None = None
    """Why it was refused."""
    failure: str | None = None
    """Why it could not be judged."""
    scores: dict[str, float] = field(default_factory=dict)

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
        return self.scores.get("quiz", 1.0), self.scores.get("resemblance", 0.0)


@dataclass(frozen=True, slots=True)
class Likeness:
    """The checks of one recipe."""

    config: ImagineStage
    known: Known
    resemblance: Resemblance | None
    asker: Asker | None
    ask_target: bool
    """Whether the edit's own question is in the quiz, since it is not the base model that is asked."""

    def check(self, attempts: Sequence[Attempt]) -> None:
        """Give each attempt its scores, and a reason where it fails; what failed is checked no further."""
        for check in (self._differs, self._resembles, self._keeps_answers):
            check([attempt for attempt in attempts if attempt.passing])

    def _differs(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            if attempt.source is not None and attempt.data is not None:
                difference = round(_difference(attempt.source, attempt.data), 3)
                attempt.decide("difference", difference, LEAST_DIFFERENCE, UNCHANGED)

    def _resembles(self, attempts: Sequence[Attempt]) -> None:
        config = self.config.resemblance
        if config is None or self.resemblance is None:
            return
        images = [attempt.data for attempt in attempts if attempt.data is not None]
        cosines = self.resemblance.text_image([attempt.caption for attempt in attempts], images)
        for attempt, cosine in zip(attempts, cosines, strict=True):
            attempt.decide("resemblance", cosine, config.least, UNLIKE)

    def _keeps_answers(self, attempts: Sequence[Attempt]) -> None:
        if self.config.quiz is None or self.asker is None:
            return
        quizzes = [self._quiz(attempt.edit, self.config.quiz) for attempt in attempts]
        asked = [
            Question(attempt.data, item.question)
            for attempt, items in zip(attempts, quizzes, strict=True)
            for item in items
        ]
        answers = iter(self.asker.ask(asked, max_tokens=ANSWER_TOKENS))
        for attempt, items in zip(attempts, quizzes, strict=True):
            _mark(attempt, items, [next(answers) for _ in items], self.config.quiz.least)

    def _quiz(self, edit: EditRow, config: Quiz) -> list[_Item]:
        """What to ask about an image of the edit."""
        own = _plain(edit.question)
        others = [pair for pair in self.known.get(edit.image_id, ()) if _plain(pair[0]) != own]
        items = [_Item(question, (answer,), False) for question, answer in others[: config.questions]]
        if self.ask_target and edit.task == "vqa":
            items.append(_Item(edit.question, (edit.target, *edit.answers), True))
        return items


@dataclass(frozen=True, slots=True)
class _Item:
    """A question of a quiz. The target's comes with all answers of its annotators."""

    question: str
    answers: tuple[str, ...]
    about_target: bool

    def right(self, said: str) -> bool:
        if normalize(said) == normalize(self.answers[0]):
            return True
        return self.about_target and vqa_accuracy(said, self.answers[1:]) > 0


def _mark(
    attempt: Attempt, items: Sequence[_Item], answers: Sequence[Answer | NoAnswer], least: float
) -> None:
    """The result of a quiz; without questions there is none, and nothing speaks against the image."""
    said = [answer.text for answer in answers if isinstance(answer, Answer)]
    if len(said) < len(items):
        attempt.failure = next(answer.reason for answer in answers if isinstance(answer, NoAnswer))
        return
    right = [(item.about_target, item.right(text)) for item, text in zip(items, said, strict=True)]
    known = [ok for about_target, ok in right if not about_target]
    if known:
        attempt.decide("quiz", sum(known) / len(known), least, QUIZ_FAILED)
    for ok in (ok for about_target, ok in right if about_target):
        attempt.scores["target_seen"] = float(ok)
        if not ok:
            attempt.reason = TARGET_LOST


def _difference(source: Image.Image, data: bytes) -> float:
    with Image.open(io.BytesIO(data)) as image:
        painted = np.asarray(image.convert("RGB"), dtype=np.int16)
    height, width, _ = painted.shape
    original = np.asarray(source.resize((width, height), Image.Resampling.LANCZOS), dtype=np.int16)
    return float(np.abs(painted - original).mean())


def _plain(question: str) -> str:
    return " ".join(question.lower().split())
