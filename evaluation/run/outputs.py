"""From queries to outputs: few logits are held at a time, and what scores need of them is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from typing import Any

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
REDUCED_BYTES = 2**24
"""How many of them are reduced at a time, about: more would be held several times over."""
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
    spreads: bool = True
    """Whether the spread over tokens is asked for where answers are predicted."""
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
                found = reduced(
                    scored,
                    [probes[i] for i in part],
                    [None if before is None else before[i] for i in part],
                    everywhere=positions == "all",
                    spreads=self.spreads,
                )
                outputs.update(zip(part, found, strict=True))
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


def reduced(
    scored: Sequence[Scored],
    probes: Sequence[Asked],
    before: Sequence[Output | None],
    *,
    everywhere: bool,
    spreads: bool,
) -> Iterator[Output]:
    """What scores need of what was scored, in order.

    Of many rows at once, as each operation on few positions takes longer to ask for than to compute.
    """
    start, held = 0, 0
    for end, one in enumerate(scored):
        if end > start and held + one.logits.nbytes > REDUCED_BYTES:
            part = slice(start, end)
            yield from _reduced(scored[part], probes[part], before[part], everywhere, spreads)
            start, held = end, 0
        held += one.logits.nbytes
    yield from _reduced(scored[start:], probes[start:], before[start:], everywhere, spreads)


def _reduced(
    scored: Sequence[Scored],
    probes: Sequence[Asked],
    before: Sequence[Output | None],
    everywhere: bool,
    spreads: bool,
) -> Iterator[Output]:
    logits, ids = (
        torch.cat([one.target_logits for one in scored]),
        torch.cat([one.target_ids for one in scored]),
    )
    said = logits.log_softmax(dim=-1).gather(1, ids[:, None])[:, 0]
    of_target = (_ids(ids), _ids(logits.argmax(dim=-1)), _floats(said))
    lengths = [len(one.target_ids) for one in scored]
    found = [Output(*of) for of in zip(*(_cut(one, lengths) for one in of_target), strict=True)]
    kept = [place for place, probe in enumerate(probes) if probe.is_locality]
    rows = [scored[place] for place in kept]
    if kept and everywhere:
        tops = _cut(_ids(_top(torch.cat([one.logits for one in rows]))), [len(one.logits) for one in rows])
        for place, top in zip(kept, tops, strict=True):
            found[place] = replace(found[place], top=top)
    if kept and spreads:
        for place, (events, spread) in zip(kept, _spreads(rows, [before[i] for i in kept]), strict=True):
            found[place] = replace(found[place], events=events, spread=spread)
    yield from found


def _spreads(scored: Sequence[Scored], before: Sequence[Output | None]) -> Iterator[tuple[Ids, Floats]]:
    """The events of each row, and their log-probabilities."""
    logits = torch.cat([one.target_logits for one in scored])
    lengths = [len(one.target_ids) for one in scored]
    known = [one.events for one in before if one is not None and one.events is not None]
    # Either all are known, of the unedited model, or it is the one that is asked.
    events = torch.from_numpy(np.concatenate(known)).to(logits.device).long() if known else _events(logits)
    return zip(_cut(_ids(events), lengths), _cut(_floats(_spread(logits, events)), lengths), strict=True)


def _top(logits: Tensor) -> Tensor:
    """The likeliest tokens at each position. Of several that are the likeliest, argmax takes the first."""
    number = min(RANKS, logits.shape[1])
    values, ids = logits.topk(number, dim=-1)
    # Rows in which none is equal to the first, which are most, need not be gone through for it once more.
    tied = (values[:, 1:2] == values[:, :1]).any(dim=1)
    if tied.any():
        among = logits[tied]
        first = among.scatter(1, among.argmax(dim=-1, keepdim=True), torch.inf)
        ids[tied] = first.topk(number, dim=-1).indices
    return ids


def _events(logits: Tensor) -> Tensor:
    # One fewer than there are tokens at most, so that the others are never nothing.
    return logits.topk(min(EVENTS, logits.shape[1] - 1), dim=-1).indices


def _spread(logits: Tensor, events: Tensor) -> Tensor:
    """Log-probabilities of some tokens at each position and of all others together."""
    kept = logits.log_softmax(dim=-1).gather(1, events)
    others = logits.scatter(1, events, -torch.inf).logsumexp(dim=-1) - logits.logsumexp(dim=-1)
    return torch.cat([kept, others[:, None]], dim=1)


def _cut(array: NDArray[Any], lengths: Sequence[int]) -> list[NDArray[Any]]:
    ends = list(accumulate(lengths))
    return [array[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def _ids(tensor: Tensor) -> Ids:
    return tensor.to("cpu", torch.int32).numpy()


def _floats(tensor: Tensor) -> Floats:
    found: NDArray[np.float32] = tensor.detach().to("cpu", torch.float32).numpy()
    return found
