"""How much faster it is to compute only what an edit can change: `python -m benchmarks.speed`.

Both modes give the same scores; what is told is how long each takes, side by side in one process on one
thread of the CPU.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.speed.models import DEMONSTRATIONS, LONG, MINIATURE, Setting, Shape, write_model
from benchmarks.speed.modes import Comparison, Footprint, compare
from benchmarks.speed.training import BATCH, Training, compare_training
from evaluation.data.miniature import DATASET
from mmedit_build.checkpoints import locate
from mmedit_build.console import quiet_loading
from mmedit_build.errors import run_app
from mmedit_build.store import write_atomic

Name = Literal["miniature", "deep", "long"]
SHAPES: dict[Name, Shape] = {"deep": Shape(), "long": LONG}
METHODS: dict[Name, tuple[str, ...]] = {
    "miniature": ("mend", "ft", "ke", "ft-vision", "serac", "ike"),
    "deep": ("mend", "ft"),
    "long": ("ike, 32",),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """All about one model."""

    model: Name
    methods: list[Comparison]
    training: Training


app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@app.command()
def speed(
    model: Annotated[
        Literal["miniature", "deep", "long", "all"],
        typer.Option(help="The bundled model, one of random weights with 24 layers, one with room, or all."),
    ] = "all",
    dataset: Annotated[str, typer.Option(help="Where the edits come from.")] = str(DATASET),
    edits: Annotated[int, typer.Option(min=1, help="Edits that are judged.")] = 16,
    repeats: Annotated[int, typer.Option(min=1, help="How often both modes take turns.")] = 3,
    save: Annotated[Path | None, typer.Option("--json", help="File for all numbers.")] = None,
) -> None:
    """Measure evaluation and MEND's training steps with and without reuse."""
    torch.set_num_threads(1)
    quiet_loading()
    names: tuple[Name, ...] = tuple(METHODS) if model == "all" else (model,)
    measured = []
    for name in names:
        measured.append(measure(name, dataset, edits, repeats))
        for table in (evaluation_table(measured[-1]), cost_table(measured[-1]), training_table(measured[-1])):
            Console().print(table)
        if save is not None:
            write_atomic(save, json.dumps([asdict(one) for one in measured], indent=2).encode())


def measure(name: Name, dataset: str, edits: int, repeats: int) -> Measured:
    """Every method of a model, then training."""
    with _model(name) as folder:
        setting = Setting.load(folder, dataset, edits, train=max(repeats * BATCH, DEMONSTRATIONS))
        methods = [compare(method, setting, repeats) for method in METHODS[name]]
        return Measured(name, methods, compare_training(setting, repeats))


@contextmanager
def _model(name: Name) -> Iterator[str]:
    if name == "miniature":
        yield locate(MINIATURE)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield write_model(Path(folder), SHAPES[name])


def evaluation_table(measured: Measured) -> Table:
    """One row for each method."""
    first = measured.methods[0]
    table = Table(title=f"{measured.model}: {first.edits} edits, {first.probes} probes, per edit")
    times = ("reusing (s)", "plain (s)", "ratio", "of repeats", "floor (s)", "reached")
    titles = (*times, "legacy scores", "answers", "log p apart")
    for title in titles:
        table.add_column(title, justify="right")
    for one in measured.methods:
        table.add_row(
            one.method,
            f"{one.reusing.seconds:.3f}",
            f"{one.plain.seconds:.3f}",
            f"{one.ratio:.1f}",
            _spread(one.ratios),
            f"{one.floor:.4f}",
            f"{one.reached:.0%}",
            *("equal" if equal else "DIFFER" for equal in (one.legacy_equal, one.answers_equal)),
            f"{one.apart:.0e}",
        )
    asked = first.unedited
    table.caption = (
        f"Asking the unedited model, once for all methods: {asked.seconds:.3f} s, {asked.vision:.1f} vision "
        f"and {asked.layers:.0f} layer passes per edit. The floor is what the reusing mode's products of "
        "matrices take at the rate of a linear module of this model."
    )
    return table


def cost_table(measured: Measured) -> Table:
    """Passes of each method and mode for each edit, and memory."""
    table = Table(title=f"{measured.model}: passes per edit, and memory as model, cache and peak (MiB)")
    table.add_column("method")
    for title in ("vision", "layers", "model", "cache", "peak", "peak without cache / model"):
        table.add_column(title, justify="right")
    for one in measured.methods:
        modes = (("reusing", one.reusing, one.reusing_memory), ("plain", one.plain, one.plain_memory))
        for mode, work, memory in modes:
            passes = (f"{work.vision:.1f}", f"{work.layers:.0f}")
            table.add_row(f"{one.method}, {mode}", *passes, *_memory(memory), end_section=mode == "plain")
    return table


def training_table(measured: Measured) -> Table:
    """MEND's training steps."""
    one = measured.training
    table = Table(title=f"{measured.model}: MEND training, {one.steps} steps of {one.batch} edits, per edit")
    table.add_column("")
    for title in ("seconds", "vision passes", "layer passes"):
        table.add_column(title, justify="right")
    works = (("reusing", one.reusing), ("plain", one.plain), ("preparing, once per train edit", one.prepared))
    for name, work in works:
        table.add_row(name, f"{work.seconds:.4f}", f"{work.vision:.1f}", f"{work.layers:.1f}")
    table.caption = (
        f"Ratio {one.ratio:.1f} ({_spread(one.ratios)}); relative difference of losses {one.loss_apart:.0e}, "
        f"of gradients {one.gradients_apart:.0e}."
    )
    return table


def _spread(ratios: Sequence[float]) -> str:
    return f"{min(ratios):.1f} to {max(ratios):.1f}"


def _memory(memory: Footprint | None) -> tuple[str, ...]:
    if memory is None:
        return ()
    sizes = (memory.model, memory.cache, memory.peak)
    return (*(f"{one / 2**20:.0f}" for one in sizes), f"{memory.ratio:.2f}")


def main() -> None:
    run_app(app)
