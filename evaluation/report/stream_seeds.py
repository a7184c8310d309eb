"""Streams of one setting with several seeds, taken together.

Another seed is another order, and of our own streams also another fixed set: so there is a mean over the
seeds, and how far they lie apart, but no interval over edits that they would share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from evaluation.protocols.base import ProtocolName
from evaluation.report.board import percent
from evaluation.report.formats import NO_VALUE, TASK_TITLES, Table
from evaluation.report.preset_tables import preset_of, rates
from evaluation.report.seeds import Group, grouped, in_words
from evaluation.report.stream_tables import StreamRun, protocols_of, stream_cases
from evaluation.results.presets import PRESETS, column_name
from evaluation.results.seeds import deviation
from evaluation.results.stream_summary import COLUMNS, measured
from evaluation.results.summary import Estimate
from mmedit_build.rows import Task

NOTE = (
    "Means over the seeds, with their standard deviation between seeds, in percent. A seed has its own "
    "order, and streams of no publication have their own fixed set."
)
CSV_COLUMNS = (
    *("task", "preset", "method", "seeds", "protocol", "row", "measure"),
    *("mean", "deviation"),
)
Rates = Mapping[int, Mapping[str, float]]
"""By the number of edits or the gap, and by the title of a column."""


@dataclass(frozen=True, slots=True)
class _Several:
    """The streams of a setting."""

    group: Group
    streams: Sequence[StreamRun]

    def means(self, protocol: ProtocolName) -> Iterator[tuple[int, dict[str, tuple[float, float]]]]:
        """By row, of each column that all seeds have, the mean and the deviation."""
        found = [_rates(one, protocol) for one in self.streams]
        for row in found[0]:
            of_row = [of[row] for of in found if row in of]
            if len(of_row) == len(found):
                shared = [title for title in of_row[0] if all(title in one for one in of_row)]
                yield row, {title: _spread([one[title] for one in of_row]) for title in shared}


def stream_seed_tables(streams: Mapping[Task, Sequence[StreamRun]]) -> list[Table]:
    """A table for each task, publication and protocol; none where no stream has several seeds."""
    return [
        _table(task, preset, protocol, of)
        for task, of_task in streams.items()
        for preset, of in _by_preset(of_task).items()
        for protocol in protocols_of([stream for one in of for stream in one.streams])
    ]


def csv_rows(streams: Mapping[Task, Sequence[StreamRun]]) -> Iterator[Sequence[object]]:
    """Every number of the tables."""
    for task, of_task in streams.items():
        for preset, of in _by_preset(of_task).items():
            for one in of:
                place = (task, preset, one.group.name, in_words(one.group.seeds))
                for protocol in protocols_of(one.streams):
                    for row, columns in one.means(protocol):
                        for title, (mean, spread) in columns.items():
                            yield (*place, protocol, row, title, round(mean, 6), round(spread, 6))


def _table(task: Task, preset: str, protocol: ProtocolName, of: Sequence[_Several]) -> Table:
    about = next((one for name, one in PRESETS.items() if name == preset), None)
    columns = list(COLUMNS if about is None else about.columns)
    found = [(one, *means) for one in of for means in one.means(protocol)]
    rows = tuple(
        (one.group.name, f"{row:,}", str(len(one.streams)), *(_cell(means.get(title)) for title in columns))
        for one, row, means in found
    )
    cases = {
        (place, column): stream_cases(one.group.runs, protocol, row, column_name(preset, column))
        for place, (one, row, _) in enumerate(found)
        for column in columns
    }
    kind = f"{about.title} (preset {preset})" if about else "edits one after the other"
    title = f"{TASK_TITLES[task]}, {kind}, over seeds, {protocol} protocol"
    header = ("method", about.row if about else "edits", "seeds", *columns)
    return Table(title, header, rows, NOTE, cases=cases)


def _by_preset(streams: Sequence[StreamRun]) -> dict[str, list[_Several]]:
    """The settings with several seeds, by the publication; our own have an empty name."""
    found: dict[str, list[_Several]] = {}
    for preset in dict.fromkeys(one.run.header.settings.preset for one in streams):
        alike = {one.run.name: one for one in streams if one.run.header.settings.preset == preset}
        for group in grouped([one.run for one in alike.values()]):
            if len(group.runs) > 1:
                of = [alike[run.name] for run in group.runs]
                found.setdefault(preset, []).append(_Several(group, of))
    return found


def _rates(one: StreamRun, protocol: ProtocolName) -> Rates:
    preset = preset_of(one)
    if preset is not None:
        return {row.number: _means(row.rates) for row in rates(one, preset, protocol)}
    return {number: _means(measured(one.stream, protocol, number)) for number in one.stream.numbers}


def _means(found: Mapping[str, Estimate]) -> dict[str, float]:
    return {title: of.mean for title, of in found.items()}


def _spread(means: Sequence[float]) -> tuple[float, float]:
    return fmean(means), deviation(means) or 0.0


def _cell(found: tuple[float, float] | None) -> str:
    return NO_VALUE if found is None else f"{percent(found[0])} ± {percent(found[1])}"
