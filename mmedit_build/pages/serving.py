"""Serving pages to this machine alone: results and rows are nobody else's.

The server listens on loopback. Any page that a browser shows can send requests there, too, so requests are
answered only if they ask for this machine by its name (another host may let its name lead here), and changes
are made only for our own pages.
"""

from __future__ import annotations

import errno
import importlib.util
import socket
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mmedit_build.errors import UserError, shortened
from mmedit_build.page import BASE_STYLE

# An extra, which need not be installed.
if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn import Server

HOST = "127.0.0.1"
SHARED = Path(__file__).parent / "static"
"""What all pages have."""
NAMES = (HOST, "localhost")
"""What a browser may call this machine."""
READY = "Look at http://{host}:{port}/ and press Ctrl-C when you are done."
SAFE = ("GET", "HEAD")
"""Requests that change nothing."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
POLICY = "content-security-policy"
ALONE = {POLICY: "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}
"""The headers of a page that says itself what it may load and run, see `mmedit_build.page`."""
HEADERS = {
    POLICY: _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
"""With these a browser loads nothing from elsewhere, runs no script that stands in a text, and shows no other
page what ours hold."""


def make_app(package: str) -> FastAPI:
    """An application that serves the folder `static` of a package, with `index.html` as its first page.

    Its own routes are added to it. A UserError in one of them is answered with its sentence, and values that
    they do not take with one that says which they do.
    """
    check_installed()
    from fastapi import FastAPI, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import FileResponse, JSONResponse, Response
    from fastapi.staticfiles import StaticFiles

    folder = Path(str(files(package))) / "static"
    app = FastAPI(openapi_url=None)
    app.add_middleware(Guard)

    @app.exception_handler(UserError)
    def refuse(_request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=400)

    @app.exception_handler(RequestValidationError)
    def refuse_values(_request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"error": " ".join(map(_unlike, error.errors()))}, status_code=422)

    @app.get("/")
    def first() -> FileResponse:
        return FileResponse(folder / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/base.css")
    def style() -> Response:
        return Response(BASE_STYLE, media_type="text/css")

    app.mount("/static", StaticFiles(directory=folder))
    app.mount("/shared", StaticFiles(directory=SHARED))
    return app


def _unlike(error: dict[str, Any]) -> str:
    """What is wrong with one value of a request, in a sentence."""
    name, given = str(error["loc"][-1]), shortened(str(error["input"]))
    if error["type"] == "missing":
        return f"The request does not say {name}."
    if error["type"] == "literal_error":
        return f"There is no choice '{given}' for {name}; there are: {error['ctx']['expected']}."
    return f"{name} cannot be '{given}': {error['msg'].removeprefix('Input ')}."


class Guard:
    """Answers no request that is not meant for this machine, or changes something for another page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if reason := refusal(scope["method"], dict(scope["headers"])):
            from fastapi.responses import PlainTextResponse

            await PlainTextResponse(reason, status_code=403, headers=HEADERS)(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))


def refusal(method: str, headers: dict[bytes, bytes]) -> str:
    """Why a request is not answered; empty if it is."""
    host = headers.get(b"host", b"").decode("latin-1")
    if host.rpartition(":")[0] not in NAMES and host not in NAMES:
        return f"Ask for this page as http://{HOST}, with its port."
    origin = headers.get(b"origin", b"").decode("latin-1")
    if method not in SAFE and origin != f"http://{host}":
        return "Only pages of this server may change something here."
    return ""


def _with_headers(send: Send) -> Callable[[Any], Awaitable[None]]:
    usual = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in message["headers"]}
            added = [(name, value) for name, value in usual if name not in own]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sending


def serve(app: FastAPI, port: int) -> None:
    """Serve it until Ctrl-C; a line tells where as soon as a browser can ask."""
    with listen(port) as listening:
        typer.echo(READY.format(host=HOST, port=listening.getsockname()[1]))
        try:
            server(app).run(sockets=[listening])
        except KeyboardInterrupt:
            # How it is meant to end.
            return


def listen(port: int) -> socket.socket:
    """A socket that browsers of this machine can reach; port 0 is any that is free."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A server that has just ended keeps its port for a minute otherwise.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise UserError(
            f"Port {port} {reason}; choose another one with --port, such as --port 0 for any that is free."
        ) from error
    return listening


def server(app: FastAPI) -> Server:
    """Quiet, and not kept from ending by a browser that holds its connection open."""
    from uvicorn import Config, Server

    quiet: dict[str, Any] = {"lifespan": "off", "log_level": "warning", "access_log": False}
    return Server(Config(app, **quiet, server_header=False, timeout_graceful_shutdown=1))


def check_installed() -> None:
    """Refuse to go on without the extra."""
    if not all(importlib.util.find_spec(name) for name in ("fastapi", "uvicorn")):
        raise UserError("Pages are served by FastAPI and uvicorn; install mmedit[review].")
