"""Train edits as a training sees them: lessons in a pool, part by part, judged on those held out."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from editors.base import TrainEdit
from editors.learning.lessons import Lesson, Pool
from editors.learning.training import TrainingConfig
from editors.losses import locality_kl
from mmedit_build.mllm import MLLM, Positions, Scored

Data = tuple[Sequence[TrainEdit], Sequence[TrainEdit]]
"""What is learned from, and what is held out of it to validate on."""


@dataclass(slots=True)
class Locality:
    """Queries whose answers shall stay: numbers in a pool, whose lesson's they are, how much they count."""

    numbers: list[int] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def mean(self, values: Sequence[Tensor]) -> Tensor:
        """The mean over lessons of what is known of each query, one sort of queries added to the other."""
        return torch.stack([share * one for share, one in zip(self.shares, values, strict=True)]).sum()


class Exercise(ABC):
    """A module under training, with its edits."""

    optimizer: torch.optim.Optimizer

    def __init__(self, mllm: MLLM, module: nn.Module, data: Data, config: TrainingConfig) -> None:
        self.module = module
        self._mllm = mllm
        self._size = config.batch_size
        self._pool = Pool(mllm, config.keep_bytes)
        self._train, self._validation = ([self._pool.lesson(one) for one in part] for part in data)
        self.number = len(self._train)

    @abstractmethod
    def mean_loss(self, lessons: Sequence[Lesson], rng: random.Random | None) -> Tensor:
        """Of a sample of what the lessons hold that `rng` draws, or without it of all."""

    def loss(self, chosen: Sequence[int], rng: random.Random) -> Tensor:
        return self.mean_loss([self._train[i] for i in chosen], rng)

    def stepped(self) -> None:  # noqa: B027  # not every module needs it
        """Nothing has to be done after an update."""

    def validate(self) -> float:
        bad = 0.0
        for start in range(0, len(self._validation), self._size):
            part = self._validation[start : start + self._size]
            bad += self.judge(part) * len(part)
        return bad / len(self._validation)

    def judge(self, lessons: Sequence[Lesson]) -> float:
        """How bad the module is on lessons held out, on average."""
        return self.mean_loss(lessons, None).item()

    def prepare(self, layer: int | None, *, texts: bool) -> None:
        """Compute ahead what training asks for again and again: queries up to the layer, if there is one, and
        those whose answers shall stay up to the end."""
        lessons = [*self._train, *self._validation]
        if layer is not None:
            self._pool.prepare([number for one in lessons for number in one.all], layer)
        kept = [self.drawn_locality([one], None, texts=texts).numbers for one in lessons]
        self._pool.prepare([number for of in kept for number in of], self._mllm.n_layers)

    def unedited(self, numbers: Sequence[int], positions: Positions) -> list[Scored]:
        """What the unedited model says to queries of the pool."""
        return self._mllm.score(self._pool.below(numbers, self._mllm.n_layers), positions=positions)

    def moved(self, kept: Locality, after: Sequence[Scored]) -> Tensor:
        """How far the answers that shall stay have moved, at their targets: KL(before || after)."""
        before = self.unedited(kept.numbers, "target")
        return kept.mean([locality_kl([one], [other]) for one, other in zip(before, after, strict=True)])

    def drawn_locality(
        self, lessons: Sequence[Lesson], rng: random.Random | None, *, texts: bool
    ) -> Locality:
        """A query about an image of each lesson that `rng` draws, or all; with `texts` one without, too."""
        found = Locality()
        for owner, lesson in enumerate(lessons):
            for group in filter(None, (lesson.text_locality if texts else (), lesson.image_locality)):
                chosen = group if rng is None else (rng.choice(group),)
                found.numbers += chosen
                found.owners += [owner] * len(chosen)
                found.shares += [1 / len(chosen) / len(lessons)] * len(chosen)
        return found
