"""T-Patcher's memory: inputs of an MLP on train edits, at which a new neuron shall not fire."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from editors.base import TrainEdit
from editors.neurons.patches import look_into
from mmedit_build.mllm import MLLM, Query

CHUNK = 32
"""Queries that are looked at together."""
POSITIONS = 8
"""How many inputs one query gives: those that decide about its answer, and others at random."""


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """Inputs of the MLP (number, in): to learn from, and to tell when enough is learned."""

    train: Tensor
    validation: Tensor

    def joined_by(self, inputs: Sequence[Tensor]) -> Remembered:
        """With those of edits that have been made."""
        return Remembered(torch.cat([self.train, *inputs]), torch.cat([self.validation, *inputs]))


def queries_of(train: Sequence[TrainEdit], number: int, rng: random.Random) -> list[Query]:
    """As many queries as give so many inputs: train edits and their locality probes, in any order."""
    known = [query for one in train for query in _all(one)]
    return rng.sample(known, min(len(known), -(-number // POSITIONS)))


def draw(mllm: MLLM, queries: Sequence[Query], layer: int, rng: random.Random) -> Iterator[Tensor]:
    """The inputs that some queries give at a time: (number, in)."""
    for start in range(0, len(queries), CHUNK):
        below = mllm.below(queries[start : start + CHUNK], layer)
        found = []
        for row, inputs in zip(below.rows, look_into(mllm, below, layer), strict=True):
            deciding = range(row.prompt_length - 1, row.length - 1)
            rest = rng.sample(range(row.prompt_length - 1), row.prompt_length - 1)
            found.append(inputs[[*deciding, *rest][:POSITIONS]])
        yield torch.cat(found)


def _all(one: TrainEdit) -> list[Query]:
    return [one.edit.query, *one.text_locality, *one.image_locality]
