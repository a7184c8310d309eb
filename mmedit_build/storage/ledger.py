"""Which version of each file in storage its copy was alike with, and how that copy looked then (SQLite).

It is for all copies of this machine, and whatever command or worker sends or fetches a file notes it here. So
a file that changed since, on either side, can be told without reading it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

NAME = ".alike.sqlite"
LOCK = ".alike.lock"
BUSY_SECONDS = 60.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, version TEXT NOT NULL, size INTEGER NOT NULL, changed INTEGER NOT NULL
) WITHOUT ROWID
"""
LAST = "\U0010ffff"
"""Comes after all names below a folder."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a file looks from outside."""

    size: int
    changed: int
    """In nanoseconds."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What a copy was when both sides were alike."""

    version: str
    """Of the file in storage."""
    look: Look


def look_at(path: Path) -> Look | None:
    """How a file looks now, with what SQLite keeps beside it; None if there is none."""
    looks = [about for name in (path, beside(path)) if (about := _stat(name)) is not None]
    if not path.is_file():
        return None
    return Look(sum(about.st_size for about in looks), max(about.st_mtime_ns for about in looks))


def is_database(path: Path) -> bool:
    return path.suffix == ".sqlite"


def beside(path: Path) -> Path:
    """Where SQLite keeps what it has not put into the file itself yet."""
    return path.with_name(f"{path.name}-wal")


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


@cache
def ledger_in(folder: Path) -> Ledger:
    """That of a folder of copies, made ready once in a process."""
    return Ledger(folder)


class Ledger:
    """The file, opened for each transaction."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / NAME
        with self._opened() as file:
            file.execute("PRAGMA journal_mode = WAL")
            file.execute(SCHEMA)

    @contextmanager
    def kept(self, *, alone: bool) -> Iterator[None]:
        """Keep other processes of this machine from making files alike meanwhile: several may send, but who
        fetches is `alone`, as what was sent and not noted yet looks as if others had changed it."""
        lock = os.open(self._path.with_name(LOCK), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
        finally:
            os.close(lock)

    def below(self, folder: Path) -> dict[Path, Noted]:
        """What is noted of a file, or of all in a folder."""
        select = "SELECT * FROM files WHERE path = ? OR (path > ? AND path < ?)"
        with self._opened() as file:
            rows = file.execute(select, (str(folder), f"{folder}/", f"{folder}/{LAST}")).fetchall()
        return {Path(path): Noted(version, Look(size, changed)) for path, version, size, changed in rows}

    def note(self, noted: Iterable[tuple[Path, str, Look]]) -> None:
        """Files that are alike now."""
        rows = [(str(path), version, look.size, look.changed) for path, version, look in noted]
        with self._opened() as file:
            file.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)

    def forget(self, paths: Iterable[Path]) -> None:
        """Files that are gone on both sides, or no more alike."""
        with self._opened() as file:
            file.executemany("DELETE FROM files WHERE path = ?", [(str(path),) for path in paths])

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """For one transaction: threads and processes share the file, and none keeps it open."""
        with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS)) as file, file:
            yield file
