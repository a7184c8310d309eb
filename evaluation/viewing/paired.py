"""Two runs side by side: how much they differ on the edits that both have."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from evaluation.results.distances import Near
from evaluation.results.records import ProbeResult
from evaluation.results.summary import estimate, relations
from evaluation.results.verdicts import AGREEMENT, judged_of
from evaluation.viewing.detail import answers_of, picture_for, pictures_of, question_of, read_case
from evaluation.viewing.lists import Row, Wanted, column_of
from evaluation.viewing.titles import of_key


def difference(connection: sqlite3.Connection, wanted: Wanted) -> Row:
    """The mean of the first less the second over the edits of both, with its interval, and who is better."""
    one, other = (column_of(connection, wanted.measure, cases) for cases in ("a", "b"))
    first, second = wanted.parts[:2]
    rows = connection.execute(
        f"SELECT edit, image_id, {one} - {other} AS difference FROM cases a JOIN cases b USING(edit) "
        "JOIN edits USING(edit) WHERE a.part = ? AND b.part = ? AND difference IS NOT NULL",
        (first, second),
    ).fetchall()
    found = {str(row[0]): row[2] for row in rows}
    mean = estimate(found, {str(row[0]): row[1] for row in rows})
    return {
        "edits": len(found),
        "mean": mean and [mean.mean, mean.low, mean.high],
        "better": sum(value > 0 for value in found.values()),
        "worse": sum(value < 0 for value in found.values()),
        "equal": sum(value == 0 for value in found.values()),
    }


def add_answers(connection: sqlite3.Connection, wanted: Wanted, edits: list[Row]) -> None:
    """To each edit of a page, what was asked for the measure, and what the one or two runs answered."""
    counts = counted(wanted)
    for edit in edits:
        asked: dict[tuple[str, str], dict[str, Any]] = {}
        for run in _lines(connection, wanted.parts, edit["edit"]):
            case = read_case(run["folder"], run["line"], edit["id"])
            pictures = pictures_of(connection, run["dataset"], edit["id"])
            for probe in case.probes:
                if not counts(probe):
                    continue
                of = asked.setdefault((probe.kind, probe.item), {**question_of(probe), "answers": []})
                of["picture"] = picture_for(pictures, probe.kind, probe.item)
                of["answers"].append(answers_of(connection, case.task, run["part"], probe))
        edit["asked"] = [*asked.values()]


def counted(wanted: Wanted) -> Callable[[ProbeResult], bool]:
    """Whether a probe is one of those that the measure of a list is of."""
    if (near := Near.of_key(wanted.measure)) is not None:
        return near.holds
    if wanted.measure == AGREEMENT:
        return lambda probe: judged_of(wanted.task, probe) is not None
    measure = of_key(wanted.measure)
    return lambda probe: probe.kind == measure.kind and measure.relation in relations(probe)


def _lines(connection: sqlite3.Connection, parts: list[int], edit: int) -> list[sqlite3.Row]:
    query = "SELECT part, folder, dataset, line FROM cases JOIN runs USING(part) WHERE part = ? AND edit = ?"
    found = [connection.execute(query, (part, edit)).fetchone() for part in parts]
    return [one for one in found if one is not None]
