"""Neurons of several patches side by side, beside the MLP of one layer: each lot acts on its own queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from editors.neurons.patches import AddedNeurons, Neurons, activation_of, branch
from editors.patches.hooks import Hook
from editors.patches.side_by_side import Beside, Owners
from mmedit_build.mllm import MLLM, Batch


class NeuronsSideBySide(Beside):
    """Lots of neurons, of which those with fewer are filled up with some that add nothing.

    Gradients flow into them, so several edits can be learned in the same passes.
    """

    def __init__(self, layer: int, keys: Tensor, values: Tensor, biases: Tensor | None = None) -> None:
        """`keys` (lots, neurons, in), `values` (lots, neurons, out) and `biases` (lots, neurons)."""
        super().__init__(len(keys))
        self._layer = layer
        self._tensors = (keys, values, biases)

    @classmethod
    def of(cls, layer: int, lots: Sequence[Neurons]) -> Self:
        """Of lots of which either all have biases, or none."""
        biases = [one.biases for one in lots if one.biases is not None]
        return cls(
            layer,
            _stacked([one.keys for one in lots]),
            _stacked([one.values for one in lots]),
            _stacked(biases) if biases else None,
        )

    @classmethod
    def of_patches(cls, patches: Sequence[AddedNeurons]) -> Self:
        """Of patches beside the same layer."""
        device = patches[0].neurons.keys.device
        return cls.of(patches[0].layer, [patch.neurons.to(device) for patch in patches])

    def first_layer(self, mllm: MLLM) -> int | None:
        return mllm.layer_index(self._layer)

    def hooks(self, mllm: MLLM, of_query: Tensor) -> Mapping[str, Hook]:
        mlp = mllm.mlp(self._layer)
        activation, device = activation_of(mlp), mlp.up.module.weight.device
        # Patches read from files lie in main memory, wherever the model is.
        keys, values, biases = (None if one is None else one.to(device) for one in self._tensors)
        assert keys is not None
        assert values is not None
        owners = Owners(of_query)

        def made(batch: Batch, x: Tensor) -> Tensor:
            rows = owners.rows(batch, x.device)
            excited = rows.sort(x.to(keys.dtype)) @ rows.own(keys).mT
            if biases is not None:
                excited = excited + rows.own(biases)[:, None]
            return rows.back(activation(excited) @ rows.own(values), x.shape[1])

        return branch(mlp, made)


def _stacked(lots: Sequence[Tensor]) -> Tensor:
    """One tensor of all, filled up with zeros."""
    alike = len({len(one) for one in lots}) == 1
    return torch.stack(list(lots)) if alike else pad_sequence(list(lots), batch_first=True)
