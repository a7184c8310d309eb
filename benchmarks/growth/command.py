"""What the machinery costs over more and more rows, each number in a process of its own: the engine, by a
stage that does nothing, or the audit and the writing of a dataset."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from benchmarks.growth import exchange
from benchmarks.growth.datasets import KINDS, Dealt
from benchmarks.growth.measuring import Measured
from benchmarks.growth.plot import DATASETS, ENGINE, draw
from mmedit_build.console import show_path
from mmedit_build.store import write_atomic

Told = TypeVar("Told", Measured, Dealt)
ROWS = "10000,100000,1000000"


def main(
    out: Annotated[Path, typer.Argument(help="Folder for the numbers and the plot.")],
    rows: Annotated[str, typer.Option(help="Numbers of rows, with commas between.")] = ROWS,
    *,
    datasets: Annotated[bool, typer.Option("--datasets", help="Of datasets, not of the engine.")] = False,
) -> None:
    """Measure processor time a row and peak memory of a first run, of a second that finds all done, and of a
    third after each shard was cut anew; or of auditing a build, of publishing it, and of auditing that, of an
    export, and of an import."""
    numbers = [int(number) for number in rows.split(",")]
    if datasets:
        dealt = [_told(_dealt(number)) for number in numbers]
        _write(out, "datasets", dealt, draw(dealt, DATASETS, time=1000, memory=400))
    else:
        measured = [_told(Measured(number, *_measured("measuring", number, ENGINE))) for number in numbers]
        _write(out, "growth", measured, draw(measured, ENGINE, time=50, memory=300))


def _dealt(number: int) -> Dealt:
    """Without what it takes to make them."""
    found = (_measured("datasets", number, KINDS), _measured("exchange", number, exchange.KINDS))
    return Dealt(number, *(value for of in found for value in of[2:]))


def _measured(module: str, rows: int, kinds: Iterable[str]) -> list[float]:
    """Time and peak of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", f"benchmarks.growth.{module}", folder, str(rows)]
        done = [subprocess.run([*command, kind], check=True, capture_output=True).stdout for kind in kinds]
    return [number for one in done for number in json.loads(one)]


def _told(measured: Told) -> Told:
    typer.echo(measured.sentence())
    return measured


def _write(out: Path, name: str, measured: Sequence[Measured | Dealt], plot: bytes) -> None:
    numbers = json.dumps([asdict(one) for one in measured], indent=1)
    write_atomic(out / f"{name}.json", f"{numbers}\n".encode())
    write_atomic(out / f"{name}.svg", plot)
    show_path("Plot", out / f"{name}.svg")
