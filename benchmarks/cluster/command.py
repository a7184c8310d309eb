"""A cluster of Ray in this machine, measured: how fast, whether the numbers stay, and what deaths leave."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cluster.asking import kill_askers
from benchmarks.cluster.building import efficiency, kill_builders
from benchmarks.cluster.judging import compare, kill_judges
from evaluation.data.miniature import DATASET, ensure_built
from mmedit_build.console import quiet_loading
from mmedit_build.errors import check_name

PARTS = ("efficiency", "building", "same", "judging", "asking")


def main(
    parts: Annotated[list[str] | None, typer.Argument(help=f"{', '.join(PARTS)}; all.")] = None,
    dataset: Annotated[str, typer.Option(help="Whose edits are judged.")] = str(DATASET),
    kills: Annotated[int, typer.Option(min=1, help="How many workers and nodes die at each part.")] = 50,
    seed: Annotated[int, typer.Option(help="Of who dies when.")] = 0,
) -> None:
    """Measure a stage that waits on one node and on four; kill workers and nodes while such stages run; judge
    with one, two and four workers; and kill those, also while they wait for a served model."""
    for part in parts or PARTS:
        check_name("part", part, PARTS)
    quiet_loading()
    runs: dict[str, Callable[[Path], None]] = {
        "efficiency": efficiency,
        "building": partial(kill_builders, kills=kills, seed=seed),
        "same": partial(compare, dataset=dataset),
        "judging": partial(kill_judges, dataset=dataset, kills=kills, seed=seed),
        "asking": partial(kill_askers, dataset=dataset, kills=kills, seed=seed),
    }
    ensure_built(dataset)
    for part in parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            typer.echo(f"{part}:")
            runs[part](Path(folder))
