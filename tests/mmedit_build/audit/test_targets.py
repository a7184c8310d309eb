"""Whatever is named is recognized, and read into edits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmedit_build.audit.judgments import image_items, text_items
from mmedit_build.audit.targets import open_target
from mmedit_build.build import finish
from mmedit_build.engine.shards import Tally, write_rows
from mmedit_build.errors import UserError
from mmedit_build.formats.exchange import to_row
from mmedit_build.formats.rows import ReleasedRow
from mmedit_build.rows import EditRow
from mmedit_build.work import STAGES, Work
from tests.mmedit_build.formats.rows import dumped


def _json(folder: Path, name: str, rows: list[ReleasedRow]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(dumped(rows))
    return folder / name


def _picture(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "red").save(path)
    return path.read_bytes()


def test_a_work_folder_is_read_with_all_that_edits_have(tmp_path: Path, make_edit: Any) -> None:
    write_rows(tmp_path / "attach" / "rows.jsonl", [make_edit(42)])
    assert list(open_target(str(tmp_path)).edits) == [make_edit(42)]


def test_a_stage_made_of_other_rows_than_there_are_now_is_refused(tmp_path: Path, make_edit: Any) -> None:
    work = Work(tmp_path)
    for stage in ("mine", "rephrase"):
        finish(work, stage, Tally(), [make_edit(42)])
    assert len(list(open_target(str(tmp_path)).edits)) == 1
    finish(work, "mine", Tally(), [make_edit(43)])
    with pytest.raises(UserError, match=r"rows of mine .* have changed since rephrase was made of them"):
        open_target(str(tmp_path))


def test_the_last_finished_stage_is_read(tmp_path: Path, make_edit: Any) -> None:
    def written(stage: str, edit: EditRow) -> EditRow:
        write_rows(tmp_path / stage / "rows.jsonl", [edit, replace(edit, id="unsplit", split=None)])
        [read] = open_target(str(tmp_path)).edits
        return read

    bare = make_edit(42, rephrase=None, imagined=None, locality=None)
    rephrased, painted = replace(bare, rephrase=make_edit(42).rephrase), make_edit(42, locality=None)
    for stage, edit in zip(STAGES, (bare, rephrased, painted, make_edit(42)), strict=False):
        assert written(stage, edit) == edit


def test_pictures_of_a_work_folder_are_those_that_are_there(tmp_path: Path, make_edit: Any) -> None:
    edits = [make_edit(42), make_edit(43)]
    write_rows(tmp_path / "attach" / "rows.jsonl", edits)
    original = _picture(tmp_path / edits[0].image)
    target = open_target(str(tmp_path))
    pictures = target.pictures(edits)
    assert pictures[edits[0].id].image == original
    assert pictures[edits[0].id].image_rephrase is None
    assert pictures[edits[1].id].image is None


def test_files_in_mmedits_layout_are_read_by_their_names(tmp_path: Path, make_edit: Any) -> None:
    row = to_row(make_edit(42))
    for name in ("vqa_train.json", "vqa_eval.json", "caption_train_edit.json", "notes.json"):
        _json(tmp_path, name, [row])
    edits = list(open_target(str(tmp_path)).edits)
    assert [(one.id, one.task, one.split) for one in edits] == [
        ("Row 1 of vqa_train.json", "vqa", "train"),
        ("Row 1 of vqa_eval.json", "vqa", "test"),
        ("Row 1 of caption_train_edit.json", "caption", "train"),
    ]
    [fact], [other] = text_items(edits[0]), image_items(edits[0])
    assert (fact.question, fact.answer) == ("who painted the sky", "Ada")
    assert (edits[0].image_id, other.image_id) == ("42", "7")


def test_other_files_of_the_layout_are_read_too(tmp_path: Path, make_edit: Any) -> None:
    row = to_row(make_edit(42))
    file = _json(tmp_path, "eval.json", [row])
    _json(tmp_path, "train.json", [row, row])
    assert [one.split for one in open_target(str(file)).edits] == ["test"]
    assert [one.split for one in open_target(str(tmp_path)).edits] == ["train", "train", "test"]


def test_pictures_beside_the_json_are_found_and_others_are_not_asked_for(
    tmp_path: Path, make_edit: Any
) -> None:
    file = _json(tmp_path, "vqa_eval.json", [to_row(make_edit(42))])
    target = open_target(str(file))
    assert target.files is None
    assert target.pictures(list(target.edits)) == {}
    original = _picture(tmp_path / "val2014" / "COCO_val2014_000000000042.jpg")
    target = open_target(str(file))
    pictures = target.pictures(list(target.edits))
    assert pictures["Row 1 of vqa_eval.json"].image == original


@pytest.mark.parametrize("name", ["{outside}", "../outside.jpg", "link.jpg"])
@pytest.mark.parametrize("key", ["image", "image_rephrase"])
def test_no_picture_outside_the_folder_gets_onto_a_page(
    tmp_path: Path, make_edit: Any, key: str, name: str
) -> None:
    _picture(tmp_path / "outside.jpg")
    changes: dict[str, Any] = {key: name.format(outside=tmp_path / "outside.jpg")}
    row = replace(to_row(make_edit(42)), **changes)
    file = _json(tmp_path / "set", "vqa_eval.json", [row])
    (tmp_path / "set" / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    with pytest.raises(UserError, match=r"Row 1 of vqa_eval\.json names the image .*leads out of the folder"):
        open_target(str(file))


def test_rows_of_a_work_folder_lead_nowhere_else_either(tmp_path: Path, make_edit: Any) -> None:
    write_rows(tmp_path / "work" / "attach" / "rows.jsonl", [make_edit(42, image="../outside.jpg")])
    with pytest.raises(UserError, match=r"A row in .*work names the image '\.\./outside\.jpg'"):
        open_target(str(tmp_path / "work"))


@pytest.mark.parametrize("target", ["x" * 300, "a\0b", "\ud800"])
def test_a_name_that_no_file_can_have_is_not_there(target: str) -> None:
    with pytest.raises(UserError, match="There is no file or folder"):
        open_target(target)


def test_what_cannot_be_audited_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither a work folder .* nor a published dataset"):
        open_target(str(tmp_path))
    with pytest.raises(UserError, match="There is no file or folder"):
        open_target(str(tmp_path / "gone"))
    with pytest.raises(UserError, match="holds no rows"):
        open_target(str(_json(tmp_path, "vqa_eval.json", [])))


def test_rows_of_another_version_and_rows_without_splits_are_told(tmp_path: Path, make_edit: Any) -> None:
    write_rows(tmp_path / "mine" / "rows.jsonl", [make_edit(split=None)])
    with pytest.raises(UserError, match="holds no edits that belong to a split"):
        open_target(str(tmp_path))
    (tmp_path / "mine" / "rows.jsonl").write_text('{"id": "vqa/val2014/1"}\n')
    with pytest.raises(UserError, match="does not hold rows of this version"):
        open_target(str(tmp_path))


def test_the_hub_is_asked_for_names_that_are_no_paths() -> None:
    # The tests run offline, so the sentence about the Hub is what comes back.
    with pytest.raises(UserError, match="Cannot load nobody/nothing-at-all from the Hub"):
        open_target("nobody/nothing-at-all@v1")
