"""Nodes of Ray in this machine, and how they and the workers on them die."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import typer

from mmedit_build.engine.ray import connect

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
WORKERS = 3
"""Of which each has a node, where some are to die."""
OF_NODES = 0.15
"""How often a node is killed, with all that is on it, and not a worker alone."""
PAUSE = 2.0
"""Seconds at most between something that was done and a death, so that it meets workers in all they do."""


@contextmanager
def cluster(nodes: int, processors: int = 1) -> Iterator[Any]:
    """So many nodes with so many processors each, and a head without."""
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0})
    for _ in range(nodes):
        made.add_node(**{**NODE, "num_cpus": processors})
    connect(made.address, None)
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def kill_while(run: Callable[[Path], str], folder: Path, kills: int, seed: int) -> None:
    """Run something again and again, each time in a folder of its own, until so many died at it; print what
    each run says of itself."""
    rng, counts = Random(seed), Counter[str]()
    # The cluster is left first, which ends what is running when all is interrupted.
    with ThreadPoolExecutor(1) as pool, cluster(WORKERS) as made:
        for number in count():
            place = folder / f"killed-{number}"
            place.mkdir(parents=True)
            running = pool.submit(run, place)
            # Here, as nodes can be added by the main thread alone.
            killed = Killer(made, place, rng).kill_while(running, kills - counts.total())
            said, counts = running.result(), counts + killed
            typer.echo(f"{_in_words(killed)} killed, {_in_words(counts)} in all: {said}")
            if counts.total() >= kills:
                return


def _in_words(counts: Counter[str]) -> str:
    return f"{counts['workers']} workers and {counts['nodes']} nodes"


@dataclass(frozen=True)
class Killer:
    """Kills a worker or a node at random, again and again: each time when there is more in a folder than
    before, and all workers are there again. A node that died is replaced by a new one."""

    made: Any
    folder: Path
    rng: Random

    def kill_while(self, running: Future[str], most: int) -> Counter[str]:
        """How many were killed until something had run to its end; no more than so many."""
        counts, before = Counter[str](), _written(self.folder)
        while counts.total() < most and not _has_ended(running, within=0.2):
            now = _written(self.folder)
            if now == before or len(_workers(self.made)) < WORKERS:
                continue
            before = now
            if not _has_ended(running, within=self.rng.uniform(0, PAUSE)):
                counts[self._kill()] += 1
        return counts

    def _kill(self) -> str:
        """Who was killed."""
        alive = _workers(self.made)
        if alive and self.rng.random() >= OF_NODES:
            os.kill(self.rng.choice(alive), signal.SIGKILL)
            return "workers"
        self.made.remove_node(self.rng.choice(list(self.made.worker_nodes)), allow_graceful=False)
        self.made.add_node(**NODE)
        return "nodes"


def _has_ended(running: Future[str], within: float) -> bool:
    return bool(wait([running], timeout=within).done)


def _written(folder: Path) -> int:
    """How many bytes there are."""
    found = 0
    for path in folder.rglob("*"):
        try:
            found += path.stat().st_size
        except FileNotFoundError:
            # It was there for a while only.
            continue
    return found


def _workers(made: Any) -> list[int]:
    """The processes of workers, as their nodes started them."""
    nodes = {node.all_processes["raylet"][0].process.pid for node in made.worker_nodes}
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cmdline").read_bytes().startswith(b"ray::Worker"):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                found += [int(path.name)] if parent in nodes else []
        except (FileNotFoundError, ProcessLookupError):
            # It has ended meanwhile.
            continue
    return found
