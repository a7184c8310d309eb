"""Patches of memories side by side: each query is told apart by the memories of its own patch alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

from editors.base import Model
from editors.memory.patch import MemoryPatch
from editors.patches.hooks import Hook
from editors.patches.side_by_side import Beside
from mmedit_build.mllm import MLLM, Query


class MemoriesSideBySide(Beside):
    """Patches with the same two learned models, whose queries these go through together."""

    def __init__(self, patches: Sequence[MemoryPatch]) -> None:
        super().__init__(len(patches))
        first = patches[0]
        if any(_models(patch) != _models(first) for patch in patches):
            raise ValueError("the patches are of several pairs of models")
        ends = list(accumulate(len(patch.memories) for patch in patches))
        self._own = [range(end - len(patch.memories), end) for end, patch in zip(ends, patches, strict=True)]
        self._whole = _Owned(
            tuple(memory for patch in patches for memory in patch.memories),
            first.scope,
            first.counterfactual,
            first.router,
            first.mixing,
        )

    def first_layer(self, mllm: MLLM) -> int:
        return mllm.n_layers

    def hooks(self, mllm: MLLM, of_query: Tensor) -> Mapping[str, Hook]:  # noqa: ARG002
        return {}

    @contextmanager
    def applied(self, mllm: MLLM, owners: Sequence[int]) -> Iterator[Model]:
        self.check(owners)
        own = tuple(self._own[owner] for owner in owners)
        with replace(self._whole, own=own).applied(mllm) as model:
            yield model


def _models(patch: MemoryPatch) -> tuple[object, ...]:
    return patch.scope, patch.counterfactual, patch.router, patch.mixing


@dataclass(frozen=True, slots=True, eq=False)
class _Owned(MemoryPatch):
    """Memories of which each query of a call has its own."""

    own: tuple[range, ...] = ()

    def part(self, indices: Sequence[int]) -> _Owned:
        return replace(self, own=tuple(self.own[i] for i in indices))

    def apart(self, mllm: MLLM, queries: Sequence[Query]) -> Tensor:
        if len(queries) != len(self.own):
            raise ValueError(f"{len(queries)} queries were given to {len(self.own)} owners")
        found = super(_Owned, self).apart(mllm, queries)
        others = torch.ones_like(found, dtype=torch.bool)
        for row, own in enumerate(self.own):
            others[row, own.start : own.stop] = False
        return found.masked_fill(others, torch.inf)
