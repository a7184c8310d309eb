"""CaliNET: memory slots beside one MLP are trained on a batch of facts, and the model stays as it is.

Dong et al., "Calibrating Factual Knowledge in Pretrained Language Models" (arXiv 2210.03329), on multimodal
models: W2 act(W1 x) is added to what the MLP makes of its input x, with no biases. The slots start as linear
modules do, so they act from the start, and learn -log p(target) of the edits in several forms of the prompt.

Differences: the forms stand in for the paraphrases of ParaRel; the slots alone take gradients, where the
published code gives the rest a learning rate of 0; training stops when the loss is low; all facts are in
each update. The published code calibrates what an assessment of contrasts (CKA) finds to be false; here
edits say what shall be answered.

Published numbers: 64 slots for 100 facts and 256 for 1,000, beside the last layer; Adafactor with lr 0.01,
updates of 2,048 facts, 5,000 steps (50,000 for questions).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import accumulate
from typing import ClassVar

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn
from transformers.optimization import Adafactor

from editors.base import Edit, Lift, Model, unwrapped
from editors.descent import Descent
from editors.families import MethodFamily
from editors.growing import Made
from editors.learning.training import seeded
from editors.neurons.patches import AddedNeurons, Neurons
from editors.neurons.rewordings import FORMS, Forms, reworded
from editors.neurons.side_by_side import NeuronsSideBySide
from editors.patches.hooks import hooked
from mmedit_build.mllm import MLLM, Below
from mmedit_build.recipe.fields import Count, Strict


class CaliNETConfig(Strict):
    """As published, with as many steps as a small model needs."""

    layer: int = -1
    """The decoder layer that gets the slots; negative numbers count from the end."""
    slots: Count = 64
    """For all edits of a patch together."""
    lr: PositiveFloat = 1e-2
    """Learning rate of Adafactor, which it keeps."""
    steps: Count = 50
    """The most steps that are taken."""
    stop_below: float | None = 1e-2
    """Stop when the loss before a step is lower."""
    forms: Forms = FORMS
    """The forms of the prompt, with {prompt} or {question} in the place of the prompt or bare question."""
    seed: int = 0
    """Decides where the slots start."""


class CaliNET:
    """Calibration memory slots."""

    Config: ClassVar[type[CaliNETConfig]] = CaliNETConfig
    family: ClassVar[MethodFamily] = "added parameters"
    touches: ClassVar[str] = "one MLP, beside it"
    batch: ClassVar[bool] = True

    def __init__(self, config: CaliNETConfig) -> None:
        self.config = config

    def plan(self, model: Model, edits: Sequence[Edit]) -> AddedNeurons:
        return self.plan_each(model, [edits], unwrapped(model).below)[0]

    def begins(self, mllm: MLLM) -> int | None:
        return mllm.layer_index(self.config.layer)

    def plan_each(self, model: Model, wishes: Sequence[Sequence[Edit]], lift: Lift) -> list[AddedNeurons]:  # noqa: ARG002  # other forms of the prompts are not known yet
        mllm = unwrapped(model)
        return self._planned(mllm, wishes, new_slots(mllm, mllm.layer_index(self.config.layer), self.config))

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> AddedNeurons:
        """The slots move on; there are no more of them."""
        assert isinstance(made.patch, AddedNeurons)
        mllm = unwrapped(model)
        device = mllm.mlp(mllm.layer_index(self.config.layer)).up.module.weight.device
        return self._planned(mllm, [edits], made.patch.neurons.to(device))[0]

    def _planned(self, mllm: MLLM, wishes: Sequence[Sequence[Edit]], slots: Neurons) -> list[AddedNeurons]:
        """Slots of its own for each wish, all from the same start."""
        layer, forms = mllm.layer_index(self.config.layer), self.config.forms
        asked = [
            [query for edit in edits for query in reworded(mllm, edit, forms, edit.target)]
            for edits in wishes
        ]
        whole = mllm.below([query for queries in asked for query in queries], layer)
        ends = accumulate(map(len, asked))
        queries = [whole[end - len(of) : end] for end, of in zip(ends, asked, strict=True)]
        return [AddedNeurons(layer, one) for one in self._trained(mllm, layer, queries, slots)]

    def _trained(self, mllm: MLLM, layer: int, queries: Sequence[Below], slots: Neurons) -> list[Neurons]:
        tensors = {
            name: torch.stack([one] * len(queries)).requires_grad_()
            for name, one in (("keys", slots.keys), ("values", slots.values))
        }

        def applied(owners: Sequence[int]) -> AbstractContextManager[None]:
            beside = NeuronsSideBySide(layer, tensors["keys"], tensors["values"])
            return hooked(mllm, beside.hooks(mllm, torch.tensor(owners)))

        optimizer = _Adafactor(  # type: ignore[no-untyped-call]
            list(tensors.values()),
            lr=self.config.lr,
            scale_parameter=False,
            relative_step=False,
            warmup_init=False,
        )
        descent = Descent(mllm, queries, tensors, optimizer, applied)
        found = descent.run(self.config.steps, self.config.stop_below, lambda: None)
        return [Neurons(one["keys"], one["values"]) for one in found]


class _Adafactor(Adafactor):
    """That of several matrices (number, rows, columns), each bounded by itself."""

    @staticmethod
    def _rms(tensor: Tensor) -> Tensor:
        found: Tensor = tensor.square().mean(dim=(1, 2), keepdim=True).sqrt()
        return found


def new_slots(mllm: MLLM, layer: int, config: CaliNETConfig) -> Neurons:
    """Slots that start as linear modules do: uniform, up to 1 / sqrt(inputs) either way."""
    mlp = mllm.mlp(layer)
    dtype = torch.promote_types(mllm.dtype, torch.float32)
    with seeded(config.seed):
        # Made on the CPU, so that a seed means the same everywhere.
        keys = nn.Linear(mlp.up.module.in_features, config.slots, bias=False, dtype=dtype)
        values = nn.Linear(config.slots, mlp.down.module.out_features, bias=False, dtype=dtype)
    # Where the MLP is, as slots that have to be moved there would be moved before they are trained.
    device = mlp.up.module.weight.device
    return Neurons(_started(keys, device), _started(values, device).mT.contiguous())


def _started(linear: nn.Linear, device: torch.device) -> Tensor:
    return linear.weight.detach().to(device)
