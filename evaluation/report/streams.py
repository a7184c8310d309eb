"""What is left when edits come one after the other: a line for each method over their number, and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log10
from statistics import fmean

from evaluation.drawing.markup import Html, join, tag
from evaluation.drawing.svg import Scale, dot, figure, line, panel, text
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.report.board import headed, percent
from evaluation.report.courses import BOTTOM, LEFT, RIGHT, course, height, names, percent_lines
from evaluation.report.formats import Table, as_html
from evaluation.report.looks import Looks, mark
from evaluation.report.means import looks_of, mean_runs
from evaluation.report.preset_tables import preset_tables
from evaluation.report.runs import Called, Run, by_setup, called
from evaluation.report.stream_seeds import stream_seed_tables
from evaluation.report.stream_tables import NOTE, StreamRun, own, protocols_of, stream_cases, stream_table
from evaluation.results.seeds import deviation
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
        shown = looks_of({task: [one.run for one in ours]}) | looks
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
    runs = mean_runs([one.run for one in streams])
    panels = [
        _Panel(protocol, of, found, looks, called(runs)).drawn(column, model)
        for model, of in by_setup(runs)
        for column in DRAWN
    ]
    seeds = " Lines are means over seeds, which are small dots." if any(run.seeds for run in runs) else ""
    note = f"To the right, how many edits have been made, on a logarithmic scale; upward, percent.{seeds}"
    return figure(f"{PROTOCOLS[protocol].title}, by the number of edits made", note, panels)


Numbers = Mapping[tuple[str, int], Mapping[str, Estimate]]
"""By run and number of edits, by column."""
Points = Sequence[tuple[float, Sequence[Estimate], str]]
"""Along a line: where each stands, what each seed came to, and the cases of all."""


@dataclass(frozen=True, slots=True)
class _Panel:
    """One column of the streams of a model."""

    protocol: ProtocolName
    runs: Sequence[Run]
    found: Numbers
    looks: Looks
    called: Mapping[str, Called]

    def drawn(self, column: str, model: str) -> Html:
        single = {one.name for run in self.runs for one in run.seeds or (run,)}
        numbers = sorted({number for name, number in self.found if name in single})
        across = Scale(log10(numbers[0]), max(log10(numbers[-1]), log10(numbers[0]) + 0.1), LEFT, RIGHT)
        grid = percent_lines()
        grid += [text(across(log10(one)), BOTTOM + 18, f"{one:,}", anchor="middle") for one in numbers]
        dots: list[Html] = []
        lines: list[Html] = []
        ends: list[tuple[float, float, Run]] = []
        for run in self.runs:
            points = [
                (across(log10(number)), of, stream_cases([run], self.protocol, number, column))
                for number in numbers
                if (of := self._of(run, number, column))
            ]
            dots += self._dots(COLUMNS[column], run, points)
            lines += self._line(COLUMNS[column], run, points)
            ends += [(x, _mean(of), run) for x, of, _ in points[-1:]]
        ending = names(ends, self.looks, lambda run: self.called[run.name].run)
        return panel(headed(COLUMNS[column], model), BOTTOM + 26, *grid, *dots, *lines, *ending)

    def _of(self, run: Run, number: int, column: str) -> list[Estimate]:
        """What each of its seeds came to; nothing unless all have it."""
        seeds = run.seeds or (run,)
        of = [self.found.get((one.name, number), {}).get(column) for one in seeds]
        return [one for one in of if one is not None] if None not in of else []

    def _dots(self, title: str, run: Run, points: Points) -> Iterator[Html]:
        """A small one for each of several seeds."""
        paint = self.looks[run.name].paint
        for x, of, cases in points if len(run.seeds) > 1 else ():
            for seed, one in zip(run.seeds, of, strict=True):
                tip = f"{seed.name}, {title}: {percent(one.mean)}"
                yield dot(x, height(one.mean), 2.4, tip, class_="seed", fill=paint, data_cases=cases)

    def _line(self, title: str, run: Run, points: Points) -> Iterator[Html]:
        if len(run.seeds) < 2:
            yield from course(title, run, [(x, one, cases) for x, [one], cases in points], self.looks)
            return
        paint = self.looks[run.name].paint
        for (x, of, _), (other_x, other, _) in pairwise(points):
            yield line(x, height(_mean(of)), other_x, height(_mean(other)), "course", stroke=paint)
        for x, of, cases in points:
            spread = deviation([one.mean for one in of]) or 0.0
            tip = f"{run.name}, {title}: {percent(_mean(of))} ± {percent(spread)} over {len(of)} seeds"
            yield mark(x, height(_mean(of)), self.looks[run.name], tip, cases)


def _mean(of: Sequence[Estimate]) -> float:
    return fmean(one.mean for one in of)


def _shown(table: Table) -> Html:
    return tag("details", tag("summary", table.title), as_html(table, table.title), class_="more")
