"""Many patches of low rank side by side in one batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from editors.base import Model, Overlay
from editors.patches.hooks import Hook, hooked
from editors.patches.weights import Factors, LowRankPatch
from mmedit_build.mllm import MLLM, Batch, Generated, Positions, Query, Scored
from mmedit_build.mllm.model import BATCH_SIZE

COPIED = 2
"""Factors are copied for each row if they have no more ranks than so many times the row's positions."""


class Beside(ABC):
    """Patches, each of which acts on its own queries of a call."""

    def __init__(self, number: int) -> None:
        self._number = number

    @abstractmethod
    def first_layer(self, mllm: MLLM) -> int | None:
        """As that of a patch."""

    @abstractmethod
    def hooks(self, mllm: MLLM, of_query: Tensor) -> Mapping[str, Hook]:
        """Module name to what adds the patches, if query i is answered under patch `of_query[i]`."""

    @contextmanager
    def applied(self, mllm: MLLM, owners: Sequence[int]) -> Iterator[Model]:
        """Inside, query i of every call is answered under patch `owners[i]`."""
        self.check(owners)
        of_query = torch.tensor(owners, dtype=torch.long)
        with hooked(mllm, self.hooks(mllm, of_query)):
            yield _Owned(mllm, len(owners))

    def check(self, owners: Sequence[int]) -> None:
        """Refuse owners that are none of the patches."""
        if any(not 0 <= owner < self._number for owner in owners):
            raise ValueError(f"owners are from 0 to {self._number - 1}")


class SideBySide(Beside):
    """Patches of low rank side by side.

    Gradients flow into the factors, so an editor that learns can be trained on a batch of edits at once.
    """

    def __init__(self, patches: Sequence[LowRankPatch]) -> None:
        super().__init__(len(patches))
        names = dict.fromkeys(name for patch in patches for name in patch.factors)
        self._stacked = {name: _stack(name, patches) for name in names}

    def first_layer(self, mllm: MLLM) -> int | None:
        return mllm.first_layer(self._stacked)

    def hooks(self, mllm: MLLM, of_query: Tensor) -> Mapping[str, Hook]:
        found: dict[str, Hook] = {}
        owners = Owners(of_query)
        for name, pair in self._stacked.items():
            # Patches read from files lie in main memory, wherever the module is.
            device = mllm.model.get_parameter(name).device
            left, right = (tensor.to(device) for tensor in pair)
            found[name.removesuffix(".weight")] = adding(left, right, owners)
        return found


class _Owned(Overlay):
    """Refuses calls whose queries do not have an owner each."""

    def __init__(self, under: MLLM, number: int) -> None:
        super().__init__(under)
        self._number = number

    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = BATCH_SIZE
    ) -> list[Scored]:
        self._check(queries)
        return self.under.score(queries, positions=positions, batch_size=batch_size)

    def write(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = BATCH_SIZE
    ) -> list[Generated]:
        self._check(queries)
        return self.under.write(queries, max_new_tokens=max_new_tokens, batch_size=batch_size)

    def lifted(
        self, queries: Sequence[Query], *, new_tokens: int = 0, batch_size: int = BATCH_SIZE
    ) -> tuple[Model, Sequence[Query]]:
        self._check(queries)
        return self, self.under.lifted(queries, new_tokens=new_tokens, batch_size=batch_size)[1]

    def _check(self, queries: Sequence[Query]) -> None:
        if len(queries) != self._number:
            raise ValueError(f"{len(queries)} queries were given to {self._number} owners")


def adding(left: Tensor, right: Tensor, owners: Owners) -> Hook:
    """Adds to each query what its owner's factors make, of (patches, out, rank) and (patches, rank, in)."""
    rank = right.shape[1]

    def add(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
        x = x.to(right.dtype)
        if len(right) == 1:
            # Not taken by its number, whose gradient would be written among zeros.
            return (y + x @ right.squeeze(0).mT @ left.squeeze(0).mT).to(y.dtype)
        if rank <= COPIED * x.shape[1]:
            # Each row with factors of its own: what is copied is less than the rows are.
            own = owners.of_rows(batch, x.device)
            middle, last = x @ right.index_select(0, own).mT, left.mT.index_select(0, own)
            if right.dtype == torch.float32:
                return y.float().baddbmm(middle, last).to(y.dtype)
            # In half precision rounded where a patch alone is: what is added may nearly cancel what is there.
            return (y + middle @ last).to(y.dtype)
        rows = owners.rows(batch, x.device)
        added = rows.sort(x) @ rows.own(right).mT @ rows.own(left).mT
        return (y + rows.back(added, x.shape[1])).to(y.dtype)

    return add


class Owners:
    """Which patch each query of a call is answered under, for all modules of the patches."""

    def __init__(self, of_query: Tensor) -> None:
        self._of_query = of_query
        self._of_rows: dict[torch.device, tuple[Sequence[int], Tensor]] = {}
        self._sorted: dict[torch.device, tuple[Tensor, SortedRows]] = {}

    def of_rows(self, batch: Batch, device: torch.device) -> Tensor:
        """The owner of each row of a batch, where a module is."""
        known = self._of_rows.get(device)
        # All passes over one batch have the same rows.
        if known is None or known[0] is not batch.indices:
            owners = self._of_query[torch.tensor(batch.indices, device=self._of_query.device)]
            known = self._of_rows[device] = (batch.indices, owners.to(device))
        return known[1]

    def rows(self, batch: Batch, device: torch.device) -> SortedRows:
        """The rows of a batch by their owners."""
        owners = self.of_rows(batch, device)
        known = self._sorted.get(device)
        if known is None or known[0] is not owners:
            known = self._sorted[device] = (owners, SortedRows.of(owners))
        return known[1]


@dataclass(frozen=True, slots=True)
class SortedRows:
    """Rows of a batch by their owners, so that few products of matrices serve all."""

    owners: Tensor
    """Those that have rows."""
    slots: Tensor
    """For each of them its rows, and the first row of all where another has more."""
    place: Tensor
    """For each row its owner, as a place in `owners`, and its place among that owner's rows."""

    @classmethod
    def of(cls, owner_of_row: Tensor) -> Self:
        owners, which = owner_of_row.unique(return_inverse=True)
        rows = torch.arange(len(which), device=which.device)
        order = which.argsort(stable=True)
        first = torch.searchsorted(which[order].contiguous(), torch.arange(len(owners), device=which.device))
        among = torch.empty_like(rows).index_copy_(0, order, rows - first[which[order]])
        slots = rows.new_zeros(len(owners), int(among.max()) + 1)
        slots[which, among] = rows
        return cls(owners, slots, torch.stack([which, among]))

    def own(self, of_owner: Tensor) -> Tensor:
        """What the owners here have of what each has."""
        return of_owner if len(self.owners) == len(of_owner) else of_owner[self.owners]

    def sort(self, x: Tensor) -> Tensor:
        """From (rows, positions, width) to (owners, rows of one and their positions, width)."""
        return x[self.slots].flatten(1, 2)

    def back(self, x: Tensor, positions: int) -> Tensor:
        """The other way round."""
        found: Tensor = x.unflatten(1, (-1, positions))[self.place[0], self.place[1]]
        return found


def _stack(name: str, patches: Sequence[LowRankPatch]) -> tuple[Tensor, Tensor]:
    """Factors of all patches: (patches, out, rank) and (patches, rank, in), lower ranks filled with zeros."""
    pairs = [patch.factors.get(name) for patch in patches]
    known = next(pair for pair in pairs if pair is not None)
    nothing = Factors(known.left[:, :0], known.right[:0])
    sides = [nothing if pair is None else pair for pair in pairs]
    if len(sides) == 1:
        return sides[0].left[None], sides[0].right[None]
    lefts = pad_sequence([pair.left.mT for pair in sides], batch_first=True)
    return lefts.mT, pad_sequence([pair.right for pair in sides], batch_first=True)
