"""An OpenAI-compatible server on loopback that misbehaves as it is told, and counts what it bills."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import ChatRequest, Message, NoReply, Reply
from mmedit_build.services.served.endpoint import EndpointChat

KEY = "sk-very-secret-0123456789"
HANG_SECONDS = 1.5
"""Longer than the timeout of the tests' clients."""


@dataclass
class Seen:
    """A request that arrived."""

    body: dict[str, Any]
    authorization: str
    at: float

    @property
    def text(self) -> str:
        """What the last message says."""
        content = self.body["messages"][-1]["content"]
        return str(content if isinstance(content, str) else content[-1]["text"])


@dataclass
class ChatServer:
    """Answers `reply to X` to X, unless its script has something else for the next request."""

    script: deque[dict[str, Any]] = field(default_factory=deque)
    """What the next requests get: `status`, `headers`, `body`, `change` of the completion, `hang`, `cut`."""
    judge: Callable[[Seen], dict[str, Any] | None] = lambda _seen: None
    """What a request gets for what it says; comes before the script."""
    delay: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    billed: Counter[str] = field(default_factory=Counter)
    """Completions that went out whole and of use, by what they reply to."""
    most_at_once: int = 0
    url: str = ""
    at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arrived(self, seen: Seen) -> dict[str, Any]:
        with self._lock:
            self.seen.append(seen)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            step = self.judge(seen)
            if step is None:
                step = self.script.popleft() if self.script else {}
        return step

    def left(self) -> None:
        with self._lock:
            self.at_once -= 1

    def bill(self, text: str) -> None:
        with self._lock:
            self.billed[text] += 1


def completion(text: str) -> dict[str, Any]:
    """A whole answer of the chat completions interface."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    names = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    return {**names, "choices": [choice], "usage": usage}


def change(**fields: Any) -> Callable[[dict[str, Any]], None]:
    """Changes the first choice of a completion."""
    return lambda answer: answer["choices"][0].update(fields)


EMPTY = {"change": change(message={"role": "assistant", "content": ""})}
CUT_OFF = {"change": change(finish_reason="length")}


def request(text: str, **fields: Any) -> ChatRequest:
    return ChatRequest((Message("user", text),), **({"temperature": 1.0, "max_tokens": 64} | fields))


def texts(outcomes: list[Reply | NoReply]) -> list[str]:
    return [one.text if isinstance(one, Reply) else f"NO: {one.reason}" for one in outcomes]


def _handler(server: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen = Seen(body, self.headers.get("Authorization", ""), time.monotonic())
            step = server.arrived(seen)
            try:
                time.sleep(server.delay + (HANG_SECONDS if step.get("hang") else 0.0))
            finally:
                # Before the answer is sent: the client may send the next request at once.
                server.left()
            self._answer(seen, step)

        def _answer(self, seen: Seen, step: dict[str, Any]) -> None:
            if step.get("cut") == "before":
                self.close_connection = True
                return
            answer = completion(f"reply to {seen.text}")
            step.get("change", lambda _answer: None)(answer)
            body = step.get("body")
            data = json.dumps(answer) if body is None else body
            data = data.encode() if isinstance(data, str) else data
            good = not step.keys() - {"headers", "good"}
            if good or step.get("good"):
                server.bill(seen.text)
            self.send_response(step.get("status", 200))
            for name, value in {"Content-Type": "application/json", **step.get("headers", {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if step.get("cut") == "within":
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
                return
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tests look at what arrived."""

    return Handler


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients that gave up are part of the tests."""


@contextmanager
def serving() -> Iterator[ChatServer]:
    told = ChatServer()
    server = _Quiet(("127.0.0.1", 0), _handler(told))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    with serving() as server:
        yield server


@pytest.fixture
def other_server() -> Iterator[ChatServer]:
    """Where nothing should arrive."""
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def _fast_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits between attempts, no proxy, and no key from the surroundings."""
    monkeypatch.setattr("mmedit_build.services.served.health.FIRST_WAIT", 0.02)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def open_chat(chat_server: Any, tmp_path: Path) -> Callable[..., EndpointChat]:
    def opened(**fields: Any) -> EndpointChat:
        known = {"model": "m", "base_url": chat_server.url, "timeout": 1.0}
        return EndpointChat(Endpoint(**(known | fields)), tmp_path / "requests.sqlite")

    return opened


@pytest.fixture
def unused_url() -> str:
    """Where no server is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"
