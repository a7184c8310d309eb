"""Lists of what streams asked: each edit, or each question of the fixed set, with what is left of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from evaluation.protocols.base import ProtocolName
from evaluation.results.stream_summary import COLUMNS, FORGOTTEN
from evaluation.viewing.lists import HALF, PAGE, Row, escaped, marks, numbers_of
from evaluation.viewing.streaming import EDIT, WHERE
from mmedit_build.errors import check_name

Show = Literal["all", "fails", "all-fail", "all-pass", "disagree", "lost", "regained"]
SHOWN: dict[Show, str] = {
    "all": "1",
    "fails": "failed > 0",
    "all-fail": "failed = answered",
    "all-pass": "failed = 0",
    "disagree": "failed > 0 AND failed < answered",
    "lost": "lost > 0",
    "regained": "regained > 0",
}
"""Lost is what was right just after the edit (of the fixed set: before the first) and is not any more."""
Sort = Literal["position", "newest", "low", "high", "failures"]
SORTED: dict[Sort, str] = {
    "position": "ord, position",
    "newest": "ord, position DESC",
    "low": "mean, ord, position",
    "high": "mean DESC, ord, position",
    "failures": "failed DESC, ord, position",
}


FIRST = (
    " LEFT JOIN steps o ON o.part = s.part AND o.kind = s.kind AND o.number = 0 AND o.ord = s.ord "
    "AND o.position = s.position"
)
SEARCHED = ("s.question", "s.target", "s.said", "s.also", "e.question", "e.target", "e.id")
QUOTED = "'!'"
SIDE_BY_SIDE = 2
"""Runs of which a list has all times."""


class Steps(BaseModel):
    """What a list shall show."""

    task: str
    runs: str
    column: str
    protocol: ProtocolName
    number: Annotated[int, Field(ge=0)]
    """After how many edits it was asked."""
    order: Annotated[int, Field(ge=-1)] = -1
    show: Show = "all"
    sort: Sort = "position"
    text: str = ""
    page: Annotated[int, Field(ge=0)] = 0

    @property
    def published(self) -> bool:
        """Whether the column is of a publication, whose numbers are not of edits."""
        return self.column not in COLUMNS


def find_steps(connection: sqlite3.Connection, wanted: Steps) -> Row:
    """How many there are, and those of the page, each with what every run answered at all times."""
    check_name("column of streams", wanted.column, WHERE)
    kind, which = WHERE[wanted.column]
    value, parts = f"{which}{wanted.protocol}", numbers_of(wanted.runs)
    online = wanted.column == "Online"
    # Of what is asked just after its edit nothing is lost yet, of rates of publications it is not told; the
    # fixed set was there before the first.
    first = "NULL" if online or wanted.published else f"o.{value}" if kind == EDIT else "1.0"
    joins = "" if online or kind != EDIT else FIRST
    conditions, given = _conditions(connection, wanted, kind, parts, value)
    if wanted.text:
        joins += " LEFT JOIN edits e ON e.edit = s.edit"
    rows = connection.execute(
        "SELECT *, count(*) OVER () AS total FROM (SELECT s.ord, s.position, s.edit, s.question, "
        f"s.target, s.item, count(s.{value}) AS answered, avg(s.{value}) AS mean, "
        f"sum(s.{value} < {HALF}) AS failed, "
        f"sum({first} >= {HALF} AND s.{value} < {HALF}) AS lost, "
        f"sum({first} < {HALF} AND s.{value} >= {HALF}) AS regained "
        f"FROM steps s{joins} WHERE {' AND '.join(conditions)} "
        "GROUP BY s.ord, s.position, s.edit, s.question) "
        f"WHERE {SHOWN[wanted.show]} ORDER BY {SORTED[wanted.sort]} LIMIT {PAGE} OFFSET ?",
        (*given, wanted.page * PAGE),
    ).fetchall()
    times = _times(connection, wanted, parts)
    return {
        "total": rows[0]["total"] if rows else 0,
        "steps": [_step(connection, row, wanted, parts, times) for row in rows],
    }


def _conditions(
    connection: sqlite3.Connection, wanted: Steps, kind: str, parts: Sequence[int], value: str
) -> tuple[list[str], list[Any]]:
    number = 0 if wanted.column == "Online" else wanted.number
    conditions = [f"s.part IN ({marks(parts)})", "s.kind = ?", "s.number = ?", f"s.{value} IS NOT NULL"]
    given: list[Any] = [*parts, kind, number]
    if wanted.column == "Online" and wanted.number:
        conditions += ["s.position < ?", _since(connection, parts, wanted.number)]
        given.append(wanted.number)
    if wanted.column in FORGOTTEN:
        conditions.append(f"s.position * {len(FORGOTTEN)} / s.number = ?")
        given.append(FORGOTTEN.index(wanted.column))
    if wanted.order >= 0:
        conditions.append("s.ord = ?")
        given.append(wanted.order)
    if wanted.text:
        conditions.append(f"({' OR '.join(f'{name} LIKE ? ESCAPE {QUOTED}' for name in SEARCHED)})")
        given += [f"%{escaped(wanted.text)}%"] * len(SEARCHED)
    return conditions, given


def _since(connection: sqlite3.Connection, parts: Sequence[int], number: int) -> str:
    """In a query, the edits since the row before, which Online is of."""
    found: dict[int, list[int]] = {}
    for part, numbers in _numbers(connection, parts):
        found.setdefault(max((one for one in numbers if one < number), default=0), []).append(part)
    of = (f"s.part IN ({', '.join(map(str, some))}) AND s.position >= {last}" for last, some in found.items())
    return f"({' OR '.join(of) or '1'})"


def _numbers(connection: sqlite3.Connection, parts: Sequence[int]) -> list[tuple[int, list[int]]]:
    """After how many edits streams were looked at."""
    query = f"SELECT part, numbers FROM streams WHERE part IN ({marks(parts)})"
    return [(row["part"], json.loads(row["numbers"])) for row in connection.execute(query, tuple(parts))]


def _times(connection: sqlite3.Connection, wanted: Steps, parts: Sequence[int]) -> list[int]:
    """When it was asked, of one or two runs; of more, and of publications, when it is looked at."""
    if len(parts) > SIDE_BY_SIDE or wanted.published:
        return [0 if wanted.column == "Online" else wanted.number]
    return sorted({0, *(number for _, numbers in _numbers(connection, parts) for number in numbers)})


def _step(
    connection: sqlite3.Connection,
    row: sqlite3.Row,
    wanted: Steps,
    parts: Sequence[int],
    times: Sequence[int],
) -> Row:
    kind, which = WHERE[wanted.column]
    said = "also" if which and kind == EDIT else "said"
    # Places that are told to the last step are found at once; all of a run would be gone through otherwise.
    found = connection.execute(
        f"SELECT part, number, {which}{wanted.protocol} AS value, {said} AS said, before, made FROM steps "
        f"WHERE part IN ({marks(parts)}) AND kind = ? AND number IN ({marks(times)}) AND ord = ? "
        "AND position = ? ORDER BY number",
        (*parts, kind, *times, row["ord"], row["position"]),
    ).fetchall()
    cells: dict[int, Row] = {part: {} for part in parts}
    for one in found:
        cells[one["part"]][one["number"]] = {
            "value": one["value"],
            "said": one["said"],
            "made": bool(one["made"]),
        }
    query = "SELECT id, type, question, target FROM edits WHERE edit = ?"
    edit = connection.execute(query, (row["edit"],)).fetchone()
    asked = edit or row
    return {
        **{name: row[name] for name in ("ord", "position", "item")},
        "question": asked["question"],
        "target": asked["target"],
        "id": edit and edit["id"],
        "type": edit["type"] if edit else "",
        "image": _image(connection, row["item"], edit and edit["id"]),
        "before": next((one["before"] for one in found if one["before"] is not None), None),
        "cells": [cells[part] for part in parts],
    }


def _image(connection: sqlite3.Connection, item: str | None, name: str | None) -> int | None:
    if name is not None:
        query, given = "id = ? AND kind = 'reliability' AND item = ''", name
    else:
        query, given = "item = ? AND item <> ''", item or ""
    found = connection.execute(f"SELECT file FROM pictures WHERE {query} LIMIT 1", (given,)).fetchone()
    return found and int(found[0])
