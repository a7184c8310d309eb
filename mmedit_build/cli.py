"""The command mmedit-build: build benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmedit_build.converters.cli import app as converters
from mmedit_build.engine.base import Engine
from mmedit_build.engine.local import HERE
from mmedit_build.engine.options import Address, Devices, EngineName, Workers, open_engine
from mmedit_build.errors import UserError, resumable, run_app
from mmedit_build.loudness import App
from mmedit_build.places import place
from mmedit_build.recipe_commands import app as recipes
from mmedit_build.review.cli import review
from mmedit_build.storage.session import within_session
from mmedit_build.version import Version
from mmedit_build.viewing.cli import view

# The heavy libraries are imported inside the commands, so that --help answers at once.
if TYPE_CHECKING:
    from mmedit_build.build import Build
    from mmedit_build.work import Work


def _complete_recipes(incomplete: str) -> list[str]:
    """What a shell offers besides files."""
    # Imported here, as it is wanted by shells alone.
    from mmedit_build.recipe.loading import bundled

    return [name for name in bundled() if name.startswith(incomplete)]


RecipeName = Annotated[
    str,
    typer.Argument(
        help="A bundled recipe, or a YAML file.", metavar="RECIPE", autocompletion=_complete_recipes
    ),
]
WorkFolder = Annotated[
    Path | None,
    typer.Option(
        "--work",
        help="Work folder, here or in storage (s3://...); by default runs/RECIPE.",
        parser=place,
        metavar="PATH",
    ),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many rows.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try again the rows that failed.")]

app = App(no_args_is_help=True, pretty_exceptions_show_locals=False)


def main() -> None:
    run_app(within_session(app))


@app.callback()
def _about(_version: Version = None) -> None:
    """Build multimodal knowledge-editing benchmarks for any base model.

    The stages are mine, rephrase, imagine, attach, extend (where the recipe has it) and publish; run does all
    of them. Whatever is interrupted goes on when the same command is given again.
    """


def _stage(name: str, about: str) -> None:
    """Add the command of one stage, or of all; `publish` has an option more and stands by itself."""

    @app.command(name, help=about)
    def stage(
        recipe: RecipeName = "miniature",
        work: WorkFolder = None,
        limit: Limit = None,
        dry_run: DryRun = False,
        retry_failed: RetryFailed = False,
        workers: Workers = None,
        devices: Devices = None,
        engine: EngineName = "local",
        address: Address = None,
    ) -> None:
        build(
            name,
            recipe,
            work,
            limit=limit,
            dry_run=dry_run,
            retry_failed=retry_failed,
            engine=open_engine(engine, workers, devices, address),
        )


_stage("mine", "Find what the base model gets wrong.")
_stage("rephrase", "Say each question in other words.")
_stage("imagine", "Render each image anew.")
_stage("attach", "Give each edit questions whose answers it shall not change.")

_stage("extend", "Ask what follows from each edit by common knowledge.")


@app.command()
def publish(
    recipe: RecipeName = "miniature",
    work: WorkFolder = None,
    limit: Limit = None,
    dry_run: DryRun = False,
    retry_failed: RetryFailed = False,
    workers: Workers = None,
    devices: Devices = None,
    engine: EngineName = "local",
    address: Address = None,
    embed_source_images: Annotated[
        bool | None,
        typer.Option(
            "--embed-source-images/--no-embed-source-images",
            help="Put the original images into the dataset, or only their ids; else as the recipe says.",
        ),
    ] = None,
) -> None:
    """Write the dataset, and send it to the Hub if the recipe names a repository."""
    build(
        "publish",
        recipe,
        work,
        limit=limit,
        dry_run=dry_run,
        retry_failed=retry_failed,
        engine=open_engine(engine, workers, devices, address),
        embed_source_images=embed_source_images,
    )


_stage("run", "Do all stages in their order.")


app.command()(review)
app.command()(view)


@app.command()
def status(recipe: RecipeName = "miniature", work: WorkFolder = None) -> None:
    """Show how many rows went into each stage, came out, were rejected and why, or failed."""
    from rich.console import Console

    from mmedit_build.console import show_path
    from mmedit_build.recipe.loading import load_recipe
    from mmedit_build.status import table

    folder = _folder(load_recipe(recipe).name, work)
    Console().print(table(folder))
    show_path("Work folder", folder.folder)


@app.command()
def audit(
    target: Annotated[
        str, typer.Argument(help="A work folder, a published dataset, an id on the Hub, or released JSON.")
    ],
    json: Annotated[
        Path | None, typer.Option(help="Write the numbers to this file.", parser=place, metavar="PATH")
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Write a page with numbers and examples here.", parser=place, metavar="PATH"),
    ] = None,
) -> None:
    """Count the faults of a benchmark: broken rephrases, false failures, leaks, and more."""
    from rich.console import Console
    from rich.table import Table

    from mmedit_build.audit.run import run_audit
    from mmedit_build.console import show_path

    header, lines = run_audit(target, json, page).table()
    table = Table(*header)
    for line in lines:
        table.add_row(*line)
    Console().print(table)
    for label, path in (("Numbers", json), ("Page", page)):
        if path is not None:
            show_path(label, path)


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder for the files.", parser=place, metavar="PATH")],
    recipe: RecipeName = "miniature",
    work: WorkFolder = None,
    layout: Annotated[
        Literal["easyedit"], typer.Option("--format", help="Layout of the files.")
    ] = "easyedit",
) -> None:
    """Write a finished build in the JSON layout of MMEdit and EasyEdit, with its images."""
    from mmedit_build.anew import Anew
    from mmedit_build.build import stored_rows
    from mmedit_build.console import show_path
    from mmedit_build.formats.exchange import export_edits
    from mmedit_build.recipe.loading import load_recipe
    from mmedit_build.review.heeding import heed

    loaded = load_recipe(recipe)
    folder = _folder(loaded.name, work)
    writers = {"easyedit": export_edits}
    edits = Anew(lambda: stored_rows(folder, folder.finished or "attach"))
    done = writers[layout](heed(edits, folder, loaded.publish.review).edits, folder, out)
    typer.echo(f"{sum(done.rows.values())} rows in {len(done.rows)} files, {done.images} images.")
    if done.missing_images:
        typer.echo(f"{done.missing_images} images are named but not there, and were not copied.")
    if done.without_locality:
        typer.echo(f"{done.without_locality} rows lack a locality item; EasyEdit drops or refuses these.")
    show_path("Files", out)


@app.command("import")
def import_(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder with MMEdit's vqa_train.json and the like, or VLKEB's.",
            parser=place,
            metavar="FOLDER",
        ),
    ],
    work: Annotated[Path, typer.Option("--work", help="Work folder to make.", parser=place, metavar="PATH")],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images, if not beside the files.", parser=place, metavar="PATH"),
    ] = None,
) -> None:
    """Make a work folder from files in the JSON layout of MMEdit and EasyEdit, or of VLKEB."""
    from mmedit_build.build import finish
    from mmedit_build.console import show_path
    from mmedit_build.engine.shards import Tally
    from mmedit_build.formats.exchange import import_rows
    from mmedit_build.work import Work

    made = Work(work)
    with made.locked():
        if made.stage("mine").exists() or made.finished:
            raise UserError(f"{work} holds a build already; choose another folder with --work.")
        tally = Tally()
        edits = tally.counted(import_rows(folder, made, images))
        typer.echo(finish(made, "attach", tally, edits).sentence())
    show_path("Work folder", work)


@app.command()
def miniature(
    out: Annotated[Path, typer.Option(help="Folder for the files.", parser=place, metavar="PATH")],
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


app.add_typer(converters, name="convert")
app.add_typer(recipes, name="recipe")


def _folder(name: str, work: Path | None) -> Work:
    from mmedit_build.work import Work

    return Work(place(work or Path("runs") / name))


def build(  # one parameter for each option of a stage
    stage: str,
    recipe: str,
    work: Path | None,
    *,
    limit: int | None = None,
    dry_run: bool = False,
    retry_failed: bool = False,
    engine: Engine = HERE,
    embed_source_images: bool | None = None,
) -> None:
    """What the command of a stage does, or `run` for all of them."""
    from mmedit_build.build import Build, stages_of
    from mmedit_build.choosing import overwriting
    from mmedit_build.console import progress, quiet_loading
    from mmedit_build.preflight import check_ready
    from mmedit_build.recipe.loading import load_recipe

    loaded = load_recipe(recipe)
    if embed_source_images is not None:
        section = loaded.publish.model_copy(update={"embed_source_images": embed_source_images})
        loaded = loaded.model_copy(update={"publish": section})
    folder = _folder(loaded.name, work)
    whole = Build(loaded, folder, progress, limit=limit, engine=engine, retry_failed=retry_failed)
    quiet_loading()
    all_stages = (*stages_of(loaded), "publish")
    if stage not in (*all_stages, "run"):
        raise UserError(
            f"The recipe {loaded.name} has no section `{stage}`; add one, as in recipes/miniature.yaml."
        )
    stages = all_stages if stage == "run" else (stage,)
    check_ready(whole, stages[0])
    if said := overwriting(whole, stages):
        typer.echo(said)
    if dry_run:
        _show_plan(whole, stages)
    else:
        _run(whole, stages)


def _show_plan(build: Build, stages: tuple[str, ...]) -> None:
    from mmedit_build.plan import plan

    for line in plan(build, stages):
        typer.echo(line)


def _run(build: Build, stages: tuple[str, ...]) -> None:
    from mmedit_build.api import run_stages

    with resumable():
        for done in run_stages(build, stages):
            typer.echo(done.sentence())
