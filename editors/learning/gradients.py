"""The gradient of an edit at linear modules: the pairs of vectors whose outer products it is the sum of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from editors.losses import target_nll
from editors.patches.hooks import Hook, hooked
from mmedit_build.mllm import MLLM, Batch, Query
from mmedit_build.mllm.rows import Row


@dataclass(frozen=True, slots=True, eq=False)
class OuterProducts:
    """At a linear module, one pair of vectors for each position of a query that counts, in float32 at least.

    The gradient of the loss by the module's weight is deltas^T @ inputs: no position is left out that adds
    to it, unless some are chosen, and none is kept that adds nothing.
    """

    inputs: Tensor
    """What goes in (pairs, in)."""
    deltas: Tensor
    """The gradient by what comes out (pairs, out)."""

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def nbytes(self) -> int:
        return self.inputs.nbytes + self.deltas.nbytes


Gradient = dict[str, OuterProducts]
"""Of one edit, by the name of the weight."""


def gradients(
    mllm: MLLM,
    queries: Sequence[Query],
    weights: Sequence[str],
    chosen: Callable[[Row], Sequence[int]] | None = None,
) -> list[Gradient]:
    """For each query, the gradient of -log p(target), as the mean over its tokens, by each named weight.

    Of all positions of its row, or of those that are chosen.
    """
    seen: dict[str, tuple[Batch, Tensor, Tensor]] = {}
    hooks = {name.removesuffix(".weight"): _seeing(name, seen) for name in weights}
    with torch.enable_grad(), hooked(mllm, hooks):
        loss = target_nll(mllm.logits(queries)).sum()
    deltas = torch.autograd.grad(loss, [seen[name][2] for name in weights])
    found: list[Gradient] = [{} for _ in queries]
    for name, delta in zip(weights, deltas, strict=True):
        batch, inputs, _ = seen[name]
        for index, one in zip(
            batch.indices, _products(batch, inputs, delta, chosen, mllm.device), strict=True
        ):
            found[index][name] = one
    return found


def _products(
    batch: Batch,
    inputs: Tensor,
    deltas: Tensor,
    chosen: Callable[[Row], Sequence[int]] | None,
    device: torch.device,
) -> list[OuterProducts]:
    """Of each row, found in all rows at once."""
    kept = _counting(inputs, deltas) & batch.valid.to(deltas.device)
    if chosen is not None:
        places = torch.zeros_like(kept)
        for place, row in enumerate(batch.rows):
            places[place, kept.shape[1] - row.length + torch.tensor(chosen(row), device=kept.device)] = True
        kept &= places
    lengths = kept.sum(dim=1).tolist()
    sides = (_placed(side[kept], device).split(lengths) for side in (inputs, deltas))
    return [OuterProducts(*pair) for pair in zip(*sides, strict=True)]


def _seeing(name: str, seen: dict[str, tuple[Batch, Tensor, Tensor]]) -> Hook:
    def see(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
        if name in seen:
            raise RuntimeError(f"{name} ran twice in one pass")
        if not y.requires_grad:
            # The first module of all: nothing before it takes gradients.
            y.requires_grad_(True)
        seen[name] = batch, x.detach(), y
        return y

    return see


def outer_products(inputs: Tensor, deltas: Tensor, device: torch.device) -> OuterProducts:
    """The positions (rows, width) that add to the gradient, on a device."""
    kept = _counting(inputs, deltas)
    return OuterProducts(_placed(inputs[kept], device), _placed(deltas[kept], device))


def _counting(inputs: Tensor, deltas: Tensor) -> Tensor:
    """Which positions add to the gradient."""
    return inputs.any(dim=-1) & deltas.any(dim=-1)


def _placed(vectors: Tensor, device: torch.device) -> Tensor:
    return vectors.to(device, torch.promote_types(vectors.dtype, torch.float32))
