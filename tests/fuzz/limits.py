"""Bounds of time and memory for code that is given damaged inputs."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SECONDS = 15.0
"""A small input is read in milliseconds; on a busy machine the worst of them take some seconds."""
ROOM = 2 * 2**30
"""Bytes of memory that a small input may take."""
STATM = Path("/proc/self/statm")


class TooLongError(BaseException):
    """It would go on for ever. Not an Exception, so that the code under test does not catch it."""


@contextmanager
def limited(seconds: float = SECONDS) -> Iterator[None]:
    """Inside, what takes too long ends in TooLongError, and what takes too much memory in MemoryError."""
    with _soon(seconds), _small():
        yield


@contextmanager
def _soon(seconds: float) -> Iterator[None]:
    # Not an alarm, which pytest-timeout uses. A signal also ends calls that wait, such as opening a pipe.
    earlier = signal.signal(signal.SIGUSR1, _end)
    timer = threading.Timer(seconds, signal.pthread_kill, (threading.get_ident(), signal.SIGUSR1))
    start = time.monotonic()
    timer.start()
    try:
        yield
        # Libraries that are not written in Python may keep the signal waiting until they are done.
        if time.monotonic() - start > seconds:
            raise TooLongError
    finally:
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGUSR1, earlier)


def pipe(path: Path) -> None:
    """A pipe that nobody writes to; whoever still waits for it when the time is over gets its end."""
    os.mkfifo(path)
    # From outside, as some libraries stop all threads while they wait.
    late = f'sleep {SECONDS + 1}; [ -p "$0" ] && : <>"$0"'
    subprocess.Popen(["sh", "-c", late, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise TooLongError


@contextmanager
def _small() -> Iterator[None]:
    if not STATM.exists():
        yield
        return
    pages = int(STATM.read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
