"""What GRACE learns of edits: values that lead to their answers, and the keys that they are found by."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from editors.descent import Descent
from editors.patches.hooks import hooked
from editors.patches.places import prompt_ends
from mmedit_build.mllm import MLLM, Batch, Below, Query


class Learning(Protocol):
    """How values are learned."""

    @property
    def lr(self) -> float: ...

    @property
    def steps(self) -> int: ...


def learned(
    mllm: MLLM, layer: int, queries: Sequence[Below], starts: Sequence[Tensor], config: Learning
) -> list[Tensor]:
    """The values that make the model give the answers, each for its own edit."""
    name = mllm.mlp(layer).down.name
    # Shorter ones are filled up with what is put nowhere.
    values = pad_sequence(list(starts), batch_first=True).clone().requires_grad_()

    def applied(owners: Sequence[int]) -> AbstractContextManager[None]:
        def put(batch: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001
            of = [owners[index] for index in batch.indices]
            cells = [
                (row, end + step, owner, step)
                for row, (end, owner) in enumerate(zip(prompt_ends(batch).tolist(), of, strict=True))
                for step in range(len(starts[owner]))
            ]
            rows, columns, owner, step = torch.tensor(cells, device=y.device).unbind(dim=1)
            return y.index_put((rows, columns), values[owner, step].to(y.dtype))

        return hooked(mllm, {name: put})

    optimizer = torch.optim.Adam([values], lr=config.lr)
    descent = Descent(mllm, queries, {"value": values}, optimizer, applied)
    found = descent.run(config.steps, None, lambda: None)
    return [of["value"][: len(start)] for of, start in zip(found, starts, strict=True)]


def keys_of(mllm: MLLM, queries: Sequence[Query], layer: int) -> Tensor:
    """What leads out of the layer's MLP is given at the end of each prompt (queries, in)."""
    kept: dict[int, Tensor] = {}

    def keep(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
        ends = prompt_ends(batch).tolist()
        kept.update((index, x[row, ends[row]].clone()) for row, index in enumerate(batch.indices))
        return y

    with hooked(mllm, {mllm.mlp(layer).down.name: keep}):
        mllm.score(queries)
    found = torch.stack([kept[index] for index in range(len(queries))])
    return found.to(torch.promote_types(found.dtype, torch.float32))
