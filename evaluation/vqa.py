"""What an unedited model answers: VQAv2 questions asked, scored by type, written down and drawn."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Protocol

from mmedit_build.errors import UserError
from mmedit_build.pictures import open_image
from mmedit_build.scoring.vqa import vqa_accuracy
from mmedit_build.services.asking import Answer, NoAnswer, Question
from mmedit_build.sheet import Entry, Line, contact_sheet
from mmedit_build.sources.vqav2 import VqaQuestion
from mmedit_build.store import write_atomic

ANSWER_TOKENS = 10
"""As BLIP-2 answers VQAv2; a longer answer could not be right."""
BATCH = 64
RIGHT = 0.5
"""The accuracy from which an answer is marked as right in the picture."""
PICTURES = 12
QUESTIONS_PER_PICTURE = 4


class Answering(Protocol):
    """What asking needs of an `Asker`."""

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[Answer | NoAnswer]: ...


@dataclass(frozen=True, slots=True)
class Answered:
    """A question, what the model answered, and how many annotators agree (official VQA accuracy)."""

    question: VqaQuestion
    prediction: str
    accuracy: float

    @property
    def right(self) -> bool:
        return self.accuracy >= RIGHT


@dataclass(frozen=True, slots=True)
class Score:
    """The mean accuracy on a number of questions of one type."""

    question_type: str
    number: int
    accuracy: float


def ask(asker: Answering, questions: Sequence[VqaQuestion], advance: Callable[[int], None]) -> list[Answered]:
    """Ask the questions in batches; `advance` hears of the number asked after each batch."""
    answered: list[Answered] = []
    for start in range(0, len(questions), BATCH):
        batch = questions[start : start + BATCH]
        asked = [Question(row.image, row.question) for row in batch]
        answers = asker.ask(asked, max_tokens=ANSWER_TOKENS)
        answered += [_judged(row, answer) for row, answer in zip(batch, answers, strict=True)]
        advance(len(batch))
    return answered


def _judged(question: VqaQuestion, answer: Answer | NoAnswer) -> Answered:
    if isinstance(answer, NoAnswer):
        raise UserError(answer.reason)
    return Answered(question, answer.text, vqa_accuracy(answer.text, question.answers))


def scores(answered: Iterable[Answered]) -> list[Score]:
    """One score for each question type in alphabetical order, then one for all questions."""
    by_type: dict[str, list[float]] = {}
    for row in answered:
        by_type.setdefault(row.question.question_type, []).append(row.accuracy)
    everything = [accuracy for accuracies in by_type.values() for accuracy in accuracies]
    groups = [*sorted(by_type.items()), ("all", everything)]
    return [Score(name, len(accuracies), fmean(accuracies)) for name, accuracies in groups]


def write_answers(path: Path, answered: Iterable[Answered]) -> None:
    """One JSON object a line for each question, in the order in which they were asked."""
    lines = [json.dumps(_record(row), ensure_ascii=False) for row in answered]
    write_atomic(path, "".join(f"{line}\n" for line in lines).encode())


def write_sheet(path: Path, answered: Iterable[Answered]) -> None:
    """A picture of some images with their questions and answers, right and wrong ones marked."""
    sheet = contact_sheet([_entry(rows) for rows in choose(answered)])
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    write_atomic(path, buffer.getvalue())


def choose(answered: Iterable[Answered]) -> list[list[Answered]]:
    """The rows of some images for the picture: half of them with a wrong answer, as far as there are such."""
    by_image: dict[Path, list[Answered]] = {}
    for row in answered:
        by_image.setdefault(row.question.image, []).append(row)
    failed = [image for image, rows in by_image.items() if not all(row.right for row in rows)]
    passed = [image for image in by_image if image not in set(failed)]
    shown = set(failed[: max(PICTURES // 2, PICTURES - len(passed))])
    shown.update(passed[: PICTURES - len(shown)])
    return [_wrong_first(rows) for image, rows in by_image.items() if image in shown]


def _wrong_first(rows: list[Answered]) -> list[Answered]:
    return sorted(rows, key=lambda row: row.right)[:QUESTIONS_PER_PICTURE]


def _entry(rows: Sequence[Answered]) -> Entry:
    lines = [line for row in rows for line in (Line(row.question.question), _answer_line(row))]
    return Entry(open_image(rows[0].question.image), lines)


def _answer_line(row: Answered) -> Line:
    prediction = row.prediction or "(no answer)"
    if row.right:
        return Line(prediction, "right")
    expected = Counter(row.question.answers).most_common(1)[0][0]
    return Line(f"{prediction} (expected: {expected})", "wrong")


def _record(row: Answered) -> dict[str, object]:
    return {
        "question_id": row.question.question_id,
        "image": row.question.image.name,
        "question": row.question.question,
        "question_type": row.question.question_type,
        "prediction": row.prediction,
        "answers": row.question.answers,
        "accuracy": round(row.accuracy, 4),
    }
