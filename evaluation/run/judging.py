"""What judging one edit takes, whichever way its queries are computed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from editors.base import Editor, Grouping, Lift, Model, Patch
from editors.growing import Made, grow
from evaluation.data.cases import Case, Prompts
from evaluation.data.probes import Asked, ask_all, edit_of, edits_of, with_premise
from evaluation.protocols.output import Output
from evaluation.results.records import CaseResult, ProbeResult
from evaluation.run.base_outputs import BaseOutputs, Lifting, vocabulary
from evaluation.run.lifting import Lifted, States
from evaluation.run.outputs import Measure
from evaluation.run.scoring import Scorer
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query

FAULTS = (UserError, ArithmeticError, LinAlgError)
"""What may go wrong with a single edit. A want of memory is no edit's fault: it ends the method."""


@dataclass(slots=True)
class Clock:
    """The seconds that a block took, once it has ended."""

    seconds: float = 0.0


@dataclass(slots=True)
class Planned:
    """A case on its way to its result."""

    case: Case
    probes: list[Asked]
    patch: Patch
    plan_seconds: float
    before: list[Output] = field(default_factory=list)
    after: list[Output] = field(default_factory=list)
    probe_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """Everything but the method."""

    mllm: MLLM
    base: BaseOutputs
    scorer: Scorer
    prompts: Prompts = "family"
    batch_size: int = 32
    seed: int = 0
    """Of what editors draw from torch's own generator; those of the project have a seed of their own."""
    seen: Callable[[Patch], None] | None = None
    """Shown each patch that is planned."""
    states: States = field(default_factory=States)
    """What the methods hand on to each other."""

    @property
    def measure(self) -> Measure:
        protocols = self.scorer.protocols
        return Measure(
            vocabulary(self.mllm),
            everywhere=any(protocol.everywhere for protocol in protocols),
            writes=self.writes,
            spreads=any(protocol.spreads for protocol in protocols),
            batch_size=self.batch_size,
        )

    @property
    def writes(self) -> bool:
        """Whether the model answers freely too."""
        return self.scorer.writes

    def lifted(
        self, model: Model, probes: Sequence[Asked], queries: Sequence[Query]
    ) -> tuple[Model, Sequence[Query]]:
        """A model and queries that give the same outputs, with what scores and answers share done once."""
        new_tokens = max((probe.new_tokens for probe in probes), default=0) if self.writes else 0
        return model.lifted(queries, new_tokens=new_tokens, batch_size=self.batch_size)

    def outputs(
        self, model: Model, probes: Sequence[Asked], queries: Sequence[Query], before: Sequence[Output]
    ) -> list[Output]:
        """What one model, edited, gives for some probes; `before` is what it gave unedited."""
        model, queries = self.lifted(model, probes, queries)
        return self.measure(lambda _: nullcontext(model), probes, queries, before)

    def lifting(self, cases: Sequence[Case]) -> Lifted:
        """The queries of a group of cases, to be known up to the layers where edits begin."""
        probes = [(case, self.probes(case)) for case in cases]
        return Lifted(self.mllm, probes, self.states, for_generation=self.writes, batch_size=self.batch_size)

    def most_kept(self, cases: Sequence[Case]) -> int:
        """Bytes that the queries of some cases can take at most, however long they are."""
        queries = sum(len(self.probes(case)) for case in cases)
        return queries * self.mllm.most_kept(for_generation=self.writes)

    def probes(self, case: Case) -> list[Asked]:
        return ask_all(case, self.mllm, self.prompts)

    def asked_unedited(self, cases: Sequence[Case]) -> list[Asked]:
        """All that the unedited model is asked about some cases: their probes, and what these build on."""
        return [one for case in cases for asked in self.probes(case) for one in with_premise(asked)]

    def ask_unedited(
        self, probes: Sequence[Asked], advance: Callable[[int], None], lift: Lifting | None = None
    ) -> None:
        """Have the unedited model asked of what is not known yet, see `BaseOutputs.complete`."""
        self.base.complete(
            self.mllm,
            probes,
            write=self.writes,
            batch_size=self.batch_size,
            advance=advance,
            lift=lift,
        )

    def plan(self, editor: Editor, case: Case) -> Planned:
        """The case with its patch."""
        return Planned(case, self.probes(case), *self.patch(editor, [case]))

    def patch(self, editor: Editor, cases: Sequence[Case]) -> tuple[Patch, float]:
        """A patch for all the cases, and its seconds."""
        made, seconds = self.grown(editor, None, cases)
        return made.patch, seconds

    def plan_each(self, editor: Grouping, cases: Sequence[Case], lift: Lift) -> list[Planned]:
        """The cases with a patch each, planned together; they share the seconds."""
        self._seed(cases)
        with timed(self.mllm) as clock:
            wishes = [edits_of(case, self.mllm, self.prompts) for case in cases]
            patches = editor.plan_each(self.mllm, wishes, lift)
        seconds = clock.seconds / len(cases)
        for patch in patches:
            self._show(patch)
        return [
            Planned(case, self.probes(case), patch, seconds)
            for case, patch in zip(cases, patches, strict=True)
        ]

    def grown(self, editor: Editor, made: Made | None, cases: Sequence[Case]) -> tuple[Made, float]:
        """What is made once the cases are, and the seconds; seeded by them, so that runs can be resumed."""
        self._seed(cases)
        with timed(self.mllm) as clock:
            edits = [edit for case in cases for edit in edits_of(case, self.mllm, self.prompts)]
            made = grow(editor, self.mllm, made, edits)
        self._show(made.patch)
        return made, clock.seconds

    def _seed(self, cases: Sequence[Case]) -> None:
        names = " ".join([str(self.seed), *(case.id for case in cases)])
        seed = hashlib.blake2b(names.encode(), digest_size=6).digest()
        number = int.from_bytes(seed, "big")
        if all(device.type == "cpu" for device in self.mllm.devices):
            # Where there is no other device, torch would note each time who wanted it seeded.
            torch.default_generator.manual_seed(number)
        else:
            torch.manual_seed(number)

    def _show(self, patch: Patch) -> None:
        if self.seen is not None:
            self.seen(patch)

    def finish(self, planned: Planned) -> CaseResult:
        """The result of a case whose outputs are there."""
        try:
            return _result(planned.case, planned, self._scored(planned))
        except FAULTS as error:
            return skipped(planned.case, error, planned)

    def unedited(self, case: Case) -> CaseResult:
        """The result of no edit at all: the same outputs before and after."""
        try:
            # What cannot be asked of any method is no edit here either.
            edit_of(case, self.mllm, self.prompts)
            probes = self.probes(case)
            outputs = self.base.of(probes)
            results = [self._result(*one, one[1]) for one in zip(probes, outputs, strict=True)]
        except FAULTS as error:
            return skipped(case, error)
        return _result(case, None, results)

    def _scored(self, planned: Planned) -> list[ProbeResult]:
        rows = zip(planned.probes, planned.before, planned.after, strict=True)
        return [self._result(*row) for row in rows]

    def _result(self, asked: Asked, before: Output, after: Output) -> ProbeResult:
        known = None
        if asked.premise is not None:
            known = self.scorer.knows(asked.premise, *self.base.of([asked.premise]))
        return self.scorer.result(asked, before, after, known=known)


def skipped(case: Case, error: Exception, planned: Planned | None = None) -> CaseResult:
    """The result of a case that came to no scores."""
    return _result(case, planned, [], reason_of(error))


def reason_of(error: Exception) -> str:
    """Why there are no scores."""
    reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    return reason.strip() or type(error).__name__


@contextmanager
def timed(mllm: MLLM) -> Iterator[Clock]:
    """Measures a block to its end, also on devices that work while Python goes on."""
    clock = Clock()
    _wait_for(mllm)
    start = time.perf_counter()
    yield clock
    _wait_for(mllm)
    clock.seconds = time.perf_counter() - start


def _wait_for(mllm: MLLM) -> None:
    for device in mllm.devices:
        if device.type == "cuda":
            torch.cuda.synchronize(device)


def _result(
    case: Case, planned: Planned | None, probes: Sequence[ProbeResult], reason: str | None = None
) -> CaseResult:
    return CaseResult(
        id=case.id,
        task=case.task,
        image_id=case.image_id,
        question=case.question,
        question_type=case.question_type,
        target=case.target,
        skipped=reason,
        probes=tuple(probes),
        plan_seconds=0.0 if planned is None else planned.plan_seconds,
        probe_seconds=0.0 if planned is None else planned.probe_seconds,
        changed=0 if planned is None else planned.patch.changed,
    )
