"""A chat model behind the server that comes with transformers, on this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from mmedit_build.errors import UserError

NEEDS = ("accelerate", "fastapi", "uvicorn")
"""What the server imports."""
PATIENCE = 300
"""Seconds until it answers, or is given up."""


def can_serve() -> bool:
    """Whether all is installed that the server needs."""
    return all(find_spec(name) is not None for name in NEEDS)


@contextmanager
def serving(model: Path, log: Path, port: int | None = None) -> Iterator[str]:
    """Inside, the folder's model answers at the address; what the server says goes into the file `log`."""
    if not can_serve():
        raise UserError(
            f"`transformers serve` needs {', '.join(NEEDS)}: install mmedit with the extra 'dev'."
        )
    port = port or _free_port()
    program = Path(sys.executable).with_name("transformers")
    command = [str(program), "serve", str(model), "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "--device", "cpu"], stdout=output, stderr=output)
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(20)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        try:
            with direct.open(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise UserError(f"`transformers serve` did not start; {log} says why.")
