"""IKE: the new fact and demonstrations of how to use one stand before every prompt; no weight changes.

Zheng et al., "Can We Edit Factual Knowledge by In-Context Learning?" (arXiv 2305.12740). Demonstrations are
made of the train edits nearest to the edit: copy (the fact's own prompt), update (its rephrase) and retain
(a question that it does not touch). The nearest one stands last, and the edit's own copy follows it.
`variant: easyedit` is what EasyEdit runs on multimodal models: the most similar demonstrations of any type,
the most similar first.

Differences: the demonstrations are text only, as in EasyEdit, and only the query's image is seen; a prompt
that would be too long for the model loses whole demonstrations, the farthest first, where EasyEdit runs over;
questions are taken out of the template that models are asked with, and stand bare after "Prompt:".
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor

from editors.base import Edit, Model, State, TrainEdit
from editors.families import MethodFamily
from editors.patches.overlays import PromptPatch, bare_prompt
from editors.sentences import MINILM, Encode, check_apart, load_encoder
from editors.under import mllm_of
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from mmedit_build.recipe.fields import Strict, Whole

COPY, UPDATE, RETAIN = KINDS = ("copy", "update", "retain")
ASKED = "Prompt: "
"""What stands between what is told and what is asked."""


class IKEConfig(Strict):
    """The 32 demonstrations of the paper."""

    encoder: str = MINILM
    """What finds similar edits: a folder or id of a sentence-transformers checkpoint, or `base` for the mean
    of the model's own input embeddings."""
    copies: Whole = 4
    """Demonstrations that ask for the fact as it was told."""
    updates: Whole = 12
    """Demonstrations that ask for it in other words."""
    retains: Whole = 16
    """Demonstrations that ask something else."""
    self_copy: bool = True
    """Whether the edit's own copy demonstration follows those of others."""
    variant: Literal["ike", "easyedit"] = "ike"
    """easyedit takes as many demonstrations in all, of whatever type, the most similar first."""
    seed: int = 0
    """Decides which neighbor shows which type."""

    @property
    def number(self) -> int:
        return self.copies + self.updates + self.retains


@dataclass(frozen=True, slots=True)
class _Pool:
    """Of each train edit: its demonstrations by type, and vectors (edits, types, width) to find them by."""

    ids: tuple[str, ...]
    demonstrations: tuple[tuple[str, ...], ...]
    vectors: Tensor


class IKE:
    """In-context knowledge editing."""

    Config: ClassVar[type[IKEConfig]] = IKEConfig
    family: ClassVar[MethodFamily] = "memory"
    touches: ClassVar[str] = "the prompt"
    batch: ClassVar[bool] = True

    def __init__(self, config: IKEConfig) -> None:
        self.config = config
        self._pool: _Pool | None = None
        self._encode: Encode | None = None

    def check_asking(self) -> None:
        if self.config.number:
            without = ", or show no demonstrations (`copies: 0`, `updates: 0` and `retains: 0`)"
            check_apart(self.config.encoder, without)

    # Learning is remembering the train split and the vectors of its sentences

    def steps(self, train: Sequence[TrainEdit]) -> int:
        return len(train)

    def fit(
        self,
        mllm: MLLM,
        train: Sequence[TrainEdit],
        validation: Sequence[TrainEdit],  # noqa: ARG002  # nothing is trained that could be validated
        *,
        work: Path,  # noqa: ARG002  # done within a minute
        advance: Callable[[int], None],
    ) -> None:
        whole = self._whole(train)
        shown = tuple(_demonstrations(mllm, one) for one in whole)
        known = KINDS if self.config.variant == "easyedit" else KINDS[:1]
        texts = [text for demonstrations in shown for text in demonstrations[: len(known)]]
        vectors = self._vectors(mllm, texts).reshape(len(whole), len(known), -1) if texts else torch.empty(0)
        self._pool = _Pool(tuple(one.edit.id for one in whole), shown, vectors)
        advance(len(train))

    def _whole(self, train: Sequence[TrainEdit]) -> list[TrainEdit]:
        """The train edits that can show each type."""
        number = self.config.number
        whole = [one for one in train if one.text_rephrase and one.text_locality] if number else []
        if number and not whole:
            raise UserError(
                f"IKE shall show {number} demonstrations, but no train edit has both a rephrase and text "
                "locality: give a train split that does, or set copies, updates and retains to 0."
            )
        return whole

    def fitted(self) -> State:
        pool = self._known_pool()
        fields = {"ids": pool.ids, "demonstrations": pool.demonstrations}
        return State({"vectors": pool.vectors}, fields)

    def restore(self, mllm: MLLM, state: State) -> None:  # noqa: ARG002  # the vectors are those of this model
        ids, rows = (cast("Sequence[Any]", state.fields[name]) for name in ("ids", "demonstrations"))
        self._pool = _Pool(tuple(ids), tuple(map(tuple, rows)), state.tensors["vectors"])

    # Planning

    def plan(self, model: Model, edits: Sequence[Edit]) -> PromptPatch:
        facts = [Fact.of(model, edit.query) for edit in edits]
        demonstrations = self._chosen(mllm_of(model), edits, facts)
        copies = [fact.asked(fact.question, fact.target) for fact in facts] if self.config.self_copy else []
        # The farthest goes first, and the edit's own copy last.
        order = range(len(demonstrations))
        farthest = list(reversed(order) if self.config.variant == "easyedit" else order)
        spare = (*farthest, *range(len(demonstrations), len(demonstrations) + len(copies)))
        told = "".join(fact.told for fact in facts) + ASKED
        return PromptPatch((*demonstrations, *copies, told), spare, bare=True)

    def _chosen(self, mllm: MLLM, edits: Sequence[Edit], facts: Sequence[Fact]) -> list[str]:
        """The demonstrations in the order in which they are shown."""
        number = self.config.number
        if not number:
            return []
        pool = self._known_pool()
        asked = self._vectors(mllm, ["".join(fact.asked(fact.question, fact.target) for fact in facts)])[0]
        own = {edit.id for edit in edits}
        others = [i for i, name in enumerate(pool.ids) if name not in own]
        likeness = pool.vectors[others] @ asked
        nearest = likeness.flatten().argsort(descending=True, stable=True)[:number].tolist()
        kinds = pool.vectors.shape[1]
        if self.config.variant == "easyedit":
            return [pool.demonstrations[others[i // kinds]][i % kinds] for i in nearest]
        shown = zip(nearest, self._kinds(edits), strict=False)
        return [pool.demonstrations[others[i]][kind] for i, kind in shown][::-1]

    def _kinds(self, edits: Sequence[Edit]) -> list[int]:
        """The types of the demonstrations, shuffled anew for each edit."""
        counts = (self.config.copies, self.config.updates, self.config.retains)
        kinds = [kind for kind, count in enumerate(counts) for _ in range(count)]
        random.Random(f"{self.config.seed}/{'/'.join(edit.id for edit in edits)}").shuffle(kinds)
        return kinds

    def _known_pool(self) -> _Pool:
        if self._pool is None:
            raise ValueError("IKE has to be fitted, or restored, before it plans")
        return self._pool

    def _vectors(self, mllm: MLLM, texts: Sequence[str]) -> Tensor:
        if self._encode is None:
            self._encode = load_encoder(self.config.encoder, mllm)
        return self._encode(texts)


@dataclass(frozen=True, slots=True)
class Fact:
    """What is told of an edit."""

    question: str
    target: str

    @classmethod
    def of(cls, model: Model, query: Query) -> Fact:
        return cls(bare_prompt(model, query.prompt), query.target.strip())

    @property
    def told(self) -> str:
        """As a line of its own."""
        return f"New Fact: {self.question} {self.target}\n"

    def asked(self, prompt: str, answer: str) -> str:
        """One demonstration."""
        return f"{self.told}{ASKED}{prompt} {answer}\n\n"


def _demonstrations(mllm: MLLM, train: TrainEdit) -> tuple[str, ...]:
    """Copy, update and retain."""
    fact = Fact.of(mllm, train.edit.query)
    queries = (train.edit.query, train.text_rephrase, *train.text_locality[:1])
    others = [Fact.of(mllm, query) for query in queries if query is not None]
    return tuple(fact.asked(other.question, other.target) for other in others)
