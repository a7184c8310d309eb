"""Damage to Parquet files: columns of other types, missing ones, cells of nothing, damaged pages."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.damage import damage_bytes, on_file
from tests.fuzz.engine import Case

VALUES: dict[str, tuple[pa.DataType, Any]] = {
    "whole numbers": (pa.int64(), 7),
    "numbers": (pa.float64(), float("nan")),
    "texts": (pa.string(), "x"),
    "nothing": (pa.null(), None),
    "truths": (pa.bool_(), True),
    "bytes": (pa.binary(), b"\xff\xd8\xff\0"),
    "times": (pa.timestamp("us"), 0),
    "lists of numbers": (pa.list_(pa.int64()), [1, 2]),
    "lists of texts": (pa.list_(pa.string()), ["x", None]),
    "lists of lists": (pa.list_(pa.list_(pa.string())), [[]]),
    "records": (pa.struct([("a", pa.int64())]), {"a": 1}),
    "lists of records": (pa.list_(pa.struct([("id", pa.int64())])), [{"id": 1}]),
    "images without bytes": (pa.struct([("bytes", pa.binary()), ("path", pa.string())]), None),
    "images of letters": (pa.struct([("bytes", pa.string()), ("path", pa.string())]), {"bytes": "x"}),
}
"""What a column holds instead."""
Change = Callable[[pa.Table, str], pa.Table]


def retyped(table: pa.Table, column: str, kind: str) -> pa.Table:
    """A column with values of another type."""
    of, value = VALUES[kind]
    return table.set_column(table.schema.get_field_index(column), column, pa.array([value] * len(table), of))


def emptied(table: pa.Table, column: str) -> pa.Table:
    """A column of the right type without a value."""
    place = table.schema.get_field_index(column)
    return table.set_column(place, column, pa.nulls(len(table), table.schema.field(column).type))


def inside_emptied(table: pa.Table, column: str) -> pa.Table:
    """A column whose lists and records hold nothing but nulls."""
    kind = table.schema.field(column).type
    values = [_hollow(value) for value in table.column(column).to_pylist()]
    return table.set_column(table.schema.get_field_index(column), column, pa.array(values, kind))


def _hollow(value: Any) -> Any:
    if isinstance(value, list):
        return [_hollow(one) for one in value]
    return dict.fromkeys(value) if isinstance(value, dict) else None


def on_table(name: str, *, retype: bool = False) -> list[Case]:
    """All that is always tried on a Parquet file; `retype` tries every type on every column."""
    cases = [*on_file(name), Case(f"{name} has no rows", _changed(name, lambda table, _: table.slice(0, 0)))]
    cases += [Case(f"{name}: a page is damaged at {share}", _page(name, share)) for share in (0.2, 0.5, 0.8)]
    if retype:
        cases += [Case(f"{name}: {kind} everywhere", _every(name, kind)) for kind in VALUES]
    return cases


def on_columns(name: str, columns: Sequence[str]) -> list[Case]:
    """What is always tried on each column."""
    changes: dict[str, Change] = {
        "is empty": emptied,
        "holds nulls": inside_emptied,
        "is missing": lambda table, column: table.drop_columns([column]),
        "holds whole numbers": partial(retyped, kind="whole numbers"),
        "holds texts": partial(retyped, kind="texts"),
        "holds records": partial(retyped, kind="lists of records"),
    }
    return [
        Case(f"{name}: {column} {what}", _changed(name, change, column))
        for column in columns
        for what, change in changes.items()
    ]


def _changed(name: str, change: Change, column: str = "") -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        pq.write_table(change(pq.read_table(folder / name), column), folder / name)

    return run


def _every(name: str, kind: str) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        table = pq.read_table(folder / name)
        for column in table.column_names:
            table = retyped(table, column, kind)
        pq.write_table(table, folder / name)

    return run


def _page(name: str, share: float) -> Callable[[Path], None]:
    """The footer stays whole, so that the damage is met only when the page is read."""

    def run(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        start = int(share * len(data))
        data[start : start + 40] = b"\xaa" * len(data[start : start + 40])
        (folder / name).write_bytes(data)

    return run


def damage_table(path: Path, rng: random.Random) -> str:
    """Damage the columns of a file, or its bytes."""
    if rng.random() < 0.3:
        data, done = damage_bytes(path.read_bytes(), rng)
        path.write_bytes(data)
        return done
    table = pq.read_table(path)
    said = []
    for _ in range(rng.randint(1, 3)):
        column = rng.choice(table.column_names)
        what = rng.choice((*VALUES, "empty", "nulls", "missing"))
        said.append(f"{column}: {what}")
        table = _one(table, column, what)
    pq.write_table(table, path)
    return f"{path.name}: {', '.join(said)}"


def _one(table: pa.Table, column: str, what: str) -> pa.Table:
    if what == "empty":
        return emptied(table, column)
    if what == "nulls":
        return inside_emptied(table, column)
    if what == "missing" and table.num_columns > 1:
        return table.drop_columns([column])
    return table if what == "missing" else retyped(table, column, what)
