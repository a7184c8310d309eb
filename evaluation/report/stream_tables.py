"""Streams that a report is about, and their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.report.board import bound, percent
from evaluation.report.formats import NO_VALUE, TASK_TITLES, Table, cases_of
from evaluation.report.names import names
from evaluation.report.runs import Run, nothing, runs_in
from evaluation.results.stream_summary import COLUMNS, FORGOTTEN, Stream, measured
from evaluation.results.streams import STREAM, read_stream
from evaluation.results.summary import Estimate
from mmedit_build.rows import TASKS, Task

COSTS = ("patch (kB)", "edit (s)", "peak (MB)", "slower")
NOTE = (
    "Edits are made one after the other and stay. Online is asked just after an edit, since the row before; "
    "what is kept of a sample of all edits so far. Locality and ability are those of questions that are the "
    "same for all rows and belong to no edit, against the unedited model. Lost is online less kept, by age."
)


@dataclass(frozen=True, slots=True)
class StreamRun:
    """A method's streams, and the run that it has a name and a look from."""

    run: Run
    stream: Stream


def find_streams(folders: Sequence[Path]) -> dict[Task, list[StreamRun]]:
    """All streams below some folders by task; those that have only begun have nothing to show."""
    paths = {path.parent.resolve(): path.parent for folder in folders for path in folder.rglob(STREAM)}
    found = []
    for folder in sorted(paths.values()):
        header, checkpoints, online = read_stream(folder)
        if checkpoints:
            stream = Stream(header.settings.task, checkpoints, online)
            found.append(StreamRun(Run("", header, (), (folder,)), stream))
    by_task = {task: _named([one for one in found if one.stream.task == task]) for task in TASKS}
    return {task: of_task for task, of_task in by_task.items() if of_task}


def find_all(folders: Sequence[Path]) -> tuple[dict[Task, list[Run]], dict[Task, list[StreamRun]]]:
    """All that a report is about: results by task, and streams, of which either may be alone."""
    runs, streams = runs_in(folders), find_streams(folders)
    if not runs and not streams:
        raise nothing(folders)
    return runs, streams


def own(streams: Sequence[StreamRun]) -> list[StreamRun]:
    """Those that are made as no publication has it."""
    return [one for one in streams if not one.run.header.settings.preset]


def _named(found: Sequence[StreamRun]) -> list[StreamRun]:
    """With names that tell them apart among those of the same publication, or of none."""
    named: list[StreamRun] = []
    for preset in sorted({one.run.header.settings.preset for one in found}):
        alike = [one for one in found if one.run.header.settings.preset == preset]
        given = names([(one.run.header, one.run.folders[0]) for one in alike])
        named += [
            replace(one, run=replace(one.run, name=name)) for one, name in zip(alike, given, strict=True)
        ]
    return named


def protocols_of(streams: Sequence[StreamRun]) -> list[ProtocolName]:
    """Those that any of the streams has."""
    return [one for one in PROTOCOLS if any(one in of.run.header.settings.protocols for of in streams)]


def stream_tables(streams: Mapping[Task, Sequence[StreamRun]]) -> list[Table]:
    """One for each task and protocol: a row for each method and number of edits."""
    ours = {task: own(of) for task, of in streams.items()}
    return [stream_table(task, protocol, of) for task, of in ours.items() for protocol in protocols_of(of)]


def stream_table(task: Task, protocol: ProtocolName, streams: Sequence[StreamRun]) -> Table:
    places = [(one, number) for one in streams for number in one.stream.numbers]
    rows = tuple(_row(one, protocol, number) for one, number in places)
    header = ("method", "edits", "orders", *COLUMNS, *COSTS)
    title = f"{TASK_TITLES[task]}, edits one after the other, {protocol} protocol"
    cases = {
        (place, column): stream_cases([one.run], protocol, number, column)
        for place, (one, number) in enumerate(places)
        for column in COLUMNS
    }
    return Table(title, header, rows, f"{NOTE} In percent, with 95% intervals.", cases=cases)


def stream_cases(runs: Iterable[Run], protocol: ProtocolName, number: int, column: str) -> str:
    """Of what was asked in streams a number is: see `cases_of`."""
    of = {"view": "streams", "column": column, "protocol": protocol, "number": number}
    return cases_of(runs, **of, **({"show": "lost"} if column in FORGOTTEN else {}))


def _row(one: StreamRun, protocol: ProtocolName, number: int) -> tuple[str, ...]:
    found, there = measured(one.stream, protocol, number), one.stream.at(number)
    slower = [of.slowdown for of in there if of.slowdown is not None and of.skipped is None]
    return (
        one.run.name,
        f"{number:,}",
        str(len(there)),
        *(_cell(found.get(column), column) for column in COLUMNS),
        f"{mean(of.patch_bytes for of in there) / 1e3:,.0f}",
        f"{mean(of.plan_seconds for of in there):.3f}",
        f"{max(of.peak_bytes for of in there) / 1e6:,.0f}",
        f"{mean(slower):.1f}" if slower else NO_VALUE,
    )


def _cell(found: Estimate | None, column: str) -> str:
    if found is None:
        return NO_VALUE
    if column in FORGOTTEN:
        return percent(found.mean)
    return f"{percent(found.mean)} [{bound(found.low)}, {bound(found.high)}]"


CSV_COLUMNS = ("task", "method", "protocol", "edits", "measure", "mean", "low", "high", "number", "images")


def csv_rows(streams: Mapping[Task, Sequence[StreamRun]]) -> Iterator[Sequence[object]]:
    """Every number of the tables."""
    for task, of_task in streams.items():
        for one in own(of_task):
            for protocol in protocols_of([one]):
                for number in one.stream.numbers:
                    for column, found in measured(one.stream, protocol, number).items():
                        numbers = (round(value, 6) for value in (found.mean, found.low, found.high))
                        where = (task, one.run.name, protocol, number, COLUMNS[column])
                        yield (*where, *numbers, found.edits, found.images)
