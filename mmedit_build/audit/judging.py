"""Measures, and the ways in which they count; see `counting`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from mmedit_build.audit.counting import Counter, Judged
from mmedit_build.formats.edits import hops_of
from mmedit_build.formats.rows import Hop
from mmedit_build.rows import EditRow, LocalityItem

Kind = Literal["never", "fault", "number"]
"""What a build of ours must not have; what makes a row doubtful; what only describes a dataset."""
Counting = Callable[[], Counter]
"""Makes the counter of one split."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is counted in each split of each task."""

    name: str
    kind: Kind
    title: str
    definition: str
    counting: Counting


def rows(found: Callable[[EditRow], bool], among: Callable[[EditRow], bool] = lambda _: True) -> Counting:
    """Counts edits, among those that the measure is about."""

    def judge(edit: EditRow) -> tuple[int, int]:
        looked = among(edit)
        return int(looked and found(edit)), int(looked)

    return lambda: Judged(judge)


def items(
    found: Callable[[EditRow, LocalityItem], bool], among: Callable[[EditRow], Iterable[LocalityItem]]
) -> Counting:
    """Counts locality items."""

    def judge(edit: EditRow) -> tuple[int, int]:
        looked = list(among(edit))
        return sum(found(edit, item) for item in looked), len(looked)

    return lambda: Judged(judge)


def hops(found: Callable[[Hop], bool]) -> Counting:
    """Counts questions of portability."""

    def judge(edit: EditRow) -> tuple[int, int]:
        looked = hops_of(edit)
        return sum(map(found, looked)), len(looked)

    return lambda: Judged(judge)
