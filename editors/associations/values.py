"""The target of ROME, MEMIT and AlphaEdit: what a module must give out for an edit to be answered.

Section 3.1 of Meng et al., "Locating and Editing Factual Associations in GPT" (arXiv 2202.05262): a vector is
added to the output of a module at the looked-up position and learned by gradient descent on the answer, while
the essence of what the edit is about keeps its next token. As in the published code, the length of the vector
counts by its norm, not by the square of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from editors.associations.lookup import Contexts, Places, look, places
from editors.losses import target_nll
from editors.patches.hooks import Hook, hooked
from editors.portions import portions
from mmedit_build.mllm import MLLM, Batch, Query, Scored
from mmedit_build.recipe.fields import Count, Strict

CHUNK = 16
"""Edits whose vectors are learned at a time."""


class ValueConfig(Strict):
    """How the vector of an edit is learned."""

    lr: PositiveFloat = 0.5
    """Learning rate of Adam."""
    steps: Count = 20
    """The most times that the loss is looked at; the vector moves once less."""
    stop_below: float = 0.05
    """Stop when the loss is lower."""
    kl: float = Field(default=0.0625, ge=0)
    """How much it counts that the essence keeps its next token."""
    decay: float = Field(default=0.5, ge=0)
    """How much the vector's length counts, divided by the square of that of the output it is added to."""
    clamp: PositiveFloat = 4.0
    """The longest vector, as a multiple of the output it is added to."""


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Of each edit, what the module gives out for it unedited, and what is to be added (edits, width)."""

    start: Tensor
    delta: Tensor


def learn_values(
    mllm: MLLM, contexts: Sequence[Contexts], layer: int, module: str, config: ValueConfig
) -> Values:
    """Learn what to add to the output of a module of a layer, for each edit by itself."""
    parts = [
        _Lesson(mllm, contexts[start : start + CHUNK], layer, module, config).learned()
        for start in range(0, len(contexts), CHUNK)
    ]
    return Values(torch.cat([one.start for one in parts]), torch.cat([one.delta for one in parts]))


@dataclass(frozen=True, slots=True, eq=False)
class _Portion:
    """Prompts that are looked at in one pass: those that ask for the answer, then essences."""

    where: Places
    owners: Tensor
    """The edit that each of them belongs to."""
    answers: int
    """How many ask for the answer."""

    def take(self, chosen: Sequence[int]) -> _Portion:
        """The chosen prompts, in their order."""
        answers = sum(one < self.answers for one in chosen)
        return _Portion(self.where.take(chosen), self.owners[list(chosen)], answers)

    def added(self, delta: Tensor) -> Hook:
        """Adds the vector of each prompt's edit where it is looked up."""

        def add(batch: Batch, _: Tensor, y: Tensor) -> Tensor:
            owners = self.owners.to(y.device)[torch.tensor(batch.indices, device=y.device)]
            return y.index_put(self.where.at(batch, y), delta[owners].to(y.dtype), accumulate=True)

        return add


class _Lesson:
    """Edits that are learned side by side; no edit has a part in the loss of another."""

    def __init__(
        self, mllm: MLLM, contexts: Sequence[Contexts], layer: int, module: str, config: ValueConfig
    ) -> None:
        self._mllm, self._module, self._config = mllm, module, config
        self._number = len(contexts)
        rewriting = [(i, query, one.subject) for i, one in enumerate(contexts) for query in one.rewriting]
        essences = [(i, one.essence, None) for i, one in enumerate(contexts) if one.essence is not None]
        asked: list[tuple[int, Query, str | None]] = [*rewriting, *essences]
        where = places(mllm, [(query, subject) for _, query, subject in asked], layer)
        owners = torch.tensor([owner for owner, _, _ in asked], device=mllm.device)
        lengths = [row.length for row in where.below.rows]
        self._portions = [
            _Portion(where.take(chosen), owners[chosen.start : chosen.stop], _below(chosen, len(rewriting)))
            for chosen in portions(mllm, lengths, layer, len(lengths))
        ]
        counts = torch.tensor([len(one.rewriting) for one in contexts], device=mllm.device)
        firsts = (counts.cumsum(dim=0) - counts).tolist()
        self._start = look(mllm, where.take(firsts), [module])[module].outputs.float()
        self._counts = counts.to(self._start.device)
        self._before: dict[int, Tensor] = {}

    def learned(self) -> Values:
        """The vectors after the last step."""
        config = self._config
        delta = torch.zeros_like(self._start, requires_grad=True)
        optimizer = torch.optim.Adam([delta], lr=config.lr)
        longest = config.clamp * self._start.norm(dim=1, keepdim=True)
        done = torch.zeros(self._number, dtype=torch.bool, device=delta.device)
        for step in range(config.steps):
            last = step == config.steps - 1
            losses, delta.grad = self._looked_at(delta, moving=not last)
            done |= losses < config.stop_below
            if bool(done.all()) or last:
                break
            kept = delta.detach().clone()
            optimizer.step()
            with torch.no_grad():
                delta.mul_((longest / delta.norm(dim=1, keepdim=True)).clamp(max=1.0))
                delta[done] = kept[done]
            self._leave(done)
        return Values(self._start, delta.detach())

    def _leave(self, done: Tensor) -> None:
        """Ask no more about edits that are done."""
        for number, portion in enumerate(self._portions):
            stay = (~done.to(portion.owners.device))[portion.owners].nonzero()[:, 0].tolist()
            if len(stay) < len(portion.owners):
                self._portions[number] = portion.take(stay)
                if number in self._before:
                    kept = [one - portion.answers for one in stay if one >= portion.answers]
                    self._before[number] = self._before[number][kept]

    def _looked_at(self, delta: Tensor, *, moving: bool) -> tuple[Tensor, Tensor | None]:
        """The loss of each edit with its vector added and, while they move, the gradient by the vectors."""
        total, gradient = torch.zeros(self._number, device=delta.device), torch.zeros_like(delta)
        for number, portion in enumerate(self._portions):
            if number and not len(portion.owners):
                continue
            with torch.set_grad_enabled(moving):
                losses = self._losses(delta, number)
            total += losses.detach()
            if moving:
                gradient += torch.autograd.grad(losses.sum(), [delta])[0]
        return total, gradient if moving else None

    def _losses(self, delta: Tensor, number: int) -> Tensor:
        """The share of a portion in the loss of each edit; what the vectors' lengths cost is in the first."""
        portion = self._portions[number]
        with hooked(self._mllm, {self._module: portion.added(delta)}):
            scored = self._mllm.logits(portion.where.below)
        asked, essences = scored[: portion.answers], scored[portion.answers :]
        losses = self._summed(self._nll(asked), portion.owners[: portion.answers])
        losses = losses / self._counts.to(losses.device)
        drift = self._summed(self._drift(essences, number), portion.owners[portion.answers :])
        losses = losses + self._config.kl * drift
        if number:
            return losses
        length: Tensor = delta.norm(dim=1) / self._start.norm(dim=1).square()
        return losses + self._config.decay * length

    def _summed(self, each: Tensor, owners: Tensor) -> Tensor:
        """Of each edit, the sum over its rows; where its vector is."""
        device = self._start.device
        sums = torch.zeros(self._number, device=device)
        return sums.index_add(0, owners.to(device), each.to(device))

    def _nll(self, scored: Sequence[Scored]) -> Tensor:
        return target_nll(scored) if scored else torch.zeros(0, device=self._start.device)

    def _drift(self, scored: Sequence[Scored], number: int) -> Tensor:
        """KL(now || before) of the next token after each essence."""
        if not scored:
            return torch.zeros(0, device=self._start.device)
        now = torch.stack([one.target_logits[0] for one in scored]).log_softmax(dim=-1)
        # Nothing is added yet when the loss is looked at for the first time.
        before = self._before.setdefault(number, now.detach())
        drift: Tensor = (now.exp() * (now - before)).sum(dim=-1)
        return drift


def _below(chosen: range, number: int) -> int:
    """How many of the chosen ones are among the first `number`."""
    return len(range(chosen.start, min(chosen.stop, number)))
