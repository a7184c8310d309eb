"""python -m mmedit_build.miniature: measure the bundled checkpoints and how much of a build is true; draw the
rows that the README shows."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmedit_build.checkpoints import WEIGHTS
from mmedit_build.errors import UserError, run_app

if TYPE_CHECKING:
    from rich.table import Table

    from mmedit_build.miniature.measure.base import Measure

VERDICTS = "truth.png"
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)


@app.callback()
def _about() -> None:
    """The miniature: its checkpoints, and what is built with them."""


@app.command()
def report(
    checkpoints: Annotated[
        list[str] | None, typer.Argument(help="mllm, qwen, chat, hops, clip, diffusion; without any, all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    weights: Annotated[Path, typer.Option(help="Folder of the checkpoints.")] = WEIGHTS,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Measure the checkpoints on drawings from seeds that no training used; exit 1 if a bar is missed."""
    from mmedit_build.console import progress, quiet_loading

    # The notes to hide are written while the libraries below are imported.
    quiet_loading()
    from mmedit_build.miniature.measure.report import MEASURES, measure
    from mmedit_build.mllm import find_device

    chosen = checkpoints or list(MEASURES)
    for name in chosen:
        if name not in MEASURES:
            raise UserError(f"There is no checkpoint {name!r}; choose from {', '.join(MEASURES)}.")
        if not (weights / name).is_dir():
            raise UserError(f"There is no folder {weights / name}; give the --out of the training.")
    with progress("Measuring", len(chosen)) as advance:
        measures = measure(chosen, weights, str(find_device(device)), advance)
    _show(measures, "checkpoint", as_json)
    if not all(row.holds for row in measures):
        raise typer.Exit(1)


@app.command()
def truth(
    recipe: Annotated[
        str, typer.Option(help="A recipe of the miniature: miniature or miniature-qwen.")
    ] = "miniature",
    seed: Annotated[str, typer.Option(help="Of the drawings, and of all choices of the stages.")] = "afresh",
    train_images: Annotated[int, typer.Option(min=1, help="Drawings of the split train2014.")] = 4000,
    val_images: Annotated[int, typer.Option(min=1, help="Drawings of the split val2014.")] = 2500,
    work: Annotated[Path, typer.Option(help="Folder of the build; run again, it goes on there.")] = Path(
        "runs/truth"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Build the miniature on other drawings and measure, by their scenes, how much of it is true; exit 1 if a
    bar is missed."""
    from mmedit_build.console import progress, quiet_loading

    quiet_loading()
    from mmedit_build.build import Build
    from mmedit_build.miniature.truth import build_all, drawn_anew, measure_truth
    from mmedit_build.miniature.verdicts import draw_verdicts
    from mmedit_build.recipe.loading import load_recipe
    from mmedit_build.work import Work

    chosen = drawn_anew(load_recipe(recipe), seed, train_images, val_images)
    build = Build(chosen, Work(work), progress)
    build_all(build)
    measures = measure_truth(build)
    draw_verdicts(build, work / VERDICTS)
    _show(measures, "stage", as_json)
    typer.echo(f"Some rows with their verdicts are drawn in {work / VERDICTS}.", err=True)
    if not all(row.holds for row in measures):
        raise typer.Exit(1)


@app.command()
def picture(
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("docs/rows.png"),
) -> None:
    """Build some rows of the miniature and draw them, as the README shows them; half a minute."""
    from mmedit_build.console import quiet_loading, show_path

    quiet_loading()
    from mmedit_build.miniature.picture import draw_rows

    draw_rows(out)
    show_path("Rows", out)


def _show(measures: list[Measure], subject: str, as_json: bool) -> None:
    from rich.console import Console

    if as_json:
        typer.echo(json.dumps([{**asdict(row), "holds": row.holds} for row in measures], indent=2))
    else:
        Console().print(_table(measures, subject))


def _table(measures: list[Measure], subject: str) -> Table:
    from rich.table import Table

    from mmedit_build.miniature.measure.base import shown

    table = Table(subject, "measure", title="The miniature")
    for heading in ("value", "must be", "of", "holds"):
        table.add_column(heading, justify="right")
    for row in measures:
        holds = "" if not row.bounds else "yes" if row.holds else "NO"
        table.add_row(row.subject, row.name, shown(row.value), row.bounds, str(row.examples), holds)
    return table


if __name__ == "__main__":
    run_app(app)
