"""Editing facts of a real language model: SmolLM2-135M-Instruct, in words alone.

    python -m benchmarks.reality --methods rome,ft

It asks the model for some hundred facts of a table, keeps those that it knows, and edits them with every
method. All is kept in one folder, and the same command goes on where it stopped. What is written there can
also be given to `mmedit-eval`: `--model runs/reality/model --dataset runs/reality/facts --template plain`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.reality.dataset import write_dataset
from benchmarks.reality.knowing import ask_all, known_facts, read_table
from benchmarks.reality.locating import trace_facts
from benchmarks.reality.model import ensure_model
from benchmarks.reality.running import AtBench, FactBench
from benchmarks.reality.table import table
from evaluation.data.dataset import load_cases
from evaluation.data.facts import FILES
from evaluation.report.formats import as_markdown
from evaluation.run.attempts import Attempts
from evaluation.run.experiment import UNEDITED, choose, make_experiment
from evaluation.run.loading import THREADS, load_editors
from evaluation.run.runs import Runs
from evaluation.tracing.page import write_page, write_pictures
from evaluation.tracing.screen import show
from mmedit_build.console import progress, quiet_loading
from mmedit_build.engine.local import Here
from mmedit_build.errors import UserError
from mmedit_build.files import is_file
from mmedit_build.mllm import MLLM

METHODS = "ft,ft-l,rome,memit,mend,serac,ike,kn"
OPTIONS = Path(__file__).parent / "options.yaml"
TEST = 60
"""Edits that are judged; all other known facts are for editors to learn from."""
PLAIN = "plain"
"""Prompts are sentences to complete, as in the papers, and no turns of a chat."""


def main(
    methods: Annotated[str, typer.Option(help="A comma list; `all` is every one there is.")] = METHODS,
    limit: Annotated[int, typer.Option(min=1, help="Edits of each method.")] = 50,
    traced: Annotated[int, typer.Option(min=0, help="Facts that are traced; 0 traces none.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the model, the facts and all results.")] = Path(
        "runs/reality"
    ),
) -> None:
    """Edit what SmolLM2 knows, and print a table."""
    quiet_loading()
    try:
        typer.echo(run(methods, limit, traced, out))
    except UserError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from error


def run(methods: str, limit: int, traced: int, out: Path) -> str:
    """All that is not done yet; the table."""
    file = make_experiment(OPTIONS, {})
    chosen = choose(methods, file.methods)
    experiment = make_experiment(
        None,
        {
            "methods": chosen,
            "model": str(out / "model"),
            "template": PLAIN,
            "dataset": str(out / "facts"),
            "protocols": ("legacy",),
            "limit": limit,
            "out": out / "results",
            "cache": out / "cache",
            "device": "cpu",
        },
    )
    editors = load_editors(experiment)
    if THREADS not in os.environ:
        torch.set_num_threads(1)
    mllm = MLLM.load(str(ensure_model(out / "model")), device="cpu", template=PLAIN)
    ensure_facts(mllm, out)
    train, test = (load_cases(str(out / "facts"), "vqa", split) for split in ("train", "test"))
    if traced:
        show({"text": trace_facts(mllm, train, traced, out / "trace", progress)})
        write_pictures(out / "trace")
        write_page(out / "trace")
    judge(FactBench(experiment, mllm, "vqa", test, progress, editors))
    return as_markdown(table(experiment.out, [UNEDITED, *editors]))


def ensure_facts(mllm: MLLM, out: Path) -> None:
    """The edits of what the model knows, unless they are there."""
    if all(is_file(out / "facts" / name) for name in FILES.values()):
        return
    facts = read_table()
    with progress("Asking for facts", sum(len(one.facts) for one in facts.values())) as advance:
        right = ask_all(mllm, facts, out / "known.json", advance)
    known = known_facts(facts, right)
    counts = write_dataset(out / "facts", known, TEST)
    typer.echo(
        f"{len(known)} of {sum(map(len, right.values()))} facts are known: {counts['test']} edits to judge, "
        f"{counts['train']} to learn from.",
        err=True,
    )


def judge(bench: FactBench) -> None:
    """The unedited model and every method; what cannot run is told when the others are done."""
    crew = Here(AtBench(bench))
    runs = Runs(bench.experiment, "vqa", bench.cases, bench.editors, crew, progress)
    runs.unedited()
    bench.measure_unedited()
    attempts = Attempts[Path]()
    for name in bench.editors:
        with attempts.at(name, "vqa"):
            attempts.done.append(runs.judge(name))
    failed = attempts.settled().failed
    if failed is not None:
        typer.echo(f"Error: {failed}", err=True)
