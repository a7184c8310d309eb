"""What methods look like: one color each, the same in all plots of a page, and a shape for each of its runs.

The hue says of which family a method is. Methods of a family have its shades in turn, known ones in the order
of lists, so that a method looks the same on other pages, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin

from editors.families import METHOD_FAMILIES
from editors.listed import listed
from evaluation.drawing.markup import Html
from evaluation.drawing.svg import dot, polygon
from evaluation.report.runs import Run
from evaluation.run.experiment import UNEDITED

HUES = len(METHOD_FAMILIES)
SHADES = 3
SHAPES = 4


@dataclass(frozen=True, slots=True)
class Look:
    """How the marks of a run look."""

    hue: int | None
    """None is gray."""
    shade: int = 0
    shape: int = 0

    @property
    def paint(self) -> str:
        return "var(--none)" if self.hue is None else f"var(--m{self.hue}{self.shade})"


def mark(x: float, y: float, look: Look, tip: str, cases: str | None = None) -> Html:
    """The point of a method: color and shape both tell which, for those who do not see the color.

    `cases` are those that it is a number of, see `evaluation.report.formats.cases_of`.
    """
    sides = {1: (4, pi / 4), 2: (3, -pi / 2), 3: (4, 0.0)}
    if look.shape == 0:
        return dot(x, y, 5, tip, class_="mark", fill=look.paint, data_cases=cases)
    corners, turn = sides[look.shape]
    around = [turn + 2 * pi * corner / corners for corner in range(corners)]
    points = [(x + 6.2 * cos(angle), y + 6.2 * sin(angle)) for angle in around]
    return polygon(points, "mark", tip, fill=look.paint, data_cases=cases)


Looks = dict[str, Look]
"""By the names of runs."""


def make_looks(runs: Sequence[Run]) -> Looks:
    """The looks of all runs of a page."""
    looks = {run.name: Look(None) for run in runs if run.header.settings.method == UNEDITED}
    edited = [run for run in runs if run.name not in looks]
    for hue in range(HUES):
        looks |= _of_family(hue, [run for run in edited if _hue(run) == hue])
    return looks


def _hue(run: Run) -> int:
    """Runs of no family that is known share the last hue with those that test the evaluation."""
    families: list[str] = [*METHOD_FAMILIES]
    return families.index(run.family) if run.family in families else HUES - 1


def _of_family(hue: int, runs: Sequence[Run]) -> Looks:
    looks: Looks = {}
    shown = {run.header.settings.method for run in runs}
    known = [name for name, one in listed().items() if one.family == METHOD_FAMILIES[hue]]
    others = sorted(shown - {*known})
    # Shades repeat after three, shapes after four, so a dozen methods differ in one of both.
    for place, method in enumerate([*known, *others]):
        of_method = [run for run in runs if run.header.settings.method == method]
        # However many edits are made at once, it is the same run otherwise.
        parts = dict.fromkeys(run.name.removeprefix(run.header.settings.name) for run in of_method)
        shapes = {part: (hue + place + number) % SHAPES for number, part in enumerate(parts)}
        for run in of_method:
            shape = shapes[run.name.removeprefix(run.header.settings.name)]
            looks[run.name] = Look(hue, place % SHADES, shape)
    return looks
