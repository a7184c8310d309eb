from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.errors import UserError
from mmedit_build.sources.coco import read_captions
from mmedit_build.sources.images import subset_of

NAMES = {7: "COCO_val2014_000000000007.jpg", 8: "COCO_train2014_000000000008.jpg"}


@pytest.fixture
def official() -> dict[str, Any]:
    captions = [(8, "A dog ."), (7, "A cat\n"), (7, " two  cats"), (9, "nobody's")]
    return {
        "info": {},
        "images": [{"id": image, "file_name": name, "license": 1} for image, name in NAMES.items()],
        "annotations": [
            {"id": number, "image_id": image, "caption": text}
            for number, (image, text) in enumerate(captions)
        ],
    }


@pytest.fixture
def karpathy() -> dict[str, Any]:
    return {
        "dataset": "coco",
        "images": [
            {
                "filepath": name.split("_")[1],
                "filename": name,
                "cocoid": image,
                "imgid": number,
                "split": ("test", "restval")[number],
                "sentids": [number],
                "sentences": [{"tokens": ["a"], "raw": f"A {number}.", "imgid": number, "sentid": number}],
            }
            for number, (image, name) in enumerate(NAMES.items())
        ],
    }


def write(folder: Path, content: object, name: str = "captions_val2014.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def test_captions_are_gathered_by_image_in_the_order_of_the_images(
    tmp_path: Path, official: dict[str, Any]
) -> None:
    first, second = read_captions(write(tmp_path, official), tmp_path / "images")
    assert (first.image_id, first.subset, first.captions) == (7, "val2014", ("A cat", "two cats"))
    assert (second.image_id, second.subset, second.captions) == (8, "train2014", ("A dog .",))
    assert first.image == tmp_path / "images" / NAMES[7]


def test_images_without_captions_are_left_out(tmp_path: Path, official: dict[str, Any]) -> None:
    official["annotations"][0]["caption"] = " \n"
    assert [row.image_id for row in read_captions(write(tmp_path, official), tmp_path)] == [7]


def test_a_file_without_captions_is_told(tmp_path: Path, official: dict[str, Any]) -> None:
    official["annotations"] = []
    with pytest.raises(UserError, match="holds no captions"):
        read_captions(write(tmp_path, official), tmp_path)


def test_images_of_2017_are_of_the_subset_that_the_file_is_named_by(
    tmp_path: Path, official: dict[str, Any]
) -> None:
    official["images"] = [{"id": 7, "file_name": "000000000007.jpg"}]
    (row,) = read_captions(write(tmp_path, official, "captions_val2017.json"), tmp_path)
    assert (row.subset, row.image.name) == ("val2017", "000000000007.jpg")


@pytest.mark.parametrize("split", [None, "test"])
def test_karpathys_file_is_told_by_its_content(
    tmp_path: Path, karpathy: dict[str, Any], split: str | None
) -> None:
    rows = read_captions(write(tmp_path, karpathy, "dataset_coco.json"), tmp_path, split)
    assert [(row.image_id, row.subset) for row in rows] == [(7, "val2014"), (8, "train2014")][: len(rows)]
    assert len(rows) == (2 if split is None else 1)
    assert rows[0].captions == ("A 0.",)


def test_karpathys_images_lie_in_one_folder_or_in_one_for_each_subset(
    tmp_path: Path, karpathy: dict[str, Any]
) -> None:
    (tmp_path / "val2014").mkdir()
    in_folder, beside = read_captions(write(tmp_path, karpathy), tmp_path)
    assert in_folder.image == tmp_path / "val2014" / NAMES[7]
    assert beside.image == tmp_path / NAMES[8]


def test_an_unknown_split_is_told_with_those_there_are(tmp_path: Path, karpathy: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"no split 'val'; .* one of restval, test\."):
        read_captions(write(tmp_path, karpathy), tmp_path, "val")


def test_the_official_file_has_no_splits(tmp_path: Path, official: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="leave `split` out"):
        read_captions(write(tmp_path, official), tmp_path, "val")


@pytest.mark.parametrize("kind", ["official", "karpathy"])
def test_truncated_files_are_told_in_one_line(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    path = write(tmp_path, request.getfixturevalue(kind))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"captions_val2014\.json is not a .* captions file .*EOF") as caught:
        read_captions(path, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_field_is_named_with_its_place(tmp_path: Path, official: dict[str, Any]) -> None:
    del official["annotations"][1]["caption"]
    with pytest.raises(UserError, match=r"annotations\.1\.caption: Field required"):
        read_captions(write(tmp_path, official), tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot read the captions file .*none\.json"):
        read_captions(tmp_path / "none.json", tmp_path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../private/x.jpg", "val2014/../../x.jpg"])
def test_names_that_lead_out_of_the_folder_are_refused_with_their_image(
    tmp_path: Path, official: dict[str, Any], karpathy: dict[str, Any], name: str
) -> None:
    official["images"][0]["file_name"] = karpathy["images"][0]["filename"] = name
    for number, content in enumerate((official, karpathy)):
        file = write(tmp_path, content, f"{number}.json")
        with pytest.raises(UserError, match=rf"Image 7 of {file} names the image .* leads out of the folder"):
            read_captions(file, tmp_path / "images")


def test_karpathys_folders_lead_nowhere_else_either(tmp_path: Path, karpathy: dict[str, Any]) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "images").mkdir()
    for part in ("../private", str(tmp_path / "private")):
        karpathy["images"][0]["filepath"] = part
        with pytest.raises(UserError, match="leads out of the folder"):
            read_captions(write(tmp_path, karpathy), tmp_path / "images")


@pytest.mark.parametrize(
    ("name", "subset"),
    [("COCO_val2014_000000000007.jpg", "val2014"), ("000000000007.jpg", "x"), ("COCO_7.jpg", "x")],
)
def test_subsets_are_read_off_names(name: str, subset: str) -> None:
    assert subset_of(name, "x") == subset
