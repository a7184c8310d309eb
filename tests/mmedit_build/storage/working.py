"""A command that is killed: a stage over rows in a work folder in storage, which pays for some replies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mmedit_build.engine.local import HERE
from mmedit_build.engine.run import Job, run
from mmedit_build.engine.shards import Tally
from mmedit_build.places import place
from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import ChatRequest, Message, Reply
from mmedit_build.services.served.cache import Cache, request_key
from mmedit_build.storage import session as sessions
from mmedit_build.storage.session import session
from mmedit_build.work import Work
from tests.mmedit_build.engine.conftest import Number, numbers

ROWS, SHARD = 120, 4
MODEL = Endpoint(model="m", base_url="http://localhost/v1")


@dataclass
class Paying:
    """Pays a little for each row, once."""

    cache: Path
    paid: Path
    """Each payment, as the one who is paid notes it."""

    def devices(self) -> Sequence[str]:
        return ()

    def open(self) -> None:
        """Nothing to load."""

    def __call__(self, rows: Sequence[Number]) -> Iterator[Number]:
        with closing(Cache(self.cache)) as cache:
            for row in rows:
                request = ChatRequest((Message("user", row.id),), 1.0, 8)
                key = request_key(MODEL, request)
                if cache.get(key) is None:
                    with self.paid.open("a") as file:
                        file.write(f"{row.id}\n")
                    cache.put(key, "m", request, Reply(row.id, None, 1, 1, cached=False))
                time.sleep(0.01)
                yield Number(row.id, row.value + 1)


def quiet(number: int, tally: Tally) -> None:
    """Nobody looks."""


def work(address: str, paid: Path) -> list[Number]:
    sessions.PAUSE = float(os.environ.get("PAUSE", "0.05"))
    with session():
        build = Work(place(address))
        with build.locked():
            stage = Paying(build.requests, paid)
            job = Job(build.stage("mine"), stage, numbers(ROWS), Number, {}, SHARD)
            return list(run(job, HERE, retry_failed=False, advance=quiet))  # type: ignore[arg-type]


if __name__ == "__main__":
    work(sys.argv[1], Path(sys.argv[2]))
