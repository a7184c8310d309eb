"""Runs some of a model's decoder layers by calling the model's own text trunk.

Masks, rotary tables, sliding windows and whatever else stands between and around layers stay the model's
code. Layers that need not run hand on their input for the time of the call, and what is known enters where
the first one runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mmedit_build.mllm.caches import Cache
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.forwards import replaced
from mmedit_build.mllm.rows import Row


def run_layers(
    family: Family,
    hidden: Tensor,
    valid: Tensor,
    rows: Sequence[Row],
    deep: Sequence[Sequence[Tensor]],
    layers: range,
    *,
    cache: Cache | None = None,
) -> Tensor:
    """What leaves the last of these layers when `hidden` (rows, positions, width) enters the first.

    Rows are padded on the left, as `valid` says. Where all layers have run, the norm after them has not:
    it belongs to the head.
    """
    places = places_of(rows, valid).to(hidden.device)
    with _only(family, layers, hidden) as left:
        family.trunk(
            inputs_embeds=hidden,
            attention_mask=valid.long(),
            position_ids=places,
            use_cache=cache is not None,
            **{family.cache_name: cache},
            **family.extras(rows, deep, hidden, layers.start),
        )
    return left[0]


def run_rest(
    family: Family, hidden: Tensor, places: Tensor, valid: Tensor, layers: range, cache: Cache
) -> Tensor:
    """The same for the last positions of rows whose others are known to the cache, and that hold no image.

    `places` are the positions of these (rows, columns), or (axes, rows, columns).
    """
    if family.axes > 1 and places.dim() == 2:
        places = places.expand(family.axes, -1, -1)
    with _only(family, layers, hidden) as left:
        family.trunk(
            inputs_embeds=hidden,
            attention_mask=valid.long().to(hidden.device),
            position_ids=places.to(hidden.device),
            use_cache=True,
            **{family.cache_name: cache},
        )
    return left[0]


def places_of(rows: Sequence[Row], valid: Tensor) -> Tensor:
    """The positions of all rows, zeros in the padding: (rows, width), or (axes, rows, width)."""
    shape = (*rows[0].positions.shape[:-1], *valid.shape)
    places = torch.zeros(shape, dtype=torch.long)
    width = valid.shape[1]
    for i, row in enumerate(rows):
        places[..., i, width - row.length :] = row.positions
    return places


@contextmanager
def _only(family: Family, chosen: range, hidden: Tensor | None) -> Iterator[list[Tensor]]:
    """Inside, the trunk runs these layers alone: `hidden` enters the first, and what leaves is yielded."""
    layers, norm = family.layers, family.norm
    left: list[Tensor] = []

    def enter(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (hidden, *inputs[1:])

    def leave(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        left.append(inputs[0])

    with ExitStack() as undo:
        for index, layer in enumerate(layers):
            if index not in chosen:
                undo.enter_context(replaced(layer, partial(_stand_in, index)))
        after = layers[chosen.stop] if chosen.stop < len(layers) else norm
        # Where nothing runs, both stand at the same module, and entering comes first.
        undo.callback(after.register_forward_pre_hook(leave).remove)
        if chosen.start:
            before = layers[chosen.start] if chosen.start < len(layers) else norm
            undo.callback(before.register_forward_pre_hook(enter, prepend=True).remove)
        yield left


def _stand_in(
    index: int,
    hidden_states: Tensor,
    cache: Cache | None = None,
    past_key_values: Cache | None = None,
    **_: Any,
) -> Tensor:
    """In the place of a layer: its input, and what is known of its keys and values, under either name."""
    for given in (cache, past_key_values):
        if given is not None:
            given.reveal(index)
    return hidden_states
