"""Chains of streams, dealt to workers whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.data.cases import Case
from evaluation.results.streams import Placed
from evaluation.run.bench import Bench
from evaluation.run.streams.course import Course
from evaluation.run.streams.fixed import FixedSet
from evaluation.run.streams.plan import Plan
from evaluation.run.witness import Witness
from mmedit_build.rows import Split, Task


@dataclass(frozen=True, slots=True)
class Follow:
    """Give what the edits of a chain come to when they are made and what its checkpoints find, as far as
    that is not known, with how far it is; and last, what is known of the method."""

    task: Task
    method: str
    order: int
    folder: Path
    """Where patches are kept meanwhile."""
    known: frozenset[int]
    """Checkpoints, by their numbers of edits."""
    online: Sequence[Placed]

    def done(self, bench: Bench, give: Callable[[Any], None]) -> None:
        plan = Plan(bench.experiment, bench.wanted)
        (chain,) = (one for one in plan.chains if one.order == self.order)
        bench.ask_unedited(bench.judging.asked_unedited(bench.wanted))
        editor = bench.ready(self.method)
        witness = Witness.of(editor, bench.mllm)
        judging = replace(bench.judging, seen=witness.see)
        fixed = fixed_set(bench, plan)
        online = {one.position: one for one in self.online}
        Course(judging, editor, fixed, self.folder, give, chain, online).run(self.known)
        give(witness.about)


def fixed_set(bench: Bench, plan: Plan) -> FixedSet | None:
    """What is asked at checkpoints besides edits; made once in each worker, as it measures times."""
    if bench.fixed is None:
        bench.fixed = _fixed_set(bench, plan)
    return bench.fixed


def _fixed_set(bench: Bench, plan: Plan) -> FixedSet | None:
    judging, streamed = bench.judging, plan.dealt.streamed
    if plan.preset is None:
        return FixedSet.of(judging, plan.dealt.held, streamed)
    if plan.preset != "t-patcher":
        return None
    splits: dict[Split, Sequence[Case]] = {"train": bench.of_split("train"), "test": streamed}
    return FixedSet.of_splits(judging, splits, streamed, bench.ask_unedited)
