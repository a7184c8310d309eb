"""Patches of low rank that also keep what their editor goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from editors.base import State
from editors.patches.weights import LowRankPatch, folded, together

MARK = "known:"
"""Before the names of what is kept, in a state."""


@dataclass(frozen=True, slots=True, eq=False)
class GrowingPatch(LowRankPatch):
    """A change of low rank, and what has to be known of its edits to add others to them.

    The answers are those of the change alone.
    """

    known: Mapping[str, Tensor]

    def state(self) -> State:
        # By its name, as dataclasses with slots are made twice, and super() would not find the second.
        kept = {f"{MARK}{name}": tensor for name, tensor in self.known.items()}
        return State({**LowRankPatch.state(self).tensors, **kept})

    @classmethod
    def from_state(cls, state: State) -> Self:
        known = {name.removeprefix(MARK): one for name, one in state.tensors.items() if name.startswith(MARK)}
        return cls(LowRankPatch.from_state(state).factors, known)


def went_on(first: GrowingPatch, further: GrowingPatch) -> GrowingPatch:
    """Both changes, and what is known after the second, which was made with what the first one knew."""
    return GrowingPatch(folded(together([first, further])).factors, further.known)
