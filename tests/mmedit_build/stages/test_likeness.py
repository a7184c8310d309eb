"""The checks of painted images, with a model that says what it is told."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from mmedit_build.recipe import ImagineStage, Local, LocalMLLM, Quiz
from mmedit_build.recipe import Resemblance as Bound
from mmedit_build.rows import EditRow
from mmedit_build.services.asking import Answer, NoAnswer, Question
from mmedit_build.services.images.resemblance import Resemblance
from mmedit_build.stages.likeness import QUIZ_FAILED, TARGET_LOST, UNCHANGED, Attempt, Likeness

SOURCE = PIL.Image.effect_mandelbrot((48, 32), (-2, -1.5, 1, 1.5), 60).convert("RGB")


@dataclass
class Told:
    """Answers each question as it was told, and not at all where it was not."""

    answers: dict[str, str]
    asked: list[str] = field(default_factory=list)
    name: str = "told"

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[Answer | NoAnswer]:
        assert max_tokens > 0
        self.asked += [question.text for question in questions]
        return [
            Answer(self.answers[one.text]) if one.text in self.answers else NoAnswer("the server is silent")
            for one in questions
        ]

    def ask_again(
        self, questions: Sequence[Question], answers: Sequence[Answer], *, max_tokens: int
    ) -> list[Answer | NoAnswer]:
        assert len(answers) == len(questions)
        return self.ask(questions, max_tokens=max_tokens)


def png(image: PIL.Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


PAINTED = png(SOURCE.rotate(180))


@pytest.fixture
def edit(make_edit: Any) -> EditRow:
    """How many cats are there? 2."""
    made = make_edit(42, imagined=None)
    assert isinstance(made, EditRow)
    return made


def judged(edit: EditRow, asker: Told, *, known: Any, data: bytes = PAINTED, **quiz: Any) -> Attempt:
    config = ImagineStage(model=Local(model="none"), quiz=Quiz(**quiz))
    attempt = Attempt(edit, 1, "two cats", SOURCE, data)
    Likeness(config, {"42": known}, None, asker, ask_target=quiz.get("model") is not None).check([attempt])
    return attempt


KNOWN = [
    ("Is it day?", "yes"),
    ("how many  CATS are there?", "4"),
    ("What is this?", "a cat"),
    ("Where?", "home"),
]


def test_a_copy_is_no_rendering(edit: EditRow) -> None:
    asker = Told({})
    attempt = judged(edit, asker, known=KNOWN, data=png(SOURCE.resize((96, 64))))
    assert (attempt.reason, asker.asked) == (UNCHANGED, [])
    assert 0 < attempt.scores["difference"] < 2


def test_a_resemblance_that_is_no_number_is_no_pass(edit: EditRow) -> None:
    bound = Bound(model="miniature/clip", least=0.2)
    matcher = Resemblance.open(bound, "cpu")
    for parameter in matcher._model.parameters():
        parameter.data.fill_(math.nan)
    attempt = Attempt(edit, 1, "two cats", SOURCE, PAINTED)
    config = ImagineStage(model=Local(model="none"), resemblance=bound)
    Likeness(config, {}, matcher, None, ask_target=False).check([attempt])
    assert (attempt.failure, attempt.passing) == ("resemblance is not a number", False)
    assert "resemblance" not in attempt.scores


def test_known_questions_are_asked_without_the_edits_own(edit: EditRow) -> None:
    asker = Told({"Is it day?": "Yes.", "What is this?": "cat", "Where?": "at home"})
    attempt = judged(edit, asker, known=KNOWN, questions=2)
    assert asker.asked == ["Is it day?", "What is this?"]
    assert attempt.passing
    assert attempt.scores["quiz"] == 1


@pytest.mark.parametrize(("least", "reason"), [(0.6, None), (2 / 3, None), (0.7, QUIZ_FAILED)])
def test_the_share_decides(edit: EditRow, least: float, reason: str | None) -> None:
    asker = Told({"Is it day?": "yes", "What is this?": "cat", "Where?": "away"})
    attempt = judged(edit, asker, known=KNOWN, least=least)
    assert attempt.reason == reason
    assert attempt.scores["quiz"] == pytest.approx(2 / 3, abs=1e-3)


def test_without_an_answer_an_image_is_not_judged(edit: EditRow) -> None:
    attempt = judged(edit, Told({"Is it day?": "yes"}), known=KNOWN)
    assert (attempt.reason, attempt.failure, attempt.passing) == (None, "the server is silent", False)


@pytest.mark.parametrize(
    ("said", "reason"), [("two", None), ("2", None), ("3", None), ("4", TARGET_LOST), ("", TARGET_LOST)]
)
def test_another_model_must_give_the_target_or_what_some_annotators_said(
    edit: EditRow, said: str, reason: str | None
) -> None:
    asker = Told({edit.question: said})
    attempt = judged(edit, asker, known=(), model=LocalMLLM(model="another"))
    assert attempt.reason == reason
    assert attempt.scores["target_seen"] == (reason is None)
    assert "quiz" not in attempt.scores


def test_a_caption_is_not_asked_for(make_edit: Any) -> None:
    asker = Told({})
    attempt = judged(make_edit(42, task="caption"), asker, known=(), model=LocalMLLM(model="another"))
    assert (attempt.passing, asker.asked) == (True, [])


def test_a_quiz_for_many_goes_out_at_once_and_comes_back_in_order(make_edit: Any) -> None:
    config = ImagineStage(model=Local(model="none"), quiz=Quiz())
    attempts = [Attempt(make_edit(number), 1, "", SOURCE, PAINTED) for number in (1, 2, 3)]
    known = {"1": [("a?", "x"), ("b?", "y")], "3": [("c?", "z")]}
    asker = Told({"a?": "x", "b?": "y", "c?": "not z"})
    Likeness(config, known, None, asker, ask_target=False).check(attempts)
    assert [one.reason for one in attempts] == [None, None, QUIZ_FAILED]
    assert asker.asked == ["a?", "b?", "c?"]


def test_paintings_go_to_the_quiz_as_bytes(edit: EditRow) -> None:
    seen: list[Path | bytes | None] = []

    class Looking(Told):
        def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[Answer | NoAnswer]:
            seen.extend(question.image for question in questions)
            return super().ask(questions, max_tokens=max_tokens)

    judged(edit, Looking({"Is it day?": "yes"}), known=KNOWN[:1])
    assert seen == [PAINTED]
