"""The unedited model is asked group by group, in the passes that the methods go on from.

In which batch a probe is asked decides about the last bits of its output. So what is to be asked is dealt
before it is: a probe of several groups belongs to the first, whoever asks which of them when.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from evaluation.data.cases import Case
from evaluation.data.probes import Asked
from evaluation.run.base_outputs import CHUNK, Lifting, key_of
from evaluation.run.judging import Judging
from evaluation.run.room import GROUP, groups
from mmedit_build.mllm import Query


@dataclass(frozen=True, slots=True)
class Portion:
    """Probes that are asked together, by their keys; of some cases, or what cases build on."""

    ids: Sequence[str]
    keys: Collection[str]


def unknown(judging: Judging, cases: Sequence[Case]) -> list[Portion]:
    """What is asked about these cases and not known yet."""
    taken: set[str] = set()

    def new(probes: Sequence[Asked]) -> list[str]:
        keys = [key for key in judging.base.lacking(probes, write=judging.writes) if key not in taken]
        taken.update(keys)
        return keys

    parts = [cases[start : start + GROUP] for start in range(0, len(cases), GROUP)]
    portions = [
        Portion([case.id for case in part], new([probe for case in part for probe in judging.probes(case)]))
        for part in parts
    ]
    premises = [probe.premise for case in cases for probe in judging.probes(case)]
    keys = new([one for one in premises if one is not None])
    chunks = [Portion((), keys[start : start + CHUNK]) for start in range(0, len(keys), CHUNK)]
    return [portion for portion in (*portions, *chunks) if portion.keys]


def ask_unedited(
    judging: Judging, cases: Sequence[Case], keys: Collection[str], advance: Callable[[int], None]
) -> None:
    """Have the unedited model asked those probes of some cases that have these keys."""
    for group in groups(judging, cases):
        probes = [probe for case in group for probe in judging.probes(case) if key_of(probe) in keys]
        judging.ask_unedited(probes, advance, _lift(judging, group))


def _lift(judging: Judging, group: Sequence[Case]) -> Lifting:
    """What is known of the queries of a group: all that scores and answers share is done once."""
    lifted, layer = judging.lifting(group), judging.states.layer

    def lift(asked: Sequence[Asked]) -> Sequence[Query]:
        queries: Sequence[Query] = [probe.query for probe in asked]
        if layer is not None:
            queries = lifted.lift(queries, layer)
        return judging.lifted(judging.mllm, asked, queries)[1]

    return lift
