"""VQAv2: the official questions and annotations files, joined with their images; OK-VQA's are alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from mmedit_build.errors import UserError

LEAST_ANSWERS = 4
"""With fewer annotators even an answer that all of them gave would not count as fully right."""


@dataclass(frozen=True, slots=True)
class VqaQuestion:
    """One question about one image, with the answers of its annotators."""

    question_id: int
    image: Path
    question: str
    question_type: str
    answers: tuple[str, ...]


class _Question(BaseModel):
    question_id: int
    image_id: int
    question: str


class _QuestionsFile(BaseModel):
    data_subtype: str
    questions: list[_Question]


class _Answer(BaseModel):
    answer: str
    raw_answer: str | None = None
    """What the annotator wrote; OK-VQA alone has it, whose `answer` is a stemmed form of it."""


class _Annotation(BaseModel):
    question_id: int
    question_type: str
    answers: list[_Answer]


class _AnnotationsFile(BaseModel):
    annotations: list[_Annotation]


_File = TypeVar("_File", _QuestionsFile, _AnnotationsFile)


def read_questions(
    questions: Path, annotations: Path, images: Path, limit: int | None = None
) -> list[VqaQuestion]:
    """The first `limit` questions in the order of the file (all of them without a limit)."""
    asked = _load(_QuestionsFile, questions, "questions")
    if not asked.questions:
        raise UserError(f"{questions} holds no questions; give another file.")
    annotated = _load(_AnnotationsFile, annotations, "annotations").annotations
    answers = {row.question_id: row for row in annotated if row.answers}
    rows = []
    for row in asked.questions[:limit]:
        if row.question_id not in answers:
            raise UserError(
                f"{annotations} has no answers to question {row.question_id} of {questions}; "
                "give the two files of the same split."
            )
        image = images / image_name(asked.data_subtype, row.image_id)
        rows.append(_joined(row, image, answers[row.question_id]))
    return rows


def image_name(subtype: str, image_id: int) -> str:
    """The name of an image in COCO, such as COCO_val2014_000000000042.jpg."""
    return f"COCO_{subtype}_{image_id:012d}.jpg"


def _joined(question: _Question, image: Path, annotation: _Annotation) -> VqaQuestion:
    if not image.is_file():
        raise UserError(
            f"The image {image.name} is not in {image.parent}; give the folder that holds the images of "
            "these questions."
        )
    if len(annotation.answers) < LEAST_ANSWERS:
        raise UserError(
            f"Question {question.question_id} has the answers of {len(annotation.answers)} annotators, but "
            f"VQA accuracy needs {LEAST_ANSWERS}; give annotations with more answers (VQAv2 has ten)."
        )
    answers = tuple(row.raw_answer or row.answer for row in annotation.answers)
    return VqaQuestion(question.question_id, image, question.question, annotation.question_type, answers)


def _load(layout: type[_File], path: Path, role: str) -> _File:
    try:
        return layout.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"Cannot read the {role} file {path} ({error.strerror}); check its path.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or "the file"
        raise UserError(
            f"{path} is not a VQAv2 {role} file ({place}: {first['msg']}); "
            "give the file of visualqa.org or one of the same layout."
        ) from error
