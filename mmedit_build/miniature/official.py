"""What is said about pictures, in the layouts of VQAv2, OK-VQA and COCO captions."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mmedit_build.miniature import grammar, questions
from mmedit_build.miniature.annotators import Annotation, annotate
from mmedit_build.miniature.captions import captions
from mmedit_build.miniature.drawing import SIZE
from mmedit_build.miniature.knowledge import Knowledge, answers_of, ask_knowledge
from mmedit_build.miniature.world import Scene
from mmedit_build.sources.images import image_name

QUESTIONS_PER_IMAGE = 5
CAPTIONS_PER_IMAGE = 5
INFO = {
    "description": "Drawings of the mmedit miniature with questions, answers and captions.",
    "url": "",
    "version": "1.0",
    "year": 2026,
    "contributor": "mmedit",
    "date_created": "2026-01-01 00:00:00",
}
LICENSE = {"url": "https://opensource.org/license/mit", "name": "MIT"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of a split; the seed decides on its pixels and on everything said about it."""

    image_id: int
    scene: Scene
    seed: str

    def rng(self, purpose: str) -> random.Random:
        return random.Random(f"{self.seed}/{purpose}")


def vqa_rows(pictures: Iterable[Picture]) -> Iterator[tuple[Json, Json]]:
    """The questions of VQAv2 with their annotations."""
    for picture in pictures:
        rng = picture.rng("vqa")
        for number, meaning in enumerate(questions.ask(picture.scene, rng, QUESTIONS_PER_IMAGE)):
            answer = questions.answer(meaning, picture.scene)
            ids = {"question_id": picture.image_id * 1000 + number, "image_id": picture.image_id}
            annotation = {
                **ids,
                "question_type": meaning.type,
                "answer_type": questions.answer_type(answer),
                "multiple_choice_answer": answer,
                "answers": _answers(annotate(answer, picture.scene, rng)),
            }
            yield {**ids, "question": rng.choice(grammar.say(meaning))}, annotation


def okvqa_rows(pictures: Iterable[Picture]) -> Iterator[tuple[Json, Json]]:
    """The questions of OK-VQA with their annotations, one for each image."""
    for picture in pictures:
        rng = picture.rng("okvqa")
        known = known_question(picture, rng)
        annotations = annotate(
            known.answer,
            picture.scene,
            rng,
            alternatives=known.alternatives,
            mistakes=[other for other in answers_of(known.topic) if other != known.answer],
        )
        ids = {"question_id": picture.image_id * 10 + 5, "image_id": picture.image_id}
        answers = [
            {**row, "raw_answer": row["answer"], "answer": stemmed(row["answer"])}
            for row in _answers(annotations)
        ]
        annotation = {
            **ids,
            "question_type": known.topic,
            "answer_type": "other",
            "confidence": 3,
            "answers": answers,
        }
        yield {**ids, "question": known.question}, annotation


def known_question(picture: Picture, rng: random.Random) -> Knowledge:
    """The one OK-VQA question of a picture."""
    (known,) = ask_knowledge(picture.scene, rng, 1)
    return known


def stemmed(answer: str) -> str:
    """The answer with its words stripped of endings, as OK-VQA gives it next to the raw answer."""
    return " ".join(_stem(word) for word in answer.split())


def _stem(word: str) -> str:
    if word.endswith("ing") and len(word) > len("swing"):
        stem = word.removesuffix("ing")
        return f"{stem}e" if stem.endswith("v") else stem
    if word.endswith("s") and not word.endswith("ss") and len(word) > len("gas"):
        return word.removesuffix("s")
    return word


def _answers(annotations: list[Annotation]) -> list[Json]:
    return [
        {"answer": one.answer, "answer_confidence": one.confidence, "answer_id": number}
        for number, one in enumerate(annotations, start=1)
    ]


def caption_rows(pictures: Iterable[Picture]) -> Iterator[Json]:
    """The captions of COCO."""
    for picture in pictures:
        worded = captions(picture.scene, picture.rng("captions"), CAPTIONS_PER_IMAGE)
        for number, caption in enumerate(worded):
            yield {"image_id": picture.image_id, "id": picture.image_id * 10 + number, "caption": caption}


def questions_file(split: str, rows: tuple[Json, ...]) -> Json:
    """A questions file, of VQAv2 or OK-VQA."""
    kind = {"task_type": "Open-Ended", "data_type": "mscoco", "data_subtype": split}
    return {"info": INFO, **kind, "license": LICENSE, "questions": rows}


def annotations_file(split: str, rows: tuple[Json, ...]) -> Json:
    """The annotations file that goes with it."""
    kind = {"data_type": "mscoco", "data_subtype": split}
    return {"info": INFO, **kind, "license": LICENSE, "annotations": rows}


def captions_file(split: str, pictures: list[Picture]) -> Json:
    """A captions file of COCO."""
    images = [
        {
            "id": picture.image_id,
            "file_name": image_name(split, picture.image_id),
            "license": 1,
            "width": SIZE,
            "height": SIZE,
            "coco_url": f"images/{split}/{image_name(split, picture.image_id)}",
            "flickr_url": "",
            "date_captured": INFO["date_created"],
        }
        for picture in pictures
    ]
    licenses = [{"id": 1, **LICENSE}]
    return {"info": INFO, "licenses": licenses, "images": images, "annotations": [*caption_rows(pictures)]}
