"""How an audit counts: each measure has a judge, which says of one sample how much it found there.

Counts of a split are sums over its samples. What a sample is compared with, such as the samples of the other
split, is handed over once for the whole split.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mmedit_build.audit.samples import Item, Sample
from mmedit_build.formats.rows import Hop
from mmedit_build.scoring.words import plain

Kind = Literal["never", "fault", "number"]
"""What a build of ours must not have; what makes a row doubtful; what only describes a dataset."""
Judge = Callable[[Sample], tuple[int, int]]
"""How many parts of a sample were found, and how many were looked at."""
Briefing = Callable[[Sequence[Sample], Sequence[Sample]], Judge]
"""Makes the judge for the samples of one split, given these and those of the other split of the same task."""
Keys = Callable[[Sample], Sequence[Hashable]]


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is counted in each split of each task."""

    name: str
    kind: Kind
    title: str
    definition: str
    briefing: Briefing


def rows(found: Callable[[Sample], bool], among: Callable[[Sample], bool] = lambda _: True) -> Briefing:
    """Counts samples, among those that the measure is about."""

    def judge(sample: Sample) -> tuple[int, int]:
        looked = among(sample)
        return int(looked and found(sample)), int(looked)

    return lambda _these, _others: judge


def items(found: Callable[[Sample, Item], bool], among: Callable[[Sample], Iterable[Item]]) -> Briefing:
    """Counts locality items."""

    def judge(sample: Sample) -> tuple[int, int]:
        looked = list(among(sample))
        return sum(found(sample, item) for item in looked), len(looked)

    return lambda _these, _others: judge


def hops(found: Callable[[Hop], bool]) -> Briefing:
    """Counts questions of portability."""

    def judge(sample: Sample) -> tuple[int, int]:
        return sum(map(found, sample.hops)), len(sample.hops)

    return lambda _these, _others: judge


def one_target(these: Sequence[Sample], _others: Sequence[Sample]) -> Judge:
    """Counts the samples whose question always has their target, among those whose question is asked where
    different things were predicted."""
    predictions: dict[str, set[str]] = {}
    targets: dict[str, set[str]] = {}
    for sample in these:
        if sample.task == "vqa" and sample.prediction:
            question = plain(sample.question)
            predictions.setdefault(question, set()).add(plain(sample.prediction))
            targets.setdefault(question, set()).add(plain(sample.target))

    def judge(sample: Sample) -> tuple[int, int]:
        question = plain(sample.question)
        looked = len(predictions.get(question, ())) > 1
        return int(looked and len(targets[question]) == 1), int(looked)

    return judge


def shared(keys: Keys, with_keys: Keys | None = None) -> Briefing:
    """Counts what the other split has too; without another split nothing is looked at."""

    def briefing(_these: Sequence[Sample], others: Sequence[Sample]) -> Judge:
        there = {key for sample in others for key in (with_keys or keys)(sample)}

        def judge(sample: Sample) -> tuple[int, int]:
            here = keys(sample) if others else []
            return sum(key in there for key in here), len(here)

        return judge

    return briefing


def unless_constant(keys: Keys, briefing: Briefing) -> Briefing:
    """Looks at nothing if all samples of both splits have one and the same key."""

    def checked(these: Sequence[Sample], others: Sequence[Sample]) -> Judge:
        different = {key for sample in (*these, *others) for key in keys(sample)}
        return briefing(these, others) if len(different) > 1 else lambda _: (0, 0)

    return checked


def constant(keys: Keys) -> Briefing:
    """Counts all samples if they have one and the same key, and none if not."""

    def briefing(these: Sequence[Sample], _others: Sequence[Sample]) -> Judge:
        same = len(these) > 1 and len({key for sample in these for key in keys(sample)}) == 1
        return lambda _: (int(same), 1)

    return briefing


def distinct(keys: Keys) -> Briefing:
    """Counts each key once."""

    def briefing(_these: Sequence[Sample], _others: Sequence[Sample]) -> Judge:
        seen: set[Hashable] = set()

        def judge(sample: Sample) -> tuple[int, int]:
            here = keys(sample)
            new = set(here) - seen
            seen.update(new)
            return len(new), len(here)

        return judge

    return briefing
