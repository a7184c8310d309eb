"""The side of a worker process: does tasks as they come, until nobody is left to give any."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from mmedit_build.console import log_to
from mmedit_build.engine.base import Craft
from mmedit_build.errors import UserError
from mmedit_build.storage.copies import keep_by
from mmedit_build.storage.workers import Beside


@dataclass(frozen=True, slots=True)
class Ended:
    """A task is done, and all that came of it was given."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A task ended in an error."""

    error: BaseException


def serve(pipe: Connection, craft: Craft, logs: Sequence[Path]) -> None:
    """Open a craft, then do what is asked for through the pipe."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_by(Beside())
    with ExitStack() as stack:
        for path in logs:
            stack.enter_context(log_to(path))
        opened = tried(craft.open)
        while True:
            try:
                task = pipe.recv()
            except EOFError:
                return
            pipe.send(opened or tried(craft, task, pipe.send) or Ended())


def tried(call: Any, *given: Any) -> Raised | None:
    """The error that a call ends in; of a bug, with where it was as a note."""
    try:
        call(*given)
    except UserError as error:
        return Raised(error)
    except Exception as error:
        error.add_note("".join(traceback.format_exception(error)))
        return Raised(_travelling(error))
    return None


def _travelling(error: Exception) -> Exception:
    """The error, if it comes out of a pickle again; else one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(*error.__notes__)
    return error


def _end_with_parent() -> None:
    """A worker whose parent was killed would keep its models for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
