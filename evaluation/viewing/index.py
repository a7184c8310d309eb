"""The index of a viewer: what lists of cases are filtered and sorted by, and where the results lie.

The results themselves stay where they are; of each case the index has the place of its line.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from editors.families import METHOD_FAMILIES
from evaluation.report.names import names
from evaluation.results.records import HEADER, LINES, RunResult, read_header
from evaluation.results.verdicts import FILE
from evaluation.run.experiment import UNEDITED
from evaluation.viewing.filling import HEADERS, Run, fill_run
from evaluation.viewing.pictures import fill_pictures
from mmedit_build.build import Progress
from mmedit_build.errors import UserError
from mmedit_build.pages.index import Index, folder_of, signature

SCHEMA = (
    "CREATE TABLE runs(part INTEGER PRIMARY KEY, folder TEXT, task TEXT, dataset TEXT, header TEXT, "
    "means TEXT, keys TEXT, cases INTEGER, judge TEXT, name TEXT, place INTEGER)",
    "CREATE TABLE edits(edit INTEGER PRIMARY KEY, task TEXT, id TEXT, image_id TEXT, type TEXT, "
    "question TEXT, target TEXT, words TEXT, UNIQUE(task, id))",
    # One column more for each measure there is: most values are 0 or 1, which take no room.
    "CREATE TABLE cases(part INTEGER, edit INTEGER, line INTEGER, skipped TEXT, seconds REAL, "
    "PRIMARY KEY(edit, part)) WITHOUT ROWID",
    "CREATE TABLE words(part INTEGER, edit INTEGER, words TEXT, PRIMARY KEY(part, edit)) WITHOUT ROWID",
    "CREATE TABLE verdicts(part INTEGER, said BLOB, right INTEGER, raw TEXT, PRIMARY KEY(part, said)) "
    "WITHOUT ROWID",
    "CREATE TABLE measures(measure INTEGER PRIMARY KEY, key TEXT UNIQUE)",
    "CREATE TABLE datasets(dataset TEXT PRIMARY KEY, tried TEXT)",
    "CREATE TABLE pictures(dataset TEXT, id TEXT, kind TEXT, item TEXT, file INTEGER, "
    "PRIMARY KEY(dataset, id, kind, item)) WITHOUT ROWID",
    "CREATE TABLE files(file INTEGER PRIMARY KEY, key TEXT UNIQUE, path TEXT, data BLOB)",
)
PARTED = ("runs", "cases", "words", "verdicts")


def make_index(folders: Sequence[Path], cache: Path, images: Path | None, progress: Progress) -> Index:
    """The index of all results below some folders, up to date."""
    wanted = {
        str(folder): signature([folder / one for one in (HEADER, LINES, FILE)]) for folder in _found(folders)
    }
    index = Index(folder_of(cache, "results", folders), SCHEMA, PARTED)
    with index.writing() as connection:
        headers = {name: read_header(Path(name)) for name in index.changed(connection, wanted)}
        if headers:
            with progress("index", sum(header.edits for header in headers.values())) as advance:
                for name, header in headers.items():
                    run = Run(connection, name, header)
                    index.put(connection, name, wanted[name], partial(fill_run, run, advance))
        _name_runs(connection)
        fill_pictures(connection, images, progress)
        if not connection.execute("SELECT 1 FROM runs WHERE cases").fetchone():
            raise UserError("The runs in these folders have only begun; look again when there are results.")
    return index


def _found(folders: Sequence[Path]) -> list[Path]:
    """The folders of runs, each once."""
    for folder in folders:
        if not any(folder.rglob(HEADER)):
            raise UserError(f"There are no results in {folder}; give folders that mmedit-eval wrote.")
    return sorted({path.parent.resolve() for folder in folders for path in folder.rglob(HEADER)})


def _name_runs(connection: sqlite3.Connection) -> None:
    """Names that tell the runs of a task apart, and the order in which lists have them."""
    runs = [
        (part, HEADERS.validate_json(header), Path(folder))
        for part, header, folder in connection.execute("SELECT part, header, folder FROM runs")
    ]
    named = []
    for task in {header.settings.task for _, header, _ in runs}:
        of_task = [run for run in runs if run[1].settings.task == task]
        found = names([(header, folder) for _, header, folder in of_task])
        named += [(part, header, name) for (part, header, _), name in zip(of_task, found, strict=True)]
    named.sort(key=lambda run: _place(run[1], run[2]))
    rows = [(name, place, part) for place, (part, _, name) in enumerate(named)]
    connection.executemany("UPDATE runs SET name = ?, place = ? WHERE part = ?", rows)


def _place(header: RunResult, name: str) -> tuple[bool, int, str, int, str]:
    """The unedited model first, then family by family."""
    families: list[str] = [*METHOD_FAMILIES]
    family = "" if header.about is None else header.about.family
    rank = families.index(family) if family in families else len(families)
    settings = header.settings
    return settings.method != UNEDITED, rank, settings.method, settings.at_once, name
