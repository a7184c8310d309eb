"""A small stage that keeps, rejects and fails rows, and counts how often it is called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.engine.run import Job


@dataclass(frozen=True)
class Number:
    id: str
    value: int


@dataclass
class Doubling:
    """Doubles what is not divisible by 3 or 5; each row it sees is noted in a file."""

    seen: Path
    dies_at: int = -1

    def devices(self) -> Sequence[str]:
        return ()

    def open(self) -> None:
        self.seen.parent.mkdir(parents=True, exist_ok=True)

    def __call__(self, rows: Sequence[Number]) -> Iterable[Number | Rejected[Number] | Failed]:
        for row in rows:
            if row.value == self.dies_at:
                raise KeyboardInterrupt
            with self.seen.open("a") as file:
                file.write(f"{row.id}\n")
            if row.value % 5 == 0 and not self.mended.exists():
                yield Failed(row.id, "five")
            elif row.value % 3 == 0:
                yield Rejected(row.id, "three", row)
            else:
                yield Number(row.id, 2 * row.value)

    @property
    def mended(self) -> Path:
        """While this file is missing, multiples of five fail."""
        return self.seen.with_name("mended")


def numbers(count: int, factor: int = 1) -> list[Number]:
    return [Number(f"n/{value}", value * factor) for value in range(1, count + 1)]


@pytest.fixture
def job(tmp_path: Path) -> Job[Number]:
    return Job(tmp_path / "work", Doubling(tmp_path / "seen"), numbers(50), Number, {"size": {"a": 1}}, 8)
