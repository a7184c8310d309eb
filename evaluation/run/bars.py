"""Progress of what a worker does, shown by the command that gave it to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from mmedit_build.console import Advance

Progress = Callable[[str, int | None], AbstractContextManager[Advance]]


@dataclass(frozen=True, slots=True)
class Begun:
    """Something of so many steps begins."""

    label: str
    total: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """So many more are done."""

    number: int
    note: str


@dataclass(frozen=True, slots=True)
class Over:
    """It ends."""


@contextmanager
def telling(give: Callable[[Any], None], label: str, total: int | None) -> Iterator[Advance]:
    """In the place of `progress` in a worker."""

    def advance(number: int, note: str = "") -> None:
        give(Step(number, note))

    give(Begun(label, total))
    try:
        yield advance
    finally:
        give(Over())


@dataclass
class Bar:
    """Shows what one worker tells."""

    progress: Progress
    _shown: AbstractContextManager[Advance] | None = None
    _advance: Advance | None = None

    def take(self, given: object) -> bool:
        """Show it, if it is of this kind."""
        if isinstance(given, Begun):
            self._shown = self.progress(given.label, given.total)
            self._advance = self._shown.__enter__()
        elif isinstance(given, Step) and self._advance is not None:
            self._advance(given.number, given.note)
        elif isinstance(given, Over):
            self.end()
        return isinstance(given, Begun | Step | Over)

    def end(self) -> None:
        """Of a worker that died nothing more is heard."""
        if self._shown is not None:
            self._shown.__exit__(None, None, None)
        self._shown = self._advance = None
