"""One task of an experiment where its edits are judged: in the process that holds the model."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from editors.base import Editor, Learner, TrainEdit
from editors.fitting import Fit, ensure_fitted
from editors.keys import model_key
from evaluation.data.cases import Case
from evaluation.data.dataset import digest, load_cases
from evaluation.data.holdout import split_by_image
from evaluation.data.probes import Asked, train_edit
from evaluation.results.records import CaseResult
from evaluation.run.asking import Portion, unknown
from evaluation.run.bars import Progress
from evaluation.run.base_outputs import BaseOutputs, folder_of, key_of
from evaluation.run.batch import run_batches
from evaluation.run.experiment import Experiment
from evaluation.run.headers import Facts
from evaluation.run.judging import Judging
from evaluation.run.lifting import States, shared_layer
from evaluation.run.peak import peak, reset_peak
from evaluation.run.room import room
from evaluation.run.scoring import Scorer
from evaluation.run.single import run
from evaluation.run.streams.fixed import FixedSet
from evaluation.run.telling import tell
from evaluation.run.witness import Witness
from mmedit_build.mllm import MLLM
from mmedit_build.rows import Split, Task
from mmedit_build.storage.addresses import own_place


@dataclass(frozen=True, slots=True)
class Effort:
    """What judging some edits took."""

    peak_bytes: int
    peak_of: Any
    vision_passes: int
    layer_passes: int


@dataclass
class Bench:
    """One task of an experiment, ready for any method."""

    experiment: Experiment
    mllm: MLLM
    task: Task
    cases: Sequence[Case]
    """All of the split, of which the experiment may want only the first."""
    progress: Progress
    editors: Mapping[str, Editor] = field(default_factory=dict)
    """By the names of the methods that are judged."""
    fixed: FixedSet | None = None
    """What streams ask besides edits, once it is made."""
    states: States = field(default_factory=States, kw_only=True)
    """What the methods hand on to each other."""
    _shared: tuple[str, ...] = ()
    _ready: set[str] = field(default_factory=set)
    """The methods that have learned and were told what they can be told."""

    @property
    def wanted(self) -> Sequence[Case]:
        return self.cases[: self.experiment.limit]

    @cached_property
    def digest(self) -> str:
        return digest(self.cases)

    @cached_property
    def facts(self) -> Facts:
        """What results note of the model."""
        device = ", ".join(map(str, self.mllm.devices))
        dtype = str(self.mllm.dtype).removeprefix("torch.")
        return Facts(model_key(self.mllm), self.digest, device, dtype, torch.get_num_threads())

    @cached_property
    def judging(self) -> Judging:
        """What all methods share."""
        experiment = self.experiment
        folder = folder_of(experiment.cache, self.mllm, self.digest)
        # In a place of their own, as all datasets of a model may share images.
        features = own_place(experiment.cache / "features")
        self.mllm.keep_features(features / model_key(self.mllm)[:16])
        return Judging(
            mllm=self.mllm,
            base=BaseOutputs.open(folder),
            scorer=Scorer(self.cases, experiment.protocols),
            prompts=experiment.prompts,
            batch_size=experiment.batch_size,
            seed=experiment.seed,
            states=self.states,
        )

    @cached_property
    def asked(self) -> dict[str, Asked]:
        """All that the unedited model is asked, by the keys of its outputs."""
        return {key_of(probe): probe for probe in self.judging.asked_unedited(self.wanted)}

    def share(self, methods: tuple[str, ...]) -> None:
        """Keep the states from which these methods go on, as far as there is room."""
        if methods != self._shared:
            self._shared = methods
            editors = [self.editors[name] for name in methods]
            self.states.keep(shared_layer(editors, self.mllm), room(self.mllm.device))

    def unknown(self) -> tuple[int, list[Portion]]:
        """Of how many probes the unedited model is asked, and the portions of those not known."""
        return len(self.asked), unknown(self.judging, self.wanted)

    def ask_unedited(self, probes: Sequence[Asked]) -> None:
        """Have the unedited model asked what it was not asked before, here or by other workers."""
        judging = self.judging
        if not judging.base.knows(probes):
            judging.base.reread()
        # What failed here fails again.
        new = [probe for probe in probes if key_of(probe) not in judging.base.failed]
        judging.ask_unedited(new, lambda _: None)

    def unedited(self, cases: Sequence[Case]) -> Iterator[CaseResult]:
        """The results of no edit at all."""
        self.ask_unedited(self.judging.asked_unedited(cases))
        yield from map(self.judging.unedited, cases)

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

    def fit(self, name: str, editor: Editor) -> Fit | None:
        """Let an editor learn, or take up what it learned; None if it does not learn."""
        if not isinstance(editor, Learner):
            return None
        steps, of = editor.steps(self.train[0]), self.experiment.methods[name].editor or name
        with self.progress(f"{self.task}: {name} learns", steps) as advance:
            return ensure_fitted(
                of, editor, self.mllm, self.train, cache=self.experiment.cache / "fitted", advance=advance
            )

    def ready(self, name: str) -> Editor:
        """The editor of a method, once it has learned and knows what it is to be told."""
        editor = self.editors[name]
        if name not in self._ready:
            self.fit(name, editor)
            tell(editor, self.judging, self.wanted)
            self._ready.add(name)
        return editor

    def judge(
        self,
        name: str,
        cases: Sequence[Case],
        known: Collection[str],
        at_once: int,
        give: Callable[[Any], None],
    ) -> None:
        """Give the results of some edits that are judged together, but for those of known ids, and before
        them what is known of the method, as often as more is known; at last, what it took."""
        self.ask_unedited(self.judging.asked_unedited(cases))
        editor, mllm = self.ready(name), self.mllm
        witness = Witness.of(editor, mllm)
        told, counts = None, replace(mllm.counts)
        reset_peak(mllm.devices)
        judging = replace(self.judging, seen=witness.see)
        with _settled():
            for result in self._results(judging, editor, cases, known, at_once):
                if told != witness.about:
                    give(told := witness.about)
                give(result)
        vision, layers = mllm.counts.vision - counts.vision, mllm.counts.layers - counts.layers
        give(Effort(*peak(mllm.devices), vision, layers))

    def _results(
        self, judging: Judging, editor: Editor, cases: Sequence[Case], known: Collection[str], at_once: int
    ) -> Iterator[CaseResult]:
        if at_once > 1:
            return run_batches(judging, editor, cases, at_once, known)
        return run(judging, editor, cases, known)


@contextmanager
def _settled() -> Iterator[None]:
    """Inside, no garbage is looked for in what is there by now: going through all of the libraries and the
    model takes as long as judging several edits of a small one."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
