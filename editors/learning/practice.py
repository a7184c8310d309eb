"""How a hypernetwork is judged while it learns: by what the model says under the patches that it makes."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from editors.learning.hypernetworks import Data, Hypernetwork, HypernetworkEditor, Inner
from editors.learning.lessons import Kept, Lesson, Pool
from editors.learning.seeing import scored_apart
from editors.losses import locality_kl
from editors.patches.side_by_side import SideBySide
from editors.patches.weights import LowRankPatch
from mmedit_build.mllm import MLLM, Positions, Query, Scored


class Practice(ABC):
    """A network under training, with its edits.

    All below the edited layers is computed once for each query, the gradient of an edit once, and so is what
    the unedited model says, up to its head. A batch of edits is scored side by side, but one edit after the
    other where vision or connector are edited: nothing lies below them then, and images are seen anew.
    """

    optimizer: torch.optim.Optimizer

    def __init__(self, mllm: MLLM, editor: HypernetworkEditor, network: Hypernetwork, data: Data) -> None:
        self.module: nn.Module = network
        self._mllm = mllm
        self._editor = editor
        self._network = network
        self._layer = mllm.first_layer(editor.edited(mllm))
        self._pool = Pool(mllm, editor.config.keep_bytes)
        self._train, self._validation = ([self._pool.lesson(one) for one in part] for part in data)
        self.number = len(self._train)
        self._inner: Kept[Inner] = Kept(self._pool.budget, self._told, lambda one: one.nbytes)
        self._prepare()

    @abstractmethod
    def mean_loss(self, lessons: Sequence[Lesson], rng: random.Random | None) -> Tensor:
        """Of a sample of what the lessons hold that `rng` draws, or without it of all."""

    def loss(self, chosen: Sequence[int], rng: random.Random) -> Tensor:
        return self.mean_loss([self._train[i] for i in chosen], rng)

    def stepped(self) -> None:  # noqa: B027  # not every network needs it
        """Nothing has to be done after an update."""

    def validate(self) -> float:
        bad, size = 0.0, self._editor.config.batch_size
        for start in range(0, len(self._validation), size):
            part = self._validation[start : start + size]
            bad += self.judge(part) * len(part)
        return bad / len(self._validation)

    def judge(self, lessons: Sequence[Lesson]) -> float:
        """How bad the network is on lessons held out, on average."""
        return self.mean_loss(lessons, None).item()

    def patches(self, lessons: Sequence[Lesson]) -> list[LowRankPatch]:
        """What the network makes of the edits."""
        found: list[LowRankPatch] = self._network(self._inner.of([lesson.inner for lesson in lessons]))
        return found

    def scored(
        self,
        patches: Sequence[LowRankPatch],
        numbers: Sequence[int],
        owners: Sequence[int],
        positions: Positions = "target",
    ) -> list[Scored]:
        """Queries of the pool, each under the patch of its owner."""
        queries = self._known(numbers)
        if self._layer is None:
            return scored_apart(self._mllm, patches, queries, owners, positions)
        with SideBySide(patches).applied(self._mllm, owners):
            return self._mllm.logits(queries, positions=positions)

    def locality(
        self, patches: Sequence[LowRankPatch], lessons: Sequence[Lesson], rng: random.Random | None
    ) -> Tensor:
        """KL on text plus KL on images, as the mean over the lessons; `rng` draws one query of each sort."""
        numbers: list[int] = []
        owners: list[int] = []
        shares: list[float] = []
        for owner, lesson in enumerate(lessons):
            for group in filter(None, (self._texts(lesson), lesson.image_locality)):
                chosen = group if rng is None else (rng.choice(group),)
                numbers += chosen
                owners += [owner] * len(chosen)
                shares += [1 / len(chosen) / len(lessons)] * len(chosen)
        if not numbers:
            return torch.zeros((), device=self._mllm.device)
        before = self._mllm.score(self._pool.below(numbers, self._mllm.n_layers), positions="all")
        after = self.scored(patches, numbers, owners, "all")
        apart = [locality_kl([one], [other]) for one, other in zip(before, after, strict=True)]
        return torch.stack([share * kl for share, kl in zip(shares, apart, strict=True)]).sum()

    def _told(self, numbers: Sequence[int]) -> list[Inner]:
        return self._editor.told(self._mllm, self._known(numbers))

    def _known(self, numbers: Sequence[int]) -> Sequence[Query]:
        """Queries of the pool, as far as no edit can change them."""
        return self._pool.queries(numbers) if self._layer is None else self._pool.below(numbers, self._layer)

    def _texts(self, lesson: Lesson) -> tuple[int, ...]:
        """What is asked without an image, unless no edit can change that anyway."""
        return () if self._layer is None else lesson.text_locality

    def _prepare(self) -> None:
        lessons = [*self._train, *self._validation]
        if self._layer is not None:
            self._pool.prepare([number for one in lessons for number in one.all], self._layer)
        kept = [number for one in lessons for number in (*self._texts(one), *one.image_locality)]
        self._pool.prepare(kept, self._mllm.n_layers)
        self._inner.prepare([one.inner for one in lessons])
