"""A served model judged on several nodes: each request is paid once, whoever dies while it is under way."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zlib import crc32

from benchmarks.cluster.judging import difference, judged
from benchmarks.cluster.nodes import WORKERS, kill_while
from evaluation.run.experiment import Experiment, make_experiment
from mmedit_build.engine.local import HERE
from mmedit_build.engine.ray import OnRay

DELAY = 0.3
"""Seconds that a reply takes, while which its request is paid and nobody has it."""
IKE = {"copies": 0, "updates": 0, "retains": 0, "self_copy": False}
"""Without demonstrations, which an encoder would have to find."""
LIMIT = 96


def kill_askers(folder: Path, dataset: str, kills: int, seed: int) -> None:
    """Judge a served model while workers die, and print how results differ and what was paid twice."""
    with serving(0.0) as server:
        alone = judged(_experiment(dataset, server), folder / "alone", HERE)

    def run(place: Path) -> str:
        with serving(DELAY) as server:
            found = judged(_experiment(dataset, server), place, OnRay(WORKERS))
        asked = server.asked
        return f"{difference(found, alone)}; {len(asked)} requests, {asked.total() - len(asked)} paid twice"

    kill_while(run, folder, kills, seed)


def _experiment(dataset: str, server: Server) -> Experiment:
    about = {"dataset": dataset, "task": "vqa", "limit": LIMIT, "protocols": ("wild",)}
    model = {"kind": "endpoint", "model": "stub", "base_url": server.url}
    return make_experiment(None, about | {"model": model, "methods": {"ike": {"options": IKE}}})


@dataclass
class Server:
    """Counts what it is asked."""

    url: str
    asked: Counter[bytes] = field(default_factory=Counter)


@contextmanager
def serving(delay: float) -> Iterator[Server]:
    """A model on loopback that says yes or no, as the prompt has it."""
    # Proxies do not know this machine by this name.
    os.environ.setdefault("NO_PROXY", "127.0.0.1")
    told, lock = Server(""), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                told.asked[body] += 1
            time.sleep(delay)
            data = json.dumps(_completion(("yes", "no")[crc32(body) % 2])).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()


def _completion(text: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    names = {"id": "x", "object": "chat.completion", "created": 1, "model": "stub"}
    return {**names, "choices": [choice], "usage": usage}
