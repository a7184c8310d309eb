"""SERAC: edits are kept as text, a classifier finds what is in their scope, and a small model answers that.

Mitchell et al., "Memory-Based Model Editing at Scale" (arXiv 2206.06520), on multimodal models as in MMEdit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from editors.base import Edit, State, TrainEdit
from editors.counterfactual import BASE, Counterfactual
from editors.lessons import Pool
from editors.losses import locality_kl, target_nll
from editors.memories import (
    Memory,
    MemoryPatch,
    Mixing,
    Router,
    join_states,
    look,
    mix,
    remember,
    split_state,
)
from editors.scope import Place, Scope, alike, in_scope, scope_loss, similarity
from editors.training import TrainingConfig, seeded, train
from mmedit_build.mllm import MLLM, Positions, Query, Scored
from mmedit_build.recipe.fields import Count

Negative = Literal["text", "image", "others"]


class SERACConfig(TrainingConfig):
    """The text version's hard routing, trained with supervision, by prompts alone."""

    classifier: str = BASE
    """What compares queries with edits: a folder or id of a text encoder such as distilbert-base-cased, or
    `base` for a small one on the model's own token embeddings."""
    counterfactual: str = BASE
    """What answers in scope: a folder or id of a language model with the same tokens, such as
    facebook/opt-125m for OPT, or `base` for the first layers of the model's own."""
    layers: Count = 6
    """How many layers that is at most."""
    router: Router = "prompt"
    """leaking shows the classifier the answers too, as MMEdit's code does when it scores."""
    images: bool = False
    """Whether images join the decision; else a question is in scope on every image."""
    mixing: Mixing = "hard"
    """hard answers by one model, soft by the mean of both weighed by similarity, as MMEdit's code."""
    objective: Literal["supervised", "mixture"] = "supervised"
    """supervised tells classifier and counterfactual model apart what to learn; mixture, as MMEdit's code,
    teaches both by what they answer together."""
    negatives: tuple[Negative, ...] = ("text", "image", "others")
    """Out of scope in training: text locality, image locality, other edits' prompts (supervised only)."""
    edit_weight: PositiveFloat = 0.1
    """Of the loss of answers in scope; all else has weight 1."""
    exchange: float = Field(default=0.5, ge=0, le=1)
    """How often, in supervised training, the counterfactual model is told another edit's answer: it shall
    repeat what it is told, whatever that is."""
    batch_size: Count = 5
    """Edits that are looked at together."""
    lr: PositiveFloat = 5e-4
    """Learning rate of Adam at the start; it falls in a straight line to nothing at the last step."""
    steps: Count = 500
    """The most updates that are made."""
    patience: Count = 500
    """Updates without a better validation after which training stops; the best one is kept."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A train edit as SERAC learns from it."""

    memory: Memory
    inside: tuple[Query, ...]
    outside: tuple[Query, ...]


Asked = tuple[Query, Lesson]


class _Learned(nn.Module):
    """All that is learned."""

    def __init__(self, scope: Scope, counterfactual: Counterfactual) -> None:
        super().__init__()
        self.scope = scope
        self.counterfactual = counterfactual


class _Learning:
    """What the training loop asks."""

    def __init__(
        self,
        config: SERACConfig,
        mllm: MLLM,
        module: _Learned,
        lessons: Sequence[Lesson],
        held: Sequence[Lesson],
    ) -> None:
        self.module = module
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(module.parameters(), lr=config.lr)
        self.number = len(lessons)
        self._config = config
        self._mllm = mllm
        self._lessons = lessons
        self._held = held
        self._pool = Pool(mllm, config.keep_bytes)

    def loss(self, chosen: Sequence[int], rng: random.Random) -> Tensor:
        lessons = [self._lessons[i] for i in chosen]
        if self._config.objective == "mixture":
            return self._mixture(lessons)
        answered = [self._exchanged(lesson, rng) for lesson in lessons]
        return self._config.edit_weight * self._nll(answered) + scope_loss(*self._pairs(lessons))

    def stepped(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] -= self._config.lr / self._config.steps

    def validate(self) -> float:
        size = self._config.batch_size
        parts = [self._held[start : start + size] for start in range(0, len(self._held), size)]
        return sum(self._judged(part) * len(part) for part in parts) / len(self._held)

    def _judged(self, lessons: Sequence[Lesson]) -> float:
        if self._config.objective == "mixture":
            return float(self._mixture(lessons))
        # Wrong decisions are counted: their loss grows with certainty long after the last one has changed.
        near, far = (in_scope(similarity(distances)) for distances in self._pairs(lessons))
        missed, taken = 1 - near.float().mean(), far.float().mean() if len(far) else 0.0
        return float(self._nll(lessons) + missed + taken)

    def _exchanged(self, lesson: Lesson, rng: random.Random) -> Lesson:
        """The lesson, or the same with the target of another one."""
        if rng.random() >= self._config.exchange:
            return lesson
        target = rng.choice(self._lessons).memory.target
        inside = tuple(replace(query, target=target) for query in lesson.inside)
        return replace(lesson, memory=replace(lesson.memory, target=target), inside=inside)

    def _nll(self, lessons: Sequence[Lesson]) -> Tensor:
        """Of the counterfactual model's answers, told the right edit."""
        return target_nll(self._answers([(query, one) for one in lessons for query in one.inside])).mean()

    def _look(self, queries: Sequence[Query]) -> list[Place]:
        return look(self._mllm, queries, self._config.router, images=self._config.images)

    def _pairs(self, lessons: Sequence[Lesson]) -> tuple[Tensor, Tensor]:
        """Squared distances of the pairs of query and edit that belong together, and of those that do not."""
        queries = [(query, i, True) for i, one in enumerate(lessons) for query in one.inside]
        queries += [(query, i, False) for i, one in enumerate(lessons) for query in one.outside]
        where = self._look([query for query, _, _ in queries])
        edits = [lesson.memory.place for lesson in lessons]
        distances = self.module.scope.distances(where, edits)
        near = torch.zeros(distances.shape, dtype=torch.bool, device=distances.device)
        far = near.clone()
        for row, (place, (_, own, inside)) in enumerate(zip(where, queries, strict=True)):
            near[row, own] = inside
            far[row, own] = not inside and not alike(place, edits[own])
            for column, edit in enumerate(edits):
                if column != own and "others" in self._config.negatives:
                    # What is alike to one edit is in the scope of both.
                    far[row, column] = not alike(edits[own], edit) and not alike(place, edit)
        return distances[near], distances[far]

    def _mixture(self, lessons: Sequence[Lesson]) -> Tensor:
        """0.1 NLL of the mixture's answers, and KL where it shall answer as the base model does."""
        inside = [(query, lesson) for lesson in lessons for query in lesson.inside]
        outside = [(query, lesson) for lesson in lessons for query in lesson.outside]
        base, shares = self._base([*inside, *outside]), self._shares([*inside, *outside])
        told = zip(base, self._answers(inside), shares, strict=False)
        loss = self._config.edit_weight * target_nll(
            [mix(cut(one, other), other, s) for one, other, s in told]
        )
        if not outside:
            return loss.sum() / len(lessons)
        base, shares = base[len(inside) :], shares[len(inside) :]
        other = self._answers(outside, "all")
        return loss.sum() / len(lessons) + locality_kl(base, list(map(mix, base, other, shares)))

    def _answers(self, pairs: Sequence[Asked], positions: Positions = "target") -> list[Scored]:
        """The counterfactual model's, after the right edit: for the target and the end of it, or everywhere."""
        model, queries = self.module.counterfactual, [query for query, _ in pairs]
        prompts = [lesson.memory.before(query.prompt) for query, lesson in pairs]
        ends = self._mllm.stop_ids[:1] if positions == "target" else ()
        return model.score(model.told(self._mllm, queries, prompts, ends=ends), positions)

    def _base(self, pairs: Sequence[Asked]) -> list[Scored]:
        """The unedited model's answers everywhere."""
        numbers = [self._pool.add(query) for query, _ in pairs]
        return self._mllm.score(self._pool.below(numbers, self._mllm.n_layers), positions="all")

    def _shares(self, pairs: Sequence[Asked]) -> Tensor:
        """The similarity of each query to its edit."""
        where = self._look([query for query, _ in pairs])
        edits = list(dict.fromkeys(lesson.memory.place for _, lesson in pairs))
        columns = [edits.index(lesson.memory.place) for _, lesson in pairs]
        return similarity(self.module.scope.distances(where, edits)[range(len(pairs)), columns])


def cut(base: Scored, other: Scored) -> Scored:
    """What the unedited model answers in the place of what the other one was asked."""
    return replace(other, logits=base.logits[base.first : base.first + len(other.target_ids)])


class SERAC:
    """Semi-parametric editing with a retrieval-augmented counterfactual model."""

    Config: ClassVar[type[SERACConfig]] = SERACConfig

    def __init__(self, config: SERACConfig) -> None:
        self.config = config
        self._learned: _Learned | None = None

    def steps(self, train: Sequence[TrainEdit]) -> int:  # noqa: ARG002
        return self.config.steps

    def fit(
        self,
        mllm: MLLM,
        train_edits: Sequence[TrainEdit],
        validation: Sequence[TrainEdit],
        *,
        work: Path,
        advance: Callable[[int], None],
    ) -> None:
        config = self.config
        with seeded(config.seed):
            scope = Scope.load(config.classifier, mllm, images=config.images)
            counterfactual = Counterfactual.load(config.counterfactual, mllm, config.layers)
        self._learned = _Learned(scope, counterfactual)
        lessons, held = ([self._lesson(mllm, one) for one in part] for part in (train_edits, validation))
        learning = _Learning(config, mllm, self._learned, lessons, held)
        self.report = train(learning, config, work=work, advance=advance)
        self._learned.requires_grad_(False)

    def _lesson(self, mllm: MLLM, one: TrainEdit) -> Lesson:
        (memory,) = remember(mllm, [one.edit.query], self.config.router, images=self.config.images)
        inside = [query for query in (one.text_rephrase, one.image_rephrase) if query is not None]
        outside: list[Query] = []
        if "text" in self.config.negatives:
            outside += one.text_locality
        if "image" in self.config.negatives:
            outside += one.image_locality
        return Lesson(memory, tuple(inside or [one.edit.query]), tuple(outside))

    def fitted(self) -> State:
        learned = self._known()
        return join_states(learned.scope, learned.counterfactual)

    def restore(self, mllm: MLLM, state: State) -> None:
        self._learned = _Learned(*split_state(state)).to(mllm.device).requires_grad_(False)

    def plan(self, mllm: MLLM, edits: Sequence[Edit]) -> MemoryPatch:
        learned, config = self._known(), self.config
        queries = [edit.query for edit in edits]
        memories = tuple(remember(mllm, queries, config.router, images=config.images))
        return MemoryPatch(memories, learned.scope, learned.counterfactual, config.router, config.mixing)

    def _known(self) -> _Learned:
        if self._learned is None:
            raise ValueError("SERAC has to be fitted, or restored, before it plans")
        return self._learned
