"""Gradient descent for several edits in the same passes: each moves tensors of its own, until it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from itertools import accumulate, chain, repeat
from typing import TypeVar

import torch
from torch import Tensor

from editors.base import Edit, Lift
from editors.losses import target_nll
from editors.portions import CHUNK, portions
from mmedit_build.mllm import MLLM, Below
from mmedit_build.mllm.below import joined

Planned = TypeVar("Planned")

Applied = Callable[[Sequence[int]], AbstractContextManager[None]]
"""Has query i of a call answered under the tensors of edit `owners[i]`, a place in those that still move."""


class Descent:
    """Edits that are asked side by side; none has a part in the loss of another.

    What is moved are tensors (edits, ...), by an optimizer that treats each number alike, so an edit comes
    out as it does by itself, but for rounding. Edits that are made leave, and cost nothing from then on.
    """

    def __init__(
        self,
        mllm: MLLM,
        queries: Sequence[Below],
        tensors: Mapping[str, Tensor],
        optimizer: torch.optim.Optimizer,
        applied: Applied,
    ) -> None:
        """`queries` are those of each edit, known up to one layer."""
        self._mllm = mllm
        self._queries = dict(enumerate(queries))
        self._tensors = tensors
        self._optimizer = optimizer
        self._applied = applied
        self._done: dict[int, dict[str, Tensor]] = {}

    def run(
        self, steps: int, stop_below: float | None, stepped: Callable[[], None]
    ) -> list[dict[str, Tensor]]:
        """The tensors of each edit after so many steps, or once its loss before a step is low enough.

        `stepped` is called after each step.
        """
        number = len(self._queries)
        for _ in range(steps):
            losses = self._losses()
            if stop_below is not None:
                self._leave((losses < stop_below).tolist())
            if not self._queries:
                break
            self._optimizer.step()
            self._optimizer.zero_grad()
            stepped()
        self._leave([True] * len(self._queries))
        return [self._done[edit] for edit in range(number)]

    def _losses(self) -> Tensor:
        """The mean of -log p(target) of each edit that moves; leaves the gradients of their sum."""
        parts = list(self._queries.values())
        whole = joined(parts)
        owners = list(chain.from_iterable(repeat(place, len(part)) for place, part in enumerate(parts)))
        shares = torch.tensor([1 / len(parts[owner]) for owner in owners], device=self._mllm.device)
        losses = torch.zeros(len(parts), device=self._mllm.device)
        for chosen in portions(self._mllm, [row.length for row in whole.rows], whole.layer, CHUNK):
            of = owners[chosen.start : chosen.stop]
            with torch.enable_grad(), self._applied(of):
                nll = target_nll(self._mllm.logits(whole[chosen.start : chosen.stop]))
                nll = nll * shares[chosen.start : chosen.stop].to(nll.device)
                nll.sum().backward()
            places = torch.tensor(of, device=losses.device)
            losses.index_add_(0, places, nll.detach().to(losses.device))
        return losses

    def _leave(self, made: Sequence[bool]) -> None:
        """Take those that are made out of all that moves."""
        if not any(made):
            return
        edits = list(self._queries)
        for place, edit in enumerate(edits):
            if made[place]:
                del self._queries[edit]
                self._done[edit] = {name: one.detach()[place].clone() for name, one in self._tensors.items()}
        stay = [place for place, gone in enumerate(made) if not gone]
        for tensor in self._tensors.values():
            gradient, tensor.grad = tensor.grad, None
            tensor.data = tensor.data[stay]
            tensor.grad = None if gradient is None else gradient[stay]
            state = self._optimizer.state[tensor]
            # What an optimizer keeps of a tensor is as large as that; the rest counts steps.
            state |= {key: one[stay] for key, one in state.items() if isinstance(one, Tensor) and one.dim()}


def singles_together(
    wishes: Sequence[Sequence[Edit]],
    together: Callable[[Sequence[Edit]], Sequence[Planned]],
    alone: Callable[[Sequence[Edit]], Planned],
) -> list[Planned]:
    """Patches of a method whose edits each build on those before them: wishes of one edit are planned
    together, and those of more one by one."""
    singles = [edits[0] for edits in wishes if len(edits) == 1]
    made = iter(together(singles) if singles else ())
    return [next(made) if len(edits) == 1 else alone(edits) for edits in wishes]


def narrowed(mllm: MLLM, queries: Sequence[Below], tuned: Set[str]) -> list[Below]:
    """The queries of each edit, cut to what predicts their answers if nothing is tuned but the last MLP."""
    if not tuned <= mllm.part("mlp.-1").keys():
        return list(queries)
    whole = joined(queries)
    parts = portions(mllm, [row.length for row in whole.rows], whole.layer, CHUNK)
    found = joined([mllm.narrowed(whole[one.start : one.stop]) for one in parts])
    return _split(found, queries)


def of_each(lift: Lift, wishes: Sequence[Sequence[Edit]], layer: int) -> list[Below]:
    """The queries of each wish, known up to a layer."""
    return _split(lift([edit.query for edits in wishes for edit in edits], layer), wishes)


def _split(whole: Below, like: Sequence[Sequence[object]]) -> list[Below]:
    """Queries that stand behind each other, in parts as long as those of another sequence."""
    ends = accumulate(map(len, like))
    return [whole[end - len(one) : end] for end, one in zip(ends, like, strict=True)]
