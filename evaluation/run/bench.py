"""One task of an experiment: its edits, the model, and the results of each method."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from editors.base import Editor, Learner, TrainEdit, Whole
from editors.fitting import Fit, ensure_fitted
from editors.keys import model_key
from evaluation.data.cases import Case
from evaluation.data.dataset import digest, load_cases
from evaluation.data.holdout import split_by_image
from evaluation.data.probes import Asked, train_edit
from evaluation.results.about import Witness
from evaluation.results.records import CaseResult, ResultFolder, RunResult, read_results
from evaluation.results.summary import count_skipped
from evaluation.run.asking import ask_unedited
from evaluation.run.attempts import Attempts
from evaluation.run.base_outputs import BaseOutputs, folder_of
from evaluation.run.batch import check_along, check_batch, check_dealt, run_batches
from evaluation.run.experiment import UNEDITED, Experiment
from evaluation.run.headers import in_words, new_header, with_fit
from evaluation.run.judging import Judging
from evaluation.run.lifting import States
from evaluation.run.peak import peak, reset_peak
from evaluation.run.scoring import Scorer
from evaluation.run.single import run
from evaluation.run.telling import tell
from mmedit_build.console import Advance
from mmedit_build.errors import shortened
from mmedit_build.mllm import MLLM
from mmedit_build.rows import Split, Task

logger = logging.getLogger(__name__)
Progress = Callable[[str, int | None], AbstractContextManager[Advance]]


@dataclass
class Bench:
    """One task of an experiment, ready for any method."""

    experiment: Experiment
    mllm: MLLM
    task: Task
    cases: Sequence[Case]
    """All of the split, of which the experiment may want only the first."""
    progress: Progress
    states: States = field(default_factory=States, kw_only=True)
    """What the methods hand on to each other."""

    @property
    def wanted(self) -> Sequence[Case]:
        return self.cases[: self.experiment.limit]

    @cached_property
    def digest(self) -> str:
        return digest(self.cases)

    @cached_property
    def judging(self) -> Judging:
        """What all methods share; the unedited model is asked when it is first needed."""
        experiment = self.experiment
        judging = Judging(
            mllm=self.mllm,
            base=BaseOutputs.open(folder_of(experiment.cache, self.mllm, self.digest)),
            scorer=Scorer(self.cases, experiment.protocols),
            prompts=experiment.prompts,
            batch_size=experiment.batch_size,
            seed=experiment.seed,
            states=self.states,
        )
        probes = judging.asked_unedited(self.wanted)
        with self._asking(len(probes)) as advance:
            ask_unedited(judging, self.wanted, advance)
        return judging

    def ask_unedited(self, probes: Sequence[Asked]) -> None:
        """Have the unedited model asked of what no edit that is judged asks."""
        judging = self.judging
        with self._asking(len(probes)) as advance:
            judging.ask_unedited(probes, advance)

    def _asking(self, number: int) -> AbstractContextManager[Advance]:
        return self.progress(f"{self.task}: asking the unedited model", number)

    def of_split(self, split: Split) -> list[Case]:
        """The edits of this task in a split."""
        return load_cases(self.experiment.dataset, self.task, split, self.experiment.images)

    @cached_property
    def train(self) -> tuple[list[TrainEdit], list[TrainEdit]]:
        """What editors learn from, and what of it they are validated on."""
        experiment = self.experiment
        train, validation = split_by_image(self.of_split("train"), experiment.holdout)
        return self._train_edits(train), self._train_edits(validation)

    def _train_edits(self, cases: Sequence[Case]) -> list[TrainEdit]:
        return [train_edit(case, self.mllm, self.experiment.prompts) for case in cases]

    def accepted(self, editors: Mapping[str, Editor], attempts: Attempts[Path]) -> list[tuple[str, int]]:
        """The methods, with how many edits at once, whose results may be added to what stands there."""
        folder, new = self._run(UNEDITED)
        folder.check(new.settings)
        accepted: list[tuple[str, int]] = []
        for name, editor in editors.items():
            for at_once in self.sizes(editor):
                with attempts.at(name, self.task):
                    check_batch(editor, at_once)
                    check_along(editor, self.wanted)
                    folder, new = self._run(name, editor, at_once)
                    check_dealt(self.wanted, at_once, folder.check(new.settings))
                    accepted.append((name, at_once))
        return accepted

    def unedited(self) -> Path:
        """The row of no edit at all."""
        folder, new = self._run(UNEDITED)
        with folder.locked():
            header, results = folder.begin(new)
            known = {result.id for result in results}
            missing = [case for case in self.wanted if case.id not in known]
            if missing:
                header = folder.resume(header)
            for case in missing:
                folder.add(self.judging.unedited(case))
            self._end(folder, header)
        return folder.folder

    def sizes(self, editor: Editor) -> list[int]:
        """How many edits are made at once in each run of a method; never more than there are."""
        if isinstance(editor, Whole):
            return [len(self.wanted)]
        return list(dict.fromkeys(min(number, len(self.wanted)) for number in self.experiment.at_once))

    def judge(self, name: str, editor: Editor, at_once: int = 1) -> Path:
        """The results of a method with so many edits at once, as far as they are not there yet."""
        folder, new = self._run(name, editor, at_once)
        with folder.locked():
            header, results = folder.begin(new)
            check_dealt(self.wanted, at_once, results)
            known = {result.id for result in results}
            if any(case.id not in known for case in self.wanted):
                header = with_fit(header, self.fit(name, editor), folder.folder)
                header = self._judge(editor, known, folder, folder.resume(header))
            self._end(folder, header)
        return folder.folder

    def fit(self, name: str, editor: Editor) -> Fit | None:
        """Let an editor learn, or take up what it learned; None if it does not learn."""
        if not isinstance(editor, Learner):
            return None
        steps, of = editor.steps(self.train[0]), self.experiment.methods[name].editor or name
        with self.progress(f"{self.task}: {name} learns", steps) as advance:
            return ensure_fitted(
                of, editor, self.mllm, self.train, cache=self.experiment.cache / "fitted", advance=advance
            )

    def _judge(
        self, editor: Editor, known: Collection[str], folder: ResultFolder, header: RunResult
    ) -> RunResult:
        tell(editor, self.judging, self.wanted)
        witness = Witness.of(editor, self.mllm, header.about)
        judging = replace(self.judging, seen=witness.see)
        reset_peak(self.mllm.devices)
        counts = replace(self.mllm.counts)
        with self.progress(
            f"{self.task}: {in_words(header.settings, len(self.wanted))}", len(self.wanted)
        ) as advance:
            advance(sum(case.id in known for case in self.wanted))
            for result in self._results(judging, editor, known, header.settings.at_once):
                if header.about != witness.about:
                    header = replace(header, about=witness.about)
                    folder.write_header(header)
                folder.add(result)
                if result.skipped is not None:
                    reason = shortened(result.skipped)
                    logger.warning("%s: %s skipped: %s", header.settings.name, result.id, reason)
                advance(1, "" if result.scored else "some skipped")
        size, of = peak(self.mllm.devices)
        return replace(
            header,
            peak_bytes=max(size, header.peak_bytes),
            peak_of=of,
            vision_passes=header.vision_passes + self.mllm.counts.vision - counts.vision,
            layer_passes=header.layer_passes + self.mllm.counts.layers - counts.layers,
        )

    def _results(
        self, judging: Judging, editor: Editor, known: Collection[str], at_once: int
    ) -> Iterator[CaseResult]:
        if at_once > 1:
            return run_batches(judging, editor, self.wanted, at_once, known)
        return run(judging, editor, self.wanted, known)

    def _run(
        self, name: str, editor: Editor | None = None, at_once: int = 1
    ) -> tuple[ResultFolder, RunResult]:
        """Where the results of a method are, and the header that they begin with."""
        header = self.header(name, editor, at_once)
        return ResultFolder(self.experiment.out / self.task / header.settings.name), header

    def header(self, name: str, editor: Editor | None = None, at_once: int = 1) -> RunResult:
        """What results of a method begin with."""
        return new_header(
            self.experiment,
            self.task,
            name,
            {} if editor is None else editor.config.model_dump(mode="json"),
            mllm=self.mllm,
            digests=(self._model_digest, self.digest),
            at_once=at_once,
        )

    @cached_property
    def _model_digest(self) -> str:
        return model_key(self.mllm)

    def _end(self, folder: ResultFolder, header: RunResult) -> None:
        """Count what is there now."""
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
