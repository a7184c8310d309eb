"""Finished edits as Parquet files, whose bytes depend on nothing but their content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmedit_build.columns import CONFIGS, POOLS
from mmedit_build.errors import UserError
from mmedit_build.image_files import name_in_source, read_image
from mmedit_build.publishing.columns import features
from mmedit_build.rows import SPLITS, EditRow, Locality, LocalityItem, Nearness, Split
from mmedit_build.work import Work

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
class Table:
    """One split of one configuration, its images not yet read."""

    config: str
    split: Split
    rows: Sequence[Row]


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


def make_tables(edits: Sequence[EditRow], work: Work) -> list[Table]:
    """All tables that have rows, in the order of the edits."""
    tables = [
        Table(config, split, _rows(config, split, edits, work)) for config in CONFIGS for split in SPLITS
    ]
    return [table for table in tables if table.rows]


def write_table(
    table: Table, folder: Path, *, embedded: bool, extended: bool = False, reviewed: bool = False
) -> Part:
    """Write one table below the folder of the dataset, as few files as the largest size allows."""
    columns = features(table.config, embedded=embedded, extended=extended, reviewed=reviewed)
    rows = [{name: row[name] for name in columns} for row in table.rows]
    shards = list(_cut(rows, SHARD_BYTES))
    files: list[str] = []
    size = 0
    for number, shard in enumerate(shards):
        file = f"data/{table.config}/{table.split}-{number:05d}-of-{len(shards):05d}.parquet"
        size += _write_file(folder / file, shard, columns.arrow_schema)
        files.append(file)
    return Part(table.config, table.split, tuple(files), len(rows), size)


def _rows(config: str, split: Split, edits: Sequence[EditRow], work: Work) -> list[Row]:
    here = [edit for edit in edits if edit.split == split]
    if config == "text_locality":
        return _pool(item for edit in here if edit.locality for item in edit.locality.text)
    if config in POOLS:
        items = (item for edit in here if (of := edit.locality) for item in _of_images(of, config))
        return [_with_image(row, work) for row in _pool(items)]
    return [_edit_row(edit, work) for edit in here if edit.task == config]


def _edit_row(edit: EditRow, work: Work) -> Row:
    # The build refuses incomplete edits before it comes to tables.
    assert edit.rephrase is not None
    assert edit.imagined is not None
    assert edit.locality is not None
    source = work.path(edit.image)
    return {
        "id": edit.id,
        "image_id": edit.image_id,
        "image_name": name_in_source(source.name, edit.image_id),
        "image": Picture(source, edit.id),
        "question": edit.question,
        "question_type": edit.question_type,
        "target": edit.target,
        "prediction": edit.prediction,
        "first_prediction": edit.first_prediction,
        "confidence": edit.confidence,
        "answers": list(edit.answers),
        "rephrase": edit.rephrase.text,
        "image_rephrase": Picture(work.path(edit.imagined.image), edit.id),
        "text_locality": [_listed(item, edit.locality) for item in edit.locality.text],
        "image_locality": [_listed(item, edit.locality) for item in edit.locality.image],
        "gain": [_listed(item, edit.locality) for item in edit.locality.gain],
        "portability": [
            {"relation": hop.steps, "question": hop.question, "answers": [hop.answer], "premise": hop.premise}
            for hop in (edit.portability.hops if edit.portability else ())
        ],
        "scores": [{"name": name, "value": value} for name, value in sorted(edit.scores.items())],
        "review": [asdict(one) for one in edit.review],
        "said_wrong": list(edit.said_wrong),
        "left_out": list(edit.left_out),
        "base": edit.base,
        "rephrase_model": edit.rephrase.model,
        "rephrase_prompt": edit.rephrase.prompt,
        "portability_model": edit.portability and edit.portability.model,
        "portability_prompt": edit.portability and edit.portability.prompt,
        "imagine_model": edit.imagined.model,
        "imagine_prompt": edit.imagined.prompt,
        "imagine_strategy": edit.imagined.strategy,
        "imagine_seed": str(edit.imagined.seed),
        "image_rephrase_digest": edit.imagined.digest,
    }


def _of_images(locality: Locality, config: str) -> tuple[LocalityItem, ...]:
    return locality.gain if config == "gain" else locality.image


def _listed(item: LocalityItem, locality: Locality) -> Row:
    """An item as its edit names it."""
    near = locality.nearness.get(item.id, Nearness(None, None))
    row = {**_named(item, "id", "relation", "question", "answer"), "text_cosine": near.text}
    return row if item.image is None else {**row, "image_id": item.image_id, "image_cosine": near.image}


def _named(item: LocalityItem, *names: str) -> Row:
    return {name: getattr(item, name) for name in names}


def _pool(items: Iterable[LocalityItem]) -> list[Row]:
    """Each item once, however many edits use it; an id with two contents stays twice, which checks find."""
    names = ("id", "relation", "image", "image_id", "question", "answer", "prediction")
    return [{**_named(item, *names), "answers": list(item.answers)} for item in dict.fromkeys(items)]


def _with_image(row: Row, work: Work) -> Row:
    if row["image"] is None:
        raise UserError(f"The image locality item {row['id']} names no image; run attach again.")
    source = work.path(row["image"])
    name = name_in_source(source.name, row["image_id"])
    return {**row, "image": Picture(source, row["id"]), "image_name": name}


def _cut(rows: Sequence[Row], most_bytes: int, most_rows: int | None = None) -> Iterator[list[Row]]:
    """The rows in runs that are no larger than told, or of one row."""
    run: list[Row] = []
    total = 0
    for row in rows:
        size = 4096 + sum(value.size() for value in row.values() if isinstance(value, Picture))
        if run and (total + size > most_bytes or len(run) == most_rows):
            yield run
            run, total = [], 0
        run.append(row)
        total += size
    if run:
        yield run


def _write_file(path: Path, rows: Sequence[Row], schema: pa.Schema) -> int:
    """Write one Parquet file in row groups; how large the rows are in memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Pages of encoded images never repeat, so that a dictionary of them would only cost time.
    repeating = [field.name for field in schema if pa.types.is_string(field.type)]
    size = 0
    with pq.ParquetWriter(
        path, schema, compression="snappy", use_dictionary=repeating, write_page_index=True
    ) as writer:
        for group in _cut(rows, GROUP_BYTES, GROUP_ROWS):
            table = pa.Table.from_pylist([_encoded(row) for row in group], schema=schema)
            writer.write_table(table, row_group_size=len(group))
            size += table.nbytes
    return size


def _encoded(row: Row) -> Row:
    return {name: value.encoded() if isinstance(value, Picture) else value for name, value in row.items()}
