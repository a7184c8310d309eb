"""The plain way to the same scores: full forward passes of one query at a time, and nothing kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from unittest import mock

from editors.base import Editor, Model
from evaluation.data.cases import Case
from evaluation.data.probes import Asked
from evaluation.protocols.output import Output
from evaluation.results.records import CaseResult
from evaluation.run.batch import dealt
from evaluation.run.judging import FAULTS, Judging, Planned, skipped, timed
from mmedit_build.mllm import MLLM


@contextmanager
def plainly(mllm: MLLM) -> Iterator[None]:
    """Inside, nothing is spared: each call encodes its images anew, and no layer is found that work below it
    could be kept of."""
    with mllm.fresh_features(), mock.patch.object(mllm, "first_layer", return_value=None):
        yield


def run_plain(
    judging: Judging, editor: Editor, cases: Sequence[Case], at_once: int = 1
) -> Iterator[CaseResult]:
    """As `run`, or with several edits at once as `run_batches`, but plainly, also while edits are planned;
    the unedited model is asked for each edit."""
    for group in dealt(cases, at_once):
        with plainly(judging.mllm):
            results = _judged(judging, editor, group)
        yield from (replace(result, at_once=len(group)) for result in results)


def _judged(judging: Judging, editor: Editor, group: Sequence[Case]) -> list[CaseResult]:
    try:
        patch, seconds = judging.patch(editor, group)
    except FAULTS as error:
        return [skipped(case, error) for case in group]
    planned = [Planned(case, judging.probes(case), patch, seconds / len(group)) for case in group]
    return [_asked(judging, one) for one in planned]


def _asked(judging: Judging, planned: Planned) -> CaseResult:
    try:
        with timed(judging.mllm) as clock:
            planned.before = _one_by_one(judging, judging.mllm, planned.probes, None)
            with planned.patch.applied(judging.mllm) as model:
                planned.after = _one_by_one(judging, model, planned.probes, planned.before)
    except FAULTS as error:
        return skipped(planned.case, error, planned)
    planned.probe_seconds = clock.seconds
    return judging.finish(planned)


def _one_by_one(
    judging: Judging, model: Model, probes: Sequence[Asked], before: Sequence[Output] | None
) -> list[Output]:
    """The model's outputs, each by full passes of its own."""
    known = [None] * len(probes) if before is None else [[one] for one in before]
    return [
        output
        for probe, compared in zip(probes, known, strict=True)
        for output in judging.measure(lambda _: nullcontext(model), [probe], [probe.query], compared)
    ]
