"""The command mmedit-eval: evaluate models and edits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from evaluation import actions
from evaluation.leaderboard.cli import leaderboard, submit
from evaluation.options import (
    Cache,
    Conflicts,
    DatasetName,
    Device,
    ExperimentFile,
    Images,
    JudgeName,
    MethodNames,
    ModelName,
    Orders,
    PartNames,
    Precision,
    ResultFolders,
    Seed,
    Seeds,
    Stream,
    TaskName,
    Template,
)
from evaluation.tracing.cli import trace
from mmedit_build.engine.options import Address, Devices, EngineName, Workers, open_engine
from mmedit_build.errors import UserError, resumable, run_app
from mmedit_build.loudness import App
from mmedit_build.pages.options import USUAL_CACHE, USUAL_PORT, IndexCache, Port
from mmedit_build.places import named, place
from mmedit_build.storage.session import within_session
from mmedit_build.version import Version

# The heavy libraries are imported inside the commands, so that --help answers at once.
app = App(no_args_is_help=True, pretty_exceptions_show_locals=False)


def main() -> None:
    run_app(within_session(app))


@app.callback(invoke_without_command=True)
def evaluate(
    context: typer.Context,
    method: MethodNames = None,
    part: PartNames = None,
    model: ModelName = None,
    dataset: DatasetName = None,
    task: TaskName = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="legacy (teacher-forced), wild (free answers).", show_default="legacy,wild"),
    ] = None,
    prompts: Annotated[
        Literal["family", "raw"] | None,
        typer.Option(
            help="Ask as the model is meant to be asked, or as MMEdit's code does.", show_default="family"
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many edits of a task.")] = None,
    at_once: Annotated[
        str | None,
        typer.Option(help="Edits that one patch makes; a comma list for runs of several.", show_default="1"),
    ] = None,
    stream: Stream = None,
    orders: Orders = None,
    conflicts: Conflicts = None,
    judge: JudgeName = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results.", show_default="runs/eval", parser=place, metavar="PATH"),
    ] = None,
    config: ExperimentFile = None,
    images: Images = None,
    device: Device = None,
    dtype: Precision = None,
    template: Template = None,
    seed: Seed = None,
    seeds: Seeds = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Queries at a time.", show_default="32")
    ] = None,
    cache: Cache = None,
    workers: Workers = None,
    devices: Devices = None,
    engine: EngineName = "local",
    address: Address = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be run and what is there, and do nothing.")
    ] = False,
    _version: Version = None,
) -> None:
    """Judge methods that edit multimodal models.

    Without a command, the methods that --method names edit the model, one edit of the dataset at a time, and
    their results are written. The same command given again goes on where it stopped.
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    protocols = None if protocol is None else [name.strip() for name in protocol.split(",")]
    changes = {
        "model": model,
        "dataset": dataset,
        "task": task,
        "protocols": protocols,
        "prompts": prompts,
        "limit": limit,
        "parts": part,
        "at_once": at_once,
        "stream": stream,
        "orders": orders,
        "conflicts": conflicts,
        "judge": judge,
        "out": out,
        "images": images,
        "device": device,
        "dtype": dtype,
        "template": template,
        "seed": seed,
        "seeds": seeds,
        "batch_size": batch_size,
        "cache": cache,
    }
    if dry_run:
        actions.preview(actions.experiment_of(method, config, changes))
        return
    with resumable():
        actions.evaluate(
            actions.experiment_of(method, config, changes), open_engine(engine, workers, devices, address)
        )


@app.command()
def fit(
    method: MethodNames = None,
    part: PartNames = None,
    model: ModelName = None,
    dataset: DatasetName = None,
    task: TaskName = None,
    config: ExperimentFile = None,
    images: Images = None,
    device: Device = None,
    dtype: Precision = None,
    template: Template = None,
    seed: Seed = None,
    seeds: Seeds = None,
    cache: Cache = None,
) -> None:
    """Train the editors of methods that learn; otherwise that is done when they are first used."""
    changes = {
        "model": model,
        "dataset": dataset,
        "task": task,
        "parts": part,
        "images": images,
        "device": device,
        "dtype": dtype,
        "template": template,
        "seed": seed,
        "seeds": seeds,
        "cache": cache,
    }
    with resumable():
        actions.fit(actions.experiment_of(method, config, changes))


@app.command()
def report(
    folders: ResultFolders,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the report.", show_default="the first DIR", parser=place, metavar="PATH"
        ),
    ] = None,
    images: Images = None,
) -> None:
    """Write a page and tables (HTML, Markdown, LaTeX, CSV) from results; no model is needed.

    Folders of `mmedit-eval trace` join the page.
    """
    from evaluation.report.stream_tables import find_all

    actions.write_report(*find_all(folders), folders, out or folders[0], images)


@app.command()
def export(
    folders: ResultFolders,
    out: Annotated[
        Path,
        typer.Option(help="The Parquet file, or the folder for eee.", parser=place, metavar="PATH"),
    ],
    format_: Annotated[
        Literal["parquet", "eee"],
        typer.Option("--format", help="One flat table, or records for the datastore of Every Eval Ever."),
    ] = "parquet",
    organization: Annotated[
        str | None, typer.Option(help="Who ran it, for eee.", metavar="NAME", parser=named)
    ] = None,
) -> None:
    """Write all that was asked and answered, for other tools: a row for each probe."""
    from evaluation.report.flat import write_flat
    from evaluation.report.runs import find_runs
    from mmedit_build.console import show_path

    if format_ == "parquet":
        write_flat(find_runs(folders), out)
        show_path("Table", out)
        return
    if organization is None:
        raise UserError("Every Eval Ever asks who ran an evaluation: say so with --organization.")
    from evaluation.leaderboard.eee import write_eee

    write_eee([run for of_task in find_runs(folders).values() for run in of_task], organization, out)
    show_path("Records", out)


app.command()(submit)
app.command()(leaderboard)


@app.command()
def view(
    folders: ResultFolders,
    port: Port = USUAL_PORT,
    images: Images = None,
    cache: IndexCache = USUAL_CACHE,
) -> None:
    """Look at all cases in a browser: filter, sort, compare methods and models, see every answer and picture.

    The page is served to this machine alone, until Ctrl-C. The first look at results makes an index of them.
    """
    from evaluation.viewing.command import view as view_all

    view_all(folders, cache, images, port)


@app.command("judge")
def judge_(
    folders: ResultFolders,
    judge: JudgeName = None,
    config: ExperimentFile = None,
    cache: Cache = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say what would be asked, and what it costs.")
    ] = False,
) -> None:
    """Have the free answers in results judged by a chat model; no other model is needed."""
    from evaluation.run.experiment import make_experiment

    experiment = make_experiment(config, {"judge": judge, "cache": cache})
    if experiment.judge is None:
        raise UserError("Name a judge: --judge MODEL@ADDRESS, or `judge` in an experiment file.")
    with resumable():
        actions.judge(experiment, folders, estimate=estimate)


app.command()(trace)


@app.command()
def check(
    method: Annotated[
        str, typer.Argument(help="A method, or package.module:Class of an editor of your own.")
    ],
    model: ModelName = None,
    dataset: DatasetName = None,
    task: TaskName = None,
    limit: Annotated[int, typer.Option(min=1, help="On how many edits of each task it is tried.")] = 2,
    config: ExperimentFile = None,
    images: Images = None,
    device: Device = None,
    dtype: Precision = None,
    template: Template = None,
    seed: Seed = None,
    cache: Cache = None,
) -> None:
    """Try whether an editor keeps to the contract of editors, and whether answers leak into it.

    The exit code is 1 if it does not.
    """
    from rich.console import Console

    from evaluation.check_command import check_method, sentences, table
    from mmedit_build.console import progress, quiet_loading

    changes = {
        "model": model,
        "dataset": dataset,
        "task": task,
        "limit": limit,
        "images": images,
        "device": device,
        "dtype": dtype,
        "template": template,
        "seed": seed,
        "cache": cache,
    }
    quiet_loading()
    experiment = actions.experiment_of(method, config, changes)
    tried = check_method(experiment, progress)
    Console().print(table(method, tried))
    for line in sentences(tried):
        typer.echo(line)
    raise typer.Exit(int(tried.failed))


@app.command("list")
def list_(
    topic: Annotated[
        str | None,
        typer.Argument(help="A method or my_module:MyEditor, for its options; models; scores."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print methods and their options as JSON.")] = False,
    model: Annotated[
        str | None,
        typer.Option(help="A model, to load it and show what was found.", parser=named, metavar="NAME"),
    ] = None,
    template: Template = None,
) -> None:
    """Show the methods, the options of one of them, the models, one of these, or what the scores mean."""
    from rich.console import Console

    if model is not None:
        if topic is not None or json:
            raise UserError("Give list --model alone: it shows a model and no methods.")
        from evaluation.found import model_table

        Console().print(model_table(model, template))
        return
    if template is not None:
        raise UserError("Give --template together with --model: it says how that model is asked.")
    from evaluation.listing import as_json, table

    if json:
        typer.echo(as_json(topic))
    else:
        Console().print(table(topic))


@app.command()
def base(
    model: Annotated[
        str,
        typer.Option(
            help="A bundled checkpoint, a folder, or an id on the Hub.", parser=named, metavar="NAME"
        ),
    ] = "miniature/mllm",
    questions: Annotated[Path | None, typer.Option(help="VQAv2 questions (JSON).")] = None,
    annotations: Annotated[Path | None, typer.Option(help="VQAv2 annotations (JSON).")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder with the images of the questions.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only the first so many questions.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the answers and the picture.")] = Path("runs/base"),
    device: Device = None,
    dtype: Precision = None,
    template: Template = None,
) -> None:
    """Ask an unedited model VQAv2 questions and show what it answers.

    Without question files it asks about drawings of the miniature world.
    """
    from evaluation.vqa_command import ask_about, choose_questions, show
    from mmedit_build.checkpoints import locate
    from mmedit_build.store import check_writable

    locate(model)
    check_writable(out)
    rows = choose_questions(questions, annotations, images, limit, out)
    show(ask_about(rows, model, {"device": device, "dtype": dtype, "template": template}), out)


def _refuse_options(context: typer.Context) -> None:
    """Options before a command would be lost without a word."""
    usual = {one.name: one.default for one in context.command.params}
    given = [name for name, value in context.params.items() if value != usual[name]]
    if given:
        option = "--" + given[0].replace("_", "-")
        raise UserError(f"Give {option} after the command {context.invoked_subcommand}, not before it.")
