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
from editors.losses import locality_kl, target_nll
from editors.memories import Memory, MemoryPatch, Mixing, Router, join_states, look, mix, remember, split_state
from editors.scope import Scope, alike, scope_loss, similarity
from editors.training import TrainingConfig, seeded, train
from mmedit_build.mllm import MLLM, Query, Scored
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
    batch_size: Count = 10
    """Edits that are looked at together."""
    lr: PositiveFloat = 1e-3
    """Learning rate of Adam."""
    steps: Count = 200
    """The most updates that are made."""


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
        self, config: SERACConfig, mllm: MLLM, module: _Learned, lessons: Sequence[Lesson], held: Sequence[Lesson]
    ) -> None:
        self.module = module
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(module.parameters(), lr=config.lr)
        self.number = len(lessons)
        self._config = config
        self._mllm = mllm
        self._lessons = lessons
        self._held = held

    def loss(self, chosen: Sequence[int], rng: random.Random) -> Tensor:  # noqa: ARG002
        return self._loss([self._lessons[i] for i in chosen])

    def stepped(self) -> None:
        pass

    def validate(self) -> float:
        size = self._config.batch_size
        parts = [self._held[start : start + size] for start in range(0, len(self._held), size)]
        return sum(float(self._loss(part)) * len(part) for part in parts) / len(self._held)

    def _loss(self, lessons: Sequence[Lesson]) -> Tensor:
        return self._supervised(lessons) if self._config.objective == "supervised" else self._mixture(lessons)

    def _supervised(self, lessons: Sequence[Lesson]) -> Tensor:
        """0.1 NLL of the answers after the right edit, and -log s or -log(1 - s) of all pairs."""
        inside = [(query, lesson) for lesson in lessons for query in lesson.inside]
        answered = target_nll(self._answers(inside)).mean()
        return self._config.edit_weight * answered + self._scope_loss(lessons)

    def _scope_loss(self, lessons: Sequence[Lesson]) -> Tensor:
        queries = [(query, i, True) for i, one in enumerate(lessons) for query in one.inside]
        queries += [(query, i, False) for i, one in enumerate(lessons) for query in one.outside]
        where = look(self._mllm, [one[0] for one in queries], self._config.router, images=self._config.images)
        edits = [lesson.memory.place for lesson in lessons]
        distances = self.module.scope.distances(where, edits)
        near = torch.zeros(distances.shape, dtype=torch.bool)
        far = torch.zeros(distances.shape, dtype=torch.bool)
        for row, (place, (_, own, inside)) in enumerate(zip(where, queries, strict=True)):
            for column, edit in enumerate(edits):
                if column == own:
                    (near if inside else far)[row, column] = inside or not alike(place, edit)
                elif "others" in self._config.negatives:
                    # An edit of the same prompt has the same scope.
                    far[row, column] = not alike(edits[own], edit) and not alike(place, edit)
        return scope_loss(distances[near.to(distances.device)], distances[far.to(distances.device)])

    def _answers(self, pairs: Sequence[Asked]) -> list[Scored]:
        """The counterfactual model's answers where the target is predicted, and the end of it."""
        model, queries = self.module.counterfactual, [query for query, _ in pairs]
        prompts = [lesson.memory.before(query.prompt) for query, lesson in pairs]
        return model.score(model.told(self._mllm, queries, prompts, ends=self._mllm.stop_ids[:1]), "target")

    def _mixture(self, lessons: Sequence[Lesson]) -> Tensor:
        """0.1 NLL of the mixture's answers, and KL where it shall answer as the base model does."""
        raise NotImplementedError


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
