"""Lines of methods from point to point, with their names at the ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from evaluation.drawing.labels import spread
from evaluation.drawing.markup import Html
from evaluation.drawing.svg import TICKS, Scale, clip_name, line, text
from evaluation.report.board import in_words
from evaluation.report.looks import Looks, mark
from evaluation.report.runs import Run
from evaluation.results.summary import Estimate

LINE = 13.0
"""Between the names at the ends of lines, at least."""
TOP, BOTTOM = 32.0, 222.0
LEFT, RIGHT = 34.0, 226.0
_NAMES = 252.0
_Y = Scale(0, 100, BOTTOM, TOP)


def height(share: float) -> float:
    """Where a share stands."""
    return _Y(100 * share)


def percent_lines() -> list[Html]:
    """What the height of a point is read by."""
    lines = [line(LEFT - 6, _Y(tick), RIGHT + 6, _Y(tick)) for tick in TICKS]
    return lines + [text(LEFT - 12, _Y(tick) + 4, str(tick), anchor="end") for tick in TICKS]


def course(
    title: str, run: Run, points: Sequence[tuple[float, Estimate, str]], looks: Looks
) -> Iterator[Html]:
    """The line of a run, through means of some cases that stand at some places, with their intervals."""
    paint = looks[run.name].paint
    for (x, one, _), (other_x, other, _) in pairwise(points):
        yield line(x, height(one.mean), other_x, height(other.mean), "course", stroke=paint)
    for x, one, cases in points:
        yield line(x, height(one.low), x, height(one.high), "cross", stroke=paint)
        yield mark(x, height(one.mean), looks[run.name], f"{run.name}, {title}: {in_words(one)}", cases)


def names(
    ends: Sequence[tuple[float, float, Run]], looks: Looks, called: Callable[[Run], str]
) -> Iterator[Html]:
    """What runs are called, at the ends of their lines, whose shares are given; none over another."""
    order = sorted(((x, height(share), run) for x, share, run in ends), key=lambda one: one[1])
    places = spread([y for _, y, _ in order], TOP, BOTTOM, LINE)
    for (x, y, run), place in zip(order, places, strict=True):
        yield line(x + 8, y, _NAMES - 4, place, "course thin", stroke=looks[run.name].paint)
        yield text(_NAMES, place + 4, clip_name(called(run), 14), "name")
