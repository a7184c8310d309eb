"""Replies of served models, from a real server that sends whatever bytes it is told to."""

from __future__ import annotations

import gzip
import json
import random
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import ChatRequest, Message, Reply
from mmedit_build.services.served.endpoint import EndpointChat
from tests.fuzz.conftest import Fuzz
from tests.fuzz.damage import CONTENTS, damage_bytes
from tests.fuzz.engine import Case, Expected, LeakError, Reader
from tests.fuzz.trees import NASTY, damaged, written

ANSWER = "answer"
"""The file with the bytes of the whole HTTP answer."""
KEY = "sk-0123456789abcdefghij"
VARIABLE = "MMEDIT_FUZZ_KEY"
ELSEWHERE = b"/elsewhere"
"""Where a server may send who asks; nobody shall go there."""
MOST_LETTERS = 100_000
"""Of a reply to a request for eight tokens."""


@dataclass
class Server:
    """Sends the same bytes to whoever asks, and closes the connection."""

    url: str = ""
    data: bytes = b""


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        told.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        threading.Thread(target=_serve, args=(listening, told), daemon=True).start()
        yield told
        listening.shutdown(socket.SHUT_RDWR)


def _serve(listening: socket.socket, told: Server) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            try:
                _answer(connection, told.data)
            except (OSError, ValueError):
                continue


def _answer(connection: socket.socket, data: bytes) -> None:
    connection.settimeout(2)
    seen = b""
    while b"\r\n\r\n" not in seen:
        seen += _more(connection)
    head, _, body = seen.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: *(\d+)", head)
    length = int(found.group(1)) if found else 0
    while len(body) < length:
        body += _more(connection)
    elsewhere = ELSEWHERE in head.partition(b"\r\n")[0]
    connection.sendall(answer(json.dumps(completion("from elsewhere")).encode()) if elsewhere else data)


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the client has gone")
    return data


def completion(text: str) -> dict[str, Any]:
    """A whole answer of the chat completions interface."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    names = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    return {**names, "choices": [choice], "usage": usage}


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """The bytes of an answer; headers may be anything."""
    kind = (
        []
        if any(one.lower().startswith("content-type") for one in headers)
        else ["Content-Type: application/json"]
    )
    lines = [f"HTTP/1.1 {status}", *headers, *kind, f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


def test_replies(server: Server, tmp_path: Path, fuzz_one: Fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmedit_build.services.served.health.FIRST_WAIT", 0.001)
    monkeypatch.setattr("mmedit_build.services.served.health.LONGEST_DEMAND", 0.001)
    monkeypatch.setattr("mmedit_build.services.served.health.SPREAD", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv(VARIABLE, KEY)
    seed = tmp_path / "seed"
    seed.mkdir()
    (seed / ANSWER).write_bytes(answer(json.dumps(completion("fine")).encode()))

    def read(folder: Path) -> None:
        server.data = (folder / ANSWER).read_bytes()
        model = Endpoint(model="m", base_url=server.url, key_variable=VARIABLE, timeout=2.0, retries=1)
        try:
            (said,) = EndpointChat(model, folder / "requests.sqlite").ask([REQUEST])
        except UserError as error:
            _check_key(str(error))
            raise
        finally:
            _check_kept(folder)
        if not isinstance(said, Reply):
            raise UserError(said.reason)
        _check_text(said.text)
        assert said.confidence is None or 0 <= said.confidence <= 1
        assert len(said.text) < MOST_LETTERS

    fuzz_one(Reader(seed, read, _picked(server), _draw))


REQUEST = ChatRequest((Message("user", "say something"),), 0.0, 8, logprobs=True)


def _check_key(text: str) -> None:
    if KEY in text:
        raise LeakError("the key is told")


def _check_text(text: str) -> None:
    _check_key(text)
    if "\ufffd" in text:
        raise LeakError("a broken text is taken for an answer")
    text.encode()


def _check_kept(folder: Path) -> None:
    """What is kept must not hold the key, whatever the server says."""
    for path in folder.glob("requests.sqlite*"):
        if KEY.encode() in path.read_bytes():
            raise LeakError("the key is kept")


def _draw(rng: random.Random, folder: Path) -> str:
    """Damage the body, the bytes of the whole answer, or a header."""
    kind = rng.choice(("body", "body", "bytes", "status", "header"))
    body, said = written(completion("fine")), ""
    if kind == "body":
        tree, said = damaged(completion("fine"), rng)
        data = answer(written(tree))
    elif kind == "bytes":
        data, said = damage_bytes(answer(body), rng)
    elif kind == "status":
        status = rng.choice((100, 101, 204, 299, 304, 400, 404, 408, 413, 418, 429, 500, 503, 599, 600, 999))
        tree, said = damaged({"error": {"message": "no", "code": "x", "type": "y"}}, rng)
        data, said = answer(written(tree), status=f"{status} x"), f"{status}, {said}"
    else:
        name, value = rng.choice(NAMES), rng.choice([*map(str, NASTY), *CHARSETS])
        said = f"{name}: {value!r:.60}"
        data = answer(
            body, f"{name}: {' '.join(value.split())}", status=rng.choice(("200 OK", "429 x", "302 x"))
        )
    (folder / ANSWER).write_bytes(data)
    return f"{kind}: {said}"


NAMES = (
    "Content-Type",
    "Content-Encoding",
    "Retry-After",
    "Location",
    "Transfer-Encoding",
    "Date",
    "Set-Cookie",
    "Content-Length",
)
CHARSETS = [
    f"application/json; charset={name}"
    for name in (
        "utf-16",
        "idna",
        "undefined",
        "punycode",
        "zlib_codec",
        "rot13",
        "klingon",
        "",
        "\0",
        "a" * 300,
    )
]
DATES = (
    "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "Wed, 99 Foo 2015",
    "Wed, 21 Oct 2015 07:28:00 +99999999",
    "nan",
    "inf",
    "1e300",
    "-5",
    "\xb2",
    "",
)


def _picked(server: Server) -> list[Case]:
    body = json.dumps(completion("fine")).encode()
    told: list[tuple[str, bytes, Expected]] = [
        (f"the body is {what}", answer(data), "refused") for what, data in CONTENTS.items()
    ]
    told += [
        (f"an error is {what}", answer(data, status="500 x"), "refused") for what, data in CONTENTS.items()
    ]
    told += [
        (f"a refusal is {what}", answer(data, status="400 x"), "refused") for what, data in CONTENTS.items()
    ]
    told += [(f"charset {one[26:40]}", answer(body, f"Content-Type: {one}"), "either") for one in CHARSETS]
    told += [
        (
            f"an error in charset {one[26:40]}",
            answer(b"\xff\xfe\0", f"Content-Type: {one}", status="500 x"),
            "refused",
        )
        for one in CHARSETS
    ]
    told += [
        (f"wait until {one}", answer(b"{}", f"Retry-After: {one}", status="429 x"), "refused")
        for one in DATES
    ]
    told += [
        (f"status {code}", answer(body, status=f"{code} x"), "refused") for code in (301, 302, 303, 307, 308)
    ]
    told += [
        (
            f"sent elsewhere by {code}",
            answer(body, f"Location: {server.url}{ELSEWHERE.decode()}", status=f"{code} x"),
            "refused",
        )
        for code in (301, 302, 303, 307, 308)
    ]
    for text in ("\ufffd", "\ud800 what?", f"the key is {KEY}", "a" * 10_000_000, "\0", "\x1b[31m"):
        expected: Expected = "either" if text in ("\0", "\x1b[31m") or KEY in text else "refused"
        told.append((f"it says {text!r:.30}", answer(json.dumps(completion(text)).encode()), expected))
    broken = json.dumps(completion("QQQ")).encode().replace(b"QQQ", b"\xff\xfe\x80")
    told.append(("broken UTF-8 in a text", answer(broken), "refused"))
    likely = completion("fine")
    likely["choices"][0]["logprobs"] = {"content": [{"logprob": 0.7}]}
    told.append(("a token more likely than certain", answer(json.dumps(likely).encode()), "either"))
    told.append(
        (
            "deep in a field",
            answer(body[:-1] + b', "x": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001),
            "refused",
        )
    )
    bomb = gzip.compress(b" " * 300_000_000 + body, 1)
    told.append(("a bomb", answer(bomb, "Content-Encoding: gzip"), "refused"))
    told.append(("packed", answer(gzip.compress(body), "Content-Encoding: gzip"), "accepted"))
    told += [("no HTTP", b"SSH-2.0-x\r\n", "refused"), ("nothing", b"", "refused")]
    told.append(("the key in an error", answer(f"Bearer {KEY}".encode(), status="500 x"), "refused"))
    return [Case(name, _sent(data), expected) for name, data, expected in told]


def _sent(data: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / ANSWER).write_bytes(data)
