"""The answers of people on disk: one file for each, to which lines are added and in which nothing changes.

An answer counts when its line is flushed, and only then is it acknowledged. A process that is killed may
leave half a line, which says nothing: readers pass it over, and the next answer takes its place.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from mmedit_build.errors import UserError, shortened
from mmedit_build.files import exists, read_bytes
from mmedit_build.json_files import MOST_BYTES
from mmedit_build.recipe.fields import Name
from mmedit_build.review.asked import Asked
from mmedit_build.rows import ReviewQuestion
from mmedit_build.store import REMEDY
from mmedit_build.work import Work

Answer = Literal["yes", "no", "unsure"]
SUFFIX = ".jsonl"
_NAME: TypeAdapter[str] = TypeAdapter(Name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What somebody said to one question; the last line about it counts."""

    question: ReviewQuestion
    id: str
    of: str
    answer: Answer | None
    """None if nothing is said any more."""
    at: str
    """When, in UTC."""
    undone: Annotated[bool, Field(exclude_if=lambda held: not held)] = False
    """Whether this line takes back the last one that was not taken back yet; its answer is the one before."""


_LINE = TypeAdapter(Line)


@dataclass
class History:
    """What the lines of one person come to."""

    said: dict[str, Answer] = field(default_factory=dict)
    """By what was judged."""
    _steps: list[tuple[Line, Answer | None]] = field(default_factory=list)
    """Lines that can be taken back, each with the answer before it."""

    def add(self, line: Line) -> None:
        if line.undone:
            del self._steps[-1:]
        else:
            self._steps.append((line, self.said.get(line.of)))
        if line.answer is None:
            self.said.pop(line.of, None)
        else:
            self.said[line.of] = line.answer

    def undoing(self) -> Line | None:
        """The line that takes back the last one; None if there is nothing to take back."""
        if not self._steps:
            return None
        last, before = self._steps[-1]
        return Line(question=last.question, id=last.id, of=last.of, answer=before, at=_now(), undone=True)


class Answers:
    """The answers of one person, who alone may add to them."""

    def __init__(self, path: Path, handle: int, lines: Sequence[Line], size: int) -> None:
        self._path, self._handle, self._size = path, handle, size
        self._history = History()
        for line in lines:
            self._history.add(line)
        # A server answers several requests at a time.
        self._lock = threading.Lock()

    @property
    def said(self) -> Mapping[str, Answer]:
        return self._history.said

    def give(self, asked: Asked, answer: Answer) -> None:
        """Keep an answer; it is on disk when this returns."""
        with self._lock:
            self._add(Line(question=asked.question, id=asked.id, of=asked.of, answer=answer, at=_now()))

    def undo(self) -> Line | None:
        """Take back the last answer that was not taken back yet, and say which; None if there is none."""
        with self._lock:
            line = self._history.undoing()
            if line is not None:
                self._add(line)
            return line

    def _add(self, line: Line) -> None:
        data = _LINE.dump_json(line) + b"\n"
        try:
            # Half a line of a killed process, or of a full disk, is written over.
            os.ftruncate(self._handle, self._size)
            if os.pwrite(self._handle, data, self._size) != len(data):
                raise OSError(0, "no space left")
            os.fsync(self._handle)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._handle, self._size)
            raise UserError(
                f"The answer was not kept: cannot write {self._path} ({error.strerror}); make room, and "
                "answer again."
            ) from error
        self._size += len(data)
        self._history.add(line)


def folder_of(work: Work) -> Path:
    """Where the answers about a build lie."""
    return work.folder / "review"


@contextmanager
def open_answers(work: Work, who: str) -> Iterator[Answers]:
    """The answers of one person, held by this process alone meanwhile."""
    path = folder_of(work) / f"{checked_name(who)}{SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise UserError(f"Cannot write {path} ({error.strerror}); {REMEDY}.") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"{who} is reviewing {work.folder} in another process already; end that one, or choose "
                "another name with --who."
            ) from error
        _flush_name(path)
        data = _whole_lines(path)
        yield Answers(path, handle, _parsed(data, path), len(data))
    finally:
        os.close(handle)


def read_answers(work: Work) -> dict[str, Mapping[str, Answer]]:
    """What each person says to what was judged; whoever says nothing is left out."""
    folder = folder_of(work)
    people = {path.stem: _read(path) for path in sorted(folder.glob(f"*{SUFFIX}"))} if exists(folder) else {}
    return {who: said for who, said in people.items() if said}


def checked_name(who: str) -> str:
    """Refuse a name that cannot be that of a file."""
    try:
        return _NAME.validate_python(who)
    except ValidationError as error:
        raise UserError(
            f"{shortened(who)!r} cannot be a name of a reviewer; use at most 60 letters, digits, dots, "
            "dashes and underscores, with a letter or a digit first."
        ) from error


def _read(path: Path) -> Mapping[str, Answer]:
    history = History()
    for line in _parsed(_whole_lines(path), path):
        history.add(line)
    return history.said


def _whole_lines(path: Path) -> bytes:
    """What is in a file up to its last end of a line."""
    try:
        data = read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error.strerror}); mend that first.") from error
    return data[: data.rfind(b"\n") + 1]


def _parsed(data: bytes, path: Path) -> list[Line]:
    lines = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            lines.append(_LINE.validate_json(line))
        except ValidationError as error:
            raise UserError(f"Line {number} of {path} is no answer of a review; take it out.") from error
    return lines


def _flush_name(path: Path) -> None:
    """Without it, a power cut could take the name of a new file, and all that is in it."""
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
