"""Image locality by how near the items lie to their edits, as the dataset tells.

Cosines of two encoders mean different things, so bins are not fixed: items whose question, or image, is the
edit's, or is not told from it by the encoder, are a bin of their own, and the others are cut into four parts
of as many items each, by the cosines of all edits. Numbers are means over edits, as everywhere: an edit
counts with the mean of its items in a bin.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.results.records import CaseResult, ProbeResult
from evaluation.results.summary import Estimate, estimate, images_of, outlines
from mmedit_build.rows import TASKS

Axis = Literal["question", "image"]
AXES: tuple[Axis, ...] = ("question", "image")
PARTS = 4
SAME = 0.9999
"""Cosines from here on are 1 but for rounding: of a thing with itself, or with what is encoded alike."""
ENDS = re.compile(r"(-?\d+\.\d+(?:e-\d+)?):(-?\d+\.\d+(?:e-\d+)?)")
"""Of a bin, in a key."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Items whose cosines lie between two numbers, which are cosines of such items themselves."""

    low: float
    high: float
    items: int

    @property
    def title(self) -> str:
        return "same" if self.low >= SAME else f"{self.low:z.2f} to {self.high:z.2f}"

    @property
    def least(self) -> str:
        """The title where there is little room."""
        return "same" if self.low >= SAME else f"{self.low:z.2f}"

    def holds(self, cosine: float) -> bool:
        return self.low <= cosine <= self.high


class Near(NamedTuple):
    """The score of the items in a bin, as addresses name it among the measures."""

    protocol: ProtocolName
    metric: str
    axis: Axis
    low: float
    high: float

    @property
    def key(self) -> str:
        return f"{self.protocol}.image_locality.{self.metric}.{self.axis}:{self.low!r}:{self.high!r}"

    @classmethod
    def of_key(cls, key: str) -> Near | None:
        """What a key names; None if that is another measure."""
        for protocol, axis, task in product(PROTOCOLS, AXES, TASKS):
            metric = PROTOCOLS[protocol].main(task, "image_locality")
            start = cls(protocol, metric, axis, 0.0, 0.0).key.removesuffix("0.0:0.0")
            if key.startswith(start) and (ends := ENDS.fullmatch(key, len(start))):
                return cls(protocol, metric, axis, *map(float, ends.groups()))
        return None

    def holds(self, probe: ProbeResult) -> bool:
        """Whether a probe is one of the items."""
        cosine = _cosine(probe, self.axis) if probe.kind == "image_locality" else None
        return cosine is not None and self.low <= cosine <= self.high


def bins(results: Sequence[CaseResult], axis: Axis) -> list[Bin]:
    """The bins of all items of some edits, the nearest first; none where no cosines are known.

    Equal cosines are never parted, so parts may differ in size, or be fewer.
    """
    found = sorted(one for of in outlines(results) for _, one in _items(of, axis))
    same = [one for one in found if one >= SAME]
    others = found[: len(found) - len(same)]
    lows = sorted({others[len(others) * part // PARTS] for part in range(PARTS)}) if others else []
    parts = [
        [one for one in others if low <= one < above]
        for low, above in zip(lows, [*lows, SAME][1:], strict=True)
    ]
    return [Bin(part[0], part[-1], len(part)) for part in (same, *reversed(parts)) if part]


def in_bin(
    results: Sequence[CaseResult], protocol: ProtocolName, metric: str, axis: Axis, of: Bin
) -> Estimate | None:
    """The mean of a score, which is a share, over the edits that have items in a bin."""
    found: dict[str, float] = {}
    for result in outlines(results):
        scores = [
            probe.scores[protocol][metric]
            for probe, cosine in _items(result, axis)
            if of.holds(cosine) and metric in probe.scores.get(protocol, {})
        ]
        if scores:
            found[result.id] = sum(scores) / len(scores)
    return estimate(found, images_of(results), share=True)


def _items(result: CaseResult, axis: Axis) -> list[tuple[ProbeResult, float]]:
    """The items of image locality whose cosine is known, with it."""
    known = [(probe, _cosine(probe, axis)) for probe in result.probes if probe.kind == "image_locality"]
    return [(probe, cosine) for probe, cosine in known if cosine is not None]


def _cosine(probe: ProbeResult, axis: Axis) -> float | None:
    return probe.text_cosine if axis == "question" else probe.image_cosine
