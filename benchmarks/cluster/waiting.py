"""A stage that waits, as for a server, so that the processors of one machine do not decide."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """What goes in, and comes out."""

    id: str


@dataclass
class Waiting:
    """Waits for each row, notes that it saw it, and says which process is at work."""

    folder: Path
    seconds: float

    def devices(self) -> Sequence[str]:
        return ()

    def open(self) -> None:
        (self.folder / "pids" / str(os.getpid())).touch()

    def __call__(self, rows: Sequence[Row]) -> Iterator[Row]:
        for row in rows:
            time.sleep(self.seconds)
            with (self.folder / "seen").open("a") as file:
                file.write(f"{row.id}\n")
            yield row
