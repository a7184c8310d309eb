"""What is killed: a command, what it does one after the other, and what it ends with."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmedit_build.store import PARTIAL
from tests.kills.command import Command, How

Seen = Callable[[Path], bool]
"""Tells from the folder whether something is the case."""
Content = Mapping[str, Sequence[tuple[str, object]]]
"""By file: the rows in their order, each with its id."""
NOWHERE = "elsewhere"
LOOK = 0.002
"""Seconds between looks at the folder."""


def there(pattern: str) -> Seen:
    """Whether there is such a file."""
    return lambda folder: any(folder.glob(pattern))


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that a command does for a while."""

    name: str
    begun: Seen
    ended: Seen


@dataclass(frozen=True, slots=True)
class Subject:
    """A command that is killed and run again."""

    name: str
    main: Callable[[], object]
    words: Callable[[Path], Sequence[str]]
    """The command line that works in a folder."""
    moments: tuple[Moment, ...]
    """In their order."""
    content: Callable[[Path], Content]
    """What must not depend on kills."""
    left: Callable[[Path], Sequence[Path]]
    """Files that no finished command leaves."""

    def start(self, folder: Path) -> Command:
        folder.mkdir(parents=True, exist_ok=True)
        return Command(self.main, self.words(folder), folder / "words.txt")

    def given_again_later(self, folder: Path) -> None:
        """Run it to its end, hours after it was killed: what others may still write is not cleared away."""
        for path in folder.rglob(f"*{PARTIAL}"):
            os.utime(path, (0, 0))
        self.start(folder).finish()

    def at_work(self, folder: Path) -> str:
        """The moment that the command is in."""
        now = [one.name for one in self.moments if one.begun(folder) and not one.ended(folder)]
        return now[-1] if now else NOWHERE

    def durations(self, folder: Path) -> dict[str, float]:
        """Run it undisturbed, and see how long each moment takes, with all that it needs imported already."""
        first = self.start(folder.with_name("first"))
        first.finish()
        first.import_its_modules()
        command, begins, ends = self.start(folder), dict[str, float](), dict[str, float]()
        while not command.ended:
            for one in self.moments:
                if one.name not in begins and one.begun(folder):
                    begins[one.name] = time.monotonic()
                if one.name not in ends and one.ended(folder):
                    ends[one.name] = time.monotonic()
            time.sleep(LOOK)
        command.finish()
        now = time.monotonic()
        return {name: ends.get(name, now) - begin for name, begin in begins.items()}

    def kill(self, folder: Path, moment: Moment, longest: float, how: How, rng: random.Random) -> str | None:
        """Kill it somewhere in a moment; the moment that it was really in, or None if it was done before."""
        command = self.start(folder)
        while not moment.begun(folder):
            if command.ended:
                command.finish()
                return None
            time.sleep(LOOK)
        end = time.monotonic() + rng.uniform(0, longest)
        while time.monotonic() < end:
            if moment.ended(folder) or command.ended:
                break
            time.sleep(LOOK)
        if command.ended:
            command.finish()
            return None
        met = self.at_work(folder)
        command.end(how)
        return met


@dataclass(slots=True)
class Damage:
    """In what a killed command came to something else than an undisturbed one."""

    lost: int = 0
    doubled: int = 0
    different: int = 0
    left: int = 0

    @property
    def any(self) -> bool:
        return bool(self.lost or self.doubled or self.different or self.left)

    def add(self, calm: Content, rough: Content, left: Sequence[Path]) -> None:
        for file in {**calm, **rough}:
            expected, found = calm.get(file, ()), rough.get(file, ())
            names, others = [name for name, _ in expected], [name for name, _ in found]
            self.lost += len(set(names) - set(others))
            self.doubled += len(others) - len(set(others))
            rows = dict(found)
            self.different += sum(name in rows and rows[name] != value for name, value in expected)
            self.different += len(set(others) - set(names)) + (names != others)
        self.left += len(left)
