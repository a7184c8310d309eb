"""GRACE: a codebook at one layer; a prompt that ends near an edit gets its value in the layer's place.

Hartvigsen et al., "Aging with GRACE" (arXiv 2211.11031). The key of an edit is what goes into the second
matrix of a layer's MLP at the end of the prompt, and its value what comes out there instead, learned by
gradient descent on the answer. Which key an edit gets, and what becomes of the balls around it, see
`Codebook.beside`. `radius: balanced` is BalancEdit (ICML 2025): each edit gets a key with its own radius,
(1 - alpha) d(key, negative) + alpha d(key, positive), where the negative is the prompt on a black image.

Differences: answers are compared token by token, where the code of GRACE and EasyEdit compares the means of
their ids, and EasyEdit also puts new answers before the old ones and keys behind them; an edit at the very
key of another one takes its place; a radius may be told as a share of how far apart the prompts of train
edits lie, as these lengths differ by orders between models. A ball is chosen once, at the end of the prompt;
`gate: token` has each token that is written looked up by itself, as published code does. `value: sequence`
is ours: a value for each token of the answer. Of BalancEdit, radii stay once they are stored, where its code
overwrites all by those of the newest edit; the positive is the edit's image with its colors and frame moved a
little (without an image, the prompt after a few words), where the code takes what the edit is judged by.

Published: EasyEdit's Qwen2-VL-7B and LLaVA-OneVision-7B layer 18, Qwen3-VL-4B layer 23, radius 1, lr 1, 20
steps, cold; GRACE's GPT2-XL layer 35, 100 steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

import torch
from pydantic import PositiveFloat, model_validator
from torch import Tensor, nn

from editors.base import Edit, Lift, Model, State, TrainEdit, unwrapped
from editors.descent import of_each, singles_together
from editors.families import MethodFamily
from editors.gating.codebook import Codebook, CodebookPatch, Gate
from editors.gating.learning import keys_of, learned
from editors.gating.surroundings import moved, on_black
from editors.growing import Made
from editors.learning.training import edit_seed
from editors.patches.hooks import hooked
from editors.patches.places import prompt_ends
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Batch, Below, Query
from mmedit_build.mllm.below import joined
from mmedit_build.recipe.fields import Count, Share, Strict

COMPARED = 256
"""Train edits whose keys are compared, at most."""


class GRACEConfig(Strict):
    """Numbers for small models; those published are in the module's text."""

    layer: int = -4
    """The decoder layer whose MLP gets the codebook; negative numbers count from the end."""
    radius: Literal["fixed", "relative", "balanced"] = "relative"
    """How far balls reach at first: `epsilon`, or `share` of the median distance of train edits' keys, or, as
    in BalancEdit, a distance of each edit's own between that to a black image and that to a moved one."""
    epsilon: PositiveFloat = 1.0
    """The radius if it is fixed."""
    share: PositiveFloat = 0.8
    """The radius if it is relative."""
    alpha: Share = 0.2
    """Where a balanced radius ends: 0 is at the negative, 1 at the positive."""
    value: Literal["token", "sequence"] = "token"
    """token replaces what comes out at the end of the prompt, sequence also where the rest of the answer is
    predicted, each by a value of its own."""
    gate: Gate = "prompt"
    """prompt chooses a ball at the end of the prompt and holds it for the whole answer; token looks each
    token up by itself, as published."""
    start: Literal["cold", "warm"] = "cold"
    """Values start as random numbers from 0 to 1, or as what comes out without them."""
    lr: PositiveFloat = 1.0
    """Learning rate of Adam."""
    steps: Count = 50
    """Steps for each edit."""
    seed: int = 0
    """Decides where values start, and how images are moved."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.value, self.gate) == ("sequence", "token"):
            raise ValueError("a sequence of values needs the gate that holds: take gate prompt")
        return self


class GRACE:
    """General retrieval adaptors for continual editing."""

    Config: ClassVar[type[GRACEConfig]] = GRACEConfig
    family: ClassVar[MethodFamily] = "added parameters"
    touches: ClassVar[str] = "what leaves one MLP"
    batch: ClassVar[bool] = True

    def __init__(self, config: GRACEConfig) -> None:
        self.config = config
        self._distance: float | None = None

    # Learning is measuring how far apart prompts lie

    def steps(self, train: Sequence[TrainEdit]) -> int:  # noqa: ARG002  # however many there are
        return 1

    def fit(
        self,
        mllm: MLLM,
        train: Sequence[TrainEdit],
        validation: Sequence[TrainEdit],  # noqa: ARG002  # nothing is trained that could be validated
        *,
        work: Path,  # noqa: ARG002  # too short to be interrupted
        advance: Callable[[int], None],
    ) -> None:
        self._distance = 0.0
        if self.config.radius == "relative":
            self._distance = self._median(mllm, [one.edit.query for one in train[:COMPARED]])
        advance(1)

    def _median(self, mllm: MLLM, queries: Sequence[Query]) -> float:
        """How far apart the keys of two prompts lie."""
        layer = mllm.layer_index(self.config.layer)
        distances = nn.functional.pdist(keys_of(mllm, queries, layer)) if queries else torch.empty(0)
        apart = distances[distances > 0]
        if not len(apart):
            raise UserError(
                "GRACE measures how far apart the prompts of train edits lie: give two that differ, or set "
                "radius to fixed or balanced."
            )
        return float(apart.median())

    def fitted(self) -> State:
        return State(fields={"distance": self._known()})

    def restore(self, mllm: MLLM, state: State) -> None:  # noqa: ARG002  # it is that of this model
        self._distance = float(str(state.fields["distance"]))

    def _known(self) -> float:
        if self._distance is None:
            raise ValueError("GRACE has to be fitted, or restored, before it plans")
        return self._distance

    # Planning

    def begins(self, mllm: MLLM) -> int | None:
        return mllm.layer_index(self.config.layer)

    def plan(self, model: Model, edits: Sequence[Edit]) -> CodebookPatch:
        mllm = unwrapped(model)
        return self._grown(mllm, self._empty(mllm), edits)

    def plan_each(self, model: Model, wishes: Sequence[Sequence[Edit]], lift: Lift) -> list[CodebookPatch]:
        return singles_together(
            wishes, lambda edits: self._apart(model, edits, lift), lambda edits: self.plan(model, edits)
        )

    def _apart(self, model: Model, edits: Sequence[Edit], lift: Lift) -> list[CodebookPatch]:
        """A patch for each edit."""
        mllm = unwrapped(model)
        layer = mllm.layer_index(self.config.layer)
        queries = of_each(lift, [[edit] for edit in edits], layer)
        empty, keys = self._empty(mllm), keys_of(mllm, joined(queries), layer)
        books = [
            self._placed(mllm, layer, empty, *placed)[0] for placed in zip(edits, queries, keys, strict=True)
        ]
        values = learned(mllm, layer, queries, self._starts(mllm, layer, edits, joined(queries)), self.config)
        return [
            CodebookPatch(layer, book.with_value(0, value), self.config.gate)
            for book, value in zip(books, values, strict=True)
        ]

    def _empty(self, mllm: MLLM) -> Codebook:
        weight = mllm.mlp(self.config.layer).down.module.weight
        # In float32 whatever the model is kept in.
        like = torch.empty(0, dtype=torch.promote_types(weight.dtype, torch.float32), device=weight.device)
        return Codebook.empty(weight.shape[1], like)

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> CodebookPatch:
        """As edits that are planned together are: after those before them."""
        assert isinstance(made.patch, CodebookPatch)
        mllm = unwrapped(model)
        device = mllm.mlp(self.config.layer).down.module.weight.device
        return self._grown(mllm, made.patch.book.to(device), edits)

    def _grown(self, mllm: MLLM, book: Codebook, edits: Sequence[Edit]) -> CodebookPatch:
        layer = mllm.layer_index(self.config.layer)
        for edit in edits:
            # Each by itself, so that an edit comes out the same whatever comes after it.
            below = mllm.below([edit.query], layer)
            book, number = self._placed(mllm, layer, book, edit, below, keys_of(mllm, below, layer)[0])
            # An edit at a key that is there goes on from what it learned.
            value = book.values[number]
            start = [value] if len(value) else self._starts(mllm, layer, [edit], below)
            book = book.with_value(number, learned(mllm, layer, [below], start, self.config)[0])
        return CodebookPatch(layer, book, self.config.gate)

    def _placed(
        self, mllm: MLLM, layer: int, book: Codebook, edit: Edit, below: Below, key: Tensor
    ) -> tuple[Codebook, int]:
        """The codebook with a key for the edit."""
        label = below.rows[0].target_ids
        if self.config.radius != "balanced":
            fixed = self.config.radius == "fixed"
            radius = self.config.epsilon if fixed else self.config.share * self._known()
            return book.beside(key, radius, label)
        if book.is_at(key):
            number = int(book.nearest(key[None])[1])
            return (book if book.labels[number] == label else book.with_label(number, label)), number
        around = [on_black(edit.query), moved(edit.query, edit_seed(self.config.seed, edit.id))]
        negative, positive = (keys_of(mllm, [query], layer)[0] for query in around)
        radius = balanced(float((key - positive).norm()), float((key - negative).norm()), self.config.alpha)
        return book.with_key(key, radius, label)

    def _starts(self, mllm: MLLM, layer: int, edits: Sequence[Edit], below: Below) -> list[Tensor]:
        """Where the value of each edit starts (steps, out)."""
        sequence = self.config.value == "sequence"
        steps = [len(row.target_ids) if sequence else 1 for row in below.rows]
        down = mllm.mlp(layer).down.module
        dtype = torch.promote_types(down.weight.dtype, torch.float32)
        if self.config.start == "cold":
            # Drawn on the CPU, so that a seed means the same everywhere.
            seeds = [edit_seed(self.config.seed, edit.id) for edit in edits]
            cold = [
                torch.rand(
                    size, down.out_features, generator=torch.Generator().manual_seed(seed), dtype=dtype
                )
                for size, seed in zip(steps, seeds, strict=True)
            ]
            return [one.to(down.weight.device) for one in cold]
        kept: dict[int, Tensor] = {}

        def keep(batch: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001
            ends = prompt_ends(batch).tolist()
            for row, index in enumerate(batch.indices):
                kept[index] = y[row, ends[row] :][: steps[index]].to(dtype)
            return y

        with hooked(mllm, {mllm.mlp(layer).down.name: keep}):
            mllm.score(below)
        return [kept[index] for index in range(len(below))]


def balanced(positive: float, negative: float, alpha: float) -> float:
    """BalancEdit's radius, from the distances of a key to what is in its scope and to what is not."""
    return (1 - alpha) * negative + alpha * positive
