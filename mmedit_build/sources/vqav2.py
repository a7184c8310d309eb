"""VQAv2: the official questions and annotations files, joined with their images; OK-VQA's are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator
from typing_extensions import TypedDict

from mmedit_build.errors import UserError
from mmedit_build.files import is_file
from mmedit_build.image_files import image_path
from mmedit_build.sources.images import image_name
from mmedit_build.sources.layout import Layout

LEAST_ANSWERS = 4
"""With fewer annotators even an answer that all of them gave would not count as fully right."""


@dataclass(frozen=True, slots=True)
class VqaQuestion:
    """One question about one image, with the answers of its annotators."""

    question_id: int | str
    image: Path
    question: str
    question_type: str
    answers: tuple[str, ...]
    image_id: int | str
    subset: str
    """The part of COCO that the image is of, such as val2014; of other sources, what tells theirs apart."""


# Typed dictionaries, as two million objects of answers would take five times as long to make.
class _Question(TypedDict):
    question_id: int
    image_id: int
    question: str


class _QuestionsFile(TypedDict):
    data_subtype: str
    questions: list[_Question]


def _texts(answers: Any) -> Any:
    """What annotators wrote: OK-VQA alone tells it apart, and its `answer` is a stemmed form of it."""
    if not isinstance(answers, list):
        return answers
    return [one.get("raw_answer") or one.get("answer") if isinstance(one, dict) else one for one in answers]


class _Annotation(TypedDict):
    question_id: int
    question_type: str
    answers: Annotated[tuple[str, ...], BeforeValidator(_texts)]


class _AnnotationsFile(TypedDict):
    annotations: list[_Annotation]


QUESTIONS = Layout(
    _QuestionsFile,
    "VQAv2 questions",
    '{"data_subtype": "val2014", "questions": [{"question_id": 420, "image_id": 42, "question": "Is it?"}]}',
)
ANNOTATIONS = Layout(
    _AnnotationsFile,
    "VQAv2 annotations",
    '{"annotations": [{"question_id": 420, "question_type": "is it", '
    '"answers": ["yes", "yes", "yes", "no"]}]}',
)


def read_questions(
    questions: Path, annotations: Path, images: Path, limit: int | None = None, *, check_images: bool = True
) -> list[VqaQuestion]:
    """The first `limit` questions in the order of the file (all of them without a limit).

    Without `check_images`, images that are not there are found out by whoever opens them.
    """
    asked = QUESTIONS.load(questions)
    if not asked["questions"]:
        raise UserError(f"{questions} holds no questions; give another file.")
    annotated = ANNOTATIONS.load(annotations)["annotations"]
    by_question = {row["question_id"]: row for row in annotated if row["answers"]}
    subset, rows = asked["data_subtype"], []
    paths: dict[int, Path] = {}
    for row in asked["questions"][:limit]:
        if row["question_id"] not in by_question:
            raise UserError(
                f"{annotations} has no answers to question {row['question_id']} of {questions}; "
                "give the two files of the same split."
            )
        image = paths.get(row["image_id"]) or _image(row, subset, images, check=check_images)
        paths[row["image_id"]] = image
        rows.append(_joined(row, by_question[row["question_id"]], subset, image))
    return rows


def check_answers(question_id: int | str, answers: Sequence[str]) -> None:
    """Refuse a question that has too few answers to judge another one by."""
    if len(answers) < LEAST_ANSWERS:
        raise UserError(
            f"Question {question_id} has the answers of {len(answers)} annotators, but "
            f"VQA accuracy needs {LEAST_ANSWERS}; give annotations with more answers (VQAv2 has ten)."
        )


def _joined(question: _Question, annotation: _Annotation, subset: str, image: Path) -> VqaQuestion:
    check_answers(question["question_id"], annotation["answers"])
    return VqaQuestion(
        question_id=question["question_id"],
        image=image,
        question=question["question"],
        question_type=annotation["question_type"],
        answers=annotation["answers"],
        image_id=question["image_id"],
        subset=subset,
    )


def _image(question: _Question, subset: str, images: Path, *, check: bool) -> Path:
    """Looked for once for all questions about it."""
    name = image_name(subset, question["image_id"])
    image = image_path(images, name, f"Question {question['question_id']}")
    if check and not is_file(image):
        raise UserError(
            f"The image {name} is not in {images}; give the folder that holds the images of these questions."
        )
    return image
