"""The written files: reproducible, in the official layouts, consistent, and without leaks between splits."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmedit_build.errors import UserError
from mmedit_build.miniature.facts import facts
from mmedit_build.miniature.questions import QUESTION_TYPES, answer_type
from mmedit_build.miniature.sources import SPLITS, Sources, is_drawn, split_pictures, write_sources
from mmedit_build.miniature.world import Scene, Thing
from mmedit_build.scoring.vqa import vqa_accuracy
from mmedit_build.sources.images import image_name
from mmedit_build.sources.vqav2 import read_questions

SIZES = {"train2014": 14, "val2014": 9}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return _written(tmp_path_factory.mktemp("miniature") / "sources")


def _written(out: Path, seed: str = "test") -> Sources:
    return write_sources(out, seed=seed, train_images=SIZES["train2014"], val_images=SIZES["val2014"])


def _load(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes(sources: Sources, tmp_path: Path) -> None:
    hashes = _hashes(sources.folder)
    assert hashes == _hashes(_written(tmp_path / "again").folder)
    _written(sources.folder)
    assert hashes == _hashes(sources.folder)


def test_another_seed_gives_other_images_and_questions(sources: Sources, tmp_path: Path) -> None:
    ours, other = _hashes(sources.folder), _hashes(_written(tmp_path / "other", seed="other").folder)
    assert set(ours) == set(other)
    same = {name for name in ours if ours[name] == other[name]}
    assert same == {"nq/train.json", "nq/validation.json"}


def test_nothing_but_the_promised_files_is_written(sources: Sources) -> None:
    named = [sources.contact_sheet, sources.manifest, sources.nq("train"), sources.nq("validation")]
    for split in SPLITS:
        named += [sources.vqa_questions(split), sources.vqa_annotations(split), sources.coco_captions(split)]
        named += [sources.okvqa_questions(split), sources.okvqa_annotations(split)]
    found = {path for path in sources.folder.rglob("*") if path.is_file()}
    assert {path for path in found if path.suffix != ".jpg"} == set(named)
    assert sum(path.suffix == ".jpg" for path in found) == sources.images == sum(SIZES.values())
    assert _load(sources.manifest)["complete"] is True


@pytest.mark.parametrize("split", SPLITS)
def test_every_image_decodes_and_is_described(sources: Sources, split: str) -> None:
    described = _load(sources.coco_captions(split))["images"]
    files = sorted(sources.image_folder(split).iterdir())
    assert sorted(image["file_name"] for image in described) == [path.name for path in files]
    assert len(files) == SIZES[split]
    for image in described:
        assert image["file_name"] == image_name(split, image["id"])
        with Image.open(sources.image_folder(split) / image["file_name"]) as decoded:
            decoded.load()
            assert (decoded.format, decoded.mode) == ("JPEG", "RGB")
            assert decoded.size == (image["width"], image["height"])
        assert (sources.folder / image["coco_url"]).is_file()
        assert {"license", "flickr_url", "date_captured"} <= set(image)


@pytest.mark.parametrize("split", SPLITS)
def test_vqa_files_have_the_official_layout(sources: Sources, split: str) -> None:
    asked, annotated = _load(sources.vqa_questions(split)), _load(sources.vqa_annotations(split))
    assert set(asked) == {"info", "task_type", "data_type", "data_subtype", "license", "questions"}
    assert set(annotated) == {"info", "data_type", "data_subtype", "license", "annotations"}
    assert asked["data_subtype"] == annotated["data_subtype"] == split
    assert len(asked["questions"]) == 5 * SIZES[split]
    for question, annotation in zip(asked["questions"], annotated["annotations"], strict=True):
        assert set(question) == {"question_id", "image_id", "question"}
        assert (question["question_id"], question["image_id"]) == (
            annotation["question_id"],
            annotation["image_id"],
        )
        assert question["question_id"] // 1000 == question["image_id"]
        assert annotation["question_type"] in QUESTION_TYPES
        assert annotation["answer_type"] == answer_type(annotation["multiple_choice_answer"])
        _check_answers(annotation, annotation["multiple_choice_answer"])


def _check_answers(annotation: dict[str, Any], right: str) -> None:
    answers = annotation["answers"]
    assert [row["answer_id"] for row in answers] == list(range(1, 11))
    assert {row["answer_confidence"] for row in answers} <= {"yes", "maybe", "no"}
    texts = [row.get("raw_answer", row["answer"]) for row in answers]
    assert max(Counter(texts).values()) == texts.count(right)
    assert vqa_accuracy(right, texts) == 1


@pytest.mark.parametrize("split", SPLITS)
def test_okvqa_files_have_the_official_layout(sources: Sources, split: str) -> None:
    asked, annotated = _load(sources.okvqa_questions(split)), _load(sources.okvqa_annotations(split))
    assert set(asked) == {"info", "task_type", "data_type", "data_subtype", "license", "questions"}
    assert len(asked["questions"]) == SIZES[split]
    for question, annotation in zip(asked["questions"], annotated["annotations"], strict=True):
        assert question["question_id"] == annotation["question_id"] == question["image_id"] * 10 + 5
        assert (annotation["answer_type"], annotation["confidence"]) == ("other", 3)
        row = annotation["answers"][0]
        assert set(row) == {"answer", "raw_answer", "answer_confidence", "answer_id"}
        raw = [row["raw_answer"] for row in annotation["answers"]]
        _check_answers(annotation, max(raw, key=raw.count))


@pytest.mark.parametrize("split", SPLITS)
def test_captions_file_has_the_official_layout(sources: Sources, split: str) -> None:
    file = _load(sources.coco_captions(split))
    assert set(file) == {"info", "licenses", "images", "annotations"}
    per_image = Counter(row["image_id"] for row in file["annotations"])
    assert per_image == dict.fromkeys((image["id"] for image in file["images"]), 5)
    assert len({row["id"] for row in file["annotations"]}) == 5 * SIZES[split]
    assert all(set(row) == {"id", "image_id", "caption"} for row in file["annotations"])


def test_the_reader_of_official_files_reads_ours(sources: Sources) -> None:
    for asked, annotated, number in (
        (sources.vqa_questions("val2014"), sources.vqa_annotations("val2014"), 45),
        (sources.okvqa_questions("val2014"), sources.okvqa_annotations("val2014"), 9),
    ):
        rows = read_questions(asked, annotated, sources.image_folder("val2014"))
        assert len(rows) == number
        assert all(len(row.answers) == 10 for row in rows)


def test_nq_files(sources: Sources) -> None:
    train, validation = _load(sources.nq("train")), _load(sources.nq("validation"))
    assert validation["questions"] == [fact.questions[0] for fact in facts()]
    assert validation["answers"] == [fact.answer for fact in facts()]
    assert len(train["questions"]) == len(train["answers"]) > len(validation["questions"])
    assert not set(train["questions"]) & set(validation["questions"])
    assert set(train["answers"]) == set(validation["answers"])


def test_splits_share_no_image(sources: Sources) -> None:
    ids = [{image["id"] for image in _load(sources.coco_captions(split))["images"]} for split in SPLITS]
    assert not ids[0] & ids[1]
    pixels = [
        {
            Image.open(io.BytesIO(path.read_bytes())).tobytes()
            for path in sources.image_folder(split).iterdir()
        }
        for split in SPLITS
    ]
    assert [len(found) for found in pixels] == [SIZES[split] for split in SPLITS]
    assert not pixels[0] & pixels[1]


def test_splits_share_no_scene_and_grow_at_their_end() -> None:
    pictures = split_pictures("test", {"train2014": 600, "val2014": 400})
    train, val = ([picture.scene for picture in pictures[split]] for split in SPLITS)
    assert (len(train), len(val)) == (600, 400)
    assert not set(train) & set(val)
    assert split_pictures("test", {"train2014": 5, "val2014": 300})["val2014"] == pictures["val2014"][:300]


def test_a_scene_of_the_validation_split_is_skipped_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (Scene((Thing(0, kind, "red", big=True),), "snow") for kind in ("cat", "key"))
    drawn = {"s/val2014": [("v", one)], "s/train2014": [("t0", one), ("t1", two)]}
    monkeypatch.setattr("mmedit_build.miniature.sources.scenes", lambda seed, _: iter(drawn[seed]))
    pictures = split_pictures("s", {"train2014": 1, "val2014": 1})
    assert [picture.seed for picture in pictures["train2014"]] == ["t1"]


def test_enough_question_types(sources: Sources) -> None:
    types = {row["question_type"] for row in _load(sources.vqa_annotations("train2014"))["annotations"]}
    assert len(types) >= 9


def test_the_contact_sheet_is_a_picture(sources: Sources) -> None:
    with Image.open(sources.contact_sheet) as sheet:
        sheet.load()
        assert sheet.format == "PNG"
        assert min(sheet.size) > 500


def test_counts(sources: Sources) -> None:
    assert (sources.images, sources.questions, sources.captions) == (23, 115, 115)
    assert (sources.knowledge_questions, sources.facts) == (23, len(facts()))


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="in use"):
        _written(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="in use"):
        _written(tmp_path / "out")


def test_a_miniature_of_another_size_is_not_mixed_in(sources: Sources) -> None:
    with pytest.raises(UserError, match="another seed or size"):
        write_sources(sources.folder, seed="test", train_images=1, val_images=1)


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least one"):
        write_sources(tmp_path, val_images=0)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("manifest", [b"{", b"[]", b"{}", b"\xff\xfe", b"", b"[" * 9000])
def test_a_manifest_that_is_not_ours_is_left_alone(tmp_path: Path, manifest: bytes) -> None:
    (tmp_path / "miniature.json").write_bytes(manifest)
    with pytest.raises(UserError, match="in use"):
        _written(tmp_path)
    assert not is_drawn(tmp_path, seed="x", train_images=1, val_images=1)
    assert (tmp_path / "miniature.json").read_bytes() == manifest
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_self: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", denied)
    with pytest.raises(UserError, match=r"Cannot read .*\(Permission denied\); choose another"):
        _written(tmp_path)


def test_a_run_that_was_stopped_is_taken_up(sources: Sources, tmp_path: Path) -> None:
    begun = {"seed": "test", "train_images": 14, "val_images": 9, "complete": False}
    (tmp_path / "images").mkdir()
    (tmp_path / "miniature.json").write_text(json.dumps(begun))
    assert _hashes(_written(tmp_path).folder) == _hashes(sources.folder)


def test_okvqa_is_read_in_the_words_of_the_annotators(sources: Sources) -> None:
    asked, annotated = sources.okvqa_questions("train2014"), sources.okvqa_annotations("train2014")
    rows = read_questions(asked, annotated, sources.image_folder("train2014"))
    written = [[row["raw_answer"] for row in one["answers"]] for one in _load(annotated)["annotations"]]
    assert [list(row.answers) for row in rows] == written
