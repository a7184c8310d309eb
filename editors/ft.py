"""FT: gradient descent on a named part of the model, with nothing but the edit to learn from.

Follows the fine-tuning of VLKEB (AdamW, a fixed number of steps, both matrices of the last layer's MLP) and,
with `norm`, FT-L of Zhu et al. (arXiv 2012.00363) as ROME ran it. Differences: dropout is off, so that runs
repeat; the loss is that of each target token after those before it, where EasyEdit's FT-L asks the last
position of the prompt for all of them; FT-L moves both matrices of the last layer's MLP here, with ROME the
second one of layer 0. An MLP's biases move too, where VLKEB tunes the weights alone. VLKEB's vision variant
tunes the Q-Former; the part `connector` also holds its queries and its projection. MMEdit's own rows are no
edits one by one: for them the model was tuned on the whole dataset, see `editors.ftdataset`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice, repeat
from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from editors.base import Edit, Lift, Model, unwrapped
from editors.descent import Descent, narrowed, of_each
from editors.families import MethodFamily
from editors.growing import Made
from editors.learning.optimizing import in_one_operation
from editors.patches.copies import can_be_copied, copied
from editors.patches.weights import WeightPatch, seen_afresh
from editors.portions import CHUNK, backward, portions
from mmedit_build.mllm import MLLM, Query
from mmedit_build.recipe.fields import Count, Strict


class FTConfig(Strict):
    """The last layer's MLP, as VLKEB tunes BLIP-2."""

    part: str = "mlp.-1"
    """What is tuned: vision, connector, language, layer.N, mlp.N (N may count from the end), or a pattern of
    parameter names, of all or, as layer.N.mlp.*, of those of a layer."""
    optimizer: Literal["adam", "adamw", "asgd"] = "adamw"
    """With adamw the decay is taken off the weights directly, with the others it is part of the gradient."""
    lr: float = Field(default=2e-4, ge=0)
    """Learning rate."""
    steps: Count = 15
    """The most steps that are taken."""
    weight_decay: float = Field(default=0.01, ge=0)
    """As the optimizer takes it."""
    stop_below: float | None = None
    """Stop when the loss before a step is lower; a model that knows the target stays as it is."""
    norm: PositiveFloat | None = None
    """The farthest that any single weight may move: FT-L."""


class FTLConfig(FTConfig):
    """FT-L with the numbers that ROME gives for GPT-2 XL."""

    optimizer: Literal["adam", "adamw", "asgd"] = "adam"
    """As in FT."""
    lr: float = Field(default=5e-4, ge=0)
    """Learning rate."""
    steps: Count = 25
    """The most steps that are taken."""
    weight_decay: float = Field(default=0.0, ge=0)
    """As the optimizer takes it."""
    stop_below: float | None = 1e-2
    """Stop when the loss before a step is lower."""
    norm: PositiveFloat | None = 5e-4
    """The farthest that any single weight may move."""


class FTVisionConfig(FTConfig):
    """What stands between vision tower and language model: the other FT of MMEdit."""

    part: str = "connector"
    """What is tuned, as in FT; `vision` is the tower itself."""


class FT:
    """Fine-tuning of a named part."""

    Config: ClassVar[type[FTConfig]] = FTConfig
    family: ClassVar[MethodFamily] = "fine-tuning"
    touches: ClassVar[str] = "one MLP, or the part named"
    batch: ClassVar[bool] = True
    # The whole part, but of the language model, which is too large, the MLP that FT takes by default.
    parts: ClassVar[Mapping[str, str]] = {
        "vision": "vision",
        "connector": "connector",
        "language": FTConfig().part,
    }

    def __init__(self, config: FTConfig) -> None:
        self.config = config

    def plan(self, model: Model, edits: Sequence[Edit]) -> WeightPatch:
        mllm = unwrapped(model)
        part = mllm.part(self.config.part)
        layer = mllm.first_layer(part)
        queries: Sequence[Query] = [edit.query for edit in edits]
        with seen_afresh(mllm, part), mllm.remembering_vision(part):
            if layer is not None:
                queries = narrowed(mllm, [mllm.below(queries, layer)], part.keys())[0]
            with _tunable(part) as start:
                return WeightPatch(self._tuned(mllm, part, start, queries))

    def begins(self, mllm: MLLM) -> int | None:
        part = mllm.part(self.config.part)
        return mllm.first_layer(part) if can_be_copied(mllm, part) else None

    def plan_each(self, model: Model, wishes: Sequence[Sequence[Edit]], lift: Lift) -> list[WeightPatch]:
        mllm = unwrapped(model)
        layer, norm = self.begins(mllm), self.config.norm
        if layer is None:
            return [self.plan(model, edits) for edits in wishes]
        start = {name: one.data.float() for name, one in mllm.part(self.config.part).items()}
        tuned = {name: torch.stack([one] * len(wishes)).requires_grad_() for name, one in start.items()}

        def bound() -> None:
            if norm is not None:
                for name, one in start.items():
                    tuned[name].data.clamp_(one - norm, one + norm)

        descent = Descent(
            mllm,
            narrowed(mllm, of_each(lift, wishes, layer), tuned.keys()),
            tuned,
            self._optimizer(list(tuned.values())),
            lambda owners: copied(mllm, tuned, owners),
        )
        moved = descent.run(self.config.steps, self.config.stop_below, bound)
        return [WeightPatch({name: one - start[name] for name, one in of.items()}) for of in moved]

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> WeightPatch:
        """The weights move on; an optimizer and the bounds of FT-L begin anew where they are."""
        assert isinstance(made.patch, WeightPatch)
        with made.patch.applied(model) as moved:
            further = self.plan(moved, edits).deltas
        return WeightPatch(
            {
                name: delta.to(further[name].device) + further[name]
                for name, delta in made.patch.deltas.items()
            }
        )

    def _tuned(
        self,
        mllm: MLLM,
        part: Mapping[str, nn.Parameter],
        start: Mapping[str, Tensor],
        queries: Sequence[Query],
    ) -> dict[str, Tensor]:
        """How far each parameter of the part moves."""
        # Learned in float32 whatever the model is kept in: half precision would lose most steps.
        origin = {name: tensor.float() for name, tensor in start.items()}
        tuned = {name: tensor.clone() for name, tensor in origin.items()}
        optimizer = self._optimizer(list(tuned.values()))
        batches = self.batches(mllm, queries, mllm.first_layer(part) or 0)
        for shown, together in islice(batches, self.config.steps):
            loss = backward(mllm, shown, together, f"The part '{self.config.part}'")
            if self.config.stop_below is not None and loss < self.config.stop_below:
                break
            for name, parameter in part.items():
                tuned[name].grad = None if parameter.grad is None else parameter.grad.float()
                parameter.grad = None
            optimizer.step()
            for name, parameter in part.items():
                if self.config.norm is not None:
                    tuned[name].clamp_(origin[name] - self.config.norm, origin[name] + self.config.norm)
                parameter.data.copy_(tuned[name])
        return {name: tensor - origin[name] for name, tensor in tuned.items()}

    def batches(
        self, mllm: MLLM, queries: Sequence[Query], layer: int
    ) -> Iterator[tuple[Sequence[Query], Sequence[range]]]:
        """What each step is of, and which of it is gone through at a time."""
        lengths = [row.length for row in mllm.rows(queries)]
        return repeat((queries, list(portions(mllm, lengths, layer, CHUNK))))

    def _optimizer(self, tensors: Collection[Tensor]) -> torch.optim.Optimizer:
        lr, decay = self.config.lr, self.config.weight_decay
        if self.config.optimizer == "asgd":
            return torch.optim.ASGD(tensors, lr=lr, weight_decay=decay)
        kind = torch.optim.Adam if self.config.optimizer == "adam" else torch.optim.AdamW
        return kind(tensors, lr=lr, weight_decay=decay, fused=in_one_operation(tensors))


@contextmanager
def _tunable(part: Mapping[str, nn.Parameter]) -> Iterator[dict[str, Tensor]]:
    """Inside, the parameters take gradients and may be overwritten; yields what they are before."""
    start = {name: parameter.data for name, parameter in part.items()}
    try:
        for name, parameter in part.items():
            parameter.data = start[name].clone()
            parameter.requires_grad_(True)
        yield start
    finally:
        for name, parameter in part.items():
            parameter.requires_grad_(False)
            parameter.grad = None
            parameter.data = start[name]


class FTL(FT):
    """Fine-tuning that keeps every weight near where it was."""

    Config = FTLConfig


class FTVision(FT):
    """Fine-tuning of what the language model sees of an image."""

    Config = FTVisionConfig
    touches = "connector or vision tower"
    # It is FT on a part of its own.
    parts: ClassVar[Mapping[str, str]] = {}
