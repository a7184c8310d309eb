"""Patches that leave the model alone: they rewrite what it is asked, or ask another model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar, cast

from editors.areas import Area
from editors.base import Model, Overlay, State
from editors.under import mllm_of
from mmedit_build.mllm import MLLM, Below, Generated, Positions, Query, Scored
from mmedit_build.mllm.model import BATCH_SIZE

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class PromptPatch:
    """Puts a text, made of pieces, before every prompt and after the image."""

    pieces: tuple[str, ...]
    spare: tuple[int, ...] = ()
    """Pieces to be left out where a query with all of them would be too long, the first to go first."""
    bare: bool = False
    """Whether questions are taken out of the template of the model's family before that."""

    @contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        yield _Prefixed(model, self) if self.pieces else model

    def first_layer(self, mllm: MLLM) -> int | None:
        """With a text before them, all prompts are new to the model."""
        return None if self.pieces else mllm.n_layers

    @property
    def changed(self) -> int:
        return 0

    @property
    def preserves(self) -> bool:
        return True

    def touched(self, mllm: MLLM) -> Area:  # noqa: ARG002
        return {"the prompt": ()}

    def state(self) -> State:
        return State(fields={"pieces": self.pieces, "spare": self.spare, "bare": self.bare})

    @classmethod
    def from_state(cls, state: State) -> Self:
        pieces, spare = (cast("Sequence[Any]", state.fields[name]) for name in ("pieces", "spare"))
        return cls(tuple(pieces), tuple(spare), bare=bool(state.fields["bare"]))


class _Prefixed(Overlay):
    def __init__(self, under: Model, patch: PromptPatch) -> None:
        super().__init__(under)
        self._patch = patch

    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = BATCH_SIZE
    ) -> list[Scored]:
        prefixed = self._prefixed(queries, 0)
        return self.under.score(prefixed, positions=positions, batch_size=batch_size)

    def write(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = BATCH_SIZE
    ) -> list[Generated]:
        prefixed = self._prefixed(queries, max_new_tokens)
        return self.under.write(prefixed, max_new_tokens=max_new_tokens, batch_size=batch_size)

    def lifted(
        self, queries: Sequence[Query], *, new_tokens: int = 0, batch_size: int = BATCH_SIZE
    ) -> tuple[Model, Sequence[Query]]:
        prefixed = self._prefixed(queries, 0)
        if new_tokens and prefixed != self._prefixed(queries, new_tokens):
            # What is written has less room than targets have, or more.
            return self, queries
        return self.under.lifted(prefixed, new_tokens=new_tokens, batch_size=batch_size)

    def _prefixed(self, queries: Sequence[Query], new_tokens: int) -> list[Query]:
        """Each query with as many pieces as it has room for."""
        if self._patch.bare:
            queries = [replace(query, prompt=bare_prompt(self, query.prompt)) for query in queries]
        prefixed = [self._with(query, 0) for query in queries]
        room = mllm_of(self).have_room(prefixed, new_tokens)
        return [
            one if enough else self._shortened(query, new_tokens)
            for one, enough, query in zip(prefixed, room, queries, strict=True)
        ]

    def _shortened(self, query: Query, new_tokens: int) -> Query:
        """The query with as few pieces left out as its room asks for."""
        most = len(self._patch.spare)

        def fits(left_out: int) -> bool:
            return mllm_of(self).have_room([self._with(query, left_out)], new_tokens)[0]

        return self._with(query, bisect_left(range(most), True, key=fits))

    def _with(self, query: Query, left_out: int) -> Query:
        gone = self._patch.spare[:left_out]
        kept = [piece for i, piece in enumerate(self._patch.pieces) if i not in gone]
        return replace(query, prompt="".join(kept) + query.prompt)


def bare_prompt(model: Model, prompt: str) -> str:
    """The question in a prompt, if it stands in the template of the model's family; else the prompt."""
    before, after = model.question_prompt("\0").split("\0")
    if prompt.startswith(before) and prompt.endswith(after):
        return prompt[len(before) : len(prompt) - len(after)]
    return prompt


class RoutedPatch(ABC):
    """Sends the queries in its scope to another model; the rest are answered as if it were not there."""

    @abstractmethod
    def in_scope(self, mllm: MLLM, queries: Sequence[Query]) -> list[bool]:
        """Which of the queries the other model answers."""

    def routes(self, mllm: MLLM, queries: Sequence[Query]) -> Sequence[object]:
        """All that decides about each query, for a test that its target does not."""
        return self.in_scope(mllm, queries)

    @abstractmethod
    def other(self, under: Model) -> Model:
        """The other model, which may ask the one under it."""

    def part(self, indices: Sequence[int]) -> RoutedPatch:  # noqa: ARG002  # queries are all alike to most
        """What acts on these queries of a call, when they are given by themselves."""
        return self

    @contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        yield _Routed(model, self)

    def first_layer(self, mllm: MLLM) -> int | None:
        return mllm.n_layers

    @property
    def preserves(self) -> bool:
        return True

    def touched(self, mllm: MLLM) -> Area:  # noqa: ARG002
        return {"nothing, as another model answers": ()}


class _Routed(Overlay):
    def __init__(self, under: Model, patch: RoutedPatch) -> None:
        super().__init__(under)
        self._patch = patch

    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = BATCH_SIZE
    ) -> list[Scored]:
        def ask(model: Model, part: Sequence[Query]) -> list[Scored]:
            return model.score(part, positions=positions, batch_size=batch_size)

        return self._routed(queries, queries, ask)

    def write(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = BATCH_SIZE
    ) -> list[Generated]:
        def ask(model: Model, part: Sequence[Query]) -> list[Generated]:
            return model.write(part, max_new_tokens=max_new_tokens, batch_size=batch_size)

        # What is written is not known before, also where the queries carry targets.
        return self._routed(queries, [replace(query, target="") for query in queries], ask)

    def _routed(
        self,
        queries: Sequence[Query],
        known: Sequence[Query],
        ask: Callable[[Model, Sequence[Query]], list[Answer]],
    ) -> list[Answer]:
        inside = self._patch.in_scope(mllm_of(self), known)
        if not any(inside):
            return ask(self.under, queries)
        there, here = ([i for i, one in enumerate(inside) if one is side] for side in (True, False))
        other = self._patch.part(there).other(self.under)
        told = zip(there, ask(other, take(queries, there)), strict=True)
        answers = dict(told) | dict(zip(here, ask(self.under, take(queries, here)), strict=True))
        return [answers[i] for i in range(len(queries))]


def take(queries: Sequence[Query], indices: Sequence[int]) -> Sequence[Query]:
    """The chosen queries; of a `Below`, with what it knows of them."""
    return queries.take(indices) if isinstance(queries, Below) else [queries[i] for i in indices]
