"""The runs of an experiment on one task: what is there, what is dealt to workers, and what is written."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from editors.base import Editor, Learner, Whole
from editors.fitting import Fit
from editors.served import check_asking
from evaluation.data.cases import Case
from evaluation.results.about import About
from evaluation.results.records import CaseResult, ResultFolder, RunResult, read_results
from evaluation.results.summary import count_skipped
from evaluation.run.attempts import Attempts
from evaluation.run.bars import Bar, Progress
from evaluation.run.batch import check_along, check_batch, check_dealt, dealt
from evaluation.run.bench import Effort
from evaluation.run.experiment import UNEDITED, Experiment
from evaluation.run.headers import Facts, in_words, new_header, with_fit
from evaluation.run.orders import Ask, Describe, Judge, Learn, Leave, Order, Unknown
from evaluation.run.room import GROUP
from evaluation.run.served import is_unanswered
from mmedit_build.console import Advance
from mmedit_build.engine.base import Crew
from mmedit_build.errors import shortened
from mmedit_build.recipe import Endpoint
from mmedit_build.rows import Task

logger = logging.getLogger(__name__)


@dataclass
class Runs:
    """One task of an experiment, and the workers that do what is to be done of it."""

    experiment: Experiment
    task: Task
    cases: Sequence[Case]
    """All of the split, of which the experiment may want only the first."""
    editors: Mapping[str, Editor]
    crew: Crew
    progress: Progress
    shared: tuple[str, ...] = ()
    """The methods that go on from the same states, in which the unedited model is asked."""
    _asked: bool = False

    @property
    def wanted(self) -> Sequence[Case]:
        return self.cases[: self.experiment.limit]

    @cached_property
    def _facts(self) -> Facts:
        found: Facts = self._done(Describe(self.task))
        return found

    def _done(self, order: Order) -> Any:
        """What comes of an order at last, with a bar for what is told before."""
        given: list[Any] = []
        bar = Bar(self.progress)

        def take(_: int, one: Any) -> None:
            if not bar.take(one):
                given.append(one)

        try:
            self.crew.deal([order], take)
        finally:
            bar.end()
        return given[-1]

    def ask_unedited(self) -> None:
        """Have the unedited model asked whatever methods are compared with, once."""
        if self._asked:
            return
        total, portions = self._done(Unknown(self.task))
        orders = [Ask(self.task, portion, self.shared) for portion in portions]
        self._asked = True
        if not total:
            return
        with self.progress(f"{self.task}: asking the unedited model", total) as advance:
            advance(total - sum(len(portion.keys) for portion in portions))
            self.crew.deal(orders, lambda _, number: advance(number))

    def accepted(self, editors: Mapping[str, Editor], attempts: Attempts[Path]) -> list[tuple[str, int]]:
        """The methods, with how many edits at once, whose results may be added to what stands there."""
        folder, new = self._run(UNEDITED)
        folder.check(new.settings)
        accepted: list[tuple[str, int]] = []
        for name, editor in editors.items():
            for at_once in sizes(self.experiment, editor, len(self.wanted)):
                with attempts.at(name, self.task):
                    if isinstance(self.experiment.model, Endpoint):
                        check_asking(editor)
                    check_batch(editor, at_once)
                    check_along(editor, self.wanted)
                    folder, new = self._run(name, at_once)
                    check_dealt(self.wanted, at_once, folder.check(new.settings))
                    accepted.append((name, at_once))
        return accepted

    def unedited(self) -> Path:
        """The row of no edit at all."""
        folder, new = self._run(UNEDITED)
        with folder.locked():
            header, results = folder.begin(new)
            known = {result.id for result in results if not is_unanswered(result)}
            if any(case.id not in known for case in self.wanted):
                header = folder.resume(header)
                self.ask_unedited()
                gathered = Gathered(folder, header, known)
                missing = [case.id for case in self.wanted if case.id not in known]
                parts = [missing[start : start + GROUP] for start in range(0, len(missing), GROUP)]
                self.crew.deal([Leave(self.task, part) for part in parts], gathered.take)
            self._end(folder, header)
        return folder.folder

    def judge(self, name: str, at_once: int = 1) -> Path:
        """The results of a method with so many edits at once, as far as they are not there yet."""
        folder, new = self._run(name, at_once)
        with folder.locked():
            header, results = folder.begin(new)
            check_dealt(self.wanted, at_once, results)
            known = {result.id for result in results if not is_unanswered(result)}
            if any(case.id not in known for case in self.wanted):
                header = with_fit(header, self.fit(name), folder.folder)
                header = self._judge(name, known, folder, folder.resume(header))
            self._end(folder, header)
        return folder.folder

    def fit(self, name: str) -> Fit | None:
        """Let one worker learn a method; None if it does not learn."""
        if not isinstance(self.editors[name], Learner):
            return None
        fitted: Fit = self._done(Learn(self.task, name))
        return fitted

    def _judge(self, name: str, known: set[str], folder: ResultFolder, header: RunResult) -> RunResult:
        self.ask_unedited()
        at_once = header.settings.at_once
        parts = [[case.id for case in part] for part in dealt(self.wanted, at_once if at_once > 1 else GROUP)]
        orders = [
            Judge(self.task, name, at_once, ids, frozenset(known.intersection(ids)), self.shared)
            for ids in parts
            if not known.issuperset(ids)
        ]
        label = f"{self.task}: {in_words(header.settings, len(self.wanted))}"
        with self.progress(label, len(self.wanted)) as advance:
            advance(sum(case.id in known for case in self.wanted))
            gathered = Gathered(folder, header, known, advance)
            self.crew.deal(orders, gathered.take)
        return gathered.header

    def _run(self, name: str, at_once: int = 1) -> tuple[ResultFolder, RunResult]:
        """Where the results of a method are, and the header that they begin with."""
        header = self.header(name, at_once)
        return ResultFolder(self.experiment.out / self.task / header.settings.name), header

    def header(self, name: str, at_once: int = 1) -> RunResult:
        """What results of a method begin with."""
        config = {} if name == UNEDITED else self.editors[name].config.model_dump(mode="json")
        return new_header(self.experiment, self.task, name, config, facts=self._facts, at_once=at_once)

    def _end(self, folder: ResultFolder, header: RunResult) -> None:
        """Count what is there now, in the order of the dataset."""
        folder.arrange([case.id for case in self.cases])
        results = read_results(folder.folder)[1]
        folder.write_header(
            replace(
                header,
                finished=True,
                edits=len(self.wanted),
                scored=sum(result.scored for result in results),
                skipped=count_skipped(results),
                seconds=sum(result.plan_seconds + result.probe_seconds for result in results),
            )
        )


def sizes(experiment: Experiment, editor: Editor, edits: int) -> list[int]:
    """How many of some edits are made at once in each run of a method; never more than there are."""
    if isinstance(editor, Whole):
        return [edits]
    return list(dict.fromkeys(min(number, edits) for number in experiment.at_once))


def _nothing(number: int, note: str = "") -> None:
    """Nobody looks."""


@dataclass
class Gathered:
    """Writes what workers give, each edit once: of a worker that died, some come again."""

    folder: ResultFolder
    header: RunResult
    known: set[str]
    advance: Advance = _nothing

    def take(self, _: int, given: CaseResult | About | Effort) -> None:
        if isinstance(given, CaseResult):
            self._add(given)
        elif isinstance(given, Effort):
            self.header = replace(
                self.header,
                peak_bytes=max(given.peak_bytes, self.header.peak_bytes),
                peak_of=given.peak_of,
                vision_passes=self.header.vision_passes + given.vision_passes,
                layer_passes=self.header.layer_passes + given.layer_passes,
            )
        else:
            about = given.with_what_was_known(self.header.about)
            if about != self.header.about:
                self.header = replace(self.header, about=about)
                self.folder.write_header(self.header)

    def _add(self, result: CaseResult) -> None:
        if result.id in self.known:
            return
        self.folder.add(result)
        self.known.add(result.id)
        if result.skipped is not None:
            reason = shortened(result.skipped)
            logger.warning("%s: %s skipped: %s", self.header.settings.name, result.id, reason)
        self.advance(1, "" if result.scored else "some skipped")
