"""From queries to outputs: few logits are held at a time, and what scores need of them is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from editors.base import Model
from editors.patches.overlays import take
from evaluation.data.probes import Asked
from evaluation.protocols.metrics import Floats, Ids
from evaluation.protocols.output import Output
from mmedit_build.mllm import Below, Positions, Query, Scored

RANKS = 10
"""Likeliest tokens kept at every position."""
EVENTS = 256
"""Likeliest tokens whose log-probabilities are kept where answers are predicted; all others are one event."""
LOGITS_BYTES = 2**28
"""How many bytes of logits are held at a time, about."""
WHERE: tuple[Positions, ...] = ("target", "all")
POSITIONS: dict[Positions, int] = {"target": 8, "all": 64}
"""How many positions of a row have logits, about; of rows that are known to be longer, all."""


Lend = Callable[[Sequence[int]], AbstractContextManager[Model]]
"""Gives the model that answers a call about the probes of these numbers, as long as the call lasts."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How outputs are made of queries. What no protocol needs is not computed."""

    vocabulary: int
    everywhere: bool = True
    """Whether locality is looked at at all positions."""
    writes: bool = True
    batch_size: int = 32

    def __call__(
        self,
        lend: Lend,
        probes: Sequence[Asked],
        queries: Sequence[Query],
        before: Sequence[Output] | None = None,
    ) -> list[Output]:
        """The output for each probe. `queries` are theirs, or a `Below` of them.

        `before` are the outputs of the unedited model, whose events the spread is then told of.
        """
        outputs = self.scored(lend, probes, queries, before)
        return self.written(lend, probes, queries, outputs) if self.writes else outputs

    def scored(
        self,
        lend: Lend,
        probes: Sequence[Asked],
        queries: Sequence[Query],
        before: Sequence[Output] | None = None,
    ) -> list[Output]:
        """All but what the model writes."""
        everywhere = {i for i, probe in enumerate(probes) if probe.is_locality and self.everywhere}
        outputs: dict[int, Output] = {}
        for positions in WHERE:
            indices = [i for i in range(len(probes)) if (i in everywhere) is (positions == "all")]
            size = self._rows_at_once(positions, queries)
            for start in range(0, len(indices), size):
                part = indices[start : start + size]
                with lend(part) as model:
                    scored = model.score(take(queries, part), positions=positions, batch_size=self.batch_size)
                for i, one in zip(part, scored, strict=True):
                    outputs[i] = _reduce(one, probes[i], positions, None if before is None else before[i])
        return [outputs[i] for i in range(len(probes))]

    def written(
        self, lend: Lend, probes: Sequence[Asked], queries: Sequence[Query], outputs: Sequence[Output]
    ) -> list[Output]:
        """The outputs with what the model writes; probes with the same limit go together."""
        results = list(outputs)
        order = sorted(range(len(probes)), key=lambda i: probes[i].new_tokens)
        for limit, group in groupby(order, key=lambda i: probes[i].new_tokens):
            indices = list(group)
            with lend(indices) as model:
                # While rows are written, keys and values of all layers are held for each; half as many fit.
                size = max(1, self.batch_size // 2)
                written = model.write(take(queries, indices), max_new_tokens=limit, batch_size=size)
            for i, one in zip(indices, written, strict=True):
                results[i] = replace(results[i], text=one.text, written=len(one.token_log_probs))
        return results

    def _rows_at_once(self, positions: Positions, queries: Sequence[Query]) -> int:
        """How many rows' logits may be held at a time."""
        known = queries.rows if isinstance(queries, Below) and positions == "all" else ()
        length = max([POSITIONS[positions], *(row.length for row in known)])
        return max(1, LOGITS_BYTES // (4 * self.vocabulary * length))


def _reduce(scored: Scored, probe: Asked, positions: Positions, before: Output | None) -> Output:
    target = scored.target_logits
    output = Output(
        target=_ids(scored.target_ids),
        predicted=_ids(target.argmax(dim=-1)),
        log_probs=_floats(scored.token_log_probs),
    )
    if not probe.is_locality:
        return output
    known = None if before is None else before.events
    events = _events(target) if known is None else torch.from_numpy(known).to(target.device).long()
    return replace(
        output,
        top=_ids(_top(scored)) if positions == "all" else None,
        events=_ids(events),
        spread=_floats(_spread(target, events)),
    )


def _top(scored: Scored) -> Tensor:
    """The likeliest tokens at each position. Of several that are the likeliest, argmax takes the first."""
    logits = scored.logits.scatter(1, scored.argmax[:, None], torch.inf)
    return logits.topk(min(RANKS, logits.shape[1]), dim=-1).indices


def _events(logits: Tensor) -> Tensor:
    # One fewer than there are tokens at most, so that the others are never nothing.
    return logits.topk(min(EVENTS, logits.shape[1] - 1), dim=-1).indices


def _spread(logits: Tensor, events: Tensor) -> Tensor:
    """Log-probabilities of some tokens at each position and of all others together."""
    kept = logits.log_softmax(dim=-1).gather(1, events)
    others = logits.scatter(1, events, -torch.inf).logsumexp(dim=-1) - logits.logsumexp(dim=-1)
    return torch.cat([kept, others[:, None]], dim=1)


def _ids(tensor: Tensor) -> Ids:
    return tensor.to("cpu", torch.int32).numpy()


def _floats(tensor: Tensor) -> Floats:
    found: NDArray[np.float32] = tensor.detach().to("cpu", torch.float32).numpy()
    return found
