"""Tables of streams that are made as publications describe them, with the names that these give to rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import metric
from evaluation.report.board import bound, percent
from evaluation.report.formats import NO_VALUE, TASK_TITLES, Table
from evaluation.report.stream_tables import StreamRun, protocols_of, stream_cases
from evaluation.results.preset_summary import SPLITS, Row, measure, rows
from evaluation.results.presets import PRESETS, PresetName, column_name, known_preset
from evaluation.results.summary import Estimate
from mmedit_build.rows import Task

FREE = "The paper has no free answers: this is ours."
CSV_COLUMNS = (
    *("task", "preset", "method", "protocol", "row", "measure"),
    *("mean", "low", "high", "number", "images"),
)


def preset_of(one: StreamRun) -> PresetName | None:
    """As in which publication a stream was made."""
    return known_preset(one.run.header.settings.preset)


def preset_tables(streams: Mapping[Task, Sequence[StreamRun]]) -> list[Table]:
    """One for each task, publication and protocol: a row for each method and gap or number of edits."""
    return [
        preset_table(task, preset, protocol, found)
        for task, of_task in streams.items()
        for preset in PRESETS
        if (found := [one for one in of_task if preset_of(one) == preset])
        for protocol in protocols_of(found)
    ]


def preset_table(
    task: Task, preset: PresetName, protocol: ProtocolName, streams: Sequence[StreamRun]
) -> Table:
    about = PRESETS[preset]
    found = [(one.run, row) for one in streams for row in rates(one, preset, protocol)]
    cases = {
        (place, title): stream_cases([run], protocol, row.number, column_name(preset, title))
        for place, (run, row) in enumerate(found)
        for title in about.columns
    }
    shown = tuple((run.name, *_row(about.columns, row)) for run, row in found)
    free = "" if protocol == "legacy" else f" {FREE}"
    title = f"{TASK_TITLES[task]}, {about.title} (preset {preset}), {protocol} protocol"
    note = f"{about.about}{free} {_scores(task, preset, protocol)}. In percent, with 95% intervals."
    return Table(title, ("method", about.row, "tests", *about.columns), shown, note, cases=cases)


def _scores(task: Task, preset: PresetName, protocol: ProtocolName) -> str:
    """What the rates are of, but for those that their paper's note tells."""
    titles: dict[str, list[str]] = {}
    for title, column in PRESETS[preset].columns.items():
        if title not in SPLITS:
            name = measure(task, protocol, column).metric
            titles.setdefault(metric(protocol, name).title, []).append(title)
    return "; ".join(f"{', '.join(of)}: {score}" for score, of in titles.items())


def preset_csv_rows(streams: Mapping[Task, Sequence[StreamRun]]) -> Iterator[Sequence[object]]:
    """Every number of the tables."""
    for task, of_task in streams.items():
        for one in of_task:
            preset = preset_of(one)
            for protocol in protocols_of([one]) if preset else ():
                for row in rates(one, cast("PresetName", preset), protocol):
                    for title, found in row.rates.items():
                        numbers = (round(value, 6) for value in (found.mean, found.low, found.high))
                        where = (task, preset, one.run.name, protocol, row.number, title)
                        yield (*where, *numbers, found.edits, found.images)


def rates(one: StreamRun, preset: PresetName, protocol: ProtocolName) -> list[Row]:
    """What there is of a method, by gap or number of edits."""
    return rows(one.stream, preset, one.run.header.settings.stream, protocol)


def _row(columns: Mapping[str, object], row: Row) -> tuple[str, ...]:
    uneven = f", of which the last {row.uneven:,} alone" if row.uneven else ""
    ours = " (ours)" if row.number == 0 else ""
    return (
        f"{row.number:,}{ours}",
        f"{row.tests:,}{uneven}",
        *(_cell(row.rates.get(title)) for title in columns),
    )


def _cell(found: Estimate | None) -> str:
    return NO_VALUE if found is None else f"{percent(found.mean)} [{bound(found.low)}, {bound(found.high)}]"
