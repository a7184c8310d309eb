"""Files and folders of released edits: which format a file is in, what its edits are about, and its rows."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

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
from mmedit_build.json_files import read_json
from mmedit_build.rows import Split, Task

FORMATS: tuple[Format, ...] = (CCKEB, FGVEDIT, ADS_EDIT, VLKEB, MMEDIT)
"""A file is in the first of which a row has a mark."""
OTHERS = (*vlkeb.FILES, *fgvedit.FILES)
"""Names of files besides MMEdit's by which a folder is known as one of edits."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placed:
    """A row with where it is: the file, and its number there, from 1."""

    path: Path
    number: int
    row: ReleasedRow


def read_rows(path: Path) -> list[ReleasedRow]:
    """The rows of one file; what its format has and they do not is told by row and key."""
    content = read_json(path, "check its path, and copy or download it again")
    if not isinstance(content, list):
        raise UserError(f"{path} is not a list of rows; give a file in the format of {MMEDIT.shown}.")
    keys = {key for source in content if isinstance(source, dict) for key in source}
    known = next((one for one in FORMATS if one.marks & keys), MMEDIT)
    return [known.row(source, place(path, number)) for number, source in enumerate(content, start=1)]


def read_all(paths: Sequence[Path]) -> list[Placed]:
    """The rows of some files, but for those of several images or a video.

    An edit that several files about the same hold, as those of VLKEB do, comes once, with the hops of all.
    """
    rows: list[Placed] = []
    for path in paths:
        known = {_edit(one): number for number, one in enumerate(rows)}
        read = [Placed(path, number, row) for number, row in enumerate(read_rows(path), start=1)]
        shown = [one for one in read if not one.row.several]
        if read and not shown:
            raise UserError(
                f"All rows of {path} show several images or a video; give a file that has rows of one image."
            )
        if len(shown) < len(read):
            left = f"{len(read) - len(shown):,} of {len(read):,} rows"
            logger.warning("%s: %s show several images or a video, and are left out", path, left)
        for one in shown:
            number = known.get(_edit(one))
            if number is None:
                rows.append(one)
            else:
                rows[number] = _with_hops(rows[number], one.row)
    return rows


def dump(rows: Iterable[ReleasedRow]) -> bytes:
    """The file of these rows, byte for byte as MMEdit's files were released.

    Rows that were read are written with all that stood there.
    """
    return json.dumps([_content(row) for row in rows], indent=4).encode("ascii")


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


def _edit(one: Placed) -> tuple[object, ...]:
    return (*content_of(one.path), one.row.image, one.row.src, one.row.alt)


def _with_hops(one: Placed, other: ReleasedRow) -> Placed:
    hops = tuple(dict.fromkeys((*one.row.hops, *other.hops)))
    return replace(one, row=replace(one.row, hops=hops, source={**one.row.source, **other.source}))


def _content(row: ReleasedRow) -> dict[str, object]:
    return dict(row.source) if row.source else {key: getattr(row, key) for key in KEYS}
