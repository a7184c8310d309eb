"""Files on disk: whatever is written appears whole or not at all."""

from __future__ import annotations

import fcntl
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, BinaryIO

from mmedit_build.errors import UserError
from mmedit_build.files import exists, is_file
from mmedit_build.places import place
from mmedit_build.storage.copies import held, wrote

REMEDY = "choose a folder that you may write to and that has room"

PARTIAL = ".partial"
"""How the names of files end that are not whole yet."""
_PART = 1 << 20


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file next to its place, then move it there, making its folder when it is missing."""
    write_through(path, lambda file: file.write(data))


def write_through(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """As `write_atomic`, of what a function writes into the open file, which may be large."""
    try:
        _write(path, write)
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot write {path} ({_reason(error)}); {REMEDY}.") from error


@contextmanager
def growing(path: Path) -> Iterator[IO[bytes]]:
    """A file that grows beside others and has no name until it is whole: put in its place at the end, unless
    an equal one is there, and gone after an error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent) as file:
            yield file
            if not _holds(path, file):
                file.seek(0)
                write_through(path, lambda whole: copyfileobj(file, whole))
    except OSError as error:
        raise UserError(f"Cannot write to {path.parent} ({_reason(error)}); {REMEDY}.") from error


IDLE = 3600.0
"""Seconds after which a file that is not whole belongs to a process that was killed."""
_OURS = re.compile(rf"\.[0-9a-f]{{32}}\{PARTIAL}")


def sweep(folder: Path, *, idle: float = 0.0, deep: bool = True) -> None:
    """Remove what killed processes were writing in a folder, and below it if `deep`.

    Where others may write meanwhile, only what has not been written to for IDLE seconds.
    """
    latest = time.time() - idle
    # Not by `glob`, which fails where another command removes a folder meanwhile.
    for base, folders, names in os.walk(folder):
        if not deep:
            folders.clear()
        for path in (Path(base, name) for name in names if _OURS.fullmatch(name)):
            # Another command may have removed it.
            with suppress(FileNotFoundError):
                if path.stat().st_mtime <= latest:
                    path.unlink()


def check_writable(folder: Path) -> None:
    """Refuse a folder that takes no files, before work is spent on what shall go there; nothing is made."""
    place(folder)
    existing = next(one for one in (folder, *folder.parents) if exists(one))
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
        with held(folder, busy):
            yield
    finally:
        os.close(lock)


def _reason(error: OSError | ValueError) -> str:
    """A ValueError is that of a name with a NUL or with half of a letter."""
    known = error.strerror if isinstance(error, OSError) else None
    return known or "no name that a file can have"


def _holds(path: Path, file: IO[bytes]) -> bool:
    """Whether there is such a file with the content of an open one."""
    if not is_file(path) or path.stat().st_size != file.seek(0, os.SEEK_END):
        return False
    file.seek(0)
    with path.open("rb") as other:
        return all(data == file.read(_PART) for data in iter(lambda: other.read(_PART), b""))


def _write(path: Path, write: Callable[[BinaryIO], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{uuid.uuid4().hex}{PARTIAL}"
    try:
        # Made by `open`, unlike by mkstemp, it is for those to read whom the user's umask lets.
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            # A move may reach the disk before the data does, and a power cut leave an empty file.
            os.fsync(file.fileno())
        temporary.replace(path)
        wrote(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
