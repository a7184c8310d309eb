"""Files of JSON lines, one for each thing that is done, appended to as it is done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from mmedit_build.errors import UserError
from mmedit_build.files import open_file
from mmedit_build.store import write_atomic

Line = TypeVar("Line")


@dataclass(frozen=True, slots=True)
class Lines(Generic[Line]):
    """A file of lines of one kind, which need not be there yet."""

    path: Path
    kind: TypeAdapter[Line]
    name: str
    """What a line is, for messages."""

    def begin(self) -> list[Line]:
        """All lines, after what a killed command left of its last one is dropped: that is done again."""
        data, whole = self._data()
        if whole != data:
            write_atomic(self.path, whole)
        return self.read()

    def read(self) -> list[Line]:
        """All whole lines; one that is broken in their midst is told by its number."""
        return [
            self._parsed(number, line) for number, line in enumerate(self._data()[1].splitlines(), start=1)
        ]

    def scan(self) -> Iterator[tuple[int, Line]]:
        """The same one by one, each with the place in the file where it begins."""
        if not self._there():
            return
        with open_file(self.path) as file:
            place = 0
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    yield place, self._parsed(number, line)
                place += len(line)

    def at(self, place: int) -> Line:
        """The line that begins at a place."""
        return next(self.some([place]))

    def some(self, places: Iterable[int]) -> Iterator[Line]:
        """Those that begin at some places."""
        with open_file(self.path) as file:
            for place in places:
                file.seek(place)
                yield self.kind.validate_json(file.readline())

    def write(self, lines: Iterable[Line]) -> None:
        """These lines in the place of all that are there."""
        write_atomic(self.path, b"".join(self.kind.dump_json(line) + b"\n" for line in lines))

    def add(self, line: Line) -> None:
        """Append one line; once this returns, it is on disk."""
        try:
            # Buffered, as what the system takes of a line may be a part only.
            with self.path.open("ab") as file:
                file.write(self.kind.dump_json(line) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(
                f"Cannot write {self.path} ({error.strerror}); make room and run the same command again."
            ) from error

    def _parsed(self, number: int, line: bytes) -> Line:
        try:
            return self.kind.validate_json(line)
        except ValidationError as error:
            raise UserError(
                f"Line {number} of {self.path} is no {self.name} of this version of mmedit "
                f"({_reason(error)}); delete the line and run the same command again."
            ) from error

    def _data(self) -> tuple[bytes, bytes]:
        """What is in the file, and its whole lines."""
        data = self.path.read_bytes() if self._there() else b""
        return data, data[: data.rfind(b"\n") + 1]

    def _there(self) -> bool:
        """Whether there is such a file; refuses what is none, of which a pipe would be waited for."""
        if self.path.exists() and not self.path.is_file():
            raise UserError(f"{self.path} is not a file of {self.name}s; move it away.")
        return self.path.exists()


def _reason(error: ValidationError) -> str:
    """The first fault of a line, and where in it."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
