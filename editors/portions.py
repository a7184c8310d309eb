"""How many rows a pass with gradients takes at a time: as many as there is room for what it keeps of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import shorten

import torch

from editors.losses import target_nll
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query

CHUNK = 16
"""Edits whose gradients are computed at a time, if there is room, when many are learned together."""
ROOM = 2**32
"""Bytes that may be kept. It depends on nothing else, so that results do not depend on the machine."""


def portions(mllm: MLLM, lengths: Sequence[int], layer: int, most: int) -> Iterator[range]:
    """Rows of these lengths in order, at most `most` at a time, for passes from layer `layer` on."""
    fitting = ROOM // max(1, kept_bytes(mllm, layer))
    start = 0
    while start < len(lengths):
        end, longest = start, 0
        while end < len(lengths) and end - start < most:
            longest = max(longest, lengths[end])
            if end > start and longest * (end - start + 1) > fitting:
                break
            end += 1
        yield range(start, end)
        start = end


def kept_bytes(mllm: MLLM, layer: int) -> int:
    """What is kept of a position: of each layer some 8 states, and what its MLP multiplies."""
    mlp = mllm.mlp(-1)
    width, inner = mlp.up.module.in_features, mlp.down.module.in_features
    numbers = 8 * width + inner * (1 if mlp.gate is None else 3)
    return (mllm.n_layers - layer) * numbers * mllm.dtype.itemsize


def backward(mllm: MLLM, queries: Sequence[Query], together: Sequence[range], tuned: str) -> float:
    """The mean of -log p(target), whose gradients are left in what takes them, which errors call `tuned`."""
    total = 0.0
    for chosen in together:
        with torch.enable_grad():
            loss = target_nll(mllm.logits(queries[chosen.start : chosen.stop])).sum() / len(queries)
        if not loss.requires_grad:
            prompt = queries[chosen.start].prompt
            raise UserError(
                f"{tuned} does not act on {shorten(prompt, 60)!r}: tune a part that does, or edit answers "
                "about images."
            )
        loss.backward()
        total += loss.item()
    return total
