"""One batch through decoder layers and head: scored, lifted to a layer, or continued greedily."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmedit_build.mllm.below import Below
from mmedit_build.mllm.caches import Keeper, Prompts
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.query import Positions, Scored
from mmedit_build.mllm.rows import Row, pad_left
from mmedit_build.mllm.runner import Cache, run_layers, run_next


@dataclass(frozen=True, slots=True)
class Continuation:
    """Generated tokens, without the one that stopped them, and the log-probability of each."""

    ids: tuple[int, ...]
    log_probs: tuple[float, ...]


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


class Passes:
    """Runs batches whose hidden states are known at some layer."""

    def __init__(self, family: Family, counts: Counts) -> None:
        self.family = family
        self.counts = counts
        self.n_layers = len(family.layers)
        self.running: Batch | None = None

    def score(self, part: Below, indices: Sequence[int], positions: Positions) -> list[Scored]:
        """Logits from the layers above `part`; gradients flow when grad mode is on."""
        hidden, valid = pad_left(part.hidden)
        batch = Batch(indices, part.rows, valid)
        hidden = self._run(hidden, batch, part.deep, range(part.layer, self.n_layers))
        ends = [hidden[i, hidden.shape[1] - row.length :] for i, row in enumerate(part.rows)]
        # Position t predicts token t+1: the last target token predicts nothing that is asked for.
        firsts = [row.prompt_length - 1 for row in part.rows]
        if positions == "target":
            ends = [
                end[first : first + len(row.target_ids)]
                for end, first, row in zip(ends, firsts, part.rows, strict=True)
            ]
            firsts = [0] * len(ends)
        found = self.family.head(torch.cat(ends)).float()
        logits = torch.split(found, [len(end) for end in ends])
        targets = [torch.tensor(row.target_ids, dtype=torch.long, device=found.device) for row in part.rows]
        return [Scored(*fields) for fields in zip(logits, targets, firsts, strict=True)]

    def lift(self, part: Below, indices: Sequence[int], layer: int, *, for_generation: bool) -> Below:
        """From where `part` is up to the input of `layer`."""
        if layer == part.layer:
            return part
        hidden, valid = pad_left(part.hidden)
        layers = range(part.layer, layer)
        keeper = Keeper(part.rows, layers, self.n_layers) if for_generation else None
        hidden = self._run(hidden, Batch(indices, part.rows, valid), part.deep, layers, keeper)
        width = hidden.shape[1]
        # Cloned, since views would keep the padded batch alive.
        lifted = tuple(hidden[i, width - row.length :].clone() for i, row in enumerate(part.rows))
        kept = None if keeper is None else part.attended(keeper.kept)
        deep = tuple(levels if layer < len(levels) else () for levels in part.deep)
        return Below(layer, part.queries, part.rows, lifted, deep, kept)

    def greedy(
        self, part: Below, indices: Sequence[int], new_tokens: int, stops: Sequence[int]
    ) -> list[Continuation]:
        """The most likely continuation of each prompt, up to and without the first stop token."""
        prompts = [hidden[: row.prompt_length] for hidden, row in zip(part.hidden, part.rows, strict=True)]
        rows = [row.cut(0) for row in part.rows]
        hidden, valid = pad_left(prompts)
        cache = Prompts(part, self.n_layers, new_tokens)
        batch = Batch(indices, rows, valid)
        hidden = self._run(hidden, batch, part.deep, range(part.layer, self.n_layers), cache)
        places = torch.tensor([row.following for row in rows], device=hidden.device)
        done = torch.zeros(len(rows), dtype=torch.bool)
        tokens: list[Tensor] = []
        log_probs: list[Tensor] = []
        while True:
            best = self.family.head(hidden[:, -1]).float().log_softmax(dim=-1).max(dim=-1)
            tokens.append(best.indices)
            log_probs.append(best.values)
            ends = torch.tensor(stops, dtype=torch.long, device=best.indices.device)
            done = done.to(ends.device) | torch.isin(tokens[-1], ends)
            if len(tokens) == new_tokens or bool(done.all()):
                break
            valid = torch.cat([valid, torch.ones_like(valid[:, :1])], dim=1)
            hidden = self._next(tokens[-1], places + len(tokens) - 1, Batch(indices, rows, valid), cache)
        said, sure = (torch.stack(steps, dim=1).tolist() for steps in (tokens, log_probs))
        return [_until_stop(*row, stops) for row in zip(said, sure, strict=True)]

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

    def _next(self, ids: Tensor, places: Tensor, batch: Batch, cache: Cache) -> Tensor:
        self.counts.layers += self.n_layers * len(ids)
        self.running = batch
        try:
            return run_next(self.family, ids, places, batch.valid, cache)
        finally:
            self.running = None


def _until_stop(ids: list[int], log_probs: list[float], stops: Sequence[int]) -> Continuation:
    length = next((i for i, token in enumerate(ids) if token in stops), len(ids))
    return Continuation(tuple(ids[:length]), tuple(log_probs[:length]))
