"""What a measurement yields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True, slots=True)
class Measure:
    """One number about one checkpoint, and the range it must lie in."""

    checkpoint: str
    name: str
    value: float
    number: int
    """How many examples the value is the mean of."""
    least: float | None = None
    most: float | None = None

    @property
    def holds(self) -> bool:
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)


def share(
    checkpoint: str, name: str, hits: Iterable[float], least: float | None = None, most: float | None = None
) -> Measure:
    """The mean of `hits`."""
    values = [float(hit) for hit in hits]
    return Measure(checkpoint, name, fmean(values), len(values), least, most)
