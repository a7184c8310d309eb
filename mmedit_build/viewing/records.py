"""Rows as their files have them: of a stage's lines, of shards, and of published tables, in one form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mmedit_build.build import LEFT_OUT
from mmedit_build.columns import EDITS
from mmedit_build.errors import UserError
from mmedit_build.files import open_file
from mmedit_build.json_files import parse_json
from mmedit_build.work import ROWS

Row = dict[str, Any]
_PICTURES = ("image", "image_rephrase")


@dataclass(frozen=True, slots=True)
class Record:
    """A row of a stage, what came of it there and why, and where in which file it stands."""

    file: Path
    place: int
    """Of a line, the byte where it begins; of a table, the number of the row."""
    id: str
    status: str
    """out, rejected or failed."""
    reason: str
    row: Row
    """As `EditRow` is written; empty where the stage made none."""

    def texts(self) -> Iterator[str]:
        """What was tried and dealt out, for searches."""
        for name, texts in (("rephrase", "text"), ("portability", "question")):
            yield from (one[texts] for one in (self.row.get(name) or {}).get("candidates", ()))
        for items in (self.row.get("locality") or {}).values():
            if isinstance(items, list):
                yield from (item["question"] for item in items)


def read_stage(path: Path) -> Iterator[Record]:
    """What a stage ended with, or what it left out."""
    for place, line in _lines(path):
        if path.name == ROWS:
            yield Record(path, place, line["id"], "out", "", line)
        else:
            ((reason, row),) = line.items()
            yield Record(path, place, row["id"], "rejected", reason, row)


def read_shard(path: Path, finished: bool) -> Iterator[Record]:
    """The outcomes of a shard. What a finished stage kept stands among its rows, or was left out."""
    for place, line in _lines(path):
        record = of_shard(path, place, line)
        if not (finished and record.status == "out"):
            yield record


def of_shard(path: Path, place: int, line: Row) -> Record:
    """One outcome."""
    if "failed" in line:
        return Record(path, place, line["id"], "failed", line["failed"], {})
    if "rejected" in line:
        return Record(path, place, line["id"], "rejected", line["rejected"], line["row"] or {})
    return Record(path, place, line["id"], "out", "", line["kept"])


def read_record(path: Path, place: int) -> Row:
    """The row that stands at a place."""
    if path.suffix == ".parquet":
        return of_table(path, read_cells(path, place))
    with open_file(path) as file:
        file.seek(place)
        line = parse_json(file.readline())
    if path.name == ROWS:
        return dict(line)
    return dict(next(iter(line.values()))) if path.name == LEFT_OUT else of_shard(path, place, line).row


def read_table_rows(path: Path, config: str) -> Iterator[Record]:
    """The rows of a published table, without their images."""
    with pq.ParquetFile(path) as file:
        columns = [name for name in file.schema_arrow.names if name not in _PICTURES]
        place = 0
        for batch in file.iter_batches(columns=columns):
            for row in batch.to_pylist():
                found = of_table(path, row) if config in EDITS else row
                yield Record(path, place, row["id"], "out", "", found)
                place += 1


def read_cells(path: Path, place: int, column: str | None = None) -> Row:
    """A row of a table without its images, or one of these alone."""
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        columns = [name for name in names if name not in _PICTURES] if column is None else [column]
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if place < size:
                table = file.read_row_group(group, columns=[name for name in columns if name in names])
                return dict(table.slice(place, 1).to_pylist()[0])
            place -= size
    raise UserError(f"{path} has changed meanwhile; start the command again.")


def of_table(path: Path, row: Row) -> Row:
    """A published row in the form that stages write."""
    kinds = {"text": "text_locality", "image": "image_locality", "gain": "gain"}
    return {
        **row,
        "task": path.parent.name,
        "split": path.name.partition("-")[0],
        "image": row.get("image_name") or "",
        "scores": {one["name"]: one["value"] for one in row.get("scores") or ()},
        "rephrase": row.get("rephrase")
        and {
            "text": row["rephrase"],
            "model": row.get("rephrase_model"),
            "prompt": row.get("rephrase_prompt"),
        },
        "imagined": row.get("image_rephrase_digest")
        and {
            "image": row["image_rephrase_digest"],
            **{name: row.get(f"imagine_{name}") for name in ("model", "prompt", "strategy", "seed")},
        },
        "locality": {name: row.get(column) or [] for name, column in kinds.items()},
        "portability": {
            "candidates": [
                {**one, "steps": one["relation"], "answer": ", ".join(one["answers"] or ()), "reason": None}
                for one in row.get("portability") or ()
            ]
        },
    }


def _lines(path: Path) -> Iterator[tuple[int, Row]]:
    """The lines of a file, each with the place where it begins."""
    place = 0
    try:
        with open_file(path) as file:
            for line in file:
                yield place, parse_json(line)
                place += len(line)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} does not hold rows of this version of mmedit; run its stage again."
        ) from error
