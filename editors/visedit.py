"""VisEdit: after one layer, what an image has become is corrected in view of the edit.

Chen et al., "Attribution Analysis Meets Model Editing: Advancing Knowledge Correction in Vision Language
Models with VisEdit" (AAAI 2025, arXiv 2408.09916). An adaptor attends from the states of image positions
to what leaves the layer when the model is told the edit, and adds what it finds there; a gate says for each
position how much of it, and learns to open where an image is of influence on the edit's prompt. Text has no
such positions: without an image, answers stay bit for bit.

The published method keeps one edit, which the next one replaces. Here a patch keeps all of them, and of
several the one counts whose prompt's end is most like the query's; with one edit nothing is chosen. So edits
that come one after the other are those made at once, and each costs one pass.

Differences: influences are measured once for each edit, where its own image or the rephrased one is asked
about; the published code means to put a rephrase's image states in the place of the edit's, but by its index
copies a single number. The gate is told open and shut at all positions of all queries of a batch (published:
24 of one query); likelihoods and divergences are means over queries of those over tokens (published: over
tokens); train edits without an image are left out; the best of the checkpoints is kept.

Published numbers: after layer 19 of BLIP-2 OPT, 18 of LLaVA-1.5, 17 of MiniGPT-4; middle and gate_middle
1024, heads 8, lr 1e-4, batches of 4.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor
from torch.nn import functional as F

from editors.adaptors.base import AdaptorEditor
from editors.adaptors.config import AdaptorConfig
from editors.adaptors.influence import Influence, sampled_influence, traced
from editors.adaptors.patch import Placed, What
from editors.adaptors.practice import AdaptorPractice, Weighed
from editors.base import Edit, TrainEdit
from editors.learning.exercise import Data
from editors.learning.images import check_images, with_images
from editors.learning.lessons import Kept
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from mmedit_build.recipe.fields import Count


class VisEditConfig(AdaptorConfig):
    """Where the adaptor is, and how wide its gate."""

    layer: int = -2
    """The decoder layer after which states are moved, not the last one; negative ones count from the end."""
    gate_middle: Count = 64
    """How wide the gate is inside."""
    gate_weight: float = Field(default=0.1, ge=0)
    """How much it counts whether the gate opens where it shall, most where the image matters most."""
    sampled: Count = 24
    """Features of an image whose influence on the answer is measured."""
    noise: PositiveFloat = 0.7
    """Deviation of what is added to a feature, where it goes into an attention, to see what that changes."""


class VisEdit(AdaptorEditor):
    """Visual edit adaptor."""

    Config: ClassVar[type[AdaptorConfig]] = VisEditConfig
    touches: ClassVar[str] = "image, after one layer"
    config: VisEditConfig

    def places(self, mllm: MLLM) -> Sequence[tuple[int, What, int | None]]:
        layer = mllm.layer_index(self.config.layer)
        if layer == mllm.n_layers - 1:
            raise UserError(
                f"No image is looked at after layer {layer}, the last one: give a layer before it."
            )
        return [(layer, "image", self.config.gate_middle)]

    def usable(self, train: Sequence[TrainEdit]) -> list[TrainEdit]:
        return with_images(train)

    def check(self, edits: Sequence[Edit]) -> None:
        check_images(edits)

    def make_practice(self, mllm: MLLM, placed: Sequence[Placed], data: Data) -> GatedPractice:
        return GatedPractice(mllm, placed, self.config, data)


class GatedPractice(AdaptorPractice):
    """An adaptor under training, with its gate."""

    def __init__(self, mllm: MLLM, placed: Sequence[Placed], config: VisEditConfig, data: Data) -> None:
        super().__init__(mllm, placed, config, data)
        self._config = config
        self._layer = placed[0].layer
        self._influence: Kept[Influence] = Kept(self._pool.budget, self._measure, lambda one: one.nbytes)

    def of_gates(self, weighed: Sequence[Weighed], asked: Sequence[int]) -> Tensor:
        (only,) = weighed
        return self._config.gate_weight * self.of_gate(only, asked)

    def of_gate(self, weighed: Weighed, asked: Sequence[int]) -> Tensor:
        """It shall be open where the edit is asked, most where that matters most, and shut elsewhere."""
        number = len(asked)
        opened = weighed.logits[:number][weighed.real[:number]]
        shut = weighed.logits[number:][weighed.real[number:]]
        loss = self._by_influence(weighed, asked) - F.logsigmoid(opened).mean()
        if len(shut):
            loss = loss - F.logsigmoid(-shut).mean()
        return loss

    def _by_influence(self, weighed: Weighed, asked: Sequence[int]) -> Tensor:
        """Cross entropy of where the gate opens, over sampled features, with the shares that they have.

        The image of a rephrased question is that of the edit, so its gate shall open as it does there.
        """
        third = len(asked) // 3
        places = [*range(third), *range(2 * third, len(asked))]
        known = self._influence.of([asked[place] for place in places])
        apart = [
            one.shares @ weighed.logits[place][one.features].log_softmax(dim=0)
            for place, one in zip(places, known, strict=True)
        ]
        return -torch.stack(apart).mean()

    def _measure(self, numbers: Sequence[int]) -> list[Influence]:
        config, layer = self._config, self._layer
        return [
            sampled_influence(
                self._mllm,
                self._pool.below([one], layer),
                traced(self._mllm, layer),
                number=config.sampled,
                noise=config.noise,
                rng=random.Random(f"{config.seed}/influence {one}"),
            )
            for one in numbers
        ]
