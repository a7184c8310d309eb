"""The component study as a plot: the scores of each method, part of the model by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evaluation.drawing.markup import Html
from evaluation.drawing.svg import clip, figure, line, panel, text
from evaluation.report.board import NAMES, Board
from evaluation.report.plots import BAR, NAME, in_percent, score_bar
from evaluation.report.runs import Run
from evaluation.run.components import method_and_part
from evaluation.run.experiment import PARTS, Part

HEAD = 18
"""Height of a method's name above its bars."""
_PAINTS = {part: f"var(--p{number})" for number, part in enumerate(PARTS)}

Study = Mapping[str, Mapping[Part, Run]]
"""The runs that have results, by method and part."""


def components(board: Board) -> Html:
    """One panel a measure, in it a group of bars a method; nothing unless runs are of several parts."""
    study = _study(board)
    if len({part for of_method in study.values() for part in of_method}) < 2:
        return Html()
    panels = [_panel(board, study, column) for column in board.columns]
    note = (
        "Each method on one part of the model at a time, by the same options otherwise. What is asked "
        "without an image does not reach vision and connector: their text locality is 100 whatever the "
        "edit does. "
        f"{in_percent(board)}"
    )
    return figure("Vision, connector or language", note, panels)


def _study(board: Board) -> Study:
    found: dict[str, dict[Part, Run]] = {}
    for run in board.edited:
        name = run.header.settings.method
        if run.results and (of := method_and_part(name)) is not None:
            # What is said after the method's name, such as a number, tells two runs of it apart.
            found.setdefault(of[0] + run.name.removeprefix(name), {})[of[1]] = run
    return found


def _panel(board: Board, study: Study, column: str) -> Html:
    top, rows = 26.0, list[str]()
    for name, runs in study.items():
        rows.append(text(0, top + 12, clip(name, 2 * NAME), "name"))
        top += HEAD
        for part in (part for part in PARTS if part in runs):
            rows += _bars(board, column, runs[part], part, top)
            top += 12 * len(board.protocols) + 3
        top += 6
    grid = [line(BAR(tick), 24, BAR(tick), top - 4) for tick in (0, 50, 100)]
    ticks = [text(BAR(tick), top + 10, str(tick), anchor="middle") for tick in (0, 50, 100)]
    titles = dict.fromkeys(board.metric(protocol, column) for protocol in reversed(board.protocols))
    return panel(NAMES[column], top + 14, *grid, *ticks, *rows, note=", ".join(titles))


def _bars(board: Board, column: str, run: Run, part: Part, top: float) -> Sequence[Html]:
    middle = top + 6 * len(board.protocols) + 2
    bars = [
        score_bar(board, protocol, column, run, top + 12 * number, _PAINTS[part])
        for number, protocol in enumerate(reversed(board.protocols))
    ]
    return [text(10, middle, part), *bars]
