"""The pictures of the edits, found once: where their files are, or themselves where a dataset embeds them."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from evaluation.data.cases import Case, Picture
from evaluation.report.pictures import find_cases
from evaluation.results.records import Settings
from evaluation.viewing.filling import HEADERS
from mmedit_build.build import Progress
from mmedit_build.pages.index import change


def fill_pictures(connection: sqlite3.Connection, images: Path | None, progress: Progress) -> None:
    """Look for the pictures of each dataset, and not again unless it is another one by now."""
    every = "SELECT dataset, header FROM runs UNION ALL SELECT dataset, header FROM streams"
    runs = connection.execute(f"SELECT dataset, header FROM ({every}) GROUP BY dataset").fetchall()
    tried = dict(connection.execute("SELECT dataset, tried FROM datasets").fetchall())
    for dataset, header in runs:
        settings = HEADERS.validate_json(header).settings
        now = _place(settings, images)
        if tried.get(dataset) != now:
            with progress(f"pictures of {settings.dataset}", None) as advance, change(connection):
                for case in find_cases(settings, images).values():
                    _fill(connection, dataset, case)
                    advance(1)
                connection.execute("INSERT OR REPLACE INTO datasets VALUES(?, ?)", (dataset, now))


def _place(settings: Settings, images: Path | None) -> str:
    """Where pictures are looked for; it changes when something else is there."""
    folder = Path(settings.dataset)
    changed = folder.stat().st_mtime_ns if folder.exists() else None
    return f"{folder.absolute()} {changed} {images and images.absolute()}"


def _fill(connection: sqlite3.Connection, dataset: str, case: Case) -> None:
    for kind, item, picture in _pictures(case):
        row = (dataset, case.id, kind, item, _file(connection, picture))
        connection.execute("INSERT OR REPLACE INTO pictures VALUES(?, ?, ?, ?, ?)", row)


def _pictures(case: Case) -> Iterator[tuple[str, str, Picture]]:
    """By kind and item of probes."""
    if case.image is not None:
        yield "reliability", "", case.image
    for probe in case.probes:
        if probe.image is not None:
            yield probe.kind, probe.id, probe.image


def _file(connection: sqlite3.Connection, picture: Picture) -> int:
    embedded = isinstance(picture, bytes)
    name = hashlib.sha256(picture).hexdigest() if isinstance(picture, bytes) else str(picture.absolute())
    found = connection.execute("SELECT file FROM files WHERE key = ?", (name,)).fetchone()
    if found is not None:
        return int(found[0])
    row = (name, None if embedded else name, picture if embedded else None)
    number = connection.execute("INSERT INTO files(key, path, data) VALUES(?, ?, ?)", row).lastrowid
    assert number is not None
    return number
