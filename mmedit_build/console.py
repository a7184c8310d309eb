"""What the commands show on the terminal besides tables: progress, and where results lie."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

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

from mmedit_build.errors import UserError
from mmedit_build.store import REMEDY

LOGGER = "mmedit_build"


class _Rate(ProgressColumn):
    """Finished items a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")


class Advance(Protocol):
    """Tells a bar how many more are done, and what to note beside it."""

    def __call__(self, number: int, note: str = "") -> None: ...


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Advance]:
    """A bar on stderr with rate and time left; without a total it only shows that something goes on."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total, note="")

        def advance(number: int, note: str = "") -> None:
            bar.update(task, advance=number, note=note)

        yield advance


@contextmanager
def silent(label: str, total: int | None) -> Iterator[Advance]:  # noqa: ARG001
    """In the place of `progress` where nobody looks."""

    def advance(number: int, note: str = "") -> None:
        """Says nothing."""

    yield advance


class _Log(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Nothing: a full disk shall end the work where results are written, with a sentence."""


def log_files() -> list[Path]:
    """Where mmedit logs to now."""
    handlers = logging.getLogger(LOGGER).handlers
    return [Path(handler.baseFilename) for handler in handlers if isinstance(handler, _Log)]


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Meanwhile, append what mmedit logs to a file."""
    try:
        handler = _Log(path, encoding="utf-8")
    except OSError as error:
        raise UserError(f"Cannot write {path} ({error.strerror}); {REMEDY}.") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    ours = logging.getLogger(LOGGER)
    level = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(level)
        ours.removeHandler(handler)
        handler.close()


def show_path(label: str, path: Path) -> None:
    """Name a result on a line of its own, neither styled nor wrapped, so that the path can be copied."""
    Console().print(f"{label}: {path}", soft_wrap=True, highlight=False, markup=False)


def quiet_loading() -> None:
    """Hide the bar with which transformers reads weights from disk, and its notes on packages that could be
    installed; the bar of downloads stays."""
    # Imported here, as the other functions are wanted by commands that load no model.
    from huggingface_hub import utils
    from PIL.Image import DecompressionBombWarning
    from transformers.utils import logging

    # Photos of a camera are larger than what Pillow warns of.
    warnings.simplefilter("ignore", DecompressionBombWarning)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    # This is where the documentation has it, but not in the words that mypy asks of an export.
    utils.enable_progress_bars()  # type: ignore[attr-defined]
