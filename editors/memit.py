"""MEMIT: many facts are written at once, spread over the down-projections of several layers.

Meng et al., "Mass-Editing Memory in a Transformer" (arXiv 2210.07229). For each edit a vector z of the
residual stream after the highest edited layer is learned (see `editors.associations.values`), all on the
unedited model. Then, from the lowest layer up, each layer takes its share of what is still missing at the
highest one, by least squares against what it knows already (the paper's equation 14):

    R K^T (lambda C + K K^T)^-1

with R what is missing, divided by the number of layers left, and K the keys in the model as changed so far.
The key of an edit is the mean of that of its own prompt and of the mean over the prompts with a text before
them.

For images, subjects and the essence, and for what C is taken of, as in `editors.rome`. With
U = C^-1 K the change is R (U (lambda I + K^T U)^-1)^T, which is the same and needs C to be factorized only
once for all edits.

Published for GPT-J: layers 3 to 8 of 28, weight 15000, lr 0.5, 25 steps, clamp 0.75, decay 0.5, kl 0.0625;
for GPT-2 XL layers 13 to 17 of 48, weight 20000, 20 steps; 5 texts of 10 tokens, C of 100,000 documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import ClassVar

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from editors.associations.base import AssociationConfig, AssociationEditor, as_patch, look_up, rewriting
from editors.associations.lookup import layer_name
from editors.associations.moments import Covariance, in_float64
from editors.associations.values import learn_values
from editors.base import Edit, Model, unwrapped
from editors.growing import Made
from editors.patches.weights import Factors, LowRankPatch, folded, together
from mmedit_build.mllm import MLLM


class MEMITConfig(AssociationConfig):
    """Numbers for small models; those published are in the module's text."""

    edited: tuple[int, ...] = Field(default=(2, 3, 4), min_length=1)
    """The layers whose MLPs are changed; negative ones count from the end."""
    weight: float = Field(default=100.0, gt=0)
    """Lambda: how much the second moments count against the edits."""
    clamp: PositiveFloat = 0.75
    """The longest vector, as a multiple of the hidden state it is added to."""


class MEMIT(AssociationEditor):
    """Mass-editing memory in a transformer."""

    Config: ClassVar[type[AssociationConfig]] = MEMITConfig
    touches: ClassVar[str] = "some MLPs"
    config: MEMITConfig

    def layers(self, mllm: MLLM) -> list[int]:
        return sorted({mllm.layer_index(layer) for layer in self.config.edited})

    def plan(self, model: Model, edits: Sequence[Edit]) -> LowRankPatch:
        mllm = unwrapped(model)
        layers = self.layers(mllm)
        contexts = self.contexts(mllm, edits)
        top = layer_name(mllm, layers[-1])
        values = learn_values(mllm, contexts, layers[-1], top, self.config)
        wanted = in_float64(values.start + values.delta)
        where = rewriting(mllm, contexts, layers[0])
        written: list[LowRankPatch] = []
        with ExitStack() as before:
            for left, layer in zip(range(len(layers), 0, -1), layers, strict=True):
                down = mllm.mlp(layer).down.name
                looked = look_up(mllm, contexts, where, [down, top])
                keys = torch.stack([_key(one.inputs) for one in looked[down]], dim=1)
                missing = wanted - torch.stack([one.outputs[0] for one in looked[top]])
                pair = spread(missing.mT / left, keys, self.covariance(layer), self.config.weight)
                written.append(as_patch(f"{down}.weight", pair))
                before.enter_context(written[-1].applied(mllm))
        return LowRankPatch({name: pair for one in written for name, pair in one.factors.items()})

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> LowRankPatch:
        """The weights move on: what is missing, and the keys, are those of the model as changed so far."""
        assert isinstance(made.patch, LowRankPatch)
        with made.patch.applied(model) as moved:
            further = self.plan(moved, edits)
        return folded(together([made.patch, further]))


def _key(keys: Tensor) -> Tensor:
    """Of the keys of an edit's prompts, the first of them its own."""
    return keys[0] if len(keys) == 1 else (keys[0] + keys[1:].mean(dim=0)) / 2


def spread(residuals: Tensor, keys: Tensor, covariance: Covariance, weight: float) -> Factors:
    """The change that best adds the columns of `residuals` to what comes out for `keys`; in float64."""
    turned = covariance.whiten(keys)
    small = weight * torch.eye(keys.shape[1]).to(turned) + keys.to(turned).mT @ turned
    right = torch.linalg.solve(small, turned, left=False)
    return Factors(residuals.to(turned), right.mT)
