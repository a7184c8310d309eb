from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mmedit_build.errors import UserError
from mmedit_build.publishing import check_folder
from mmedit_build.rows import EditRow, LocalityItem

Change = Callable[[Any, list[EditRow]], None]


def with_items(edit: EditRow, *image: LocalityItem, text: tuple[LocalityItem, ...] | None = None) -> EditRow:
    assert edit.locality is not None
    return replace(edit, locality=replace(edit.locality, image=image, text=text or edit.locality.text))


def same_image(_: Any, edits: list[EditRow]) -> None:
    edits[3] = replace(edits[3], image_id="0")


def same_image_of_tasks(_: Any, edits: list[EditRow]) -> None:
    edits[7] = replace(edits[7], image_id="1")


def same_question(_: Any, edits: list[EditRow]) -> None:
    edits[4] = replace(edits[4], question="what is in  corner 2?")


def same_fact(world: Any, edits: list[EditRow]) -> None:
    fact = replace(world.fact("train"), id="nq/other")
    edits[3] = with_items(edits[3], *edits[3].locality.image, text=(fact,))  # type: ignore[union-attr]


def same_pair(world: Any, edits: list[EditRow]) -> None:
    edits[3] = with_items(
        edits[3], replace(world.other("train"), id="okvqa/other", question="What is it for")
    )


def image_of_an_edit(world: Any, edits: list[EditRow]) -> None:
    edits[0] = with_items(edits[0], replace(world.other("train"), id="okvqa/4", image_id="4"))


def same_id(_: Any, edits: list[EditRow]) -> None:
    edits[1] = replace(edits[1], id=edits[0].id)


def two_contents(world: Any, edits: list[EditRow]) -> None:
    edits[1] = with_items(edits[1], replace(world.other("train"), answer="work"))


def with_gain(edit: EditRow, item: LocalityItem) -> EditRow:
    assert edit.locality is not None
    return replace(edit, locality=replace(edit.locality, gain=(item,)))


def same_gain(world: Any, edits: list[EditRow]) -> None:
    for number, name in ((0, "vqa/a"), (3, "vqa/b")):
        edits[number] = with_gain(edits[number], replace(world.other("train"), id=name))


def gain_on_an_edit(world: Any, edits: list[EditRow]) -> None:
    edits[0] = with_gain(edits[0], replace(world.other("train"), id="vqa/4", image_id="4"))


FAULTS: list[tuple[Change, str]] = [
    (same_image, "the image 0 is that of edits in both splits"),
    (same_image_of_tasks, "the image 1 is that of edits in both splits"),
    (same_question, "the question 'what is in corner 2' is in both splits"),
    (same_fact, "the text locality question 'who wrote the train' is in both splits"),
    (same_pair, r"the image locality pair \('20', 'what is it for'\) is in both splits"),
    (image_of_an_edit, "the image 4 of an edit in test is used by image locality in train"),
    (same_gain, r"the gain pair \('20', 'what is it for'\) is in both splits"),
    (gain_on_an_edit, "the image 4 of an edit in test is used by gain in train"),
    (same_id, "the id vqa/val2014/0 occurs twice in vqa"),
    (two_contents, "the id okvqa/20 has two contents in image_locality"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS, ids=[change.__name__ for change, _ in FAULTS])
def test_leaks_and_duplicates_are_refused(world: Any, change: Change, message: str) -> None:
    edits = list(world.edits)
    change(world, edits)
    with pytest.raises(UserError, match=message):
        world.build(edits)
    assert not world.work.dataset.exists()


def test_sound_edits_pass(world: Any) -> None:
    check_folder(world.build())


def test_all_problems_are_told_at_once(world: Any) -> None:
    edits = list(world.edits)
    for change, _ in FAULTS:
        change(world, edits)
    with pytest.raises(UserError) as caught:
        world.build(edits)
    assert str(caught.value).count(";") == 5
    assert "more. Remedy:" in str(caught.value)


@pytest.mark.parametrize("part", ["split", "rephrase", "imagined", "locality"])
def test_unfinished_edits_are_refused(world: Any, part: str) -> None:
    edits = [*world.edits[:2], replace(world.edits[2], **{part: None}), *world.edits[3:]]
    with pytest.raises(UserError, match=f"not finished: vqa/val2014/2 has no {part}"):
        world.build(edits)


def test_broken_images_are_told_with_their_rows(world: Any) -> None:
    whole = world.work.path(world.edits[0].image).read_bytes()
    world.work.path(world.edits[0].image).write_bytes(whole[: len(whole) // 2])
    world.work.path(world.edits[1].imagined.image).write_bytes(b"")
    world.work.path(world.other("test").image).write_bytes(b"<html>")
    with pytest.raises(UserError) as caught:
        world.build()
    for problem in (
        "the image of vqa/val2014/0 is no image",
        "the image_rephrase of vqa/val2014/1 is no image",
        "the image of okvqa/21 is no image",
    ):
        assert problem in str(caught.value)


def test_a_changed_a_missing_and_a_foreign_file_are_found(world: Any) -> None:
    folder: Path = world.build()
    (folder / "README.md").write_text("mine")
    (folder / "data/vqa/test-00000-of-00001.parquet").unlink()
    (folder / "data/vqa/notes.txt").write_text("by hand")
    with pytest.raises(UserError) as caught:
        check_folder(folder)
    for problem in (
        "the file data/vqa/test-00000-of-00001.parquet is missing",
        "the file README.md was changed after the build",
        "the file data/vqa/notes.txt does not belong to the dataset",
        "SHA256SUMS does not fit the files",
    ):
        assert problem in str(caught.value)


def test_tables_that_do_not_fit_their_description_are_found(world: Any) -> None:
    folder: Path = world.build()
    path = folder / "data/vqa/train-00000-of-00001.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["target"]), path)
    (folder / "data/caption/test-00000-of-00001.parquet").write_bytes(b"PAR1")
    world.sign(folder)
    with pytest.raises(UserError) as caught:
        check_folder(folder)
    assert "vqa/train-00000-of-00001.parquet has other columns" in str(caught.value)
    assert "caption/test-00000-of-00001.parquet is no Parquet file" in str(caught.value)


def test_lost_rows_and_lost_items_are_found(world: Any) -> None:
    folder: Path = world.build()
    for config, kept in (("vqa", 1), ("image_locality", 5)):
        path = folder / f"data/{config}/train-00000-of-00001.parquet"
        pq.write_table(pq.read_table(path).slice(0, kept), path)
    world.sign(folder)
    with pytest.raises(UserError, match="but the manifest says"):
        check_folder(folder)
    rows = json.loads((folder / "manifest.json").read_text())["rows"]
    rows["vqa"]["train"], rows["image_locality"]["train"] = 1, 5
    world.sign(folder, rows)
    with pytest.raises(UserError) as caught:
        check_folder(folder)
    assert "the item okvqa/14 of caption/val2014/6 is not in image_locality/train" in str(caught.value)
    assert "no edit uses okvqa/9 of image_locality/train" in str(caught.value)


@pytest.mark.parametrize("text", [None, "{", "[]", "{}"])
def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match="build it"):
        check_folder(tmp_path)
