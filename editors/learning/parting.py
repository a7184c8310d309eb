"""Where to draw the line between two sorts of numbers, on edits held out."""

from __future__ import annotations

from torch import Tensor, cat


def parting(inside: Tensor, outside: Tensor) -> float:
    """The number above which most of the inside lies and most of the outside does not, by shares."""
    if not len(outside):
        return float(inside.min())
    known = cat([inside, outside]).sort().values
    between = (known[1:] + known[:-1]) / 2
    right = (inside[:, None] >= between).double().mean(0) + (outside[:, None] < between).double().mean(0)
    return float(between[right.argmax()])
