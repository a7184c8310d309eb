"""Runs of one setting with several seeds: their mean, and how far they lie apart.

Both are over the edits that all of them have, so that nothing but the seed makes a difference. The interval
is that of the mean over images, as elsewhere: the value of an edit is its mean over the seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from evaluation.results.records import CaseResult
from evaluation.results.summary import Estimate, Measure, estimate, images_of, values


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """A number of one setting."""

    estimate: Estimate
    """Of the mean over the seeds."""
    deviation: float | None
    """The standard deviation of the seeds' means; None of a single seed."""


def over_seeds(runs: Sequence[Sequence[CaseResult]], of: Measure) -> OverSeeds | None:
    """A number of some runs that differ in their seeds alone; None where they have it for no edit."""
    found = [values(results, of) for results in runs]
    shared = [name for name in found[0] if all(name in one for one in found)]
    means = {name: fmean(one[name] for one in found) for name in shared}
    whole = estimate(means, images_of(runs[0]), share=of.percent)
    if whole is None:
        return None
    return OverSeeds(whole, deviation([fmean(one[name] for name in shared) for one in found]))


def deviation(means: Sequence[float]) -> float | None:
    """The standard deviation of what several seeds came to, as of a sample of all seeds."""
    return stdev(means) if len(means) > 1 else None
