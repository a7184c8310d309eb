"""AlphaEdit: MEMIT in the directions that nearly nothing known has a part in.

Fang et al., "AlphaEdit: Null-Space Constrained Knowledge Editing for Language Models" (arXiv 2410.02355).
Targets, keys and the shares of layers are MEMIT's. In each layer P projects keys onto the directions that are
left by what is to be kept (see `editors.associations.nullspace`), and the change is D = X^T with

    (P (K K^T + C_p) + l2 I) X = P K R^T

where R is what is missing, K are the keys of the edits, and C_p is the sum of k k^T over the keys of earlier
edits, so that these are kept, too. They are taken in the model as each batch left it. So D k = 0 for all k
with P k = 0, whatever is written.

X lies in the range of P, so with A = P [K K_p], K_p the earlier keys, it is A (A^T A + l2 I)^-1 times the
columns of the identity that belong to K: the equation of the edits alone, not of all features, and D has as
many ranks as there are edits. Of more earlier keys than features the same C_p is kept in fewer columns.

For models that see images: keys to be kept are those of text and of image positions of the train split. How
many directions are free is decided by their share of the trace of C, which means the same for every model;
published is a threshold on eigenvalues of 0.02 for all models (`threshold`). In float64, where the published
code has float32.

Published for Llama3-8B: layers 4 to 8 of 32, lr 0.1, 25 steps, clamp 0.75, decay 0.5, kl 0.0625, threshold
0.02, l2 10, 100 edits at once; GPT-J and GPT-2 XL have MEMIT's layers and lr 0.5. C of 100,000 documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from editors.associations.base import AssociationConfig, AssociationEditor
from editors.associations.layers import LayersConfig, Written, edited_layers
from editors.associations.moments import Moment
from editors.associations.nullspace import NullSpace, taken_directions
from editors.base import Edit, Model, unwrapped
from editors.growing import Made
from editors.patches.growing import GrowingPatch, went_on
from editors.patches.weights import Factors
from mmedit_build.mllm import MLLM
from mmedit_build.recipe.fields import Share


class AlphaEditConfig(LayersConfig):
    """Numbers for small models; those published are in the module's text."""

    share: Share = 0.05
    """The most that the free directions together may have of the trace of the second moments."""
    threshold: PositiveFloat | None = None
    """Free are instead those directions whose second moment is lower, as published."""
    l2: float = Field(default=2.0, gt=0)
    """How much the size of a change counts against the edits."""


class AlphaEdit(AssociationEditor):
    """Mass-editing in the null space of what is to be kept."""

    Config: ClassVar[type[AssociationConfig]] = AlphaEditConfig
    touches: ClassVar[str] = "some MLPs"
    config: AlphaEditConfig
    _spaces: dict[int, NullSpace]

    def layers(self, mllm: MLLM) -> list[int]:
        return edited_layers(mllm, self.config)

    def kept(self, mllm: MLLM, layer: int, moment: Moment) -> Tensor:
        config = self.config
        return taken_directions(
            moment, layer, share=config.share, threshold=config.threshold, device=mllm.device
        )

    def take_up(self, mllm: MLLM, kept: Mapping[int, Tensor]) -> None:
        self._spaces = {layer: NullSpace(taken, mllm.device) for layer, taken in kept.items()}

    def plan(self, model: Model, edits: Sequence[Edit]) -> GrowingPatch:
        return self.written(unwrapped(model), [edits])[0]

    def written(self, mllm: MLLM, wishes: Sequence[Sequence[Edit]]) -> list[GrowingPatch]:
        return self._beside({}, mllm, wishes)

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> GrowingPatch:
        """The weights move on, and the keys of what was written before are kept."""
        assert isinstance(made.patch, GrowingPatch)
        with made.patch.applied(model) as moved:
            (further,) = self._beside(made.patch.known, unwrapped(moved), [edits])
        return went_on(made.patch, further)

    def _beside(
        self, earlier: Mapping[str, Tensor], mllm: MLLM, wishes: Sequence[Sequence[Edit]]
    ) -> list[GrowingPatch]:
        """What the edits of each wish change, and the keys of all so far, by the weight that they go into."""
        contexts = [self.contexts(mllm, edits) for edits in wishes]
        writing = Written(mllm, contexts, self.layers(mllm))

        def write(layer: int, residuals: Tensor, keys: Tensor) -> Factors:
            before = earlier.get(writing.weight(layer), keys[:, :0])
            return constrained(residuals, keys, before, self._spaces[layer], self.config.l2)

        patches = writing.patches(self.config, write)
        found = []
        for patch, of in zip(patches, writing.keys(patches), strict=True):
            after = {writing.weight(layer): keys for layer, keys in of.items()}
            known = {name: gathered(earlier.get(name, keys[:, :0]), keys) for name, keys in after.items()}
            found.append(GrowingPatch(patch.factors, known))
        return found


def constrained(
    residuals: Tensor, keys: Tensor, earlier: Tensor, space: NullSpace, penalty: float
) -> Factors:
    """The change of least size that adds the columns of `residuals` for `keys` and nothing for earlier ones,
    nor for any that have no part in the null space; in float64."""
    free = space.project(torch.cat([keys, earlier.to(keys)], dim=1))
    small = free.mT @ free + penalty * torch.eye(free.shape[1]).to(free)
    chosen = torch.eye(free.shape[1], keys.shape[1]).to(free)
    right = torch.linalg.solve(small, chosen).mT @ free.mT
    return Factors(residuals.to(right), right)


def gathered(earlier: Tensor, keys: Tensor) -> Tensor:
    """Columns with the sum of k k^T of both, no more of them than there are features; in float32."""
    both = torch.cat([earlier.to(keys), keys], dim=1)
    if both.shape[1] > both.shape[0]:
        both = torch.linalg.qr(both.mT, mode="r").R.mT
    return both.float()
