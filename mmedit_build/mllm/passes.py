"""One batch through decoder layers and head: scored, lifted to a layer, or made ready to be continued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mmedit_build.mllm.below import Below
from mmedit_build.mllm.caches import Begun, Cache, Keeper, Prompts
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.narrowing import answering_for, cut, listening
from mmedit_build.mllm.query import Positions, Scored
from mmedit_build.mllm.rows import Row, cells, pad_left
from mmedit_build.mllm.runner import places_of, run_layers, run_rest
from mmedit_build.mllm.sharing import Beginnings

Images = Sequence[str | None] | None


@dataclass(slots=True)
class Counts:
    """Work done by a model: images encoded, and rows sent through a decoder layer."""

    vision: int = 0
    layers: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The batch that runs through the layers at this moment, for hooks that treat rows or positions apart.

    Row i belongs to query `indices[i]` of the call. `valid` (rows, positions) marks real positions; rows end
    in the last column. While generating, passes after the first hold only the last column of `valid`.
    """

    indices: Sequence[int]
    rows: Sequence[Row]
    valid: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Prompted:
    """A batch whose prompts have run."""

    rows: Sequence[Row]
    valid: Tensor
    cache: Prompts
    last: Tensor
    """What predicts the first token of each answer (rows, width)."""


class _Left(NamedTuple):
    """What leaves the layers of one row, in two pieces (positions, width)."""

    beginning: Tensor
    """Of what it shares with others, if it does."""
    rest: Tensor

    @property
    def whole(self) -> Tensor:
        return torch.cat(self) if len(self.beginning) else self.rest


class Passes:
    """Runs batches whose hidden states are known at some layer.

    `images` tell rows apart that may share what they begin with, see `sharing`; without them none is shared.
    """

    def __init__(self, family: Family, counts: Counts) -> None:
        self.family = family
        self.counts = counts
        self.n_layers = len(family.layers)
        self.running: Batch | None = None

    def score(
        self,
        part: Below,
        indices: Sequence[int],
        positions: Positions | Sequence[Positions],
        images: Images = None,
    ) -> list[Scored]:
        """Logits from the layers above `part`; gradients flow when grad mode is on.

        `positions` are those of all rows, or of each.
        """
        where = [positions] * len(part) if isinstance(positions, str) else positions
        left = self._through(part, indices, range(part.layer, self.n_layers), None, images)
        ends, firsts = [], []
        for one, row, which in zip(left, part.rows, where, strict=True):
            # Position t predicts token t+1: the last target token predicts nothing that is asked for.
            first = row.prompt_length - 1
            if which == "target":
                start = first - len(one.beginning)
                ends.append(one.rest[start : start + len(row.target_ids)])
                firsts.append(0)
            else:
                ends.append(one.whole)
                firsts.append(first)
        found = self.family.head(torch.cat(ends)).float()
        logits = torch.split(found, [len(end) for end in ends])
        targets = [torch.tensor(row.target_ids, dtype=torch.long, device=found.device) for row in part.rows]
        return [Scored(*fields) for fields in zip(logits, targets, firsts, strict=True)]

    def narrowed(self, part: Below) -> Below:
        """Cut to what predicts targets, from the input of the last layer on."""
        hidden, valid = pad_left(part.hidden)
        with listening(self.family) as heard:
            batch = Batch(range(len(part)), part.rows, valid)
            self._run(hidden, batch, part.deep, range(part.layer, self.n_layers))
        return cut(part, heard[0])

    def lift(
        self, part: Below, indices: Sequence[int], layer: int, *, for_generation: bool, images: Images = None
    ) -> Below:
        """From where `part` is up to the input of `layer`."""
        if layer == part.layer:
            return part
        layers = range(part.layer, layer)
        keeper = Keeper(part.rows, layers, self.n_layers) if for_generation else None
        left = self._through(part, indices, layers, keeper, images)
        # Cloned, since views would keep the padded batch alive.
        lifted = tuple(one.whole if len(one.beginning) else one.rest.clone() for one in left)
        kept = None if keeper is None else part.attended(keeper.kept)
        deep = tuple(levels if layer < len(levels) else () for levels in part.deep)
        return Below(layer, part.queries, part.rows, lifted, deep, kept)

    def prompted(
        self, part: Below, indices: Sequence[int], new_tokens: int, images: Images = None
    ) -> Prompted:
        """Prompts alone, with room for so many tokens behind them."""
        prompts = part.prompts()
        cache = Prompts.of(prompts, self.n_layers, new_tokens)
        left = self._through(prompts, indices, range(part.layer, self.n_layers), cache, images)
        valid = cells([row.length for row in prompts.rows], prompts.hidden[0].device)
        return Prompted(prompts.rows, valid, cache, torch.stack([one.rest[-1] for one in left]))

    def next(self, ids: Tensor, places: Tensor, batch: Batch, cache: Prompts) -> Tensor:
        """One token more of each row, at these positions, through all layers (rows, 1, width)."""
        embedded = self.family.embed_tokens(ids)[:, None]
        return self._run_rest(embedded, places[:, None], batch, range(self.n_layers), cache)

    def _through(
        self,
        part: Below,
        indices: Sequence[int],
        layers: range,
        cache: Prompts | Keeper | None,
        images: Images,
    ) -> list[_Left]:
        """What leaves the layers of each row."""
        if not layers and cache is None:
            return [_Left(hidden[:0], hidden) for hidden in part.hidden]
        shared = None if images is None or part.layer else Beginnings.of(part.rows, images)
        hidden, valid = pad_left(part.hidden)
        batch, width = Batch(indices, part.rows, valid), hidden.shape[1]
        if shared is None:
            with answering_for(self.family, part.from_attention):
                hidden = self._run(hidden, batch, part.deep, layers, cache)
            nothing = hidden[0, :0]
            return [_Left(nothing, hidden[i, width - row.length :]) for i, row in enumerate(part.rows)]
        beginnings, kept = self._begin(part, shared, layers)
        sources = shared.sources(part.rows, hidden.device)
        begun = Begun(kept, sources, shared.width, self.n_layers, cache)
        places = places_of(part.rows, valid)[..., width - shared.width :]
        hidden = self._run_rest(hidden[:, width - shared.width :], places, batch, layers, begun)
        return [
            _Left(beginnings[number], hidden[i, shared.width - row.length + shared.lengths[number] :])
            for i, (row, number) in enumerate(zip(part.rows, shared.of_row, strict=True))
        ]

    def _begin(self, part: Below, shared: Beginnings, layers: range) -> tuple[list[Tensor], list[Tensor]]:
        """What leaves the layers of each beginning, and what is attended to there, as a `Keeper` has it."""
        found = [part.hidden[0][:0]] * len(shared.owners)
        kept: dict[int, Tensor] = {}
        for numbers in shared.portions():
            rows = [part.rows[shared.owners[n]].begun(shared.lengths[n]) for n in numbers]
            hidden, valid = pad_left([part.hidden[shared.owners[n]][: shared.lengths[n]] for n in numbers])
            keeper = Keeper(rows, layers, self.n_layers)
            deep = [part.deep[shared.owners[n]] for n in numbers]
            hidden = self._run(hidden, Batch(numbers, rows, valid), deep, layers, keeper)
            kept.update(zip(numbers, keeper.kept, strict=True))
            for place, (n, row) in enumerate(zip(numbers, rows, strict=True)):
                found[n] = hidden[place, hidden.shape[1] - row.length :]
        return found, [kept[n] for n in sorted(kept)]

    def _run(
        self,
        hidden: Tensor,
        batch: Batch,
        deep: Sequence[Sequence[Tensor]],
        layers: range,
        cache: Cache | None = None,
    ) -> Tensor:
        self.counts.layers += len(layers) * len(hidden)
        self.running = batch
        try:
            return run_layers(self.family, hidden, batch.valid, batch.rows, deep, layers, cache=cache)
        finally:
            self.running = None

    def _run_rest(self, hidden: Tensor, places: Tensor, batch: Batch, layers: range, cache: Cache) -> Tensor:
        self.counts.layers += len(layers) * len(hidden)
        self.running = batch
        try:
            return run_rest(self.family, hidden, places, batch.valid, layers, cache)
        finally:
            self.running = None
