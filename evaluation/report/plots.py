"""The plots of a task: bars, radars, scatters of methods, and the divergence of every single edit."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin

from evaluation.drawing.labels import Box, Column, Label, Point, place
from evaluation.drawing.markup import Html, join, tag
from evaluation.drawing.svg import (
    Scale,
    bar,
    clip_name,
    figure,
    line,
    panel,
    percent_grid,
    polygon,
    text,
)
from evaluation.protocols.base import ProtocolName
from evaluation.report.board import NAMES, Board, in_words, percent
from evaluation.report.looks import Look, mark
from evaluation.report.runs import Run
from evaluation.results.summary import Estimate

CENTER = (110.0, 108.0)
RADIUS = 62
"""Of a radar."""
NAME = 14
"""Letters of a method's name that fit beside a bar."""
BAR = Scale(0, 100, 96, 296)
"""From percent to places along a bar."""
_X = Scale(0, 100, 40, 218)
_Y = Scale(0, 100, 226, 60)
AREA = (30.0, 37.0, 232.0, 230.0)
ASIDE = Column(252.0, 40.0, 258.0)
"""For the names of points that crowd, each behind its point's mark."""
_SHORT = {"I-Loc": "I-Loc far"}


def bars(board: Board) -> Html:
    """Every headline number with its interval; one panel a measure."""
    panels = [_bar_panel(board, column) for column in board.columns]
    return figure("Every measure", in_percent(board), panels)


def in_percent(board: Board) -> str:
    """What bars show."""
    if len(board.protocols) == 2:
        below, above = board.protocols
        return f"In percent: {above} in full color above, {below} pale below; thin lines are 95% intervals."
    return "In percent; thin lines are 95% intervals."


def _bar_panel(board: Board, column: str) -> Html:
    step = 12 * len(board.protocols) + 8
    bottom = 30 + step * len(board.runs)
    grid = [line(BAR(tick), 24, BAR(tick), bottom - 4) for tick in (0, 50, 100)]
    ticks = [text(BAR(tick), bottom + 10, str(tick), anchor="middle") for tick in (0, 50, 100)]
    rows: list[str] = []
    for number, run in enumerate(board.runs):
        top = 30 + step * number
        rows.append(text(0, top + step / 2, clip_name(run.name, NAME), "name"))
        for place_, protocol in enumerate(reversed(board.protocols)):
            rows.append(
                score_bar(board, protocol, column, run, top + 12 * place_, board.looks[run.name].paint)
            )
    titles = dict.fromkeys(board.metric(protocol, column) for protocol in reversed(board.protocols))
    return panel(NAMES[column], bottom + 14, *grid, *ticks, *rows, note=", ".join(titles))


def score_bar(board: Board, protocol: ProtocolName, column: str, run: Run, top: float, paint: str) -> Html:
    """A number as a bar with its interval; nothing where there is no number."""
    found = board.of(protocol, column, run.name)
    if found is None:
        return Html()
    low, mean, high = (BAR(100 * one) for one in (found.low, found.mean, found.high))
    kind = f"bar {protocol}"
    tip = f"{run.name}, {NAMES[column]}, {protocol}: {in_words(found)}"
    cases = board.cases(protocol, column, run)
    return join(
        [
            bar(BAR(0), top, mean - BAR(0), 9, tip, class_=kind, fill=paint, data_cases=cases),
            line(low, top + 4.5, high, top + 4.5, "whisker"),
            text(340, top + 8.5, percent(found.mean), f"value {protocol}", "end", data_cases=cases),
        ]
    )


def radars(board: Board) -> Html:
    """One small radar a method, with an outline for each protocol."""
    panels = [_radar(board, run) for run in board.edited]
    note = "The rim is 100."
    if len(board.protocols) == 2:
        dashed, filled = board.protocols
        note = f"{filled.capitalize()} is filled, {dashed} dashed; the rim is 100."
    return figure("The shape of each method", note, [one for one in panels if one], "small")


def _radar(board: Board, run: Run) -> Html:
    columns = [
        column
        for column in board.columns
        if all(board.of(protocol, column, run.name) for protocol in board.protocols)
    ]
    if len(columns) < 3:
        return Html()
    angles = [2 * pi * number / len(columns) - pi / 2 for number in range(len(columns))]
    rings = [polygon(_ring(angles, [size] * len(angles)), "ring") for size in (0.25, 0.5, 0.75, 1.0)]
    spokes = [line(*CENTER, *point) for point in _ring(angles, [1.0] * len(angles))]
    names = [
        text(x, y + 4, _SHORT.get(column, column), "label", _side(angle))
        for column, angle, (x, y) in zip(columns, angles, _ring(angles, [1.13] * len(angles)), strict=True)
    ]
    shapes = [_shape(board, protocol, run, columns, angles) for protocol in board.protocols]
    return panel(clip_name(run.name, 24), 196, *rings, *spokes, *shapes, *names, width=216)


def _shape(
    board: Board, protocol: ProtocolName, run: Run, columns: Sequence[str], angles: Sequence[float]
) -> Html:
    found = [board.estimates[protocol, column, run.name].mean for column in columns]
    told = ", ".join(f"{column} {percent(mean)}" for column, mean in zip(columns, found, strict=True))
    paint = board.looks[run.name].paint
    kind = f"shape {protocol}" if len(board.protocols) == 2 else "shape wild"
    return polygon(
        _ring(angles, found), kind, f"{run.name}, {protocol}: {told}", style=f"stroke:{paint};fill:{paint}"
    )


def _ring(angles: Sequence[float], sizes: Sequence[float]) -> list[tuple[float, float]]:
    return [
        (CENTER[0] + RADIUS * size * cos(angle), CENTER[1] + RADIUS * size * sin(angle))
        for angle, size in zip(angles, sizes, strict=True)
    ]


def _side(angle: float) -> str:
    return "middle" if abs(cos(angle)) < 0.1 else "start" if cos(angle) > 0 else "end"


def tradeoffs(board: Board) -> Html:
    """Reliability against each locality."""
    panels = [
        _scatter(
            board,
            (protocol, "Rel"),
            (protocol, column),
            protocol.capitalize(),
        )
        for protocol in board.protocols
        for column in ("T-Loc", "I-Loc", "I-Loc near")
        if column in board.columns
    ]
    note = "Reliability to the right, locality upward: the best methods are in the upper right corner."
    return figure("Reliability against locality", note, panels)


def agreements(board: Board) -> Html:
    """The two protocols against each other."""
    if len(board.protocols) < 2:
        return Html()
    one, other = board.protocols
    panels = [
        _scatter(board, (one, column), (other, column), NAMES[column], diagonal=True)
        for column in board.columns
    ]
    note = f"On the line both protocols give the same number; below it {one} gives more than {other} does."
    return figure(f"{one.capitalize()} against {other}", note, panels)


Axis = tuple[ProtocolName, str]


def _scatter(board: Board, across: Axis, up: Axis, title: str, *, diagonal: bool = False) -> Html:
    points: dict[Point, tuple[Look, str]] = {}
    nameless: list[Point] = []
    arms: list[Box] = []
    crosses: list[str] = []
    marks: list[str] = []
    pale: list[str] = []
    for run in board.runs:
        x, y = board.of(*across, run.name), board.of(*up, run.name)
        if x is None or y is None:
            continue
        look = board.looks[run.name]
        point = Point(_X(100 * x.mean), _Y(100 * y.mean), clip_name(run.name, NAME))
        tip = f"{run.name}: {_title(across, diagonal)} {in_words(x)}; {_title(up, diagonal)} {in_words(y)}"
        cases = board.cases(*up, run)
        if run.name not in board.foremost:
            nameless.append(point)
            pale.append(mark(point.x, point.y, look, tip, cases))
            continue
        points[point] = (look, cases)
        here = _arms(point, x, y)
        arms += [(left, top - 1, right, bottom + 1) for left, top, right, bottom in here]
        crosses += [line(*arm, "cross", stroke=look.paint) for arm in here]
        marks.append(mark(point.x, point.y, look, tip, cases))
    labels = place([*points], AREA, ASIDE, arms=arms, nameless=nameless)
    names = [named(label, *points[label.point]) for label in labels]
    axes = [
        text(_X(50), 262, _title(across, diagonal), "axis", "middle"),
        text(0, 29, _title(up, diagonal), "axis"),
    ]
    middle = [line(_X(0), _Y(0), _X(100), _Y(100), "diagonal")] if diagonal else []
    behind = [tag("g", *pale, class_="pale")] if pale else []
    shown = [*middle, *axes, *behind, *crosses, *marks, *names]
    height = max([268, *(label.y + 8 for label in labels)])
    return panel(title, height, percent_grid(_X, _Y), *shown)


def named(label: Label, look: Look, cases: str | None = None) -> Html:
    """A name; one in the column with its point's mark, and a line to the point."""
    name = text(label.x, label.y, label.point.name, "name halo", label.anchor)
    if not label.aside:
        return name
    left, middle = label.x - 9, label.y - 4
    leader = line(label.point.x, label.point.y, left - 5, middle, "course thin", stroke=look.paint)
    return join([leader, mark(left, middle, look, label.point.name, cases), name])


def _arms(point: Point, x: Estimate, y: Estimate) -> list[Box]:
    """Where the intervals of both numbers are."""
    return [
        (_X(100 * x.low), point.y, _X(100 * x.high), point.y),
        (point.x, _Y(100 * y.high), point.x, _Y(100 * y.low)),
    ]


def _title(axis: Axis, diagonal: bool) -> str:
    """What an axis shows."""
    return axis[0] if diagonal else NAMES[axis[1]]
