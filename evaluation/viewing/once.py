"""The runs of an index, each once, as reports show them: what another run has all of is left out."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from evaluation.report.runs import repeats
from evaluation.results.records import RunResult
from evaluation.run.experiment import UNEDITED
from evaluation.viewing.filling import HEADERS


class Indexed(NamedTuple):
    """A run of an index that has results."""

    part: int
    header: RunResult
    folder: Path
    cases: int
    judge: str


def each_once(connection: sqlite3.Connection) -> list[Indexed]:
    """What has most comes first, as others may hold a part of it; of equals, those that a judge saw."""
    query = "SELECT part, header, folder, cases, judge FROM runs WHERE cases ORDER BY folder"
    runs = [
        Indexed(part, HEADERS.validate_json(header), Path(folder), cases, judge)
        for part, header, folder, cases, judge in connection.execute(query).fetchall()
    ]
    runs.sort(key=lambda run: (-len(run.header.settings.protocols), -run.cases, not run.judge))
    kept: list[Indexed] = []
    for run in runs:
        if not any(_holds(connection, one, run) for one in kept):
            kept.append(run)
    return kept


def _holds(connection: sqlite3.Connection, one: Indexed, other: Indexed) -> bool:
    """Whether a run has all that another one came to."""
    if not repeats(one.header.settings, other.header.settings):
        return False
    first, second = _digests(connection, one), _digests(connection, other)
    if one.header.settings.method == UNEDITED:
        return first.keys() >= second.keys()
    return first.items() >= second.items()


def _digests(connection: sqlite3.Connection, run: Indexed) -> dict[int, bytes]:
    """By edit, of its result, see `evaluation.report.runs.timeless`."""
    found = connection.execute("SELECT edit, digest FROM cases WHERE part = ?", (run.part,))
    return dict(found.fetchall())
