"""Rows that begin alike: what they share is run once, and its keys and values serve all of them.

Questions about one image share the image and what stands before the question; prompts that the same
demonstrations stand before share these. Only what cannot tell the rest of its row is shared: families whose
images and prompts attend to all of each other share nothing, see `Family.causal`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmedit_build.mllm.rows import Row

LEAST_COMMON = 8
"""Positions that texts have to begin with alike: many do with one or two."""
LEAST_SAVED = 128
"""Positions that sharing has to spare in a batch, as it takes a pass more."""
LEAST_SHARE = 8
"""Which part of a batch that has to be at least, as a divisor."""
LONG = 256
"""Beginnings of so many positions fill a device one by one, and then nothing is padded or masked."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Rows, by number, whose first positions are the same."""

    members: tuple[int, ...]
    length: int
    """How many are; of a row alone, all that may be."""

    @property
    def spared(self) -> int:
        return self.length * (len(self.members) - 1)


def alike(rows: Sequence[Row], images: Sequence[str | None]) -> list[Alike]:
    """Rows in groups, so that much is spared; rows that hold the same image have the same key in `images`."""
    groups: list[Alike] = []
    for i in sorted(range(len(rows)), key=lambda i: (images[i] or "", rows[i].ids)):
        row, known = rows[i], groups[-1] if groups else None
        if known is not None and images[known.members[0]] == images[i]:
            longer = Alike((*known.members, i), _common(rows[known.members[0]], known.length, row))
            least = max(LEAST_COMMON, _text_start(row))
            if longer.length >= least and longer.spared >= known.spared:
                groups[-1] = longer
                continue
        groups.append(Alike((i,), _most(row)))
    return groups


def shared_batches(
    rows: Sequence[Row], groups: Sequence[Alike], batch_size: int, most: int
) -> Iterator[list[int]]:
    """Batches in which groups stay together, those with the longest rows first.

    The beginnings of a batch have `most` positions in all, unless a single one has more.
    """
    order = sorted(groups, key=lambda one: -max(rows[i].length for i in one.members))
    batch: list[int] = []
    taken = 0
    for group in order:
        if batch and taken + group.length > most:
            yield batch
            batch, taken = [], 0
        taken += group.length
        batch += group.members
        while len(batch) >= batch_size:
            yield batch[:batch_size]
            batch, taken = batch[batch_size:], group.length
    if batch:
        yield batch


def pays(rows: Sequence[Row], spared: int) -> bool:
    """Whether it is worth a further pass to spare so many positions of a batch of these rows."""
    return spared >= LEAST_SAVED and spared * LEAST_SHARE >= sum(row.length for row in rows)


@dataclass(frozen=True, slots=True)
class Beginnings:
    """Where the rows of a batch are cut in two: beginnings, which rows may share, and the rest of each."""

    owners: tuple[int, ...]
    """For each beginning, a row that has it."""
    lengths: tuple[int, ...]
    """Positions of each beginning; 0 where a row is short."""
    of_row: tuple[int, ...]
    """Which beginning each row has."""
    width: int
    """Positions of the longest rest."""

    @classmethod
    def of(cls, rows: Sequence[Row], images: Sequence[str | None]) -> Beginnings | None:
        """None where it is not worth it, or where a row cannot be cut."""
        groups = alike(rows, images)
        shared = [group for group in groups if len(group.members) > 1]
        if not pays(rows, sum(group.spared for group in shared)):
            return None
        width = max(rows[i].length - group.length for group in shared for i in group.members)
        cuts = [
            group.length if len(group.members) > 1 else _cut(rows[group.members[0]], width)
            for group in groups
        ]
        of_row = [0] * len(rows)
        for number, group in enumerate(groups):
            for i in group.members:
                of_row[i] = number
                if rows[i].image and cuts[number] <= rows[i].image[-1]:
                    return None
        rests = [row.length - cuts[number] for row, number in zip(rows, of_row, strict=True)]
        owners = tuple(group.members[0] for group in groups)
        return cls(owners, tuple(cuts), tuple(of_row), max(rests))

    def portions(self) -> Iterator[list[int]]:
        """Beginnings that are run together, by number; those of no positions are left out."""
        short = [number for number, length in enumerate(self.lengths) if 0 < length < LONG]
        if short:
            yield short
        yield from ([number] for number, length in enumerate(self.lengths) if length >= LONG)

    def sources(self, rows: Sequence[Row], device: torch.device) -> Tensor:
        """Where each cell of a batch of these rows, padded on the left, is when all beginnings lie one behind
        the other, from 1 on; 0 where it is in none of them (rows, positions)."""
        width = max(row.length for row in rows)
        starts = [1]
        for length in self.lengths:
            starts.append(starts[-1] + length)
        found = torch.zeros(len(rows), width, dtype=torch.long)
        for i, (row, number) in enumerate(zip(rows, self.of_row, strict=True)):
            first, length = width - row.length, self.lengths[number]
            found[i, first : first + length] = torch.arange(starts[number], starts[number] + length)
        return found.to(device)


def _cut(row: Row, rest: int) -> int:
    """Where a row that shares nothing is cut, so that its rest is as long as those of others or its text."""
    return min(max(row.length - rest, _text_start(row), 0), _most(row))


def _text_start(row: Row) -> int:
    """Where the text behind an image starts."""
    return row.image[-1] + 1 if row.image else 0


def _most(row: Row) -> int:
    """As much as may be shared of a row: what predicts its answer is its own."""
    return row.prompt_length - 1


def _common(one: Row, most: int, other: Row) -> int:
    """How many of its first positions, `most` at most, a row has in common with another."""
    low, high = 0, min(most, _most(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one.ids[low:middle] == other.ids[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
