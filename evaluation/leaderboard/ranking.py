"""Which of several methods is better, and how sure that is.

The score is the harmonic mean of three shares: reliability; generality, the mean of text and image; and
locality, that near the edit where the dataset has such items. Whoever changes nothing, or everything, has 0.
Images are drawn with replacement, the same ones for all methods. One is ahead of another if 97.5% of the
draws say so; a method's rank is one more than the number of those ahead of it, so what cannot be told apart
shares a rank. Its interval is that of its places in the draws.

An edit that a method skipped leaves the model as it was, and counts with what the unedited model gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.protocols.base import ProtocolName
from evaluation.results.intervals import LEVEL, Floats, Interval, draws
from evaluation.results.records import CaseResult
from evaluation.results.summary import Measure, Results, headline, numbered
from mmedit_build.rows import Task

GENERALITY = ("T-Gen", "I-Gen")
LOCALITY = ("I-Loc near", "I-Loc")
"""The first that there is counts."""
EXACT = 1e-12


@dataclass(frozen=True, slots=True)
class Rank:
    """Where a method stands."""

    score: float
    interval: Interval
    place: int
    """One more than the number of methods that are ahead."""
    tied: bool
    """Whether others share the place."""
    places: tuple[int, int]
    """The interval of its place."""


def counted(results: Results, base: Results) -> Results:
    """The results with those of the unedited model where a method skipped an edit."""
    if all(result.scored for result in results):
        return results
    known: Mapping[str, CaseResult] = {result.id: result for result in base}
    return Results(result if result.scored else known[result.id] for result in results)


def columns(task: Task, protocol: ProtocolName, rows: Sequence[Results]) -> dict[str, Measure]:
    """The headline measures that all the rows have."""
    return {
        title: of
        for title, of in headline(task, protocol).items()
        if rows and all(of in row.scores for row in rows)
    }


def parts(known: Mapping[str, Measure]) -> dict[str, tuple[Measure, ...]]:
    """What the score is made of; nothing without one of its three parts."""
    generality = tuple(known[title] for title in GENERALITY if title in known)
    locality = tuple(known[title] for title in LOCALITY if title in known)[:1]
    found = {
        "reliability": (known["Rel"],) if "Rel" in known else (),
        "generality": generality,
        "locality": locality,
    }
    return found if all(found.values()) else {}


def ranked(rows: Sequence[Results], of: Mapping[str, tuple[Measure, ...]]) -> list[Rank]:
    """The ranks of rows of the same edits, in their order."""
    images = numbered([result.image_id for result in rows[0]])
    number = max(images) + 1
    once = np.ones((1, number))
    times = draws(number, 0).astype(np.float64)
    scores = np.array([_scores(row, of, images, once)[0] for row in rows])
    drawn = np.array([_scores(row, of, images, times) for row in rows])
    ahead = _ahead(drawn)
    places = 1 + ahead.sum(axis=0)
    each = 1 + (drawn[:, None] > drawn[None] + EXACT).sum(axis=0)
    edges = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(drawn, edges, axis=1)
    best, worst = np.quantile(each, edges, axis=1, method="nearest")
    return [
        Rank(
            score=float(scores[row]),
            interval=(float(low[row]), float(high[row])),
            place=int(places[row]),
            tied=bool((places == places[row]).sum() > 1),
            places=(int(best[row]), int(worst[row])),
        )
        for row in range(len(rows))
    ]


def _ahead(drawn: Floats) -> NDArray[np.bool_]:
    """Of each two rows, whether the first is ahead of the second."""
    better = (drawn[:, None] > drawn[None] + EXACT).mean(axis=2)
    found: NDArray[np.bool_] = better >= (1 + LEVEL) / 2
    return found


def _scores(
    row: Results, of: Mapping[str, tuple[Measure, ...]], images: Sequence[int], times: Floats
) -> Floats:
    """The score of a row in each draw."""
    shares = np.array(
        [np.mean([_means(row.scores[one], images, times) for one in some], axis=0) for some in of.values()]
    )
    nothing = (shares <= 0).any(axis=0)
    safe = np.where(shares > 0, shares, 1.0)
    found: Floats = np.where(nothing, 0.0, len(shares) / (1 / safe).sum(axis=0))
    return found


def _means(values: Floats, images: Sequence[int], times: Floats) -> Floats:
    """The mean of a measure in each draw; 0 in the rare one that draws no image with such a probe."""
    known = ~np.isnan(values)
    places, number = np.array(images)[known], times.shape[1]
    sums = times @ np.bincount(places, values[known], minlength=number)
    counts = times @ np.bincount(places, minlength=number)
    found: Floats = np.divide(sums, counts, out=np.zeros(len(times)), where=counts > 0)
    return found
