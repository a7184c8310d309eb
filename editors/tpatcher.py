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

import hashlib
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from editors.base import Edit, Model, State, TrainEdit, unwrapped
from editors.families import MethodFamily
from editors.learning.training import check_enough, seeded
from editors.neurons.patches import AddedNeurons, Neurons, look_into
from editors.neurons.patching import Patching, PatchingConfig, find_mistake
from editors.neurons.remembered import Remembered, draw, queries_of
from mmedit_build.mllm import MLLM
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
    """Whether an edit joins the memory of those that are planned with it after it."""
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

    def plan(self, model: Model, edits: Sequence[Edit]) -> AddedNeurons:
        mllm = unwrapped(model)
        layer, remembered = mllm.layer_index(self.config.layer), self._known()
        lots: list[Neurons] = []
        with ExitStack() as grown:
            for edit in edits:
                # Each by itself, so that an edit comes out the same whatever comes after it.
                below = mllm.below([edit.query], layer)
                (inputs,) = look_into(mllm, below, layer)
                mistake = find_mistake(mllm, below, inputs, self.config.neurons)
                with seeded(_seed(self.config.seed, edit.id)):
                    patching = Patching(mllm, layer, self.config, mistake, remembered)
                lots.append(patching.train())
                grown.enter_context(AddedNeurons(layer, lots[-1]).applied(mllm))
                if self.config.remember:
                    remembered = remembered.joined_by(inputs)
        return AddedNeurons(layer, Neurons.joined(lots))


def _seed(seed: int, edit_id: str) -> int:
    """An edit starts from the same values whatever edits came before it."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {edit_id}".encode(), digest_size=6).digest(), "big")
