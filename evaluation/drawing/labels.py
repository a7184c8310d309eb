"""Where names go beside points, so that they hide neither each other nor the points.

A point that stands by itself has its name beside it. Points that crowd, as good methods do in the corner
where all scores are 100, have theirs in a column at the right of the plot, one below the other, each with a
line that leads to its point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

NEAR = 9.0
"""Points closer than this crowd."""
LETTER = 6.4
"""About how wide a letter is."""
HEIGHT = 14.0
GAP = 9.0

Anchor = Literal["start", "middle", "end"]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    name: str


@dataclass(frozen=True, slots=True)
class Label:
    """The name of a point; `y` is its baseline."""

    point: Point
    x: float
    y: float
    anchor: Anchor
    aside: bool = False
    """Whether it stands in the column rather than beside its point."""


@dataclass(frozen=True, slots=True)
class Column:
    """Where names stand that have no room in the plot; as many as there are, beyond the bottom if need be."""

    x: float
    top: float
    bottom: float


def place(
    points: Sequence[Point],
    area: Box,
    column: Column,
    *,
    arms: Sequence[Box] = (),
    nameless: Sequence[Point] = (),
) -> list[Label]:
    """A label for each point, in its area or in the column.

    Labels hide no point, be it one of the `nameless`, and no other label; of the arms as little as can be.
    """
    dots = [(one.x - 6, one.y - 6, one.x + 6, one.y + 6) for one in (*points, *nameless)]
    labels: list[Label] = []
    crowd: list[Point] = []
    for point in points:
        taken = [*dots, *map(_box, labels)]
        free = [one for one in _beside(point) if _is_free(_box(one), taken, area)]
        if not free or any(_are_near(point, other) for other in (*points, *nameless) if other is not point):
            crowd.append(point)
        else:
            labels.append(min(free, key=lambda one: sum(_overlap(_box(one), arm) for arm in arms)))
    # Of points of one height the rightmost comes first: lines that lead down do not cross.
    crowd.sort(key=lambda one: (one.y, -one.x))
    places = spread([one.y for one in crowd], column.top, column.bottom, HEIGHT)
    aside = [Label(one, column.x, y + 4, "start", aside=True) for one, y in zip(crowd, places, strict=True)]
    return labels + aside


def spread(places: Sequence[float], top: float, bottom: float, step: float) -> list[float]:
    """The places, from the top down, moved as far as it takes to keep a step between them.

    Those that would overlap stand evenly around their middle, those that are too many end below the bottom.
    """

    def start(group: Sequence[float]) -> float:
        size = step * (len(group) - 1)
        return max(top, min(sum(group) / len(group) - size / 2, bottom - size))

    groups: list[list[float]] = []
    for one in places:
        groups.append([one])
        while len(groups) > 1 and start(groups[-1]) - start(groups[-2]) < step * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [start(group) + step * number for group in groups for number in range(len(group))]


def _are_near(one: Point, other: Point) -> bool:
    return (one.x - other.x) ** 2 + (one.y - other.y) ** 2 < NEAR**2


def _beside(point: Point) -> list[Label]:
    """Around the point, the best places first."""
    x, y = point.x, point.y
    sides: tuple[tuple[float, Anchor], ...] = ((0, "middle"), (-4, "start"), (4, "end"))
    level = [Label(point, x + GAP, y + 4, "start"), Label(point, x - GAP, y + 4, "end")]
    return level + [
        Label(point, x + shift, line, anchor)
        for shift, anchor in sides
        for line in (y - GAP - 2, y + GAP + 9)
    ]


def _box(label: Label) -> Box:
    width = LETTER * len(label.point.name)
    left = label.x - {"start": 0.0, "middle": width / 2, "end": width}[label.anchor]
    top = label.y - 10
    return left - 2, top, left + width + 2, top + HEIGHT


def _is_free(box: Box, taken: Sequence[Box], area: Box) -> bool:
    inside = area[0] <= box[0] and area[1] <= box[1] and box[2] <= area[2] and box[3] <= area[3]
    return inside and not any(_overlap(box, other) for other in taken)


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)
