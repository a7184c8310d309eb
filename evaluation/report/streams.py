"""What is left when edits come one after the other: a line for each method over their number, and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import log10

from evaluation.drawing.markup import Html, join, tag
from evaluation.drawing.svg import TICKS, Scale, clip_name, figure, line, panel, text
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.report.at_once import BOTTOM, TOP, spread
from evaluation.report.board import in_words
from evaluation.report.formats import Table, as_html
from evaluation.report.looks import Looks, make_looks, mark
from evaluation.report.preset_tables import preset_tables
from evaluation.report.runs import Run
from evaluation.report.stream_tables import NOTE, StreamRun, own, protocols_of, stream_table
from evaluation.results.stream_summary import COLUMNS, measured
from evaluation.results.summary import Estimate
from mmedit_build.rows import Task

DRAWN = ("Online", "Kept", "T-Gen", "T-Loc", "I-Loc", "Ability")
"""The columns that have a plot."""
_LEFT, _RIGHT, _NAMES = 34.0, 226.0, 252.0
_Y = Scale(0, 100, BOTTOM, TOP)


def section(task: Task, streams: Sequence[StreamRun], looks: Looks) -> Html:
    """Plots and tables; nothing if there are no streams."""
    ours = own(streams)
    parts = [] if not streams else [tag("h3", "Edits one after the other")]
    parts += [tag("p", one, class_="warning") for one in _unfinished(streams)]
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
    numbers = sorted({number for one in streams for number in one.stream.numbers})
    found = {
        (one.run.name, number): measured(one.stream, protocol, number)
        for one in streams
        for number in one.stream.numbers
    }
    panels = [_panel(column, [one.run for one in streams], numbers, found, looks) for column in DRAWN]
    note = "To the right, how many edits have been made, on a logarithmic scale; upward, percent."
    return figure(f"{PROTOCOLS[protocol].title}, by the number of edits made", note, panels)


Numbers = Mapping[tuple[str, int], Mapping[str, Estimate]]
"""By run and number of edits, by column."""


def _panel(column: str, runs: Sequence[Run], numbers: Sequence[int], found: Numbers, looks: Looks) -> Html:
    across = Scale(log10(numbers[0]), max(log10(numbers[-1]), log10(numbers[0]) + 0.1), _LEFT, _RIGHT)
    grid = [line(_LEFT - 6, _Y(tick), _RIGHT + 6, _Y(tick)) for tick in TICKS]
    grid += [text(_LEFT - 12, _Y(tick) + 4, str(tick), anchor="end") for tick in TICKS]
    grid += [text(across(log10(one)), BOTTOM + 18, f"{one:,}", anchor="middle") for one in numbers]
    drawn: list[Html] = []
    ends: list[tuple[float, float, Run]] = []
    for run in runs:
        points = [
            (across(log10(number)), of)
            for number in numbers
            if (of := found.get((run.name, number), {}).get(column)) is not None
        ]
        drawn += _line(column, run, points, looks)
        ends += [(x, _Y(100 * of.mean), run) for x, of in points[-1:]]
    return panel(COLUMNS[column], BOTTOM + 26, *grid, *drawn, *_names(ends, looks))


def _line(column: str, run: Run, points: Sequence[tuple[float, Estimate]], looks: Looks) -> Iterator[Html]:
    paint = looks[run.name].paint
    for (x, one), (other_x, other) in pairwise(points):
        yield line(x, _Y(100 * one.mean), other_x, _Y(100 * other.mean), "course", stroke=paint)
    for x, one in points:
        yield line(x, _Y(100 * one.low), x, _Y(100 * one.high), "cross", stroke=paint)
        yield mark(x, _Y(100 * one.mean), looks[run.name], f"{run.name}, {COLUMNS[column]}: {in_words(one)}")


def _names(ends: Sequence[tuple[float, float, Run]], looks: Looks) -> Iterator[Html]:
    """At the ends of the lines, none over another."""
    order = sorted(ends, key=lambda one: one[1])
    for (x, y, run), place in zip(order, spread([y for _, y, _ in order]), strict=True):
        yield line(x + 8, y, _NAMES - 4, place, "course thin", stroke=looks[run.name].paint)
        yield text(_NAMES, place + 4, clip_name(run.name, 14), "name")


def _shown(table: Table) -> Html:
    return tag("details", tag("summary", table.title), as_html(table, table.title), class_="more")
