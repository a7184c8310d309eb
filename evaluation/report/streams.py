"""What is left when edits come one after the other: a line for each method over their number, and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log10

from evaluation.drawing.markup import Html, join, tag
from evaluation.drawing.svg import Scale, figure, panel, text
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.report.courses import BOTTOM, LEFT, RIGHT, course, names, percent_lines
from evaluation.report.formats import Table, as_html
from evaluation.report.looks import Looks, make_looks
from evaluation.report.preset_tables import preset_tables
from evaluation.report.runs import Run
from evaluation.report.stream_seeds import stream_seed_tables
from evaluation.report.stream_tables import NOTE, StreamRun, own, protocols_of, stream_cases, stream_table
from evaluation.results.stream_summary import COLUMNS, measured
from evaluation.results.summary import Estimate
from mmedit_build.rows import Task

DRAWN = ("Online", "Kept", "T-Gen", "T-Loc", "I-Loc", "Ability")
"""The columns that have a plot."""


def section(task: Task, streams: Sequence[StreamRun], looks: Looks) -> Html:
    """Plots and tables; nothing if there are no streams."""
    ours = own(streams)
    parts = [] if not streams else [tag("h3", "Edits one after the other")]
    parts += [tag("p", one, class_="warning") for one in _unfinished(streams)]
    parts += [_as_published(table) for table in stream_seed_tables({task: streams})]
    if ours:
        shown = make_looks([one.run for one in ours]) | looks
        parts += [tag("p", NOTE, class_="lead")]
        parts += [_plots(ours, protocol, shown) for protocol in reversed(protocols_of(ours))]
        parts += [_shown(stream_table(task, protocol, ours)) for protocol in reversed(protocols_of(ours))]
    parts += [_as_published(table) for table in preset_tables({task: streams})]
    return join(parts)


def _as_published(table: Table) -> Html:
    return join([tag("p", f"{table.title}. {table.note}", class_="lead"), as_html(table, table.title)])


def _unfinished(streams: Sequence[StreamRun]) -> Iterator[str]:
    for one in streams:
        if not one.run.header.finished:
            yield f"The streams of {one.run.name} are not finished."
        failed = {of.skipped for of in one.stream.checkpoints if of.skipped}
        yield from (f"{one.run.name} has no scores of the fixed set at some numbers: {why}" for why in failed)


def _plots(streams: Sequence[StreamRun], protocol: ProtocolName, looks: Looks) -> Html:
    found = {
        (one.run.name, number): measured(one.stream, protocol, number)
        for one in streams
        for number in one.stream.numbers
    }
    panels = [_panel(column, protocol, [one.run for one in streams], found, looks) for column in DRAWN]
    note = "To the right, how many edits have been made, on a logarithmic scale; upward, percent."
    return figure(f"{PROTOCOLS[protocol].title}, by the number of edits made", note, panels)


Numbers = Mapping[tuple[str, int], Mapping[str, Estimate]]
"""By run and number of edits, by column."""


def _panel(column: str, protocol: ProtocolName, runs: Sequence[Run], found: Numbers, looks: Looks) -> Html:
    numbers = sorted({number for _, number in found})
    across = Scale(log10(numbers[0]), max(log10(numbers[-1]), log10(numbers[0]) + 0.1), LEFT, RIGHT)
    grid = percent_lines()
    grid += [text(across(log10(one)), BOTTOM + 18, f"{one:,}", anchor="middle") for one in numbers]
    drawn: list[Html] = []
    ends: list[tuple[float, Estimate, Run]] = []
    for run in runs:
        points = [
            (across(log10(number)), of, stream_cases([run], protocol, number, column))
            for number in numbers
            if (of := found.get((run.name, number), {}).get(column)) is not None
        ]
        drawn += course(COLUMNS[column], run, points, looks)
        ends += [(x, of, run) for x, of, _ in points[-1:]]
    return panel(COLUMNS[column], BOTTOM + 26, *grid, *drawn, *names(ends, looks))


def _shown(table: Table) -> Html:
    return tag("details", tag("summary", table.title), as_html(table, table.title), class_="more")
