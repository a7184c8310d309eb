"""SERAC's patch: a second model answers what is in the scope of an edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar, cast

import torch
from torch import Tensor

from editors.base import Json, Model, Overlay, State
from editors.learning.training import seeded
from editors.memory.counterfactual import Counterfactual, Told
from editors.memory.memories import EPSILON, Memory, Mixing, Router, look, mix
from editors.memory.scope import Place, Scope, in_scope, similarity
from editors.patches.overlays import RoutedPatch, take
from editors.under import mllm_of
from mmedit_build.mllm import MLLM, Generated, Positions, Query, Scored
from mmedit_build.mllm.batching import in_batches
from mmedit_build.mllm.model import BATCH_SIZE

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, eq=False)
class MemoryPatch(RoutedPatch):
    """Answers queries near one of the edits by the counterfactual model, told of the nearest one."""

    memories: tuple[Memory, ...]
    scope: Scope
    counterfactual: Counterfactual
    router: Router = "prompt"
    mixing: Mixing = "hard"

    def in_scope(self, mllm: MLLM, queries: Sequence[Query]) -> list[bool]:
        if not self.memories or not queries:
            return [False] * len(queries)
        shares, _ = self.route(mllm, queries)
        found: list[bool] = (in_scope(shares) if self.mixing == "hard" else shares > EPSILON).tolist()
        return found

    def route(self, mllm: MLLM, queries: Sequence[Query]) -> tuple[Tensor, list[Memory]]:
        """How much of each query the nearest edit takes, and that edit."""
        nearest = self.apart(mllm, queries).min(dim=1)
        return similarity(nearest.values), [self.memories[i] for i in nearest.indices.tolist()]

    def apart(self, mllm: MLLM, queries: Sequence[Query]) -> Tensor:
        """Squared distances (queries, memories)."""
        scope = _placed(self.scope, mllm.device)
        where = look(mllm, queries, self.router, images=scope.images)
        return scope.fixed_distances(where, [one.place for one in self.memories])

    def routes(self, mllm: MLLM, queries: Sequence[Query]) -> list[object]:
        """The share, to the last bit, and the memory of each query."""
        if not self.memories or not queries:
            return [None] * len(queries)
        shares, memories = self.route(mllm, queries)
        return list(zip(shares.tolist(), memories, strict=True))

    def other(self, under: Model) -> Model:
        _placed(self.counterfactual, mllm_of(under).device)
        return _Told(under, self) if self.mixing == "hard" else _Mixed(under, self)

    @property
    def changed(self) -> int:
        return 0

    def state(self) -> State:
        kept = join_states(self.scope, self.counterfactual)
        images = [one.place.image for one in self.memories]
        tensors = {f"image.{i}": image for i, image in enumerate(images) if image is not None}
        fields: dict[str, Json] = {
            "memories": [[one.prompt, one.target, one.place.text] for one in self.memories],
            "router": self.router,
            "mixing": self.mixing,
        }
        return State({**kept.tensors, **tensors}, {**kept.fields, **fields})

    @classmethod
    def from_state(cls, state: State) -> Self:
        rows = cast("Sequence[Sequence[str]]", state.fields["memories"])
        memories = tuple(
            Memory(prompt, target, Place(text, state.tensors.get(f"image.{i}")))
            for i, (prompt, target, text) in enumerate(rows)
        )
        router, mixing = (cast("Any", state.fields[name]) for name in ("router", "mixing"))
        return cls(memories, *split_state(state), router, mixing)


Learned = TypeVar("Learned", Scope, Counterfactual)


def _placed(module: Learned, device: torch.device) -> Learned:
    """The module on a device. One that is there is not gone through, which takes longer than a small pass."""
    return module if next(module.parameters()).device == device else module.to(device)


def join_states(scope: Scope, counterfactual: Counterfactual) -> State:
    """What was learned, as one state."""
    sides = {"scope": scope.state(), "counterfactual": counterfactual.state()}
    tensors = {f"{side}.{name}": one for side, state in sides.items() for name, one in state.tensors.items()}
    return State(tensors, {side: dict(state.fields) for side, state in sides.items()})


def split_state(state: State) -> tuple[Scope, Counterfactual]:
    """What `join_states` joined."""

    def side(name: str) -> State:
        prefix = f"{name}."
        own = {key.removeprefix(prefix): one for key, one in state.tensors.items() if key.startswith(prefix)}
        return State(own, cast("dict[str, Json]", state.fields[name]))

    # Modules draw weights when they are made, though these are overwritten.
    with seeded(0):
        return Scope.from_state(side("scope")), Counterfactual.from_state(side("counterfactual"))


class _Told(Overlay):
    """The counterfactual model, told the edit nearest to each query."""

    def __init__(self, under: Model, patch: MemoryPatch) -> None:
        super().__init__(under)
        self._patch = patch
        self._mllm = mllm_of(under)

    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = BATCH_SIZE
    ) -> list[Scored]:
        _, memories = self._patch.route(self._mllm, queries)
        return self._scored(queries, memories, positions, batch_size)

    @torch.no_grad()
    def _scored(
        self, queries: Sequence[Query], memories: Sequence[Memory], positions: Positions, batch_size: int
    ) -> list[Scored]:
        told = self._after(queries, memories)
        return in_batches(
            [one.row.length for one in told],
            batch_size,
            lambda part: self._patch.counterfactual.score([told[i] for i in part], positions=positions),
        )

    def write(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = BATCH_SIZE
    ) -> list[Generated]:
        queries = [replace(query, target="") for query in queries]
        _, memories = self._patch.route(self._mllm, queries)
        return self._written(queries, memories, max_new_tokens, batch_size)

    def _written(
        self, queries: Sequence[Query], memories: Sequence[Memory], max_new_tokens: int, batch_size: int
    ) -> list[Generated]:
        told = self._after(queries, memories, max_new_tokens)
        said = in_batches(
            [one.row.length for one in told],
            batch_size,
            lambda part: self._patch.counterfactual.write(
                [told[i] for i in part], max_new_tokens, self._mllm.stop_ids
            ),
        )
        return [Generated(self._text(ids).strip(), tuple(log_probs)) for ids, log_probs in said]

    def _after(self, queries: Sequence[Query], memories: Sequence[Memory], new_tokens: int = 0) -> list[Told]:
        prompts = [one.before(query.prompt) for query, one in zip(queries, memories, strict=True)]
        return self._patch.counterfactual.told(self._mllm, queries, prompts, new_tokens=new_tokens)

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._mllm.tokenizer.decode(list(ids), skip_special_tokens=True))


class _Mixed(_Told):
    """Both models: the mean of their probabilities, weighed by how far the query is in scope."""

    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = BATCH_SIZE
    ) -> list[Scored]:
        shares, memories = self._patch.route(self._mllm, queries)
        return self._mixture(queries, shares, memories, positions, batch_size)

    def _mixture(
        self,
        queries: Sequence[Query],
        shares: Tensor,
        memories: Sequence[Memory],
        positions: Positions,
        batch_size: int,
    ) -> list[Scored]:
        base = self.under.score(queries, positions=positions, batch_size=batch_size)
        other = self._scored(queries, memories, positions, batch_size)
        return [mix(*three) for three in zip(base, other, shares, strict=True)]

    def write(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = BATCH_SIZE
    ) -> list[Generated]:
        shares, memories = self._patch.route(self._mllm, [replace(query, target="") for query in queries])
        sure = (shares >= 1 - EPSILON).tolist()
        there, here = ([i for i, one in enumerate(sure) if one is side] for side in (True, False))
        found: dict[int, Generated] = {}
        if there:
            alone = [replace(queries[i], target="") for i in there]
            said = self._written(alone, [memories[i] for i in there], max_new_tokens, batch_size)
            found.update(zip(there, said, strict=True))
        if here:
            told = [memories[i] for i in here]
            said = self._mixed(take(queries, here), shares[here], told, max_new_tokens, batch_size)
            found.update(zip(here, said, strict=True))
        return [found[i] for i in range(len(queries))]

    def _mixed(
        self,
        queries: Sequence[Query],
        shares: Tensor,
        memories: Sequence[Memory],
        max_new_tokens: int,
        batch_size: int,
    ) -> list[Generated]:
        """Token by token, by scoring what is written so far: the model under takes text and no tokens."""
        # The first tokens are predicted before any target, and so by what may be known of the queries.
        scored = self._mixture(queries, shares, memories, "all", batch_size)
        best = [one.logits[one.first].max(dim=-1) for one in scored]
        ids, log_probs = [[int(one.indices)] for one in best], [[float(one.values)] for one in best]
        for _ in range(max_new_tokens - 1):
            live = [i for i, said in enumerate(ids) if said[-1] not in self._mllm.stop_ids]
            if not live:
                break
            asked = [replace(queries[i], target=self._text(ids[i])) for i in live]
            told = [memories[i] for i in live]
            for i, one in zip(live, self._mixture(asked, shares[live], told, "all", batch_size), strict=True):
                following = one.logits[-1].max(dim=-1)
                ids[i].append(int(following.indices))
                log_probs[i].append(float(following.values))
        return [self._generated(*pair) for pair in zip(ids, log_probs, strict=True)]

    def _generated(self, ids: Sequence[int], log_probs: Sequence[float]) -> Generated:
        number = len(ids) - (ids[-1] in self._mllm.stop_ids)
        return Generated(self._text(ids).strip(), tuple(log_probs[:number]))
