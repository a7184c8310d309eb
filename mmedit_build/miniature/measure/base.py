"""What a measurement yields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from mmedit_build.errors import UserError


@dataclass(frozen=True, slots=True)
class Measure:
    """One number about a checkpoint or a stage of a build, and the range it must lie in, if any."""

    subject: str
    name: str
    value: float
    """A share of the examples, or a count of them when it is above 1."""
    examples: int
    least: float | None = None
    most: float | None = None

    @property
    def holds(self) -> bool:
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)

    @property
    def bounds(self) -> str:
        """The range as text; empty where any value will do."""
        signs = ((">=", self.least), ("<=", self.most))
        return " ".join(f"{sign} {shown(bound)}" for sign, bound in signs if bound is not None)


def share(
    subject: str, name: str, hits: Iterable[float], least: float | None = None, most: float | None = None
) -> Measure:
    """The mean of `hits`."""
    values = [float(hit) for hit in hits]
    if not values:
        raise UserError(f"There is nothing to measure {name!r} on; take more drawings.")
    return Measure(subject, name, fmean(values), len(values), least, most)


def shown(value: float) -> str:
    """Shares as percentages, counts as they are."""
    return f"{value:.1%}" if value <= 1 else f"{value:.0f}"
