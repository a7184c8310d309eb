"""How SERAC learns: what is in scope of an edit and what is not, and what the edit says."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from editors.learning.lessons import Pool
from editors.losses import locality_kl, target_nll
from editors.memory.config import SERACConfig
from editors.memory.counterfactual import Counterfactual
from editors.memory.memories import Memory, look, mix
from editors.memory.scope import Place, Scope, alike, in_scope, scope_loss, similarity
from mmedit_build.mllm import MLLM, Positions, Query, Scored


@dataclass(frozen=True, slots=True)
class ScopedEdit:
    """A train edit with queries in its scope and queries out of it; all carry targets."""

    memory: Memory
    inside: tuple[Query, ...]
    outside: tuple[Query, ...]


Asked = tuple[Query, ScopedEdit]
"""A query and the edit it is asked after."""


class Learned(nn.Module):
    """All that is learned."""

    def __init__(self, scope: Scope, counterfactual: Counterfactual) -> None:
        super().__init__()
        self.scope = scope
        self.counterfactual = counterfactual


class Teaching:
    """What the training loop is given."""

    def __init__(
        self,
        config: SERACConfig,
        mllm: MLLM,
        module: Learned,
        scoped: Sequence[ScopedEdit],
        held: Sequence[ScopedEdit],
    ) -> None:
        self.module: nn.Module = module
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(module.parameters(), lr=config.lr)
        self.number = len(scoped)
        self._config = config
        self._mllm = mllm
        self._learned = module
        self._scoped = scoped
        self._held = held
        self._pool = Pool(mllm, config.keep_bytes)

    def loss(self, chosen: Sequence[int], rng: random.Random) -> Tensor:
        scoped = [self._scoped[i] for i in chosen]
        if self._config.objective == "mixture":
            return self.mixture(scoped)
        told = [self._exchanged(edit, rng) for edit in scoped]
        return self._config.edit_weight * self._nll(told) + scope_loss(*self.distances(scoped))

    def stepped(self) -> None:
        """Nothing has to be done after an update."""

    def validate(self) -> float:
        size = self._config.batch_size
        parts = [self._held[start : start + size] for start in range(0, len(self._held), size)]
        return sum(self._judged(part) * len(part) for part in parts) / len(self._held)

    def _judged(self, scoped: Sequence[ScopedEdit]) -> float:
        if self._config.objective == "mixture":
            return float(self.mixture(scoped))
        # Wrong decisions are counted: their loss still changes long after the last decision did.
        near, far = (in_scope(similarity(distances)) for distances in self.distances(scoped))
        missed, taken = 1 - near.float().mean(), far.float().mean() if len(far) else 0.0
        return float(self._nll(scoped) + missed + taken)

    # Each by itself

    def distances(self, scoped: Sequence[ScopedEdit]) -> tuple[Tensor, Tensor]:
        """Squared distances of queries and edits that belong together, and of those that do not."""
        queries = [(query, i, True) for i, one in enumerate(scoped) for query in one.inside]
        queries += [(query, i, False) for i, one in enumerate(scoped) for query in one.outside]
        where = self._look([query for query, _, _ in queries])
        edits = [edit.memory.place for edit in scoped]
        distances = self._learned.scope.distances(where, edits)
        near = torch.zeros(distances.shape, dtype=torch.bool, device=distances.device)
        far = near.clone()
        for row, (place, (_, own, inside)) in enumerate(zip(where, queries, strict=True)):
            near[row, own] = inside
            far[row, own] = not inside and not alike(place, edits[own])
            for column, edit in enumerate(edits):
                if column != own and "others" in self._config.negatives:
                    # What edits alike are asked is in the scope of each of them.
                    far[row, column] = not alike(edits[own], edit) and not alike(place, edit)
        return distances[near], distances[far]

    def _exchanged(self, edit: ScopedEdit, rng: random.Random) -> ScopedEdit:
        """The edit, or the same with the target of any."""
        if rng.random() >= self._config.exchange:
            return edit
        target = rng.choice(self._scoped).memory.target
        inside = tuple(replace(query, target=target) for query in edit.inside)
        return replace(edit, memory=replace(edit.memory, target=target), inside=inside)

    def _nll(self, scoped: Sequence[ScopedEdit]) -> Tensor:
        """Of the counterfactual model's answers, told the right edit."""
        return target_nll(self._answers([(query, one) for one in scoped for query in one.inside])).mean()

    # Both together

    def mixture(self, scoped: Sequence[ScopedEdit]) -> Tensor:
        """0.1 NLL of the mixture's answers in scope, and KL where it shall answer as the base model does."""
        inside = [(query, edit) for edit in scoped for query in edit.inside]
        outside = [(query, edit) for edit in scoped for query in edit.outside]
        base, shares = self._base([*inside, *outside]), self._shares([*inside, *outside])
        told = zip(base[: len(inside)], self._answers(inside), shares[: len(inside)], strict=True)
        nll = target_nll([mix(_cut(before, other), other, share) for before, other, share in told])
        loss = self._config.edit_weight * nll.sum() / len(scoped)
        if outside:
            before, others = base[len(inside) :], self._answers(outside, "all")
            loss = loss + locality_kl(before, list(map(mix, before, others, shares[len(inside) :])))
        return loss

    def _base(self, pairs: Sequence[Asked]) -> list[Scored]:
        """The unedited model's answers everywhere."""
        numbers = [self._pool.add(query) for query, _ in pairs]
        return self._mllm.score(self._pool.below(numbers, self._mllm.n_layers), positions="all")

    def _shares(self, pairs: Sequence[Asked]) -> Tensor:
        """The similarity of each query to its edit."""
        where = self._look([query for query, _ in pairs])
        edits = [edit.memory.place for _, edit in pairs]
        return similarity(self._learned.scope.distances(where, edits).diagonal())

    # For both

    def _look(self, queries: Sequence[Query]) -> list[Place]:
        return look(self._mllm, queries, self._config.router, images=self._config.images)

    def _answers(self, pairs: Sequence[Asked], positions: Positions = "target") -> list[Scored]:
        """The counterfactual model's, told the right edit: for the target and its end, or everywhere."""
        model, queries = self._learned.counterfactual, [query for query, _ in pairs]
        prompts = [edit.memory.before(query.prompt) for query, edit in pairs]
        ends = self._mllm.stop_ids[:1] if positions == "target" else ()
        return model.score(model.told(self._mllm, queries, prompts, ends=ends), positions)


def _cut(base: Scored, other: Scored) -> Scored:
    """What the unedited model answers where the other one was asked for the target and its end."""
    return replace(other, logits=base.logits[base.first : base.first + len(other.target_ids)])
