"""The server of pages, asked over real connections."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection, HTTPResponse
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from fastapi import FastAPI

from mmedit_build.errors import UserError
from mmedit_build.pages import serving
from tests.serving import running

PACKAGE = "a_page_for_tests"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """A page of a package of its own, and something to change."""
    static = tmp_path / PACKAGE / "static"
    static.mkdir(parents=True)
    (static.parent / "__init__.py").touch()
    (static.parent / "secret.txt").write_text("secret")
    (static / "index.html").write_text("<!doctype html><title>Hello</title>")
    (static / "page.js").write_text("console.log(1)")
    monkeypatch.syspath_prepend(tmp_path)
    app = serving.make_app(PACKAGE)

    @app.post("/change")
    def change() -> dict[str, str]:
        return {"changed": "yes"}

    @app.get("/wrong")
    def wrong() -> None:
        raise UserError("There is no such thing; choose another.")

    return app


def ask(port: int, path: str, method: str = "GET", **headers: str) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


def test_pages_and_their_files_are_served_with_a_policy(app: FastAPI) -> None:
    with running(app) as port:
        first = ask(port, "/")
        assert (first.status, b"Hello" in first.read()) == (200, True)
        assert "script-src 'self'" in (first.getheader("content-security-policy") or "")
        assert first.getheader("x-content-type-options") == "nosniff"
        assert ask(port, "/static/page.js").read() == b"console.log(1)"
        assert b"--paper" in ask(port, "/base.css").read()


@pytest.mark.parametrize(
    "path", ["/static/../secret.txt", "/static/%2e%2e/secret.txt", "/secret.txt", "/docs", "/openapi.json"]
)
def test_nothing_else_is_served(app: FastAPI, path: str) -> None:
    with running(app) as port:
        assert ask(port, path).status == 404


def test_another_name_for_this_machine_is_refused(app: FastAPI) -> None:
    with running(app) as port:
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", ""):
            assert ask(port, "/", Host=host).status == 403
        for host in (f"localhost:{port}", f"127.0.0.1:{port}", "localhost"):
            assert ask(port, "/", Host=host).status == 200


def test_changes_are_made_for_our_own_pages_alone(app: FastAPI) -> None:
    with running(app) as port:
        assert ask(port, "/change", "POST").status == 403
        assert ask(port, "/change", "POST", Origin="http://evil.example").status == 403
        assert ask(port, "/change", "POST", Origin="null").status == 403
        assert ask(port, "/change", "POST", Origin=f"http://127.0.0.1:{port}").status == 200


def test_a_mistake_is_answered_with_its_sentence(app: FastAPI) -> None:
    with running(app) as port:
        answer = ask(port, "/wrong")
        assert (answer.status, answer.read()) == (
            400,
            b'{"error":"There is no such thing; choose another."}',
        )


def test_a_taken_port_is_one_sentence() -> None:
    with serving.listen(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {port} is taken; choose another one with --port"):
            serving.listen(port)


def test_other_machines_cannot_reach_it() -> None:
    with serving.listen(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        with socket.socket() as other, pytest.raises(OSError, match="refused"):
            # Another address of this machine stands for another machine.
            other.connect(("127.0.0.2", listening.getsockname()[1]))


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"fastapi": ModuleSpec("fastapi", None)}
    monkeypatch.setattr(importlib.util, "find_spec", found.get)
    with pytest.raises(UserError, match=r"install mmedit\[review\]"):
        serving.make_app(PACKAGE)


def test_ctrl_c_ends_it_without_a_word(app: FastAPI, tmp_path: Path) -> None:
    del app  # its package is used
    code = f"from mmedit_build.pages.serving import make_app, serve; serve(make_app('{PACKAGE}'), 0)"
    environment = {**os.environ, "PYTHONPATH": f"{Path.cwd()}{os.pathsep}{tmp_path}"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        port = int(line.split(":")[2].split("/")[0])
        assert ask(port, "/").status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert (process.stdout.read(), process.stderr.read()) == ("", "")
