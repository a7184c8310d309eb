"""Lists of rows: by stage, by what came of them, by words; sorted, and a page at a time."""

from __future__ import annotations

import json
import sqlite3
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from mmedit_build.viewing.index import PUBLISHED
from mmedit_build.work import STAGES

PAGE = 50
Row = dict[str, Any]
ORDER = (*STAGES, PUBLISHED)
STATUSES = ("out", "rejected", "failed")
SHOWN = (
    "row",
    "stage",
    "status",
    "reason",
    "id",
    "task",
    "split",
    "type",
    "question",
    "target",
    "prediction",
)
SEARCHED = ("question", "target", "prediction", "rephrase", "id", "words")


class Wanted(BaseModel):
    """What a list shall show; what is empty is not asked for."""

    stage: str = ""
    status: str = ""
    reason: str = ""
    task: str = ""
    split: str = ""
    type: str = ""
    text: str = ""
    score: str = ""
    """The score to sort by."""
    order: Literal["up", "down"] = "up"
    page: Annotated[int, Field(ge=0)] = 0


def about(connection: sqlite3.Connection) -> Row:
    """How many rows came to which end in each stage, and what there is to choose from."""
    counts: dict[str, Row] = {}
    query = "SELECT stage, status, reason, count(*) FROM rows GROUP BY stage, status, reason ORDER BY 4 DESC"
    for stage, status, reason, number in connection.execute(query):
        of = counts.setdefault(stage, {"stage": stage, **dict.fromkeys(STATUSES, 0), "reasons": []})
        of[status] += number
        if reason:
            of["reasons"].append({"status": status, "reason": reason, "number": number})
    scores = connection.execute("SELECT DISTINCT key FROM rows, json_each(rows.scores) ORDER BY key")
    return {
        "stages": [counts[name] for name in ORDER if name in counts],
        "scores": ["confidence", *(name for (name,) in scores)],
        **{name: _values(connection, name) for name in ("task", "split", "type")},
    }


def _values(connection: sqlite3.Connection, column: str) -> list[str]:
    return [
        value
        for (value,) in connection.execute(
            f"SELECT DISTINCT {column} FROM rows WHERE {column} <> '' ORDER BY 1"
        )
    ]


def find_rows(connection: sqlite3.Connection, wanted: Wanted) -> tuple[int, list[Row]]:
    """How many there are, and those of the page."""
    conditions, values = ["1"], []
    for name in ("stage", "status", "reason", "task", "split", "type"):
        if value := getattr(wanted, name):
            conditions.append(f"{name} = ?")
            values.append(value)
    if wanted.text:
        pattern = "%" + wanted.text.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"
        conditions.append("(" + " OR ".join(f"{name} LIKE ? ESCAPE '!'" for name in SEARCHED) + ")")
        values += [pattern] * len(SEARCHED)
    order, key = _order(wanted)
    within = " AND ".join(conditions)
    (total,) = connection.execute(f"SELECT count(*) FROM rows WHERE {within}", values).fetchone()
    rows = connection.execute(
        f"SELECT {', '.join(SHOWN)}, rephrase, image, painting, confidence, scores FROM rows WHERE {within} "
        f"ORDER BY {order}row LIMIT {PAGE} OFFSET ?",
        (*values, *key, wanted.page * PAGE),
    ).fetchall()
    return total, [{**dict(row), "scores": json.loads(row["scores"])} for row in rows]


def _order(wanted: Wanted) -> tuple[str, list[str]]:
    """Rows that lack the score stand last."""
    if not wanted.score:
        return "", []
    down = " DESC" if wanted.order == "down" else ""
    if wanted.score == "confidence":
        return f"confidence{down} NULLS LAST, ", []
    quoted = wanted.score.replace('"', "")
    return f"json_extract(scores, ?){down} NULLS LAST, ", [f'$."{quoted}"']
