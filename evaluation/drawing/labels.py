"""Where names go beside points, so that they hide neither each other nor the points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

NEAR = 9.0
"""Points closer than this share one label."""
LETTER = 6.4
"""About how wide a letter is."""
HEIGHT = 14.0
GAP = 9.0
AWAY = 4
"""Lines that a label may be away from its point; a thin line then leads to it."""
LINE = 30
"""Letters in a line; a label of many names has several lines."""
LINES = 4
"""Names beyond these are counted."""
HIDDEN = 0.2
"""How much of a label others may hide; without a better place it is left out, as points tell their names."""

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
    """Lines of text; `y` is the first one's baseline."""

    x: float
    y: float
    anchor: Anchor
    lines: tuple[str, ...]
    leader: Box | None = None
    """From the point to a label that is not beside it."""


def place(points: Sequence[Point], area: Box, arms: Sequence[Box] = ()) -> list[Label]:
    """A label for each group of points, where it hides no point, no other label, and few of the arms; none
    where that cannot be."""
    taken = [(5.0, (one.x - 6, one.y - 6, one.x + 6, one.y + 6)) for one in points]
    taken += [(1.0, arm) for arm in arms]
    labels: list[Label] = []
    boxes: list[Box] = []
    for group in sorted(_groups(points), key=len, reverse=True):
        x, y = (sum(values) / len(group) for values in zip(*((one.x, one.y) for one in group), strict=True))
        candidates = enumerate(_candidates(x, y, _lines([one.name for one in group])))
        best = min(candidates, key=lambda one: one[0] + _cost(_box(one[1]), taken, area))[1]
        box = _box(best)
        if sum(_overlap(box, other) for other in boxes) > HIDDEN * _overlap(box, box):
            continue
        taken.append((4.0, box))
        boxes.append(box)
        labels.append(best)
    return labels


def _groups(points: Sequence[Point]) -> list[list[Point]]:
    """Points that are near any other of their group."""
    groups: list[list[Point]] = []
    for point in points:
        near = [group for group in groups if any(_distance(point, other) < NEAR for other in group)]
        merged = [other for group in near for other in group] + [point]
        groups = [group for group in groups if group not in near] + [merged]
    return groups


def _distance(one: Point, other: Point) -> float:
    return float(((one.x - other.x) ** 2 + (one.y - other.y) ** 2) ** 0.5)


def _lines(names: Sequence[str]) -> tuple[str, ...]:
    lines = [names[0]]
    for name in names[1:]:
        longer = f"{lines[-1]}, {name}"
        if len(longer) <= LINE:
            lines[-1] = longer
        else:
            lines[-1] += ","
            lines.append(name)
    if len(lines) > LINES:
        shown = sum(line.count(", ") + 1 for line in lines[: LINES - 1])
        lines[LINES - 1 :] = [f"and {len(names) - shown} more"]
    return tuple(lines)


def _candidates(x: float, y: float, lines: tuple[str, ...]) -> list[Label]:
    """Around the point and farther away, the best places first."""
    tall = HEIGHT * (len(lines) - 1)
    middle, above, below = y + 4 - tall / 2, y - GAP - 2 - tall, y + GAP + 9
    sides: tuple[tuple[float, Anchor], ...] = ((0, "middle"), (4, "start"), (-4, "end"))
    near = [Label(x + GAP, middle, "start", lines), Label(x - GAP, middle, "end", lines)]
    near += [Label(x + shift, top, anchor, lines) for shift, anchor in sides for top in (above, below)]
    far = [
        Label(x + 3 * shift, top, anchor, lines, (x, y, x + 2 * shift, end))
        for step in range(1, AWAY + 1)
        for shift, anchor in sides
        for top, end in (
            (below + step * HEIGHT, below + step * HEIGHT - 10),
            (above - step * HEIGHT, above - step * HEIGHT + tall + 3),
        )
    ]
    return near + far


def _box(label: Label) -> Box:
    width = LETTER * max(map(len, label.lines))
    left = label.x - {"start": 0.0, "middle": width / 2, "end": width}[label.anchor]
    top = label.y - 10
    return left - 2, top, left + width + 2, top + HEIGHT * len(label.lines)


def _cost(box: Box, taken: Sequence[tuple[float, Box]], area: Box) -> float:
    """What is hidden, by its weight; being outside costs most."""
    outside = (box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, area)
    return 10 * outside + sum(weight * _overlap(box, other) for weight, other in taken)


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)
