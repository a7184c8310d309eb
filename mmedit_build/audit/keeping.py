"""What an audit keeps of its rows: numbers and names, in memory while they are few, and then in files without
a name, which go with the process."""

from __future__ import annotations

import os
from array import array
from collections.abc import Hashable, Iterable, Sequence
from tempfile import TemporaryFile, gettempdir
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mmedit_build.errors import UserError

FEW = 1 << 17
"""Bytes that are kept in memory."""
Integers = NDArray[np.int64]


class _Bytes:
    """Bytes that are only added to."""

    def __init__(self) -> None:
        self._fresh = bytearray()
        self._file: IO[bytes] | None = None
        self._stored = 0

    def add(self, data: bytes | array[int]) -> None:
        self._fresh += data
        if len(self._fresh) >= FEW:
            self._store()

    def __len__(self) -> int:
        return self._stored + len(self._fresh)

    def read(self, start: int, end: int) -> bytes:
        split = self._stored
        fresh = bytes(self._fresh[max(start - split, 0) : max(end - split, 0)])
        if self._file is None or start >= split:
            return fresh
        return os.pread(self._file.fileno(), min(end, split) - start, start) + fresh

    def _store(self) -> None:
        try:
            if self._file is None:
                self._file = TemporaryFile()  # noqa: SIM115
            self._file.write(self._fresh)
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"The audit cannot keep its notes in {gettempdir()} ({error.strerror}); make room there, or "
                "name another folder in TMPDIR."
            ) from error
        self._stored += len(self._fresh)
        self._fresh = bytearray()


class Numbers:
    """Whole numbers in the order in which they came."""

    def __init__(self) -> None:
        self._bytes = _Bytes()

    def add(self, *numbers: int) -> None:
        self._bytes.add(array("q", numbers))

    @property
    def all(self) -> Integers:
        """Read again each time."""
        return np.frombuffer(self._bytes.read(0, len(self._bytes)), np.int64)


class Column:
    """Hashes of some parts of each row."""

    def __init__(self) -> None:
        self._rows = 0
        self._pairs = Numbers()
        """Each hash with its row."""

    def add(self, parts: Sequence[Hashable]) -> None:
        for part in parts:
            self._pairs.add(hash(part), self._rows)
        self._rows += 1

    def __len__(self) -> int:
        return self._rows

    @property
    def hashes(self) -> Integers:
        return self._pairs.all[::2].copy()

    @property
    def rows(self) -> Integers:
        """The row of each hash."""
        return self._pairs.all[1::2].copy()


class Texts:
    """Texts by their numbers."""

    def __init__(self) -> None:
        self._letters, self._ends = _Bytes(), array("q", [0])

    def add(self, text: str) -> None:
        self._letters.add(text.encode("utf-8", "surrogatepass"))
        self._ends.append(len(self._letters))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def at(self, places: Iterable[int]) -> list[str]:
        bounds = ((self._ends[place], self._ends[place + 1]) for place in places)
        return [self._letters.read(start, end).decode("utf-8", "surrogatepass") for start, end in bounds]
