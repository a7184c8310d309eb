"""How a hypernetwork is judged while it learns: by what the model says under the patches that it makes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from editors.learning.exercise import Data, Exercise
from editors.learning.hypernetworks import Hypernetwork, HypernetworkEditor, Inner
from editors.learning.lessons import Kept, Lesson
from editors.learning.seeing import scored_apart
from editors.losses import locality_kl
from editors.patches.side_by_side import SideBySide
from editors.patches.weights import LowRankPatch
from mmedit_build.mllm import MLLM, Positions, Query, Scored


class Practice(Exercise):
    """A network under training, with its edits.

    All below the edited layers is computed once for each query, the gradient of an edit once, and so is what
    the unedited model says, up to its head. A batch of edits is scored side by side, but one edit after the
    other where vision or connector are edited: nothing lies below them then, and images are seen anew.
    """

    def __init__(self, mllm: MLLM, editor: HypernetworkEditor, network: Hypernetwork, data: Data) -> None:
        super().__init__(mllm, network, data, editor.config)
        self._editor = editor
        self._network = network
        self._layer = mllm.first_layer(editor.edited(mllm))
        self._inner: Kept[Inner] = Kept(self._pool.budget, self._told, lambda one: one.nbytes)
        self.prepare(self._layer, texts=self._layer is not None)
        self._inner.prepare([one.inner for one in (*self._train, *self._validation)])

    def patches(self, lessons: Sequence[Lesson]) -> list[LowRankPatch]:
        """What the network makes of the edits."""
        found: list[LowRankPatch] = self._network(self._inner.of([lesson.inner for lesson in lessons]))
        return found

    def scored(
        self,
        patches: Sequence[LowRankPatch],
        numbers: Sequence[int],
        owners: Sequence[int],
        positions: Sequence[Positions],
    ) -> list[Scored]:
        """Queries of the pool, each under the patch of its owner."""
        queries = self._known(numbers)
        if self._layer is None:
            return scored_apart(self._mllm, patches, queries, owners, positions)
        with SideBySide(patches).applied(self._mllm, owners):
            return self._mllm.logits(queries, positions=positions)

    def with_locality(
        self,
        patches: Sequence[LowRankPatch],
        numbers: Sequence[int],
        owners: Sequence[int],
        lessons: Sequence[Lesson],
        rng: random.Random | None,
    ) -> tuple[list[Scored], Tensor]:
        """Queries as `scored` at their targets, and KL on text plus KL on images, as a mean over lessons.

        All is asked in one pass; `rng` draws one query of each sort.
        """
        drawn = self.drawn_locality(lessons, rng, texts=self._layer is not None)
        where: list[Positions] = ["target" for _ in numbers]
        where += ["all" for _ in drawn.numbers]
        found = self.scored(patches, [*numbers, *drawn.numbers], [*owners, *drawn.owners], where)
        asked, after = found[: len(numbers)], found[len(numbers) :]
        if not after:
            return asked, torch.zeros((), device=self._mllm.device)
        before = self.unedited(drawn.numbers, "all")
        return asked, drawn.mean(
            [locality_kl([one], [other]) for one, other in zip(before, after, strict=True)]
        )

    def _told(self, numbers: Sequence[int]) -> list[Inner]:
        return self._editor.told(self._mllm, self._known(numbers))

    def _known(self, numbers: Sequence[int]) -> Sequence[Query]:
        """Queries of the pool, as far as no edit can change them."""
        return self._pool.queries(numbers) if self._layer is None else self._pool.below(numbers, self._layer)
