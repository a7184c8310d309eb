"""Images of datasets in the manner of the Hub: in a folder, or inside the rows and written to files once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mmedit_build.errors import UserError
from mmedit_build.files import exists, is_folder
from mmedit_build.image_files import image_path, read_image
from mmedit_build.recipe import HubPictures
from mmedit_build.sources.hub import Table
from mmedit_build.sources.images import Folders, image_name
from mmedit_build.store import write_atomic
from mmedit_build.work import Work

COLUMN = "image"
Advance = Callable[[int], None]
_UNSAFE = re.compile(r"[^A-Za-z0-9._@-]+")


class Pictures:
    """Tells which file is, or will be, the image of a row. A folder given by the recipe goes first."""

    def __init__(self, table: Table, source: HubPictures, work: Work) -> None:
        self._table = table
        self._rows: dict[Path, int] = {}
        self._given = None if source.images is None else Folders(Path(source.images))
        self._own = work.sources / slug(source.dataset, source.revision)
        self._local = Path(source.dataset) if is_folder(Path(source.dataset)) else None
        if self._given is None and COLUMN not in table.columns:
            raise UserError(
                f"{table.name} holds no images, only {', '.join(table.columns)}; "
                "name the folder of the images as `images` of this source."
            )

    def place(self, row: int, subset: str, image_id: int, name: str | None = None) -> Path:
        """The image of a row; of several rows with the same image the first one counts."""
        ours, where = image_name(subset, image_id), f"{self._table.name}, row {row},"
        if self._given is not None:
            return self._given.image(name or ours, subset, where)
        path = image_path(self._own, f"{subset}/{ours}", where)
        self._rows.setdefault(path, row)
        return path

    def write(self, images: Iterable[Path], advance: Advance | None) -> None:
        """Write these images as the bytes that they are, one at a time, except those that are there."""
        if self._given is not None:
            return
        missing = [path for path in dict.fromkeys(images) if not exists(path)]
        rows = [self._rows[path] for path in missing]
        for path, row, cell in zip(missing, rows, self._table.cells(COLUMN, rows), strict=True):
            data = self._encoded(cell, row)
            if data is not None:
                write_atomic(path, data)
            if advance is not None:
                advance(1)

    def _encoded(self, cell: Any, row: int) -> bytes | None:
        """The bytes of an image, None for a row without one: whoever opens a missing image finds it out."""
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if isinstance(data, bytes):
            return data
        path = cell.get("path") if isinstance(cell, dict) else None
        return self._read(path, f"{self._table.name}, row {row},") if path else None

    def _read(self, name: str, where: str) -> bytes | None:
        """The file that a cell names in place of bytes: only one in the folder of a dataset on disk."""
        if self._local is None:
            raise UserError(
                f"{where} names the image {name!r} but does not hold it; download the dataset and give its "
                "folder, or name the folder of the images as `images` of this source."
            )
        # The library makes paths absolute, and may have followed links while it did so.
        for folder in (self._local.absolute(), self._local.resolve()):
            name = name.removeprefix(f"{folder}/")
        try:
            return read_image(image_path(self._local, name, where))
        except OSError:
            return None


def slug(dataset: str, revision: str | None) -> str:
    """A folder name for a dataset; folders of the same name, and revisions, are kept apart."""
    folder = Path(dataset)
    if is_folder(folder):
        digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()
        dataset = f"{folder.resolve().name}-{digest[:8]}"
    name = dataset if revision is None else f"{dataset}@{revision}"
    return _UNSAFE.sub("--", name).strip("-.")
