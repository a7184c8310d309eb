"""Methods that only touch prompts, judged on a served model: it answers, and that is all that is known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from editors.base import Editor, Model
from editors.keys import model_key
from editors.served import NO_ANSWER, Served, ServedError, as_question
from editors.under import mllm_of
from evaluation.data.cases import Case
from evaluation.data.probes import Asked, ask_all, with_premise
from evaluation.protocols.output import Output
from evaluation.results.records import CaseResult, RunResult
from evaluation.run.asking import Portion
from evaluation.run.base_outputs import BaseOutputs, key_of
from evaluation.run.bench import Bench
from evaluation.run.experiment import Experiment
from evaluation.run.headers import Facts
from evaluation.run.judging import FAULTS, Judging, Planned, reason_of, skipped, timed
from evaluation.run.scoring import Scorer
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from mmedit_build.recipe import Endpoint
from mmedit_build.services.asking import chat_request
from mmedit_build.services.chat import ChatRequest
from mmedit_build.services.served.cost import Estimate, estimate
from mmedit_build.services.served.keys import find_key

REPLIES = "model.sqlite"
"""Where replies of served models are kept, in the cache."""
OF_WEIGHTS = ("revision", "device", "dtype", "template", "image_processor", "prompts", "batch_size", "parts")
"""What there is to choose of models that are here alone."""


def check_served(experiment: Experiment) -> None:
    """Refuse what a served model cannot be asked for, before any work."""
    if not isinstance(experiment.model, Endpoint):
        return
    if "legacy" in experiment.protocols:
        raise UserError(
            "A served model tells no probabilities, which the legacy protocol needs; give --protocol wild."
        )
    if experiment.stream or experiment.at_once != (1,):
        raise UserError("A served model is judged on single edits; leave out --stream and --at-once.")
    for name in OF_WEIGHTS:
        if name in experiment.model_fields_set and getattr(experiment, name):
            raise UserError(f"A served model is asked as its server does it; leave out `{name}`.")
    find_key(experiment.model)


def is_unanswered(result: CaseResult) -> bool:
    """Whether an edit was skipped for want of an answer, so that the same command asks again."""
    return result.skipped is not None and result.skipped.startswith(NO_ANSWER)


def unanswered(header: RunResult) -> int:
    """How many edits of a run were skipped for that reason."""
    return sum(number for reason, number in header.skipped.items() if reason.startswith(NO_ANSWER))


def expected(model: Endpoint, cases: Sequence[Case], *, unedited: bool) -> Estimate:
    """What asking about some edits takes at most, besides what a method puts before prompts.

    The place of an image stands for its content: an estimate counts all alike.
    """
    probes = [probe for case in cases for probe in _probes(case)]
    asked = [one for probe in probes for one in with_premise(probe)] if unedited else probes
    return estimate(model, map(_request, asked))


def _request(asked: Asked) -> ChatRequest:
    question = as_question(asked.query)
    image = None if question.image is None else str(question.image).encode(errors="surrogateescape")
    return chat_request(question.text, question.kind, image, asked.new_tokens)


def open_served(experiment: Experiment) -> MLLM:
    """The served model in the place of one that is loaded."""
    assert isinstance(experiment.model, Endpoint)
    return mllm_of(Served(experiment.model, experiment.cache / REPLIES))


@dataclass
class ServedBench(Bench):
    """A task whose model is asked over the wire: what it said is kept with its replies, and nowhere else."""

    @cached_property
    def facts(self) -> Facts:
        return Facts(model_key(self.mllm), self.digest, device="", dtype="", threads=0)

    @cached_property
    def judging(self) -> Judging:
        experiment = self.experiment
        return _Judging(
            mllm=self.mllm,
            base=BaseOutputs(experiment.cache),
            scorer=Scorer(self.cases, experiment.protocols),
            seed=experiment.seed,
        )

    def share(self, methods: tuple[str, ...]) -> None:
        """Nothing is computed here that methods could share."""

    def unknown(self) -> tuple[int, list[Portion]]:
        """Nothing is asked ahead: what was asked once is among the replies."""
        return 0, []

    def ask_unedited(self, probes: Sequence[Asked]) -> None:
        base = self.judging.base
        new = [probe for probe in probes if not {key_of(probe)} & {*base.known, *base.failed}]
        try:
            base.known.update(zip(map(key_of, new), _answers(self.mllm, new), strict=True))
        except ServedError:
            raise
        except UserError:
            for probe in new:
                self._ask_alone(base, probe)

    def _ask_alone(self, base: BaseOutputs, probe: Asked) -> None:
        try:
            base.known[key_of(probe)] = _answers(self.mllm, [probe])[0]
        except ServedError:
            raise
        except UserError as error:
            base.failed[key_of(probe)] = reason_of(error)

    def _results(
        self, judging: Judging, editor: Editor, cases: Sequence[Case], known: Collection[str], at_once: int
    ) -> Iterator[CaseResult]:
        del at_once  # `check_served` lets no other through than one
        for case in cases:
            if case.id not in known:
                yield _judged(judging, editor, case)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judging(Judging):
    def probes(self, case: Case) -> list[Asked]:
        return _probes(case)


def _probes(case: Case) -> list[Asked]:
    """Captions are told apart from questions, which servers are asked in other words."""
    return [
        replace(one, query=replace(one.query, form="plain")) if one.task == "caption" else one
        for one in ask_all(case, Served)
    ]


def _judged(judging: Judging, editor: Editor, case: Case) -> CaseResult:
    planned: Planned | None = None
    try:
        before = judging.base.of(judging.probes(case))
        planned = judging.plan(editor, case)
        planned.before = before
        with timed(judging.mllm) as clock, planned.patch.applied(judging.mllm) as model:
            planned.after = _answers(model, planned.probes)
    except ServedError:
        raise
    except FAULTS as error:
        return skipped(case, error, planned)
    planned.probe_seconds = clock.seconds
    return judging.finish(planned)


def _answers(model: Model, probes: Sequence[Asked]) -> list[Output]:
    """Captions may be longer than answers."""
    said: dict[int, Output] = {}
    for limit in sorted({probe.new_tokens for probe in probes}):
        places = [place for place, probe in enumerate(probes) if probe.new_tokens == limit]
        written = model.write([probes[place].query for place in places], max_new_tokens=limit)
        said.update(zip(places, (Output.of_words(one.text) for one in written), strict=True))
    return [said[place] for place in range(len(probes))]
