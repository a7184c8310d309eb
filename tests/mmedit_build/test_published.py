"""Published tables are read back if they have the published types, and refused in one sentence if not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmedit_build.errors import UserError
from mmedit_build.published import read_table
from mmedit_build.publishing.columns import features

SCHEMA = features("vqa", embedded=True).arrow_schema
NAMES: list[str] = SCHEMA.names


def rows(number: int = 6) -> list[dict[str, Any]]:
    item = {"id": "nq/1", "question": "who", "answer": "Ada"}
    near = {**item, "relation": "far", "image_id": "1"}
    return [
        {
            **{name: "text" for name in NAMES if pa.types.is_string(SCHEMA.field(name).type)},
            "id": f"vqa/{place}",
            "image_id": str(place),
            "confidence": 0.5,
            "image": {"bytes": bytes([place]) * 4000, "path": "a.jpg"},
            "image_rephrase": {"bytes": os.urandom(4000), "path": "a.png"},
            "answers": ["2", "3"],
            "text_locality": [item],
            "image_locality": [near],
            "scores": [],
        }
        for place in range(number)
    ]


def write(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path, row_group_size=2)
    return path


@pytest.fixture
def table() -> pa.Table:
    return pa.Table.from_pylist(rows(), schema=SCHEMA)


def replaced(table: pa.Table, name: str, column: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)


def test_all_rows_or_those_of_some_ids_are_read(tmp_path: Path, table: pa.Table) -> None:
    path = write(tmp_path / "a.parquet", table)
    assert list(read_table(path, "vqa", NAMES)) == table.to_pylist()
    found = list(read_table(path, "vqa", ["id", "image"], {"vqa/1", "vqa/4", "other"}))
    assert [(row["id"], row["image"]["bytes"][0]) for row in found] == [("vqa/1", 1), ("vqa/4", 4)]


def test_the_sources_image_may_be_left_out_and_nothing_else(tmp_path: Path, table: pa.Table) -> None:
    path = write(tmp_path / "a.parquet", table.drop_columns(["image"]))
    assert next(read_table(path, "vqa", ["id", "image"])) == {"id": "vqa/0"}
    write(path, table.drop_columns(["target", "rephrase"]))
    with pytest.raises(UserError, match=r"a\.parquet lacks the columns rephrase, target; publish it"):
        list(read_table(path, "vqa", NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_another_type_is_named(tmp_path: Path, table: pa.Table, name: str) -> None:
    other = pa.array([True] * 6)
    path = write(tmp_path / "a.parquet", replaced(table, name, other))
    with pytest.raises(
        UserError, match=rf"a\.parquet has the column {name} of type bool and not .*; publish"
    ):
        list(read_table(path, "vqa", NAMES))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("text_locality", pa.list_(pa.struct([("id", pa.int64())]))),
        ("answers", pa.list_(pa.int64())),
        ("image", pa.struct([("bytes", pa.string()), ("path", pa.string())])),
        ("image", pa.binary()),
    ],
)
def test_types_are_compared_to_their_depth(
    tmp_path: Path, table: pa.Table, name: str, kind: pa.DataType
) -> None:
    path = write(tmp_path / "a.parquet", replaced(table, name, pa.nulls(6, kind)))
    with pytest.raises(UserError, match=f"has the column {name} of type"):
        list(read_table(path, "vqa", NAMES))


def test_wider_cells_hold_the_same(tmp_path: Path, table: pa.Table) -> None:
    wide = replaced(table, "question", table["question"].cast(pa.large_string()))
    wide = replaced(wide, "image_id", table["image_id"].cast(pa.large_string()))
    wide = replaced(wide, "answers", table["answers"].cast(pa.large_list(pa.large_string())))
    path = write(tmp_path / "a.parquet", wide)
    assert list(read_table(path, "vqa", NAMES)) == table.to_pylist()


def test_numbers_of_images_are_read_as_earlier_versions_published_them(
    tmp_path: Path, table: pa.Table
) -> None:
    near = pa.struct([("id", pa.string()), ("relation", pa.string()), ("image_id", pa.int64())])
    near = pa.struct([*near, ("question", pa.string()), ("answer", pa.string())])
    old = replaced(table, "image_id", table["image_id"].cast(pa.int32()))
    items = [[{**one, "image_id": 1} for one in row] for row in table["image_locality"].to_pylist()]
    old = replaced(old, "image_locality", pa.array(items, pa.list_(near)))
    found = list(read_table(write(tmp_path / "a.parquet", old), "vqa", NAMES))
    assert [row["image_id"] for row in found] == list(range(6))
    assert found[0]["image_locality"][0]["image_id"] == 1
    broken = replaced(table, "question", old["image_id"])
    with pytest.raises(UserError, match="has the column question of type int32"):
        list(read_table(write(tmp_path / "b.parquet", broken), "vqa", NAMES))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": None}, "rows without id"),
        ({"image_id": None}, "rows without image_id"),
        ({"answers": ["2", None]}, "lists in the column answers of which a part is missing"),
        ({"text_locality": [None]}, "lists in the column text_locality"),
        (
            {"image_locality": [{"question": "what for", "answer": "fun"}]},
            "lists in the column image_locality",
        ),
    ],
)
def test_what_no_row_may_lack_is_told(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    changed = [*rows(3), {**rows()[3], **change}]
    path = write(tmp_path / "a.parquet", pa.Table.from_pylist(changed, schema=SCHEMA))
    with pytest.raises(UserError, match=rf"a\.parquet has {told}"):
        list(read_table(path, "vqa", NAMES))


def test_damaged_pages_are_told_when_they_are_read(tmp_path: Path, table: pa.Table) -> None:
    path = write(tmp_path / "a.parquet", table)
    data = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(1).column(NAMES.index("image"))
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(data)
    assert len(list(read_table(path, "vqa", ["id", "question"]))) == 6
    with pytest.raises(UserError, match=r"a\.parquet is not a readable Parquet file \(.*\); publish or copy"):
        list(read_table(path, "vqa", ["id", "image"], {"vqa/2"}))


def test_text_that_is_no_text_is_told(tmp_path: Path, table: pa.Table) -> None:
    broken = pa.array([b"\xff\xfe"] * 6).view(pa.string())
    path = write(tmp_path / "a.parquet", replaced(table, "question", broken))
    with pytest.raises(UserError, match="is not a readable Parquet file"):
        list(read_table(path, "vqa", NAMES))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"not a readable Parquet file \(not a regular file\)"):
        list(read_table(tmp_path / "a.parquet", "vqa", NAMES))


def test_a_column_that_is_there_twice_is_told(tmp_path: Path, table: pa.Table) -> None:
    path = write(tmp_path / "a.parquet", table.append_column("question", table["question"]))
    with pytest.raises(UserError, match="has several columns question"):
        list(read_table(path, "vqa", NAMES))
