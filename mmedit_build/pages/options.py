"""Options of commands that serve a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmedit_build.places import place

USUAL_PORT = 8765
Port = Annotated[
    int,
    typer.Option(min=0, max=65535, help="Of this machine, where the page is served; 0 is any that is free."),
]
USUAL_CACHE = Path("runs/cache")
IndexCache = Annotated[
    Path,
    typer.Option(
        "--cache", help="Folder for the index, which can be made again.", parser=place, metavar="PATH"
    ),
]
