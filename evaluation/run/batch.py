"""Several edits at once: one patch is planned for a group of edits, and the probes of all are asked under it.

The edits are dealt in their order into groups of the same size, of which the last one may be smaller. As for
single edits, what lies below the lowest edited layer is computed once for each query, and the unedited model
is asked once for each dataset.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from editors.base import Editor, Patch
from evaluation.data.cases import Case
from evaluation.protocols.output import Output
from evaluation.results.records import CaseResult
from evaluation.run.judging import FAULTS, Judging, Planned, skipped, timed
from evaluation.run.room import groups
from mmedit_build.errors import UserError
from mmedit_build.mllm import Query


def check_batch(editor: Editor, size: int) -> None:
    """Refuse several edits at once for an editor that makes one at a time."""
    if size > 1 and not editor.batch:
        raise UserError("It makes one edit at a time, so several at once are not judged.")


def check_along(editor: Editor, cases: Sequence[Case]) -> None:
    """Refuse facts that are edited along with images for an editor that makes one edit at a time."""
    if not editor.batch and any(case.of("reliability") for case in cases):
        raise UserError(
            "It makes one edit at a time, and this dataset edits a fact along with each image; judge it on a "
            "dataset of single edits, such as eval_multihop.json of VLKEB."
        )


def check_dealt(cases: Sequence[Case], size: int, results: Sequence[CaseResult]) -> None:
    """Refuse to go on where edits that have results would now be in a smaller or larger group."""
    now = {case.id: len(group) for group in dealt(cases, size) for case in group}
    for one in results:
        if now.get(one.id, one.at_once) != one.at_once:
            raise UserError(
                f"Edit {one.id} was made along with others, {one.at_once} at once, and would now be one of "
                f"{now[one.id]}: give the same --limit as before, or choose another folder with --out."
            )


def dealt(cases: Sequence[Case], size: int) -> list[Sequence[Case]]:
    """The cases in groups."""
    return [cases[start : start + size] for start in range(0, len(cases), size)]


def run_batches(
    judging: Judging,
    editor: Editor,
    cases: Sequence[Case],
    size: int,
    known: Collection[str] = (),
) -> Iterator[CaseResult]:
    """The results of the cases that have none yet, group by group.

    A group of which some have results is judged whole, so that a run that was cut off gives the same numbers.
    """
    for group in dealt(cases, size):
        if not known or any(case.id not in known for case in group):
            for result in _Batch(judging, editor).results(group):
                if result.id not in known:
                    yield replace(result, at_once=len(group))


class _Batch:
    """One group of edits."""

    def __init__(self, judging: Judging, editor: Editor) -> None:
        self._judging = judging
        self._editor = editor

    def results(self, group: Sequence[Case]) -> Iterator[CaseResult]:
        known: dict[str, list[Output]] = {}
        for case in group:
            try:
                known[case.id] = self._judging.base.of(self._judging.probes(case))
            except FAULTS as error:
                yield skipped(case, error)
        cases = [case for case in group if case.id in known]
        if not cases:
            return
        try:
            patch, seconds = self._judging.patch(self._editor, cases)
        except FAULTS as error:
            yield from (skipped(case, error) for case in cases)
            return
        for together in groups(self._judging, cases):
            yield from judged(
                self._judging,
                patch,
                [
                    Planned(case, self._judging.probes(case), patch, seconds / len(cases), known[case.id])
                    for case in together
                ],
            )


def judged(judging: Judging, patch: Patch, together: Sequence[Planned]) -> Iterator[CaseResult]:
    """The results of edits that one patch makes, all probes of theirs asked under it."""
    try:
        with timed(judging.mllm) as clock:
            outputs = iter(_shared(judging, patch, together))
    except FAULTS as error:
        if len(together) == 1:
            yield skipped(together[0].case, error, together[0])
        else:
            # One of them is at fault, and each on its own will tell which.
            for planned in together:
                yield from judged(judging, patch, [planned])
        return
    for planned in together:
        planned.after = [next(outputs) for _ in planned.probes]
        planned.probe_seconds = clock.seconds / len(together)
        yield judging.finish(planned)


def _shared(judging: Judging, patch: Patch, together: Sequence[Planned]) -> list[Output]:
    mllm = judging.mllm
    probes = [probe for planned in together for probe in planned.probes]
    before = [output for planned in together for output in planned.before]
    queries: Sequence[Query] = [probe.query for probe in probes]
    layer = patch.first_layer(mllm)
    if layer is not None:
        queries = mllm.below(queries, layer, for_generation=judging.writes, batch_size=judging.batch_size)
    with patch.applied(mllm) as model:
        return judging.outputs(model, probes, queries, before)
