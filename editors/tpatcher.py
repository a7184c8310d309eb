"""T-Patcher: one new neuron in the last layer for each mistake; the rest of the model stays as it is.

Huang et al., "Transformer-Patcher: One Mistake worth One Neuron" (arXiv 2301.09785), on multimodal models.
Each token of the target that the model would not say gets a neuron beside the last layer's MLP. It starts
excited by 1 at the mistake, and learns to put it right there and to keep silent everywhere else: at inputs of
the MLP on other text and other images, which `fit` draws from the train edits and their locality probes.
Edits are made one after the other; what goes into the MLP at an edit joins the memory of those after it.

Differences: the margins gamma and beta act, as in the paper and in the published code for classification (its
code for generation leaves them out, which is gamma 0 and beta 0); the memory holds positions of image and
prompt too, as the MLP acts on them all; the neurons stay a branch of their own and are not merged into the
weights; the model's own dropout is off.

Published numbers, for BART: memory 40,000, at most 2,000 steps, validated every 25 from 100 on, amplify 10,
memory_weight 10 (5 for classification).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor

from editors.base import Edit, Lift, Model, State, TrainEdit, unwrapped
from editors.descent import of_each, singles_together
from editors.families import MethodFamily
from editors.growing import Made
from editors.learning.training import check_enough, edit_seed, seeded
from editors.neurons.patches import AddedNeurons, Neurons, look_into
from editors.neurons.patching import Patching, PatchingConfig, find_mistakes, train
from editors.neurons.remembered import Remembered, draw, queries_of
from mmedit_build.mllm import MLLM, Below
from mmedit_build.mllm.below import joined
from mmedit_build.recipe.fields import Count


class TPatcherConfig(PatchingConfig):
    """Where the neurons are, and what is remembered."""

    layer: int = -1
    """The decoder layer that gets the neurons; negative numbers count from the end."""
    neurons: Count = 5
    """The most that one edit may add: the first wrong tokens get one each."""
    memory: Count = 2000
    """MLP inputs that are remembered of the train edits, and as many of those held out."""
    remember: bool = True
    """Whether an edit joins the memory of those after it."""
    seed: int = 0
    """Decides where values start and what is remembered."""


class TPatcher:
    """Transformer-Patcher."""

    Config: ClassVar[type[TPatcherConfig]] = TPatcherConfig
    family: ClassVar[MethodFamily] = "added parameters"
    touches: ClassVar[str] = "one MLP, beside it"
    batch: ClassVar[bool] = True

    def __init__(self, config: TPatcherConfig) -> None:
        self.config = config
        self._remembered: Remembered | None = None

    # Learning

    def steps(self, train: Sequence[TrainEdit]) -> int:  # noqa: ARG002  # however many there are
        return 2

    def fit(
        self,
        mllm: MLLM,
        train: Sequence[TrainEdit],
        validation: Sequence[TrainEdit],
        *,
        work: Path,  # noqa: ARG002  # too short to be interrupted
        advance: Callable[[int], None],
    ) -> None:
        check_enough(train, validation)
        drawn = []
        for part in (train, validation):
            drawn.append(self._drawn(mllm, part))
            advance(1)
        self._remembered = Remembered(*drawn)

    def fitted(self) -> State:
        known = self._known()
        return State({"train": known.train, "validation": known.validation})

    def restore(self, mllm: MLLM, state: State) -> None:
        device = mllm.mlp(self.config.layer).up.module.weight.device
        train, validation = (state.tensors[name].to(device) for name in ("train", "validation"))
        self._remembered = Remembered(train, validation)

    def _drawn(self, mllm: MLLM, part: Sequence[TrainEdit]) -> Tensor:
        rng = random.Random(f"{self.config.seed}/memory")
        queries = queries_of(part, self.config.memory, rng)
        return torch.cat(list(draw(mllm, queries, mllm.layer_index(self.config.layer), rng)))

    def _known(self) -> Remembered:
        if self._remembered is None:
            raise ValueError("the editor has to be fitted, or restored, before it plans")
        return self._remembered

    # Planning

    def begins(self, mllm: MLLM) -> int | None:
        return mllm.layer_index(self.config.layer)

    def plan_each(self, model: Model, wishes: Sequence[Sequence[Edit]], lift: Lift) -> list[GrownNeurons]:
        mllm = unwrapped(model)

        def together(edits: Sequence[Edit]) -> list[GrownNeurons]:
            queries = of_each(lift, [[edit] for edit in edits], mllm.layer_index(self.config.layer))
            return self._edited(mllm, edits, queries, self._known())

        return singles_together(wishes, together, lambda edits: self.plan(model, edits))

    def plan(self, model: Model, edits: Sequence[Edit]) -> GrownNeurons:
        return self._grown(unwrapped(model), [], edits)

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> GrownNeurons:
        """As edits that are planned together are: after those before them."""
        assert isinstance(made.patch, GrownNeurons)
        return self._grown(unwrapped(model), [made.patch], edits)

    def _grown(self, mllm: MLLM, grown: list[GrownNeurons], edits: Sequence[Edit]) -> GrownNeurons:
        layer = mllm.layer_index(self.config.layer)
        for edit in edits:
            # Each by itself, so that an edit comes out the same whatever comes after it.
            below = mllm.below([edit.query], layer)
            remembered = self._known().joined_by([one.inputs for one in grown])
            with _joined(grown).applied(mllm) if grown else nullcontext():
                grown += self._edited(mllm, [edit], [below], remembered)
        return _joined(grown)

    def _edited(
        self, mllm: MLLM, edits: Sequence[Edit], queries: Sequence[Below], remembered: Remembered
    ) -> list[GrownNeurons]:
        """Edits, each made in the model as it now is."""
        layer, config = mllm.layer_index(self.config.layer), self.config
        inputs = look_into(mllm, joined(queries), layer)
        mistakes = find_mistakes(mllm, queries, inputs, config.neurons)
        patchings = []
        for edit, mistake in zip(edits, mistakes, strict=True):
            with seeded(edit_seed(config.seed, edit.id)):
                patchings.append(Patching(mllm, layer, config, mistake, remembered))
        return [
            GrownNeurons(layer, neurons, one if config.remember else one[:0])
            for neurons, one in zip(train(mllm, layer, config, patchings), inputs, strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class GrownNeurons(AddedNeurons):
    """With what later edits have to leave alone."""

    inputs: Tensor
    """Of the MLP at the edits made (positions, in)."""

    def state(self) -> State:
        # Named, as dataclasses with slots are made anew, and then know their parents by no other name.
        state = AddedNeurons.state(self)
        return replace(state, tensors={**state.tensors, "inputs": self.inputs})

    @classmethod
    def from_state(cls, state: State) -> Self:
        plain = AddedNeurons.from_state(state)
        return cls(plain.layer, plain.neurons, state.tensors["inputs"])


def _joined(grown: Sequence[GrownNeurons]) -> GrownNeurons:
    """All of them, where the last ones lie."""
    device = grown[-1].inputs.device
    neurons = Neurons.joined([one.neurons.to(device) for one in grown])
    return GrownNeurons(grown[0].layer, neurons, torch.cat([one.inputs.to(device) for one in grown]))
