"""One edit with all that was asked about it: what each run answered, read from the lines of its results."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evaluation.data.cases import KINDS
from evaluation.protocols.known import metric
from evaluation.report.answers import state
from evaluation.results.records import CaseResult, ProbeResult, result_lines
from evaluation.viewing.judging import verdict_on
from evaluation.viewing.titles import kind_title
from mmedit_build.errors import UserError

Row = dict[str, Any]


def detail(connection: sqlite3.Connection, task: str, name: str) -> Row:
    """Everything about an edit: for each dataset that has it, each question with all answers to it."""
    edit = connection.execute("SELECT * FROM edits WHERE task = ? AND id = ?", (task, name)).fetchone()
    if edit is None:
        raise UserError(f"These results have no edit {name}.")
    runs = connection.execute(
        "SELECT part, folder, dataset, line FROM cases JOIN runs USING(part) "
        "WHERE edit = ? AND place IS NOT NULL ORDER BY place",
        (edit["edit"],),
    ).fetchall()
    found = [(run, read_case(run["folder"], run["line"], name)) for run in runs]
    datasets = dict.fromkeys(run["dataset"] for run in runs)
    return {
        **{column: edit[column] for column in ("task", "id", "image_id", "type", "question", "target")},
        "parts": [
            _part(connection, dataset, [one for one in found if one[0]["dataset"] == dataset])
            for dataset in datasets
        ],
    }


def read_case(folder: str, line: int, name: str) -> CaseResult:
    """The result whose line begins at a place."""
    try:
        found = result_lines(Path(folder)).at(line)
    except (OSError, ValidationError):
        found = None
    if found is None or found.id != name:
        raise UserError(f"The results in {folder} have changed meanwhile; start `mmedit-eval view` again.")
    return found


def answers_of(connection: sqlite3.Connection, task: Any, run: int, probe: ProbeResult) -> Row:
    """What a run answered to a question."""
    return {
        "run": run,
        "verdict": verdict_on(connection, run, task, probe),
        "after": probe.after,
        "state": state(task, probe),
        "log_prob": [probe.log_prob_before, probe.log_prob_after],
        "scores": [
            {"protocol": protocol, "title": metric(protocol, name).title, "value": value}
            for protocol, of in probe.scores.items()
            for name, value in of.items()
        ],
    }


def question_of(probe: ProbeResult) -> Row:
    """What was asked, and what the unedited model said."""
    return {
        "kind": probe.kind,
        "title": kind_title(probe.kind, probe.relation),
        "item": probe.item,
        "question": probe.question or probe.prompt,
        "prompt": probe.prompt,
        "target": probe.target,
        "before": probe.before,
        "near": {"words": probe.text_cosine, "image": probe.image_cosine},
        "known": probe.known,
    }


def _part(
    connection: sqlite3.Connection, dataset: str, found: Sequence[tuple[sqlite3.Row, CaseResult]]
) -> Row:
    probes: dict[tuple[str, str], Row] = {}
    for run, case in found:
        for probe in case.probes:
            of = probes.setdefault((probe.kind, probe.item), {**question_of(probe), "answers": []})
            of["answers"].append(answers_of(connection, case.task, run["part"], probe))
    pictures = pictures_of(connection, dataset, found[0][1].id)
    for (kind, item), of in probes.items():
        of["picture"] = picture_for(pictures, kind, item)
    return {
        "runs": [run["part"] for run, _ in found],
        "question": found[0][1].question,
        "target": found[0][1].target,
        "image": pictures.get(("reliability", "")),
        "repainted": pictures.get(("image_generality", "")),
        "probes": sorted(probes.values(), key=lambda of: KINDS.index(of["kind"])),
        "skipped": {run["part"]: case.skipped for run, case in found if case.skipped is not None},
        "costs": [_cost(run["part"], case) for run, case in found],
    }


def _cost(run: int, case: CaseResult) -> Row:
    names = ("plan_seconds", "probe_seconds", "changed")
    return {"run": run, **{name: value for name, value in asdict(case).items() if name in names}}


def pictures_of(connection: sqlite3.Connection, dataset: str, name: str) -> dict[tuple[str, str], int]:
    """The numbers of an edit's pictures, by kind and item of probes."""
    query = "SELECT kind, item, file FROM pictures WHERE dataset = ? AND id = ?"
    return {(row[0], row[1]): row[2] for row in connection.execute(query, (dataset, name))}


def picture_for(pictures: dict[tuple[str, str], int], kind: str, item: str) -> int | None:
    """That of a probe."""
    return pictures.get((kind, item))
