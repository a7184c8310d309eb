"""Commands in children of this process, and three ways to end them."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NoReturn

import torch

How = Literal["KILL", "TERM", "INT twice"]
HOW: tuple[How, ...] = ("KILL", "TERM", "INT twice")
PATIENCE = 30.0
"""Seconds in which a command ends that was asked to."""
BETWEEN = 0.1
"""Seconds from the first Ctrl-C to the second."""


class Command:
    """A command line that runs in a child, its words in a file.

    Forked, as a process of its own would spend longer on imports than on its work.
    """

    def __init__(self, main: Callable[[], object], words: Sequence[str], log: Path) -> None:
        # Of several threads of torch only one would live on in the child.
        torch.set_num_threads(1)
        self._log = log
        self._code: int | None = None
        self._pid = os.fork()
        if self._pid == 0:
            _run(main, words, log)

    @property
    def ended(self) -> bool:
        """Whether it has come to its end; it must have been a good one, or one by a signal of ours."""
        if self._code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code is not None

    def finish(self) -> None:
        """Wait for a good end."""
        while not self.ended:
            time.sleep(0.01)
        assert self._code == 0, f"exit code {self._code}\n{self._log.read_text()}"

    def import_its_modules(self) -> None:
        """Import what it had imported, so that later commands need not."""
        for name in _modules(self._log).read_text().split():
            # Some of them cannot be imported by themselves.
            with suppress(Exception):
                importlib.import_module(name)

    def end(self, how: How) -> None:
        """End it in one of the ways."""
        if how == "INT twice":
            os.kill(self._pid, signal.SIGINT)
            time.sleep(BETWEEN)
        if not self.ended:
            number = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM, "INT twice": signal.SIGINT}[how]
            os.kill(self._pid, number)
        end = time.monotonic() + PATIENCE
        while not self.ended:
            if time.monotonic() > end:
                os.kill(self._pid, signal.SIGKILL)
                raise AssertionError(f"{how} did not end it\n{self._log.read_text()}")
            time.sleep(0.002)


def _modules(log: Path) -> Path:
    return log.with_suffix(".modules")


def _run(main: Callable[[], object], words: Sequence[str], log: Path) -> NoReturn:
    codes = [1]
    try:
        _called(main, words, log, codes)
    finally:
        # Whatever a second Ctrl-C cuts off, the tests above do not go on in this process.
        os._exit(codes[-1])


def _called(main: Callable[[], object], words: Sequence[str], log: Path, codes: list[int]) -> None:
    try:
        # Threads do not survive a fork, so weights are read without any.
        os.environ["HF_DEACTIVATE_ASYNC_LOAD"] = "1"
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        sys.argv = ["command", *words]
        main()
        codes.append(0)
    except SystemExit as error:
        codes.append(error.code if isinstance(error.code, int) else 1)
    except BaseException:
        traceback.print_exc()
    finally:
        _modules(log).write_text("\n".join(name for name in list(sys.modules) if "__main__" not in name))
        sys.stdout.flush()
        sys.stderr.flush()
