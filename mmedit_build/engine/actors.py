"""What runs in the actors of a Ray cluster."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast

from mmedit_build.console import log_to
from mmedit_build.engine.base import Craft
from mmedit_build.engine.serving import Ended, Raised, tried
from mmedit_build.errors import UserError
from mmedit_build.services.served.cache import Cache
from mmedit_build.services.served.keeping import keep_replies


class Worker:
    """Opens a craft, then does tasks, all in one thread: the number of threads of torch is a thread's own."""

    def __init__(self) -> None:
        self._craft: Craft
        self._thread = ThreadPoolExecutor(1)

    def opened(self, craft: Craft, keeper: Any, folder: Path, logs: Sequence[Path]) -> Raised | None:
        """Open a craft in a folder; the error, if that fails."""
        self._craft = craft
        return self._thread.submit(tried, self._open, keeper, folder, logs).result()

    def _open(self, keeper: Any, folder: Path, logs: Sequence[Path]) -> None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise UserError(
                f"{folder} is not on every machine of the cluster; run the command in a folder of a "
                "file system that all of them share."
            ) from error
        for path in logs:
            ExitStack().enter_context(log_to(path))
        keep_replies(lambda path: cast(Cache, Kept(keeper, path.absolute())))
        self._craft.open()

    def do(self, task: Any) -> Iterator[Any]:
        """The pieces that come of a task, then how it ended."""
        pieces: SimpleQueue[Any] = SimpleQueue()
        self._thread.submit(lambda: pieces.put(tried(self._craft, task, pieces.put) or Ended()))
        while not isinstance(piece := pieces.get(), Raised | Ended):
            yield piece
        yield piece


class Keeper:
    """Holds the replies that were paid for, for all workers: their file is for processes of one machine."""

    def __init__(self) -> None:
        self._caches: dict[tuple[Path, str], Cache] = {}

    def call(self, path: Path, client: str, name: str, given: Sequence[Any]) -> Any:
        """What a method of the client's cache gives, or raises."""
        if (path, client) not in self._caches:
            self._caches[path, client] = Cache(path)
        try:
            return getattr(self._caches[path, client], name)(*given)
        except UserError as error:
            return Raised(error)


class Kept:
    """A cache that a keeper holds."""

    def __init__(self, keeper: Any, path: Path) -> None:
        self._keeper = keeper
        self._path = path
        self._client = uuid.uuid4().hex

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self._call(name, given)

    def _call(self, name: str, given: Sequence[Any]) -> Any:
        import ray

        found = ray.get(self._keeper.call.remote(self._path, self._client, name, given))
        if isinstance(found, Raised):
            raise found.error
        return found
