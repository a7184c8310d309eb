"""Results as one flat table, which any tool reads: a row for each probe, with a column for each score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.protocols.known import PROTOCOLS
from evaluation.report.runs import Run
from evaluation.results.records import CaseResult, ProbeResult
from mmedit_build.rows import Task
from mmedit_build.store import write_through

OF_RUN = {"task": pa.string(), "run": pa.string(), "method": pa.string(), "model": pa.string()}
OF_EDIT = {
    **dict.fromkeys(("id", "image_id", "question", "question_type", "skipped"), pa.string()),
    **dict.fromkeys(("plan_seconds", "probe_seconds"), pa.float64()),
    **dict.fromkeys(("changed", "at_once"), pa.int64()),
}
OF_PROBE = {
    **dict.fromkeys(("kind", "item", "relation", "prompt", "target", "before", "after"), pa.string()),
    **dict.fromkeys(("log_prob_before", "log_prob_after"), pa.float64()),
}
SCORES = [f"{protocol}_{metric}" for protocol, of in PROTOCOLS.items() for metric in of.metrics]
SCHEMA = pa.schema({**OF_RUN, **OF_EDIT, **OF_PROBE, **dict.fromkeys(SCORES, pa.float64())})
ROWS = 10_000
"""That are held at a time."""


def write_flat(runs: Mapping[Task, Sequence[Run]], path: Path) -> None:
    """All runs in one Parquet file."""

    def write(file: Any) -> None:
        with pq.ParquetWriter(file, SCHEMA) as writer:
            for run in (run for of_task in runs.values() for run in of_task):
                for batch in _batches(run):
                    writer.write_batch(batch)

    write_through(path, write)


def flat_table(run: Run) -> pa.Table:
    """One run."""
    return pa.Table.from_batches(_batches(run), SCHEMA)


def _batches(run: Run) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, Any]] = []
    for row in _rows(run):
        rows.append(row)
        if len(rows) == ROWS:
            yield pa.RecordBatch.from_pylist(rows, SCHEMA)
            rows = []
    if rows:
        yield pa.RecordBatch.from_pylist(rows, SCHEMA)


def _rows(run: Run) -> Iterator[dict[str, Any]]:
    """An edit that was skipped has one row, without a probe."""
    settings = run.header.settings
    of_run = {"task": settings.task, "run": run.name, "method": settings.method, "model": settings.model}
    for result in run.results:
        of_edit = of_run | _fields(result, OF_EDIT)
        yield from (of_edit | _fields(probe, OF_PROBE) | _scores(probe) for probe in result.probes)
        if not result.probes:
            yield of_edit


def _fields(of: CaseResult | ProbeResult, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(of, name) for name in names}


def _scores(probe: ProbeResult) -> dict[str, float]:
    return {
        f"{protocol}_{metric}": score for protocol, of in probe.scores.items() for metric, score in of.items()
    }
