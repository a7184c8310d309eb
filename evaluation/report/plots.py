"""The plots of a task: bars, radars, scatters of methods, and the divergence of every single edit."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin

from evaluation.drawing.labels import Box, Column, Label, Point, place
from evaluation.drawing.markup import Html, join, tag
from evaluation.drawing.svg import (
    Scale,
    bar,
    clip,
    clip_name,
    dot,
    figure,
    line,
    panel,
    percent_grid,
    polygon,
    text,
)
from evaluation.protocols.base import ProtocolName
from evaluation.report.board import NAMES, Board, headed, in_words, percent
from evaluation.report.looks import Look, mark
from evaluation.report.runs import Run
from evaluation.results.summary import Estimate

CENTER = (125.0, 112.0)
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
    step = max(12 * len(board.protocols) + 8, 28 if len(board.by_setup()) > 1 else 0)
    bottom = 30 + step * len(board.runs)
    grid = [line(BAR(tick), 24, BAR(tick), bottom - 4) for tick in (0, 50, 100)]
    ticks = [text(BAR(tick), bottom + 10, str(tick), anchor="middle") for tick in (0, 50, 100)]
    rows: list[str] = []
    for number, run in enumerate(board.runs):
        top = 30 + step * number
        rows.append(row_name(board, run, top + step / 2))
        for place_, protocol in enumerate(reversed(board.protocols)):
            rows.append(
                score_bar(board, protocol, column, run, top + 12 * place_, board.looks[run.name].paint)
            )
    titles = dict.fromkeys(board.metric(protocol, column) for protocol in reversed(board.protocols))
    return panel(NAMES[column], bottom + 14, *grid, *ticks, *rows, note=", ".join(titles))


def row_name(board: Board, run: Run, y: float) -> Html:
    """The name of a run beside the middle of its row; where there are several models, its own below."""
    name, model = board.called[run.name]
    if not model:
        return text(0, y, clip_name(name, NAME), "name")
    return join([text(0, y - 6, clip_name(name, NAME), "name"), text(0, y + 7, clip_name(model, NAME + 1))])


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
    name, model = board.called[run.name]
    below = text(0, 27, clip(model, 30))
    shown = [*rings, *spokes, *shapes, *names]
    return panel(clip_name(name, 24), 196, below, *shown, width=2 * CENTER[0])


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
            part,
            (protocol, "Rel"),
            (protocol, column),
            headed(protocol.capitalize(), title),
        )
        for title, part in board.by_setup()
        for protocol in part.protocols
        for column in ("T-Loc", "I-Loc", "I-Loc near")
        if column in part.columns
    ]
    note = "Reliability to the right, locality upward: the best are in the upper right corner."
    return figure("Reliability against locality", f"{note} {_crosses(board)}", panels)


def agreements(board: Board) -> Html:
    """The two protocols against each other."""
    if len(board.protocols) < 2:
        return Html()
    one, other = board.protocols
    panels = [
        _scatter(part, (one, column), (other, column), headed(NAMES[column], title), diagonal=True)
        for title, part in board.by_setup()
        for column in part.columns
    ]
    note = f"On the line both protocols give the same number; below it {one} gives more than {other} does."
    return figure(f"{one.capitalize()} against {other}", f"{note} {_crosses(board)}", panels)


def _crosses(board: Board) -> str:
    """What stands around the points of a scatter."""
    seeds = "; small dots are single seeds" if any(len(run.seeds) > 1 for run in board.runs) else ""
    return f"Crosses are 95% intervals{seeds}."


Axis = tuple[ProtocolName, str]


def _scatter(board: Board, across: Axis, up: Axis, title: str, *, diagonal: bool = False) -> Html:
    points: dict[Point, tuple[Look, str]] = {}
    nameless: list[Point] = []
    arms: list[Box] = []
    crosses: list[str] = []
    marks: list[str] = []
    pale: list[str] = []
    seeds: list[str] = []
    for run in board.runs:
        x, y = board.of(*across, run.name), board.of(*up, run.name)
        if x is None or y is None:
            continue
        look = board.looks[run.name]
        point = Point(_X(100 * x.mean), _Y(100 * y.mean), clip_name(board.called[run.name].run, NAME))
        tip = _tip(run, across, up, x, y)
        cases = board.cases(*up, run)
        if run.name not in board.foremost:
            nameless.append(point)
            pale.append(mark(point.x, point.y, look, tip, cases))
            continue
        points[point] = (look, cases)
        seeds += _seeds(board, run, across, up)
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
    shown = [*middle, *axes, *behind, *crosses, *seeds, *marks, *names]
    height = max([268, *(label.y + 8 for label in labels)])
    return panel(title, height, percent_grid(_X, _Y), *shown)


def _seeds(board: Board, run: Run, across: Axis, up: Axis) -> list[Html]:
    """A small dot for each of several seeds."""
    dots = []
    for one in run.seeds if len(run.seeds) > 1 else ():
        x, y = board.of(*across, one.name), board.of(*up, one.name)
        if x is not None and y is not None:
            about = {"class_": "seed", "fill": board.looks[run.name].paint}
            tip, cases = _tip(one, across, up, x, y), board.cases(*up, one)
            dots.append(dot(_X(100 * x.mean), _Y(100 * y.mean), 2.4, tip, data_cases=cases, **about))
    return dots


def _tip(run: Run, across: Axis, up: Axis, x: Estimate, y: Estimate) -> str:
    """Both numbers, by what tells the axes apart."""
    first, second = (axis[0] if across[1] == up[1] else NAMES[axis[1]] for axis in (across, up))
    return f"{run.name}: {first} {in_words(x)}; {second} {in_words(y)}"


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
