"""What the commands show besides tables, progress and where results lie, and what they log."""

from __future__ import annotations

import logging
import sys
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
from mmedit_build.loudness import LOGGERS, is_quiet, is_verbose
from mmedit_build.meter import Meter
from mmedit_build.storage.addresses import shown
from mmedit_build.store import REMEDY

logger = logging.getLogger(__name__)


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
    """Progress on stderr with rate and time left, and in the log: on a terminal a bar, elsewhere a line every
    so often. Without a total it only shows that something goes on. What is asked to be quiet tells the log
    alone; what says all that is logged, says this with it."""
    console = Console(stderr=True)
    plain = is_quiet() or is_verbose()
    meter = Meter(label, total, logger.info if plain or console.is_terminal else _say)
    meter.begin()
    try:
        if console.is_terminal and not plain:
            with _bar(console, meter) as advance:
                yield advance
        else:
            yield meter.advance
    finally:
        meter.end()


@contextmanager
def _bar(console: Console, meter: Meter) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(meter.label, total=meter.total, note="")

        def advance(number: int, note: str = "") -> None:
            bar.update(task, advance=number, note=note)
            meter.advance(number, note)

        yield advance


def _say(line: str) -> None:
    logger.info(line)
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


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
    handlers = logging.getLogger(LOGGERS[0]).handlers
    return [Path(handler.baseFilename) for handler in handlers if isinstance(handler, _Log)]


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Meanwhile, append what mmedit logs to a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _Log(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UserError(f"Cannot write {path} ({error.strerror}); {REMEDY}.") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    ours = [logging.getLogger(name) for name in LOGGERS]
    levels = [one.level for one in ours]
    for one in ours:
        one.addHandler(handler)
        one.setLevel(logging.INFO)
    try:
        yield
    finally:
        for one, level in zip(ours, levels, strict=True):
            one.setLevel(level)
            one.removeHandler(handler)
        handler.close()


def show_path(label: str, path: Path) -> None:
    """Name a result on a line of its own, neither styled nor wrapped, so that the path can be copied."""
    Console().print(f"{label}: {shown(path)}", soft_wrap=True, highlight=False, markup=False)


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
