"""What the commands show on the terminal besides tables: progress, and where results lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Rate(ProgressColumn):
    """Finished items a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr with rate and time left; the function it yields is told how many more are done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total)
        yield lambda number: bar.advance(task, number)


def show_path(label: str, path: Path) -> None:
    """Name a result on a line of its own, neither styled nor wrapped, so that the path can be copied."""
    Console().print(f"{label}: {path}", soft_wrap=True, highlight=False, markup=False)


def quiet_loading() -> None:
    """Hide the bar with which transformers reads weights from disk, and its notes on packages that could be
    installed; the bar of downloads stays."""
    # Imported here, as the other functions are wanted by commands that load no model.
    from huggingface_hub import utils
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    # This is where the documentation has it, but not in the words that mypy asks of an export.
    utils.enable_progress_bars()  # type: ignore[attr-defined]
