"""Counters, which see every edit of a split once and keep nothing of it but numbers; see `keeping`.

Each split of each task has one for each measure. What lies between edits, or between the splits, is compared
by hashes when all were seen.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mmedit_build.audit.keeping import Column, Integers, Numbers
from mmedit_build.rows import EditRow
from mmedit_build.scoring.words import plain

Judge = Callable[[EditRow], tuple[int, int]]
"""How many parts of an edit were found, and how many were looked at."""
Keys = Callable[[EditRow], Sequence[Hashable]]


@dataclass(frozen=True, slots=True)
class Counted:
    """What was found in a split, of how many, and in which of its rows: their numbers, in order."""

    count: int
    of: int
    rows: Integers


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
        self._rows = Numbers()

    def see(self, edit: EditRow) -> None:
        self.note(*self._judge(edit))

    def note(self, found: int, of: int) -> None:
        if found:
            self._rows.add(self._seen)
        self._seen += 1
        self._count += found
        self._of += of

    def counted(self, _other: Self) -> Counted:
        return Counted(self._count, self._of, self._rows.all)


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
        shared = _among(self._here.hashes, other._there.hashes)
        return Counted(int(shared.sum()), len(shared), np.unique(self._here.rows[shared]))


class SharedUnlessConstant(Shared):
    """The same, but looks at nothing if there is only one key in both splits."""

    def counted(self, other: Self) -> Counted:
        keys = np.concatenate([self._here.hashes, other._here.hashes])
        return super().counted(other) if (keys != keys[:1]).any() else _nothing()


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
        self._questions, self._answered = Numbers(), Numbers()
        """Hashes of all questions; and of question, prediction and target where a prediction is known."""

    def see(self, edit: EditRow) -> None:
        question = hash(plain(edit.question))
        self._questions.add(question)
        if edit.task == "vqa" and edit.prediction:
            self._answered.add(question, hash(plain(edit.prediction)), hash(plain(edit.target)))

    def counted(self, _other: Self) -> Counted:
        answered = self._answered.all.reshape(-1, 3)
        questions, predictions = _different(answered[:, :2])
        _, targets = _different(answered[:, ::2])
        asked = self._questions.all
        looked = _among(asked, questions[predictions > 1])
        found = looked & _among(asked, questions[targets == 1])
        return Counted(int(found.sum()), int(looked.sum()), np.flatnonzero(found))


def _different(pairs: Integers) -> tuple[Integers, Integers]:
    """The first parts of some pairs, in order, and how many different second parts each has."""
    firsts, numbers = np.unique(np.unique(pairs, axis=0)[:, 0], return_counts=True)
    return firsts, numbers


def _among(some: Integers, others: Integers) -> NDArray[np.bool_]:
    """As `np.isin`, in a quarter of the memory."""
    if not len(others):
        return np.zeros(len(some), bool)
    others = np.sort(others)
    places = np.searchsorted(others, some)
    places[places == len(others)] = 0
    found: NDArray[np.bool_] = others[places] == some
    return found


def _nothing() -> Counted:
    return Counted(0, 0, np.arange(0))
