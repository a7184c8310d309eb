"""Many means at once: drawing images anew for each of thousands of numbers would take minutes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from evaluation.results.intervals import Floats, bootstraps, wilson
from evaluation.results.summary import Estimate, Measure, Results, numbered


def estimates(
    found: Mapping[Measure, Floats], images: Sequence[str], *, differ: bool
) -> dict[Measure, Estimate]:
    """As `estimate`, of many measures of some edits at once, of which `images` gives the images.

    What is known of the same edits is drawn together. Differences are no shares.
    """
    groups: dict[bytes, list[Measure]] = {}
    for of, its in found.items():
        groups.setdefault(np.isnan(its).tobytes(), []).append(of)
    done: dict[Measure, Estimate] = {}
    for group in groups.values():
        known: list[int] = np.flatnonzero(~np.isnan(found[group[0]])).tolist()
        if known:
            places = numbered([images[place] for place in known])
            counts: Floats = np.bincount(places).astype(np.float64)
            sums: Floats = np.array([np.bincount(places, found[of][known]) for of in group])
            done.update(zip(group, _estimates(group, sums, counts, len(known), differ=differ), strict=True))
    return {of: done[of] for of in found if of in done}


def _estimates(
    group: Sequence[Measure], sums: Floats, counts: Floats, edits: int, *, differ: bool
) -> Iterator[Estimate]:
    drawn = [place for place, of in enumerate(group) if differ or not of.percent]
    intervals = dict(zip(drawn, bootstraps(sums[drawn], counts, 0), strict=True)) if drawn else {}
    for place, of_one in enumerate(sums):
        low, high = intervals[place] if place in intervals else wilson(of_one, counts)
        yield Estimate(float(of_one.sum() / counts.sum()), low, high, edits, len(counts))


def differences(one: Results, other: Results) -> dict[Measure, Estimate]:
    """How much higher the first is, by measure, over the edits that both have."""
    places = {result.id: place for place, result in enumerate(other.outlines)}
    mine = [place for place, result in enumerate(one.outlines) if result.id in places]
    its = [places[one.outlines[place].id] for place in mine]
    found = {
        of: of_one[mine] - other.scores[of][its] for of, of_one in one.scores.items() if of in other.scores
    }
    return estimates(found, [one.outlines[place].image_id for place in mine], differ=True)
