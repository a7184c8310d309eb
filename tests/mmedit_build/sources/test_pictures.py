from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmedit_build.errors import UserError
from mmedit_build.recipe import HubQuestions
from mmedit_build.sources.hub import Table
from mmedit_build.sources.hub_rows import QUESTION
from mmedit_build.sources.pictures import Pictures, slug
from mmedit_build.work import Work

pytestmark = pytest.mark.usefixtures("_own_cache")


@pytest.fixture
def source(tmp_path: Path) -> HubQuestions:
    """Four rows: an image by its bytes, none at all, and two files of the dataset's folder."""
    (tmp_path / "set" / "more").mkdir(parents=True)
    file = tmp_path / "set" / "more" / "other.jpg"
    file.write_bytes(b"from a file")
    return saved(
        tmp_path / "set",
        {"bytes": b"not even an image", "path": "x.jpg"},
        None,
        {"bytes": None, "path": str(file)},
        {"bytes": None, "path": "more/other.jpg"},
    )


def saved(folder: Path, *images: dict[str, Any] | None) -> HubQuestions:
    """A dataset of these cells; `to_parquet` of the library would put the files into them."""
    cells = pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    pq.write_table(pa.table({"image": cells}), folder / "validation.parquet")
    return HubQuestions(kind="hub", dataset=str(folder))


def pictures(source: HubQuestions, folder: Path) -> Pictures:
    return Pictures(Table(source, QUESTION), source, Work(folder))


def test_bytes_are_written_as_they_are_and_what_is_missing_stays_missing(
    tmp_path: Path, source: HubQuestions
) -> None:
    store = pictures(source, tmp_path / "work")
    paths = [store.place(row, "val2014", 7 + row) for row in range(4)]
    store.write(paths, None)
    assert paths[0].read_bytes() == b"not even an image"
    assert not paths[1].exists()
    assert [path.read_bytes() for path in paths[2:]] == [b"from a file"] * 2


@pytest.mark.parametrize("path", ["{outside}", "../outside.jpg", "link.jpg"])
def test_a_cell_names_no_file_outside_the_dataset(tmp_path: Path, path: str) -> None:
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"private")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link.jpg").symlink_to(outside)
    source = saved(tmp_path / "set", {"bytes": None, "path": path.format(outside=outside)})
    store = pictures(source, tmp_path / "work")
    with pytest.raises(UserError, match=r"The dataset .*, row 0, names the image .*leads out of the folder"):
        store.write([store.place(0, "val2014", 7)], None)
    assert not (tmp_path / "work").exists()


def test_a_pipe_in_the_dataset_is_a_missing_image(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    os.mkfifo(tmp_path / "set" / "pipe.jpg")
    store = pictures(saved(tmp_path / "set", {"bytes": None, "path": "pipe.jpg"}), tmp_path / "work")
    path = store.place(0, "val2014", 7)
    store.write([path], None)
    assert not path.exists()


def test_what_is_there_is_not_written_again(tmp_path: Path, source: HubQuestions) -> None:
    store = pictures(source, tmp_path / "work")
    path = store.place(0, "val2014", 7)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"earlier")
    counted: list[int] = []
    store.write([path], counted.append)
    assert path.read_bytes() == b"earlier"
    assert counted == []


def test_rows_with_the_same_image_have_the_same_file(tmp_path: Path, source: HubQuestions) -> None:
    store = pictures(source, tmp_path / "work")
    first, second = store.place(0, "val2014", 7), store.place(2, "val2014", 7)
    counted: list[int] = []
    store.write([first, second], counted.append)
    assert first == second
    assert first.read_bytes() == b"not even an image"
    assert counted == [1]


def test_a_folder_of_the_recipe_goes_first(tmp_path: Path, source: HubQuestions) -> None:
    given = source.model_copy(update={"images": str(tmp_path / "images")})
    store = pictures(given, tmp_path / "work")
    path = store.place(0, "val2014", 7)
    store.write([path], None)
    assert path == tmp_path / "images" / "COCO_val2014_000000000007.jpg"
    assert store.place(0, "val2017", 7, "000000000007.jpg") == tmp_path / "images" / "000000000007.jpg"
    assert not path.exists()


def test_slugs_tell_datasets_revisions_and_folders_apart(tmp_path: Path) -> None:
    for name in ("a/set", "b/set"):
        (tmp_path / name).mkdir(parents=True)
    names = [
        slug("lmms-lab/VQAv2", None),
        slug("lmms-lab/VQAv2", "refs/pr/1"),
        slug(str(tmp_path / "a/set"), None),
        slug(str(tmp_path / "b/set"), None),
    ]
    assert names[:2] == ["lmms-lab--VQAv2", "lmms-lab--VQAv2@refs--pr--1"]
    assert names[2].startswith("set-")
    assert len(set(names)) == 4
