"""Lists of edits with what methods made of them: filtered, sorted, and a page at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from evaluation.results.distances import Near
from evaluation.viewing.judging import counterpart
from evaluation.viewing.near import near_column
from mmedit_build.errors import UserError, check_name
from mmedit_build.rows import Task

PAGE = 50
"""Edits of a page."""
HALF = 0.5
"""What scores less has failed; most scores are 0 or 1."""
SEARCHED = ("question", "target", "id", "words")
Row = dict[str, Any]

Show = Literal[
    "all",
    "fails",
    "partly",
    "all-fail",
    "all-pass",
    "disagree",
    "skipped",
    "disputed",
    "better",
    "worse",
    "unlike",
]
SHOWN: dict[Show, str] = {
    "all": "1",
    "fails": "failed > 0",
    "partly": "low < 1",
    "all-fail": "failed = answered AND answered > 0",
    "all-pass": "low >= 1",
    "disagree": "failed > 0 AND failed < answered",
    "skipped": "left_out > 0",
    "disputed": "disputed > 0",
    "better": "first > second",
    "worse": "first < second",
    "unlike": "first <> second",
}
"""Which edits, by what the chosen methods made of them; the last three are about the first two of these, and
disputed is what a judge and the match with the target differ about."""
Sort = Literal["dataset", "low", "high", "spread", "failures", "slow", "difference", "difference-down"]
SORTED: dict[Sort, str] = {
    "dataset": "edit",
    "low": "mean, edit",
    "high": "mean DESC, edit",
    "spread": "high - low DESC, edit",
    "failures": "failed DESC, mean, edit",
    "slow": "seconds DESC, edit",
    "difference": "second - first, edit",
    "difference-down": "first - second, edit",
}


class Wanted(BaseModel):
    """What a list shall show."""

    task: Task
    measure: str
    runs: str
    """Numbers of runs, joined by commas."""
    show: Show = "all"
    sort: Sort = "dataset"
    type: str = ""
    text: str = ""
    page: Annotated[int, Field(ge=0)] = 0

    @property
    def parts(self) -> list[int]:
        """The runs, each once."""
        return numbers_of(self.runs)


def numbers_of(runs: str) -> list[int]:
    """The runs of a list, each once."""
    try:
        return list(dict.fromkeys(int(one) for one in runs.split(",") if one))
    except ValueError as error:
        raise UserError(f"{runs} are no numbers of runs.") from error


def column_of(connection: sqlite3.Connection, measure: str, cases: str = "cases") -> str:
    """Where the values of a measure are; `cases` is what a query calls the table."""
    if (near := Near.of_key(measure)) is not None:
        return near_column(near, cases)
    found = connection.execute("SELECT measure FROM measures WHERE key = ?", (measure,)).fetchone()
    if found is None:
        raise UserError(f"These results have no score {measure}.")
    return f"{cases}.m{found[0]}"


def types_of(connection: sqlite3.Connection, task: str) -> list[str]:
    """The types of questions of a task."""
    types = connection.execute("SELECT DISTINCT type FROM edits WHERE task = ? ORDER BY type", (task,))
    return [name for (name,) in types]


def _counterpart(connection: sqlite3.Connection, measure: str) -> str:
    """Where it is what a judge and a match differ about; nothing is unlike what is not there."""
    other = counterpart(measure)
    found = other and connection.execute("SELECT 1 FROM measures WHERE key = ?", (other,)).fetchone()
    return column_of(connection, other) if other and found else "NULL"


def find_edits(connection: sqlite3.Connection, wanted: Wanted) -> tuple[int, list[Row]]:
    """How many there are, and those of the page, each with the cells of its runs."""
    column, parts = column_of(connection, wanted.measure), wanted.parts
    other = _counterpart(connection, wanted.measure)
    first, second = (*parts, None, None)[:2]
    if wanted.type:
        check_name("question type", wanted.type, types_of(connection, wanted.task))
    chosen, values = _chosen(wanted, parts)
    rows = connection.execute(
        "SELECT edit, id, type, question, target, count(*) OVER () AS total FROM (SELECT edit, "
        f"count({column}) AS answered, avg({column}) AS mean, min({column}) AS low, max({column}) AS high, "
        f"sum({column} < {HALF}) AS failed, sum(skipped IS NOT NULL) AS left_out, sum(seconds) AS seconds, "
        f"sum({column} <> {other}) AS disputed, "
        f"max(CASE part WHEN ? THEN {column} END) AS first, "
        f"max(CASE part WHEN ? THEN {column} END) AS second "
        f"FROM cases WHERE part IN ({marks(parts)}) AND edit IN ({chosen}) GROUP BY edit) "
        f"JOIN edits USING(edit) WHERE {SHOWN[wanted.show]} ORDER BY {SORTED[wanted.sort]} "
        f"LIMIT {PAGE} OFFSET ?",
        (first, second, *parts, *values, wanted.page * PAGE),
    ).fetchall()
    edits = [{name: row[name] for name in ("edit", "id", "type", "question", "target")} for row in rows]
    _add_cells(connection, edits, column, parts)
    return (rows[0]["total"] if rows else 0), edits


def _chosen(wanted: Wanted, parts: Sequence[int]) -> tuple[str, list[Any]]:
    """The edits of the task, of a type, and with words in what was asked or answered."""
    conditions = ["task = ?"]
    values: list[Any] = [wanted.task]
    if wanted.type:
        conditions.append("type = ?")
        values.append(wanted.type)
    if wanted.text:
        pattern = f"%{escaped(wanted.text)}%"
        asked = " OR ".join(f"{name} LIKE ? ESCAPE '!'" for name in SEARCHED)
        said = f"SELECT edit FROM words WHERE part IN ({marks(parts)}) AND words LIKE ? ESCAPE '!'"
        conditions.append(f"({asked} OR edit IN ({said}))")
        values += [*([pattern] * len(SEARCHED)), *map(str, parts), pattern]
    return f"SELECT edit FROM edits WHERE {' AND '.join(conditions)}", values


def marks(values: Sequence[object]) -> str:
    """In a query, the places of so many values."""
    return ", ".join("?" * len(values))


def escaped(text: str) -> str:
    """A text of which no letter stands for others."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _add_cells(
    connection: sqlite3.Connection, edits: Sequence[Row], column: str, parts: Sequence[int]
) -> None:
    """What each run made of each edit: its value, that it was skipped, or nothing; and the edit's image."""
    query = f"SELECT {column}, skipped FROM cases WHERE part = ? AND edit = ?"
    image = (
        "SELECT file FROM pictures WHERE id = ? AND kind = 'reliability' AND item = '' AND dataset IN "
        f"(SELECT dataset FROM runs WHERE part IN ({marks(parts)}))"
    )
    for edit in edits:
        shown = connection.execute(image, (edit["id"], *parts)).fetchone()
        edit["image"] = shown and shown[0]
        found = [connection.execute(query, (part, edit["edit"])).fetchone() for part in parts]
        edit["cells"] = [None if one is None else {"value": one[0], "skipped": one[1]} for one in found]
