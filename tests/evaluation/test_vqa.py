from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from evaluation.vqa import (
    ANSWER_TOKENS,
    BATCH,
    PICTURES,
    QUESTIONS_PER_PICTURE,
    Answered,
    Score,
    ask,
    choose,
    scores,
    write_answers,
    write_sheet,
)
from mmedit_build.errors import UserError
from mmedit_build.services.asking import Answer, NoAnswer, Question
from mmedit_build.sources.vqav2 import VqaQuestion


class Told:
    """A model that gives the answers it is told, and remembers what it was asked."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.asked: list[Question] = []

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[Answer | NoAnswer]:
        assert max_tokens == ANSWER_TOKENS
        self.asked += questions
        answers, self.answers = self.answers[: len(questions)], self.answers[len(questions) :]
        return [NoAnswer("a.jpg is broken.") if answer is None else Answer(answer) for answer in answers]


def question(number: int = 1, image: str = "a.jpg", kind: str = "color", answer: str = "red") -> VqaQuestion:
    answers = (answer,) * 9 + ("other",)
    return VqaQuestion(number, Path(image), f"What is {number}?", kind, answers, number, "val2014")


def answered(right: Sequence[bool], image: str = "a.jpg", kind: str = "color") -> list[Answered]:
    """One row for each truth value, about one image."""
    return [
        Answered(question(number, image, kind), "red" if is_right else "blue", float(is_right))
        for number, is_right in enumerate(right)
    ]


def test_an_answer_is_right_from_half_the_credit_on() -> None:
    assert [Answered(question(), "red", credit).right for credit in (0.49, 0.5, 1.0)] == [False, True, True]


def test_each_answer_is_scored_against_its_question() -> None:
    rows = [question(1, answer="red"), question(2, answer="cat"), question(3, answer="dog")]

    mllm = Told("Red.", "a dog", "other")
    result = ask(mllm, rows, lambda _: None)
    assert mllm.asked == [Question(Path("a.jpg"), f"What is {number}?") for number in (1, 2, 3)]
    assert [row.question for row in result] == rows
    assert [row.prediction for row in result] == ["Red.", "a dog", "other"]
    assert [row.accuracy for row in result] == pytest.approx([1.0, 0.0, 0.3])
    assert [row.right for row in result] == [True, False, False]


def test_progress_counts_every_question_once() -> None:
    sizes: list[int] = []
    rows = [question(number) for number in range(BATCH + 5)]
    result = ask(Told(*["red"] * len(rows)), rows, sizes.append)
    assert sizes == [BATCH, 5]
    assert [row.question.question_id for row in result] == list(range(BATCH + 5))


def test_a_model_that_loses_answers_is_a_bug() -> None:
    with pytest.raises(ValueError, match="zip"):
        ask(Told("red"), [question(1), question(2)], lambda _: None)


def test_a_question_without_answer_ends_the_asking_with_its_reason() -> None:
    with pytest.raises(UserError, match=r"a\.jpg is broken"):
        ask(Told("red", None), [question(1), question(2)], lambda _: None)


def test_scores_are_means_by_type_and_over_all_questions() -> None:
    rows = answered([True, False], kind="size") + answered(
        [True, True, True, False, True, True], kind="color"
    )
    assert scores(rows) == [Score("color", 6, 5 / 6), Score("size", 2, 0.5), Score("all", 8, 0.75)]


def test_answers_are_written_with_all_that_a_score_rests_on(tmp_path: Path) -> None:
    write_answers(tmp_path / "answers.jsonl", answered([True, False], image="folder/a.jpg"))
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert lines[1] == {
        "question_id": 1,
        "image": "a.jpg",
        "question": "What is 1?",
        "question_type": "color",
        "prediction": "blue",
        "answers": ["red"] * 9 + ["other"],
        "accuracy": 0.0,
    }
    assert len(lines) == 2


def failed_and_passed(failed: int, passed: int) -> list[Answered]:
    rows = []
    for number in range(failed + passed):
        rows += answered([True, number >= failed], image=f"{number}.jpg")
    return rows


@pytest.mark.parametrize(
    ("failed", "passed", "shown_failed"),
    [(50, 50, PICTURES // 2), (2, 50, 2), (50, 2, PICTURES - 2), (3, 3, 3), (0, 5, 0)],
)
def test_half_of_the_chosen_images_have_a_wrong_answer(failed: int, passed: int, shown_failed: int) -> None:
    groups = choose(failed_and_passed(failed, passed))
    assert len(groups) == min(PICTURES, failed + passed)
    assert sum(not all(row.right for row in rows) for rows in groups) == shown_failed


def test_wrong_answers_come_first_when_an_image_has_more_than_fit() -> None:
    (rows,) = choose(answered([True] * 6 + [False]))
    assert [row.right for row in rows] == [False] + [True] * (QUESTIONS_PER_PICTURE - 1)


def test_the_sheet_is_a_picture_with_a_card_for_each_image(tmp_path: Path) -> None:
    rows = []
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (64, 64), "green").save(tmp_path / name)
        rows += answered([True, False], image=str(tmp_path / name))
    write_sheet(tmp_path / "two.png", rows)
    write_sheet(tmp_path / "one.png", rows[:2])
    with Image.open(tmp_path / "two.png") as two, Image.open(tmp_path / "one.png") as one:
        assert two.format == "PNG"
        assert two.width > one.width
