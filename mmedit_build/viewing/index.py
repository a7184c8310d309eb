"""The index of a build: what came of each row in each stage, and where the row stands.

A stage is a part of the index, and so is each table of a published dataset.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from mmedit_build.build import LEFT_OUT, Progress
from mmedit_build.columns import EDITS, POOLS
from mmedit_build.console import Advance
from mmedit_build.errors import UserError
from mmedit_build.files import is_folder
from mmedit_build.pages.index import Index, folder_of, signature
from mmedit_build.viewing.records import Record, read_shard, read_stage, read_table_rows
from mmedit_build.work import ROWS, STAGES, Work

SCHEMA = (
    "CREATE TABLE rows(row INTEGER PRIMARY KEY, part INTEGER, file TEXT, place INTEGER, stage TEXT, "
    "status TEXT, reason TEXT, id TEXT, task TEXT, split TEXT, type TEXT, question TEXT, "
    "target TEXT, prediction TEXT, rephrase TEXT, image INTEGER, painting INTEGER, confidence REAL, "
    "scores TEXT, words TEXT, UNIQUE(part, id))",
    "CREATE INDEX by_id ON rows(id)",
    "CREATE TABLE items(part INTEGER, config TEXT, id TEXT, file TEXT, place INTEGER, "
    "PRIMARY KEY(part, config, id)) WITHOUT ROWID",
)
PARTED = ("rows", "items")
PUBLISHED = "published"
_COLUMNS = (
    *("part", "file", "place", "stage", "status", "reason", "id", "task", "split", "type", "question"),
    *("target", "prediction", "rephrase", "image", "painting", "confidence", "scores", "words"),
)
_PUT = (
    f"INSERT INTO rows({', '.join(_COLUMNS)}) VALUES({', '.join(f':{name}' for name in _COLUMNS)}) "
    # What came out counts; of a row that a stage passes on as it is, the reason is kept. A failure counts
    # only where nothing else came of the row.
    "ON CONFLICT(part, id) DO UPDATE SET "
    "reason = CASE WHEN status = 'failed' OR status = 'out' THEN excluded.reason ELSE reason END, "
    "file = CASE status WHEN 'failed' THEN excluded.file ELSE file END, "
    "place = CASE status WHEN 'failed' THEN excluded.place ELSE place END, "
    "status = CASE status WHEN 'failed' THEN excluded.status ELSE status END "
    "WHERE excluded.status <> 'failed' AND (status = 'failed' OR excluded.reason <> '')"
)


def make_index(folder: Path, cache: Path, progress: Progress) -> Index:
    """The index of a work folder or of a published dataset, up to date."""
    parts = _parts(folder)
    wanted = {name: signature(files) for name, files in parts.items()}
    index = Index(folder_of(cache, "rows", [folder]), SCHEMA, PARTED)
    with index.writing() as connection:
        changed = index.changed(connection, wanted)
        if changed:
            with progress("index", None) as advance:
                for name in changed:
                    index.put(
                        connection, name, wanted[name], partial(_fill, connection, name, parts[name], advance)
                    )
    return index


def _parts(folder: Path) -> dict[str, list[Path]]:
    """The stages and tables that there are, with the files of each."""
    work = Work(folder)
    stages = {name: _files(work.stage(name)) for name in STAGES if is_folder(work.stage(name))}
    for dataset in (work.dataset, folder):
        tables = sorted(dataset.glob("data/*/*.parquet"))
        stages |= {f"{path.parent.name}/{path.name}": [path] for path in tables}
    found = {name: files for name, files in stages.items() if files}
    if not found:
        raise UserError(f"There are no rows in {folder}; give a work folder, or a published dataset.")
    return found


def _files(stage: Path) -> list[Path]:
    ends = [path for path in (stage / ROWS, stage / LEFT_OUT) if path.is_file()]
    return [*ends, *sorted((stage / "shards").glob("*.jsonl"))]


def _fill(connection: sqlite3.Connection, name: str, files: list[Path], advance: Advance, part: int) -> None:
    config = name.partition("/")[0]
    if config in POOLS:
        rows = (
            (part, config, one.row["id"], str(files[0]), one.place)
            for one in read_table_rows(files[0], config)
        )
        connection.executemany("INSERT OR REPLACE INTO items VALUES(?, ?, ?, ?, ?)", rows)
        return
    for record in _records(config, files):
        connection.execute(_PUT, _columns(part, PUBLISHED if config in EDITS else name, record))
        advance(1, name)
    # Of what failed, or was refused before it was a row, an earlier stage knows more.
    for column in ("task", "split", "type", "target", "image", "question"):
        connection.execute(
            f"UPDATE rows SET {column} = (SELECT {column} FROM rows AS other WHERE other.id = rows.id AND "
            f"other.{column} <> '' LIMIT 1) WHERE part = ? AND question = ''",
            (part,),
        )


def _records(config: str, files: list[Path]) -> Iterator[Record]:
    if config in EDITS:
        yield from read_table_rows(files[0], config)
        return
    finished = any(path.name == ROWS for path in files)
    for path in files:
        yield from read_stage(path) if path.name in (ROWS, LEFT_OUT) else read_shard(path, finished)


def _columns(part: int, stage: str, record: Record) -> dict[str, object]:
    row = record.row
    rephrase = (row.get("rephrase") or {}).get("text", "")
    words = [*(row.get("answers") or ()), row.get("caption") or "", *record.texts()]
    return {
        "part": part,
        "file": str(record.file),
        "place": record.place,
        "stage": stage,
        "status": record.status,
        "reason": record.reason,
        **{name: row.get(name) or "" for name in ("task", "split", "question", "target", "prediction")},
        "id": record.id,
        "type": row.get("question_type") or "",
        "rephrase": rephrase,
        "image": int(bool(row.get("image"))),
        "painting": int(bool((row.get("imagined") or {}).get("image"))),
        "confidence": row.get("confidence"),
        "scores": json.dumps(row.get("scores") or {}),
        "words": "\n".join(dict.fromkeys(words)),
    }
