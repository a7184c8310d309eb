from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.errors import UserError
from mmedit_build.scoring.vqa import vqa_accuracy
from mmedit_build.sources.images import image_name
from mmedit_build.sources.vqav2 import LEAST_ANSWERS, read_questions


@pytest.fixture
def asked() -> dict[str, Any]:
    rows = [
        {"question_id": image * 1000 + i, "image_id": image, "question": f"What is {i}?"}
        for image in (7, 8)
        for i in (0, 1)
    ]
    return {"info": {}, "data_subtype": "val2014", "questions": rows}


@pytest.fixture
def annotated(asked: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {
            "question_id": row["question_id"],
            "image_id": row["image_id"],
            "question_type": "what is",
            "answer_type": "other",
            "multiple_choice_answer": "cat",
            "answers": [
                {"answer": f"cat {i}", "answer_confidence": "yes", "answer_id": i} for i in range(10)
            ],
        }
        for row in asked["questions"]
    ]
    return {"annotations": rows[::-1]}


def write(
    folder: Path, questions: object, annotations: object, images: tuple[int, ...] = (7, 8)
) -> tuple[Path, Path, Path]:
    paths = (folder / "questions.json", folder / "annotations.json", folder / "images")
    paths[0].write_text(json.dumps(questions))
    paths[1].write_text(json.dumps(annotations))
    paths[2].mkdir()
    for image in images:
        (paths[2] / image_name("val2014", image)).touch()
    return paths


def test_rows_join_the_files_in_the_order_of_the_questions(
    tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any]
) -> None:
    rows = read_questions(*write(tmp_path, asked, annotated))
    assert [row.question_id for row in rows] == [7000, 7001, 8000, 8001]
    assert rows[3].image == tmp_path / "images" / "COCO_val2014_000000000008.jpg"
    assert rows[3].question == "What is 1?"
    assert rows[3].question_type == "what is"
    assert rows[3].answers == tuple(f"cat {i}" for i in range(10))
    assert (rows[3].image_id, rows[3].subset) == (8, "val2014")


def test_a_limit_needs_only_the_first_images(
    tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any]
) -> None:
    rows = read_questions(*write(tmp_path, asked, annotated, images=(7,)), limit=2)
    assert [row.question_id for row in rows] == [7000, 7001]


def test_a_missing_image_is_named(tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any]) -> None:
    paths = write(tmp_path, asked, annotated, images=(7,))
    with pytest.raises(UserError, match=r"COCO_val2014_000000000008\.jpg is not in .*images"):
        read_questions(*paths)


def test_missing_images_are_left_to_whoever_opens_them(
    tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any]
) -> None:
    rows = read_questions(*write(tmp_path, asked, annotated, images=(7,)), check_images=False)
    assert [row.image.is_file() for row in rows] == [True, True, False, False]


@pytest.mark.parametrize("answer", [None, 3, {"answer_id": 1}])
def test_an_answer_that_is_no_text_is_named_with_its_place(
    tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any], answer: object
) -> None:
    annotated["annotations"][1]["answers"][4] = answer
    with pytest.raises(UserError, match=r"annotations\.1\.answers\.4: Input should be a valid string"):
        read_questions(*write(tmp_path, asked, annotated))


@pytest.mark.parametrize("answers", [None, []])
def test_a_question_without_answers_is_named(
    tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any], answers: list[Any] | None
) -> None:
    if answers is None:
        del annotated["annotations"][0]
    else:
        annotated["annotations"][0]["answers"] = answers
    with pytest.raises(UserError, match="no answers to question 8001"):
        read_questions(*write(tmp_path, asked, annotated))


def test_a_missing_file_is_named(tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any]) -> None:
    paths = write(tmp_path, asked, annotated)
    paths[1].unlink()
    with pytest.raises(UserError, match=r"Cannot read the VQAv2 annotations file .*No such file"):
        read_questions(*paths)


def test_what_is_not_json_is_told_in_one_line(
    tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any]
) -> None:
    paths = write(tmp_path, asked, annotated)
    paths[0].write_text('{"questions": [')
    with pytest.raises(UserError, match="is not a VQAv2 questions file") as caught:
        read_questions(*paths)
    assert "\n" not in str(caught.value)


def test_a_missing_field_is_named_with_its_place(
    tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any]
) -> None:
    del asked["questions"][2]["image_id"]
    with pytest.raises(UserError, match=r"questions\.2\.image_id: Field required"):
        read_questions(*write(tmp_path, asked, annotated))


def test_a_layout_that_is_not_the_official_one_is_told_by_an_example(
    tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any]
) -> None:
    del asked["data_subtype"]
    with pytest.raises(
        UserError, match=r'data_subtype: Field required.* looks like \{"data_subtype": "val2014"'
    ):
        read_questions(*write(tmp_path, asked, annotated))


def test_a_subset_leads_to_no_image_outside(
    tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any]
) -> None:
    asked["data_subtype"] = "/../../private/x"
    with pytest.raises(UserError, match=r"names the image .* leads out of the folder"):
        read_questions(*write(tmp_path, asked, annotated), check_images=False)


def test_files_swapped_by_the_user_are_told_apart(
    tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any]
) -> None:
    paths = write(tmp_path, asked, annotated)
    with pytest.raises(UserError, match=r"annotations\.json is not a VQAv2 questions file"):
        read_questions(paths[1], paths[0], paths[2])


def test_a_file_without_questions_is_told(
    tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any]
) -> None:
    asked["questions"] = []
    with pytest.raises(UserError, match="holds no questions"):
        read_questions(*write(tmp_path, asked, annotated))


def test_raw_answers_are_preferred_to_stemmed_ones(
    tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any]
) -> None:
    for row in annotated["annotations"]:
        for answer in row["answers"]:
            answer |= {"answer": "race", "raw_answer": "racing"}
    (first, *_) = read_questions(*write(tmp_path, asked, annotated))
    assert first.answers == ("racing",) * 10


@pytest.mark.parametrize("number", [1, 3])
def test_too_few_annotators_are_told(
    tmp_path: Path, asked: dict[str, Any], annotated: dict[str, Any], number: int
) -> None:
    del annotated["annotations"][0]["answers"][number:]
    with pytest.raises(UserError, match=f"Question 8001 has the answers of {number} annotators.* needs 4"):
        read_questions(*write(tmp_path, asked, annotated))


def test_the_least_number_of_annotators_can_agree_fully() -> None:
    assert vqa_accuracy("cat", ["cat"] * LEAST_ANSWERS) == 1
    assert vqa_accuracy("cat", ["cat"] * (LEAST_ANSWERS - 1)) < 1
