"""TIES: several changes of one matrix become one, in which none of them is halved where the others are still.

Yadav et al., "TIES-Merging" (arXiv 2306.01708), as WISE takes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def merged(changes: Sequence[Tensor], weights: Sequence[float], density: float) -> Tensor:
    """Of each change the largest numbers, of these those with the sign that weighs more, and their mean."""
    kept = torch.stack([_largest(change, density) for change in changes])
    shares = kept.new_tensor(weights).reshape(-1, *[1] * changes[0].dim())
    weighted = kept * shares
    sign = torch.where(weighted.sum(dim=0) >= 0, 1.0, -1.0).to(kept.dtype)
    agreeing = weighted.sign() == sign
    whole = (shares * agreeing).sum(dim=0)
    # Where none of them has anything, the sum is 0 whatever it is divided by.
    return (weighted * agreeing).sum(dim=0) / torch.where(whole == 0, 1.0, whole)


def _largest(change: Tensor, density: float) -> Tensor:
    number = int(density * change.numel())
    if number == change.numel():
        return change
    flat = change.flatten()
    places = flat.abs().topk(number).indices
    return torch.zeros_like(flat).index_copy_(0, places, flat[places]).view_as(change)
