"""Patches of low rank that know what the next edit has to leave alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from editors.base import State
from editors.patches.weights import LowRankPatch


@dataclass(frozen=True, slots=True, eq=False)
class RecursivePatch(LowRankPatch):
    """The right factors are frozen bases; weights that no edit moved are not in it."""

    inverses: Mapping[str, tuple[Tensor, ...]]
    """For each weight P (ranks, ranks): of its own ranks, which come first, and of shared ones if any."""

    def state(self) -> State:
        # Named, as dataclasses with slots are made anew, and then know their parents by no other name.
        state = LowRankPatch.state(self)
        kept = {
            f"{name}:inverse:{number}": one
            for name, of in self.inverses.items()
            for number, one in enumerate(of)
        }
        return replace(state, tensors={**state.tensors, **kept})

    @classmethod
    def from_state(cls, state: State) -> Self:
        plain, kept = LowRankPatch.from_state(state), state.tensors
        numbers = [f":inverse:{number}" for number in range(2)]
        return cls(
            plain.factors,
            {
                name: tuple(kept[f"{name}{one}"] for one in numbers if f"{name}{one}" in kept)
                for name in plain.factors
            },
        )
