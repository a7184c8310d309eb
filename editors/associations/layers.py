"""Facts written into several layers together: MEMIT's and AlphaEdit's.

Meng et al., "Mass-Editing Memory in a Transformer" (arXiv 2210.07229), Algorithm 1. For each edit a vector z
of the residual stream after the highest edited layer is learned, all on the unedited model. Then, from the
lowest layer up, each layer takes its share of what is still missing at the highest one: that divided by the
number of layers left, in the model as changed so far. Methods differ in how a layer takes it: by its `Write`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from editors.associations.base import AssociationConfig, as_patch, look_up, rewriting
from editors.associations.lookup import Contexts, Looked, Places
from editors.associations.moments import in_float64
from editors.associations.values import learn_values
from editors.patches.hooks import hooked
from editors.patches.side_by_side import SideBySide
from editors.patches.weights import Factors, LowRankPatch
from mmedit_build.mllm import MLLM

Write = Callable[[int, Tensor, Tensor], Factors]
"""From a layer, residuals (out, edits) and keys (in, edits), a change that adds the former for the latter."""


class LayersConfig(AssociationConfig):
    """Which layers take the edits."""

    edited: tuple[int, ...] = Field(default=(2, 3, 4), min_length=1)
    """The layers whose MLPs are changed; negative ones count from the end."""
    clamp: PositiveFloat = 0.75
    """The longest vector, as a multiple of the hidden state it is added to."""


def edited_layers(mllm: MLLM, config: LayersConfig) -> list[int]:
    """The layers counted from the front, the lowest first."""
    return sorted({mllm.layer_index(layer) for layer in config.edited})


@dataclass(frozen=True, eq=False)
class Written:
    """Edits that are written into layers of a model: those of a wish together, each wish by itself."""

    mllm: MLLM
    wishes: Sequence[Sequence[Contexts]]
    layers: Sequence[int]
    """The lowest first."""

    @cached_property
    def contexts(self) -> list[Contexts]:
        """Of all wishes."""
        return [one for contexts in self.wishes for one in contexts]

    @cached_property
    def where(self) -> Places:
        """The prompts up to the lowest of the layers, below which nothing changes."""
        return rewriting(self.mllm, self.contexts, self.layers[0])

    def weight(self, layer: int) -> str:
        """The name of the weight that is changed in a layer."""
        return f"{self.mllm.mlp(layer).down.name}.weight"

    def patches(self, config: LayersConfig, write: Write) -> list[LowRankPatch]:
        """What all layers together are changed by, for each wish."""
        mllm, top = self.mllm, self.mllm.layer_name(self.layers[-1])
        values = learn_values(mllm, self.contexts, self.layers[-1], top, config)
        wanted = in_float64(values.start + values.delta)
        written: list[dict[str, Factors]] = [{} for _ in self.wishes]
        for left, layer in zip(range(len(self.layers), 0, -1), self.layers, strict=True):
            down = mllm.mlp(layer).down.name
            with self._under([LowRankPatch(of) for of in written]):
                looked = look_up(mllm, self.contexts, self.where, [down, top])
            missing = wanted - torch.stack([one.outputs[0] for one in looked[top]])
            residuals, keys = self._split(missing.mT / left), self._split(_keys(looked[down]))
            for of, *pair in zip(written, residuals, keys, strict=True):
                of.update(as_patch(self.weight(layer), write(layer, *pair)).factors)
        return [LowRankPatch(of) for of in written]

    def keys(self, patches: Sequence[LowRankPatch]) -> list[dict[int, Tensor]]:
        """The keys (in, edits) of each wish and layer under the patch of the wish, in float64."""
        downs = {layer: self.mllm.mlp(layer).down.name for layer in self.layers}
        with self._under(patches):
            looked = look_up(self.mllm, self.contexts, self.where, list(downs.values()))
        found = {layer: self._split(_keys(looked[down])) for layer, down in downs.items()}
        return [{layer: of[number] for layer, of in found.items()} for number in range(len(self.wishes))]

    def _split(self, columns: Tensor) -> Sequence[Tensor]:
        """Columns of all edits, by wishes."""
        found: Sequence[Tensor] = columns.split([len(contexts) for contexts in self.wishes], dim=1)
        return found

    def _under(self, patches: Sequence[LowRankPatch]) -> AbstractContextManager[None]:
        """Has the prompts of each wish answered under its patch."""
        owners = [owner for owner, of in enumerate(self.wishes) for one in of for _ in one.rewriting]
        return hooked(self.mllm, SideBySide(patches).hooks(self.mllm, torch.tensor(owners)))


def _keys(looked: Sequence[Looked]) -> Tensor:
    return torch.stack([_key(one.inputs) for one in looked], dim=1)


def _key(keys: Tensor) -> Tensor:
    """Of the keys of an edit's prompts, the first of them its own."""
    return keys[0] if len(keys) == 1 else (keys[0] + keys[1:].mean(dim=0)) / 2
