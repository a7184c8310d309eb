"""How far people agree: Krippendorff's alpha and Cohen's kappa of nominal answers, with intervals over rows.

Answers about one row are drawn together when intervals are made, as they are not independent. Both measures
are made of sums over what was judged, so thousands of samples of rows are one product of matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
DRAWS = 2000
_SEED = 0

Floats = NDArray[np.float64]
Labels = Sequence[Hashable | None]
"""What each person says about one thing; None where one says nothing."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with the interval that holds it with 95% confidence."""

    value: float
    low: float
    high: float


def alpha(things: Sequence[Labels], rows: Sequence[Hashable]) -> Estimate | None:
    """Krippendorff's alpha for nominal data with missing values; None where fewer than two people judged the
    same, or all answers are one.

    `rows` says to which row each thing belongs. Of what n people judged, with n_c answers of each sort c,
    there are sum(n_c n_k) / (n - 1) disagreements, for all pairs of different sorts.
    """
    sorts = _sorts(things)
    counts = np.array([[labels.count(sort) for sort in sorts] for labels in map(list, things)], dtype=float)
    if not sorts:
        return None
    several = counts.sum(axis=1) > 1
    counts, kept = counts[several], [row for row, holds in zip(rows, several, strict=True) if holds]
    judged = counts.sum(axis=1)
    disagreements = (judged**2 - (counts**2).sum(axis=1)) / (judged - 1)
    return _estimate(np.column_stack([disagreements, counts]), kept, _alpha)


def kappa(pairs: Sequence[tuple[Hashable, Hashable]], rows: Sequence[Hashable]) -> Estimate | None:
    """Cohen's kappa of two people about what both judged; None where there is nothing, or both always say the
    same one thing."""
    sorts = _sorts(pairs)
    if not sorts:
        return None
    one, other = (
        np.array([[pair[place] == sort for sort in sorts] for pair in pairs], dtype=float) for place in (0, 1)
    )
    alike = (one * other).sum(axis=1)
    return _estimate(np.column_stack([alike, one, other]), rows, _kappa)


def _alpha(sums: Floats) -> Floats:
    """By line: the disagreements that there are, as a share of those that lots would make, taken from one."""
    disagreements, counts = sums[:, 0], sums[:, 1:]
    total = counts.sum(axis=1)
    by_lot: Floats = (total**2 - (counts**2).sum(axis=1)) / (total - 1)
    return 1 - disagreements / by_lot


def _kappa(sums: Floats) -> Floats:
    """By line: how much more often two agree than lots would, as a share of the most there could be."""
    alike, (one, other) = sums[:, 0], np.split(sums[:, 1:], 2, axis=1)
    total = one.sum(axis=1)
    by_lot: Floats = (one * other).sum(axis=1) / total**2
    found: Floats = (alike / total - by_lot) / (1 - by_lot)
    return found


def _estimate(sums: Floats, rows: Sequence[Hashable], measure: Callable[[Floats], Floats]) -> Estimate | None:
    """The measure of all, and percentiles of those of samples of rows; samples in which all answers are one
    have none, and are left out."""
    by_row = _by_row(sums, rows)
    number = len(by_row)
    if not number:
        return None
    times = np.random.default_rng(_SEED).multinomial(number, np.full(number, 1 / number), size=DRAWS)
    with np.errstate(divide="ignore", invalid="ignore"):
        (value,) = measure(by_row.sum(axis=0, keepdims=True))
        samples = measure(times @ by_row)
    samples = samples[np.isfinite(samples)]
    if not np.isfinite(value) or not len(samples):
        return None
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(value), float(low), float(high))


def _by_row(sums: Floats, rows: Sequence[Hashable]) -> Floats:
    places = {row: place for place, row in enumerate(dict.fromkeys(rows))}
    added = np.zeros((len(places), sums.shape[1]))
    np.add.at(added, [places[row] for row in rows], sums)
    return added


def _sorts(things: Sequence[Sequence[Any]]) -> list[Any]:
    return list(dict.fromkeys(label for labels in things for label in labels if label is not None))
