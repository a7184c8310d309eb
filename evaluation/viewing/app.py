"""The routes of the viewer: what the page asks for, as JSON, and pictures."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query, Response

from evaluation.viewing.detail import detail
from evaluation.viewing.lists import Wanted, find_edits
from evaluation.viewing.paired import add_answers, difference
from evaluation.viewing.titles import about, overview
from mmedit_build.errors import UserError
from mmedit_build.pages.images import picture
from mmedit_build.pages.index import Index
from mmedit_build.pages.serving import make_app

SIDE_BY_SIDE = 2
"""Runs of which a list has the answers, too."""


def viewer(index: Index) -> FastAPI:
    """The page over an index."""
    app = make_app("evaluation.viewing")

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

    @app.get("/api/edit")
    def get_edit(task: str, id: str) -> Any:
        with index.reading() as connection:
            return detail(connection, task, id)

    @app.get("/picture/{number}")
    def get_picture(number: int, small: bool = False) -> Response:
        with index.reading() as connection:
            row = connection.execute("SELECT path, data FROM files WHERE file = ?", (number,)).fetchone()
        if row is None:
            raise UserError("There is no such picture.")
        return picture(row["path"], row["data"], small=small)

    return app
