"""The tables of streams on a leaderboard: those that can be compared stand together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evaluation.leaderboard.streaming import StreamRow
from evaluation.report.formats import Table
from evaluation.report.preset_tables import preset_tables
from evaluation.report.runs import Run
from evaluation.report.stream_tables import StreamRun, stream_tables

NAME = "streams.csv"


def streams_by_setting(rows: Sequence[StreamRow]) -> list[list[StreamRow]]:
    """Of one dataset, model, task, length and publication each."""
    groups: dict[tuple[str, ...], list[StreamRow]] = {}
    for row in rows:
        of = row.entry.header.settings
        setting = (
            of.dataset_digest,
            of.task,
            of.model_digest,
            of.prompts,
            of.template,
            of.preset,
            str(of.stream),
        )
        groups.setdefault(setting, []).append(row)
    return list(groups.values())


def as_runs(rows: Sequence[StreamRow]) -> list[StreamRun]:
    """As reports have them, by the names of their methods."""
    return [StreamRun(Run(row.entry.header.settings.name, row.entry.header, ()), row.stream) for row in rows]


def tables_of(rows: Sequence[StreamRow]) -> list[Table]:
    """The tables of one setting, which say what it is."""
    of = rows[0].entry.header.settings
    found = {of.task: as_runs(rows)}
    where = f"{of.model} on {of.dataset}, {of.stream:,} edits"
    return [
        replace(table, title=f"{table.title}: {where}")
        for table in (*stream_tables(found), *preset_tables(found))
    ]
