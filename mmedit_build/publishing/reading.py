"""The tables of a dataset folder, gone through for checks: never held, and only the columns asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Row = dict[str, Any]
_BATCH = 1024


@dataclass(frozen=True, slots=True)
class Tables:
    """The Parquet files of a folder, by configuration and split."""

    files: Mapping[tuple[str, str], Sequence[Path]]

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Tables:
        files: dict[tuple[str, str], list[Path]] = {}
        for path in paths:
            files.setdefault(place(path), []).append(path)
        return cls(files)

    def rows(self, config: str, splits: Iterable[str], *columns: str) -> Iterator[Row]:
        """The rows of some splits, one after the other; columns that the configuration lacks are left out."""
        for path in (path for split in splits for path in self.files.get((config, split), ())):
            yield from read(path, columns)


def place(path: Path) -> tuple[str, str]:
    """The configuration and the split of a file."""
    return path.parent.name, path.name.partition("-")[0]


def read(path: Path, columns: Iterable[str], batch: int = _BATCH) -> Iterator[Row]:
    """Some columns of a file, so many rows at a time."""
    with pq.ParquetFile(path) as file:
        present = [name for name in columns if name in file.schema_arrow.names]
        for rows in file.iter_batches(batch, columns=present):
            yield from rows.to_pylist()
