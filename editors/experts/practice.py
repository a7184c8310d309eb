"""How experts and their routing are learned: among those of the other edits of a batch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from editors.experts.modules import Reader, Seen, Writer, alike, shares_of
from editors.experts.patch import added
from editors.learning.exercise import Data, Exercise, Locality
from editors.learning.lessons import Kept, Lesson
from editors.learning.training import TrainingConfig
from editors.losses import target_nll
from editors.patches.hooks import hooked
from editors.patches.layers import leaving
from mmedit_build.mllm import MLLM, Batch
from mmedit_build.mllm.rows import pad_left

Pairs = list[tuple[int, int]]
"""Places in a batch of queries: one is read, the other is written an expert for."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What queries of a batch are known by to the reader and to the writer, and the prototype's likeness."""

    read_image: Tensor
    read_text: Tensor
    written_image: Tensor
    written_text: Tensor
    to_prototype: Tensor


class ExpertPractice(Exercise):
    """Writer and reader under training; the sum of what answers and of what routing shall be."""

    def __init__(
        self, mllm: MLLM, layer: int, learned: tuple[Writer, Reader], config: TrainingConfig, data: Data
    ) -> None:
        super().__init__(mllm, nn.ModuleList(learned), data, config)
        self._layer = layer
        self._writer, self._reader = learned
        self._states: Kept[Tensor] = Kept(self._pool.budget, self._looked_at, lambda one: one.nbytes)
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=config.lr)
        self.prepare(layer, texts=False)
        self._states.prepare([number for one in (*self._train, *self._validation) for number in one.all])

    def mean_loss(self, lessons: Sequence[Lesson], rng: random.Random | None) -> Tensor:
        asked = [one.inner for one in lessons] + [one.text_rephrase for one in lessons]
        asked += [one.image_rephrase for one in lessons]
        kept = self.drawn_locality(lessons, rng, texts=False)
        seen = self._seen(asked + kept.numbers)
        features = self._features(seen)
        likeness = self._likeness(features, len(lessons))
        active = _active(len(lessons), kept.owners, rng).to(likeness.device)
        loss = self._answers(lessons, asked, kept, shares_of(likeness, active))
        drawn = rng or random.Random(0)
        alike_pairs = neighbours(len(lessons), kept, drawn)
        apart = strangers(len(lessons), kept, drawn)
        routing = soft_routing(features, alike_pairs) + hard_routing(features, alike_pairs, apart)
        return loss + routing.to(loss)

    def _likeness(self, features: Features, number: int) -> Tensor:
        """Of all queries to the edits, which are the first ones."""
        return alike(features.read_text, features.written_text[:number])

    def _answers(
        self, lessons: Sequence[Lesson], asked: Sequence[int], kept: Locality, shares: Tensor
    ) -> Tensor:
        experts = self._writer(self._seen([one.inner for one in lessons]))

        def add(batch: Batch, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001  # what went in is not asked for
            return added(self._reader, experts, shares[list(batch.indices)], y)

        with hooked(self._mllm, {self._mllm.layer_name(self._layer): add}):
            scored = self._mllm.logits(self._pool.below([*asked, *kept.numbers], self._layer))
        loss = target_nll(scored[: len(asked)]).sum() / len(lessons)
        return loss + self.moved(kept, scored[len(asked) :]) if kept.numbers else loss

    def _features(self, seen: Seen) -> Features:
        reader, writer = self._reader, self._writer
        image = reader.extract.image(seen)
        return Features(
            image,
            reader.extract.text(seen),
            writer.extract.image(seen),
            writer.extract.text(seen),
            reader.to_prototype(seen, image),
        )

    def _seen(self, numbers: Sequence[int]) -> Seen:
        rows = self._pool.below(numbers, self._layer).rows
        states, valid = pad_left(self._states.of(numbers))
        return Seen.of(Batch(range(len(rows)), rows, valid), states)

    def _looked_at(self, numbers: Sequence[int]) -> list[Tensor]:
        known = self._pool.below(numbers, self._layer)
        # In the precision of what is learned.
        return [states.float() for (states,) in leaving(self._mllm, known, (self._layer,))]


def _active(number: int, owners: Sequence[int], rng: random.Random | None) -> Tensor:
    """Which experts act (queries, experts): so many of the first ones, and for an edit's queries its own.

    How many `rng` draws for each query; without it all act.
    """
    rows = 3 * number + len(owners)
    if rng is None:
        return torch.ones(rows, number, dtype=torch.bool)
    firsts = torch.tensor([rng.randint(0, number) for _ in range(rows)])
    active = torch.arange(number) < firsts[:, None]
    own = torch.cat([torch.eye(number, dtype=torch.bool)] * 3)
    return torch.cat([active[: 3 * number] | own, active[3 * number :]])


def neighbours(number: int, kept: Locality, rng: random.Random) -> Pairs:
    """Of each lesson two queries about its edit, or twice one whose answer shall stay."""
    pairs = []
    for lesson, own in enumerate(_kept_of(number, kept)):
        if own and rng.random() < 1 / 3:
            pairs.append((rng.choice(own), rng.choice(own)))
        else:
            pairs.append((_about(number, lesson, rng), _about(number, lesson, rng)))
    return pairs


def strangers(number: int, kept: Locality, rng: random.Random) -> Pairs:
    """Of each lesson that has both, a query about its edit and one whose answer shall stay, either first."""
    pairs = []
    for lesson, own in enumerate(_kept_of(number, kept)):
        if own:
            one, other = _about(number, lesson, rng), rng.choice(own)
            pairs.append((one, other) if rng.random() < 1 / 2 else (other, one))
    return pairs


def _about(number: int, lesson: int, rng: random.Random) -> int:
    return lesson + number * rng.randrange(3)


def _kept_of(number: int, kept: Locality) -> list[list[int]]:
    """Of each lesson the places of its queries whose answers shall stay; they come after three of each."""
    found: list[list[int]] = [[] for _ in range(number)]
    for place, owner in enumerate(kept.owners, 3 * number):
        found[owner].append(place)
    return found


def soft_routing(features: Features, pairs: Pairs) -> Tensor:
    """Of all experts that of the pair is the nearest by its words, near by itself, and another one is not."""
    read, written = ([pair[side] for pair in pairs] for side in (0, 1))
    likeness = alike(features.read_text[read], features.written_text[written])
    loss = -likeness.log_softmax(dim=1).diagonal().mean() - F.logsigmoid(likeness.diagonal()).mean()
    if len(pairs) > 1:
        loss = loss - F.logsigmoid(-likeness.roll(1, dims=1).diagonal()).mean()
    return loss


def hard_routing(features: Features, neighbours: Pairs, strangers: Pairs) -> Tensor:
    """By its image a query is nearer to its neighbour than to other edits and to the prototype.

    To the prototype it is nearer than to strangers.
    """
    own = _by_image(features, neighbours)[:, :-1].diagonal()
    loss = -own.mean()
    if strangers:
        loss = loss - _by_image(features, strangers)[:, -1].mean()
    return loss


def _by_image(features: Features, pairs: Pairs) -> Tensor:
    """log p of each expert for each query, the last one that of the prototype (pairs, pairs + 1)."""
    read, written = ([pair[side] for pair in pairs] for side in (0, 1))
    likeness = alike(features.read_image[read], features.written_image[written])
    return torch.cat([likeness, features.to_prototype[read]], dim=1).log_softmax(dim=1)
