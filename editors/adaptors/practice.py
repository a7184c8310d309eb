"""How adaptors learn: each query of an edit is answered with the edit told, before any is chosen."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from editors.adaptors.config import AdaptorConfig
from editors.adaptors.patch import Choice, Placed, Told, adapting, tell
from editors.learning.exercise import Data, Exercise
from editors.learning.lessons import Kept, Lesson
from editors.losses import target_nll
from editors.patches.hooks import hooked
from mmedit_build.mllm import MLLM, Batch, Scored


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """What a gate said of the positions of an image, for each row: logits, and which positions there are."""

    logits: Tensor
    real: Tensor


class AdaptorPractice(Exercise):
    """Adaptors under training: the edit and its rephrases are to be said, all else is to stay."""

    def __init__(self, mllm: MLLM, placed: Sequence[Placed], config: AdaptorConfig, data: Data) -> None:
        super().__init__(mllm, nn.ModuleList(one.adaptor for one in placed), data, config)
        self._placed = placed
        self._texts = any(one.what == "text" for one in placed)
        self._told: Kept[Told] = Kept(self._pool.budget, self._tell, lambda one: one.nbytes)
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=config.lr)
        self.prepare(placed[0].layer, texts=self._texts)
        self._told.prepare([one.inner for one in (*self._train, *self._validation)])

    def mean_loss(self, lessons: Sequence[Lesson], rng: random.Random | None) -> Tensor:
        edits = self._told.of([one.inner for one in lessons])
        asked = [one.inner for one in lessons] + [one.text_rephrase for one in lessons]
        asked += [one.image_rephrase for one in lessons]
        kept = self.drawn_locality(lessons, rng, texts=self._texts)
        owners = [*range(len(lessons))] * 3 + kept.owners
        scored, weighed = self._scored(edits, asked + kept.numbers, owners)
        loss = target_nll(scored[: len(asked)]).sum() / len(lessons)
        if kept.numbers:
            loss = loss + self.moved(kept, scored[len(asked) :])
        return loss + torch.as_tensor(self.of_gates(weighed, asked)).to(loss)

    def of_gates(self, weighed: Sequence[Weighed], asked: Sequence[int]) -> Tensor | float:  # noqa: ARG002
        """What is learned of gates on a batch, of which the first queries ask about their edits."""
        return 0.0

    def _scored(
        self, edits: Sequence[Told], numbers: Sequence[int], owners: Sequence[int]
    ) -> tuple[list[Scored], list[Weighed]]:
        """Queries of the pool in one batch, each told the edit of its owner; and what gates say there."""
        weighed: list[Weighed] = []

        def choose(batch: Batch, y: Tensor) -> Choice:
            chosen = torch.tensor([owners[index] for index in batch.indices], device=y.device)
            return chosen, torch.ones_like(chosen, dtype=torch.bool)

        def see(logits: Tensor, real: Tensor) -> None:
            weighed.append(Weighed(logits, real))

        with hooked(self._mllm, adapting(self._mllm, self._placed, edits, choose, see)):
            return self._mllm.logits(self._pool.below(numbers, self._placed[0].layer)), weighed

    def _tell(self, numbers: Sequence[int]) -> list[Told]:
        layers = [one.layer for one in self._placed]
        # One by one, as edits are told when they are planned.
        return [tell(self._mllm, self._pool.below([one], layers[0]), layers)[0] for one in numbers]
