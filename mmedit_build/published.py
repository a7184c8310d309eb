"""Published tables read back, whoever wrote them: their columns have the published types, or are refused."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmedit_build.columns import COLUMNS, LATER, OPTIONAL
from mmedit_build.errors import UserError, first_line
from mmedit_build.files import open_file

Row = dict[str, Any]
REMEDY = "publish it with this version of mmedit"
_NUMBERED = "image_id"
"""What was a number in every row before there were images of other sources than COCO, and is read as well."""
_FILLED = ("id", _NUMBERED)
"""Columns in which no row of a table may have nothing."""


def read_table(
    path: Path, config: str, columns: Sequence[str], ids: Collection[str] | None = None
) -> Iterator[Row]:
    """The rows of a Parquet file, one row group after the other, or those of some ids.

    What not every dataset has may be asked for all the same, such as the source's image and what came later.
    """
    with _opened(path) as file:
        check_types(file.schema_arrow, config, columns, str(path))
        present = [name for name in columns if name in file.schema_arrow.names]
        for group in range(file.num_row_groups):
            wanted = None if ids is None else _places(file.read_row_group(group, columns=["id"]), ids)
            if wanted is None or wanted:
                table = file.read_row_group(group, columns=present)
                check_filled(table, str(path))
                yield from (table if wanted is None else table.take(wanted)).to_pylist()


def check_types(found: pa.Schema, config: str, columns: Sequence[str], where: str) -> None:
    """Refuse a table that lacks columns, or has them of another type than the published ones."""
    published = COLUMNS[config]
    missing = sorted(set(columns) - set(found.names) - set(OPTIONAL) - LATER)
    if missing:
        raise UserError(f"{where} lacks the columns {', '.join(missing)}; {REMEDY}.")
    for name in (name for name in columns if name in found.names):
        if found.names.count(name) > 1:
            raise UserError(f"{where} has several columns {name}; {REMEDY}.")
        if not _fits(name, found.field(name).type, published[name]):
            raise UserError(
                f"{where} has the column {name} of type {_short(found.field(name).type)} and not "
                f"{_short(published[name])}; {REMEDY}."
            )


def check_filled(table: pa.Table, where: str) -> None:
    """Refuse rows without an id, and lists of which a part is missing."""
    for name in table.column_names:
        column = table.column(name)
        if name in _FILLED and column.null_count:
            raise UserError(f"{where} has rows without {name}; {REMEDY}.")
        if any(_has_hole(chunk) for chunk in column.chunks):
            raise UserError(f"{where} has lists in the column {name} of which a part is missing; {REMEDY}.")


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with open_file(path) as source, pq.ParquetFile(source) as file:
            yield file
    # A UnicodeDecodeError is a text that is not in UTF-8, as Parquet demands.
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(
            f"{path} is not a readable Parquet file ({reason}); publish or copy it again."
        ) from error


def _places(table: pa.Table, ids: Collection[str]) -> list[int]:
    return [number for number, row_id in enumerate(table.column("id").to_pylist()) if row_id in ids]


def _fits(name: str, found: pa.DataType, published: pa.DataType) -> bool:
    """Whether values of a type can be taken for those of the published one, be they in wider cells."""
    kinds = pa.types
    if kinds.is_struct(published):
        return kinds.is_struct(found) and all(_has(found, field) for field in published)
    if kinds.is_list(published):
        return (kinds.is_list(found) or kinds.is_large_list(found)) and _fits(
            name, found.value_type, published.value_type
        )
    if name == _NUMBERED and kinds.is_integer(found):
        return True
    alike = (
        (kinds.is_string, kinds.is_large_string),
        (kinds.is_binary, kinds.is_large_binary),
        (kinds.is_floating,),
    )
    return any(any(is_it(found) for is_it in kind) and kind[0](published) for kind in alike)


def _has(found: pa.StructType, field: pa.Field) -> bool:
    """Whether there is such a part, of the published type; one that came later may be missing."""
    if found.get_field_index(field.name) < 0:
        return field.name in LATER
    return _fits(field.name, found.field(field.name).type, field.type)


def _has_hole(array: pa.Array) -> bool:
    """Whether a list in the array has a part that is missing, or one without an id."""
    if not (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)):
        return False
    parts = array.flatten()
    if parts.null_count:
        return True
    named = pa.types.is_struct(parts.type) and parts.type.get_field_index("id") >= 0
    return bool(named and parts.field("id").null_count)


def _short(kind: pa.DataType) -> str:
    text = str(kind)
    return text if len(text) <= 80 else f"{text[:77]}..."
