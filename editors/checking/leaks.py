"""The swap test: what a patched model does before a target must not depend on that target.

A probe is scored along its target, which is so part of what the model is given. A method that decides by it
what is in its scope, or what it looks up, knows the answer that it is asked for. To see that, a target is
replaced by another one of as many tokens: then all shapes are equal, and what comes before the first token
that differs has to be the same to the last bit. As each query is also put along the target of the edit,
whoever looks for that one is found, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from editors.base import Model, Overlay, Patch
from editors.checking.swaps import Swap
from editors.patches.overlays import RoutedPatch
from mmedit_build.errors import shortened
from mmedit_build.mllm import MLLM, Generated, Positions, Query, Scored
from mmedit_build.mllm.model import BATCH_SIZE
from mmedit_build.pictures import image_key

NEW_TOKENS = 8
"""How long free answers are that are compared."""


@dataclass(frozen=True, slots=True)
class Leaks:
    """For each way in which a target can show, the first query where it does, in a sentence; or None."""

    logits: str | None
    """In what is predicted before anything of the target is known."""
    routes: str | None
    """In what the patch chooses: who answers, and what the model under it is asked."""
    answers: str | None
    """In free answers, for which there is no target at all."""


@dataclass(frozen=True, slots=True)
class _Side:
    """What came of the queries with one of their targets each."""

    scored: list[Scored]
    routes: list[object]
    answers: list[Generated]


def find_leaks(mllm: MLLM, patch: Patch, swaps: Sequence[Swap]) -> Leaks:
    """Put each query to the patched model with both of its targets."""
    watched = _Watched(mllm)
    with patch.applied(watched) as model:
        one = _side(mllm, patch, model, watched, [swap.one for swap in swaps])
        other = _side(mllm, patch, model, watched, [swap.other for swap in swaps])
    numbers = range(len(swaps))
    logits = (i for i in numbers if not _alike(one.scored[i], other.scored[i], swaps[i].common))
    routes = (i for i in numbers if one.routes[i] != other.routes[i])
    answers = (i for i in numbers if one.answers[i] != other.answers[i])
    return Leaks(
        _told("what is predicted before the target changes", swaps, logits),
        _told("what the patch chooses changes", swaps, routes),
        _told("the free answer changes", swaps, answers),
    )


def _side(mllm: MLLM, patch: Patch, model: Model, watched: _Watched, queries: Sequence[Query]) -> _Side:
    chosen = patch.routes(mllm, queries) if isinstance(patch, RoutedPatch) else [None] * len(queries)
    scored: list[Scored] = []
    routes: list[object] = []
    for query, choice in zip(queries, chosen, strict=True):
        # Alone, so that what reaches the model below is of this query.
        watched.seen.clear()
        scored += model.score([query], positions="all")
        routes.append((choice, tuple(watched.seen)))
    return _Side(scored, routes, model.write(queries, max_new_tokens=NEW_TOKENS))


def _alike(one: Scored, other: Scored, common: int) -> bool:
    """Whether all is the same up to the prediction of the first target token that differs."""
    end = one.first + common + 1
    return (one.first, len(one.logits)) == (other.first, len(other.logits)) and torch.equal(
        one.logits[:end], other.logits[:end]
    )


def _told(what: str, swaps: Sequence[Swap], places: Iterator[int]) -> str | None:
    for place in places:
        one, other = swaps[place].one, swaps[place].other
        return (
            f"Of {shortened(repr(one.prompt))}, {what} when the target {shortened(repr(one.target))} is "
            f"replaced by {shortened(repr(other.target))}."
        )
    return None


class _Watched(Overlay):
    """The model itself, noting which queries reach it: images and prompts, not the targets."""

    def __init__(self, under: Model) -> None:
        super().__init__(under)
        self.seen: list[tuple[str, str]] = []

    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = BATCH_SIZE
    ) -> list[Scored]:
        self._note(queries)
        return self.under.score(queries, positions=positions, batch_size=batch_size)

    def write(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = BATCH_SIZE
    ) -> list[Generated]:
        self._note(queries)
        return self.under.write(queries, max_new_tokens=max_new_tokens, batch_size=batch_size)

    def _note(self, queries: Sequence[Query]) -> None:
        for query in queries:
            self.seen.append(("" if query.image is None else image_key(query.image), query.prompt))
