"""Local copies of the datasets that recipes name: their columns and types, filled from the miniature."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from datasets import Features, Image, List, Value

from mmedit_build.errors import UserError
from mmedit_build.miniature.sources import Sources
from mmedit_build.recipe import HubCaptions, HubQuestions
from mmedit_build.sources.coco import CaptionedImage, read_captions
from mmedit_build.sources.hub_rows import read_hub_captions, read_hub_questions
from mmedit_build.sources.images import image_name
from mmedit_build.sources.vqav2 import VqaQuestion, read_questions
from mmedit_build.work import Work

pytestmark = pytest.mark.usefixtures("_own_cache")

TEXT, NUMBER = Value("string"), Value("int64")
ANSWERS = List({"answer": TEXT, "answer_confidence": TEXT, "answer_id": NUMBER})
QUESTIONS = {"question_type": TEXT, "multiple_choice_answer": TEXT, "answers": ANSWERS, "image_id": NUMBER}
QUESTIONS |= {"answer_type": TEXT, "question_id": NUMBER, "question": TEXT}
VQAV2 = Features({**QUESTIONS, "image": Image()})
VQAV2_TEXT = Features(QUESTIONS)
OKVQA = Features(
    {"question_id": TEXT, "image": Image(), "question": TEXT, "answers": List(TEXT)}
    | {"question_type": TEXT, "answer_type": TEXT}
)
KARPATHY = {"filepath": TEXT, "sentids": List(Value("int32")), "filename": TEXT, "imgid": Value("int32")}
KARPATHY |= {"split": TEXT, "cocoid": Value("int32")}
SENTENCE = {"tokens": List(TEXT), "raw": TEXT, "imgid": Value("int32"), "sentid": Value("int32")}
COCO_KARPATHY = Features({**KARPATHY, "sentences": List(TEXT), "url": TEXT})
MS_COCO = Features({**KARPATHY, "sentences": SENTENCE, "image": Image()})
COCO_CAPTION = Features(
    {"question_id": TEXT, "image": Image(), "question": TEXT, "answer": List(TEXT), "id": NUMBER}
    | {"license": Value("int8"), "file_name": TEXT, "coco_url": TEXT, "height": NUMBER, "width": NUMBER}
    | {"date_captured": TEXT}
)


def save(folder: Path, rows: Iterable[dict[str, Any]], features: Features, split: str = "validation") -> str:
    """With a card that names the split, as the Hub's copies have it."""
    folder.mkdir()
    files = [{"split": split, "path": "data-*"}]
    card = yaml.safe_dump({"configs": [{"config_name": "default", "data_files": files}]})
    (folder / "README.md").write_text(f"---\n{card}---\n")
    filled = [{name: row.get(name) for name in features} for row in rows]
    datasets.Dataset.from_list(filled, features=features).to_parquet(folder / "data-00000-of-00001.parquet")
    return str(folder)


def embedded(drawn: Sources, image_id: int) -> dict[str, Any]:
    name = image_name("val2014", image_id)
    return {"bytes": (drawn.image_folder("val2014") / name).read_bytes(), "path": name}


@pytest.fixture
def vqa_rows(drawn: Sources) -> list[dict[str, Any]]:
    asked = json.loads(drawn.vqa_questions("val2014").read_text())["questions"]
    annotated = json.loads(drawn.vqa_annotations("val2014").read_text())["annotations"]
    return [
        {**q, **a, "image": embedded(drawn, q["image_id"])} for q, a in zip(asked, annotated, strict=True)
    ]


@pytest.fixture
def okvqa_rows(drawn: Sources) -> list[dict[str, Any]]:
    """As on the Hub: plain answers, ids as text, and no ids of images."""
    asked = json.loads(drawn.okvqa_questions("val2014").read_text())["questions"]
    annotated = json.loads(drawn.okvqa_annotations("val2014").read_text())["annotations"]
    return [
        {
            "question_id": str(q["question_id"]),
            "image": embedded(drawn, q["image_id"]),
            "question": q["question"],
            "answers": [answer["raw_answer"] for answer in a["answers"]],
            "question_type": a["question_type"],
            "answer_type": "other",
        }
        for q, a in zip(asked, annotated, strict=True)
    ]


@pytest.fixture
def official(drawn: Sources) -> list[VqaQuestion]:
    return read_questions(
        drawn.vqa_questions("val2014"), drawn.vqa_annotations("val2014"), drawn.image_folder("val2014")
    )


@pytest.fixture
def captioned(drawn: Sources) -> list[CaptionedImage]:
    return read_captions(drawn.coco_captions("val2014"), drawn.image_folder("val2014"))


def karpathy_row(row: CaptionedImage) -> dict[str, Any]:
    return {"filepath": row.subset, "filename": row.image.name, "split": "val", "cocoid": row.image_id}


def content(rows: Iterable[VqaQuestion | CaptionedImage]) -> list[Any]:
    """The rows without their paths."""
    return [{name: getattr(row, name) for name in row.__slots__ if name != "image"} for row in rows]


def same_bytes(rows: Iterable[VqaQuestion | CaptionedImage], drawn: Sources) -> bool:
    return all(
        row.image.read_bytes() == (drawn.image_folder("val2014") / row.image.name).read_bytes()
        for row in rows
    )


def test_vqav2_with_images(
    tmp_path: Path, drawn: Sources, vqa_rows: list[dict[str, Any]], official: list[VqaQuestion]
) -> None:
    source = HubQuestions(kind="hub", dataset=save(tmp_path / "VQAv2", vqa_rows, VQAV2))
    written: list[int] = []
    rows = read_hub_questions(source, Work(tmp_path / "work"), advance=written.append)
    assert content(rows) == content(official)
    assert same_bytes(rows, drawn)
    assert sum(written) == drawn.images - 2
    assert rows[0].image.parent.name == "val2014"


def test_vqav2_without_images_is_joined_with_a_folder(
    tmp_path: Path, drawn: Sources, vqa_rows: list[dict[str, Any]], official: list[VqaQuestion]
) -> None:
    dataset = save(tmp_path / "VQAv2", vqa_rows, VQAV2_TEXT)
    folder = str(drawn.image_folder("val2014"))
    work = Work(tmp_path / "work")
    assert read_hub_questions(HubQuestions(kind="hub", dataset=dataset, images=folder), work) == official
    assert not work.folder.exists()
    with pytest.raises(UserError, match=r"holds no images.*name the folder of the images as `images`"):
        read_hub_questions(HubQuestions(kind="hub", dataset=dataset), work)


def test_a_limit_writes_the_first_images_only(tmp_path: Path, vqa_rows: list[dict[str, Any]]) -> None:
    source = HubQuestions(kind="hub", dataset=save(tmp_path / "VQAv2", vqa_rows, VQAV2))
    rows = read_hub_questions(source, Work(tmp_path / "work"), limit=6)
    assert len(rows) == 6
    assert len(list((tmp_path / "work").rglob("*.jpg"))) == len({row.image_id for row in rows}) == 2


def test_ok_vqa_has_ids_of_images_in_its_ids_of_questions(
    tmp_path: Path, drawn: Sources, okvqa_rows: list[dict[str, Any]]
) -> None:
    dataset = save(tmp_path / "OK-VQA", okvqa_rows, OKVQA, "val2014")
    rows = read_hub_questions(
        HubQuestions(kind="hub", dataset=dataset, split="val2014"), Work(tmp_path / "work")
    )
    official = read_questions(
        drawn.okvqa_questions("val2014"), drawn.okvqa_annotations("val2014"), drawn.image_folder("val2014")
    )
    assert content(rows) == content(official)
    assert same_bytes(rows, drawn)


def test_splits_without_public_answers_are_refused(tmp_path: Path, vqa_rows: list[dict[str, Any]]) -> None:
    hidden = [{**row, "answers": None} for row in vqa_rows]
    source = HubQuestions(kind="hub", dataset=save(tmp_path / "VQAv2", hidden, VQAV2))
    with pytest.raises(UserError, match=f"no answers to question {vqa_rows[0]['question_id']}"):
        read_hub_questions(source, Work(tmp_path / "work"))


def test_ids_that_are_no_numbers_are_told(tmp_path: Path, okvqa_rows: list[dict[str, Any]]) -> None:
    okvqa_rows[1]["question_id"] = "abc"
    source = HubQuestions(kind="hub", dataset=save(tmp_path / "OK-VQA", okvqa_rows, OKVQA))
    with pytest.raises(UserError, match="has 'abc' in the column question_id, where numbers are expected"):
        read_hub_questions(source, Work(tmp_path / "work"))


def test_questions_are_not_captions(tmp_path: Path, vqa_rows: list[dict[str, Any]]) -> None:
    dataset = save(tmp_path / "VQAv2", vqa_rows, VQAV2)
    with pytest.raises(
        UserError, match=r"has no column cocoid or id, only question_type, .*question, image;"
    ):
        read_hub_captions(HubCaptions(kind="hub", dataset=dataset), Work(tmp_path / "work"))


def test_karpathys_captions_are_joined_with_a_folder(
    tmp_path: Path, drawn: Sources, captioned: list[CaptionedImage]
) -> None:
    rows = [{**karpathy_row(row), "sentences": list(row.captions)} for row in captioned]
    dataset = save(tmp_path / "coco-karpathy", rows, COCO_KARPATHY)
    images = str(drawn.image_folder("val2014").parent)
    source = HubCaptions(kind="hub", dataset=dataset, subset="none", images=images)
    assert read_hub_captions(source, Work(tmp_path / "work")) == captioned


def test_one_row_for_each_caption(tmp_path: Path, drawn: Sources, captioned: list[CaptionedImage]) -> None:
    rows = [
        {**karpathy_row(row), "sentences": {"raw": caption}, "image": embedded(drawn, int(row.image_id))}
        for row in captioned
        for caption in row.captions
    ]
    source = HubCaptions(kind="hub", dataset=save(tmp_path / "MS-COCO", rows, MS_COCO))
    found = read_hub_captions(source, Work(tmp_path / "work"))
    assert content(found) == content(captioned)
    assert same_bytes(found, drawn)


def test_one_row_for_each_image_and_a_limit_on_what_is_written(
    tmp_path: Path, drawn: Sources, captioned: list[CaptionedImage]
) -> None:
    rows = [
        {
            "question_id": row.image.name,
            "image": embedded(drawn, int(row.image_id)),
            "question": "Please carefully observe the image and come up with a caption for the image",
            "answer": list(row.captions),
            "id": row.image_id,
            "file_name": f"{row.image_id:012d}.jpg",
        }
        for row in captioned
    ]
    dataset = save(tmp_path / "COCO-Caption2017", rows, COCO_CAPTION, "val")
    source = HubCaptions(kind="hub", dataset=dataset, split="val", subset="val2017")
    found = read_hub_captions(source, Work(tmp_path / "work"), limit=2)
    assert [row.captions for row in found] == [row.captions for row in captioned]
    assert {row.subset for row in found} == {"val2017"}
    assert [row.image.is_file() for row in found] == [True, True] + [False] * (len(found) - 2)
    assert found[0].image.name == image_name("val2017", int(captioned[0].image_id))
