"""What becomes of the scores when one patch makes more edits: a table, and a line for each method."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from math import log10

from evaluation.drawing.markup import Html, join, tag
from evaluation.drawing.svg import Scale, figure, line, panel, text
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.report.board import NAMES, Board, headed, in_words, make_board
from evaluation.report.courses import BOTTOM, LEFT, RIGHT, TOP, height, names, percent_lines
from evaluation.report.looks import make_looks, mark
from evaluation.report.means import mean_board
from evaluation.report.runs import SINGLE, Run
from evaluation.report.sections import main_table, seed_by_seed, warnings
from evaluation.results.summary import Estimate, outlines


def at_once(board: Board, runs: Sequence[Run]) -> Html:
    """The section on runs with several edits at once; nothing if there are none."""
    if not runs:
        return Html()
    several = _board(board, runs)
    head = [tag("h3", "Several edits at once"), tag("p", _note(runs), class_="lead"), warnings(several)]
    means = mean_board(several)
    plots = [_plots(means, protocol) for protocol in reversed(several.protocols)]
    return join([*head, *plots, main_table(several) if means is several else seed_by_seed(several)])


def _note(runs: Sequence[Run]) -> str:
    *some, most = map(str, sorted({run.at_once for run in runs}))
    numbers = f"{', '.join(some)} or {most}" if some else most
    words = [
        f"One patch makes {numbers} edits, as the number after the @ says, and is asked all that belongs to "
        "any of them."
    ]
    left = sorted({size for run in runs for size in _left_over(run)})
    if left:
        words.append(f"What is left over at the end makes a group of {', '.join(map(str, left))}.")
    single = dict.fromkeys(_method(run) for run in runs if run.single)
    words += [f"{method} makes one edit at a time." for method in single]
    return " ".join(words)


def _left_over(run: Run) -> set[int]:
    """The sizes of groups that are smaller than the run's others."""
    return {result.at_once for result in outlines(run.results)} - {run.at_once}


def _board(board: Board, runs: Sequence[Run]) -> Board:
    """The numbers of the runs, each with the look that it has in other plots."""
    looks = make_looks(runs) | board.looks
    alone = {run.name: looks.get(run.name.removesuffix(SINGLE), looks[run.name]) for run in runs}
    return make_board(board.task, runs, looks | alone)


def _method(run: Run) -> str:
    return run.header.settings.method


def _lines(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs that differ in how many edits they make at once, and in nothing else."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        settings = run.header.settings
        same = [settings.method, settings.config, settings.model_digest, settings.dataset_digest]
        rest = [settings.prompts, settings.split, settings.seed]
        found.setdefault(json.dumps([*same, *rest], sort_keys=True), []).append(run)
    return [sorted(of, key=lambda run: run.at_once) for of in found.values()]


def _plots(board: Board, protocol: ProtocolName) -> Html:
    panels = [
        _panel(part, protocol, column, lines, model)
        for model, part in board.by_setup()
        if (lines := [of for of in _lines(part.runs) if len(of) > 1 or of[0].at_once > 1])
        for column in part.columns
    ]
    note = (
        "To the right, how many edits one patch makes, on a logarithmic scale; upward, the score in percent."
    )
    return figure(f"{PROTOCOLS[protocol].title}, by the number of edits at once", note, panels)


def _panel(
    board: Board, protocol: ProtocolName, column: str, lines: Sequence[Sequence[Run]], model: str
) -> Html:
    numbers = sorted({run.at_once for of in lines for run in of})
    across = Scale(log10(numbers[0]), max(log10(numbers[-1]), log10(numbers[0]) + 0.1), LEFT, RIGHT)
    grid = percent_lines()
    grid += [line(across(log10(number)), TOP, across(log10(number)), BOTTOM) for number in numbers]
    grid += [text(across(log10(number)), BOTTOM + 18, str(number), anchor="middle") for number in numbers]
    ends: list[tuple[float, float, Run]] = []
    drawn: list[Html] = []
    for of in lines:
        points = [
            (across(log10(run.at_once)), found, run)
            for run in of
            if (found := board.of(protocol, column, run.name)) is not None
        ]
        drawn += [_segment(board, *pair) for pair in pairwise(points)]
        drawn += [_mark(board, protocol, column, *point) for point in points]
        ends += [(x, one.mean, run) for x, one, run in points[-1:]]
    metric, title = board.metric(protocol, column), headed(NAMES[column], model)
    called = names(ends, board.looks, lambda run: _name(board, run))
    return panel(title, BOTTOM + 26, *grid, *drawn, *called, note=metric)


def _segment(board: Board, start: tuple[float, Estimate, Run], end: tuple[float, Estimate, Run]) -> Html:
    (x, one, _), (other_x, other, run) = start, end
    paint = board.looks[run.name].paint
    return line(x, height(one.mean), other_x, height(other.mean), "course", stroke=paint)


def _mark(board: Board, protocol: ProtocolName, column: str, x: float, found: Estimate, run: Run) -> Html:
    tip = f"{run.name}: {NAMES[column]}, {protocol}: {in_words(found)}"
    return mark(x, height(found.mean), board.looks[run.name], tip, board.cases(protocol, column, run))


def _name(board: Board, run: Run) -> str:
    """The method, without how many edits it made at once."""
    settings = run.header.settings
    return settings.method + board.called[run.name].run.removeprefix(settings.name)
