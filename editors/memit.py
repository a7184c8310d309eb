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
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from editors.associations.base import AssociationConfig
from editors.associations.covariances import CovarianceConfig, CovarianceEditor
from editors.associations.layers import LayersConfig, Written, edited_layers
from editors.associations.moments import Covariance
from editors.base import Edit, Model, unwrapped
from editors.growing import Made
from editors.patches.weights import Factors, LowRankPatch, folded, together
from mmedit_build.mllm import MLLM


class MEMITConfig(LayersConfig, CovarianceConfig):
    """Numbers for small models; those published are in the module's text."""

    weight: float = Field(default=100.0, gt=0)
    """Lambda: how much the second moments count against the edits."""


class MEMIT(CovarianceEditor):
    """Mass-editing memory in a transformer."""

    Config: ClassVar[type[AssociationConfig]] = MEMITConfig
    touches: ClassVar[str] = "some MLPs"
    config: MEMITConfig

    def layers(self, mllm: MLLM) -> list[int]:
        return edited_layers(mllm, self.config)

    def plan(self, model: Model, edits: Sequence[Edit]) -> LowRankPatch:
        return self.written(unwrapped(model), [edits])[0]

    def written(self, mllm: MLLM, wishes: Sequence[Sequence[Edit]]) -> list[LowRankPatch]:
        def write(layer: int, residuals: Tensor, keys: Tensor) -> Factors:
            return spread(residuals, keys, self.covariance(layer), self.config.weight)

        contexts = [self.contexts(mllm, edits) for edits in wishes]
        return Written(mllm, contexts, self.layers(mllm)).patches(self.config, write)

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> LowRankPatch:
        """The weights move on: what is missing, and the keys, are those of the model as changed so far."""
        assert isinstance(made.patch, LowRankPatch)
        with made.patch.applied(model) as moved:
            further = self.plan(moved, edits)
        return folded(together([made.patch, further]))


def spread(residuals: Tensor, keys: Tensor, covariance: Covariance, weight: float) -> Factors:
    """The change that best adds the columns of `residuals` to what comes out for `keys`; in float64."""
    turned = covariance.whiten(keys)
    small = weight * torch.eye(keys.shape[1]).to(turned) + keys.to(turned).mT @ turned
    right = torch.linalg.solve(small, turned, left=False)
    return Factors(residuals.to(turned), right.mT)
