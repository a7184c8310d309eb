"""Questions and captions from datasets in the manner of the Hub.

Questions: question_id, question, question_type and answers (texts, or records with `answer`), as in
lmms-lab/VQAv2, pminervini/VQAv2 and lmms-lab/OK-VQA. Captions: cocoid or id, and sentences (texts, or
records with `raw`) or answer, one row for each image or for each caption, as in yerevann/coco-karpathy,
bitmind/MS-COCO and lmms-lab/COCO-Caption2017. Images are inside the rows (`image`), or in a folder that the
recipe names.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from mmedit_build.errors import UserError
from mmedit_build.recipe import HubCaptions, HubQuestions
from mmedit_build.sources.coco import CaptionedImage, tidy
from mmedit_build.sources.hub import Row, Table
from mmedit_build.sources.images import subset_of
from mmedit_build.sources.pictures import Advance, Pictures
from mmedit_build.sources.vqav2 import VqaQuestion, check_answers
from mmedit_build.work import Work

QUESTION = (
    '{"question_id": 420, "image_id": 42, "question": "Is it?", "question_type": "is it", '
    '"answers": ["yes", "yes", "yes", "no"], "image": the bytes of a file}'
)
"""What a row of questions looks like."""
CAPTION = '{"cocoid": 42, "sentences": ["A cat.", "A red cat."], "image": the bytes of a file}'
"""What a row of captions looks like."""


def read_hub_questions(
    source: HubQuestions, work: Work, limit: int | None = None, advance: Advance | None = None
) -> list[VqaQuestion]:
    """The first `limit` questions; `advance` is told of each image that is written to a file."""
    table = Table(source, QUESTION)
    columns = [table.need(name) for name in ("question_id", "question", "question_type", "answers")]
    image_id = table.choose("image_id")
    pictures = Pictures(table, source, work)
    rows = []
    for place, row in enumerate(islice(table.rows([*columns, *([image_id] if image_id else [])]), limit)):
        of_image = table.number(row, image_id) if image_id else _image_of(table.number(row, "question_id"))
        image = pictures.place(place, source.subset, of_image)
        rows.append(_question(table, row, image, of_image, source.subset))
    pictures.write((row.image for row in rows), advance)
    return rows


def _image_of(question_id: int) -> int:
    """OK-VQA's copy on the Hub has no ids of images, but its ids of questions are those with a digit more."""
    return question_id // 10


def _question(table: Table, row: Row, image: Path, image_id: int, subset: str) -> VqaQuestion:
    question_id = table.number(row, "question_id")
    answers = tuple(table.texts(row, "answers", "answer"))
    if not answers:
        raise UserError(
            f"{table.name} has no answers to question {question_id}; give a split whose answers are public."
        )
    check_answers(question_id, answers)
    return VqaQuestion(
        question_id=question_id,
        image=image,
        question=table.text(row, "question"),
        question_type=table.text(row, "question_type"),
        answers=answers,
        image_id=image_id,
        subset=subset,
    )


def read_hub_captions(
    source: HubCaptions, work: Work, limit: int | None = None, advance: Advance | None = None
) -> list[CaptionedImage]:
    """All images that have captions; only those of the first `limit` are written to files."""
    table = Table(source, CAPTION)
    id_column, caption_column = table.need("cocoid", "id"), table.need("sentences", "answer")
    name_column = table.choose("filename", "file_name")
    pictures = Pictures(table, source, work)
    captions: dict[tuple[str, int], list[str]] = {}
    images: dict[tuple[str, int], Path] = {}
    columns = [id_column, caption_column, *([name_column] if name_column else [])]
    for place, row in enumerate(table.rows(columns)):
        name = table.text(row, name_column) if name_column else ""
        key = (subset_of(name, source.subset), table.number(row, id_column))
        captions.setdefault(key, []).extend(table.texts(row, caption_column, "raw"))
        if key not in images:
            images[key] = pictures.place(place, *key, name)
    found = [CaptionedImage(key[1], key[0], images[key], tidy(told)) for key, told in captions.items()]
    rows = [row for row in found if row.captions]
    if not rows:
        raise UserError(f"{table.name} holds no captions; give another split, or another dataset.")
    pictures.write((row.image for row in rows[:limit]), advance)
    return rows
