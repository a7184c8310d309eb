"""From the results of edits to means with intervals, and to differences between methods.

A mean is over edits; an edit with several items of a kind counts with their mean. Intervals are over images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan
from typing import Literal, TypeVar, get_args, overload

import numpy as np
from numpy.typing import NDArray

from evaluation.data.cases import KINDS, LOCALITY, Kind, Relative, Steps
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS, metric
from evaluation.results.intervals import Floats, bootstrap, wilson
from evaluation.results.records import CaseResult, ProbeResult
from mmedit_build.rows import Task

KnownHop = Literal["1-hop known", "2-hop known", "3-hop known", "4-hop known"]
Group = Relative | Literal["near", "known"] | KnownHop
"""Which probes of a kind. Near are locality items on the edit's image and those with its question; known are
portability probes of which the unedited model knew what they build on."""
Place = tuple[ProtocolName, Kind, str, Group | None]
"""What a measure is made of."""
Value = TypeVar("Value")
HOPS: dict[Steps, KnownHop] = dict(zip(get_args(Steps), get_args(KnownHop), strict=True))
GROUPS: tuple[Group, ...] = (
    *("far", "near", "same_image", "same_question", "no_image", "similar_question"),
    *("near_right", "far_right", "near_wrong", "far_wrong"),
    *("known", *get_args(Steps), *get_args(KnownHop)),
    *("second", "composed"),
)


NEAR: tuple[Relative, ...] = ("same_image", "same_question")
"""Which near items the main table means, so that its numbers are the same whatever else a dataset has."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of a method: a score of one kind of probe."""

    protocol: ProtocolName
    kind: Kind
    metric: str
    relation: Group | None = None

    @property
    def percent(self) -> bool:
        return metric(self.protocol, self.metric).percent

    @property
    def key(self) -> str:
        """As addresses name it."""
        return f"{self.protocol}.{self.kind}.{self.metric}.{self.relation or ''}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval, and of how many edits and images."""

    mean: float
    low: float
    high: float
    edits: int
    images: int


class Results(Sequence[CaseResult]):
    """The results of a run, whose numbers are found once, in one pass, however often they are asked for."""

    def __init__(self, cases: Iterable[CaseResult]) -> None:
        self.outlines: Sequence[CaseResult] = tuple(cases)
        """Them, perhaps without texts, and of probes with no more than what tells locality by distance."""

    def __len__(self) -> int:
        return len(self.outlines)

    @overload
    def __getitem__(self, place: int) -> CaseResult: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[CaseResult]: ...

    def __getitem__(self, place: int | slice) -> CaseResult | Sequence[CaseResult]:
        return self.outlines[place]

    @cached_property
    def scores(self) -> dict[Measure, Floats]:
        """By measure, the value of each edit, in their order; NaN where it has none."""
        places = {result.id: place for place, result in enumerate(self)}
        found: dict[Measure, Floats] = {}
        for measure, of in all_values(self).items():
            found[measure] = np.full(len(self), np.nan)
            found[measure][[places[name] for name in of]] = list(of.values())
        return found

    @cached_property
    def by_type(self) -> dict[str, Results]:
        """Those of each type of question, in alphabetical order."""
        types: dict[str, list[int]] = {}
        for place, result in enumerate(self.outlines):
            types.setdefault(result.question_type, []).append(place)
        return {name: self.part(types[name]) for name in sorted(types)}

    @cached_property
    def probes(self) -> Sequence[int]:
        """How many each edit has."""
        return [len(result.probes) for result in self]

    @cached_property
    def kinds(self) -> Sequence[Kind]:
        """Of all probes, in the order in which they come up."""
        return list(dict.fromkeys(probe.kind for result in self for probe in result.probes))

    def part(self, places: Sequence[int]) -> Results:
        """Some of them."""
        return Results(self[place] for place in places)


def values(results: Sequence[CaseResult], measure: Measure) -> dict[str, float]:
    """The value of each edit that has it, by id."""
    if isinstance(results, Results):
        known = results.scores.get(measure)
        pairs = () if known is None else zip(results.outlines, known.tolist(), strict=True)
        return {result.id: value for result, value in pairs if not isnan(value)}
    found: dict[str, float] = {}
    for result in results:
        scores = [
            probe.scores[measure.protocol][measure.metric]
            for probe in result.probes
            if probe.kind == measure.kind
            and measure.relation in relations(probe)
            and measure.metric in probe.scores.get(measure.protocol, {})
        ]
        if scores:
            found[result.id] = sum(scores) / len(scores)
    return found


def all_values(results: Sequence[CaseResult]) -> dict[Measure, dict[str, float]]:
    """The values of all measures that there are, in the order of protocols, kinds, relations and metrics.

    One pass over the results, where one for each measure takes minutes for thousands of edits.
    """
    found: dict[Place, dict[str, float]] = {}
    for result in results:
        for place, value in case_values(result).items():
            found.setdefault(place, {})[result.id] = value
    return by_order({Measure(*place): of for place, of in found.items()})


def case_values(result: CaseResult) -> dict[Place, float]:
    """The values of one edit."""
    found: dict[Place, list[float]] = {}
    for probe in result.probes:
        for relation in relations(probe):
            for protocol, scores in probe.scores.items():
                for name, score in scores.items():
                    found.setdefault((protocol, probe.kind, name, relation), []).append(score)
    return {place: sum(scores) / len(scores) for place, scores in found.items()}


def by_order(found: Mapping[Measure, Value]) -> dict[Measure, Value]:
    """What is found of some measures, in the order of protocols, kinds, relations and metrics."""
    return {measure: found[measure] for measure in sorted(found, key=_order)}


def estimate(
    found: Mapping[str, float], images: Mapping[str, str], *, share: bool = False, seed: int = 0
) -> Estimate | None:
    """The mean of some edits' values; `images` gives the image of each edit. None of no edits.

    The values of a `share` lie between 0 and 1.
    """
    if not found:
        return None
    sums, counts = _by_image(found, images)
    low, high = wilson(sums, counts) if share else bootstrap(sums, counts, seed)
    return Estimate(float(sums.sum() / counts.sum()), low, high, len(found), len(sums))


def estimated(results: Sequence[CaseResult], measure: Measure) -> Estimate | None:
    """The mean of a measure."""
    return estimate(values(results, measure), images_of(results), share=measure.percent)


def count_skipped(results: Sequence[CaseResult]) -> dict[str, int]:
    """How many edits were skipped for each reason."""
    reasons: dict[str, int] = {}
    for result in outlines(results):
        if result.skipped is not None:
            reasons[result.skipped] = reasons.get(result.skipped, 0) + 1
    return reasons


def images_of(results: Sequence[CaseResult]) -> dict[str, str]:
    """The image of each edit."""
    return {result.id: result.image_id for result in outlines(results)}


def by_question_type(results: Sequence[CaseResult]) -> dict[str, Results]:
    """The results of each type of question, in alphabetical order."""
    return together(results).by_type


def outlines(results: Sequence[CaseResult]) -> Sequence[CaseResult]:
    """The results, perhaps without texts and probes: enough to tell ids, images, types and costs."""
    return results.outlines if isinstance(results, Results) else results


def together(results: Sequence[CaseResult]) -> Results:
    """Results whose numbers are remembered."""
    return results if isinstance(results, Results) else Results(results)


def headline(task: Task, protocol: ProtocolName) -> dict[str, Measure]:
    """The columns of the main table, by title: locality is that of far items where nothing else is said."""
    columns: dict[str, tuple[Kind, Group | None]] = {
        "Rel": ("reliability", None),
        "Rel second": ("reliability", "second"),
        "T-Gen": ("text_generality", None),
        "T-Gen near": ("text_generality", "same_image"),
        "T-Gen second": ("text_generality", "second"),
        "I-Gen": ("image_generality", None),
        "Port": ("portability", None),
        "Port known": ("portability", "known"),
        "Comp": ("portability", "composed"),
        "T-Loc": ("text_locality", "far"),
        "I-Loc": ("image_locality", "far"),
        "I-Loc near": ("image_locality", "near"),
    }
    judge = PROTOCOLS[protocol]
    return {
        title: Measure(protocol, kind, judge.main(task, kind), group)
        for title, (kind, group) in columns.items()
    }


def _order(of: Measure) -> tuple[int, ...]:
    metrics = [*PROTOCOLS[of.protocol].metrics]
    place = GROUPS.index(of.relation) if of.relation else -1
    return [*PROTOCOLS].index(of.protocol), KINDS.index(of.kind), place, metrics.index(of.metric)


def relations(probe: ProbeResult) -> tuple[Group | None, ...]:
    """Under which relations a probe counts."""
    if probe.kind in LOCALITY:
        return (probe.relation, "near") if probe.relation in NEAR else (probe.relation,)
    if probe.kind != "portability" or probe.relation == "composed":
        return (probe.relation,)
    known: tuple[Group, ...] = ("known",) if probe.known else ()
    if probe.relation not in HOPS:
        return (None, *known)
    return (None, probe.relation, *known, *((HOPS[probe.relation],) if probe.known else ()))


def _by_image(
    found: Mapping[str, float], images: Mapping[str, str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of the values of each image."""
    places = numbered([images[name] for name in found])
    sums = np.bincount(places, weights=list(found.values())).astype(np.float64)
    return sums, np.bincount(places).astype(np.float64)


def numbered(images: Sequence[str]) -> list[int]:
    """Images as numbers, in the order in which they come up."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(image, len(numbers)) for image in images]
