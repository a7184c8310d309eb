"""What an evaluation would do, and what of it is there: nothing is run, and no model is loaded.

How long the rest takes is told by what is there of the same run; of a run that has not begun nobody knows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from editors.base import Editor
from editors.served import check_asking
from evaluation.data.cases import Case
from evaluation.data.dataset import digest, load_cases
from evaluation.results.differences import differences
from evaluation.results.records import HEADER, CaseResult, RunResult, read_header, read_results
from evaluation.results.streams import STREAM, read_stream
from evaluation.run.batch import check_along, check_batch
from evaluation.run.experiment import UNEDITED, Experiment
from evaluation.run.headers import Facts, new_header
from evaluation.run.loading import load_editors
from evaluation.run.runs import sizes
from evaluation.run.served import check_served, expected, is_unanswered
from evaluation.run.streams.plan import Plan
from evaluation.run.streams.runs import check_streams, place_of
from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint
from mmedit_build.rows import TASKS, Task
from mmedit_build.services.served.cost import Estimate


@dataclass(frozen=True, slots=True)
class Outlook:
    """One run: of a method with so many edits at once, or its streams, with one seed."""

    task: Task
    name: str
    seed: int
    wanted: int
    """Edits; of streams, those of all orders."""
    there: int = 0
    seconds: float | None = None
    """Of each edit that is there; None if that is not known."""
    refused: str = ""
    """Why the run would be refused, if it would."""
    alone: bool = False
    """Whether edits are made one by one and taken off again, so that a few of them can be had first."""
    asks: Estimate | None = None
    """What a served model is asked for what is left, at most; None of one in this process."""

    @property
    def left(self) -> int:
        return 0 if self.refused else self.wanted - self.there

    @property
    def time(self) -> float | None:
        """Seconds that are left; None if nobody knows."""
        if not self.left:
            return 0.0
        return None if self.seconds is None else self.left * self.seconds


def outlooks(experiment: Experiment) -> list[Outlook]:
    """All runs of an experiment in their order."""
    check_served(experiment)
    cases = load_cases(experiment.dataset, experiment.task, experiment.split, experiment.images)
    of_task = {task: [case for case in cases if case.task == task] for task in TASKS}
    return [
        outlook
        for one in experiment.of_each_seed()
        for task, found in of_task.items()
        if found
        for outlook in _Task(one, task, found).outlooks(load_editors(one))
    ]


@dataclass(frozen=True, slots=True)
class _Task:
    experiment: Experiment
    task: Task
    cases: Sequence[Case]

    @property
    def wanted(self) -> Sequence[Case]:
        return self.cases[: self.experiment.limit]

    def outlooks(self, editors: Mapping[str, Editor]) -> Iterator[Outlook]:
        yield self._single(UNEDITED, {}, 1)
        for name, editor in editors.items():
            config = editor.config.model_dump(mode="json")
            if self.experiment.stream:
                yield self._stream(name, editor, config)
            else:
                for at_once in sizes(self.experiment, editor, len(self.wanted)):
                    yield self._at_once(name, editor, config, at_once)

    def _at_once(self, name: str, editor: Editor, config: dict[str, object], at_once: int) -> Outlook:
        try:
            if isinstance(self.experiment.model, Endpoint):
                check_asking(editor)
            check_batch(editor, at_once)
            check_along(editor, self.wanted)
        except UserError as error:
            return self._outlook(name, refused=str(error))
        return self._single(name, config, at_once)

    def _single(self, name: str, config: dict[str, object], at_once: int) -> Outlook:
        header = self._header(name, config, at_once)
        folder = self.experiment.out / self.task / header.settings.name
        if (folder / HEADER).exists():
            earlier, results = read_results(folder)
            refused = _otherwise(folder, earlier, header)
        else:
            results, refused = [], ""
        there = {one.id for one in results if not is_unanswered(one)}
        left = [case for case in self.wanted if case.id not in there]
        model = self.experiment.model
        return Outlook(
            self.task,
            header.settings.name,
            self.experiment.seed,
            len(self.wanted),
            len(self.wanted) - len(left),
            _each(results),
            refused,
            alone=at_once == 1,
            asks=expected(model, left, unedited=name == UNEDITED) if isinstance(model, Endpoint) else None,
        )

    def _stream(self, name: str, editor: Editor, config: dict[str, object]) -> Outlook:
        plan = Plan(self.experiment, self.wanted)
        try:
            check_streams(editor)
            check_along(editor, plan.dealt.streamed)
        except UserError as error:
            return self._outlook(name, refused=str(error))
        edits = sum(chain.last for chain in plan.chains)
        header = self._header(name, config, 1)
        preset = plan.preset or ""
        settings = replace(header.settings, stream=len(plan.dealt.streamed), preset=preset)
        folder = self.experiment.out / self.task / place_of(preset) / settings.name
        if not (folder / STREAM).exists():
            return self._outlook(name, edits)
        _, done, online = read_stream(folder)
        known = {(one.order, one.edits) for one in done}
        finished = all((chain.order, number) in known for chain in plan.chains for number in chain.asked)
        ends = {chain.order: chain.last for chain in plan.chains}
        made = sum(one.position < ends.get(one.order, 0) for one in online)
        there = edits if finished else min(made, edits - 1)
        refused = _otherwise(folder, read_header(folder, STREAM), replace(header, settings=settings))
        return self._outlook(name, edits, there, _each([one.result for one in online]), refused)

    def _header(self, name: str, config: dict[str, object], at_once: int) -> RunResult:
        facts = Facts("", digest(self.cases), "", "", 0)
        return new_header(self.experiment, self.task, name, config, facts=facts, at_once=at_once)

    def _outlook(
        self,
        name: str,
        wanted: int = 0,
        there: int = 0,
        seconds: float | None = None,
        refused: str = "",
    ) -> Outlook:
        return Outlook(self.task, name, self.experiment.seed, wanted, there, seconds, refused)


def _each(results: Sequence[CaseResult]) -> float | None:
    """Seconds of an edit that was judged; of the unedited model, whose answers are kept elsewhere, none."""
    scored = [one for one in results if one.scored]
    if not scored:
        return None
    return sum(one.plan_seconds + one.probe_seconds for one in scored) / len(scored) or None


def _otherwise(folder: Path, earlier: RunResult, now: RunResult) -> str:
    """In what the results that are there differ; the model is not compared, as that takes its weights."""
    before = replace(earlier.settings, model="", model_digest="")
    settings = replace(now.settings, model="", model_digest="")
    for name, was, wanted in differences(asdict(before), asdict(settings)):
        return f"{folder} holds results of other settings: {name} was {was} and is now {wanted}"
    return ""
