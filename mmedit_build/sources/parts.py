"""A large JSON object, read in parts: the official files are such objects, most of whose bytes are in lists.

A part ends before a row of a list, at a place that is guessed by how the rows of that list begin. The guess
is safe: what was read up to there, with a list and an object closed after it, is JSON only between two rows
of a list that stands in the object itself.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

from mmedit_build.json_files import parse_json

_FIRST_ROW = re.compile(rb'\[\s*(\{\s*"(?:[^"\\]|\\.)*")')


def read_parts(file: BinaryIO, size: int) -> Iterator[dict[str, Any]]:
    """The object in parts of about so many bytes, in the order of the file; a list goes on from part to part.

    A ValueError where it is no JSON, or where nothing tells how to part it.
    """
    begun, held = b"", b""
    while new := file.read(size):
        held += new
        if (found := _next_part(begun, held)) is not None:
            part, place = found
            yield part
            # The last of the names is that of the list which goes on.
            begun, held = json.dumps({next(reversed(part)): []}).encode()[:-2], held[place:]
        elif len(held) > 2 * size:
            raise ValueError("no row ends where another begins")
    yield parse_json(begun + held)


def _next_part(begun: bytes, held: bytes) -> tuple[dict[str, Any], int] | None:
    """What is held up to the last row that is seen to begin in it, and where that is."""
    for opening in dict.fromkeys(_FIRST_ROW.findall(begun + held)):
        for found in deque(re.finditer(rb"}(\s*,\s*)" + re.escape(opening), held), maxlen=1):
            with suppress(ValueError):
                return parse_json(begun + held[: found.start(1)] + b"]}"), found.end(1)
    return None
