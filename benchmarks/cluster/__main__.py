"""python -m benchmarks.cluster [--kills 50]: three or four nodes of Ray in this machine, measured.

Prints how long a stage that waits takes on one node and on four, and then kills workers and nodes at random
while such a stage runs and counts what was lost, what was there twice, and what was done again.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.cluster.waiting import Row, Waiting
from mmedit_build.engine.ray import NAMESPACE, OnRay
from mmedit_build.engine.run import Job, run
from mmedit_build.engine.shards import Tally

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
SHARD = 10
WORKERS = 3
SPARE = 3
"""Nodes that are killed."""


@contextmanager
def cluster(nodes: int) -> Iterator[Any]:
    """So many nodes with a processor each, and a head without."""
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0})
    for _ in range(nodes):
        made.add_node(**NODE)
    ray.init(made.address, namespace=NAMESPACE, logging_level=logging.ERROR, log_to_driver=False)
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def job(folder: Path, rows: int, seconds: float) -> Job[Row]:
    (folder / "pids").mkdir(parents=True)
    names = [Row(f"row/{number}") for number in range(rows)]
    return Job(folder / "stage", Waiting(folder, seconds), names, Row, {}, SHARD)


def rate(one: Job[Row], workers: int) -> float:
    """Rows a second while all workers are at work."""
    told: list[tuple[float, int]] = []

    def advance(_: int, tally: Tally) -> None:
        if len(list((one.folder.parent / "pids").iterdir())) == workers:
            told.append((time.perf_counter(), tally.total))

    run(one, OnRay(workers), retry_failed=False, advance=advance)
    # The last rows are done by whoever is left.
    (begun, before), (ended, after) = told[0], told[-workers]
    return (after - before) / (ended - begun)


def efficiency(folder: Path, rows: int, seconds: float) -> None:
    """From one node to four, without the time that workers take to start."""
    with cluster(4):
        alone = rate(job(folder / "one", rows, seconds), 1)
        together = rate(job(folder / "four", 4 * rows, seconds), 4)
    print(f"one node: {alone:.1f} rows/s; four: {together:.1f} rows/s", flush=True)  # noqa: T201
    print(f"efficiency {together / (4 * alone):.1%}", flush=True)  # noqa: T201


def killed(folder: Path, kills: int, seed: int) -> None:
    """Kill so many workers, and all nodes that can be spared among them, while a stage runs."""
    done = job(folder / "killed", 100 * kills, 0.1)
    counts = {"workers": 0, "nodes": 0}
    with cluster(WORKERS + SPARE) as made:
        outcomes = run(
            done, OnRay(WORKERS), retry_failed=False, advance=_killer(made, folder, kills, seed, counts)
        )
    seen = (folder / "killed" / "seen").read_text().split()
    lost = {row.id for row in done.rows} - {one.id for one in outcomes}
    twice = len(outcomes) - len({one.id for one in outcomes})
    print(f"{counts}: {len(lost)} rows lost, {twice} twice; {len(seen) - len(set(seen))} done again")  # noqa: T201


def _killer(
    made: Any, folder: Path, kills: int, seed: int, counts: dict[str, int]
) -> Callable[[int, Tally], None]:
    rng, nodes, shards = random.Random(seed), list(made.worker_nodes), [0]

    def advance(number: int, _: Tally) -> None:
        total = sum(counts.values())
        shards[0] += number > 0
        alive = [path for path in (folder / "killed" / "pids").iterdir() if _lives(int(path.name))]
        # While some come back, the others would die again and again.
        if total >= kills or shards[0] < 2 * (total + 1) or len(alive) < WORKERS:
            return
        if (total + 1) % (kills // (SPARE + 1)) == 0 and counts["nodes"] < SPARE:
            made.remove_node(nodes.pop(rng.randrange(len(nodes))), allow_graceful=False)
            counts["nodes"] += 1
            return
        os.kill(int(rng.choice(alive).name), signal.SIGKILL)
        counts["workers"] += 1

    return advance


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        efficiency(Path(folder), given.rows, given.seconds)
        killed(Path(folder), given.kills, given.seed)


if __name__ == "__main__":
    main()
