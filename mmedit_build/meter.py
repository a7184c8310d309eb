"""How far some work is, in plain lines for files that nobody watches."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

EVERY = 30.0
"""Seconds between two lines."""


@dataclass
class Meter:
    """Counts what is done, and tells of it when it is time."""

    label: str
    total: int | None
    tell: Callable[[str], None]
    """Takes each line."""
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    note: str = ""
    _first: tuple[float, int] | None = None
    """When something was done first, and how much. It may have been known from an earlier command, so that
    the rate is that of what came after."""
    _began: float = field(init=False)
    _told: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._told = self.clock()

    def begin(self) -> None:
        """Tell what begins."""
        self.tell(self._counted())

    def advance(self, number: int, note: str = "") -> None:
        """So much more is done."""
        now = self.clock()
        self.done += number
        self.note = note
        if self._first is None:
            self._first = now, self.done
        if now - self._told >= EVERY and self.done != self.total:
            self._told = now
            self.tell(", ".join([self._counted(), *self._rate(now), *self._left(now), *self._noted()]))

    def end(self) -> None:
        """Tell what has become of it, whether all is done or not."""
        now = self.clock()
        took = f"{self._counted()} in {duration(now - self._began)}"
        self.tell(", ".join([took, *self._rate(now), *self._noted()]))

    def _counted(self) -> str:
        if self.total is None:
            return f"{self.label}: {self.done}" if self.done else self.label
        return f"{self.label}: {self.done} of {self.total}"

    def _noted(self) -> list[str]:
        return [self.note] if self.note else []

    def _rate(self, now: float) -> list[str]:
        speed = self._speed(now)
        if not speed:
            return []
        return [f"{speed:.1f}/s" if speed >= 1 else f"{60 * speed:.1f} a minute"]

    def _left(self, now: float) -> list[str]:
        speed = self._speed(now)
        if not speed or self.total is None:
            return []
        return [f"{duration((self.total - self.done) / speed)} left"]

    def _speed(self, now: float) -> float:
        """What is done a second; 0 where that is not known."""
        since, already = self._first or (now, 0)
        return (self.done - already) / (now - since) if now > since else 0.0


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=max(0, round(seconds))))
