"""The option --version of both commands."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer


def _show(wanted: bool | None) -> None:
    if wanted:
        typer.echo(f"mmedit {version('mmedit')}")
        raise typer.Exit


Version = Annotated[
    bool | None, typer.Option("--version", help="Show the version and end.", callback=_show, is_eager=True)
]
