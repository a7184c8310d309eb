"""What is dealt to workers that hold the model, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from evaluation.data.cases import Case
from evaluation.data.dataset import load_cases
from evaluation.run.asking import Portion, ask_unedited
from evaluation.run.bars import telling
from evaluation.run.bench import Bench
from evaluation.run.experiment import Experiment
from evaluation.run.loading import load_editors, load_model
from evaluation.run.served import ServedBench, open_served
from mmedit_build.console import silent
from mmedit_build.mllm import MLLM
from mmedit_build.recipe import Endpoint
from mmedit_build.rows import Task

Give = Callable[[Any], None]


class Order(Protocol):
    """Something to do on the bench of a task."""

    @property
    def task(self) -> Task: ...

    def done(self, bench: Bench, give: Give) -> None:
        """Do it, and give what comes of it."""


@dataclass(frozen=True, slots=True)
class Describe:
    """Give what results note of the model."""

    task: Task

    def done(self, bench: Bench, give: Give) -> None:
        give(bench.facts)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Give of how many probes there is something to know, and the portions of those not known."""

    task: Task

    def done(self, bench: Bench, give: Give) -> None:
        give(bench.unknown())


@dataclass(frozen=True, slots=True)
class Ask:
    """Have the unedited model asked, and give of how many probes: its outputs are kept on disk."""

    task: Task
    portion: Portion
    shared: tuple[str, ...]
    """The methods that go on from where it was asked."""

    def done(self, bench: Bench, give: Give) -> None:
        bench.share(self.shared)
        cases, keys = _cases(bench, self.portion.ids), self.portion.keys
        if cases:
            ask_unedited(bench.judging, cases, frozenset(keys), lambda _: None)
        else:
            bench.ask_unedited([bench.asked[key] for key in keys])
        give(len(keys))


@dataclass(frozen=True, slots=True)
class Leave:
    """Give the results of no edit at all."""

    task: Task
    ids: Sequence[str]

    def done(self, bench: Bench, give: Give) -> None:
        for result in bench.unedited(_cases(bench, self.ids)):
            give(result)


@dataclass(frozen=True, slots=True)
class Learn:
    """Give what a method learned, with how it went before."""

    task: Task
    method: str

    def done(self, bench: Bench, give: Give) -> None:
        bench.progress = partial(telling, give)
        try:
            give(bench.fit(self.method, bench.editors[self.method]))
        finally:
            bench.progress = silent


@dataclass(frozen=True, slots=True)
class Judge:
    """Give the results of edits that are judged together, but for those of known ids."""

    task: Task
    method: str
    at_once: int
    ids: Sequence[str]
    known: frozenset[str]
    shared: tuple[str, ...]
    """The methods that go on from the same states."""

    def done(self, bench: Bench, give: Give) -> None:
        bench.share(self.shared)
        bench.judge(self.method, _cases(bench, self.ids), self.known, self.at_once, give)


def _cases(bench: Bench, ids: Sequence[str]) -> list[Case]:
    by_id = {case.id: case for case in bench.wanted}
    return [by_id[one] for one in ids]


class Judges:
    """Workers of an experiment: each loads its model, and does what it is ordered to."""

    def __init__(self, experiment: Experiment, cases: Sequence[Case] | None = None) -> None:
        self.experiment = experiment
        self._cases = cases
        self._editors = load_editors(experiment)
        self._benches: dict[Task, Bench] = {}
        self._mllm: MLLM

    def __reduce__(self) -> tuple[type[Judges], tuple[Experiment]]:
        # Workers elsewhere read the dataset themselves, which may hold all its images.
        return type(self), (self.experiment,)

    def devices(self) -> Sequence[str]:
        return (self.experiment.device,)

    def open(self) -> None:
        experiment = self.experiment
        if self._cases is None:
            self._cases = load_cases(experiment.dataset, experiment.task, experiment.split, experiment.images)
        served = isinstance(experiment.model, Endpoint)
        self._mllm = open_served(experiment) if served else load_model(experiment)

    def __call__(self, task: Order, give: Give) -> None:
        task.done(self._of(task.task), give)

    def _of(self, task: Task) -> Bench:
        if task not in self._benches:
            cases = [case for case in self._cases or () if case.task == task]
            self._benches[task] = self.bench(task, cases)
        return self._benches[task]

    def bench(self, task: Task, cases: Sequence[Case]) -> Bench:
        """Where the edits of a task are judged."""
        kind = ServedBench if isinstance(self.experiment.model, Endpoint) else Bench
        return kind(self.experiment, self._mllm, task, cases, silent, self._editors)
