"""What is known of the rows of a plan from the shard files that are there, of this plan or of earlier ones.

Each file is looked through once. Of each row only numbers are kept, some forty bytes: where its outcome
stands, and which end it came to.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmedit_build.engine.base import HasId, Out
from mmedit_build.engine.planning import Planned, plan
from mmedit_build.engine.shards import End, Key, Outcome, Seen, Shards, Tally

Row = TypeVar("Row", bound=HasId)
NOWHERE = -1
Numbers = NDArray[np.int64]


class Known(Generic[Out]):
    """The outcomes of planned rows that are on disk; a failure counts only where there is nothing else."""

    def __init__(
        self, shards: Shards[Out], planned: Sequence[Planned], tried: Container[str] | None = None
    ) -> None:
        """With `tried`, failures count for rows that are in it alone."""
        self._shards = shards
        self._tried = tried
        self._planned = planned
        sizes = [one.size for one in planned]
        self._starts: Numbers = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        digests = np.frombuffer(b"".join(one.digests for one in planned), np.uint64)
        self._order = np.argsort(digests, kind="stable")
        self._sorted = digests[self._order]
        number = len(digests)
        self._file = np.full(number, NOWHERE, np.int32)
        self._offset = np.zeros(number, np.int64)
        self._end = np.full(number, NOWHERE, np.int32)
        self._ends: dict[End, int] = {}
        self._failed: list[bool] = []
        """Of each end, whether it is a failure."""
        self._files: list[Path] = []
        self._repeated: list[Path] = []
        self._look()

    @property
    def tally(self) -> Tally:
        """What the rows that are known came to."""
        tally = Tally()
        counts = np.bincount(self._end[self._end != NOWHERE], minlength=len(self._ends))
        for end, number in zip(self._ends, counts.tolist(), strict=True):
            if number:
                tally.count(end, number)
        return tally

    def todo(self) -> list[int]:
        """The numbers of the shards that have rows of which nothing is known."""
        return [n for n in range(len(self._planned)) if (self._file[self._rows(n)] == NOWHERE).any()]

    def scattered(self) -> list[int]:
        """Those whose rows are all known, but from other files than theirs."""
        return [n for n in range(len(self._planned)) if self._is_scattered(n)]

    def of(self, number: int) -> dict[Key, Outcome[Out]]:
        """What is known of a shard's rows."""
        rows = self._rows(number)
        files, offsets = self._file[rows], self._offset[rows]
        found: dict[Key, Outcome[Out]] = {}
        for file in np.unique(files[files != NOWHERE]).tolist():
            found.update(self._shards.read_some(self._files[file], offsets[files == file].tolist()))
        return found

    def forget_repeats(self) -> None:
        """Remove the files of earlier plans of which every row is in the present one, once that is finished.

        Others stay: a smaller plan shall not cost what a larger one had done.
        """
        for path in self._repeated:
            path.unlink(missing_ok=True)

    def _rows(self, number: int) -> slice:
        return slice(int(self._starts[number]), int(self._starts[number + 1]))

    def _is_scattered(self, number: int) -> bool:
        files = np.unique(self._file[self._rows(number)]).tolist()
        if NOWHERE in files:
            return False
        return [self._files[file].name for file in files] != [self._planned[number].name]

    def _look(self) -> None:
        """First into the files of this plan, whose outcomes need not be moved."""
        ours = {one.name for one in self._planned}
        for path in sorted(self._shards.files(), key=lambda path: path.name not in ours):
            lines = self._shards.skim(path)
            places = self._places(lines)
            if path.name not in ours and (places != NOWHERE).all():
                self._repeated.append(path)
            self._note(path, lines, places)

    def _places(self, lines: Sequence[Seen]) -> Numbers:
        """Which of the planned rows each line is of."""
        wanted = np.frombuffer(b"".join(one.digest for one in lines), np.uint64)
        if not len(self._sorted):
            return np.full(len(wanted), NOWHERE, np.int64)
        found = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        return np.where(self._sorted[found] == wanted, self._order[found], NOWHERE)

    def _note(self, path: Path, lines: Sequence[Seen], places: Numbers) -> None:
        file = len(self._files)
        self._files.append(path)
        for one, place in zip(lines, places.tolist(), strict=True):
            end = self._ends.setdefault(one.end, len(self._ends))
            if end == len(self._failed):
                self._failed.append(one.end[0] == "failed")
            if place != NOWHERE and self._counts(one, place):
                self._file[place], self._offset[place], self._end[place] = file, one.offset, end

    def _counts(self, one: Seen, place: int) -> bool:
        if one.end[0] == "failed" and self._tried is not None and one.id not in self._tried:
            return False
        return self._file[place] == NOWHERE or (self._failed[self._end[place]] and one.end[0] != "failed")


class Outcomes(Generic[Out]):
    """What came of all rows, in their order: read from the files of their shards whenever it is asked for."""

    def __init__(self, shards: Shards[Out], planned: Sequence[Planned], tally: Tally) -> None:
        self._shards = shards
        self._names = [one.name for one in planned]
        self.tally = tally

    def __len__(self) -> int:
        return self.tally.total

    def __iter__(self) -> Iterator[Outcome[Out]]:
        for name in self._names:
            for _, outcome in self._shards.read(self._shards.path(name)):
                yield outcome


def ends_of(shards: Shards[Any]) -> Tally:
    """What all rows in any shard file came to; a failure counts only where a row came to nothing else."""
    ends: dict[bytes, End] = {}
    for path in shards.files():
        for one in shards.skim(path):
            if one.digest not in ends or ends[one.digest][0] == "failed":
                ends[one.digest] = one.end
    tally = Tally()
    for end in ends.values():
        tally.count(end, 1)
    return tally


def unknown(shards: Shards[Any], rows: Sequence[Row], beside: Mapping[str, Any]) -> list[Row]:
    """The rows of which there is no outcome yet."""
    known = Known(shards, plan(rows, 1, beside))
    return [rows[place] for place in known.todo()]
