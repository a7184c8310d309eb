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
from typing import NamedTuple

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
BELOW = "(path = :folder OR (path > :folder || '/' AND path < :folder || '/' || :last))"
NEWS = """
CREATE TEMP TABLE news AS
SELECT there.path, there.version, files.size, files.changed FROM temp.there LEFT JOIN files USING (path)
WHERE files.version IS NOT there.version OR NOT is_file(there.path)
"""
GONE = f"""
CREATE TEMP TABLE gone AS
SELECT path, size, changed FROM files WHERE {BELOW} AND path NOT IN (SELECT path FROM temp.there)
"""
CHANGED = """
CREATE TEMP TABLE fresh AS
SELECT here.path, here.size, here.changed FROM temp.here LEFT JOIN files USING (path)
WHERE here.changed <= ? AND (here.size, here.changed) IS NOT (files.size, files.changed)
ORDER BY here.changed, here.rowid
"""
"""Tables in files of their own (in TMPDIR): there may be millions of images."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a file looks from outside."""

    size: int
    changed: int
    """In nanoseconds."""


class Compared(NamedTuple):
    """What storage has beside what is noted of copies."""

    news: int
    """How many files there are in versions that their copies are not alike with."""
    each: Iterator[tuple[Path, str, Look | None]]
    """These, with their versions, and how the copies looked when they were alike with other ones."""
    gone: Iterator[tuple[Path, Look]]
    """What is noted and not in storage any more."""


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

    @contextmanager
    def compared(self, folder: Path, there: Iterable[tuple[Path, str]]) -> Iterator[Compared]:
        """A folder of copies, or a file, beside the paths and versions of what storage has of it."""
        with self._opened() as file:
            file.create_function("is_file", 1, os.path.isfile)
            file.execute("CREATE TEMP TABLE there (path TEXT PRIMARY KEY, version TEXT)")
            rows = ((str(path), version) for path, version in there)
            file.executemany("INSERT OR REPLACE INTO temp.there VALUES (?, ?)", rows)
            file.execute(NEWS)
            file.execute(GONE, {"folder": str(folder), "last": LAST})
            file.commit()
            news = file.execute("SELECT * FROM temp.news")
            each = (
                (Path(path), version, None if size is None else Look(size, changed))
                for path, version, size, changed in news
            )
            yield Compared(_count(file, "news"), each, _looks(file, "gone"))

    @contextmanager
    def changed(
        self, looks: Iterable[tuple[Path, Look]], latest: int
    ) -> Iterator[tuple[int, Iterator[tuple[Path, Look]]]]:
        """The number of files that look so now and are alike no more, and these in the order in which they
        changed; not what changed after `latest`."""
        with self._opened() as file:
            file.execute("CREATE TEMP TABLE here (path TEXT, size INTEGER, changed INTEGER)")
            rows = ((str(path), look.size, look.changed) for path, look in looks)
            file.executemany("INSERT INTO temp.here VALUES (?, ?, ?)", rows)
            file.execute(CHANGED, (latest,))
            file.commit()
            yield _count(file, "fresh"), _looks(file, "fresh")

    def missing(self, folder: Path) -> list[Path]:
        """What is noted of a folder, or of a file, and is not here any more."""
        with self._opened() as file:
            select = f"SELECT path FROM files WHERE {BELOW}"
            noted = file.execute(select, {"folder": str(folder), "last": LAST})
            return [path for path in (Path(name) for (name,) in noted) if not path.exists()]

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


def _count(file: sqlite3.Connection, table: str) -> int:
    number: int = file.execute(f"SELECT count(*) FROM temp.{table}").fetchone()[0]
    return number


def _looks(file: sqlite3.Connection, table: str) -> Iterator[tuple[Path, Look]]:
    rows = file.execute(f"SELECT path, size, changed FROM temp.{table} ORDER BY rowid")
    return ((Path(path), Look(size, changed)) for path, size, changed in rows)
