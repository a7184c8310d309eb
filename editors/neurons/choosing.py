"""Which neurons a fact is taken to lie in, from how much of its answer each of them is due to.

Rules of Dai et al., "Knowledge Neurons in Pretrained Transformers" (arXiv 2104.08696): for each form of the
prompt the neurons whose score is high, of these the ones that the forms agree on, and of these only those
that do not turn up in fact after fact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from torch import Tensor

Kind = Literal["share", "fixed", "percentile"]
"""What a threshold is of: the highest score, the scores themselves, or their ranks in percent."""
Agreement = Literal["more", "enough"]
"""How many forms have to agree: more than a share of them, or that share of them and three at least."""
Place = tuple[int, int]
"""A neuron (layer, number)."""

START, STEP = 0.7, 0.05
"""Where the search for the share starts, and how far it goes at a time."""
FEW, MANY = 2, 5
"""How many neurons shall remain on average."""
LEAST = 3
"""How many forms are enough at least."""


def coarse(scores: Tensor, threshold: float, kind: Kind) -> set[Place]:
    """The neurons (layer, number) whose score lies above a threshold, strictly: scores (layers, neurons)."""
    limit: float | Tensor = threshold
    if kind == "share":
        limit = threshold * scores.max()
    elif kind == "percentile":
        limit = scores.flatten().quantile(threshold / 100)
    return {(int(layer), int(number)) for layer, number in (scores > limit).nonzero()}


def refined(sets: Sequence[set[Place]], share: float, agreement: Agreement = "more") -> list[Place]:
    """The neurons that are in so large a share of the sets, each once and in order."""
    counts = Counter(place for found in sets for place in found)
    if agreement == "more":
        return sorted(place for place, count in counts.items() if count > share * len(sets))
    # Rounded, as 14 times 0.05 of ten is a little more than seven.
    enough = max(round(share * len(sets), 6), LEAST)
    return sorted(place for place, count in counts.items() if count >= enough)


def share_leaving(found: Sequence[Sequence[set[Place]]], agreement: Agreement = "more") -> float:
    """The share that leaves a few neurons of each fact on average, going from START one way or the other."""

    def left(tick: int) -> float:
        return fmean([len(refined(sets, tick * STEP, agreement)) for sets in found] or [FEW])

    tick, last = round(START / STEP), round(1 / STEP) - 1
    while left(tick) < FEW and tick > 0:
        tick -= 1
    while left(tick) > MANY and tick < last and left(tick + 1) >= FEW:
        tick += 1
    return tick * STEP


def common(found: Sequence[Sequence[Place]], share: float) -> list[Place]:
    """The neurons that more than this share of the facts have, in order."""
    counts = Counter(place for places in found for place in set(places))
    return sorted(place for place, count in counts.items() if count > share * len(found))
