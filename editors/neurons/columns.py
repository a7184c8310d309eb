"""Changes of what single neurons put into the output, as a patch of columns and back."""

from __future__ import annotations

import torch
from torch import Tensor

from editors.base import Patch
from editors.neurons.choosing import Place
from editors.neurons.patches import ColumnPatch
from editors.patches.weights import Factors
from mmedit_build.mllm import MLLM

Changes = dict[Place, Tensor]
"""What is added to the column of each neuron (out,)."""


def column_patch(mllm: MLLM, changes: Changes) -> ColumnPatch:
    """Changes of columns as a patch of as many ranks as there are columns in each weight."""
    factors = {}
    for layer in sorted({layer for layer, _ in changes}):
        down = mllm.mlp(layer).down
        numbers = sorted(number for of, number in changes if of == layer)
        device = down.module.weight.device
        left = torch.stack([changes[layer, number].to(device) for number in numbers], dim=1)
        right = left.new_zeros(len(numbers), down.module.in_features)
        right[range(len(numbers)), numbers] = 1
        factors[f"{down.name}.weight"] = Factors(left, right)
    return ColumnPatch(factors)


def changes_of(mllm: MLLM, patch: Patch) -> Changes:
    """What `column_patch` was given."""
    assert isinstance(patch, ColumnPatch)
    changes: Changes = {}
    for name, pair in patch.factors.items():
        layer = mllm.layer_of(name)
        assert layer is not None
        numbers = pair.right.argmax(dim=1).tolist()
        changes |= {(layer, number): pair.left[:, i] for i, number in enumerate(numbers)}
    return changes


def summed(one: Changes, other: Changes) -> Changes:
    """Both changes together."""
    shared = one.keys() & other.keys()
    return {**one, **other, **{place: one[place].to(other[place].device) + other[place] for place in shared}}
