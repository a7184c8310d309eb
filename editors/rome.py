"""ROME: one fact is written into the down-projection of one layer's MLP, as a change of rank one.

Meng et al., "Locating and Editing Factual Associations in GPT" (arXiv 2202.05262). The MLP is taken as a
memory of keys and values. A value v* that makes the model answer is learned (see
`editors.associations.values`), and of all changes of W that make it give out v* for the fact's key, that one
is made which changes its outputs for other keys least, by their second moments C:

    W + (v* - W k) (C^-1 k*)^T / (k^T C^-1 k*)

k is the key of the edit's own prompt and k* the mean over this and the prompts with a text before them: as in
the published code, which is exact at k; with k = k* it is the equation of the paper.

For models that see images: the image stays in front of all prompts. An edit without a subject is looked up
at the last token of its prompt, and the essence that is kept is the answer to a neutral question about its
image. Edits that are planned together are written one after the other, each into what those before it left,
as the published code does; many of them wear the model out, which is what MEMIT was made for. What is written
at one position has to bring forth the whole target: short answers take, of whole captions only parts do.

Differences: C is taken of the train split's questions and images, not of Wikipedia, with a ridge on its
diagonal; the texts before prompts all begin with one of five words. The published code reads the answers at a
chosen layer, which all its configurations set to the last one, as here. It counts the first word into the
length of a text, here `prefix_tokens` come after it. Told to look up the last token of the prompt, it takes
the last position of a padded row, which the code of MEMIT calls a mistake; here it is that token.

Published for GPT-2 XL: layer 17 of 48, lr 0.5, 20 steps, clamp 4 (3 for GPT-2 medium), decay 0.5, kl 0.0625,
10 texts of 5 tokens and 10 of 10, C of 100,000 documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import ClassVar

from torch import Tensor

from editors.associations.base import AssociationConfig, as_patch, look_up, rewriting
from editors.associations.covariances import CovarianceConfig, CovarianceEditor
from editors.associations.lookup import Contexts
from editors.associations.moments import Covariance, in_float64
from editors.associations.values import learn_values
from editors.base import Edit, Model, unwrapped
from editors.growing import Made
from editors.patches.weights import Factors, LowRankPatch, folded, together
from mmedit_build.mllm import MLLM


class ROMEConfig(CovarianceConfig):
    """Numbers for small models; those published are in the module's text."""

    layer: int = 2
    """The layer whose MLP is changed; negative ones count from the end."""


class ROME(CovarianceEditor):
    """Rank-one model editing."""

    Config: ClassVar[type[AssociationConfig]] = ROMEConfig
    touches: ClassVar[str] = "one MLP"
    config: ROMEConfig

    def layers(self, mllm: MLLM) -> list[int]:
        return [mllm.layer_index(self.config.layer)]

    def plan(self, model: Model, edits: Sequence[Edit]) -> LowRankPatch:
        return self._after([], unwrapped(model), edits)

    def written(self, mllm: MLLM, wishes: Sequence[Sequence[Edit]]) -> list[LowRankPatch]:
        if any(len(edits) > 1 for edits in wishes):
            # Each edit of a wish is written into what those before it left.
            return [self._after([], mllm, edits) for edits in wishes]
        return self._written(mllm, self.contexts(mllm, [edit for (edit,) in wishes]))

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> LowRankPatch:
        """As edits that are planned together are: into what those before them left."""
        assert isinstance(made.patch, LowRankPatch)
        return folded(self._after([made.patch], unwrapped(model), edits))

    def _after(self, written: list[LowRankPatch], mllm: MLLM, edits: Sequence[Edit]) -> LowRankPatch:
        """What is written, and the edits after it."""
        for contexts in self.contexts(mllm, edits):
            # Those before it as one patch: each by itself would keep a copy of the whole weight.
            with together(written).applied(mllm) if written else nullcontext():
                written += self._written(mllm, [contexts])
        return together(written)

    def _written(self, mllm: MLLM, contexts: Sequence[Contexts]) -> list[LowRankPatch]:
        """Each of these edits by itself, written into the model as it now is."""
        (layer,) = self.layers(mllm)
        down, covariance = mllm.mlp(layer).down.name, self.covariance(layer)
        values = learn_values(mllm, contexts, layer, down, self.config)
        looked = look_up(mllm, contexts, rewriting(mllm, contexts, layer), [down])[down]
        # What comes out holds the bias, and v* with it: their difference, which is learned, does not.
        pairs = [
            rank_one(in_float64(delta), one.inputs[0], one.inputs.mean(dim=0), covariance)
            for delta, one in zip(values.delta, looked, strict=True)
        ]
        return [as_patch(f"{down}.weight", pair) for pair in pairs]


def rank_one(residual: Tensor, key: Tensor, mean_key: Tensor, covariance: Covariance) -> Factors:
    """The change that adds `residual` to what comes out for `key`, along C^-1 `mean_key`; in float64."""
    direction = covariance.whiten(mean_key[:, None])[:, 0]
    left = residual.to(direction) / (key.to(direction) @ direction)
    return Factors(left[:, None], direction[None])
