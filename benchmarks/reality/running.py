"""The runner of `mmedit-eval` on facts, which also measures what papers on language models report besides."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.reality.fluency import Beside, measure
from editors.base import Editor, Grouping, Lift, Patch
from evaluation.data.cases import Case
from evaluation.results.lines import Lines
from evaluation.results.records import CaseResult
from evaluation.run.bench import Bench
from evaluation.run.experiment import UNEDITED
from evaluation.run.judging import Judging, Planned
from evaluation.run.orders import Give, Order

_BESIDE = TypeAdapter(Beside)


class Kept:
    """What was measured besides, a file for each method; of each edit the last line counts."""

    def __init__(self, folder: Path, method: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lines = Lines(folder / f"{method}.jsonl", _BESIDE, "measure")
        self.known = {one.id: one for one in self._lines.begin()}

    def add(self, one: Beside) -> None:
        self.known[one.id] = one
        self._lines.add(one)


@dataclass(frozen=True, kw_only=True)
class Watching(Judging):
    """Judging that measures under each patch before its probes are put."""

    kept: Kept

    def patch(self, editor: Editor, cases: Sequence[Case]) -> tuple[Patch, float]:
        patch, seconds = Judging.patch(self, editor, cases)
        (case,) = cases
        # Whatever is there: it may be of results that were deleted since, under other options.
        self.kept.add(measure(self.mllm, patch, case))
        return patch, seconds

    def plan_each(self, editor: Grouping, cases: Sequence[Case], lift: Lift) -> list[Planned]:
        planned = Judging.plan_each(self, editor, cases, lift)
        for one in planned:
            self.kept.add(measure(self.mllm, one.patch, one.case))
        return planned


@dataclass
class FactBench(Bench):
    """Facts, edited one at a time by one method after the other."""

    method: str = UNEDITED

    def kept(self) -> Kept:
        return Kept(self.experiment.out / "beside", self.method)

    def measure_unedited(self) -> None:
        """The same of no edit, where the targets are as unlikely as they are."""
        kept = self.kept()
        for case in self.wanted:
            if case.id not in kept.known:
                kept.add(measure(self.mllm, None, case))

    def judge(
        self, name: str, cases: Sequence[Case], known: Collection[str], at_once: int, give: Give
    ) -> None:
        self.method = name
        super().judge(name, cases, known, at_once, give)

    def _results(
        self, judging: Judging, editor: Editor, cases: Sequence[Case], known: Collection[str], at_once: int
    ) -> Iterator[CaseResult]:
        given = {one.name: getattr(judging, one.name) for one in fields(Judging)}
        return super()._results(Watching(**given, kept=self.kept()), editor, cases, known, at_once)


@dataclass(frozen=True)
class AtBench:
    """This process as the worker, with the model that it has."""

    bench: FactBench

    def devices(self) -> Sequence[str]:
        return ()

    def open(self) -> None:
        """All is there."""

    def __call__(self, task: Order, give: Give) -> None:
        task.done(self.bench, give)
