"""Counters, which see every edit of a split once and keep nothing of it but numbers.

Each split of each task has one for each measure. What lies between edits, or between the splits, is compared
by hashes when all were seen.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mmedit_build.rows import EditRow
from mmedit_build.scoring.words import plain

Judge = Callable[[EditRow], tuple[int, int]]
"""How many parts of an edit were found, and how many were looked at."""
Keys = Callable[[EditRow], Sequence[Hashable]]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Counted:
    """What was found in a split, of how many, and in which of its rows: their numbers, in order."""

    count: int
    of: int
    rows: Numbers


class Counter(Protocol):
    """Counts in one split of one task."""

    def see(self, edit: EditRow) -> None:
        """Take note of an edit."""

    def counted(self, other: Any) -> Counted:
        """What was found, given the counter of the other split, when both have seen all."""


class Judged:
    """Counts what can be told of each edit alone."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._seen = self._count = self._of = 0
        self._rows = array("q")

    def see(self, edit: EditRow) -> None:
        self.note(*self._judge(edit))

    def note(self, found: int, of: int) -> None:
        if found:
            self._rows.append(self._seen)
        self._seen += 1
        self._count += found
        self._of += of

    def counted(self, _other: Self) -> Counted:
        return Counted(self._count, self._of, np.frombuffer(self._rows, np.int64))


class Column:
    """Hashes of some parts of each row."""

    def __init__(self) -> None:
        self._hashes, self._numbers = array("q"), array("H")

    def add(self, parts: Sequence[Hashable]) -> None:
        self._hashes.extend(map(hash, parts))
        self._numbers.append(len(parts))

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def hashes(self) -> Numbers:
        return np.frombuffer(self._hashes, np.int64)

    @property
    def rows(self) -> Numbers:
        """The row of each hash."""
        return np.repeat(np.arange(len(self)), np.frombuffer(self._numbers, np.uint16))


class Shared:
    """Counts what the other split has too; without another split nothing is looked at."""

    def __init__(self, keys: Keys, with_keys: Keys | None = None) -> None:
        self._keys, self._with_keys = keys, with_keys
        self._here = Column()
        self._there = self._here if with_keys is None else Column()

    def see(self, edit: EditRow) -> None:
        self._here.add(self._keys(edit))
        if self._with_keys is not None:
            self._there.add(self._with_keys(edit))

    def counted(self, other: Self) -> Counted:
        if not len(other._here):
            return _nothing()
        shared = np.isin(self._here.hashes, other._there.hashes)
        return Counted(int(shared.sum()), len(shared), np.unique(self._here.rows[shared]))


class SharedUnlessConstant(Shared):
    """The same, but looks at nothing if there is only one key in both splits."""

    def counted(self, other: Self) -> Counted:
        different = np.unique(np.concatenate([self._here.hashes, other._here.hashes]))
        return super().counted(other) if len(different) > 1 else _nothing()


class Constant:
    """Counts all edits if they have one and the same key, and none if not."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._rows = 0
        self._found: set[Hashable] = set()

    def see(self, edit: EditRow) -> None:
        self._rows += 1
        # Two tell as much as all.
        if len(self._found) < 2:
            self._found.update(self._keys(edit))

    def counted(self, _other: Self) -> Counted:
        same = self._rows if self._rows > 1 and len(self._found) == 1 else 0
        return Counted(same, self._rows, np.arange(same))


class Distinct:
    """Counts each key once."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._column = Column()

    def see(self, edit: EditRow) -> None:
        self._column.add(self._keys(edit))

    def counted(self, _other: Self) -> Counted:
        different, first = np.unique(self._column.hashes, return_index=True)
        return Counted(len(different), len(self._column.hashes), np.unique(self._column.rows[first]))


class OneTarget:
    """Counts the edits whose question always has their target, among those whose question is asked where
    different things were predicted."""

    def __init__(self) -> None:
        self._questions = Column()
        self._answered = Column()
        """Of those of which a prediction is known, hashes of question, prediction and target."""

    def see(self, edit: EditRow) -> None:
        question = plain(edit.question)
        self._questions.add([question])
        if edit.task == "vqa" and edit.prediction:
            self._answered.add([question, plain(edit.prediction), plain(edit.target)])

    def counted(self, _other: Self) -> Counted:
        answered = self._answered.hashes.reshape(-1, 3)
        questions, predictions = _different(answered[:, :2])
        _, targets = _different(answered[:, ::2])
        asked = self._questions.hashes
        looked = np.isin(asked, questions[predictions > 1])
        found = looked & np.isin(asked, questions[targets == 1])
        return Counted(int(found.sum()), int(looked.sum()), np.flatnonzero(found))


def _different(pairs: Numbers) -> tuple[Numbers, Numbers]:
    """The first parts of some pairs, in order, and how many different second parts each has."""
    firsts, numbers = np.unique(np.unique(pairs, axis=0)[:, 0], return_counts=True)
    return firsts, numbers


def _nothing() -> Counted:
    return Counted(0, 0, np.arange(0))


class Texts:
    """Texts in little more room than their letters take, by their numbers."""

    def __init__(self) -> None:
        self._letters, self._ends = bytearray(), array("q", [0])

    def add(self, text: str) -> None:
        self._letters += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._letters))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def at(self, places: Iterable[int]) -> list[str]:
        bounds = ((self._ends[place], self._ends[place + 1]) for place in places)
        return [self._letters[start:end].decode("utf-8", "surrogatepass") for start, end in bounds]
