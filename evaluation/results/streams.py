"""Results of streams on disk: a line for each checkpoint, and one for each edit that has just been made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from evaluation.protocols.base import ProtocolName
from evaluation.results.lines import Lines
from evaluation.results.records import (
    CaseResult,
    Natural,
    ProbeResult,
    ResultFolder,
    RunResult,
    Seconds,
    read_header,
)
from mmedit_build.rows import Split

STREAM = "stream.json"
CHECKPOINTS = "checkpoints.jsonl"
ONLINE = "online.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An edit at its place in an order."""

    order: Natural
    position: Natural
    """From 0."""
    made: bool = True
    """Whether there is a patch that makes it."""
    result: CaseResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A probe of the fixed set, that has nothing to do with any edit of the stream."""

    image: str
    """Intervals take probes of one image together."""
    split: Split = "test"
    knew: dict[ProtocolName, bool]
    """Whether the unedited model answers right."""
    knows: dict[ProtocolName, bool]
    """Whether the edited one does."""
    result: ProbeResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What is left after so many edits of an order."""

    version: Literal[1] = 1
    order: Natural
    edits: Natural
    skipped: str | None = None
    """Why there are no scores of the fixed set."""
    retention: tuple[Placed, ...] = ()
    """A sample of the edits made so far, asked again."""
    fixed: tuple[Kept, ...] = ()
    patch_bytes: Natural
    """What the patch keeps of all edits."""
    plan_seconds: Seconds
    """For each edit since the checkpoint before, on average."""
    query_seconds: Seconds
    """To answer one of the fixed set."""
    unedited_seconds: Seconds
    """The same of the unedited model."""
    peak_bytes: Natural
    peak_of: Literal["process", "gpu"] = "process"

    @property
    def slowdown(self) -> float | None:
        """How many times longer an answer takes."""
        return self.query_seconds / self.unedited_seconds if self.unedited_seconds else None


class StreamFolder(ResultFolder):
    """The results of one method's streams on one task."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, STREAM)
        self._checkpoints = checkpoint_lines(folder)
        self._online = online_lines(folder)

    def started(self, header: RunResult) -> tuple[RunResult, list[Checkpoint], list[Placed]]:
        """As `begin`: the header and the lines that are there, halves of lines dropped."""
        found, _ = self.begin(header)
        return found, _latest(self._checkpoints.begin()), _newest(self._online.begin())

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        self._checkpoints.add(checkpoint)

    def add_online(self, placed: Placed) -> None:
        self._online.add(placed)


def read_stream(folder: Path) -> tuple[RunResult, list[Checkpoint], list[Placed]]:
    """Header and lines of a folder."""
    header = read_header(folder, STREAM)
    return header, _latest(checkpoint_lines(folder).read()), _newest(online_lines(folder).read())


def _latest(lines: Iterable[Checkpoint]) -> list[Checkpoint]:
    """One for each order and number, in this order."""
    once = {(line.order, line.edits): line for line in lines}
    return [once[place] for place in sorted(once)]


def _newest(lines: Iterable[Placed]) -> list[Placed]:
    """One for each place: a run that goes on makes edits again that it had not kept."""
    once = {(line.order, line.position): line for line in lines}
    return [once[place] for place in sorted(once)]


def checkpoint_lines(folder: Path) -> Lines[Checkpoint]:
    """The file of checkpoints of a method's streams."""
    return Lines(folder / CHECKPOINTS, TypeAdapter(Checkpoint), "checkpoint")


def online_lines(folder: Path) -> Lines[Placed]:
    """The file of what was asked just after each edit."""
    return Lines(folder / ONLINE, TypeAdapter(Placed), "result")
