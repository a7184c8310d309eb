"""The checks of painted images, with a model that says what it is told."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from mmedit_build.recipe import ImagineStage, Local, Quiz
from mmedit_build.recipe import Resemblance as Bound
from mmedit_build.rows import EditRow
from mmedit_build.services.asking import Answer, NoAnswer, Question
from mmedit_build.services.images.resemblance import Resemblance
from mmedit_build.stages.likeness import QUIZ_FAILED, TARGET_LOST, UNCHANGED, UNLIKE, Attempt, Likeness
from mmedit_build.stages.quiz import Examiner, Item
from mmedit_build.work import Work
from tests.mmedit_build.stages.conftest import Told

SOURCE = PIL.Image.effect_mandelbrot((48, 32), (-2, -1.5, 1, 1.5), 60).convert("RGB")


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


def examiner(asker: Told) -> Examiner:
    return Examiner(asker, Work(Path("nowhere")), own=True)


def attempted(edit: EditRow, *exams: tuple[Item, ...], data: bytes = PAINTED) -> Attempt:
    return Attempt(edit, 1, "two cats", SOURCE, 0.5, exams, data)


def judged(edit: EditRow, asker: Told, *items: Item, data: bytes = PAINTED, least: float = 1.0) -> Attempt:
    config = ImagineStage(model=Local(model="none"), quiz=Quiz(least=least))
    attempt = attempted(edit, items, data=data)
    Likeness(config, None, [examiner(asker)]).check([attempt])
    return attempt


DAY, WHAT, WHERE = (
    Item("Is it day?", ("yes",)),
    Item("What is this?", ("a cat",)),
    Item("Where?", ("home",)),
)
OWN = Item("How many cats are there?", ("2", *["2"] * 9, "3"), own=True)


def test_a_copy_is_no_rendering(edit: EditRow) -> None:
    asker = Told({})
    attempt = judged(edit, asker, DAY, data=png(SOURCE.resize((96, 64))))
    assert (attempt.reason, asker.asked) == (UNCHANGED, [])
    assert 0 < attempt.scores["difference"] < 2


def test_a_recipe_says_how_much_must_differ(edit: EditRow) -> None:
    differs = judged(edit, Told({"Is it day?": "yes"}), DAY).scores["difference"]
    for least, reason in ((differs - 0.01, None), (differs + 0.01, UNCHANGED)):
        config = ImagineStage(model=Local(model="none"), quiz=None, least_difference=least)
        attempt = attempted(edit)
        Likeness(config, None, []).check([attempt])
        assert attempt.reason == reason


def test_a_resemblance_that_is_no_number_is_no_pass(edit: EditRow) -> None:
    bound = Bound(model="miniature/clip", least=0.2)
    matcher = Resemblance.open(bound, "cpu")
    for parameter in matcher._model.parameters():
        parameter.data.fill_(math.nan)
    attempt = attempted(edit)
    config = ImagineStage(model=Local(model="none"), resemblance=bound)
    Likeness(config, matcher, []).check([attempt])
    assert (attempt.failure, attempt.passing) == ("resemblance is not a number", False)
    assert "resemblance" not in attempt.scores


def test_what_resembles_the_caption_less_than_the_original_does_is_refused(edit: EditRow) -> None:
    red, green = (PIL.Image.new("RGB", (64, 64), color) for color in ("red", "green"))
    bound = Bound(model="miniature/clip", least=-1, most_lost=0.0)
    config, matcher = (
        ImagineStage(model=Local(model="none"), resemblance=bound),
        Resemblance.open(bound, "cpu"),
    )
    caption = "a big red apple"
    nearer = matcher.text_image([caption] * 2, [red, green])
    assert nearer[0] != nearer[1]
    best, worst = (red, green) if nearer[0] > nearer[1] else (green, red)
    worse = Attempt(edit, 1, caption, best, 0.5, (), png(worst))
    better = Attempt(replace(edit, id="another"), 1, caption, worst, 0.5, (), png(best))
    Likeness(config, matcher, []).check([worse, better])
    assert (worse.reason, better.reason) == (UNLIKE, None)
    assert worse.scores["resemblance_gain"] == -better.scores["resemblance_gain"] < 0


def test_right_answers_pass_in_other_words(edit: EditRow) -> None:
    attempt = judged(edit, Told({"Is it day?": "Yes.", "What is this?": "cat"}), DAY, WHAT)
    assert attempt.passing
    assert (attempt.scores["quiz"], attempt.scores["asked"], attempt.failed) == (1, 2, [])


@pytest.mark.parametrize(("least", "reason"), [(0.6, None), (2 / 3, None), (0.7, QUIZ_FAILED)])
def test_the_share_decides(edit: EditRow, least: float, reason: str | None) -> None:
    asker = Told({"Is it day?": "yes", "What is this?": "cat", "Where?": "away"})
    attempt = judged(edit, asker, DAY, WHAT, WHERE, least=least)
    assert attempt.reason == reason
    assert attempt.scores["quiz"] == pytest.approx(2 / 3, abs=1e-3)
    assert attempt.failed == ["Where?"]


def test_without_an_answer_an_image_is_not_judged(edit: EditRow) -> None:
    attempt = judged(edit, Told({"Is it day?": "yes"}), DAY, WHAT)
    assert (attempt.reason, attempt.failure, attempt.passing) == (None, "the server is silent", False)


@pytest.mark.parametrize(
    ("said", "reason"), [("two", None), ("2", None), ("3", None), ("4", TARGET_LOST), ("", TARGET_LOST)]
)
def test_the_target_must_be_seen_or_what_some_annotators_said(
    edit: EditRow, said: str, reason: str | None
) -> None:
    attempt = judged(edit, Told({OWN.question: said, "Is it day?": "yes"}), OWN, DAY, least=0.0)
    assert attempt.reason == reason
    assert attempt.scores["target_seen"] == (reason is None)
    assert attempt.failed == ([] if reason is None else [OWN.question])


def test_a_second_model_is_asked_about_what_passes_with_the_first(make_edit: Any) -> None:
    config = ImagineStage(model=Local(model="none"), quiz=Quiz())
    attempts = [attempted(make_edit(number), (DAY, WHAT), (WHERE,)) for number in (1, 2)]
    first, second = Told({"Is it day?": "yes", "What is this?": "cat"}), Told({"Where?": "away"})
    attempts[0].exams = ((DAY, Item("What is this?", ("a dog",))), (WHERE,))
    Likeness(config, None, [examiner(first), examiner(second)]).check(attempts)
    assert [one.reason for one in attempts] == [QUIZ_FAILED, QUIZ_FAILED]
    assert [one.failed for one in attempts] == [["What is this?"], ["Where?"]]
    assert [one.scores["asked"] for one in attempts] == [2, 3]
    assert second.asked == ["Where?"]


def test_a_quiz_for_many_goes_out_at_once_and_comes_back_in_order(make_edit: Any) -> None:
    config = ImagineStage(model=Local(model="none"), quiz=Quiz())
    exams = {1: (Item("a?", ("x",)), Item("b?", ("y",))), 2: (), 3: (Item("c?", ("z",)),)}
    attempts = [attempted(make_edit(number), exam) for number, exam in exams.items()]
    asker = Told({"a?": "x", "b?": "y", "c?": "not z"})
    Likeness(config, None, [examiner(asker)]).check(attempts)
    assert [one.reason for one in attempts] == [None, None, QUIZ_FAILED]
    assert asker.asked == ["a?", "b?", "c?"]


def test_paintings_go_to_the_quiz_as_bytes(edit: EditRow) -> None:
    seen: list[Path | bytes | None] = []

    class Looking(Told):
        def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[Answer | NoAnswer]:
            seen.extend(question.image for question in questions)
            return super().ask(questions, max_tokens=max_tokens)

    judged(edit, Looking({"Is it day?": "yes"}), DAY)
    assert seen == [PAINTED]
