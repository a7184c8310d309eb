"""Rows to Parquet files: a group at a time, as they come."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from mmedit_build.errors import UserError
from mmedit_build.image_files import read_image
from mmedit_build.rows import Split

SHARD_BYTES = 400_000_000
"""About how large a file gets; the Hub advises at most 500 MB."""
GROUP_ROWS = 100
GROUP_BYTES = 30_000_000
"""Row groups end at whichever comes first: the Hub's viewer reads whole groups and gives up on large ones."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that a row will hold, as its original bytes."""

    path: Path
    row: str
    """The id of the row, for messages."""

    def encoded(self) -> Row:
        """What an image column holds."""
        try:
            return {"bytes": read_image(self.path), "path": self.path.name}
        except OSError as error:
            raise self._missing(error) from error

    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError as error:
            raise self._missing(error) from error

    def _missing(self, error: OSError) -> UserError:
        return UserError(
            f"The row {self.row} has no image: cannot read {self.path} ({error.strerror}); put the file "
            "back, or run the stage that made it again."
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A table that was written."""

    config: str
    split: Split
    files: tuple[str, ...]
    """Relative to the folder of the dataset."""
    rows: int
    size: int
    """In bytes, as Arrow holds the rows in memory."""


class Writer:
    """One split of one configuration while it is written, in as few files as the largest size allows."""

    def __init__(self, folder: Path, config: str, split: Split, columns: Features) -> None:
        self.rows = 0
        self._folder, self._config, self._split = folder / "data" / config, config, split
        self._columns, self._schema = list(columns), columns.arrow_schema
        self._file: pq.ParquetWriter | None = None
        self._files = 0
        self._file_bytes = 0
        self._group: list[Row] = []
        self._group_bytes = 0
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What was not finished is not whole, and whoever asked for it throws it away."""
        if self._file is not None:
            self._file.close()

    def add(self, row: Row) -> None:
        row = {name: row[name] for name in self._columns}
        # Images are read when their group is written; before that only looked at.
        size = 4096 + sum(value.size() for value in row.values() if isinstance(value, Picture))
        if self._file_bytes and self._file_bytes + size > SHARD_BYTES:
            self._end_file()
        elif self._group and (self._group_bytes + size > GROUP_BYTES or len(self._group) == GROUP_ROWS):
            self._end_group()
        self._group.append(row)
        self._group_bytes += size
        self._file_bytes += size
        self.rows += 1

    def finish(self) -> Part:
        """Write what is left; only now is known how many files there are, which their names tell."""
        self._end_file()
        names = [f"{self._split}-{n:05d}-of-{self._files:05d}.parquet" for n in range(self._files)]
        for number, name in enumerate(names):
            self._path(number).rename(self._folder / name)
        files = tuple(f"data/{self._config}/{name}" for name in names)
        return Part(self._config, self._split, files, self.rows, self._size)

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._split}-{number:05d}"

    def _end_group(self) -> None:
        if self._file is None:
            self._file = self._open()
        table = pa.Table.from_pylist([_encoded(row) for row in self._group], schema=self._schema)
        self._file.write_table(table, row_group_size=len(self._group))
        self._size += table.nbytes
        self._group, self._group_bytes = [], 0

    def _end_file(self) -> None:
        self._end_group()
        assert self._file is not None
        self._file.close()
        self._file = None
        self._files += 1
        self._file_bytes = 0

    def _open(self) -> pq.ParquetWriter:
        self._folder.mkdir(parents=True, exist_ok=True)
        # Pages of encoded images never repeat, so that a dictionary of them would only cost time.
        repeating = [field.name for field in self._schema if pa.types.is_string(field.type)]
        return pq.ParquetWriter(
            self._path(self._files),
            self._schema,
            compression="snappy",
            use_dictionary=repeating,
            write_page_index=True,
        )


def _encoded(row: Row) -> Row:
    return {name: value.encoded() if isinstance(value, Picture) else value for name, value in row.items()}
