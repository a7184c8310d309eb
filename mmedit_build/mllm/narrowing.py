"""Rows cut to the positions that predict their targets, for whoever changes nothing before the last MLP.

What leads out of the last attention is then the same whatever is changed, and nothing behind it looks from
one position to another. So it is computed once, and passes after that are of a few positions each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from mmedit_build.mllm.below import Below
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.forwards import replaced
from mmedit_build.mllm.parts import attention_of
from mmedit_build.mllm.rows import pad_left


@contextmanager
def listening(family: Family) -> Iterator[list[Tensor]]:
    """Inside, what leads out of the last layer's attention is kept: (rows, positions, width) of each pass."""
    module = attention_of(family, -1).module
    own, heard = module.forward, list[Tensor]()

    def forward(x: Tensor) -> Tensor:
        heard.append(own(x))
        return heard[-1]

    with replaced(module, forward):
        yield heard


@contextmanager
def answering_for(family: Family, attended: Sequence[Tensor] | None) -> Iterator[None]:
    """Inside, this is what leads out of the last layer's attention; if None, what does."""
    if attended is None:
        yield
        return
    known, _ = pad_left(attended)

    def forward(x: Tensor) -> Any:
        return known.to(x.device).reshape(*x.shape[:-1], -1)

    with replaced(attention_of(family, -1).module, forward):
        yield


def cut(part: Below, attended: Tensor) -> Below:
    """What is known below the last layer at the positions that predict targets, and behind them."""
    width = attended.shape[1]
    starts = [row.prompt_length - 1 for row in part.rows]
    # Cloned, since views would keep the padded batch alive.
    out = [
        attended[number, width - row.length + start :].clone()
        for number, (row, start) in enumerate(zip(part.rows, starts, strict=True))
    ]
    return Below(
        part.layer,
        part.queries,
        tuple(row.since(start) for row, start in zip(part.rows, starts, strict=True)),
        tuple(hidden[start:].clone() for hidden, start in zip(part.hidden, starts, strict=True)),
        part.deep,
        from_attention=tuple(out),
    )
