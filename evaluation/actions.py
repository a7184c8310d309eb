"""What the commands of mmedit-eval do once their options are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mmedit_build.errors import UserError

# The heavy libraries are imported inside, so that --help answers at once and reports need no model.
if TYPE_CHECKING:
    from evaluation.report.runs import Run
    from evaluation.report.stream_tables import StreamRun
    from evaluation.run.experiment import Experiment
    from mmedit_build.engine.base import Engine
    from mmedit_build.rows import Task


def on_what(config: Path | None, changes: dict[str, Any]) -> Experiment:
    """The experiment, whichever methods it is for."""
    from evaluation.run.experiment import make_experiment
    from evaluation.run.suited import usual_dataset

    experiment = make_experiment(config, changes)
    if "dataset" in experiment.model_fields_set:
        return experiment
    return experiment.model_copy(update={"dataset": usual_dataset(experiment.model)})


def experiment_of(method: str | None, config: Path | None, changes: dict[str, Any]) -> Experiment:
    """The experiment with its methods, and the options that suit its model."""
    from editors import makes_all
    from evaluation.run.components import by_part
    from evaluation.run.experiment import choose
    from evaluation.run.suited import suited

    experiment = on_what(config, changes)
    chosen = experiment.methods if method is None else choose(method, experiment.methods)
    if not chosen:
        raise UserError("Name a method with --method, or all; `mmedit-eval list` shows them.")
    methods = suited(chosen, experiment.model, experiment.revision)
    if experiment.parts:
        methods, left_out = by_part(methods, experiment.parts)
        if left_out:
            typer.echo(f"Left out, as they cannot be told which part to edit: {', '.join(left_out)}.")
    if experiment.stream:
        whole = [name for name, one in methods.items() if makes_all(one.editor_class(name))]
        # Named alone, they are refused with a reason.
        if whole and len(whole) < len(methods):
            typer.echo(f"Left out, as what makes all edits at once has no stream: {', '.join(whole)}.")
            methods = {name: one for name, one in methods.items() if name not in whole}
    return experiment.model_copy(update={"methods": methods})


def fit(experiment: Experiment) -> None:
    """Let methods learn."""
    from evaluation.run.evaluate import fit as fit_all
    from mmedit_build.console import progress, quiet_loading, show_path

    quiet_loading()
    settled = fit_all(experiment, progress)
    for done in settled.done:
        typer.echo(f"{'Had learned' if done.cached else 'Learned'} in {done.seconds:.1f} s.")
        show_path("Editor", done.path)
    if settled.failed is not None:
        raise settled.failed
    if not settled.done:
        typer.echo(f"{', '.join(experiment.methods)}: nothing to learn.")


def evaluate(experiment: Experiment, engine: Engine) -> None:
    """Judge methods, and show what came of it."""
    from rich.console import Console

    from evaluation.report.screen import tables
    from evaluation.report.stream_tables import find_all
    from evaluation.run.evaluate import evaluate as evaluate_all
    from evaluation.run.grading import check_judge
    from evaluation.run.served import unanswered
    from mmedit_build.console import progress, quiet_loading, show_path

    quiet_loading()
    check_judge(experiment)
    settled = evaluate_all(experiment, progress, engine)
    done, failed = settled.done, settled.failed
    if done and experiment.judge is not None:
        try:
            judge(experiment, done)
        except UserError as error:
            # The results are there, and are shown first.
            failed = failed or error
    if done:
        # Of all that stands there, whichever command wrote it.
        runs, streams = find_all([experiment.out])
        for table in tables(runs, streams):
            Console().print(table)
        if waiting := sum(unanswered(run.header) for of_task in runs.values() for run in of_task):
            typer.echo(f"{waiting:,} edits got no answer; the same command asks for them again.")
        show_path("Results", experiment.out)
        write_report(runs, streams, [experiment.out], experiment.out, experiment.images)
    if failed is not None:
        raise failed


def preview(experiment: Experiment) -> None:
    """Show what would be run, and run nothing."""
    from rich.console import Console

    from evaluation.data.miniature import is_to_build
    from evaluation.report.outlook import TRIAL, sentences, table
    from evaluation.run.loading import load_editors
    from evaluation.run.preview import outlooks
    from evaluation.run.served import check_served

    if is_to_build(experiment.dataset):
        check_served(experiment)
        load_editors(experiment)  # Mistakes in them are told now, and not after the build.
        typer.echo(
            "The miniature benchmark is built first, which takes a minute or two; how many edits it has is "
            f"known then. The command with --limit {TRIAL} builds it and measures what an edit takes; what "
            "it does is kept."
        )
        return
    found = outlooks(experiment)
    Console().print(table(found))
    for line in sentences(found):
        typer.echo(line)


def judge(experiment: Experiment, folders: Sequence[Path], *, estimate: bool = False) -> None:
    """Have answers judged by a language model, or only say what that costs."""
    from rich.console import Console

    from evaluation import judge_command
    from evaluation.report.runs import find_runs
    from evaluation.report.screen import judged
    from mmedit_build.console import progress, quiet_loading

    assert experiment.judge is not None
    quiet_loading()
    typer.echo(judge_command.before(experiment.judge, folders, experiment.cache))
    if not estimate:
        for line in judge_command.judge(experiment.judge, folders, experiment.cache, progress):
            typer.echo(line)
        for table in judged(find_runs(folders)):
            Console().print(table)


def write_report(
    runs: dict[Task, list[Run]],
    streams: dict[Task, list[StreamRun]],
    folders: Sequence[Path],
    out: Path,
    images: Path | None,
) -> None:
    """Write tables and the page, and say where."""
    from evaluation.report.page import write_page
    from evaluation.report.tables import write_tables
    from evaluation.tracing.records import find_traces
    from mmedit_build.console import show_path

    for path in write_tables(runs, out, streams):
        show_path(path.suffix.removeprefix(".").upper(), path)
    show_path("Page", write_page(runs, out, images, find_traces(folders), streams))
