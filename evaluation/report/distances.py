"""Image locality by distance: how near the question of an item lies to the edit's, and how near its image."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.drawing.markup import Html
from evaluation.drawing.svg import Scale, figure, panel, text
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS, metric
from evaluation.report.board import Board, headed
from evaluation.report.courses import BOTTOM, LEFT, RIGHT, course, names, percent_lines
from evaluation.report.formats import TASK_TITLES, Table, cases_of, cell
from evaluation.report.runs import Run
from evaluation.results.distances import AXES, Axis, Near, bins, in_bin
from evaluation.results.records import CaseResult
from evaluation.results.summary import Measure, outlines
from mmedit_build.rows import Task


def distance_tables(task: Task, runs: Sequence[Run]) -> list[Table]:
    """A table for each protocol and each of question and image; none where no run tells of distances."""
    tables = (_table(task, protocol, axis, runs) for protocol in PROTOCOLS for axis in AXES)
    return [table for table in tables if table is not None]


def distances(board: Board) -> Html:
    """One panel for each protocol and each of question and image, one line a method."""
    panels = [
        _panel(part, protocol, axis, model)
        for model, part in board.by_setup()
        for protocol in part.protocols
        for axis in AXES
    ]
    note = (
        "Items of image locality by the cosine of their question, or of their image, with that of the edit, "
        "the nearest at the left. Those whose cosine is 1, as they have it in common with the edit or the "
        "encoder does not tell it from the edit's, stand apart; the others are in four parts of one size, "
        "below each of which stands its least cosine."
    )
    return figure("Locality by distance", note, [one for one in panels if one])


def _all(runs: Sequence[Run]) -> list[CaseResult]:
    """Each edit once, whichever run has it: bins are the same for all methods."""
    return list(
        {result.id: result for run in runs for result in outlines(run.results) if result.scored}.values()
    )


def _score(task: Task, protocol: ProtocolName) -> str:
    return PROTOCOLS[protocol].main(task, "image_locality")


def _table(task: Task, protocol: ProtocolName, axis: Axis, runs: Sequence[Run]) -> Table | None:
    of, score = bins(_all(runs), axis), _score(task, protocol)
    found = {run.name: [in_bin(run.results, protocol, score, axis, one) for one in of] for run in runs}
    shown = {name: cells for name, cells in found.items() if any(cells)}
    if len(of) < 2 or not shown:
        return None
    measure = Measure(protocol, "image_locality", score)
    rows = tuple((name, *(cell(one, measure) for one in cells)) for name, cells in shown.items())
    title = f"{TASK_TITLES[task]}, {protocol} protocol: image locality by distance of the {axis}"
    items = ", ".join(f"{one.title}: {one.items:,}" for one in of)
    note = f"In percent, with 95% intervals: {metric(protocol, score).title}, by cosine. Items: {items}."
    return Table(title, ("method", *(one.title for one in of)), rows, note)


def _panel(board: Board, protocol: ProtocolName, axis: Axis, model: str) -> Html:
    of, score = bins(_all(board.runs), axis), _score(board.task, protocol)
    found = {
        run.name: [in_bin(run.results, protocol, score, axis, one) for one in of] for run in board.edited
    }
    if len(of) < 2 or not any(any(cells) for cells in found.values()):
        return Html()
    across = Scale(0, len(of) - 1, LEFT, RIGHT)
    grid = percent_lines()
    grid += [text(across(n), BOTTOM + 18, one.least, anchor="middle") for n, one in enumerate(of)]
    drawn: list[Html] = []
    ends: list[tuple[float, float, Run]] = []
    for run in board.edited:
        cases = [cases_of([run], measure=Near(protocol, score, axis, one.low, one.high).key) for one in of]
        points = [(across(n), one, cases[n]) for n, one in enumerate(found[run.name]) if one is not None]
        drawn += course(f"{axis}s, {protocol}", run, points, board.looks)
        ends += [(x, one.mean, run) for x, one, _ in points[-1:]]
    title = headed(f"By {axis}, {protocol}", model)
    note = metric(protocol, score).title
    return panel(
        title,
        BOTTOM + 26,
        *grid,
        *drawn,
        *names(ends, board.looks, lambda run: board.called[run.name].run),
        note=note,
    )
