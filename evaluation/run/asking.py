"""The unedited model is asked group by group, in the passes that the methods go on from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evaluation.data.cases import Case
from evaluation.data.probes import Asked
from evaluation.run.base_outputs import Lifting
from evaluation.run.judging import Judging
from evaluation.run.room import groups
from mmedit_build.mllm import Query


def ask_unedited(judging: Judging, cases: Sequence[Case], advance: Callable[[int], None]) -> None:
    """Have the unedited model asked all that is asked about these cases and not known yet."""
    for group in groups(judging, cases):
        judging.ask_unedited(
            [probe for case in group for probe in judging.probes(case)], advance, _lift(judging, group)
        )
    premises = [probe.premise for case in cases for probe in judging.probes(case)]
    judging.ask_unedited([one for one in premises if one is not None], advance)


def _lift(judging: Judging, group: Sequence[Case]) -> Lifting:
    """What is known of the queries of a group: all that scores and answers share is done once."""
    lifted, layer = judging.lifting(group), judging.states.layer

    def lift(asked: Sequence[Asked]) -> Sequence[Query]:
        queries: Sequence[Query] = [probe.query for probe in asked]
        if layer is not None:
            queries = lifted.lift(queries, layer)
        return judging.lifted(judging.mllm, asked, queries)[1]

    return lift
