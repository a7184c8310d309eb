"""LoRA: gradient descent on factors of low rank beside weights, with nothing but the edit to learn from.

Hu et al., "LoRA" (arXiv 2106.09685), as editors use it: W + (alpha / rank) B A, where A (rank, in) is drawn
as PEFT draws it and B (out, rank) begins at 0, so that the model begins as it was. A patch can be written as
an adapter of PEFT, see `editors.exporting`.

The preset `easyedit` has what EasyEdit runs on models that see images: queries and values of the attention
in all layers, alpha 32, five steps of SGD at 0.1, which falls by a tenth after each. Differences: no dropout,
so that runs repeat; several edits are learned by their mean loss; its files for Qwen2-VL and LLaVA-OneVision
name AdaLoRA with modules that match nothing, here all are LoRA. A next edit of a stream trains the same
factors on with a new optimizer, as EasyEdit's sequential editing does: their rank never grows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor, nn

from editors.base import Edit, Lift, Model, unwrapped
from editors.descent import Descent, of_each
from editors.families import MethodFamily
from editors.growing import Made
from editors.patches.hooks import hooked
from editors.patches.side_by_side import Owners, adding
from editors.patches.weights import Factors, LowRankPatch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from mmedit_build.recipe.fields import Count, Strict

Preset = Literal["default", "easyedit"]
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "easyedit": {
        # Some families hold queries and values in one matrix.
        "modules": ("*q_proj*", "*v_proj*", "*c_attn"),
        "layers": None,
        "alpha": 32.0,
        "optimizer": "sgd",
        "lr": 0.1,
        "lr_factor": 0.9,
        "steps": 5,
        "stop_below": None,
    },
}
"""What a preset has in the place of the defaults."""


class LoRAConfig(Strict):
    """Numbers for small models, or a preset's."""

    preset: Preset = "default"
    """Whose numbers are taken where nothing else is said: ours, or EasyEdit's for models that see images."""
    modules: tuple[str, ...] = Field(default=("up", "down"), min_length=1)
    """The linear modules of a decoder layer that get factors: up, down and gate of its MLP, or patterns of
    their names within the layer, such as self_attn.q_proj."""
    layers: tuple[int, ...] | None = (-3, -2, -1)
    """The decoder layers; negative ones count from the end, null is all."""
    rank: Count = 8
    """Of what is added to each weight."""
    alpha: PositiveFloat = 16.0
    """What is added is multiplied by alpha / rank."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """How steps are taken; neither decays weights."""
    lr: float = Field(default=1e-3, ge=0)
    """Learning rate."""
    lr_factor: float = Field(default=1.0, gt=0, le=1)
    """What the rate is multiplied by after each step."""
    steps: Count = 25
    """The most steps that are taken."""
    stop_below: float | None = 1e-2
    """Stop when the loss before a step is lower; null takes all steps."""
    seed: int = 0
    """Decides where A starts."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        return {**PRESETS.get(str(given.get("preset", "default")), {}), **given}


class LoRA:
    """Low-rank adaptation."""

    Config: ClassVar[type[LoRAConfig]] = LoRAConfig
    family: ClassVar[MethodFamily] = "fine-tuning"
    touches: ClassVar[str] = "MLPs, or modules named"
    batch: ClassVar[bool] = True

    def __init__(self, config: LoRAConfig) -> None:
        self.config = config

    def begins(self, mllm: MLLM) -> int | None:
        return mllm.first_layer(linears(mllm, self.config.modules, self.config.layers))

    def plan(self, model: Model, edits: Sequence[Edit]) -> LowRankPatch:
        return self.plan_each(model, [edits], unwrapped(model).below)[0]

    def plan_each(self, model: Model, wishes: Sequence[Sequence[Edit]], lift: Lift) -> list[LowRankPatch]:
        mllm = unwrapped(model)
        return self._learned(mllm, self._start(mllm), wishes, lift)

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> LowRankPatch:
        """The factors move on; an optimizer begins anew where they are."""
        assert isinstance(made.patch, LowRankPatch)
        mllm = unwrapped(model)
        return self._learned(mllm, made.patch.factors, [edits], mllm.below)[0]

    def _start(self, mllm: MLLM) -> dict[str, Factors]:
        """Factors that add nothing."""
        # Drawn on the CPU, so that a seed means the same everywhere.
        random = torch.Generator().manual_seed(self.config.seed)
        found = linears(mllm, self.config.modules, self.config.layers)
        return {name: _drawn(module, self.config.rank, random) for name, module in found.items()}

    def _learned(
        self, mllm: MLLM, start: Mapping[str, Factors], wishes: Sequence[Sequence[Edit]], lift: Lift
    ) -> list[LowRankPatch]:
        """Factors of its own for each wish."""
        scale = self.config.alpha / self.config.rank
        pairs = {name: _tunable(mllm, name, pair, scale, len(wishes)) for name, pair in start.items()}

        def applied(owners: Sequence[int]) -> AbstractContextManager[None]:
            of_query = Owners(torch.tensor(owners))
            hooks = {name: adding(scale * pair.left, pair.right, of_query) for name, pair in pairs.items()}
            return hooked(mllm, {name.removesuffix(".weight"): hook for name, hook in hooks.items()})

        lefts = {f"{name}:left": pair.left for name, pair in pairs.items()}
        sides = lefts | {f"{name}:right": pair.right for name, pair in pairs.items()}
        optimizer = self._optimizer(list(sides.values()))
        falling = torch.optim.lr_scheduler.ExponentialLR(optimizer, self.config.lr_factor)
        queries = of_each(lift, wishes, mllm.first_layer(start) or 0)
        descent = Descent(mllm, queries, sides, optimizer, applied)
        found = descent.run(self.config.steps, self.config.stop_below, falling.step)
        return [
            LowRankPatch({name: Factors(scale * of[f"{name}:left"], of[f"{name}:right"]) for name in pairs})
            for of in found
        ]

    def _optimizer(self, tensors: Collection[Tensor]) -> torch.optim.Optimizer:
        kind = torch.optim.Adam if self.config.optimizer == "adam" else torch.optim.SGD
        return kind(tensors, lr=self.config.lr)


def linears(mllm: MLLM, wanted: Sequence[str], layers: Sequence[int] | None) -> dict[str, nn.Linear]:
    """By the names of their weights, the modules of decoder layers that a configuration names."""
    chosen = range(mllm.n_layers) if layers is None else sorted({mllm.layer_index(one) for one in layers})
    found = {name: module for layer in chosen for name, module in _linears_of(mllm, layer, wanted)}
    if not found:
        raise UserError(
            f"No linear module of the chosen layers is called {' or '.join(wanted)}: name up, down or gate "
            "of the MLP, or give patterns of names within a layer."
        )
    return found


def _linears_of(mllm: MLLM, layer: int, wanted: Sequence[str]) -> Iterator[tuple[str, nn.Linear]]:
    place, mlp = mllm.layer_name(layer), mllm.mlp(layer)
    roles = {"up": mlp.up, "down": mlp.down} | ({} if mlp.gate is None else {"gate": mlp.gate})
    patterns = [roles[one].name.removeprefix(f"{place}.") if one in roles else one for one in wanted]
    for name, module in mllm.layer(layer).named_modules():
        if isinstance(module, nn.Linear) and any(fnmatchcase(name, one) for one in patterns):
            yield f"{place}.{name}.weight", module


def _drawn(module: nn.Linear, rank: int, random: torch.Generator) -> Factors:
    """As PEFT draws them: A uniform within 1 over the root of its width, B zero."""
    bound = module.in_features**-0.5
    right = torch.empty(rank, module.in_features).uniform_(-bound, bound, generator=random)
    return Factors(torch.zeros(module.out_features, rank), right)


def _tunable(mllm: MLLM, name: str, pair: Factors, scale: float, number: int) -> Factors:
    """So many copies of B and A, beside the module, that take gradients."""
    device = mllm.model.get_parameter(name).device
    left, right = (torch.stack([side] * number).to(device) for side in (pair.left / scale, pair.right))
    return Factors(left.requires_grad_(), right.requires_grad_())
