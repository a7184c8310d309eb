"""The command mmedit-build: build benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmedit_build.errors import run_app

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)


def main() -> None:
    run_app(app)


@app.callback()
def _about() -> None:
    """Build multimodal knowledge-editing benchmarks for any base model."""


@app.command()
def miniature(
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    seed: Annotated[str, typer.Option(help="The same seed gives the same files.")] = "miniature",
    train_images: Annotated[int, typer.Option(min=1, help="Drawings of the train split.")] = 1000,
    val_images: Annotated[int, typer.Option(min=1, help="Drawings of the validation split.")] = 600,
) -> None:
    """Write the miniature's drawings with VQAv2, COCO, OK-VQA and NQ files about them."""
    # Imported here, so that --help does not wait for the libraries that draw.
    from mmedit_build.console import show_path
    from mmedit_build.miniature.sources import write_sources

    sources = write_sources(out, seed=seed, train_images=train_images, val_images=val_images)
    typer.echo(
        f"{sources.images} images with {sources.questions} questions, {sources.captions} captions and "
        f"{sources.knowledge_questions} knowledge questions; {sources.facts} facts."
    )
    show_path("Sources", sources.folder)
    show_path("Contact sheet", sources.contact_sheet)
