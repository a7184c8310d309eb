"""Files and folders of released edits: which format a file is in, what its edits are about, and its rows."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import IO, Any

from mmedit_build.digests import Digests
from mmedit_build.errors import UserError
from mmedit_build.files import is_file
from mmedit_build.formats import fgvedit, vlkeb
from mmedit_build.formats.ads_edit import ADS_EDIT
from mmedit_build.formats.base import Format
from mmedit_build.formats.cckeb import CCKEB
from mmedit_build.formats.fgvedit import FGVEDIT
from mmedit_build.formats.mmedit import FILES, MMEDIT
from mmedit_build.formats.rows import KEYS, ReleasedRow
from mmedit_build.formats.vlkeb import VLKEB
from mmedit_build.json_lists import read_list
from mmedit_build.rows import Split, Task

FORMATS: tuple[Format, ...] = (CCKEB, FGVEDIT, ADS_EDIT, VLKEB, MMEDIT)
"""A file is in the first of which a row has a mark."""
OTHERS = (*vlkeb.FILES, *fgvedit.FILES)
"""Names of files besides MMEdit's by which a folder is known as one of edits."""
_NEXT = "\n    "
_Edit = tuple[str, str, str]
"""Image, question and target."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placed:
    """A row with where it is: the file, and its number there, from 1."""

    path: Path
    number: int
    row: ReleasedRow


def read_rows(path: Path) -> Iterator[ReleasedRow]:
    """The rows of one file, one by one; what its format has and they do not is told by row and key."""
    keys = {key for source in _elements(path) if isinstance(source, dict) for key in source}
    known = next((one for one in FORMATS if one.marks & keys), MMEDIT)
    for number, source in enumerate(_elements(path), start=1):
        yield known.row(source, place(path, number))


def read_all(paths: Sequence[Path]) -> Iterator[Placed]:
    """The rows of some files, one by one, but for those of several images or a video.

    An edit that several files about the same hold, as those of VLKEB do, comes once, with the hops of all.
    """
    joins = {of: _Joins([path for path in paths if content_of(path) == of]) for of in map(content_of, paths)}
    for path in paths:
        read = shown = 0
        for one in _placed(path):
            read = one.number
            if not one.row.several:
                shown += 1
                yield from joins[content_of(path)].joined(one)
        _tell_left_out(path, read, shown)


class Dump:
    """A file of rows while it grows, byte for byte as MMEdit's files were released.

    Rows that were read are written with all that stood there.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.rows = 0
        self._file = file

    def add(self, row: ReleasedRow) -> None:
        text = json.dumps(_content(row), indent=4).replace("\n", _NEXT)
        self._file.write(f"{',' if self.rows else '['}{_NEXT}{text}".encode("ascii"))
        self.rows += 1

    def end(self) -> None:
        self._file.write(b"\n]" if self.rows else b"[]")


def place(path: Path, number: int) -> str:
    """How messages name a row."""
    return f"Row {number} of {path}"


def content_of(path: Path) -> tuple[Task, Split]:
    """What a file is about, by its name: the rows do not tell."""
    name = path.name.lower()
    return "caption" if "caption" in name else "vqa", "train" if "train" in name else "test"


def files_in(folder: Path) -> list[Path]:
    """The files of a folder whose names are those of a released dataset."""
    present = [folder / name for name in FILES.values() if is_file(folder / name)]
    return present or [folder / name for name in OTHERS if is_file(folder / name)]


class _Joins:
    """What is joined of files about the same: rows of edits that an earlier file has, too, which are held."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._later: dict[_Edit, list[ReleasedRow]] = {}
        self._places: dict[_Edit, tuple[Path, int]] = {}
        """The rows that they are joined to: of each edit the last one in the first file that has it."""
        seen: list[Digests] = []
        for path in paths if len(paths) > 1 else ():
            own = Digests()
            for edit, one in _edits(path):
                own.add(edit)
                if any(edit in earlier for earlier in seen):
                    self._later.setdefault(edit, []).append(one.row)
            seen.append(own)
        for path in reversed(paths) if self._later else ():
            self._places |= {edit: (path, one.number) for edit, one in _edits(path) if edit in self._later}

    def joined(self, one: Placed) -> Iterator[Placed]:
        """The row, with what is joined to it; nothing if it is joined to another."""
        edit = _edit(one)
        path, number = self._places.get(edit, (one.path, 0))
        if (path, number) == (one.path, one.number):
            yield reduce(_with_hops, self._later[edit], one)
        elif path == one.path:
            yield one


def _elements(path: Path) -> Iterator[Any]:
    other = f"give a file in the format of {MMEDIT.shown}"
    return read_list(path, "check its path, and copy or download it again", other)


def _placed(path: Path) -> Iterator[Placed]:
    return (Placed(path, number, row) for number, row in enumerate(read_rows(path), start=1))


def _edits(path: Path) -> Iterator[tuple[_Edit, Placed]]:
    return ((_edit(one), one) for one in _placed(path) if not one.row.several)


def _edit(one: Placed) -> _Edit:
    return one.row.image, one.row.src, one.row.alt


def _tell_left_out(path: Path, read: int, shown: int) -> None:
    if read and not shown:
        raise UserError(
            f"All rows of {path} show several images or a video; give a file that has rows of one image."
        )
    if shown < read:
        left = f"{read - shown:,} of {read:,} rows"
        logger.warning("%s: %s show several images or a video, and are left out", path, left)


def _with_hops(one: Placed, other: ReleasedRow) -> Placed:
    hops = tuple(dict.fromkeys((*one.row.hops, *other.hops)))
    return replace(one, row=replace(one.row, hops=hops, source={**one.row.source, **other.source}))


def _content(row: ReleasedRow) -> dict[str, object]:
    return dict(row.source) if row.source else {key: getattr(row, key) for key in KEYS}
