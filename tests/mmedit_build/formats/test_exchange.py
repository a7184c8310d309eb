"""Edits go into MMEdit's layout and come back, with nothing changed on the way."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmedit_build.errors import UserError
from mmedit_build.formats.edits import hops_of
from mmedit_build.formats.exchange import Exported, export_edits, import_rows, to_row
from mmedit_build.formats.files import files_in, read_rows
from mmedit_build.formats.mmedit import FILES
from mmedit_build.formats.rows import ReleasedRow
from mmedit_build.rows import EditRow, Locality
from mmedit_build.work import Work
from tests.mmedit_build.conftest import HOP, PORTABILITY
from tests.mmedit_build.formats.rows import HOPS, ONEHOP, cckeb, dumped, fgvedit, vlkeb

ROW = ReleasedRow(
    src="Is it open?",
    pred="yes",
    rephrase='"Is it not closed?"',
    alt="no",
    image="val2014/COCO_val2014_000000000042.jpg",
    image_rephrase="val2014_image_rephrase/42000_COCO_val2014_000000000042.png",
    loc="nq question: who painted the sky",
    loc_ans="Ada",
    m_loc="val2014/COCO_val2014_000000000007.jpg",
    m_loc_q="What is it for?",
    m_loc_a="digging",
)


def _draw(path: Path, color: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), color).save(path)


def _draw_all(work: Work, edits: list[EditRow]) -> None:
    for edit in edits:
        assert edit.imagined is not None
        assert edit.locality is not None
        _draw(work.path(edit.image), "red")
        _draw(work.path(edit.imagined.image), "blue")
        for item in edit.locality.image:
            _draw(work.path(str(item.image)), "green")


def _write(folder: Path, rows: list[ReleasedRow], name: str = "vqa_eval.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(dumped(rows))
    return folder


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_export_has_the_names_texts_and_images_of_the_layout(tmp_path: Path, make_edit: Any) -> None:
    work = Work(tmp_path / "work")
    edits = [
        make_edit(42),
        make_edit(43, split="train"),
        make_edit(44, task="caption", question="a photo of"),
    ]
    _draw_all(work, edits)
    exported = export_edits(edits, work, tmp_path / "out")
    assert exported == Exported(
        rows={"vqa_eval.json": 1, "vqa_train.json": 1, "caption_eval_edit.json": 1},
        images=7,
        missing_images=0,
        without_locality=0,
    )
    assert sorted(_contents(tmp_path / "out")) == [
        "caption_eval_edit.json",
        "val2014/COCO_val2014_000000000007.jpg",
        "val2014/COCO_val2014_000000000042.jpg",
        "val2014/COCO_val2014_000000000043.jpg",
        "val2014/COCO_val2014_000000000044.jpg",
        "val2014_image_rephrase/42000_COCO_val2014_000000000042.png",
        "val2014_image_rephrase/43000_COCO_val2014_000000000043.png",
        "val2014_image_rephrase/COCO_val2014_000000000044.png",
        "vqa_eval.json",
        "vqa_train.json",
    ]
    row = json.loads((tmp_path / "out" / "vqa_eval.json").read_text())[0]
    assert row == {
        "src": "How many cats are there?",
        "pred": "4",
        "rephrase": "What number of cats can be seen?",
        "alt": "2",
        "image": "val2014/COCO_val2014_000000000042.jpg",
        "image_rephrase": "val2014_image_rephrase/42000_COCO_val2014_000000000042.png",
        "loc": "nq question: who painted the sky",
        "loc_ans": "Ada",
        "m_loc": "val2014/COCO_val2014_000000000007.jpg",
        "m_loc_q": "What is this tool for?",
        "m_loc_a": "digging",
    }


def test_images_are_copied_as_they_are_and_equal_files_are_left_alone(tmp_path: Path, make_edit: Any) -> None:
    work, out = Work(tmp_path / "work"), tmp_path / "out"
    _draw_all(work, [make_edit()])
    export_edits([make_edit()], work, out)
    copy = out / "val2014" / "COCO_val2014_000000000042.jpg"
    assert copy.read_bytes() == work.path(make_edit().image).read_bytes()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    contents = _contents(out)
    export_edits([make_edit()], work, out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    copy.write_bytes(b"damaged")
    export_edits([make_edit()], work, out)
    assert _contents(out) == contents


def test_far_items_go_first_and_near_ones_stand_in(tmp_path: Path, make_edit: Any) -> None:
    edit = make_edit()
    far, fact = edit.locality.image[0], edit.locality.text[0]
    near = replace(far, relation="same_image", question="What is near?")
    both = replace(edit, locality=Locality(text=(fact,), image=(near, far)))
    assert to_row(both).m_loc_q == far.question
    only_near = replace(edit, locality=Locality(text=(fact,), image=(near,)))
    assert to_row(only_near).m_loc_q == "What is near?"
    nothing = replace(edit, locality=Locality(text=(), image=()))
    assert (to_row(nothing).loc, to_row(nothing).m_loc, to_row(nothing).m_loc_a) == ("", "", "")
    assert export_edits([nothing], Work(tmp_path), tmp_path / "out").without_locality == 1


@pytest.mark.parametrize("part", ["rephrase", "imagined", "locality", "split"])
def test_unfinished_edits_are_refused_by_name(tmp_path: Path, make_edit: Any, part: str) -> None:
    with pytest.raises(UserError, match=r"The edit vqa/val2014/42000 .*run the stage"):
        export_edits([make_edit(**{part: None})], Work(tmp_path), tmp_path / "out")


def test_two_rephrases_of_one_name_and_images_without_coco_names_are_refused(
    tmp_path: Path, make_edit: Any
) -> None:
    edit = make_edit()
    other = replace(edit, imagined=replace(edit.imagined, image="images/another.png"))
    with pytest.raises(UserError, match="Two edits would share the image val2014_image_rephrase/42000_COCO"):
        export_edits([edit, other], Work(tmp_path), tmp_path / "out")
    with pytest.raises(UserError, match=r"'photo\.jpg' is not named as COCO does"):
        export_edits([make_edit(image="photo.jpg")], Work(tmp_path), tmp_path / "out")


def test_an_import_is_made_of_what_a_row_says(tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    _draw(tmp_path / "data" / ROW.image_rephrase, "blue")
    [edit] = import_rows(_write(tmp_path / "data", [ROW]), work)
    assert (edit.id, edit.task, edit.split, edit.image_id) == ("vqa/val2014/42000", "vqa", "test", "42")
    assert work.path(edit.image) == tmp_path / "data" / "val2014" / "COCO_val2014_000000000042.jpg"
    assert edit.rephrase is not None
    assert edit.rephrase.model == "unknown"
    assert edit.imagined is not None
    assert len(edit.imagined.digest) == 64
    assert edit.locality is not None
    assert edit.locality.text[0].question == "who painted the sky"
    assert edit.locality.image[0].image_id == "7"


def test_images_of_a_work_folder_are_named_relative_to_it(tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    images = tmp_path / "work" / "imported"
    [edit] = import_rows(_write(tmp_path / "data", [ROW]), work, images)
    assert edit.image == "imported/val2014/COCO_val2014_000000000042.jpg"


@pytest.mark.parametrize(
    "changes",
    [
        {"alt": "  two words  "},
        {"m_loc_a": ""},
        {"m_loc": "", "m_loc_q": "", "m_loc_a": ""},
        {"m_loc": ""},
        {"loc": "who painted the sky"},
        {"loc": "nq question: "},
        {"loc": "", "loc_ans": ""},
        {"loc": ""},
        {"loc": "nq question: nq question: who"},
        {"pred": "", "src": "", "rephrase": ""},
        {"image_rephrase": "val2014_image_rephrase/42000_COCO_val2014_000000000042.jpg"},
    ],
)
def test_odd_rows_come_back_equal(tmp_path: Path, changes: dict[str, Any]) -> None:
    row, work = replace(ROW, **changes), Work(tmp_path / "work")
    edits = import_rows(_write(tmp_path / "data", [row]), work)
    export_edits(edits, work, tmp_path / "out")
    assert list(read_rows(tmp_path / "out" / "vqa_eval.json")) == [row]


def test_rows_of_the_same_question_get_ids_of_their_own(tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    _write(tmp_path / "data", [ROW, replace(ROW, rephrase="Open?")], "vqa_train.json")
    edits = list(import_rows(_write(tmp_path / "data", [ROW]), work))
    assert [edit.id for edit in edits] == [f"vqa/val2014/42000{end}" for end in ("", "#2", "#3")]
    export_edits(edits, work, tmp_path / "out")
    assert _contents(tmp_path / "out") == _contents(tmp_path / "data")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image_rephrase": "COCO_val2014_000000000042.png"}, "named like 262148000_COCO"),
        ({"image_rephrase": "x/42000_COCO_val2014_000000000042.png"}, "where the layout has 'val2014_image"),
        (
            {"image": "../../secret/COCO_val2014_000000000042.jpg"},
            "It names the image .*leads out of the folder",
        ),
        ({"image": "val2014/COCO_val2014_000000000043.jpg"}, "where the layout has"),
    ],
)
def test_what_would_not_come_back_equal_is_refused(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    folder = _write(tmp_path / "data", [ROW, replace(ROW, **changes)])
    with pytest.raises(UserError, match=f"Row 2 of .*vqa_eval.json cannot be imported: .*{sentence}"):
        list(import_rows(folder, Work(tmp_path)))


def _write_vlkeb(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Files of VLKEB, of which the last two hold one edit twice, and the rows that come back."""
    other = vlkeb(src="Which?", m_loc="m.0_1/bing_1.jpg", more=[1, {"a": None}])
    written = {
        "train": [vlkeb(), vlkeb()],
        "eval": [vlkeb(), other],
        "eval_multihop": [vlkeb(port_new=HOPS)],
        "eval_edit_onehop": [vlkeb(port_new=ONEHOP)],
    }
    folder.mkdir(parents=True)
    for name, rows in written.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return {"vqa_train.json": written["train"], "vqa_eval.json": [vlkeb(port_new=HOPS), other]}


def test_vlkeb_comes_in_and_goes_out_with_its_hops_and_unknown_keys(tmp_path: Path) -> None:
    expected, work = _write_vlkeb(tmp_path / "data"), Work(tmp_path / "work")
    edits = list(import_rows(tmp_path / "data", work, tmp_path / "VLKEB_images"))
    assert [(edit.id, edit.split) for edit in edits] == [
        *(("vqa/train/1", "train"), ("vqa/train/2", "train")),
        *(("vqa/eval/1", "test"), ("vqa/eval/2", "test")),
    ]
    first = edits[0]
    assert first.image_id == "m.010bnr/google_13.jpg"
    assert work.path(first.image) == tmp_path / "VLKEB_images" / first.image_id
    assert first.locality is not None
    assert first.locality.image[0].image_id == "m.0cc56/google_1.jpg"
    assert edits[2].released == {"port_new": HOPS}
    _draw_all(work, edits)
    export_edits(edits, work, tmp_path / "out")
    assert {file.name: json.loads(file.read_text()) for file in files_in(tmp_path / "out")} == expected
    assert (tmp_path / "out" / "m.010bnr" / "bing_2.jpg").is_file()
    again = list(import_rows(tmp_path / "out", Work(tmp_path / "again")))
    assert [to_row(edit) for edit in again] == [to_row(edit) for edit in edits]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (vlkeb(port_new=ONEHOP), "It edits a fact along with the image"),
        (cckeb(), "It edits a fact along with the image"),
        (fgvedit(), "It lacks pred, image_rephrase, m_loc, m_loc_q, m_loc_a, unlike MMEdit's edits"),
    ],
)
def test_edits_that_are_more_or_less_than_a_rows_are_told_what_works_instead(
    tmp_path: Path, row: dict[str, Any], told: str
) -> None:
    (tmp_path / "eval.json").write_text(json.dumps([row]))
    with pytest.raises(UserError, match=f"Row 1 .*{told}.*mmedit-eval --dataset"):
        list(import_rows(tmp_path, Work(tmp_path / "work")))


def test_a_folder_without_the_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds none of vqa_train\.json"):
        list(import_rows(tmp_path, Work(tmp_path)))


def test_the_released_files_come_back_byte_for_byte(tmp_path: Path, released: Path) -> None:
    data, work, out = tmp_path / "data", Work(tmp_path / "work"), tmp_path / "out"
    data.mkdir()
    for name in FILES.values():
        shutil.copy(released / name, data)
    edits = list(import_rows(data, work))
    exported = export_edits(edits, work, out)
    assert len(edits) == 12_287
    assert (exported.images, exported.without_locality) == (0, 0)
    assert exported.missing_images > 12_287
    assert _contents(out) == _contents(data)


def test_what_follows_from_an_edit_has_the_key_of_vlkeb(tmp_path: Path, make_edit: Any) -> None:
    work, edits = Work(tmp_path / "work"), [make_edit(42, portability=PORTABILITY), make_edit(43)]
    _draw_all(work, edits)
    export_edits(edits, work, tmp_path / "out")
    file = tmp_path / "out" / "vqa_eval.json"
    first, second = json.loads(file.read_text())
    asked = {"Question": HOP.question, "Answer": HOP.answer}
    assert first["port_new"] == [{"port_type": "1-hop", "Q&A": asked}]
    assert "port_new" not in second
    assert [[hop.question for hop in row.hops] for row in read_rows(file)] == [[HOP.question], []]
    again = list(import_rows(tmp_path / "out", Work(tmp_path / "again")))
    assert [[hop.question for hop in hops_of(one)] for one in again] == [[HOP.question], []]
    export_edits(again, Work(tmp_path / "again"), tmp_path / "more")
    assert (tmp_path / "more" / "vqa_eval.json").read_bytes() == file.read_bytes()


def test_nothing_of_a_file_is_there_before_all_is(tmp_path: Path, make_edit: Any) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match="is not finished"):
        export_edits([make_edit(42), make_edit(43, rephrase=None)], Work(tmp_path), out)
    assert _contents(out) == {}
    export_edits([make_edit(42)], Work(tmp_path), out)
    assert list(_contents(out)) == ["vqa_eval.json"]


def _alive() -> int:
    gc.collect()
    return sum(type(one) is EditRow for one in gc.get_objects())


@pytest.fixture
def nothing_alive() -> Iterator[None]:
    """Leaves what other tests hold out of account, which takes long to go through."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("nothing_alive")
def test_edits_are_gone_through_and_not_held(tmp_path: Path, make_edit: Any) -> None:
    most = 3

    def edits(number: int) -> Iterator[EditRow]:
        for image in range(1, number):
            yield make_edit(image)
            assert 0 < _alive() <= most

    export_edits(edits(20), Work(tmp_path), tmp_path / "out")
    for _ in import_rows(tmp_path / "out", Work(tmp_path / "work")):
        assert 0 < _alive() <= most
