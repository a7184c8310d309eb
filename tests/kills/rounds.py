"""Rounds of kills: one in each moment, then to the end, and a comparison with an undisturbed run."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.kills.command import HOW
from tests.kills.subject import Damage, Subject


@dataclass(slots=True)
class Count:
    """How often a command was killed, where and how, and what came of it."""

    subject: str
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By moment and way."""
    missed: int = 0
    """Commands that were done before they could be killed."""
    rounds: int = 0
    damage: Damage = field(default_factory=Damage)

    @property
    def kills(self) -> int:
        return self.met.total()

    def at(self, moment: str) -> int:
        return sum(number for (name, _), number in self.met.items() if name == moment)

    def told(self) -> str:
        """The counts as lines of a table."""
        names = dict.fromkeys(name for name, _ in self.met)
        met = f"{self.subject}: {self.kills} kills in {self.rounds} rounds, {self.missed} too late"
        lines = [f"{met}; {self.damage}"]
        for name in names:
            ways = ", ".join(f"{self.met[name, how]} {how}" for how in HOW)
            lines.append(f"  {name}: {self.at(name)} ({ways})")
        return "\n".join(lines)


def kill_evenly(
    subject: Subject,
    scratch: Path,
    each: int,
    *,
    seed: str = "0",
    wanted: frozenset[str] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Count:
    """Kill a command so many times in each moment (or in each of the wanted ones)."""
    calm = scratch / "calm"
    longest = subject.durations(calm)
    expected = subject.content(calm)
    moments = [one for one in subject.moments if wanted is None or one.name in wanted]
    count, rng = Count(subject.name), random.Random(seed)
    # Some kills come too late, so there are more rounds than kills of a moment.
    while any(count.at(one.name) < each for one in moments) and count.rounds < 3 * each + 1:
        folder = scratch / f"round-{count.rounds}"
        for moment in moments:
            if count.at(moment.name) >= each:
                continue
            # Each moment in each way, whatever the other moments are met by.
            how = HOW[(count.rounds + moments.index(moment)) % len(HOW)]
            met = subject.kill(folder, moment, longest[moment.name], how, rng)
            if met is None:
                count.missed += 1
            else:
                count.met[met, how] += 1
        subject.given_again_later(folder)
        count.rounds += 1
        count.damage.add(expected, subject.content(folder), subject.left(folder))
        tell(count.told())
    return count
