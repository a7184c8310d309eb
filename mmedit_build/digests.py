"""Whether things came up before, without keeping them: eight bytes of each.

Equal things have equal hashes. That two others have the same happens once in 18 quintillion pairs: among ten
million things less than once in a hundred thousand datasets.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Hashable, Iterable

import numpy as np

_FRESH = 1 << 16
"""Hashes that are kept in a set before they are sorted in among the others, at least."""


class Digests:
    """A set that only grows, of hashes of this process."""

    def __init__(self, things: Iterable[Hashable] = ()) -> None:
        self._sorted = memoryview(array("q"))
        self._fresh: set[int] = set()
        for thing in things:
            self.add(thing)

    def __len__(self) -> int:
        return len(self._sorted) + len(self._fresh)

    def __contains__(self, thing: Hashable) -> bool:
        return self._holds(hash(thing))

    def add(self, thing: Hashable) -> bool:
        """Whether it is new."""
        one = hash(thing)
        if self._holds(one):
            return False
        self._fresh.add(one)
        # An eighth, so that sorting costs little however large this grows.
        if len(self._fresh) > max(_FRESH, len(self._sorted) // 8):
            self._sort()
        return True

    def _holds(self, one: int) -> bool:
        place = bisect_left(self._sorted, one)
        return (place < len(self._sorted) and self._sorted[place] == one) or one in self._fresh

    def _sort(self) -> None:
        fresh = np.fromiter(self._fresh, np.int64, len(self._fresh))
        whole = np.concatenate([np.frombuffer(self._sorted, np.int64), fresh])
        whole.sort(kind="stable")
        self._sorted = whole.data
        self._fresh.clear()
