"""The miniature benchmark, built where a command wants it and nobody has built it."""

from __future__ import annotations

from pathlib import Path

import typer

DATASET = Path("runs/miniature/dataset")
"""What `mmedit-build run` writes when it is told nothing else."""


def ensure_built(dataset: str) -> None:
    """Build the miniature in its usual place, as `mmedit-build run` does, if it is what is wanted and is not
    there; a build that was interrupted goes on."""
    if dataset != str(DATASET) or DATASET.exists():
        return
    # Imported here, as all other datasets are there already.
    from mmedit_build.cli import build
    from mmedit_build.recipe.loading import MINIATURE

    work = DATASET.parent
    typer.echo(
        f"The miniature benchmark is not built yet; building it in {work}, which takes a minute or two."
    )
    build("run", MINIATURE, work)
