"""Image locality by distance: how near the question of an item lies to the edit's, and how near its image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from evaluation.drawing.markup import Html, join
from evaluation.drawing.svg import Scale, dot, figure, line, panel, text
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS, metric
from evaluation.report.board import Board, in_words
from evaluation.report.formats import TASK_TITLES, Table, cell
from evaluation.report.looks import Look
from evaluation.report.runs import Run
from evaluation.results.distances import AXES, Axis, Bin, bins, in_bin
from evaluation.results.records import CaseResult
from evaluation.results.summary import Estimate, Measure
from mmedit_build.rows import Task

_X = (52.0, 318.0)
_Y = Scale(0, 100, 196, 34)


def distance_tables(task: Task, runs: Sequence[Run]) -> list[Table]:
    """A table for each protocol and each of question and image; none where no run tells of distances."""
    tables = (_table(task, protocol, axis, runs) for protocol in PROTOCOLS for axis in AXES)
    return [table for table in tables if table is not None]


def distances(board: Board) -> Html:
    """One panel for each protocol and each of question and image, one line a method."""
    panels = [_panel(board, protocol, axis) for protocol in board.protocols for axis in AXES]
    note = (
        "Items of image locality by the cosine of their question, or of their image, with that of the edit, "
        "the nearest at the left. Those that have it in common with the edit stand apart; the others are in "
        "four parts of one size. tables.md has the intervals."
    )
    return figure("Locality by distance", note, [one for one in panels if one])


def _all(runs: Sequence[Run]) -> list[CaseResult]:
    """Each edit once, whichever run has it: bins are the same for all methods."""
    return list({result.id: result for run in runs for result in run.results if result.scored}.values())


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


def _panel(board: Board, protocol: ProtocolName, axis: Axis) -> Html:
    of, score = bins(_all(board.runs), axis), _score(board.task, protocol)
    found = {
        run.name: [in_bin(run.results, protocol, score, axis, one) for one in of] for run in board.edited
    }
    if len(of) < 2 or not any(any(cells) for cells in found.values()):
        return Html()
    step = (_X[1] - _X[0]) / (len(of) - 1)
    places = [_X[0] + step * number for number in range(len(of))]
    lines = [_line(name, board.looks[name], places, cells) for name, cells in found.items()]
    title = f"By {axis}, {protocol}"
    return panel(title, 236, _grid(places, of), *lines, note=metric(protocol, score).title)


def _grid(places: Sequence[float], of: Sequence[Bin]) -> Html:
    parts = []
    for tick in (0, 25, 50, 75, 100):
        parts += [line(28, _Y(tick), 340, _Y(tick)), text(22, _Y(tick) + 4, str(tick), anchor="end")]
    for number, (place, one) in enumerate(zip(places, of, strict=True)):
        # Names of neighbors would meet, so that every other one stands lower.
        parts.append(text(place, 212 + 14 * (number % 2), one.title, anchor="middle"))
    return join(parts)


def _line(name: str, look: Look, places: Sequence[float], cells: Sequence[Estimate | None]) -> Html:
    known = [(place, one) for place, one in zip(places, cells, strict=True) if one is not None]
    points = [(place, _Y(100 * one.mean)) for place, one in known]
    ways = [line(*start, *end, "course", stroke=look.paint) for start, end in pairwise(points)]
    dots = [
        dot(*point, 3, f"{name}: {in_words(one)}", fill=look.paint)
        for point, (_, one) in zip(points, known, strict=True)
    ]
    return join([*ways, *dots])
