"""The page on which people judge rows, served to this machine alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from mmedit_build.pages.serving import make_app
from mmedit_build.review.answers import Answer
from mmedit_build.review.session import Json, Session

if TYPE_CHECKING:
    from fastapi import FastAPI


@contextmanager
def _found() -> Iterator[None]:
    """Answers that there is no such row or picture where a session has none."""
    from fastapi import HTTPException

    try:
        yield
    except LookupError as error:
        raise HTTPException(404) from error


class Given(BaseModel):
    """An answer as the page sends it."""

    model_config = ConfigDict(extra="forbid")

    of: str
    answer: Answer


def app_of(session: Session) -> FastAPI:
    """The application of one person's review."""
    app = make_app("mmedit_build.review")
    from fastapi import Response

    @app.get("/api/state")
    def state() -> Json:
        return session.state()

    @app.get("/api/rows/{place}")
    def row(place: int) -> Json:
        with _found():
            return session.row(place)

    @app.post("/api/answers")
    def give(given: Given) -> Json:
        return session.give(given.of, given.answer)

    @app.post("/api/undo")
    def undo() -> Json:
        return session.undo()

    @app.get("/pictures/{place}/{name}")
    def picture(place: int, name: str) -> Response:
        with _found():
            data, kind = session.picture(place, name)
        return Response(data, media_type=kind, headers={"cache-control": "no-cache"})

    return app
