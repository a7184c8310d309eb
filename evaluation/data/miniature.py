"""The miniature benchmarks, built where a command wants one and nobody has built it."""

from __future__ import annotations

from pathlib import Path

import typer

DATASET = Path("runs/miniature/dataset")
"""What `mmedit-build run` writes when it is told nothing else."""


def is_to_build(dataset: str) -> bool:
    """Whether it is a miniature in its usual place, and not there."""
    work = Path(dataset).parent
    if Path(dataset).exists() or Path(dataset) != Path("runs") / work.name / "dataset":
        return False
    # Imported here, as all other datasets are there already.
    from mmedit_build.recipe.loading import bundled, load_recipe

    return work.name in bundled() and load_recipe(work.name).draw is not None


def built_elsewhere(dataset: str) -> str:
    """A miniature of the same name that was built in another folder here, or the dataset itself."""
    if not is_to_build(dataset):
        return dataset
    name = Path(dataset).parent.name
    return next((str(found) for found in sorted(Path().glob(f"*/{name}/dataset"))), dataset)


def ensure_built(dataset: str) -> None:
    """Build a miniature in its usual place, as `mmedit-build run` does, if it is what is wanted and is not
    there; a build that was interrupted goes on."""
    if is_to_build(dataset):
        from mmedit_build.cli import build

        work = Path(dataset).parent
        typer.echo(
            f"The miniature benchmark is not built yet; building it in {work}, which takes a minute or two. "
            "Ctrl-C stops it; --dataset takes another dataset, and one built elsewhere."
        )
        build("run", work.name, work)
