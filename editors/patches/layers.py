"""Whole decoder layers: what leaves them, and what is put in its place at some positions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from editors.patches.hooks import Hook, hooked
from mmedit_build.mllm import MLLM, Batch, Query


def leaving(mllm: MLLM, queries: Sequence[Query], layers: Sequence[int]) -> list[tuple[Tensor, ...]]:
    """What leaves each of these layers at the positions of each query (length, width)."""
    kept: dict[tuple[int, int], Tensor] = {}

    def keeping(layer: int) -> Hook:
        def keep(batch: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001  # what went in is not asked for
            for place, index in enumerate(batch.indices):
                # Cloned, since views would keep the padded batch alive.
                kept[index, layer] = y[place, y.shape[1] - batch.rows[place].length :].clone()
            return y

        return keep

    with hooked(mllm, {mllm.layer_name(layer): keeping(layer) for layer in layers}):
        mllm.below(queries, max(layers) + 1)
    return [tuple(kept[index, layer] for layer in layers) for index in range(len(queries))]


def device_of(mllm: MLLM, layer: int) -> torch.device:
    """Where a decoder layer lies."""
    return next(mllm.layer(layer).parameters()).device


class Columns:
    """Chosen columns of a batch, moved to the front of each row."""

    def __init__(self, chosen: Tensor) -> None:
        """`chosen` (rows, columns) says which."""
        most = int(chosen.sum(dim=1).max())
        self._order = chosen.int().argsort(dim=1, descending=True, stable=True)[:, :most]
        self.real = chosen.gather(1, self._order)
        """Which of what is taken was chosen; rows with fewer are filled up (rows, most)."""

    def take(self, states: Tensor) -> Tensor:
        """From (rows, columns, width), what stands in the chosen ones: (rows, most, width)."""
        return states.gather(1, self._places(states))

    def add(self, states: Tensor, change: Tensor) -> Tensor:
        """The states with a change (rows, most, width) in the chosen columns; all else stays bit for bit."""
        before = self.take(states)
        after = torch.where(self.real[..., None], (before + change).to(states.dtype), before)
        return states.scatter(1, self._places(states), after)

    def put(self, taken: Tensor, width: int) -> Tensor:
        """Of so many columns, the chosen ones as taken; the others hold nothing that means anything."""
        states = taken.new_zeros(len(taken), width, taken.shape[-1])
        return states.scatter(1, self._places(taken), taken)

    def _places(self, states: Tensor) -> Tensor:
        return self._order[..., None].expand(-1, -1, states.shape[-1])
