"""Reading files that somebody else wrote: regular ones only, and no more bytes than were expected.

Whatever is wrong, a name that no file can have included, is an OSError whose `strerror` says so in words.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from mmedit_build.storage.copies import find


def open_file(path: Path) -> BinaryIO:
    """A regular file, opened for reading: a pipe would wait for ever, and a device may do anything."""
    try:
        find(path)
        _check_regular(path.stat(), path)
        # What stands there may have become a pipe since: it is opened without waiting, and looked at again.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:
        raise OSError(errno.EINVAL, "no name that a file can have", str(path)) from error
    file = os.fdopen(handle, "rb")
    try:
        _check_regular(os.fstat(handle), path)
    except OSError:
        file.close()
        raise
    return file


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a regular file of at most so many bytes."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        # Not `most`, as room for so many bytes would be taken at once.
        data = file.read(size) if size <= most else None
    if data is None:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes", str(path))
    return data


def is_file(path: Path) -> bool:
    """Whether a file is there; not so under a name that is too long, where `Path.is_file` raises."""
    find(path)
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """The same of a folder."""
    find(path)
    return os.path.isdir(path)  # noqa: PTH112


def exists(path: Path) -> bool:
    """Whether anything is there."""
    find(path)
    return os.path.exists(path)  # noqa: PTH110


def _check_regular(about: os.stat_result, path: Path) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise OSError(errno.EISDIR, "Is a directory", str(path))
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
