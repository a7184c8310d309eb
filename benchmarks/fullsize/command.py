"""Full size without weights: what methods take on models in their real shapes, and what they should take.

    python -m benchmarks.fullsize llava-1.5-7b --methods mine,ft

Weights are random and nothing is downloaded. Each method is run in a process of its own; its options are
those published for the model, but for counts of steps and samples. Memory is told first, from shapes alone;
what would not fit is not run.
"""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.fullsize.budget import Budget, Sizes
from benchmarks.fullsize.running import RUNS, Measured, measure, options, published
from benchmarks.fullsize.shapes import MODELS
from mmedit_build.errors import UserError, check_name
from mmedit_build.mllm.loading import find_device, find_dtype

GB = 10**9
COLUMNS = (
    *("run", "budget", "peak", "build, s", "fit, s", "plan, s", "step, s"),
    *("published numbers", "of which besides weights"),
)


def main(
    model: Annotated[str, typer.Argument(help=f"One of {', '.join(MODELS)}.")],
    methods: Annotated[str, typer.Option(help="A comma list.")] = ",".join(RUNS),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="Precision of the weights.")] = "bfloat16",
    room: Annotated[float | None, typer.Option(help="GB that may be used; else what is free.")] = None,
) -> None:
    """Run methods on a model of random weights and print a table of memory (GB) and seconds."""
    try:
        check_name("model", model, MODELS)
        for name in methods.split(","):
            check_name("run", name, RUNS)
        place, precision = find_device(device), find_dtype(dtype, find_device(device))
        for line in table(model, methods.split(","), place, precision, room):
            typer.echo(line)
    except UserError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from error


def table(
    model: str, methods: list[str], device: torch.device, dtype: torch.dtype, room: float | None
) -> Iterator[str]:
    """Its lines, each as soon as it is known."""
    sizes = Sizes(MODELS[model](), dtype)
    yield f"{model}, {dtype}, {device}: {sizes.weights / GB:.2f} GB of weights, rows of {sizes.row} positions"
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    for what in methods:
        member = MODELS[model]()
        budget = sizes.budget(what, options(member, what), device)
        full = sizes.budget(what, published(member, what), device)
        if budget.whole > (free(device) if room is None else room * GB):
            yield _row(what, budget, full, "not run")
            continue
        try:
            yield _row(what, budget, full, _apart(model, what, device, dtype))
        except BrokenProcessPool:
            yield _row(what, budget, full, "killed")


def free(device: torch.device) -> float:
    """Bytes that nobody uses."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return int(found[1]) * 1024 if found else float("inf")


def _apart(model: str, what: str, device: torch.device, dtype: torch.dtype) -> Measured:
    """In a new process, whose memory holds nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, model, what, device, dtype).result()


def _measured(model: str, what: str, device: torch.device, dtype: torch.dtype) -> Measured:
    return measure(model, MODELS[model](), what, device, dtype)


def _row(what: str, budget: Budget, full: Budget, found: Measured | str) -> str:
    besides = ", ".join(f"{name} {of / GB:.1f}" for name, of in full.parts.items() if name != "weights")
    cells = [what, f"{budget.whole / GB:.1f}"]
    if isinstance(found, str):
        cells += [found, "", "", "", ""]
    else:
        seconds = (found.seconds.get(phase) for phase in ("build", "fit", "plan"))
        # What is run besides methods has a phase of its own name.
        plan = found.seconds.get(what)
        cells += [f"{found.most / GB:.1f}"]
        cells += ["" if one is None else f"{one:.1f}" for one in (*seconds,)]
        cells[-1] = cells[-1] or f"{plan:.1f}"
        cells += ["" if found.step is None else f"{found.step:.2f}"]
    return f"| {' | '.join([*cells, f'{full.whole / GB:.1f}', besides])} |"
