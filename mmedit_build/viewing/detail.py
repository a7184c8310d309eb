"""One row with all that the stages made of it, read from where it stands, and its pictures."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from mmedit_build.errors import UserError
from mmedit_build.viewing.lists import ORDER, SHOWN
from mmedit_build.viewing.records import read_cells, read_record
from mmedit_build.work import Work

Row = dict[str, Any]
POOLS = {"image": "image_locality", "gain": "gain"}
"""Which items of a row have pictures, and the tables that hold them."""


def detail(connection: sqlite3.Connection, number: int) -> Row:
    """A row of the index, its record, and what became of it in every stage."""
    row = _row(connection, number)
    history = connection.execute(
        "SELECT row, stage, status, reason FROM rows WHERE id = ?", (row["id"],)
    ).fetchall()
    return {
        **{name: row[name] for name in SHOWN},
        "history": sorted((dict(one) for one in history), key=lambda one: ORDER.index(one["stage"])),
        "record": _record(connection, row)[1],
    }


def find_picture(
    connection: sqlite3.Connection, folder: Path, number: int, name: str
) -> tuple[str | None, bytes | None]:
    """The file of a picture, or its content where a dataset embeds it.

    `name` is image, painting, or candidates, image or gain with a number: which of the row's.
    """
    row = _row(connection, number)
    file, record = _record(connection, row)
    kind, _, place = name.partition("/")
    try:
        if file.suffix == ".parquet":
            return None, _embedded(connection, file, int(row["place"]), record, (kind, place))
        return str(Work(folder).path(_named(record, kind, place))), None
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise UserError("There is no such picture.") from error


def _row(connection: sqlite3.Connection, number: int) -> sqlite3.Row:
    found: sqlite3.Row | None = connection.execute("SELECT * FROM rows WHERE row = ?", (number,)).fetchone()
    if found is None:
        raise UserError("There is no such row.")
    return found


def _record(connection: sqlite3.Connection, row: sqlite3.Row) -> tuple[Path, Row]:
    """What the stage wrote; where it wrote nothing but a reason, what an earlier one did."""
    places = [(row["file"], row["place"])]
    query = "SELECT file, place FROM rows WHERE id = ? AND part < ? ORDER BY part DESC"
    places += [(one[0], one[1]) for one in connection.execute(query, (row["id"], row["part"]))]
    for file, place in places:
        try:
            record = read_record(Path(file), place)
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{file} has changed meanwhile; start `mmedit-build view` again.") from error
        if record and record["id"] != row["id"]:
            raise UserError(f"{file} has changed meanwhile; start `mmedit-build view` again.")
        if record:
            return Path(file), record
    return Path(row["file"]), {}


def _named(record: Row, kind: str, place: str) -> str:
    """How the row names a picture."""
    if kind == "image" and not place:
        named = record["image"]
    elif kind == "painting":
        named = record["imagined"]["image"]
    elif kind == "candidates":
        named = record["imagined"]["candidates"][int(place)]["image"]
    else:
        named = record["locality"][kind][int(place)]["image"]
    if not isinstance(named, str):
        raise ValueError("it has none")
    return named


def _embedded(
    connection: sqlite3.Connection, file: Path, number: int, record: Row, wanted: tuple[str, str]
) -> bytes | None:
    kind, place = wanted
    if not place:
        column = {"image": "image", "painting": "image_rephrase"}[kind]
        return _content(read_cells(file, number, column).get(column))
    item = record["locality"][kind][int(place)]["id"]
    query = "SELECT file, place FROM items WHERE config = ? AND id = ? AND file LIKE ?"
    # A pool's table of the same split.
    split = f"%/{record['split']}-%"
    found = connection.execute(query, (POOLS[kind], item, split)).fetchone()
    return _content(read_cells(Path(found[0]), found[1], "image").get("image"))


def _content(cell: Row | None) -> bytes | None:
    if cell is None or cell["bytes"] is None:
        raise UserError("The dataset names this picture but does not hold it.")
    return bytes(cell["bytes"])
