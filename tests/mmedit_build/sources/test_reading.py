from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from mmedit_build.errors import UserError
from mmedit_build.miniature.sources import SPLITS, Sources
from mmedit_build.recipe import CaptionFiles, FactFile, HubCaptions, HubFacts, HubQuestions, QuestionFiles
from mmedit_build.recipe import Sources as Named
from mmedit_build.rows import Example, LocalityItem
from mmedit_build.sources.reading import (
    missing_images,
    most_given,
    read_examples,
    read_facts,
    read_image_pool,
)
from mmedit_build.work import Work

IMAGES = {"train2014": 2, "val2014": 6}


def questions(split: str, **changes: str) -> QuestionFiles:
    paths = {
        "questions": f"{{sources}}/vqa/v2_OpenEnded_mscoco_{split}_questions.json",
        "annotations": f"{{sources}}/vqa/v2_mscoco_{split}_annotations.json",
        "images": f"{{sources}}/images/{split}",
    }
    return QuestionFiles.model_validate({**paths, **changes})


def captions(split: str) -> CaptionFiles:
    return CaptionFiles(
        annotations=f"{{sources}}/coco/captions_{split}.json", images=f"{{sources}}/images/{split}"
    )


def pool(split: str) -> QuestionFiles:
    return QuestionFiles(
        questions=f"{{sources}}/okvqa/OpenEnded_mscoco_{split}_questions.json",
        annotations=f"{{sources}}/okvqa/mscoco_{split}_annotations.json",
        images=f"{{sources}}/images/{split}",
    )


@pytest.fixture
def named() -> Named:
    """Both splits, as in the recipe of the miniature."""
    return Named(vqa=tuple(map(questions, SPLITS)), captions=tuple(map(captions, SPLITS)))


def read(named: Named, work: Work, limit: int | None = None) -> list[Example]:
    return read_examples(named, work, limit=limit, caption_prompt="a photo of")


@pytest.mark.usefixtures("drawn")
def test_questions_come_first_then_images_with_captions(named: Named, work: Work) -> None:
    rows = read(named, work)
    assert [row.task for row in rows] == ["vqa"] * 40 + ["caption"] * 8
    assert rows[0].id.startswith("vqa/train2014/")
    assert rows[-1].id.startswith("caption/val2014/")
    assert {row.question for row in rows if row.task == "caption"} == {"a photo of"}
    assert missing_images(rows, work) == 0


@pytest.mark.usefixtures("drawn")
def test_images_are_named_relative_to_the_work_folder(named: Named, work: Work) -> None:
    row = read(named, work)[0]
    assert row.image == f"sources/images/train2014/COCO_train2014_{int(row.image_id):012d}.jpg"
    assert work.path(row.image).is_file()


@pytest.mark.usefixtures("drawn")
def test_questions_carry_a_caption_of_their_image(named: Named, work: Work) -> None:
    rows = read(named, work)
    shown = {(row.id.split("/")[1], row.image_id): row.answers[0] for row in rows if row.task == "caption"}
    assert [row.caption for row in rows] == [shown[row.id.split("/")[1], row.image_id] for row in rows]


@pytest.mark.usefixtures("drawn")
def test_captions_of_another_subset_say_nothing(work: Work) -> None:
    rows = read(Named(vqa=(questions("val2014"),), captions=(captions("train2014"),)), work)
    assert {row.caption for row in rows if row.task == "vqa"} == {None}


@pytest.mark.usefixtures("drawn")
def test_a_limit_takes_the_first_of_each_task_but_all_captions_tell_of_images(
    named: Named, work: Work
) -> None:
    rows = read(named, work, limit=13)
    everything = read(named, work)
    assert [row.id for row in rows] == [row.id for row in everything if row.task == "vqa"][:13] + [
        row.id for row in everything if row.task == "caption"
    ]
    few = read(named.model_copy(update={"vqa": named.vqa[1:]}), work, limit=1)
    assert [row.id.split("/")[:2] for row in few] == [["vqa", "val2014"], ["caption", "train2014"]]
    assert all(row.caption for row in few)


@pytest.mark.usefixtures("drawn")
def test_relative_paths_are_relative_to_the_current_folder(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work.sources)
    paths = {
        name: path.removeprefix("{sources}/") for name, path in questions("val2014").model_dump().items()
    }
    row, *_ = read(Named(vqa=(QuestionFiles.model_validate(paths),)), Work(tmp_path))
    assert row.image == str(work.sources / "images/val2014" / f"COCO_val2014_{int(row.image_id):012d}.jpg")


@pytest.mark.usefixtures("drawn")
def test_rows_of_missing_images_stay_and_are_counted_by_image(work: Work) -> None:
    rows = read(Named(vqa=(questions("val2014", images="{sources}/nowhere"),)), work)
    assert len(rows) == 5 * IMAGES["val2014"]
    assert missing_images(rows, work) == IMAGES["val2014"]


@pytest.mark.usefixtures("drawn")
def test_a_source_named_twice_is_refused(work: Work) -> None:
    with pytest.raises(UserError, match=r"hold vqa/val2014/\d+ 2 times; name each source once"):
        read(Named(vqa=(questions("val2014"), questions("val2014"))), work)


@pytest.mark.usefixtures("drawn")
def test_what_is_wrong_with_a_file_is_told(work: Work) -> None:
    with pytest.raises(UserError, match=r"Cannot read the VQAv2 questions file .*gone\.json"):
        read(Named(vqa=(questions("val2014", questions="{sources}/gone.json"),)), work)


@pytest.mark.usefixtures("drawn")
def test_the_home_of_nobody_is_told(work: Work) -> None:
    with pytest.raises(UserError, match=r"no home folder ~nosuchuser"):
        read(Named(vqa=(questions("val2014", images="~nosuchuser/images"),)), work)


@pytest.mark.usefixtures("drawn")
def test_facts_are_far_items_without_an_image(work: Work) -> None:
    items = read_facts([FactFile(path="{sources}/nq/validation.json")], work)
    content = json.loads((work.sources / "nq" / "validation.json").read_text())
    assert [(item.id, item.question, item.answer) for item in items] == [
        (f"nq/validation/{place}", *pair)
        for place, pair in enumerate(zip(content["questions"], content["answers"], strict=True))
    ]
    assert {(item.relation, item.image, item.image_id) for item in items} == {("far", None, None)}


def test_the_pool_of_images_has_the_answers_most_given(work: Work, drawn: Sources) -> None:
    items = read_image_pool([pool(split) for split in SPLITS], work)
    annotated: list[dict[str, Any]] = [
        row
        for split in SPLITS
        for row in json.loads(drawn.okvqa_annotations(split).read_text())["annotations"]
    ]
    assert [item.id.split("/")[-1] for item in items] == [str(row["question_id"]) for row in annotated]
    assert items[0].id.startswith("okvqa/train2014/")
    for item, row in zip(items, annotated, strict=True):
        given = [answer["raw_answer"] for answer in row["answers"]]
        assert item.answers == tuple(given)
        assert given.count(item.answer) == max(map(given.count, given))
        assert isinstance(item, LocalityItem)
        assert item.image is not None
        assert work.path(item.image).is_file()


@pytest.mark.parametrize(("answers", "most"), [("ab", "a"), ("abb", "b"), ("cabbc", "c")])
def test_of_answers_given_equally_often_the_first_counts(answers: str, most: str) -> None:
    assert most_given(tuple(answers)) == most


@pytest.mark.usefixtures("_own_cache")
def test_datasets_in_the_manner_of_the_hub_may_lie_among_the_sources(tmp_path: Path, drawn: Sources) -> None:
    work = Work(tmp_path / "work")
    asked = json.loads(drawn.vqa_questions("val2014").read_text())["questions"]
    answers = json.loads(drawn.vqa_annotations("val2014").read_text())["annotations"]
    rows = [{**question, **annotation} for question, annotation in zip(asked, answers, strict=True)]
    facts = [{"question": "who", "answer": ["me", "you"]}]
    told = [{"cocoid": row["image_id"], "sentences": ["a", "b"]} for row in rows[::5]]
    for name, content in {"vqa": rows, "nq": facts, "coco": told}.items():
        (work.sources / name).mkdir(parents=True)
        datasets.Dataset.from_list(content).to_parquet(work.sources / name / "validation.parquet")
    images = str(drawn.image_folder("val2014"))
    vqa = HubQuestions(kind="hub", dataset="{sources}/vqa", images=images)
    coco = HubCaptions(kind="hub", dataset="{sources}/coco", images=images)
    examples = read(Named(vqa=(vqa,), captions=(coco,)), work)
    (fact,) = read_facts([HubFacts(kind="hub", dataset="{sources}/nq")], work)
    assert [row.task for row in examples] == ["vqa"] * len(rows) + ["caption"] * len(told)
    assert {row.caption for row in examples} == {"a"}
    assert missing_images(examples, work) == 0
    assert (fact.id, fact.answers, fact.answer) == ("nq/validation/0", ("me", "you"), "me")
