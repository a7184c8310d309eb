"""A stage that waits, on several nodes: how much faster it is, and what comes of it when they die."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from benchmarks.cluster.nodes import WORKERS, cluster, kill_while
from benchmarks.cluster.waiting import Row, Waiting
from mmedit_build.engine.ray import OnRay
from mmedit_build.engine.run import Job, run
from mmedit_build.engine.shards import Tally

SECONDS = 0.1
"""That a row waits."""
SHARD = 10
SHARD_TIMED = 2
"""What workers have begun when the clock starts, or not ended when it stops, is less than a percent."""
ROWS = 200
"""For each worker whose rate is measured."""
ROWS_KILLED = 2000


def job(folder: Path, rows: int, shard: int) -> Job[Row]:
    (folder / "pids").mkdir(parents=True)
    names = [Row(f"row/{number}") for number in range(rows)]
    return Job(folder / "stage", Waiting(folder, SECONDS), names, Row, {}, shard)


def efficiency(folder: Path) -> None:
    """From one node to four, without the time that workers take to start."""
    with cluster(4):
        alone = _rate(job(folder / "one", ROWS, SHARD_TIMED), 1)
        together = _rate(job(folder / "four", 4 * ROWS, SHARD_TIMED), 4)
    typer.echo(f"one node: {alone:.1f} rows/s; four: {together:.1f} rows/s")
    typer.echo(f"efficiency {together / (4 * alone):.1%}")


def _rate(one: Job[Row], workers: int) -> float:
    """Rows a second while all workers are at work."""
    told: list[tuple[float, int]] = []

    def advance(_: int, tally: Tally) -> None:
        if len(list((one.folder.parent / "pids").iterdir())) == workers:
            told.append((time.perf_counter(), tally.total))

    run(one, OnRay(workers), retry_failed=False, advance=advance)
    # The last rows are done by whoever is left.
    (begun, before), (ended, after) = told[0], told[-workers]
    return (after - before) / (ended - begun)


def kill_builders(folder: Path, kills: int, seed: int) -> None:
    """Count the rows of stages whose workers die."""
    kill_while(_built, folder, kills, seed)


def _built(folder: Path) -> str:
    done = job(folder, ROWS_KILLED, SHARD)
    found = [one.id for one in run(done, OnRay(WORKERS), retry_failed=False, advance=lambda *_: None)]
    seen = (folder / "seen").read_text().split()
    lost = len({row.id for row in done.rows} - {*found})
    again = len(seen) - len({*seen})
    return f"{lost} of {ROWS_KILLED} rows lost, {len(found) - len({*found})} twice; {again} done again"
