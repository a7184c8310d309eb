"""Results of streams without what clocks and meters say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluation.results.records import CaseResult
from evaluation.results.streams import Checkpoint, Placed, read_stream


def timeless(result: CaseResult) -> CaseResult:
    return replace(result, plan_seconds=0.0, probe_seconds=0.0)


def still(placed: Placed) -> Placed:
    return replace(placed, result=timeless(placed.result))


def numbers(folder: Path) -> tuple[list[Checkpoint], list[Placed]]:
    """All of a folder but what clocks and meters said."""
    _, done, online = read_stream(folder)
    checkpoints = [
        replace(
            one,
            plan_seconds=0.0,
            query_seconds=0.0,
            unedited_seconds=0.0,
            peak_bytes=0,
            retention=tuple(map(still, one.retention)),
        )
        for one in done
    ]
    return checkpoints, list(map(still, online))
