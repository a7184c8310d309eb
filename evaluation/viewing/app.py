"""The routes of the viewer: what the page asks for, as JSON, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Response

from evaluation.viewing.detail import detail
from evaluation.viewing.lists import Wanted, find_edits
from evaluation.viewing.paired import add_answers, difference
from evaluation.viewing.report import Report
from evaluation.viewing.steps import Steps, find_steps
from evaluation.viewing.streaming import stream_overview
from evaluation.viewing.titles import about, overview
from mmedit_build.errors import UserError
from mmedit_build.pages.images import picture
from mmedit_build.pages.index import Index
from mmedit_build.pages.serving import ALONE, make_app

SIDE_BY_SIDE = 2
"""Runs of which a list has the answers, too."""


def viewer(index: Index, folders: Sequence[Path], images: Path | None = None) -> FastAPI:
    """The page over an index of some folders, and their report."""
    app = make_app("evaluation.viewing")
    _add_lists(app, index)
    _add_pages(app, index, Report(index, folders, images))
    return app


def _add_lists(app: FastAPI, index: Index) -> None:
    """What pages are drawn from."""

    @app.get("/api/about")
    def get_about() -> Any:
        with index.reading() as connection:
            return about(connection)

    @app.get("/api/overview")
    def get_overview(task: str) -> Any:
        with index.reading() as connection:
            return overview(connection, task)

    @app.get("/api/edits")
    def get_edits(wanted: Annotated[Wanted, Query()]) -> Any:
        with index.reading() as connection:
            total, edits = find_edits(connection, wanted)
            if len(wanted.parts) <= SIDE_BY_SIDE:
                add_answers(connection, wanted, edits)
            paired = len(wanted.parts) == SIDE_BY_SIDE
            return {
                "total": total,
                "edits": edits,
                "difference": difference(connection, wanted) if paired else None,
            }

    @app.get("/api/streams")
    def get_streams(task: str) -> Any:
        with index.reading() as connection:
            return stream_overview(connection, task)

    @app.get("/api/steps")
    def get_steps(wanted: Annotated[Steps, Query()]) -> Any:
        with index.reading() as connection:
            return find_steps(connection, wanted)

    @app.get("/api/edit")
    def get_edit(task: str, id: str) -> Any:
        with index.reading() as connection:
            return detail(connection, task, id)


def _add_pages(app: FastAPI, index: Index, report: Report) -> None:
    """The report, and pictures."""

    @app.get("/report")
    def get_report() -> Response:
        return Response(report.page, media_type="text/html", headers=ALONE)

    @app.get("/picture/{number}")
    def get_picture(number: int, small: bool = False) -> Response:
        with index.reading() as connection:
            row = connection.execute("SELECT path, data FROM files WHERE file = ?", (number,)).fetchone()
        if row is None:
            raise UserError("There is no such picture.")
        return picture(row["path"], row["data"], small=small)
