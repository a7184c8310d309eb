"""The routes of the viewer of builds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Response

from mmedit_build.pages.images import picture
from mmedit_build.pages.index import Index
from mmedit_build.pages.serving import make_app
from mmedit_build.viewing.detail import detail, find_picture
from mmedit_build.viewing.lists import Wanted, about, find_rows


def viewer(index: Index, folder: Path) -> FastAPI:
    """The page over the rows of a folder."""
    app = make_app("mmedit_build.viewing")

    @app.get("/api/about")
    def get_about() -> Any:
        with index.reading() as connection:
            return {**about(connection), "folder": str(folder)}

    @app.get("/api/rows")
    def get_rows(wanted: Annotated[Wanted, Query()]) -> Any:
        with index.reading() as connection:
            total, rows = find_rows(connection, wanted)
        return {"total": total, "rows": rows}

    @app.get("/api/row")
    def get_row(row: int) -> Any:
        with index.reading() as connection:
            return detail(connection, row)

    @app.get("/picture/{row}/{name:path}")
    def get_picture(row: int, name: str, small: bool = False) -> Response:
        with index.reading() as connection:
            path, data = find_picture(connection, folder, row, name)
        return picture(path, data, small=small)

    return app
