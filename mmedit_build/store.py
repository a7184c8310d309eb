"""Files on disk: whatever is written appears whole or not at all."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmedit_build.errors import UserError
from mmedit_build.places import place

REMEDY = "choose a folder that you may write to and that has room"

PARTIAL = ".partial"
"""How the names of files end that are not whole yet."""


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file next to its place, then move it there, making its folder when it is missing."""
    try:
        _write(path, data)
    except OSError as error:
        raise UserError(f"Cannot write {path} ({error.strerror}); {REMEDY}.") from error


def sweep(folder: Path) -> None:
    """Remove what a killed process was writing; nobody else may write in the folder meanwhile."""
    for path in folder.rglob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Refuse a folder that takes no files, before work is spent on what shall go there; nothing is made."""
    place(folder)
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        reason = "no permission to write" if existing.is_dir() else "not a folder"
        raise UserError(f"Cannot write to {folder} ({existing}: {reason}); {REMEDY}.")


@contextmanager
def locked(folder: Path, busy: str) -> Iterator[None]:
    """Keep other commands out of a folder meanwhile; the lock goes with the process, however that ends.

    `busy` is what to tell if another one is in it.
    """
    check_writable(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"Cannot write to {folder} ({error.strerror}); {REMEDY}.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise UserError(busy) from error
    try:
        yield
    finally:
        os.close(lock)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=PARTIAL)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            # A move may reach the disk before the data does, and a power cut leave an empty file.
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner can read; results are meant to be shared.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
