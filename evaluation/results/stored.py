"""Results that stay in their file: numbers are kept of them, and texts are read where they are shown."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from sys import intern
from typing import overload

import numpy as np

from evaluation.data.cases import Kind
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import metric
from evaluation.results.intervals import Floats
from evaluation.results.lines import Lines
from evaluation.results.records import CaseResult, ProbeResult, RunResult, read_header, result_lines
from evaluation.results.summary import Measure, Place, Results, by_order, case_values, together


def stored_results(folder: Path) -> tuple[RunResult, StoredResults]:
    """Header and results of a folder, whether its run is finished or not."""
    lines = result_lines(folder)
    gathered = Gathered()
    places: dict[str, int] = {}
    for place, result in lines.scan():
        places[result.id] = place
        gathered.add(result)
    return read_header(folder), StoredResults(lines, list(places.values()), gathered)


class Summed(Results):
    """Results that went by, of which only numbers are kept: asked for one, it gives what is left of it."""

    def __init__(self, gathered: Gathered) -> None:
        super().__init__(gathered.cases)
        self._gathered = gathered

    @classmethod
    def of(cls, results: Iterable[CaseResult]) -> Summed:
        gathered = Gathered()
        for result in results:
            gathered.add(result)
        return Summed(gathered)

    @cached_property
    def scores(self) -> dict[Measure, Floats]:
        return self._gathered.scores()

    @cached_property
    def probes(self) -> Sequence[int]:
        return self._gathered.probes

    @cached_property
    def kinds(self) -> Sequence[Kind]:
        return list(self._gathered.kinds)

    def part(self, places: Sequence[int]) -> Results:
        return Summed(self._gathered.part(places))


class StoredResults(Summed):
    """The results of a folder, each read anew whenever it is asked for."""

    def __init__(self, lines: Lines[CaseResult], places: Sequence[int], gathered: Gathered) -> None:
        super().__init__(gathered)
        self._lines, self._places = lines, places

    def __iter__(self) -> Iterator[CaseResult]:
        return self._lines.some(self._places)

    @overload
    def __getitem__(self, place: int) -> CaseResult: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[CaseResult]: ...

    def __getitem__(self, place: int | slice) -> CaseResult | Sequence[CaseResult]:
        if isinstance(place, slice):
            return list(self._lines.some(self._places[place]))
        return self._lines.at(self._places[place])

    def part(self, places: Sequence[int]) -> Results:
        return StoredResults(
            self._lines, [self._places[place] for place in places], self._gathered.part(places)
        )


class Gathered:
    """What is kept of results that go by. Where lines were joined by hand, the last of each edit counts."""

    def __init__(self) -> None:
        self.cases: list[CaseResult] = []
        self.probes: list[int] = []
        self.kinds: dict[Kind, None] = {}
        self._rows: dict[str, int] = {}
        self.values: dict[Place, array[float]] = {}

    def add(self, result: CaseResult) -> None:
        row = self._rows.setdefault(result.id, len(self.cases))
        self.cases[row : row + 1] = [_outline(result)]
        self.probes[row : row + 1] = [len(result.probes)]
        self.kinds.update(dict.fromkeys(probe.kind for probe in result.probes))
        values = case_values(result)
        for place in values.keys() - self.values.keys():
            self.values[place] = array("d")
        for place, column in self.values.items():
            # Edits before the first of this kind, and those without any, have no value.
            column.extend([np.nan] * (row + 1 - len(column)))
            column[row] = values.get(place, np.nan)

    def scores(self) -> dict[Measure, Floats]:
        """When all went by: the columns themselves, not copies."""
        found = {Measure(*place): np.frombuffer(column) for place, column in self.values.items()}
        return by_order({of: column for of, column in found.items() if not np.isnan(column).all()})

    def part(self, rows: Sequence[int]) -> Gathered:
        part = Gathered()
        part.cases, part.probes = [self.cases[row] for row in rows], [self.probes[row] for row in rows]
        part.kinds = self.kinds
        part.values = {
            place: array("d", [column[row] for row in rows]) for place, column in self.values.items()
        }
        return part


def averaged(runs: Sequence[Sequence[CaseResult]]) -> Summed:
    """Runs that differ in their seeds alone as one: the edits that all have, with the means of their values.

    A value that one of the runs lacks is left out. Probes are those of all runs, whose means are wanted, too.
    """
    all_ = [together(one) for one in runs]
    rows = [{result.id: row for row, result in enumerate(one.outlines)} for one in all_]
    shared = [[of[name] for of in rows] for name in rows[0] if all(name in of for of in rows)]
    gathered = Gathered()
    for places in shared:
        first, *others = (one.outlines[row] for one, row in zip(all_, places, strict=True))
        probes = (*first.probes, *(probe for other in others for probe in other.probes))
        gathered.cases.append(replace(first, probes=probes))
    gathered.probes = [all_[0].probes[first] for first, *_ in shared]
    gathered.kinds = dict.fromkeys(all_[0].kinds)
    columns = np.array(shared, dtype=int).reshape(len(shared), len(all_)).T
    for of in all_[0].scores:
        if all(of in one.scores for one in all_):
            found = [one.scores[of][column] for one, column in zip(all_, columns, strict=True)]
            place = (of.protocol, of.kind, of.metric, of.relation)
            gathered.values[place] = array("d", np.mean(found, axis=0))
    return Summed(gathered)


def _outline(result: CaseResult) -> CaseResult:
    near = [
        probe
        for probe in result.probes
        if probe.kind == "image_locality" and (probe.text_cosine, probe.image_cosine) != (None, None)
    ]
    return replace(
        result,
        # One text for all methods.
        id=intern(result.id),
        image_id=intern(result.image_id),
        question_type=intern(result.question_type),
        question="",
        target="",
        probes=tuple(map(_near, near)),
    )


def _near(probe: ProbeResult) -> ProbeResult:
    """What `distances` goes by: how near it lies, and those of its scores that are shares."""
    shares = tuple(
        (protocol, tuple((name, score) for name, score in of.items() if metric(protocol, name).percent))
        for protocol, of in probe.scores.items()
    )
    return ProbeResult(
        kind=probe.kind,
        relation=probe.relation,
        text_cosine=probe.text_cosine,
        image_cosine=probe.image_cosine,
        prompt="",
        target="",
        before=None,
        after=None,
        log_prob_before=None,
        log_prob_after=None,
        target_tokens=0,
        written_tokens=0,
        scores=_scores(shares),
    )


@lru_cache(maxsize=4096)
def _scores(
    shares: tuple[tuple[ProtocolName, tuple[tuple[str, float], ...]], ...],
) -> dict[ProtocolName, dict[str, float]]:
    """Equal ones are one object: most are 0 or 1."""
    return {protocol: dict(of) for protocol, of in shares}
