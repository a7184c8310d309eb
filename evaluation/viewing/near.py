"""Image locality by distance in the index of a viewer: items whose cosines are known, with their scores."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from evaluation.protocols.known import PROTOCOLS
from evaluation.results.distances import Near
from evaluation.results.records import CaseResult, ProbeResult

SCHEMA = (
    "CREATE TABLE near(edit INTEGER, part INTEGER, item INTEGER, question REAL, image REAL, legacy REAL, "
    "wild REAL, PRIMARY KEY(edit, part, item)) WITHOUT ROWID",
)


def fill_near(
    connection: sqlite3.Connection, part: int, edits: Mapping[str, int], results: Mapping[str, CaseResult]
) -> None:
    """The items of some results of a run; `edits` has the numbers of their edits."""
    rows = (
        (edits[name], part, place, probe.text_cosine, probe.image_cosine, *_scores(result, probe))
        for name, result in results.items()
        for place, probe in enumerate(result.probes)
        if probe.kind == "image_locality" and (probe.text_cosine, probe.image_cosine) != (None, None)
    )
    connection.executemany("INSERT OR REPLACE INTO near VALUES(?, ?, ?, ?, ?, ?, ?)", rows)


def _scores(result: CaseResult, probe: ProbeResult) -> list[Any]:
    main = {name: PROTOCOLS[name].main(result.task, probe.kind) for name in PROTOCOLS}
    return [probe.scores.get(name, {}).get(main[name]) for name in ("legacy", "wild")]


def near_column(of: Near, cases: str) -> str:
    """In a query, the mean of an edit's items in a bin; `cases` is what the table of cases is called."""
    return (
        f"(SELECT avg(near.{of.protocol}) FROM near WHERE near.edit = {cases}.edit "
        f"AND near.part = {cases}.part AND near.{of.axis} BETWEEN {of.low!r} AND {of.high!r})"
    )
