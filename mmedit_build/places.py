"""Names of files, folders and ids as users give them."""

from __future__ import annotations

from pathlib import Path

from mmedit_build.errors import UserError, shortened
from mmedit_build.storage.copies import at_home

LONGEST_NAME = 255
"""Bytes of one name on all usual file systems."""
LONGEST_PATH = 4095


def place(given: str | Path) -> Path:
    """A path, or that of the copy of what lies at an address; refused if nothing can be called so."""
    return Path(at_home(named(str(given))))


def named(given: str) -> str:
    """A path, or an id, as text; refused if nothing can be called so."""
    reason = _fault(given)
    if reason is not None:
        raise UserError(f"{shortened(ascii(given))} cannot be a name or a path ({reason}); give another.")
    return given


def _fault(given: str) -> str | None:
    if not given.strip():
        return "it is empty"
    if "\0" in given:
        return "it holds a zero byte"
    try:
        # Names are written into results, so they have to be text, which file systems do not ask for.
        path = given.encode()
    except UnicodeEncodeError:
        return "it is not UTF-8"
    if len(path) > LONGEST_PATH or any(len(name) > LONGEST_NAME for name in path.split(b"/")):
        return "it is too long"
    return None
