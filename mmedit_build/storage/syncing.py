"""Makes a copy and what it is of alike again, whichever side has changed.

What is sent goes in the order in which it was written, and each file whole: so storage always holds what a
crash at some moment would have left on this machine, from which every command goes on.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import TypeVar

from mmedit_build.errors import UserError
from mmedit_build.storage.addresses import ROOT_VARIABLE, address_of, root
from mmedit_build.storage.databases import merged, snapshot
from mmedit_build.storage.ledger import Ledger, Look, is_database, ledger_in, look_at
from mmedit_build.storage.remote import Remote
from mmedit_build.store import PARTIAL

THREADS = 16
"""Files that travel at a time."""
MOST = 1000
"""Files that are held at a time."""
LOCK = ".mmedit-lock"
"""Who is at work in a folder."""
ASIDE = ".set-aside"
"""A folder of copies that storage has in other versions, which were never sent."""
OWN = ("-wal", "-shm", "-journal", PARTIAL)
"""Endings of files that are for processes of this machine."""
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
"""Such files say nothing of each other, so they may be sent in any order."""
UNSENT = Look(-1, -1)
"""How no file looks: what is noted with it is sent."""
Advance = Callable[[int], None]
One = TypeVar("One")


def _nobody(number: int) -> None:
    """Nobody waits."""


@dataclass(frozen=True)
class Pair:
    """A folder of copies, or one file, and the same in storage."""

    path: Path

    @cached_property
    def remote(self) -> Remote:
        return Remote(self.path.relative_to(root()).parts[0])

    @property
    def ledger(self) -> Ledger:
        return ledger_in(root())

    def key(self, path: Path) -> str:
        """How storage calls what is copied to a path."""
        return "/".join(path.relative_to(root()).parts[1:])

    def travels(self, path: Path) -> bool:
        """Whether a file is for other machines, too."""
        names = path.relative_to(self.path).parts
        return path.name != LOCK and not path.name.endswith(OWN) and ASIDE not in names

    def bring(self, begin: Callable[[int], Advance] = lambda _: _nobody) -> None:
        """Have in the copy whatever is new in storage; `begin` hears how many files that are."""
        with self.ledger.kept(alone=True):
            self._bring(begin)

    def _bring(self, begin: Callable[[int], Advance]) -> None:
        with self.ledger.compared(self.path, self._there()) as found:
            advance = begin(found.news) if found.news else _nobody
            for some in _parts(found.each, MOST):
                with ThreadPoolExecutor(THREADS) as threads:
                    for _ in threads.map(lambda one: self._take(*one), some):
                        advance(1)
            for lost in _parts(found.gone, MOST):
                for path, look in lost:
                    if look_at(path) == look:
                        path.unlink()
                self.ledger.forget(path for path, _ in lost)

    def send(self, begin: Callable[[int], Advance] = lambda _: _nobody) -> None:
        """Have in storage whatever is new in the copy, but for what is written while it is looked through: of
        that, something might be seen without what it tells of. `begin` hears how many files that are."""
        with self.ledger.kept(alone=False):
            self._send_all(begin)

    def _send_all(self, begin: Callable[[int], Advance]) -> None:
        latest = time.time_ns()
        with self.ledger.changed(self._looks(), latest) as (number, fresh):
            advance = begin(number) if number else _nobody
            for wave in _waves(fresh):
                self._send(wave)
                advance(len(wave))
        self.remove()

    def send_file(self, path: Path) -> None:
        """Have one file in storage."""
        look = look_at(path)
        if look is not None and self.travels(path):
            with self.ledger.kept(alone=False):
                self._send([(path, look)])

    def remove(self) -> None:
        """Have nothing in storage of what was removed here."""
        gone = self.ledger.missing(self.path)
        if gone:
            self.remote.remove([self.key(path) for path in gone])
            self.ledger.forget(gone)

    def find(self, path: Path) -> bool:
        """Have one file in the copy, or an empty folder for one; whether storage has it."""
        version = self.remote.version(self.key(path))
        if version is not None:
            self._take(path, version, None)
        elif self.remote.is_folder(self.key(path)):
            path.mkdir(parents=True, exist_ok=True)
        return path.exists()

    def _there(self) -> Iterator[tuple[Path, str]]:
        home = root() / self.remote.scheme
        for key, version in self.remote.listing(self.key(self.path)):
            if _is_name(key) and self.travels(home / key):
                yield home / key, version

    def _looks(self) -> Iterator[tuple[Path, Look]]:
        paths = [self.path] if self.path.is_file() else _files(self.path)
        for path in paths:
            if self.travels(path) and (look := look_at(path)) is not None:
                yield path, look

    def _take(self, path: Path, version: str, noted: Look | None) -> None:
        """Fetch a file; what was changed here meanwhile and never sent is not lost."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _fetching(path) as fetched:
                self.remote.fetch(self.key(path), fetched)
                here = look_at(path)
                changed = here is not None and noted != here
                joined = changed and self._reconcile(path, fetched)
                _put(fetched, path)
        except OSError as error:
            raise UserError(
                f"Cannot keep a copy of {address_of(path)} in {root()} ({error.strerror}): make room there, "
                f"or name another folder in {ROOT_VARIABLE}."
            ) from error
        self.ledger.note([(path, version, UNSENT if joined else look_at(path) or UNSENT)])

    def _reconcile(self, path: Path, fetched: Path) -> bool:
        """Both sides have changed since they were alike; whether what was fetched has more now."""
        if is_database(path):
            merged(fetched, path)
            return True
        if path.read_bytes() != fetched.read_bytes():
            aside = self.path / ASIDE / path.relative_to(self.path)
            aside.parent.mkdir(parents=True, exist_ok=True)
            path.replace(aside.with_name(f"{aside.name}.{uuid.uuid4().hex[:8]}"))
        return False

    def _send(self, wave: Sequence[tuple[Path, Look]]) -> None:
        with ThreadPoolExecutor(THREADS) as threads:
            versions = list(threads.map(lambda one: self._sent(one[0]), wave))
        sent = zip(wave, versions, strict=True)
        self.ledger.note((path, version, look) for (path, look), version in sent if version is not None)

    def _sent(self, path: Path) -> str | None:
        """What tells the version that was sent; None if the file has just been removed."""
        try:
            if not is_database(path):
                return self.remote.send(path, self.key(path))
            with snapshot(path) as whole:
                return self.remote.send(whole, self.key(path))
        except (UserError, OSError, sqlite3.Error):
            if path.exists():
                raise
            return None


def _is_name(key: str) -> bool:
    """Whether a key is the name of a file here, too: it may be anything, and lead out of a folder."""
    return "\0" not in key and {"", ".", ".."}.isdisjoint(key.split("/"))


def _waves(fresh: Iterable[tuple[Path, Look]]) -> Iterator[list[tuple[Path, Look]]]:
    """What travels together: pictures that were written one after the other, all else alone."""
    for pictures, run in groupby(fresh, key=lambda one: one[0].suffix in PICTURES):
        yield from _parts(run, MOST if pictures else 1)


def _parts(files: Iterator[One], most: int) -> Iterator[list[One]]:
    while part := list(islice(files, most)):
        yield part


def _files(folder: Path) -> Iterator[Path]:
    for base, _, names in os.walk(folder):
        yield from (Path(base, name) for name in names)


@contextmanager
def _fetching(path: Path) -> Iterator[Path]:
    """Where a file is put until it is whole."""
    fetched = path.with_name(f".{uuid.uuid4().hex}{PARTIAL}")
    try:
        yield fetched
    finally:
        fetched.unlink(missing_ok=True)


def _put(fetched: Path, path: Path) -> None:
    if is_database(path):
        for ending in OWN:
            path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)
    fetched.replace(path)
