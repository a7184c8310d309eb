"""Evaluations on several nodes: the same numbers as those of this process alone, whoever dies meanwhile."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import Any

import typer

from benchmarks.cluster.nodes import WORKERS, cluster, kill_while
from evaluation.results.records import HEADER, result_lines
from evaluation.results.streams import read_stream
from evaluation.run.evaluate import evaluate
from evaluation.run.experiment import Experiment, make_experiment
from mmedit_build.console import silent
from mmedit_build.engine.base import Engine
from mmedit_build.engine.local import HERE, Local
from mmedit_build.engine.ray import OnRay

LEARNING = {"steps": 20, "validate_every": 10, "batch_size": 4}
SMALL: dict[str, dict[str, Any]] = {
    "ft": {"options": {"steps": 5}},
    "mend": {"options": LEARNING},
    "ultraedit": {},
}
KINDS: dict[str, dict[str, Any]] = {
    "one and four at once": {"methods": ("ft", "mend"), "limit": 64, "at_once": (1, 4)},
    "streams": {"methods": ("ft", "ultraedit"), "limit": 16, "stream": (1, 8, 16), "orders": 4},
}
CLOCKS = {"plan_seconds", "probe_seconds", "query_seconds", "unedited_seconds", "peak_bytes"}
"""What clocks and meters tell."""
Found = Counter[str]
"""Results as lines, by how often they are there."""


def experiments(dataset: str) -> dict[str, Experiment]:
    """One of each kind."""
    common = {"dataset": dataset, "task": "vqa", "device": "cpu"}
    return {
        kind: make_experiment(None, common | about | {"methods": {name: SMALL[name] for name in methods}})
        for kind, about in KINDS.items()
        for methods in [about["methods"]]
    }


def compare(folder: Path, dataset: str) -> None:
    """Judge with several processes, and with workers of a cluster of three nodes, and print how their results
    differ from those of this process."""
    asked = experiments(dataset)
    alone = {kind: judged(one, folder / "alone" / kind, HERE) for kind, one in asked.items()}

    def told(who: str, engine: Engine) -> None:
        for kind, one in asked.items():
            start = time.perf_counter()
            found = judged(one, folder / who / kind, engine)
            seconds = time.perf_counter() - start
            typer.echo(f"{who}, {kind}, {seconds:.0f} s: {difference(found, alone[kind])}")

    for workers in (2, 4):
        told(f"{workers} processes", Local(workers))
    with cluster(nodes=3, processors=2):
        for workers in (1, 2, 4):
            told(f"{workers} on Ray", OnRay(workers))


def kill_judges(folder: Path, dataset: str, kills: int, seed: int) -> None:
    """Judge while workers die, one kind of evaluation after the other, and print how results differ."""
    asked = experiments(dataset)
    alone = {kind: judged(one, folder / "alone" / kind, HERE) for kind, one in asked.items()}
    turns = cycle(asked)

    def run(place: Path) -> str:
        kind = next(turns)
        return f"{kind}, {difference(judged(asked[kind], place, OnRay(WORKERS)), alone[kind])}"

    kill_while(run, folder, kills, seed)


def judged(experiment: Experiment, folder: Path, engine: Engine) -> Found:
    """The results of an evaluation without what clocks told."""
    places = {"out": folder / "out", "cache": folder / "cache"}
    settled = evaluate(experiment.model_copy(update=places), silent, engine)
    if settled.failed is not None:
        raise settled.failed
    return Counter(line for place in settled.done for line in _lines(place))


def _lines(place: Path) -> list[str]:
    if (place / HEADER).exists():
        results: list[Any] = result_lines(place).read()
    else:
        _, checkpoints, online = read_stream(place)
        results = [*checkpoints, *online]
    return [json.dumps([place.name, _still(asdict(one))], sort_keys=True) for one in results]


def _still(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _still(of) for name, of in value.items() if name not in CLOCKS}
    return [_still(one) for one in value] if isinstance(value, list | tuple) else value


def difference(found: Found, alone: Found) -> str:
    """How results differ from those of this process, to the last bit."""
    lost, more = alone - found, found - alone
    return f"{found.total()} results, {lost.total()} lost or different, {more.total()} twice or different"
