"""What the engine itself costs: a stage that does nothing over more and more rows, each number in a process
of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.growth.measuring import Measured
from benchmarks.growth.plot import draw
from mmedit_build.console import show_path
from mmedit_build.store import write_atomic

ROWS = "10000,100000,1000000"


def main(
    out: Annotated[Path, typer.Argument(help="Folder for growth.json and growth.svg.")],
    rows: Annotated[str, typer.Option(help="Numbers of rows, with commas between.")] = ROWS,
) -> None:
    """Measure processor time a row and peak memory of a first run, of a second that finds all done, and of a
    third after each shard was cut anew."""
    measured = []
    for number in map(int, rows.split(",")):
        measured.append(_measured(number))
        typer.echo(measured[-1].sentence())
    numbers = json.dumps([asdict(one) for one in measured], indent=1)
    write_atomic(out / "growth.json", f"{numbers}\n".encode())
    write_atomic(out / "growth.svg", draw(measured))
    show_path("Plot", out / "growth.svg")


def _measured(rows: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.growth.measuring", folder, str(rows)]
        done = [subprocess.run([*command, kind], check=True, capture_output=True).stdout for kind in KINDS]
    return Measured(rows, *(number for one in done for number in json.loads(one)))


KINDS = ("first", "again", "cut")
