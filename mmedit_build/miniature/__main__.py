"""python -m mmedit_build.miniature report: measure the bundled checkpoints."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from mmedit_build.errors import UserError, run_app

if TYPE_CHECKING:
    from rich.table import Table

    from mmedit_build.miniature.measure.base import Measure

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)


@app.callback()
def _about() -> None:
    """The miniature's checkpoints."""


@app.command()
def report(
    checkpoints: Annotated[
        list[str] | None, typer.Argument(help="mllm, chat, clip, diffusion; without any, all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
) -> None:
    """Measure the bundled checkpoints on scenes they never saw."""
    from rich.console import Console

    from mmedit_build.console import progress, quiet_loading
    from mmedit_build.miniature.measure.report import MEASURES, measure

    chosen = checkpoints or list(MEASURES)
    for name in chosen:
        if name not in MEASURES:
            raise UserError(f"There is no checkpoint {name!r}; choose from {', '.join(MEASURES)}.")
    quiet_loading()
    with TemporaryDirectory() as work, progress("Measuring", len(chosen)) as advance:
        measures = measure(chosen, Path(work), device, advance)
    if as_json:
        typer.echo(json.dumps([{**asdict(row), "holds": row.holds} for row in measures], indent=2))
    else:
        Console().print(_table(measures))


def _table(measures: list[Measure]) -> Table:
    from rich.table import Table

    table = Table("checkpoint", "measure", title="The miniature on held-out scenes")
    for heading in ("value", "must be", "of", "holds"):
        table.add_column(heading, justify="right")
    for row in measures:
        bounds = " ".join(
            f"{sign}{_number(bound)}"
            for sign, bound in ((">=", row.least), ("<=", row.most))
            if bound is not None
        )
        holds = "" if not bounds else "yes" if row.holds else "NO"
        table.add_row(row.checkpoint, row.name, _number(row.value), bounds, str(row.number), holds)
    return table


def _number(value: float) -> str:
    """Shares as percentages, counts as they are."""
    return f"{value:.1%}" if value <= 1 else f"{value:.0f}"


if __name__ == "__main__":
    run_app(app)
