"""M-ORE and ScopeEdit: edits one after the other, by steps of low rank that keep off where earlier keys lie.

ScopeEdit (arXiv 2607.01978) and the code that its authors published for both. Beside each weight stands
(alpha / rank) B A with a frozen A of orthogonal rows. A step moves B by -eta (dL/dB) P, and then P recalls
the key z, the mean of A x over the target's positions (in the projector over all):

    P - (P z) (P z)^T / (ridge + z^T P z)

so that with a fixed ridge P is ridge (ridge I + sum of z z^T)^-1. Only the groups of the largest gradients
move. An edit costs the same however many came before it, and so does what is kept.

ScopeEdit sets some ranks aside that text and image share. At each weight the key of the target and that of
the image, both in these ranks, open a gate if they point the same way and are of like length, and the shared
ranks move by that share. The gate is of edits alone: nothing decides about questions. Edits without an image
write nothing there.

The published code lets P also recall the edit's own locality probes, those that are scored afterwards. Here
they are drawn from the train split, and their keys, means over all positions as there, are those of the model
before any edit. Further differences: no dropout, no warm-up, no normalization of A x (which its settings for
BLIP-2 have, and with which what is added is no change of a weight); bases other than orthogonal ones, edits
of the vision tower, and the variant that takes the image's key from chosen layers are left out.

Published: the last 12 of 32 layers and the projector, 7 groups, alpha twice the rank, 5 steps; M-ORE on LLaVA
and MiniGPT-4 rank 512, eta 0.1, ridge 2000, nothing of locality; ScopeEdit on LLaVA rank 512, of which 64 are
shared by 6 groups, eta 0.1 and 0.001 in the projector, ridge 1, shared eta 1; on BLIP-2 rank 128, 24 shared,
eta 0.05, shared eta 0.5.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from editors.base import Edit, Model, State, TrainEdit, unwrapped
from editors.families import MethodFamily
from editors.growing import Made
from editors.patches.growing import GrowingPatch
from editors.patches.weights import Factors
from editors.recursive.config import RecursiveConfig
from editors.recursive.looking import projector
from editors.recursive.steps import Adapter, Steps, group_of, new
from mmedit_build.mllm import MLLM, Query


class ScopeEditConfig(RecursiveConfig):
    """With ranks that text and image share."""

    shared: int = 16
    """How many of the ranks text and image share behind a gate; 0 is M-ORE."""


class MORE:
    """Online recursive low-rank editing."""

    Config: ClassVar[type[RecursiveConfig]] = RecursiveConfig
    family: ClassVar[MethodFamily] = "fine-tuning"
    touches: ClassVar[str] = "some MLPs, the projector"
    batch: ClassVar[bool] = True

    def __init__(self, config: RecursiveConfig) -> None:
        self.config = config
        self._keys: dict[str, Tensor] | None = None
        self._bases: dict[str, Tensor] = {}

    def edited(self, mllm: MLLM) -> list[str]:
        """The weights that may be edited, those of the projector first."""
        mlps = [mllm.mlp(layer) for layer in sorted({mllm.layer_index(one) for one in self.config.layers})]
        inside = [f"{linear.name}.weight" for mlp in mlps for linear in (mlp.up, mlp.down)]
        return [*(projector(mllm) if self.config.projector else []), *inside]

    # Learning

    def steps(self, train: Sequence[TrainEdit]) -> int:
        return sum(len(of) for of in self._drawn(train).values())

    def fit(
        self,
        mllm: MLLM,
        train: Sequence[TrainEdit],
        validation: Sequence[TrainEdit],  # noqa: ARG002  # nothing is chosen
        *,
        work: Path,  # noqa: ARG002  # too short to be interrupted
        advance: Callable[[int], None],
    ) -> None:
        steps, found = self._steps(mllm, {}), defaultdict[str, list[Tensor]](list)
        for sort, queries in self._drawn(train).items():
            for query in queries:
                for name, key in steps.keys_of(query).items():
                    found[f"{sort}:{name}"].append(key.cpu())
                advance(1)
        self._keys = {name: torch.stack(keys) for name, keys in found.items()}

    def fitted(self) -> State:
        return State(self._known())

    def restore(self, mllm: MLLM, state: State) -> None:  # noqa: ARG002  # keys go where they are needed
        self._keys = dict(state.tensors)

    def _drawn(self, train: Sequence[TrainEdit]) -> dict[str, list[Query]]:
        rng = random.Random(f"{self.config.seed}/locality")
        of_sort = {
            "text": [query for one in train for query in one.text_locality],
            "image": [query for one in train for query in one.image_locality],
        }
        number = self.config.known if self.config.locality else 0
        return {sort: rng.sample(of, min(len(of), number)) for sort, of in of_sort.items()}

    def _known(self) -> dict[str, Tensor]:
        if self._keys is None:
            raise ValueError("the editor has to be fitted, or restored, before it plans")
        return self._keys

    # Planning

    def plan(self, model: Model, edits: Sequence[Edit]) -> GrowingPatch:
        return self._made(self._steps(unwrapped(model), {}), edits)

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> GrowingPatch:
        """As edits that are planned together are: after those before them."""
        assert isinstance(made.patch, GrowingPatch)
        mllm = unwrapped(model)
        return self._made(self._steps(mllm, _adapters(mllm, made.patch)), edits)

    def _steps(self, mllm: MLLM, moved: Mapping[str, Adapter]) -> Steps:
        adapters = {
            name: moved[name] if name in moved else new(mllm, name, self.config, self._bases)
            for name in self.edited(mllm)
        }
        return Steps(mllm, adapters, self.config)

    def _made(self, steps: Steps, edits: Sequence[Edit]) -> GrowingPatch:
        known = self._known()
        for edit in edits:
            moved = steps.make(edit.query)
            steps.recall(moved, self._kept(known, edit))
        there = {name: one for name, one in steps.adapters.items() if one.moved}
        return GrowingPatch(
            {name: Factors(one.left, one.right) for name, one in there.items()},
            {f"{name}:{n}": of for name, one in there.items() for n, of in enumerate(one.inverses)},
        )

    def _kept(self, known: Mapping[str, Tensor], edit: Edit) -> dict[str, list[Tensor]]:
        """The keys, by weight, of the train questions that are drawn for an edit."""
        rng = random.Random(f"{self.config.seed}/{edit.id}")
        # Of one sort there are as many keys at each weight, but none where its questions do not pass.
        numbers = {name.partition(":")[0]: len(keys) for name, keys in known.items()}
        chosen = {sort: rng.sample(range(of), min(of, self.config.locality)) for sort, of in numbers.items()}
        found = defaultdict[str, list[Tensor]](list)
        for name, keys in known.items():
            sort, _, weight = name.partition(":")
            found[weight] += keys[chosen[sort]]
        return found


def _adapters(mllm: MLLM, patch: GrowingPatch) -> dict[str, Adapter]:
    """What edits have moved so far, where their modules lie."""
    found = {}
    for name, pair in patch.factors.items():
        device = mllm.model.get_parameter(name).device
        inverses = tuple(one.to(device) for one in inverses_of(patch, name))
        sides = (pair.left.to(device), pair.right.to(device))
        found[name] = Adapter(group_of(mllm, name), *sides, inverses, moved=True)
    return found


def inverses_of(patch: GrowingPatch, weight: str) -> tuple[Tensor, ...]:
    """P of a weight's own ranks, and of those that text and image share, if any."""
    names = (f"{weight}:{number}" for number in range(2))
    return tuple(patch.known[name] for name in names if name in patch.known)


class ScopeEdit(MORE):
    """M-ORE in which text and image share some ranks behind a gate."""

    Config = ScopeEditConfig
