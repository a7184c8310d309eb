"""Editors that are told their answers, and so test the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from editors.base import Editor
from evaluation.data.cases import Case
from evaluation.run.judging import Judging
from mmedit_build.mllm import Query


@runtime_checkable
class Told(Protocol):
    """An editor that can be told."""

    def tell(self, edit_id: str, scope: Sequence[Query]) -> None:
        """Name the queries that the edit of that id shall answer besides its own."""


def tell(editor: Editor, judging: Judging, cases: Sequence[Case]) -> None:
    """Tell an editor that can be told which probes ask for each edit."""
    if isinstance(editor, Told):
        for case in cases:
            probes = judging.probes(case)
            if judging.base.knows(probes):
                editor.tell(case.id, [probe.query for probe in probes if not probe.is_locality])
