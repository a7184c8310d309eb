"""An index of files that are too many to read at every look: SQLite, brought up to date part by part.

A part is what comes from some files, such as one run. It stands in the index whole or not at all, with a
signature of its files: what is killed goes on after the last whole part, and only what has changed is read
anew.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mmedit_build.errors import UserError
from mmedit_build.store import REMEDY, locked

PATIENCE = 30.0
"""Seconds to wait for another command that is reading."""
FILE = "index.sqlite"
_PARTS = "CREATE TABLE parts(part INTEGER PRIMARY KEY, name TEXT UNIQUE, signature TEXT)"

Fill = Callable[[int], None]
"""Puts in the part of a number."""


@dataclass(frozen=True, slots=True)
class Index:
    """Tables in a folder, of which some have a column `part`."""

    folder: Path
    schema: Sequence[str]
    """What makes the tables; an index that anything else made is made anew."""
    parted: Sequence[str]
    """The tables with such a column."""

    @property
    def path(self) -> Path:
        return self.folder / FILE

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The index to be changed, and nobody else meanwhile."""
        busy = f"Another command is writing to {self.path}; wait for it."
        with locked(self.folder, busy), _told(self.path):
            sound = False
            with suppress(sqlite3.DatabaseError), closing(self._opened()) as connection:
                sound = connection.execute("PRAGMA user_version").fetchone()[0] == self._version
            if not sound:
                # Of another version, broken, or new: nothing that cannot be made again.
                self.path.unlink(missing_ok=True)
            with closing(self._opened()) as connection:
                if not sound:
                    self._make(connection)
                yield connection

    def changed(self, connection: sqlite3.Connection, wanted: Mapping[str, str]) -> list[str]:
        """Which of the parts that are wanted, by name with their signatures, are not there as they are now.

        What else is there is removed.
        """
        there = dict(connection.execute("SELECT name, signature FROM parts").fetchall())
        for name in there.keys() - wanted.keys():
            with change(connection):
                self._remove(connection, name)
        return [name for name, signature in wanted.items() if there.get(name) != signature]

    def put(self, connection: sqlite3.Connection, name: str, signature: str, fill: Fill) -> None:
        """Have a part anew."""
        with change(connection):
            number = self._remove(connection, name)
            row = (number, name, signature)
            part = connection.execute("INSERT INTO parts VALUES(?, ?, ?)", row).lastrowid
            assert part is not None
            fill(part)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The index for one look; each has a connection of its own, as threads do not share one."""
        address = f"{self.path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE)) as connection:
            connection.row_factory = sqlite3.Row
            yield connection

    @property
    def _version(self) -> int:
        return int.from_bytes(hashlib.sha256("\n".join(self.schema).encode()).digest()[:3], "big")

    def _opened(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)

    def _make(self, connection: sqlite3.Connection) -> None:
        with change(connection):
            for statement in (_PARTS, *self.schema, f"PRAGMA user_version = {self._version}"):
                connection.execute(statement)

    def _remove(self, connection: sqlite3.Connection, name: str) -> int | None:
        """The number that the part had, which others know it by."""
        found = connection.execute("SELECT part FROM parts WHERE name = ?", (name,)).fetchone()
        if found is not None:
            for table in (*self.parted, "parts"):
                connection.execute(f"DELETE FROM {table} WHERE part = ?", found)
        return found and int(found[0])


def signature(paths: Iterable[Path]) -> str:
    """Changes whenever one of these files does; those that are missing are told, too."""
    state = hashlib.blake2b(digest_size=16)
    for path in paths:
        about = path.stat() if path.exists() else None
        told = None if about is None else (about.st_size, about.st_mtime_ns)
        state.update(f"{path.name}\0{told}\n".encode(errors="surrogateescape"))
    return state.hexdigest()


def folder_of(cache: Path, kind: str, places: Iterable[Path]) -> Path:
    """Where the index of some folders lies."""
    named = "\n".join(sorted(str(place.resolve()) for place in places))
    digest = hashlib.blake2b(named.encode(errors="surrogateescape"), digest_size=8).hexdigest()
    return cache / "view" / f"{kind}-{digest}"


@contextmanager
def change(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise UserError(f"Cannot write {path} ({error}); {REMEDY}.") from error
