"""How many edits are judged together: as many as the device has room for what is kept of their queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from evaluation.data.cases import Case
from evaluation.run.judging import Judging
from mmedit_build.errors import UserError

GROUP = 16
"""Edits at most whose queries are known up to the edited layer at the same time."""
SHARE = 8
"""Which part of a GPU's memory these may take, as a divisor: they are held twice, as far as the edited layer
and, under the edit, to the last one."""
MAIN_BYTES = 2**31
"""How much they may take of main memory, each time."""


def groups(judging: Judging, cases: Sequence[Case]) -> Iterator[Sequence[Case]]:
    """The cases in their order, in groups that are judged together.

    Of which cases a group is depends on nothing but them and the model, so a run that was cut off has the
    same groups when it goes on.
    """
    limit = room(judging.mllm.device)
    for start in range(0, len(cases), GROUP):
        yield from _split(judging, cases[start : start + GROUP], limit)


def room(device: torch.device) -> int:
    """Bytes that may be kept of queries."""
    if device.type != "cuda":
        return MAIN_BYTES
    return int(torch.cuda.get_device_properties(device).total_memory) // SHARE


def _split(judging: Judging, cases: Sequence[Case], limit: int) -> Iterator[Sequence[Case]]:
    if judging.most_kept(cases) <= limit:
        yield cases
        return
    begun, taken = 0, 0
    for end, case in enumerate(cases):
        size = _kept(judging, case)
        if end > begun and taken + size > limit:
            yield cases[begun:end]
            begun, taken = end, 0
        taken += size
    yield cases[begun:]


def _kept(judging: Judging, case: Case) -> int:
    """Bytes of the queries of a case, known up to the last layer."""
    mllm = judging.mllm
    try:
        rows = mllm.rows([probe.query for probe in judging.probes(case)])
    except UserError:
        # It is told when the case is judged.
        return 0
    return sum(mllm.kept_bytes(row, mllm.n_layers, for_generation=judging.writes) for row in rows)
