"""What `mmedit-eval submit` and `mmedit-eval leaderboard` do once their options are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from evaluation.leaderboard.boards import make_boards, read_about
from evaluation.leaderboard.page import NAME as PAGE
from evaluation.leaderboard.page import render
from evaluation.leaderboard.reading import Shelf
from evaluation.leaderboard.stream_tables import NAME as STREAM_TABLE
from evaluation.leaderboard.stream_tables import as_runs
from evaluation.leaderboard.submitting import Submission, in_words, prepare, send, write_files
from evaluation.leaderboard.table import NAME as TABLE
from evaluation.leaderboard.table import csv_text
from evaluation.report.numbers import as_csv
from evaluation.report.stream_tables import CSV_COLUMNS, StreamRun, csv_rows
from mmedit_build.errors import UserError, first_line
from mmedit_build.files import is_folder
from mmedit_build.places import place
from mmedit_build.publishing.hub import check_access
from mmedit_build.rows import Task
from mmedit_build.store import check_writable, write_atomic


def submit(
    run: Path, to: str, dataset: str | None, images: Path | None, *, limited: bool, dry_run: bool
) -> Iterator[str]:
    """Hand in the runs of a folder, or only say what that would be; lines to tell."""
    here = is_folder(Path(to))
    if not dry_run and not here:
        check_access(to, None)
    submission = prepare(run, dataset, images, limited=limited)
    yield from _told(submission, whole=dry_run)
    if dry_run:
        yield f"Nothing was sent. Without --dry-run this goes to {to}."
    elif here:
        write_files(submission, place(to))
        yield f"Written to {to}."
    else:
        yield f"Pull request: {send(submission, to)}"


def leaderboard(name: str, out: Path) -> Iterator[str]:
    """Score all entries again and write page and table; lines to tell.

    A UserError at the end if any were refused: the others are there.
    """
    check_writable(out)
    folder = _fetched(name)
    shelf, about = Shelf.read(folder), read_about(folder)
    boards = make_boards(shelf, about)
    write_atomic(out / TABLE, csv_text(boards).encode())
    streams = [*shelf.streams.values()]
    write_atomic(out / PAGE, render(boards, about, shelf.refused, streams))
    number = "one board" if len(boards) == 1 else f"{len(boards):,} boards"
    yield f"{len(shelf.rows):,} entries were scored again, on {number}."
    yield f"Page: {out / PAGE}"
    yield f"Table: {out / TABLE}"
    if streams:
        yield f"{len(streams):,} entries of streams were scored again."
        runs: dict[Task, list[StreamRun]] = {}
        for row, run in zip(streams, as_runs(streams), strict=True):
            runs.setdefault(row.stream.task, []).append(run)
        write_atomic(out / STREAM_TABLE, as_csv(CSV_COLUMNS, csv_rows(runs)).encode())
        yield f"Streams: {out / STREAM_TABLE}"
    yield from map(str, shelf.refused)
    if shelf.refused:
        total = len(shelf.rows) + len(streams) + len(shelf.refused)
        raise UserError(
            f"{len(shelf.refused):,} of {total:,} entries were refused, as said; the page has the others."
        )


def _told(submission: Submission, *, whole: bool) -> Iterator[str]:
    for entry in submission.entries:
        yield in_words(entry)
        if whole:
            header = json.loads(entry.text())["header"]
            yield json.dumps(header, indent=2, ensure_ascii=False)
    for name, data in submission.files.items():
        yield f"{len(data):>10,} bytes  {name}"


def _fetched(name: str) -> Path:
    """The folder of a leaderboard, which may be a dataset on the Hub, with or without an @revision."""
    if is_folder(Path(name)):
        return place(name)
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    if repository.count("/") != 1 or repository.startswith((".", "/")):
        raise UserError(f"There is no folder '{name}'; give one, or user/name of a dataset on the Hub.")
    try:
        return Path(snapshot_download(repository, repo_type="dataset", revision=revision or None))
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"Cannot load {name} from the Hub ({first_line(error)}); check its name and the network, or give "
            "the path of a folder."
        ) from error
