"""UltraEdit: one pass over an edit, and the change of weights that follows from it in closed form.

Gu et al., "UltraEdit: Training-, Subject-, and Memory-Free Lifelong Editing in Language Models" (arXiv
2505.14679). At each edited linear module, and each position of the edits that counts, there is an input h (a
key) and the gradient v of -log p(target) by the output. Both are brought to mean 0 and deviation 1 by running
statistics of all rows that modules of the same shape have seen, those of this batch included, and

    v* = -lr |h^|^2 v^,    D^T = (H^T H + I)^-1 H^T V*

is added to the weight: the change that by ridge regression makes h give out v* besides. Here H are the keys
as they are, since so they come in; V* is made of the standardized ones. D is V*^T (H H^T + I)^-1 H, which is
the same by factors of as many ranks as there are rows; of more rows than features the first form is solved.

In a stream the weights and the statistics move on, and a step costs what the first one did. All edits that
are given together are one batch, however many there are.

Differences: published statistics begin with the first batch (`samples: 0`), of a hundred edits; here edits
come one by one, too, whose few rows say nothing of mean and deviation, so they begin with those of train
edits, which nothing is learned from. Of a single first row neither is known, and it is taken as it is; the
published code has no number there, and drops what is left when edits do not fill a batch. The published
deviation is too large, as each chunk's squares are counted as often as it has rows, not once less. The loss
is the mean over the tokens of each edit, published over those of ten edits together. Positions without a
gradient do not count. In float64, where the published code has float32.

Published: lr 1e-6, gate and up of layers 18 to 26 of 28 for Qwen2.5-7B, down of layers 18 to 26 of 28 for
GPT-J and 29 to 30 of 32 for Mistral-7B, at the positions that predict the answer (`answer`); in EasyEdit at
all (`all`), for models that see no images, which there would outnumber the words.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from editors.associations.moments import in_float64
from editors.base import Edit, Lift, Model, State, TrainEdit, unwrapped
from editors.families import MethodFamily
from editors.growing import Made
from editors.learning.gradients import Gradient, OuterProducts, gradients
from editors.learning.normalizing import Normalizer
from editors.patches.growing import GrowingPatch, went_on
from editors.patches.weights import Factors
from editors.portions import portions
from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.parts import NamedLinear
from mmedit_build.mllm.rows import Row
from mmedit_build.recipe.fields import Strict, Whole

CHUNK = 16
"""Edits whose gradients are computed at a time, if there is room."""
Positions = Literal["all", "text", "answer"]


class UltraEditConfig(Strict):
    """Numbers for small models; those published are in the module's text."""

    layers: tuple[int, ...] = Field(default=(-2, -1), min_length=1)
    """The layers whose MLPs are changed; negative ones count from the end."""
    matrices: Literal["up", "down", "both"] = "down"
    """Which matrices of an MLP are changed: those into it (up, and gate where there is one), the one out of
    it, or both."""
    positions: Positions = "answer"
    """Which positions of an edit count: all up to the last one that predicts a token of the target, those of
    text among them, or those alone that predict the target."""
    lr: float = Field(default=1e-3, ge=0)
    """How far outputs move."""
    samples: Whole = 100
    """The most train edits whose rows the statistics begin with; 0 is as published."""
    seed: int = 0
    """Decides which train edits these are."""


class UltraEdit:
    """A change in closed form from one gradient."""

    Config: ClassVar[type[UltraEditConfig]] = UltraEditConfig
    family: ClassVar[MethodFamily] = "fine-tuning"
    touches: ClassVar[str] = "some MLPs"
    batch: ClassVar[bool] = True

    def __init__(self, config: UltraEditConfig) -> None:
        self.config = config
        self._start: Mapping[str, Tensor] | None = None

    # Learning

    def steps(self, train: Sequence[TrainEdit]) -> int:
        return len(self._drawn(train))

    def fit(
        self,
        mllm: MLLM,
        train: Sequence[TrainEdit],
        validation: Sequence[TrainEdit],  # noqa: ARG002  # nothing is chosen by it
        *,
        work: Path,  # noqa: ARG002  # takes a minute
        advance: Callable[[int], None],
    ) -> None:
        statistics = Statistics({})
        drawn = [one.edit.query for one in self._drawn(train)]
        for start in range(0, len(drawn), CHUNK):
            chunk = drawn[start : start + CHUNK]
            statistics.see(all_rows(self._gradients(mllm, chunk, mllm.below)).values())
            advance(len(chunk))
        self._start = statistics.tensors()

    def fitted(self) -> State:
        return State(self._known())

    def restore(self, mllm: MLLM, state: State) -> None:  # noqa: ARG002  # rows say where they are wanted
        self._start = state.tensors

    def _drawn(self, train: Sequence[TrainEdit]) -> list[TrainEdit]:
        return random.Random(self.config.seed).sample(list(train), min(self.config.samples, len(train)))

    def _known(self) -> Mapping[str, Tensor]:
        if self._start is None:
            raise ValueError("the editor has to be fitted, or restored, before it plans")
        return self._start

    # Planning

    def plan(self, model: Model, edits: Sequence[Edit]) -> GrowingPatch:
        return self.plan_each(model, [edits], unwrapped(model).below)[0]

    def begins(self, mllm: MLLM) -> int | None:
        return mllm.first_layer(self._weights(mllm))

    def plan_each(self, model: Model, wishes: Sequence[Sequence[Edit]], lift: Lift) -> list[GrowingPatch]:
        return self._beside(self._known(), unwrapped(model), wishes, lift)

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> GrowingPatch:
        """The weights move on, and the statistics with them."""
        assert isinstance(made.patch, GrowingPatch)
        with made.patch.applied(model) as moved:
            mllm = unwrapped(moved)
            (further,) = self._beside(made.patch.known, mllm, [edits], mllm.below)
        return went_on(made.patch, further)

    def _beside(
        self, known: Mapping[str, Tensor], mllm: MLLM, wishes: Sequence[Sequence[Edit]], lift: Lift
    ) -> list[GrowingPatch]:
        """What each batch of edits changes, and the statistics after it."""
        found = iter(self._gradients(mllm, [edit.query for edits in wishes for edit in edits], lift))
        return [self._patch(known, all_rows([next(found) for _ in edits])) for edits in wishes]

    def _patch(self, known: Mapping[str, Tensor], rows: Mapping[str, OuterProducts]) -> GrowingPatch:
        statistics = Statistics(known)
        statistics.see(rows.values())
        factors = {}
        for name, of in rows.items():
            pair = ridge(of.inputs, wished(*statistics.standardized(of), self.config.lr))
            factors[name] = Factors(pair.left.float(), pair.right.float())
        return GrowingPatch(factors, statistics.tensors())

    def _gradients(self, mllm: MLLM, queries: Sequence[Query], lift: Lift) -> list[Gradient]:
        """Inputs and gradients of each query at each weight that is edited."""
        weights = self._weights(mllm)
        below = lift(queries, mllm.first_layer(weights) or 0)
        found: list[Gradient] = []
        for part in portions(mllm, [row.length for row in below.rows], below.layer, CHUNK):
            found += gradients(mllm, below[part.start : part.stop], weights, self._chosen)
        return found

    def _weights(self, mllm: MLLM) -> list[str]:
        return [f"{linear.name}.weight" for linear in self._linears(mllm)]

    def _linears(self, mllm: MLLM) -> list[NamedLinear]:
        mlps = [mllm.mlp(layer) for layer in sorted({mllm.layer_index(one) for one in self.config.layers})]
        kinds = {"up": slice(None, -1), "down": slice(-1, None), "both": slice(None)}
        return [linear for mlp in mlps for linear in mlp.linears[kinds[self.config.matrices]]]

    def _chosen(self, row: Row) -> list[int]:
        """The places in a row that count. The last token of a target predicts nothing."""
        predicting = range(row.prompt_length - 1, row.length - 1)
        if self.config.positions == "answer":
            return list(predicting)
        seen = set(row.image) if self.config.positions == "text" else set()
        return [place for place in range(predicting.stop) if place not in seen]


def all_rows(found: Sequence[Gradient]) -> dict[str, OuterProducts]:
    """The rows of some edits at each weight, in float64."""
    return {name: _together([gradient[name] for gradient in found]) for name in found[0]}


def _together(parts: Sequence[OuterProducts]) -> OuterProducts:
    """The rows of all edits, in float64."""
    inputs = torch.cat([one.inputs for one in parts])
    deltas = torch.cat([one.deltas for one in parts])
    return OuterProducts(in_float64(inputs), in_float64(deltas))


class Statistics:
    """Running mean and deviation of inputs and gradients, one for all modules of a shape."""

    def __init__(self, known: Mapping[str, Tensor]) -> None:
        """As `tensors` gave them; of nothing where nothing is known."""
        self._of: dict[str, Normalizer] = {}
        for name, mean in known.items():
            shape, _, field = name.partition(".")
            if field == "mean":
                buffers = {one: known[f"{shape}.{one}"] for one in ("count", "mean", "squares")}
                self._of[shape] = _normalizer(mean)
                self._of[shape].load_state_dict(buffers)

    def tensors(self) -> dict[str, Tensor]:
        """All that there is to keep, which does not grow; in float32, as all that is kept of patches."""
        return {
            f"{shape}.{field}": tensor.float() if tensor.is_floating_point() else tensor.clone()
            for shape, normalizer in self._of.items()
            for field, tensor in normalizer.state_dict().items()
        }

    def see(self, rows: Iterable[OuterProducts]) -> None:
        """Count rows in."""
        for of in rows:
            if len(of):
                pairs = torch.cat([of.inputs, of.deltas], dim=1)
                self._of.setdefault(_shape(of), _normalizer(pairs[0])).to(pairs.device).update(pairs)

    def standardized(self, rows: OuterProducts) -> tuple[Tensor, Tensor]:
        """Inputs and gradients with mean 0 and deviation 1; of a single row in all neither is known."""
        normalizer = self._of.get(_shape(rows))
        if normalizer is None or int(normalizer.count) < 2:
            return rows.inputs, rows.deltas
        pairs = normalizer.to(rows.inputs.device)(torch.cat([rows.inputs, rows.deltas], dim=1))
        inputs, deltas = pairs.split([rows.inputs.shape[1], rows.deltas.shape[1]], dim=1)
        return inputs, deltas


def _shape(rows: OuterProducts) -> str:
    return f"{rows.deltas.shape[1]}x{rows.inputs.shape[1]}"


def _normalizer(like: Tensor) -> Normalizer:
    normalizer = Normalizer(len(like)).double().to(like.device)
    return normalizer.eval()


def wished(keys: Tensor, values: Tensor, lr: float) -> Tensor:
    """v* of each row: against the gradient, the farther the larger its key; both are standardized."""
    return -lr * keys.square().sum(dim=1, keepdim=True) * values


def ridge(keys: Tensor, wanted: Tensor) -> Factors:
    """The change D of least |H D^T - V*|^2 + |D|^2, H the rows of `keys` and V* those of `wanted`."""
    rows, width = keys.shape
    if rows > width:
        inverse = torch.linalg.inv(keys.mT @ keys + torch.eye(width).to(keys))
        return Factors(wanted.mT @ keys, inverse)
    return Factors(wanted.mT, torch.linalg.solve(keys @ keys.mT + torch.eye(rows).to(keys), keys))
