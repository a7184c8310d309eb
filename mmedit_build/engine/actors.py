"""What runs in the actors of a Ray cluster."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from mmedit_build.console import log_to
from mmedit_build.engine.base import Craft
from mmedit_build.engine.serving import Ended, Raised, tried
from mmedit_build.engine.travelling import let_paths_travel
from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import ChatRequest, NoReply, Reply
from mmedit_build.services.served.keeping import ask_elsewhere
from mmedit_build.storage.copies import keep_by
from mmedit_build.storage.workers import Apart

if TYPE_CHECKING:
    from mmedit_build.services.served.endpoint import EndpointChat


class Worker:
    """Opens a craft, then does tasks, all in one thread: the number of threads of torch is a thread's own."""

    def __init__(self) -> None:
        self._craft: Craft | None = None
        self._thread = ThreadPoolExecutor(1)
        self._logs = ExitStack()
        let_paths_travel()
        keep_by(Apart())

    def opened(self, craft: Craft, keeper: Any, folder: Path, logs: Sequence[Path]) -> Raised | None:
        """Open a craft in a folder; the error, if that fails."""
        self._craft = craft
        return self._thread.submit(tried, self._open, craft, keeper, folder, logs).result()

    def _open(self, craft: Craft, keeper: Any, folder: Path, logs: Sequence[Path]) -> None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise UserError(
                f"{folder} is not on every machine of the cluster; run the command in a folder of a "
                "file system that all of them share, or in / with whole paths and addresses in storage alone."
            ) from error
        # It may have been open before, when no word of it got through.
        self._logs.close()
        self._logs = _logging(logs)
        ask_elsewhere(lambda model, cache: Kept(keeper, model, cache.absolute()))
        craft.open()

    def do(self, task: Any) -> Iterator[Any]:
        """The pieces that come of a task, then how it ended; nothing at all of a process that took the place
        of one that died while nobody looked, and has no craft."""
        if (craft := self._craft) is None:
            return
        pieces: SimpleQueue[Any] = SimpleQueue()
        self._thread.submit(lambda: pieces.put(tried(craft, task, pieces.put) or Ended()))
        while not isinstance(piece := pieces.get(), Raised | Ended):
            yield piece
        yield piece


class Keeper:
    """Asks served models for all workers and keeps the replies. What a worker has under way when it dies is
    brought to its end here, and whoever does its task again finds it: nothing is paid twice."""

    def __init__(self, logs: Sequence[Path]) -> None:
        self._chats: dict[str, EndpointChat] = {}
        self._logs = _logging(logs)

    def ask(
        self, asker: str, model: Endpoint, cache: Path, requests: Sequence[ChatRequest]
    ) -> list[Reply | NoReply] | Raised:
        """What the model replies to somebody who has one thing asked at a time, or why it cannot be asked."""
        from mmedit_build.services.served.endpoint import EndpointChat

        try:
            if asker not in self._chats:
                self._chats[asker] = EndpointChat(model, cache)
            return self._chats[asker].ask(requests)
        except UserError as error:
            return Raised(error)


class Kept:
    """A served model that a keeper asks."""

    def __init__(self, keeper: Any, model: Endpoint, cache: Path) -> None:
        self.name = model.model
        self._ask = partial(keeper.ask.remote, uuid.uuid4().hex, model, cache)
        # A key that is missing is told before there is work.
        self.ask(())

    def ask(self, requests: Sequence[ChatRequest]) -> list[Reply | NoReply]:
        import ray

        found: list[Reply | NoReply] | Raised = ray.get(self._ask(requests))
        if isinstance(found, Raised):
            raise found.error
        return found


def _logging(paths: Sequence[Path]) -> ExitStack:
    """What mmedit logs goes to these files, as long as this is held."""
    stack = ExitStack()
    for path in paths:
        stack.enter_context(log_to(path))
    return stack
