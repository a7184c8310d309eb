"""A list of JSON that somebody else wrote, read as strictly as in `json_files`, but never held as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import TextIOWrapper
from json import JSONDecoder
from pathlib import Path
from typing import Any, TextIO

from mmedit_build.errors import UserError
from mmedit_build.files import open_file
from mmedit_build.json_files import parse_json, read_json

PART = 1 << 20
"""Letters that are read at a time, at least."""
MOST_LETTERS = 64 << 20
"""Of one element."""
_SPACES = re.compile(r"[ \t\n\r]*")
_DECODER = JSONDecoder()


def read_list(path: Path, broken: str, other: str) -> Iterator[Any]:
    """The elements of the list in a file, one by one; the sentences about a broken file, and about one that
    has something else, end with these remedies."""
    try:
        with open_file(path) as file, TextIOWrapper(file, encoding="utf-8", newline="") as text:
            held = _Held(text)
            if held.mark() != "[":
                read_json(path, broken)
                raise UserError(f"{path} is not a list of rows; {other}.")
            yield from _elements(held)
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error.strerror}); {broken}.") from error
    except ValueError as error:
        raise UserError(f"{path} is not whole JSON ({error}); {broken}.") from error


class _Held:
    """What is read of a text and not gone through yet."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._place = file, "", 0

    def next(self) -> str:
        """The next letter but for spaces; empty at the end."""
        while True:
            spaces = _SPACES.match(self._text, self._place)
            self._place = spaces.end() if spaces else self._place
            if self._place < len(self._text) or not self._more():
                return self._text[self._place : self._place + 1]

    def mark(self) -> str:
        """The same, and go on behind it."""
        found = self.next()
        self._place += len(found)
        return found

    def element(self) -> Any:
        """The next element, and go on behind it."""
        self.next()
        while True:
            try:
                end = _DECODER.raw_decode(self._text, self._place)[1]
            except RecursionError as error:
                raise ValueError("too deep") from error
            except ValueError:
                end = len(self._text)
            # What ends with the letters that are held may go on.
            if end < len(self._text) or not self._more():
                break
        found = self._text[self._place : end]
        self._place = end
        return parse_json(found.encode())

    def _more(self) -> bool:
        """Read on; whether there was anything."""
        left = self._text[self._place :]
        if len(left) > MOST_LETTERS:
            raise ValueError(f"more than {MOST_LETTERS:,} letters without an end")
        # As much again, so that a long element costs in proportion to its length.
        new = self._file.read(max(PART, len(left)))
        self._text, self._place = left + new, 0
        return bool(new)


def _elements(held: _Held) -> Iterator[Any]:
    """What stands behind the mark that begins a list."""
    number = 0
    mark = held.mark() if held.next() == "]" else ","
    while mark == ",":
        number += 1
        try:
            yield held.element()
        except ValueError as error:
            raise ValueError(f"row {number}: {error}") from error
        mark = held.mark()
    if mark != "]" or held.mark():
        raise ValueError(f"row {number} is followed by what does not belong there")
