"""Attention of some vectors to others, of which each row may have another number."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """As many heads as are asked for, which all look at the same states."""

    def __init__(self, asking: int, seen: int, middle: int, out: int, heads: int) -> None:
        """Widths of what asks, of what is seen, of queries and keys, and of what comes out."""
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(asking, middle)
        self.key = nn.Linear(seen, middle)
        self.value = nn.Linear(seen, out)

    def forward(self, asking: Tensor, seen: Tensor, real: Tensor) -> Tensor:
        """Of what is seen (rows, places, width) only the `real` (rows, places) is looked at."""
        queries, keys, values = (
            states.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for states in (self.query(asking), self.key(seen), self.value(seen))
        )
        scores = queries @ keys.mT / queries.shape[-1] ** 0.5
        # Not to minus infinity: a row in which nothing is real shall not make NaNs.
        scores = scores.masked_fill(~real[:, None, None], torch.finfo(scores.dtype).min)
        found: Tensor = (scores.softmax(dim=-1) @ values).transpose(1, 2).flatten(2)
        return found
