"""Patches on the neurons of MLPs: new ones beside those of a layer, and those there read out or scaled.

A neuron of a layer is one input of the linear module that leads out of its MLP: what its row of the module
into the MLP makes of the MLP's input, after the activation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from editors.areas import Area, layers_of
from editors.base import State
from editors.patches.hooks import Hook, HookPatch, hooked
from editors.patches.places import answering
from editors.patches.weights import LowRankPatch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Batch, Query
from mmedit_build.mllm.parts import MLP

NEURONS = "neurons of the MLP"


@dataclass(frozen=True, slots=True, eq=False)
class Neurons:
    """Neurons that a layer gets in addition, with one row for each in all that they have."""

    keys: Tensor
    """What the MLP's input is multiplied with (neurons, in)."""
    values: Tensor
    """What the activation puts into the output (neurons, out)."""
    biases: Tensor | None = None
    """What is added before the activation (neurons,); None adds nothing."""

    def __len__(self) -> int:
        return len(self.keys)

    def before_activation(self, x: Tensor) -> Tensor:
        """Of inputs (..., in), in the precision of the keys: (..., neurons)."""
        return F.linear(x.to(self.keys.dtype), self.keys, self.biases)

    def to(self, device: torch.device) -> Neurons:
        """The same on a device."""
        biases = None if self.biases is None else self.biases.to(device)
        return Neurons(self.keys.to(device), self.values.to(device), biases)

    @classmethod
    def joined(cls, parts: Sequence[Neurons]) -> Self:
        """Neurons of several lots, in order."""
        biases = [part.biases for part in parts if part.biases is not None]
        if biases and len(biases) != len(parts):
            raise ValueError("either all the neurons have biases, or none")
        return cls(
            torch.cat([part.keys for part in parts]),
            torch.cat([part.values for part in parts]),
            torch.cat(biases) if biases else None,
        )


@dataclass(frozen=True, slots=True, eq=False)
class AddedNeurons(HookPatch):
    """Neurons beside the MLP of a layer, which share its input and add to its output.

    They are a branch of their own: in a matrix with more rows the old ones would be rounded otherwise, and
    neurons that do not fire would leave traces. Gradients flow into them.
    """

    layer: int
    neurons: Neurons

    def hooks(self, mllm: MLLM) -> Mapping[str, Hook]:
        mlp = mllm.mlp(self.layer)
        if not len(self.neurons):
            return {}
        # Patches read from files lie in main memory, wherever the model is.
        neurons = self.neurons.to(mlp.up.module.weight.device)
        widths = (mlp.up.module.in_features, mlp.down.module.out_features)
        if (neurons.keys.shape[1], neurons.values.shape[1]) != widths:
            raise UserError(
                f"The neurons of the patch do not fit the MLP of layer {self.layer} of {mllm.name}: "
                "apply the patch to the model it was planned for."
            )
        activation = activation_of(mlp)
        return branch(mlp, lambda _, x: activation(neurons.before_activation(x)) @ neurons.values)

    def touched(self, mllm: MLLM) -> Area:
        return {"beside the MLP": (mllm.layer_index(self.layer),)}

    @property
    def changed(self) -> int:
        """How many parameters are added; those of the model stay."""
        one = self.neurons
        return one.keys.numel() + one.values.numel() + (0 if one.biases is None else one.biases.numel())

    def state(self) -> State:
        one = self.neurons
        biases = {} if one.biases is None else {"biases": one.biases}
        return State({"keys": one.keys, "values": one.values, **biases}, {"layer": self.layer})

    @classmethod
    def from_state(cls, state: State) -> Self:
        tensors = state.tensors
        neurons = Neurons(tensors["keys"], tensors["values"], tensors.get("biases"))
        return cls(int(str(state.fields["layer"])), neurons)


def activation_of(mlp: MLP) -> Callable[[Tensor], Tensor]:
    """What stands between keys and values of neurons beside an MLP."""
    # Gated MLPs have activations that never fall silent.
    return mlp.activation if mlp.gate is None else F.relu


def branch(mlp: MLP, made: Callable[[Batch, Tensor], Tensor]) -> dict[str, Hook]:
    """Hooks that add to an MLP's output what is made of its input."""
    added: list[Tensor] = []

    def see(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
        added[:] = [made(batch, x)]
        return y

    def add(_: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001  # what went in was seen before
        return (y + added.pop()).to(y.dtype)

    return {mlp.up.name: see, mlp.down.name: add}


@dataclass(frozen=True, slots=True, eq=False)
class ColumnPatch(LowRankPatch):
    """Changes what some neurons put into the output: columns of the weights that lead out of MLPs."""

    @property
    def changed(self) -> int:
        return sum(pair.left.numel() for pair in self.factors.values())

    def touched(self, mllm: MLLM) -> Area:
        return {NEURONS: layers_of(mllm, self.factors)}


@dataclass(frozen=True, slots=True, eq=False)
class ScaledNeurons(HookPatch):
    """Multiplies the activation of some neurons wherever an answer is predicted, and nowhere before that.

    These are the last position of each prompt and all after it.
    """

    chosen: Mapping[str, Tensor]
    """Indices of neurons by the name of the module that leads out of their MLP."""
    factor: float

    def hooks(self, mllm: MLLM) -> Mapping[str, Hook]:
        return {name: self._scaling(mllm, name) for name, indices in self.chosen.items() if len(indices)}

    def _scaling(self, mllm: MLLM, name: str) -> Hook:
        module = mllm.model.get_submodule(name)
        indices = self.chosen[name].to(module.get_parameter("weight").device)

        def scale(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
            weight = module.get_parameter("weight")
            added = F.linear((self.factor - 1) * x[..., indices], weight[:, indices])
            return torch.where(answering(batch, x.shape[1])[..., None].to(y.device), y + added, y)

        return scale

    def touched(self, mllm: MLLM) -> Area:
        return {NEURONS: layers_of(mllm, [f"{name}.weight" for name in self.chosen])}

    @property
    def changed(self) -> int:
        return 0

    def state(self) -> State:
        return State(self.chosen, {"factor": self.factor})

    @classmethod
    def from_state(cls, state: State) -> Self:
        return cls(state.tensors, float(str(state.fields["factor"])))


def look_into(mllm: MLLM, queries: Sequence[Query], layer: int) -> list[Tensor]:
    """What goes into the layer's MLP at the positions of each query (length, width)."""
    kept: dict[int, Tensor] = {}

    def keep(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
        for place, index in enumerate(batch.indices):
            kept[index] = x[place, x.shape[1] - batch.rows[place].length :].clone()
        return y

    with hooked(mllm, {mllm.mlp(layer).up.name: keep}):
        mllm.score(queries)
    return [kept[index] for index in range(len(queries))]
