"""From the results of edits to means with intervals, and to differences between methods.

A mean is over edits; an edit with several items of a kind counts with their mean. Intervals are over images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.data.probes import KINDS, Kind
from evaluation.protocols.metrics import METRICS, Protocol
from evaluation.results.intervals import bootstrap, wilson
from evaluation.results.records import CaseResult, ProbeResult
from mmedit_build.rows import Task

Near = Literal["far", "near", "same_image", "same_question"]
"""Which locality items; near are those on the edit's image and those with its question."""
RELATIONS: tuple[Near, ...] = ("far", "near", "same_image", "same_question")


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of a method: a score of one kind of probe."""

    protocol: Protocol
    kind: Kind
    metric: str
    relation: Near | None = None

    @property
    def percent(self) -> bool:
        return METRICS[self.protocol][self.metric].percent


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval, and of how many edits and images."""

    mean: float
    low: float
    high: float
    edits: int
    images: int


def values(results: Sequence[CaseResult], measure: Measure) -> dict[str, float]:
    """The value of each edit that has it, by id."""
    found: dict[str, float] = {}
    for result in results:
        scores = [
            probe.scores[measure.protocol][measure.metric]
            for probe in result.probes
            if probe.kind == measure.kind
            and measure.relation in _relations(probe)
            and measure.metric in probe.scores.get(measure.protocol, {})
        ]
        if scores:
            found[result.id] = sum(scores) / len(scores)
    return found


def all_values(results: Sequence[CaseResult]) -> dict[Measure, dict[str, float]]:
    """The values of all measures that there are, in the order of protocols, kinds, relations and metrics.

    One pass over the results, where one for each measure takes minutes for thousands of edits.
    """
    found: dict[tuple[Protocol, Kind, str, Near | None], dict[str, list[float]]] = {}
    for result in results:
        for probe in result.probes:
            for relation in _relations(probe):
                for protocol, scores in probe.scores.items():
                    for metric, score in scores.items():
                        of = found.setdefault((protocol, probe.kind, metric, relation), {})
                        of.setdefault(result.id, []).append(score)
    means = {
        Measure(*place): {name: sum(scores) / len(scores) for name, scores in of.items()}
        for place, of in found.items()
    }
    return {measure: means[measure] for measure in sorted(means, key=_order)}


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


def difference(
    one: Mapping[str, float], other: Mapping[str, float], images: Mapping[str, str], *, seed: int = 0
) -> Estimate | None:
    """How much higher the first is, over the edits that both have."""
    return estimate({name: one[name] - other[name] for name in one if name in other}, images, seed=seed)


def count_skipped(results: Sequence[CaseResult]) -> dict[str, int]:
    """How many edits were skipped for each reason."""
    reasons: dict[str, int] = {}
    for result in results:
        if result.skipped is not None:
            reasons[result.skipped] = reasons.get(result.skipped, 0) + 1
    return reasons


def images_of(results: Sequence[CaseResult]) -> dict[str, str]:
    """The image of each edit."""
    return {result.id: result.image_id for result in results}


def by_question_type(results: Sequence[CaseResult]) -> dict[str, list[CaseResult]]:
    """The results of each type of question, in alphabetical order."""
    types = sorted({result.question_type for result in results})
    return {name: [result for result in results if result.question_type == name] for name in types}


def headline(task: Task, protocol: Protocol) -> dict[str, Measure]:
    """The columns of the main table, by title: locality is that of far items where nothing else is said."""
    edit, far = _HEADLINE[task, protocol]
    text, image = far
    return {
        "Rel": Measure(protocol, "reliability", edit),
        "T-Gen": Measure(protocol, "text_generality", edit),
        "I-Gen": Measure(protocol, "image_generality", edit),
        "T-Loc": Measure(protocol, "text_locality", text, "far"),
        "I-Loc": Measure(protocol, "image_locality", image, "far"),
        "I-Loc near": Measure(protocol, "image_locality", image, "near"),
    }


_HEADLINE: dict[tuple[Task, Protocol], tuple[str, tuple[str, str]]] = {
    ("vqa", "legacy"): ("exact_match", ("top1", "top10")),
    ("caption", "legacy"): ("exact_match", ("top1", "top10")),
    ("vqa", "wild"): ("match", ("unchanged", "unchanged")),
    ("caption", "wild"): ("consensus", ("unchanged", "unchanged")),
}


def _order(of: Measure) -> tuple[int, ...]:
    metrics = [*METRICS[of.protocol]]
    place = RELATIONS.index(of.relation) if of.relation else -1
    return [*METRICS].index(of.protocol), KINDS.index(of.kind), place, metrics.index(of.metric)


def _relations(probe: ProbeResult) -> tuple[Near | None, ...]:
    """Under which relations a probe counts."""
    return (probe.relation,) if probe.relation in (None, "far") else (probe.relation, "near")


def _by_image(
    found: Mapping[str, float], images: Mapping[str, str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of the values of each image."""
    numbers: dict[str, int] = {}
    places = [numbers.setdefault(images[name], len(numbers)) for name in found]
    sums = np.bincount(places, weights=list(found.values())).astype(np.float64)
    return sums, np.bincount(places).astype(np.float64)
