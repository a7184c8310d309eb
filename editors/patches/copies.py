"""Linear modules in several copies side by side, so that several edits are tuned in the same passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from editors.patches.layers import Columns
from editors.patches.places import answering
from mmedit_build.mllm import MLLM, Batch
from mmedit_build.mllm.forwards import replaced

LARGEST = 2**24
"""Bytes of what may be copied: a group of 16 edits then holds some 2 GB of copies, gradients and moments."""


def can_be_copied(mllm: MLLM, part: Mapping[str, nn.Parameter]) -> bool:
    """Whether parameters are few enough, and all of them weights and biases of linear modules of layers."""
    small = sum(4 * parameter.numel() for parameter in part.values()) <= LARGEST
    return small and all(of_linear(mllm, name) for name in part)


def of_linear(mllm: MLLM, name: str) -> bool:
    """Whether a parameter is one of a linear module of a decoder layer."""
    module, _, kind = name.rpartition(".")
    if mllm.layer_of(name) is None or kind not in ("weight", "bias"):
        return False
    return isinstance(mllm.model.get_submodule(module), nn.Linear)


@contextmanager
def copied(mllm: MLLM, copies: Mapping[str, Tensor], owners: Sequence[int]) -> Iterator[None]:
    """Inside, query i of a call goes through copy `owners[i]` of the named parameters.

    `copies` (copies, ...) are in the place of the parameters themselves; gradients flow into them. Only what
    predicts targets is right: nothing else is asked of the last MLP, so it is not computed.
    """
    places = torch.tensor(owners, device=mllm.device)
    last = mllm.part("mlp.-1")
    with ExitStack() as undo:
        for module in dict.fromkeys(name.rpartition(".")[0] for name in copies):
            linear = mllm.model.get_submodule(module)
            assert isinstance(linear, nn.Linear)
            own = _Copies(linear, copies.get(f"{module}.weight"), copies.get(f"{module}.bias"), places)
            forward = partial(_forward, mllm, own, f"{module}.weight" in last)
            undo.enter_context(replaced(linear, forward))
        yield


@dataclass(frozen=True, slots=True, eq=False)
class _Copies:
    """A module's own copies; None where all share its parameter."""

    linear: nn.Linear
    weight: Tensor | None
    bias: Tensor | None
    places: Tensor

    def of(self, x: Tensor, batch: Batch) -> Tensor:
        """What comes out for x (rows, positions, in)."""
        rows = self.places[torch.tensor(batch.indices, device=self.places.device)].to(x.device)
        y = x @ self.linear.weight.mT if self.weight is None else _product(x, _own(self.weight, rows))
        shared: Tensor | None = self.linear.bias
        if shared is None:
            return y
        return y + (shared if self.bias is None else _own(self.bias, rows).to(x.dtype)[:, None])


def _own(copies: Tensor, rows: Tensor) -> Tensor:
    """The copy of each row."""
    whole = len(rows) == len(copies) and torch.equal(rows, torch.arange(len(rows), device=rows.device))
    return copies if whole else copies[rows]


def _product(x: Tensor, weight: Tensor) -> Tensor:
    """x @ weight^T, in the precision of x."""
    found: Tensor = _Product.apply(x, weight.to(x.dtype))  # type: ignore[no-untyped-call]
    return found


class _Product(torch.autograd.Function):
    """The gradient of the weights lies in memory as they do, where torch's own is turned."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight.mT

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        x, weight = ctx.saved_tensors
        return gradient @ weight if ctx.needs_input_grad[0] else None, gradient.mT @ x


def _forward(mllm: MLLM, copies: _Copies, answers: bool, x: Tensor) -> Tensor:
    batch = mllm.running
    if batch is None:
        raise RuntimeError("a copied module ran outside of the decoder layers of its MLLM")
    # Some layers flatten rows and positions into one dimension before their linear modules.
    rows = x.to(copies.linear.weight.device).reshape(len(batch.rows), -1, x.shape[-1])
    # Rows that are cut to what predicts targets have one position more than these.
    if answers and rows.shape[1] > 1 + max(len(row.target_ids) for row in batch.rows):
        columns = Columns(answering(batch, rows.shape[1]).to(rows.device))
        y = columns.put(copies.of(columns.take(rows), batch), rows.shape[1])
    else:
        y = copies.of(rows, batch)
    return y.reshape(*x.shape[:-1], -1)
