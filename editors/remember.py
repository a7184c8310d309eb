"""Remember: the edit nearest to what is asked is told before it as a new fact; no weight changes.

Retrieval and in-context editing at their plainest: what is told is IKE's, without demonstrations, and only to
what is asked about alike. How alike two prompts are is the cosine of their sentence vectors, questions taken
out of the template that models are asked with, and of what the model sees of their images, weighed by
`image_weight`; an image on one side only counts as one that has nothing in common. Below the threshold the
model answers as if nothing was there. Neither answers nor targets take part in what is looked up.

Not published as it stands: the floor that methods with memories have to beat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import torch
from pydantic import Field
from torch import Tensor

from editors.base import Edit, Json, Model, Overlay, State
from editors.families import MethodFamily
from editors.growing import Made
from editors.ike import ASKED, Fact
from editors.memory.scope import Place, images_apart, places
from editors.patches.overlays import RoutedPatch, bare_prompt
from editors.sentences import MINILM, check_apart, load_encoder
from editors.under import mllm_of
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Generated, Positions, Query, Scored
from mmedit_build.mllm.model import BATCH_SIZE
from mmedit_build.recipe.fields import Strict


class RememberConfig(Strict):
    """What is looked up, and how near it has to be."""

    encoder: str = MINILM
    """What finds similar edits: a folder or id of a sentence-transformers checkpoint, or `base` for the mean
    of the model's own input embeddings."""
    threshold: float = 0.8
    """How alike, from -1 to 1, what is asked has to be to what is told; above 1 nothing ever is."""
    image_weight: float = Field(default=1.0, ge=0)
    """How much images count beside words, which count 1; with 0 an edit is told about any image."""


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """An edit as it is remembered."""

    fact: Fact
    place: Place
    vector: Tensor
    """Of the question, of length 1 (width,)."""


class Remember:
    """Telling the model the nearest edit."""

    Config: ClassVar[type[RememberConfig]] = RememberConfig
    family: ClassVar[MethodFamily] = "memory"
    touches: ClassVar[str] = "the prompt"
    batch: ClassVar[bool] = True

    def __init__(self, config: RememberConfig) -> None:
        self.config = config

    def check_asking(self) -> None:
        if self.config.image_weight:
            raise UserError(
                "It compares what the model sees of images, which a served model does not tell: give its "
                "option `image_weight: 0` in an experiment file to compare words alone."
            )
        check_apart(self.config.encoder)

    def plan(self, model: Model, edits: Sequence[Edit]) -> RememberPatch:
        return RememberPatch(tuple(self._remembered(model, edits)), self.config)

    def extend(self, model: Model, made: Made, edits: Sequence[Edit]) -> RememberPatch:
        """Memories beside each other."""
        assert isinstance(made.patch, RememberPatch)
        return RememberPatch((*made.patch.memories, *self._remembered(model, edits)), self.config)

    def _remembered(self, model: Model, edits: Sequence[Edit]) -> list[Memory]:
        # Each by itself, so that an edit is remembered the same whatever is beside it.
        looked = [look(model, [edit.query], self.config) for edit in edits]
        return [
            Memory(Fact.of(model, edit.query), place, vector)
            for edit, ((place,), (vector,)) in zip(edits, looked, strict=True)
        ]


def look(model: Model, queries: Sequence[Query], config: RememberConfig) -> tuple[list[Place], Tensor]:
    """What is looked at of queries, and vectors of their questions (queries, width)."""
    questions = [bare_prompt(model, query.prompt) for query in queries]
    encode = load_encoder(config.encoder, mllm_of(model))
    # Each by itself, since padding may change the last bits.
    vectors = {question: encode([question])[0] for question in dict.fromkeys(questions)}
    seen = places(mllm_of(model), queries, questions, images=config.image_weight > 0)
    return seen, torch.stack([vectors[question] for question in questions])


@dataclass(frozen=True, slots=True, eq=False)
class RememberPatch(RoutedPatch):
    """Tells the nearest of its memories to queries that are near enough."""

    memories: tuple[Memory, ...]
    config: RememberConfig

    def in_scope(self, mllm: MLLM, queries: Sequence[Query]) -> list[bool]:
        return [memory is not None for _, memory in self.routes(mllm, queries)]

    def routes(self, mllm: MLLM, queries: Sequence[Query]) -> list[tuple[float, Memory | None]]:
        """How alike each query is to the memory nearest to it, to the last bit, and that if it is told."""
        if not queries or self.config.threshold > 1:
            return [(0.0, None)] * len(queries)
        alike = self._alike(mllm, queries).max(dim=1)
        return [
            (found, self.memories[number] if found >= self.config.threshold else None)
            for found, number in zip(alike.values.tolist(), alike.indices.tolist(), strict=True)
        ]

    def _alike(self, mllm: MLLM, queries: Sequence[Query]) -> Tensor:
        """(queries, memories), from -1 to 1."""
        asked, vectors = look(mllm, queries, self.config)
        told = torch.stack([memory.vector for memory in self.memories]).to(vectors.device)
        words, weight = (vectors @ told.mT).clamp(-1, 1), self.config.image_weight
        if not weight:
            return words
        apart = images_apart(asked, [memory.place for memory in self.memories]).to(words.device)
        return (words + weight * (1 - apart)) / (1 + weight)

    def other(self, under: Model) -> Model:
        return _Told(under, self)

    @property
    def changed(self) -> int:
        return 0

    def touched(self, mllm: MLLM) -> dict[str, tuple[int, ...]]:  # noqa: ARG002
        return {"the prompt": ()}

    def state(self) -> State:
        images = {
            f"image.{number}": memory.place.image
            for number, memory in enumerate(self.memories)
            if memory.place.image is not None
        }
        vectors = torch.stack([memory.vector for memory in self.memories])
        facts: Json = [[memory.fact.question, memory.fact.target] for memory in self.memories]
        return State({"vectors": vectors, **images}, {"facts": facts, "config": self.config.model_dump()})

    @classmethod
    def from_state(cls, state: State) -> Self:
        facts = [Fact(*fact) for fact in cast("Sequence[Sequence[str]]", state.fields["facts"])]
        seen = [Place(fact.question, state.tensors.get(f"image.{i}")) for i, fact in enumerate(facts)]
        config: dict[str, Any] = dict(cast("dict[str, Any]", state.fields["config"]))
        return cls(
            tuple(map(Memory, facts, seen, state.tensors["vectors"])), RememberConfig.model_validate(config)
        )


class _Told(Overlay):
    """The model under it, told the memory nearest to each query."""

    def __init__(self, under: Model, patch: RememberPatch) -> None:
        super().__init__(under)
        self._patch = patch

    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = BATCH_SIZE
    ) -> list[Scored]:
        return self.under.score(self._told(queries), positions=positions, batch_size=batch_size)

    def write(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = BATCH_SIZE
    ) -> list[Generated]:
        told = self._told(queries)
        return self.under.write(told, max_new_tokens=max_new_tokens, batch_size=batch_size)

    def _told(self, queries: Sequence[Query]) -> list[Query]:
        return [
            query if memory is None else self._after(memory.fact, query)
            for query, (_, memory) in zip(queries, self._patch.routes(mllm_of(self), queries), strict=True)
        ]

    def _after(self, fact: Fact, query: Query) -> Query:
        return replace(query, prompt=f"{fact.told}{ASKED}{bare_prompt(self, query.prompt)}")
