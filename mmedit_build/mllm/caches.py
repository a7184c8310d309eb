"""What tokens attend to: keys and values of layers, kept for each prompt, and with room for answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from mmedit_build.mllm.below import Below
from mmedit_build.mllm.rows import Row


class _Room(DynamicLayer):
    """Keys and values of one layer, in tensors as long as they will get: a new token moves no older one."""

    def __init__(self, size: int, known: tuple[Tensor, Tensor] | None = None, length: int = 0) -> None:
        """`known` tensors (batch, heads, size, head width) hold `length` positions already."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._size = size
        self._length = 0
        self._known = length
        self._store = known

    @property
    def held(self) -> tuple[Tensor, Tensor]:
        """What there is to attend to."""
        assert self._store is not None
        keys, values = (store[:, :, : self._length] for store in self._store)
        return keys, values

    def reveal(self) -> None:
        """In the place of a layer that does not run: show what is known of it.

        Not before: the trunk looks at how much is there when it makes masks for what is to come.
        """
        if self._store is not None:
            self.lazy_initialization(*self._store)
            self._grow(self._known)

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
        # What was kept of all layers lies on one device, and each of them may run on another.
        keys, values = self._store
        self._store = keys.to(key_states.device), values.to(value_states.device)
        for store, states in zip(self._store, (key_states, value_states), strict=True):
            store[:, :, self._length : self._length + new] = states
        return self._grow(new)

    def _grow(self, new: int) -> tuple[Tensor, Tensor]:
        assert self._store is not None
        self._length += new
        self.keys, self.values = (store[:, :, : self._length] for store in self._store)
        return self.keys, self.values


class Prompts(DynamicCache):
    """A cache for prompts and some tokens more, which may know the prompts below some layer."""

    def __init__(self, rooms: Sequence[_Room], new_tokens: int) -> None:
        super().__init__()
        self._rooms = list(rooms)
        self._new_tokens = new_tokens
        self.layers = list(self._rooms)

    @classmethod
    def of(cls, part: Below, n_layers: int, new_tokens: int) -> Prompts:
        """Without what the layers above `part` will give."""
        part.check_attended()
        width = max(row.prompt_length for row in part.rows)
        known = _known(part, width, width + new_tokens) if part.layer else []
        rooms = [_Room(width + new_tokens, pair, width) for pair in known]
        rooms += [_Room(width + new_tokens) for _ in range(n_layers - len(known))]
        return cls(rooms, new_tokens)

    def reveal(self, layer: int) -> None:
        """Show what is known of a layer that does not run."""
        self._rooms[layer].reveal()

    @classmethod
    def side_by_side(cls, parts: Sequence[tuple[Prompts, Sequence[int], int]]) -> Prompts:
        """Rows of some caches, with as much room for tokens as at first.

        `parts` are caches, the rows that are taken of each, and how many of the last columns these fill.
        """
        new_tokens, width = parts[0][0]._new_tokens, max(columns for _, _, columns in parts)
        rooms = []
        for layer in range(len(parts[0][0]._rooms)):
            held = [(cache._rooms[layer], rows, columns) for cache, rows, columns in parts]
            pair = (_gathered(held, 0, width, new_tokens), _gathered(held, 1, width, new_tokens))
            room = _Room(width + new_tokens, pair, width)
            room.reveal()
            rooms.append(room)
        return cls(rooms, new_tokens)


def _gathered(
    parts: Sequence[tuple[_Room, Sequence[int], int]], which: int, width: int, new_tokens: int
) -> Tensor:
    """Keys or values of the chosen rows, which end in the same column."""
    states = [(room.held[which][:, :, -columns:], rows, columns) for room, rows, columns in parts]
    first = states[0][0]
    shape = sum(len(rows) for _, rows, _ in states), first.shape[1], width + new_tokens, first.shape[3]
    store, start = first.new_empty(shape), 0
    for one, rows, columns in states:
        place = store[start : start + len(rows)]
        # Zeros, as the padding is attended to with weight 0, which would not make nothing of a NaN.
        place[:, :, : width - columns] = 0
        place[:, :, width - columns : width] = one if len(rows) == len(one) else one[list(rows)]
        start += len(rows)
    return store


def _known(part: Below, width: int, size: int) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of the layers below `part.layer`: prompts padded on the left, room on the right."""
    assert part.keys_values is not None
    layers, both, heads, _, head_width = part.keys_values[0].shape
    # Zeros, as the padding is attended to with weight 0, which would not make nothing of a NaN.
    store = part.keys_values[0].new_zeros(layers, both, len(part), heads, size, head_width)
    for i, kept in enumerate(part.keys_values):
        store[:, :, i, :, width - kept.shape[3] : width] = kept
    return [(keys, values) for keys, values in store]


class Keeper(DynamicCache):
    """Takes from each layer, as it runs, the keys and values of the prompts, as `Below` keeps them.

    The rest, padding and targets included, goes as soon as the layer is done.
    """

    def __init__(self, rows: Sequence[Row], layers: range, n_layers: int) -> None:
        """These layers run, of the `n_layers` that a cache has to have."""
        super().__init__()
        self._rows = rows
        self._running = layers
        self.kept: list[Tensor] = []
        self.layers = [_Passing(self, layer) for layer in range(n_layers)]

    def reveal(self, layer: int) -> None:
        """Nothing is known of layers that do not run."""

    def take(self, layer: int, states: tuple[Tensor, Tensor]) -> None:
        """Keep what a layer gives to attend to."""
        _, heads, width, head_width = states[0].shape
        if not self.kept:
            shapes = [(len(self._running), 2, heads, row.prompt_length, head_width) for row in self._rows]
            self.kept = [states[0].new_empty(shape) for shape in shapes]
        for i, (kept, row) in enumerate(zip(self.kept, self._rows, strict=True)):
            start = width - row.length
            for which, one in enumerate(states):
                kept[layer - self._running.start, which] = one[i, :, start : start + row.prompt_length]


class _Passing(DynamicLayer):
    """Shows keys and values to a keeper and holds none."""

    def __init__(self, keeper: Keeper, layer: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._keeper = keeper
        self._layer = layer

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        self._keeper.take(self._layer, (key_states, value_states))
        return key_states, value_states


class Begun(DynamicCache):
    """Knows the beginnings of rows, so that only the rest of each has to run: the last columns of a batch.

    Rests are of unequal lengths, so a shorter one has positions of its beginning in these columns too, whose
    keys and values are then those known. What layers give to attend to goes on to another cache, if there is
    one.
    """

    def __init__(
        self,
        kept: Sequence[Tensor],
        sources: Tensor,
        columns: int,
        n_layers: int,
        onward: Prompts | Keeper | None,
    ) -> None:
        """`kept` (layers, 2, heads, positions, width) of each beginning; see `Beginnings.sources`."""
        super().__init__()
        nothing = kept[0].new_zeros(*kept[0].shape[:3], 1, kept[0].shape[4])
        self._known = torch.cat([nothing, *(one.to(nothing.device) for one in kept)], dim=3)
        self._sources = sources
        self._columns = columns
        self._onward = onward
        self.layers = [_Known(self, layer) for layer in range(n_layers)]

    @property
    def past(self) -> int:
        """Columns that do not run."""
        return self._sources.shape[1] - self._columns

    def reveal(self, layer: int) -> None:
        """Beginnings are known from the first layer on, and whatever does not run is above them."""

    def whole(self, layer: int, states: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer in all columns."""
        known, sources = self._known[layer].to(states[0].device), self._sources.to(states[0].device)
        rows, columns = sources.shape
        # A beginning is copied for each of its rows, as attention takes no other form.
        found = known.index_select(2, sources.flatten()).unflatten(2, (rows, columns)).transpose(1, 2)
        own = (sources[:, self.past :] == 0)[:, None, :, None]
        for whole, new in zip(found, states, strict=True):
            whole[:, :, self.past :] = torch.where(own, new, whole[:, :, self.past :])
        keys, values = found
        return (keys, values) if self._onward is None else self._onward.update(keys, values, layer)


class _Known(DynamicLayer):
    """One layer of beginnings."""

    def __init__(self, begun: Begun, layer: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._begun = begun
        self._layer = layer

    def get_seq_length(self) -> int:
        return self._begun.past

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        return self._begun.whole(self._layer, (key_states, value_states))


Cache = Prompts | Keeper | Begun
"""What a trunk may be given."""
