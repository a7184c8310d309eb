"""The index of a viewer: what lists of cases are filtered and sorted by, and where the results lie.

The results themselves stay where they are; of each case the index has the place of its line.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from evaluation.report.names import names
from evaluation.results.records import HEADER, LINES, read_header
from evaluation.results.streams import CHECKPOINTS, ONLINE, STREAM
from evaluation.results.verdicts import FILE
from evaluation.viewing import near, streaming
from evaluation.viewing.filling import Run, fill_run, rank
from evaluation.viewing.once import each_once
from evaluation.viewing.pictures import fill_pictures
from mmedit_build.build import Progress
from mmedit_build.errors import UserError
from mmedit_build.pages.index import Fill, Index, folder_of, signature

SCHEMA = (
    "CREATE TABLE runs(part INTEGER PRIMARY KEY, folder TEXT, task TEXT, dataset TEXT, header TEXT, "
    "means TEXT, keys TEXT, cases INTEGER, judge TEXT, name TEXT, place INTEGER)",
    "CREATE TABLE edits(edit INTEGER PRIMARY KEY, task TEXT, id TEXT, image_id TEXT, type TEXT, "
    "question TEXT, target TEXT, words TEXT, UNIQUE(task, id))",
    # One column more for each measure there is: most values are 0 or 1, which take no room.
    "CREATE TABLE cases(part INTEGER, edit INTEGER, line INTEGER, skipped TEXT, seconds REAL, digest BLOB, "
    "PRIMARY KEY(edit, part)) WITHOUT ROWID",
    "CREATE TABLE words(part INTEGER, edit INTEGER, words TEXT, PRIMARY KEY(part, edit)) WITHOUT ROWID",
    "CREATE TABLE verdicts(part INTEGER, said BLOB, right INTEGER, raw TEXT, PRIMARY KEY(part, said)) "
    "WITHOUT ROWID",
    "CREATE TABLE measures(measure INTEGER PRIMARY KEY, key TEXT UNIQUE)",
    "CREATE TABLE datasets(dataset TEXT PRIMARY KEY, tried TEXT)",
    "CREATE TABLE pictures(dataset TEXT, id TEXT, kind TEXT, item TEXT, file INTEGER, "
    "PRIMARY KEY(dataset, id, kind, item)) WITHOUT ROWID",
    "CREATE INDEX pictured ON pictures(item)",
    "CREATE TABLE files(file INTEGER PRIMARY KEY, key TEXT UNIQUE, path TEXT, data BLOB)",
    *near.SCHEMA,
    *streaming.SCHEMA,
)
PARTED = ("runs", "cases", "words", "verdicts", "near", *streaming.PARTED)
RUN, STREAMED = (HEADER, LINES, FILE), (STREAM, CHECKPOINTS, ONLINE)
"""The files of a run, and those of streams; the first of each has the header."""


def make_index(folders: Sequence[Path], cache: Path, images: Path | None, progress: Progress) -> Index:
    """The index of all results below some folders, up to date."""
    found = _found(folders)
    wanted = {name: signature([Path(name) / one for one in files]) for name, files in found.items()}
    index = Index(folder_of(cache, "results", folders), SCHEMA, PARTED)
    with index.writing() as connection:
        headers = {
            name: read_header(Path(name), found[name][0]) for name in index.changed(connection, wanted)
        }
        if headers:
            with progress("index", sum(header.edits for header in headers.values())) as advance:
                for name, header in headers.items():
                    if found[name] == STREAMED:
                        fill: Fill = partial(streaming.fill_stream, connection, name, advance)
                    else:
                        fill = partial(fill_run, Run(connection, name, header), advance)
                    index.put(connection, name, wanted[name], fill)
        _name_runs(connection)
        streaming.name_streams(connection)
        fill_pictures(connection, images, progress)
        if not connection.execute(f"{ANY_RUN} UNION {ANY_STREAM}").fetchone():
            raise UserError("The runs in these folders have only begun; look again when there are results.")
    return index


ANY_RUN = "SELECT 1 FROM runs WHERE place IS NOT NULL"
ANY_STREAM = "SELECT 1 FROM streams WHERE numbers <> '[]'"


def _found(folders: Sequence[Path]) -> dict[str, tuple[str, ...]]:
    """The folders of runs and of streams, each once, with their files."""
    found: dict[Path, tuple[str, ...]] = {}
    for folder in folders:
        here = {path.parent.resolve(): files for files in (RUN, STREAMED) for path in folder.rglob(files[0])}
        if not here:
            raise UserError(f"There are no results in {folder}; give folders that mmedit-eval wrote.")
        found |= here
    return {str(folder): found[folder] for folder in sorted(found)}


def _name_runs(connection: sqlite3.Connection) -> None:
    """Names that tell the runs of a task apart, and the order in which lists have them.

    What has no results yet has neither, nor what another run has all of.
    """
    runs = [(one.part, one.header, one.folder) for one in each_once(connection)]
    named = []
    for task in {header.settings.task for _, header, _ in runs}:
        of_task = [run for run in runs if run[1].settings.task == task]
        found = names([(header, folder) for _, header, folder in of_task])
        named += [(part, header, name) for (part, header, _), name in zip(of_task, found, strict=True)]
    named.sort(key=lambda run: rank(run[1], run[2]))
    rows = [(name, place, part) for place, (part, _, name) in enumerate(named)]
    connection.execute("UPDATE runs SET name = '', place = NULL")
    connection.executemany("UPDATE runs SET name = ?, place = ? WHERE part = ?", rows)
