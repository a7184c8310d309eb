"""What tokens attend to: keys and values of layers, kept for each prompt, and with room for answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from mmedit_build.mllm.below import Below
from mmedit_build.mllm.rows import Row

Known = Callable[[int], tuple[Tensor, Tensor]]
"""From a layer that does not run to what it would give to attend to: keys and values of a whole batch."""


class _Room(DynamicLayer):
    """Keys and values of one layer, in tensors as long as they will get: a new token moves no older one."""

    def __init__(self, size: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._size = size
        self._length = 0
        self._store: tuple[Tensor, Tensor] | None = None

    def update(
        self,
        key_states: Tensor,
        value_states: Tensor,
        *_: Any,
        **__: Any,
    ) -> tuple[Tensor, Tensor]:
        rows, heads, new, width = key_states.shape
        if self._store is None:
            shape = rows, heads, self._size, width
            self.lazy_initialization(key_states, value_states)
            self._store = key_states.new_empty(shape), value_states.new_empty(shape)
        assert self._store is not None
        end = self._length + new
        for store, states in zip(self._store, (key_states, value_states), strict=True):
            store[:, :, self._length : end] = states
        self._length = end
        self.keys, self.values = (store[:, :, :end] for store in self._store)
        return self.keys, self.values


def cache_for(rows: Sequence[Row], n_layers: int, new_tokens: int) -> DynamicCache:
    """An empty cache for these prompts and so many tokens more."""
    size = max(row.prompt_length for row in rows) + new_tokens
    cache = DynamicCache()
    cache.layers = [_Room(size) for _ in range(n_layers)]
    return cache


def known_below(part: Below) -> Known:
    """Keys and values of any layer below `part.layer`, the prompts padded on the left."""
    known = part.keys_values
    if part.layer and known is None:
        raise ValueError("to generate from above layer 0, compute below(..., for_generation=True)")
    width = max(row.prompt_length for row in part.rows)

    def of_layer(layer: int) -> tuple[Tensor, Tensor]:
        assert known is not None
        _, both, heads, _, head_width = known[0].shape
        # Zeros, as the padding is attended to with weight 0, which would not make nothing of a NaN.
        store = known[0].new_zeros(both, len(part), heads, width, head_width)
        for i, kept in enumerate(known):
            store[:, i, :, width - kept.shape[3] :] = kept[layer]
        return store[0], store[1]

    return of_layer


class Keeper:
    """Takes from each layer, as it runs, the keys and values of the prompts, as `Below` keeps them.

    The rest, padding and targets included, goes as soon as the layer is done.
    """

    def __init__(self, rows: Sequence[Row], known: int, n_layers: int) -> None:
        """`known` layers run, of the `n_layers` that a cache has to have."""
        self._rows = rows
        self._n_layers = known
        self.kept: list[Tensor] = []
        self.cache = DynamicCache()
        self.cache.layers = [_Passing(self, layer) for layer in range(n_layers)]

    def take(self, layer: int, states: tuple[Tensor, Tensor]) -> None:
        _, heads, width, head_width = states[0].shape
        if not self.kept:
            shapes = [(self._n_layers, 2, heads, row.prompt_length, head_width) for row in self._rows]
            self.kept = [states[0].new_empty(shape) for shape in shapes]
        for i, (kept, row) in enumerate(zip(self.kept, self._rows, strict=True)):
            start = width - row.length
            for which, one in enumerate(states):
                kept[layer, which] = one[i, :, start : start + row.prompt_length]


class _Passing(DynamicLayer):
    """Shows keys and values to a keeper and holds none."""

    def __init__(self, keeper: Keeper, layer: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._keeper = keeper
        self._layer = layer

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        self._keeper.take(self._layer, (key_states, value_states))
        return key_states, value_states
