"""Results made up for tests of judges: questions whose answers are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.data.cases import LOCALITY, Kind
from evaluation.results.records import CaseResult, ProbeResult, ResultFolder, RunResult, Settings
from mmedit_build.rows import Task

Row = tuple[Kind, str, str]
"""What an edit is asked: the kind of a probe, the question, and the answer after the edit."""
TARGET = "red"


def probe(kind: Kind, question: str, answer: str, task: Task = "vqa") -> ProbeResult:
    """A probe whose target is red."""
    match = float(answer == TARGET)
    wild = {"unchanged": match} if kind in LOCALITY else {"match": match}
    return ProbeResult(
        kind=kind,
        relation="far" if kind in LOCALITY else None,
        prompt=f"Question: {question} Short answer:",
        question=question,
        target=TARGET,
        before="blue",
        after=answer,
        log_prob_before=-1.0,
        log_prob_after=-1.0,
        target_tokens=1,
        written_tokens=1,
        scores={"wild": wild | ({"consensus": match} if task == "caption" else {})},
    )


def write_run(folder: Path, method: str, edits: Sequence[Sequence[Row]], task: Task = "vqa") -> Path:
    """The results of a method: edits, each with its probes, two of each image."""
    settings: dict[str, Any] = {
        **{"method": method, "config": {}, "model": "m", "model_digest": "1", "dataset": "d"},
        **{"dataset_digest": "2", "task": task, "split": "test", "protocols": ("wild",), "prompts": "family"},
    }
    place = ResultFolder(folder / task / method)
    place.folder.mkdir(parents=True)
    place.begin(RunResult(settings=Settings(**settings, seed=0), finished=True))
    for number, rows in enumerate(edits):
        place.add(
            CaseResult(
                id=f"edit/{number}",
                task=task,
                image_id=str(number // 2),
                question="what?",
                question_type="color",
                target=TARGET,
                probes=tuple(probe(*row, task) for row in rows),
            )
        )
    return place.folder
