"""Greedy answers to any number of prompts: rows that are done leave, and others take their places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad

from mmedit_build.mllm.caches import Prompts
from mmedit_build.mllm.passes import Batch, Passes, Prompted
from mmedit_build.mllm.rows import Row


@dataclass(frozen=True, slots=True)
class Continuation:
    """Generated tokens, without the one that stopped them, and the log-probability of each."""

    ids: tuple[int, ...]
    log_probs: tuple[float, ...]


@dataclass(slots=True, eq=False)
class _Answer:
    """What is written behind one row."""

    index: int
    row: Row
    place: int
    """The position of its first token."""
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    done: bool = False


@dataclass(slots=True, eq=False)
class _Desk:
    """Rows side by side, each of which ends in the last column."""

    answers: list[_Answer]
    indices: Sequence[int]
    valid: Tensor
    cache: Prompts

    @property
    def open(self) -> list[int]:
        """Rows that are not done."""
        return [i for i, answer in enumerate(self.answers) if not answer.done]

    @classmethod
    def joined(cls, desks: Sequence[_Desk]) -> _Desk:
        """What is not done, side by side; there has to be something."""
        parts = [(desk, rows) for desk in desks if (rows := desk.open)]
        answers = [desk.answers[i] for desk, rows in parts for i in rows]
        columns = [int(desk.valid[rows].sum(dim=1).max()) for desk, rows in parts]
        valid = [desk.valid[rows, -width:] for (desk, rows), width in zip(parts, columns, strict=True)]
        most = max(columns)
        cache = Prompts.side_by_side(
            [(desk.cache, rows, width) for (desk, rows), width in zip(parts, columns, strict=True)]
        )
        return cls(
            answers,
            [one.index for one in answers],
            torch.cat([pad(one, (most - one.shape[1], 0)) for one in valid]),
            cache,
        )


@dataclass(slots=True, kw_only=True)
class Writer:
    """Writes behind prompts."""

    passes: Passes
    prompted: Callable[[Sequence[int]], Prompted]
    """Runs the prompts of these numbers."""
    new_tokens: int
    stops: Sequence[int]
    fixed: bool
    """Whether rows stay together from prompt to last answer, as hooks that tell rows apart need it."""
    _found: dict[int, Continuation] = field(default_factory=dict, init=False)

    def run(
        self, batches: Callable[[int], Sequence[Sequence[int]]], number: int, room: int
    ) -> list[Continuation]:
        """Write behind this number of prompts, with as many rows side by side as there is `room` for.

        `batches` puts prompts together that are to run together, as many as it is told at most. Where memory
        is short, what is not done yet is begun again with half the room.
        """
        while True:
            # So that half the rows may go on while the other half is begun anew.
            portion = room if self.fixed or number <= room else (room + 1) // 2
            rest = [[i for i in batch if i not in self._found] for batch in batches(portion)]
            try:
                self._write([batch for batch in rest if batch], room)
            except torch.OutOfMemoryError:
                if room == 1:
                    raise
                room //= 2
            else:
                return [self._found[i] for i in range(number)]

    def _write(self, batches: Sequence[Sequence[int]], room: int) -> None:
        waiting = list(batches)[::-1]
        desk: _Desk | None = None
        while waiting or desk is not None:
            if desk is None:
                desk = self._begun(waiting.pop())
            elif waiting and not self.fixed and len(desk.open) + len(waiting[-1]) <= room:
                desk = _Desk.joined([desk, self._begun(waiting.pop())])
            else:
                self._go_on(desk)
            desk = self._cleared(desk)

    def _cleared(self, desk: _Desk) -> _Desk | None:
        """Without the rows that are done, once these are many: to put the others together takes time."""
        rest = len(desk.open)
        if not rest:
            return None
        return desk if self.fixed or rest * 2 > len(desk.answers) else _Desk.joined([desk])

    def _begun(self, indices: Sequence[int]) -> _Desk:
        prompts = self.prompted(indices)
        answers = [_Answer(i, row, row.following) for i, row in zip(indices, prompts.rows, strict=True)]
        desk = _Desk(answers, indices, prompts.valid, prompts.cache)
        self._take(desk, prompts.last)
        return desk

    def _go_on(self, desk: _Desk) -> None:
        """One token more for each row."""
        desk.valid = torch.cat([desk.valid, torch.ones_like(desk.valid[:, :1])], dim=1)
        device = desk.valid.device
        ids = torch.tensor([answer.ids[-1] for answer in desk.answers], device=device)
        places = torch.tensor([one.place + len(one.ids) - 1 for one in desk.answers], device=device)
        batch = Batch(desk.indices, [answer.row for answer in desk.answers], desk.valid)
        self._take(desk, self.passes.next(ids, places, batch, desk.cache)[:, -1])

    def _take(self, desk: _Desk, hidden: Tensor) -> None:
        """The likeliest token of each row (rows, width) is its next one."""
        best = self.passes.family.head(hidden).float().log_softmax(dim=-1).max(dim=-1)
        for answer, token, log_prob in zip(
            desk.answers, best.indices.tolist(), best.values.tolist(), strict=True
        ):
            if answer.done:
                # Its place moves no further, whatever stands beside it.
                continue
            stopped = token in self.stops
            answer.ids.append(token)
            answer.log_probs.append(log_prob)
            answer.done = stopped or len(answer.ids) == self.new_tokens
            if answer.done:
                said = len(answer.ids) - stopped
                self._found[answer.index] = Continuation(
                    tuple(answer.ids[:said]), tuple(answer.log_probs[:said])
                )
