"""Patches of whole matrices side by side in one batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from editors.base import Patch
from editors.patches.copies import of_linear
from editors.patches.hooks import Hook
from editors.patches.side_by_side import Beside
from editors.patches.weights import WeightPatch
from mmedit_build.mllm import MLLM, Batch

Deltas = dict[str, Tensor]
"""What is added to a module's parameters, `weight` and `bias`."""


class WholeSideBySide(Beside):
    """Patches that change linear modules of decoder layers, see `can_stand_beside`; without gradients."""

    def __init__(self, patches: Sequence[WeightPatch]) -> None:
        super().__init__(len(patches))
        self._names = dict.fromkeys(name for patch in patches for name in patch.deltas)
        self._modules: dict[str, dict[int, Deltas]] = {}
        for number, patch in enumerate(patches):
            for name, delta in patch.deltas.items():
                module, _, kind = name.rpartition(".")
                self._modules.setdefault(module, {}).setdefault(number, {})[kind] = delta.detach()

    def first_layer(self, mllm: MLLM) -> int | None:
        return mllm.first_layer(self._names)

    def hooks(self, mllm: MLLM, of_query: Tensor) -> Mapping[str, Hook]:
        return {
            name: _adding(deltas, of_query.to(mllm.model.get_parameter(f"{name}.weight").device))
            for name, deltas in self._modules.items()
        }


def can_stand_beside(patch: Patch, mllm: MLLM, limit: int) -> bool:
    """Whether a patch takes at most `limit` bytes and adds to nothing but linear modules of decoder layers.

    Not in half precision: there a change of a weight is rounded, and one of what a module puts out is not.
    """
    if not isinstance(patch, WeightPatch) or mllm.dtype.itemsize < 4:
        return False
    if sum(delta.nbytes for delta in patch.deltas.values()) > limit:
        return False
    inside = mllm.first_layer(patch.deltas)
    return inside is not None and all(of_linear(mllm, name) for name in patch.deltas)


def _adding(deltas: Mapping[int, Deltas], of_query: Tensor) -> Hook:
    owners = of_query.tolist()

    def add(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
        rows_of: dict[int, list[int]] = defaultdict(list)
        for row, query in enumerate(batch.indices):
            rows_of[owners[query]].append(row)
        added = y.clone()
        for owner in rows_of.keys() & deltas.keys():
            rows = torch.tensor(rows_of[owner], device=y.device)
            added.index_add_(0, rows, _change(x[rows], deltas[owner]))
        return added

    return add


def _change(x: Tensor, delta: Deltas) -> Tensor:
    """What a patch adds to what a module makes of x."""
    weight, bias = delta.get("weight"), delta.get("bias")
    if weight is None:
        assert bias is not None
        return bias.to(x.device).expand(*x.shape[:-1], -1)
    return nn.functional.linear(x, weight.to(x.device), None if bias is None else bias.to(x.device))
