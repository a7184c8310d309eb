"""WISE: edits are written into a side copy of one matrix, which answers the prompts that it moves like edits.

Wang et al., "WISE: Rethinking the Knowledge Memory for Lifelong Model Editing" (arXiv 2405.14768). How far a
side memory moves what comes out of the module tells whether it is asked: training moves edits far (`beta`),
what they do not touch little (`alpha`), and the former more (`gamma`). The threshold is `ratio` times how far
the edit is moved that is moved least. Each shard of edits is written under a mask of its own, and finished
shards are merged by TIES.

Differences: what an edit does not touch is drawn from the locality probes of the train split, one of text
and one with an image for each edit, where EasyEdit takes the locality probe that the edit is judged by; how
far a prompt is moved is measured on its text (`scored: all` adds the image, as published), and not on the
answer, of which a free answer has none yet; it is a mean, also of prompts of more than 100 tokens, where
EasyEdit's code then takes the largest; a prompt is decided upon once, by itself, where the code decides for a
whole batch; the side memory is kept in float32 as what it adds to the matrix, so that biases count, which
EasyEdit leaves out but for GPT-2; the activation is that of the model, where EasyEdit's BLIP-2 has another; a
shard that exceeds its threshold is asked whatever the one being written does; until enough shards are there
to be merged, each is asked by itself, in the variant `merge`, too. Replay of earlier edits is left out.

Published (EasyEdit, multimodal): lr 1, weight decay 1e-5, 10 steps, density 0.2, ratio 0.4, margins 5, 20 and
10; BLIP-2 layer 23 `up` and MiniGPT-4 layer 23 `down`, both routing merge; Qwen2-VL-7B and LLaVA-OneVision-7B
layer 23, Qwen3-VL-4B layer 30, routing retrieve. Shards of 500 edits, of which two are merged, kept 0.53.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from editors.base import Edit, Lift, Model, State, TrainEdit, unwrapped
from editors.descent import of_each, singles_together
from editors.families import MethodFamily
from editors.gating.codebook import Gate
from editors.gating.sides import Matrix, Place, Scored, Side, SidePatch
from editors.gating.ties import merged
from editors.gating.writing import Moving, Wish, WritingConfig, write
from editors.growing import Made
from editors.patches.copies import LARGEST
from editors.patches.hooks import hooked
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Batch, Below, Row
from mmedit_build.mllm.below import joined
from mmedit_build.recipe.fields import Count, Share

POSITIONS = 16
"""Of a probe that edits shall not touch so many positions are remembered, at most."""
OLD = 0.6
"""What weight a memory that was merged before has among those that it is merged with."""


class WISEConfig(WritingConfig):
    """Where the side memory is, and when it is asked."""

    layer: int = -2
    """The decoder layer; negative numbers count from the end."""
    matrix: Matrix = "down"
    """Which matrix of its MLP: the one out of it, or the one into it."""
    density: float = Field(default=0.2, gt=0, le=1)
    """The share of the matrix that a shard may change."""
    ratio: PositiveFloat = 0.6
    """A prompt that is moved by this share of the least that an edit is moved is answered by the memory."""
    scored: Scored = "text"
    """Where it is measured: at the text of a prompt, or also at its image, as published."""
    gate: Gate = "prompt"
    """prompt decides by the prompt for the whole answer; token looks at each token that is written by itself,
    as published."""
    routing: Literal["retrieve", "merge"] = "retrieve"
    """retrieve gives each memory a threshold of its own; merge has one for all, and one merged memory."""
    shard: Count = 500
    """Edits that are written into one memory."""
    merge: Count = 2
    """Shards that are merged into one."""
    kept: Share = Field(default=0.53, gt=0)
    """The share of each shard that is merged: its largest changes."""
    untouched: Count = 100
    """Train edits whose locality probes are remembered, at most."""
    seed: int = 0
    """Decides about masks, and about what an edit shall not touch."""


class WISE:
    """A side memory that prompts are routed to."""

    Config: ClassVar[type[WISEConfig]] = WISEConfig
    family: ClassVar[MethodFamily] = "added parameters"
    touches: ClassVar[str] = "beside one MLP matrix"
    batch: ClassVar[bool] = True

    def __init__(self, config: WISEConfig) -> None:
        self.config = config
        self._untouched: dict[str, tuple[Tensor, ...]] | None = None

    # Learning is remembering what edits shall not touch

    def steps(self, train: Sequence[TrainEdit]) -> int:  # noqa: ARG002  # however many there are
        return 2

    def fit(
        self,
        mllm: MLLM,
        train: Sequence[TrainEdit],
        validation: Sequence[TrainEdit],  # noqa: ARG002  # nothing is trained that could be validated
        *,
        work: Path,  # noqa: ARG002  # too short to be interrupted
        advance: Callable[[int], None],
    ) -> None:
        place = self._place(mllm)
        found: dict[str, tuple[Tensor, ...]] = {}
        for kind in ("text", "image"):
            rng = random.Random(f"{self.config.seed}/untouched {kind}")
            probes = [probe for one in train for probe in getattr(one, f"{kind}_locality")[:1]]
            chosen = rng.sample(probes, min(len(probes), self.config.untouched))
            inputs = _inputs(mllm, mllm.below(chosen, place.layer), place, self.config.scored)
            found[kind] = tuple(one[_some(len(one), rng)] for one in inputs)
            advance(1)
        if not any(found.values()):
            raise UserError(
                "WISE learns what edits shall not touch from the locality probes of train edits, but there "
                "are none: give a train split that has some."
            )
        self._untouched = found

    def fitted(self) -> State:
        known = {kind: found for kind, found in self._known().items() if found}
        lengths = {kind: [len(one) for one in found] for kind, found in known.items()}
        return State({kind: torch.cat(found) for kind, found in known.items()}, {"lengths": lengths})

    def restore(self, mllm: MLLM, state: State) -> None:
        device = self._place(mllm).linear(mllm).module.weight.device
        lengths = state.fields["lengths"]
        assert isinstance(lengths, dict)
        self._untouched = {
            kind: state.tensors[kind].to(device).split(list(of)) for kind, of in lengths.items()
        }

    def _known(self) -> dict[str, tuple[Tensor, ...]]:
        if self._untouched is None:
            raise ValueError("WISE has to be fitted, or restored, before it plans")
        return self._untouched

    # Planning

    def plan(self, model: Model, edits: Sequence[Edit]) -> SidePatch:
        mllm = unwrapped(model)
        return self._written(mllm, [self._empty(mllm)], 0, edits)

    def begins(self, mllm: MLLM) -> int | None:
        place = self._place(mllm)
        # Each edit of a group has a whole matrix of its own.
        return place.layer if 4 * place.linear(mllm).module.weight.numel() <= LARGEST else None

    def plan_each(self, model: Model, wishes: Sequence[Sequence[Edit]], lift: Lift) -> list[SidePatch]:
        mllm, place = unwrapped(model), self._place(unwrapped(model))
        if self.config.shard == 1:
            # What is full after a single edit is merged at once.
            return [self.plan(model, edits) for edits in wishes]

        def together(edits: Sequence[Edit]) -> list[SidePatch]:
            queries = of_each(lift, [[edit] for edit in edits], place.layer)
            empty = self._empty(mllm)
            sides = self._with(mllm, edits, queries, [empty] * len(edits), self._mask(0, empty.change))
            return [self._patch(place, [side], 1) for side in sides]

        return singles_together(wishes, together, lambda edits: self.plan(model, edits))

    def _empty(self, mllm: MLLM) -> Side:
        weight = self._place(mllm).linear(mllm).module.weight
        # Learned in float32 whatever the model is kept in.
        wide = torch.promote_types(weight.dtype, torch.float32)
        return Side(torch.zeros_like(weight, dtype=wide), inf)

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> SidePatch:
        """As edits that are planned together are: after those before them."""
        assert isinstance(made.patch, SidePatch)
        mllm = unwrapped(model)
        device = self._place(mllm).linear(mllm).module.weight.device
        sides = [side.to(device) for side in made.patch.sides]
        return self._written(mllm, sides, made.patch.edits, edits)

    def _written(self, mllm: MLLM, sides: list[Side], number: int, edits: Sequence[Edit]) -> SidePatch:
        config, place = self.config, self._place(mllm)
        mask = self._mask(number // config.shard, sides[-1].change)
        for edit in edits:
            below = mllm.below([edit.query], place.layer)
            (sides[-1],) = self._with(mllm, [edit], [below], [sides[-1]], mask)
            number += 1
            if number % config.shard == 0:
                sides = self._sharded(sides, number // config.shard)
                mask = self._mask(number // config.shard, sides[-1].change)
        return self._patch(place, sides, number)

    def _patch(self, place: Place, sides: Sequence[Side], number: int) -> SidePatch:
        config = self.config
        if config.routing == "merge":
            least = min(side.moved for side in sides)
            # Without edits of its own a memory says what the model says, however far that is moved.
            sides = [Side(side.change, least) for side in sides]
        return SidePatch(place, tuple(sides), number, config.ratio, config.scored, config.gate)

    def _with(
        self,
        mllm: MLLM,
        edits: Sequence[Edit],
        queries: Sequence[Below],
        sides: Sequence[Side],
        mask: Tensor,
    ) -> list[Side]:
        """Memories with one more edit each."""
        place, wishes = self._place(mllm), []
        inputs = _inputs(mllm, joined(queries), place, self.config.scored)
        for edit, query, one in zip(edits, queries, inputs, strict=True):
            rng = random.Random(f"{self.config.seed}/{edit.id}")
            untouched = [rng.choice(found) for found in self._known().values() if found]
            wishes.append(Wish(query, one, untouched))
        before = torch.stack([side.change for side in sides])
        changes = write(mllm, place, self.config, wishes, before, mask)
        moving = Moving(mllm, place, [[one] for one in inputs], changes.dtype)
        moved = moving.by(changes, range(len(edits)))[:, 0].tolist()
        return [
            Side(change, min(side.moved, now))
            for side, change, now in zip(sides, changes, moved, strict=True)
        ]

    def _sharded(self, sides: list[Side], shards: int) -> list[Side]:
        """Once a shard is full: merged with others if there are enough, and an empty one after it."""
        config = self.config
        empty = Side(torch.zeros_like(sides[-1].change), inf)
        if shards % config.merge:
            return [*sides, empty]
        fresh = sides[-config.merge :]
        # What was merged before stays as it is where each memory has a threshold of its own.
        old = sides[: -config.merge]
        if config.routing == "retrieve" or not old:
            weights = [1 / len(fresh)] * len(fresh)
            joined = fresh
        else:
            weights = [(1 - OLD) / len(fresh)] * len(fresh) + [OLD]
            joined, old = [*fresh, *old], []
        change = merged([side.change for side in joined], weights, config.kept)
        return [*old, Side(change, min(side.moved for side in joined)), empty]

    def _mask(self, shard: int, like: Tensor) -> Tensor:
        """What a shard may change."""
        # Drawn on the CPU, so that a seed means the same everywhere.
        random = torch.Generator().manual_seed(self.config.seed * 1_000_003 + shard)
        return (torch.rand(like.shape, generator=random) < self.config.density).to(like.device)

    def _place(self, mllm: MLLM) -> Place:
        return Place(mllm.layer_index(self.config.layer), self.config.matrix)


def _inputs(mllm: MLLM, queries: Below, place: Place, scored: Scored) -> list[Tensor]:
    """What goes into the module at the scored positions of each prompt (positions, in)."""
    kept: dict[int, Tensor] = {}

    def keep(batch: Batch, x: Tensor, y: Tensor) -> Tensor:
        for row, index, inputs in zip(batch.rows, batch.indices, x, strict=True):
            kept[index] = inputs[x.shape[1] - row.length :][_scored(row, scored)].clone()
        return y

    with hooked(mllm, {place.linear(mllm).name: keep}):
        mllm.score(queries)
    found = [kept[index] for index in range(len(queries))]
    return [one.to(torch.promote_types(one.dtype, torch.float32)) for one in found]


def _scored(row: Row, scored: Scored) -> list[int]:
    image = set(row.image) if scored == "text" else set()
    return [position for position in range(row.prompt_length) if position not in image]


def _some(number: int, rng: random.Random) -> list[int]:
    return sorted(rng.sample(range(number), min(number, POSITIONS)))
