"""Edits judged one after the other: plan, apply, put all probes, undo.

What an edit cannot change is not computed again: images are encoded once, layers below the lowest changed
one run once for each query, and the unedited model is asked once for each dataset. Patches of low rank, and
small ones of whole matrices, are judged side by side in one batch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager

import torch

from editors.base import Editor, Grouping, Model, Patch
from editors.memory.patch import MemoryPatch
from editors.memory.side_by_side import MemoriesSideBySide
from editors.neurons.patches import AddedNeurons
from editors.neurons.side_by_side import NeuronsSideBySide
from editors.patches.side_by_side import Beside, SideBySide
from editors.patches.weights import LowRankPatch, WeightPatch
from editors.patches.whole_side_by_side import WholeSideBySide, can_stand_beside
from evaluation.data.cases import Case
from evaluation.data.probes import Asked
from evaluation.protocols.output import Output
from evaluation.results.records import CaseResult
from evaluation.run.judging import FAULTS, Judging, Planned, skipped, timed
from evaluation.run.room import GROUP, groups
from mmedit_build.mllm import Query

WHOLE_BYTES = 2**28
"""How much the patches of whole matrices in a group may take; larger ones are judged one after the other."""


def run(
    judging: Judging, editor: Editor, cases: Sequence[Case], known: Collection[str] = ()
) -> Iterator[CaseResult]:
    """The result of each case, as soon as it is there; the unedited outputs have to be known.

    Cases of known ids have their results. They keep their places in their groups, so that a run that was cut
    off gives the same numbers to the last bit: batches of other shapes round differently.
    """
    for group in groups(judging, cases):
        if any(case.id not in known for case in group):
            yield from _Group(judging, editor, group).results(known)


class _Group:
    """Cases that share what is computed below the edited layers."""

    def __init__(self, judging: Judging, editor: Editor, cases: Sequence[Case]) -> None:
        self._judging = judging
        self._editor = editor
        self._cases = cases
        self._lifted = judging.lifting([case for case in cases if judging.base.knows(judging.probes(case))])
        self._plans: dict[str, Planned] = {}

    def results(self, known: Collection[str]) -> Iterator[CaseResult]:
        """The results of the cases that have none yet."""
        self._plan_together()
        together: dict[str, Planned] = {}
        for case in self._cases:
            planned = None if case.id in known else self._planned(case)
            if isinstance(planned, CaseResult):
                yield planned
            elif planned is not None and self._stands_beside(planned.patch):
                together[case.id] = planned
            elif planned is not None:
                yield self._alone(planned)
        if together:
            # Those that have a result stood beside the others before, and do so again.
            beside = {case.id: self._planned(case) for case in self._cases if case.id in known}
            together |= {name: one for name, one in beside.items() if isinstance(one, Planned)}
        whole = [together[case.id] for case in self._cases if case.id in together]
        for kind in (LowRankPatch, WeightPatch, AddedNeurons, MemoryPatch):
            alike = [one for one in whole if isinstance(one.patch, kind)]
            yield from (one for one in self._side_by_side(alike) if one.id not in known)

    def _stands_beside(self, patch: Patch) -> bool:
        mllm = self._judging.mllm
        if isinstance(patch, LowRankPatch):
            # What an image goes through sees it once, whoever asks about it: rows do not tell edits apart.
            return patch.first_layer(mllm) is not None
        return isinstance(patch, AddedNeurons | MemoryPatch) or can_stand_beside(
            patch, mllm, WHOLE_BYTES // GROUP
        )

    def _plan_together(self) -> None:
        """Plan all cases of the group, those that have results too, if the editor has something to gain."""
        editor, judging = self._editor, self._judging
        if not isinstance(editor, Grouping) or editor.begins(judging.mllm) is None or not self._lifted.cases:
            return
        try:
            planned = judging.plan_each(editor, self._lifted.cases, self._lifted.lift)
        except (*FAULTS, torch.OutOfMemoryError):
            # One of them is at fault, or they are too many: each is planned on its own.
            return
        self._plans = {one.case.id: one for one in planned}

    def _planned(self, case: Case) -> Planned | CaseResult:
        try:
            before = self._judging.base.of(self._judging.probes(case))
            planned = self._plans.pop(case.id, None) or self._judging.plan(self._editor, case)
        except FAULTS as error:
            return skipped(case, error)
        planned.before = before
        return planned

    def _alone(self, planned: Planned) -> CaseResult:
        mllm = self._judging.mllm
        try:
            with timed(mllm) as clock:
                layer = planned.patch.first_layer(mllm)
                queries = self._queries([planned], layer)
                with planned.patch.applied(mllm) as model:
                    planned.after = self._judging.outputs(model, planned.probes, queries, planned.before)
        except FAULTS as error:
            return skipped(planned.case, error, planned)
        planned.probe_seconds = clock.seconds
        return self._judging.finish(planned)

    def _side_by_side(self, together: Sequence[Planned]) -> Iterator[CaseResult]:
        if len(together) == 1:
            # With nothing beside it, it is applied as it is when it is one of a stream.
            yield self._alone(together[0])
            return
        try:
            with timed(self._judging.mllm) as clock:
                outputs = self._together(together)
        except FAULTS:
            # One of them is at fault, and each on its own will tell which.
            yield from map(self._alone, together)
            return
        except torch.OutOfMemoryError:
            self._judging.states.clear()
            self._lifted = self._judging.lifting([])
            for planned in together:
                # With nothing kept of the others it may have room.
                yield _Group(self._judging, self._editor, [planned.case])._alone(planned)
            return
        for planned in together:
            planned.after = [next(outputs) for _ in planned.probes]
            planned.probe_seconds = clock.seconds / len(together)
            yield self._judging.finish(planned)

    def _together(self, together: Sequence[Planned]) -> Iterator[Output]:
        if not together:
            return iter(())
        mllm = self._judging.mllm
        patches = _beside([one.patch for one in together])
        owners = [number for number, one in enumerate(together) for _ in one.probes]
        before = [output for one in together for output in one.before]

        def lend(indices: Sequence[int]) -> AbstractContextManager[Model]:
            return patches.applied(mllm, [owners[i] for i in indices])

        probes, queries = _probes(together), self._queries(together, patches.first_layer(mllm))
        with lend(range(len(probes))) as model:
            _, queries = self._judging.lifted(model, probes, queries)
        return iter(self._judging.measure(lend, probes, queries, before))

    def _queries(self, planned: Sequence[Planned], layer: int | None) -> Sequence[Query]:
        """The queries of some cases, known up to the layer if that is of use."""
        if layer is None:
            return [probe.query for probe in _probes(planned)]
        return self._lifted.of([one.case for one in planned], layer)


def _beside(patches: Sequence[Patch]) -> Beside:
    """Patches of one kind side by side."""
    memories = [patch for patch in patches if isinstance(patch, MemoryPatch)]
    if memories:
        return MemoriesSideBySide(memories)
    low = [patch for patch in patches if isinstance(patch, LowRankPatch)]
    whole = [patch for patch in patches if isinstance(patch, WeightPatch)]
    added = [patch for patch in patches if isinstance(patch, AddedNeurons)]
    return (
        SideBySide(low) if low else WholeSideBySide(whole) if whole else NeuronsSideBySide.of_patches(added)
    )


def _probes(planned: Sequence[Planned]) -> list[Asked]:
    return [probe for one in planned for probe in one.probes]
