"""What lies below a layer, computed once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor

from mmedit_build.mllm.query import Query
from mmedit_build.mllm.rows import Row


@dataclass(frozen=True, slots=True, eq=False)
class Below(Sequence[Query]):
    """Queries together with the hidden states at the input of decoder layer `layer`.

    It is a sequence of its queries, so whatever takes queries takes it too; an MLLM then runs only the layers
    from `layer` on. It stays right as long as nothing below `layer` changes.
    `hidden` holds one tensor (length, width) per query, without padding: at layer 0 token embeddings with the
    features of the image in their places. `deep` holds for each query what the model adds of its image after
    the first layers, one tensor (image positions, width) for each of those layers; none where nothing is
    still to be added. `keys_values` holds, for generating, what the layers below attend to in each prompt:
    (layer, 2, heads, prompt length, head width). `from_attention` is there where rows are cut to what
    predicts their targets, see `narrowing`: what leads out of the attention of `layer`, the last one.
    """

    layer: int
    queries: tuple[Query, ...]
    rows: tuple[Row, ...]
    hidden: tuple[Tensor, ...]
    deep: tuple[tuple[Tensor, ...], ...]
    keys_values: tuple[Tensor, ...] | None = None
    from_attention: tuple[Tensor, ...] | None = None

    def __len__(self) -> int:
        return len(self.queries)

    @overload
    def __getitem__(self, index: int) -> Query: ...
    @overload
    def __getitem__(self, index: slice) -> Below: ...
    def __getitem__(self, index: int | slice) -> Query | Below:
        if isinstance(index, slice):
            return self.take(range(len(self))[index])
        return self.queries[index]

    def take(self, indices: Sequence[int]) -> Below:
        """The chosen queries, in the order chosen; nothing is copied."""
        return Below(
            self.layer,
            tuple(self.queries[i] for i in indices),
            tuple(self.rows[i] for i in indices),
            tuple(self.hidden[i] for i in indices),
            tuple(self.deep[i] for i in indices),
            None if self.keys_values is None else tuple(self.keys_values[i] for i in indices),
            None if self.from_attention is None else tuple(self.from_attention[i] for i in indices),
        )

    def prompts(self) -> Below:
        """The queries without their targets."""
        hidden = tuple(one[: row.prompt_length] for one, row in zip(self.hidden, self.rows, strict=True))
        rows = tuple(row.cut(0) for row in self.rows)
        return Below(self.layer, self.queries, rows, hidden, self.deep, self.keys_values)

    def attended(self, kept: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What later tokens attend to, once the next layers have given what is `kept` of each prompt."""
        self.check_attended()
        if self.keys_values is None:
            return tuple(kept)
        pairs = zip(self.keys_values, kept, strict=True)
        return tuple(torch.cat([known, more.to(known.device)]) for known, more in pairs)

    def check_attended(self) -> None:
        """Refuse to generate from above layer 0 where it was not kept what later tokens attend to there."""
        if self.layer and self.keys_values is None:
            raise ValueError("to generate from above layer 0, compute below(..., for_generation=True)")

    @property
    def nbytes(self) -> int:
        """Memory held by the kept tensors."""
        deep = (tensor for levels in self.deep for tensor in levels)
        kept = (*(self.keys_values or ()), *(self.from_attention or ()))
        return sum(tensor.nbytes for tensor in (*self.hidden, *deep, *kept))


def joined(parts: Sequence[Below]) -> Below:
    """Queries known up to the same layer, one part after the other."""
    kept = tuple(one for part in parts for one in part.keys_values or ())
    led = tuple(one for part in parts for one in part.from_attention or ())
    return Below(
        parts[0].layer,
        tuple(query for part in parts for query in part.queries),
        tuple(row for part in parts for row in part.rows),
        tuple(hidden for part in parts for hidden in part.hidden),
        tuple(levels for part in parts for levels in part.deep),
        None if parts[0].keys_values is None else kept,
        None if parts[0].from_attention is None else led,
    )
