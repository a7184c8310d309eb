"""Cost beside quality: the seconds that an edit takes, and the score."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

from evaluation.drawing.labels import Point, place
from evaluation.drawing.markup import Html
from evaluation.drawing.svg import Scale, clip_name, figure, line, panel, text
from evaluation.leaderboard.boards import Board, Standing
from evaluation.leaderboard.ranking import Rank
from evaluation.leaderboard.table import costs
from evaluation.protocols.known import PROTOCOLS
from evaluation.report.board import percent
from evaluation.report.looks import Look, Looks, mark
from evaluation.report.plots import AREA, ASIDE, NAME, named

_Y = Scale(0, 100, 226, 60)
_LEFT, _RIGHT = 40, 232


def plots(board: Board, looks: Looks) -> Html:
    """A panel for each protocol; nothing where no method has a rank."""
    panels = [
        _panel(PROTOCOLS[name].title, found, looks)
        for name, standings in board.shown
        if (found := [(of, of.rank, costs(of)[1]) for of in standings if of.rank and costs(of)[1]])
    ]
    note = "Seconds to make an edit to the right, the score with its 95% interval upward."
    return figure("Cost beside quality", note, panels)


def _panel(title: str, found: Sequence[tuple[Standing, Rank, float]], looks: Looks) -> Html:
    powers = [log10(seconds) for _, _, seconds in found]
    low, high = floor(min(powers)), ceil(max(powers))
    x = Scale(low, max(high, low + 1), _LEFT, _RIGHT)
    grid = [
        part
        for tick in (0, 25, 50, 75, 100)
        for part in (
            line(_LEFT, _Y(tick), _RIGHT, _Y(tick)),
            text(_LEFT - 10, _Y(tick) + 4, str(tick), anchor="end"),
        )
    ]
    grid += [
        part
        for tick in range(low, max(high, low + 1) + 1)
        for part in (
            line(x(tick), _Y(0), x(tick), _Y(100)),
            text(x(tick), _Y(0) + 22, f"{10.0**tick:g} s", anchor="middle"),
        )
    ]
    points: dict[Point, Look] = {}
    arms, marks = [], []
    for (of, rank, seconds), power in zip(found, powers, strict=True):
        name = of.row.entry.header.settings.name
        point = Point(x(power), _Y(100 * rank.score), clip_name(name, NAME))
        points[point] = look = looks[name]
        up, down = (_Y(100 * one) for one in reversed(rank.interval))
        arms.append(line(point.x, up, point.x, down, "cross", stroke=look.paint))
        tip = f"{name}: score {percent(rank.score)}, {seconds:.3g} s an edit"
        marks.append(mark(point.x, point.y, look, tip))
    labels = place([*points], AREA, ASIDE)
    names = [named(label, points[label.point]) for label in labels]
    axes = [text(136, 262, "time of an edit", "axis", "middle"), text(0, 29, "score", "axis")]
    height = max([268, *(label.y + 8 for label in labels)])
    return panel(title, height, *grid, *axes, *arms, *marks, *names)
