"""Which columns the tables of means have."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.protocols.base import ProtocolName
from evaluation.report.runs import Run
from evaluation.results.summary import Measure, headline, values
from mmedit_build.rows import Task

AT_ONCE = ", several edits at once"
"""What titles say of tables whose rows differ in how many edits one patch makes."""
USUAL = ("Rel", "T-Gen", "I-Gen", "T-Loc", "I-Loc", "I-Loc near")
"""Columns that are always there."""


def columns_of(task: Task, protocol: ProtocolName, runs: Sequence[Run]) -> dict[str, Measure]:
    """Those of the main table; what not every dataset asks is there where any run has it."""
    return {
        title: of
        for title, of in headline(task, protocol).items()
        if title in USUAL or any(values(run.results, of) for run in runs)
    }
