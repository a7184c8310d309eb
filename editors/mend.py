"""MEND: small networks turn the gradient of an edit into the change of weights that makes it.

Mitchell et al., "Fast Model Editing at Scale" (arXiv 2110.11309), trained as MMEdit does. The gradient at a
linear module is a sum of outer products of inputs and output gradients, one for each position; a network
shared by all weights of one shape maps each pair to a new one, and the change is the sum of the new products.

Differences: the change is taken off the weights (the published code adds it and lets learned rates turn its
sign); several edits are looked at side by side, where the published batch is one; edits that are planned
together are the sum of what each gets alone; missing rephrases are stood in for by the edit itself; of
several locality items one of each sort is drawn for each step; features that never varied count as 0, and
rows that are no numbers do not enter the statistics; the best of the checkpoints is kept, where MMEdit's code
keeps the last one. All gradients of an edit enter the statistics before any is normalized; in the published
code those of one weight are normalized before the next weight's are counted, which differs in the first tens
of edits. Each update is of `accumulate` batches, in the published code the first one of one more.

MMEdit's numbers for BLIP-2 OPT: layers -3 to -1, rank 1920, lr and rates_lr 1e-6, 30,000 batches of one edit
(20,000 in the paper), accumulate 2.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from editors.learning.exercise import Data
from editors.learning.hypernetworks import (
    Hypernetwork,
    HypernetworkConfig,
    HypernetworkEditor,
    Inner,
    Shapes,
)
from editors.learning.lessons import Lesson
from editors.learning.normalizing import Normalizer
from editors.learning.optimizing import in_one_operation
from editors.learning.practice import Practice
from editors.losses import target_nll
from editors.patches.weights import Factors, LowRankPatch
from mmedit_build.mllm import MLLM
from mmedit_build.recipe.fields import Count


class MENDConfig(HypernetworkConfig):
    """Numbers for small models; those published are in the module's text."""

    steps: Count = 200
    """The most updates that are made."""
    lr: PositiveFloat = 3e-5
    """Learning rate of Adam."""
    rank: Count = 64
    """Of the networks' layers; never more than they are wide."""
    edit_lr: float = 1e-4
    """The rate of each weight's change before it is learned."""
    rates_lr: PositiveFloat = 3e-5
    """Learning rate of these rates."""
    rephrase_weight: float = Field(default=0.1, ge=0)
    """How much the rephrases count, each; locality counts 1."""


class Residual(nn.Module):
    """z + max(0, (U V z + b) * s_j + t_j), where j says which weight the row is of."""

    def __init__(self, width: int, rank: int, modes: int) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.zeros(width, rank))
        self.down = nn.Parameter(torch.randn(rank, width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.scale = nn.Parameter(torch.ones(modes, width))
        self.shift = nn.Parameter(torch.zeros(modes, width))
        self._whole: tuple[list[tuple[int, int]], Tensor] | None = None

    def forward(self, rows: Tensor, lengths: Sequence[int]) -> Tensor:
        """Rows of one weight after the other, so many of each."""
        change = self._product(rows) + self.bias
        parts = zip(change.split(list(lengths)), self.scale, self.shift, strict=True)
        scaled = torch.cat([torch.addcmul(shift, part, scale) for part, scale, shift in parts])
        # clamp passes gradients at 0, where all is at the start; relu does not, and nothing would move.
        return rows + scaled.clamp(min=0)

    def _product(self, rows: Tensor) -> Tensor:
        """U V z, by U V itself where nothing is learned and its rank is so high that this takes less."""
        if torch.is_grad_enabled() or 2 * len(self.down) <= self.down.shape[1]:
            return (rows @ self.down.mT) @ self.up.mT
        # Each change of a parameter counts its version up, and a move gives it other memory.
        now = [(one._version, one.data_ptr()) for one in (self.up, self.down)]
        if self._whole is None or self._whole[0] != now:
            self._whole = now, self.down.mT @ self.up.mT
        return rows @ self._whole[1]


class Transform(nn.Module):
    """Maps pairs of inputs and output gradients to new pairs, for all weights of one shape."""

    def __init__(self, width: int, rank: int, modes: int) -> None:
        super().__init__()
        self.normalize = Normalizer(width)
        self.layers = nn.ModuleList(Residual(width, min(rank, width), modes) for _ in range(2))

    def forward(self, pairs: Tensor, lengths: Sequence[int]) -> Tensor:
        pairs = self.normalize(pairs)
        for layer in self.layers:
            pairs = layer(pairs, lengths)
        return pairs


class MENDNetwork(Hypernetwork):
    """A transform for each shape, and a rate for each weight."""

    sign: Tensor

    def __init__(self, shapes: Shapes, rank: int, edit_lr: float) -> None:
        super().__init__()
        self._groups: dict[str, list[str]] = {}
        for name, (out, into) in shapes.items():
            self._groups.setdefault(f"{out}x{into}", []).append(name)
        self._places = {name: place for place, name in enumerate(shapes)}
        self.transforms = nn.ModuleDict(
            {key: Transform(sum(shapes[of[0]]), rank, len(of)) for key, of in self._groups.items()}
        )
        self.rates = nn.Parameter(torch.full((len(shapes),), edit_lr))
        # Saved with the rest: -1 descends the gradient. Networks trained elsewhere may ascend it.
        self.register_buffer("sign", torch.tensor(-1.0))

    def forward(self, edits: Sequence[Inner]) -> list[LowRankPatch]:
        found = [self._factors(key, names, edits) for key, names in self._groups.items()]
        return [
            LowRankPatch({name: of[number][name] for name in self._places for of in found if name in of[0]})
            for number in range(len(edits))
        ]

    def _factors(self, key: str, names: Sequence[str], edits: Sequence[Inner]) -> list[dict[str, Factors]]:
        """Of each edit for all weights of one shape, in one pass."""
        products = [edit.gradient[name] for name in names for edit in edits]
        lengths = [len(one) for one in products]
        of_name = [sum(lengths[start : start + len(edits)]) for start in range(0, len(lengths), len(edits))]
        inputs, deltas = (
            torch.cat([one.inputs for one in products]),
            torch.cat([one.deltas for one in products]),
        )
        changed = self.transforms[key](torch.cat([inputs, deltas], dim=1), of_name)
        rights, lefts = changed.split([inputs.shape[1], deltas.shape[1]], dim=1)
        places = torch.tensor([self._places[name] for name in names], device=self.rates.device)
        repeats = torch.tensor(of_name, device=self.rates.device)
        rates = (self.sign * self.rates[places]).repeat_interleave(repeats)
        sides = zip((rates[:, None] * lefts).split(lengths), rights.split(lengths), strict=True)
        pairs = [Factors(left.mT, right) for left, right in sides]
        return [dict(zip(names, pairs[number :: len(edits)], strict=True)) for number in range(len(edits))]


class MEND(HypernetworkEditor):
    """Model editor networks with gradient decomposition."""

    Config: ClassVar[type[HypernetworkConfig]] = MENDConfig
    config: MENDConfig

    def make_network(self, mllm: MLLM, shapes: Shapes) -> MENDNetwork:  # noqa: ARG002  # shapes suffice
        return MENDNetwork(shapes, self.config.rank, self.config.edit_lr)

    def make_learning(self, mllm: MLLM, network: Hypernetwork, data: Data) -> Practice:
        return MENDPractice(mllm, self, network, data)


class MENDPractice(Practice):
    """The loss of MMEdit."""

    def __init__(self, mllm: MLLM, editor: MEND, network: Hypernetwork, data: Data) -> None:
        super().__init__(mllm, editor, network, data)
        self._weight = editor.config.rephrase_weight
        parts: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in network.named_parameters():
            parts[name == "rates"].append(parameter)
        rates: dict[str, Any] = {"params": parts[True], "lr": editor.config.rates_lr}
        fused = in_one_operation(network.parameters())
        self.optimizer = torch.optim.Adam([{"params": parts[False]}, rates], lr=editor.config.lr, fused=fused)

    def mean_loss(self, lessons: Sequence[Lesson], rng: random.Random | None) -> Tensor:
        patches = self.patches(lessons)
        owners = list(range(len(lessons)))
        asked = [one.text_rephrase for one in lessons] + [one.image_rephrase for one in lessons]
        scored, moved = self.with_locality(patches, asked, owners * 2, lessons, rng)
        return self._weight * target_nll(scored).sum() / len(lessons) + moved
