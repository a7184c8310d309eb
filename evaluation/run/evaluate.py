"""An experiment from end to end: load, learn, judge every edit under every method, write results."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from editors import editor_class, load_editor
from editors.base import Editor, Learner, TrainEdit
from editors.fitting import Fit, ensure_fitted
from editors.keys import model_key
from evaluation.data.cases import Case
from evaluation.data.dataset import digest, load_cases
from evaluation.data.holdout import split_by_image
from evaluation.data.miniature import ensure_built
from evaluation.data.pictures import check_there
from evaluation.data.probes import train_edit
from evaluation.results.about import Witness
from evaluation.results.records import CaseResult, ResultFolder, RunResult, read_results
from evaluation.results.summary import count_skipped
from evaluation.run.attempts import Attempts
from evaluation.run.base_outputs import BaseOutputs, folder_of
from evaluation.run.batch import check_along, check_batch, check_dealt, run_batches
from evaluation.run.experiment import UNEDITED, Experiment, Method
from evaluation.run.headers import in_words, new_header, with_fit
from evaluation.run.judging import Judging
from evaluation.run.peak import peak, reset_peak
from evaluation.run.scoring import Scorer
from evaluation.run.single import run
from evaluation.run.telling import tell
from mmedit_build.checkpoints import locate
from mmedit_build.console import Advance, log_to
from mmedit_build.errors import shortened
from mmedit_build.mllm import MLLM
from mmedit_build.rows import TASKS, Task
from mmedit_build.store import IDLE, check_writable, sweep

SMALL = 10**8
"""Parameters of a model whose steps are so short that a second thread only makes them wait for each other."""
THREADS = "OMP_NUM_THREADS"
"""Where users say how many threads they want."""
LOG = "log.txt"
"""Of what was done, in the folder of the results."""
logger = logging.getLogger(__name__)
Progress = Callable[[str, int | None], AbstractContextManager[Advance]]


def load_editors(experiment: Experiment) -> dict[str, Editor]:
    """The editors of the methods; mistakes in their names and options are told before any work."""
    return {name: _editor(name, method, experiment.seed) for name, method in experiment.methods.items()}


def _editor(name: str, method: Method, seed: int) -> Editor:
    """An editor that draws by this seed, if it draws at all and its options name no seed of its own."""
    editor = method.editor or name
    drawing = {"seed": seed} if "seed" in editor_class(editor).Config.model_fields else {}
    return load_editor(editor, drawing | method.options)


def evaluate(experiment: Experiment, progress: Progress) -> list[Path]:
    """Run the experiment, or go on with it; the folders of its results, the unedited model's first.

    A method that cannot run is told at the end, when the others have their results.
    """
    editors = load_editors(experiment)
    check_writable(experiment.out)
    ensure_built(experiment.dataset)
    cases = load_cases(experiment.dataset, experiment.task, experiment.split, experiment.images)
    check_there(experiment.dataset, [case.image for case in cases])
    mllm = load_model(experiment)
    attempts = Attempts[Path]()
    of_task = {task: [case for case in cases if case.task == task] for task in TASKS}
    benches = [Bench(experiment, mllm, task, found, progress) for task, found in of_task.items() if found]
    # Nothing is written before it is known what is refused: such a command leaves all as it was.
    accepted = [(bench, bench.accepted(editors, attempts)) for bench in benches]
    judged = [(bench, wanted) for bench, wanted in accepted if wanted or not editors]
    if judged:
        _sweep(experiment)
        with log_to(experiment.out / LOG):
            for bench, wanted in judged:
                _judge_all(bench, editors, wanted, attempts)
    attempts.check()
    return attempts.done


def _sweep(experiment: Experiment) -> None:
    """Remove what commands that were killed left half written; others may be at work in the same folders."""
    folders = [experiment.cache / name for name in ("unedited", "fitted")]
    for folder in (*folders, *(experiment.out / task for task in TASKS)):
        sweep(folder, idle=IDLE)
    # What else lies in this folder is the user's, so no look is taken deeper into it.
    sweep(experiment.out, idle=IDLE, deep=False)


def _judge_all(
    bench: Bench,
    editors: Mapping[str, Editor],
    wanted: Sequence[tuple[str, int]],
    attempts: Attempts[Path],
) -> None:
    """The unedited model and the methods, each with so many edits at once, on one task."""
    attempts.done.append(bench.unedited())
    for name, at_once in wanted:
        with attempts.at(name, bench.task):
            attempts.done.append(bench.judge(name, editors[name], at_once))


def fit(experiment: Experiment, progress: Progress) -> list[Fit]:
    """Let the experiment's methods learn what they have not learned yet."""
    editors = load_editors(experiment)
    ensure_built(experiment.dataset)
    train = load_cases(experiment.dataset, experiment.task, "train", experiment.images)
    mllm = load_model(experiment)
    attempts = Attempts[Fit]()
    for task in dict.fromkeys(case.task for case in train):
        bench = Bench(experiment, mllm, task, [], progress)
        for name, editor in editors.items():
            with attempts.at(name, task):
                done = bench.fit(name, editor)
                attempts.done += [] if done is None else [done]
    attempts.check()
    return attempts.done


def load_model(experiment: Experiment) -> MLLM:
    """The experiment's model, unedited."""
    mllm = MLLM.load(
        locate(experiment.model),
        revision=experiment.revision,
        device=experiment.device,
        dtype=experiment.dtype,
        template=experiment.rendering,
        image_processor=experiment.image_processor,
    )
    size = sum(parameter.numel() for parameter in mllm.model.parameters())
    if size < SMALL and THREADS not in os.environ:
        torch.set_num_threads(1)
    return mllm


@dataclass
class Bench:
    """One task of an experiment, ready for any method."""

    experiment: Experiment
    mllm: MLLM
    task: Task
    cases: Sequence[Case]
    """All of the split, of which the experiment may want only the first."""
    progress: Progress

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
        )
        probes = judging.asked_unedited(self.wanted)
        with self.progress(f"{self.task}: asking the unedited model", len(probes)) as advance:
            judging.base.complete(
                self.mllm,
                probes,
                write=judging.writes,
                batch_size=experiment.batch_size,
                advance=advance,
            )
        return judging

    @cached_property
    def train(self) -> tuple[list[TrainEdit], list[TrainEdit]]:
        """What editors learn from, and what of it they are validated on."""
        experiment = self.experiment
        cases = load_cases(experiment.dataset, self.task, "train", experiment.images)
        train, validation = split_by_image(cases, experiment.holdout)
        return self._train_edits(train), self._train_edits(validation)

    def _train_edits(self, cases: Sequence[Case]) -> list[TrainEdit]:
        return [train_edit(case, self.mllm, self.experiment.prompts) for case in cases]

    def accepted(self, editors: Mapping[str, Editor], attempts: Attempts[Path]) -> list[tuple[str, int]]:
        """The methods, with how many edits at once, whose results may be added to what stands there."""
        folder, new = self._run(UNEDITED)
        folder.check(new.settings)
        accepted: list[tuple[str, int]] = []
        for name, editor in editors.items():
            for at_once in self.sizes:
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

    @property
    def sizes(self) -> list[int]:
        """How many edits are made at once in each run of a method; never more than there are."""
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
        header = new_header(
            self.experiment,
            self.task,
            name,
            {} if editor is None else editor.config.model_dump(mode="json"),
            mllm=self.mllm,
            digests=(self._model_digest, self.digest),
            at_once=at_once,
        )
        return ResultFolder(self.experiment.out / self.task / header.settings.name), header

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
