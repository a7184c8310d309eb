"""Running statistics of features, by which methods bring inputs and gradients to one scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-7


class Normalizer(nn.Module):
    """Brings features to mean 0 and deviation 1, by running statistics of all rows seen in train mode."""

    count: Tensor
    mean: Tensor
    squares: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("squares", torch.zeros(width))

    def forward(self, rows: Tensor) -> Tensor:
        if self.training:
            self.update(rows)
        if self.count < 2:
            raise ValueError("no deviation can be told from less than two rows")
        deviation = (self.squares / (self.count - 1)).sqrt()
        # Of a feature that never varied nothing is known: divided by EPSILON, it would drown all others.
        return ((rows - self.mean) / (deviation + EPSILON)).where(deviation > 0, 0.0)

    @torch.no_grad()
    def update(self, rows: Tensor) -> None:
        """Welford's update, of all rows at once."""
        # One row that is no number would spoil the statistics for good.
        rows = rows[rows.isfinite().all(dim=1)]
        if not len(rows):
            return
        mean = rows.mean(dim=0)
        away = mean - self.mean
        # In the precision of the rows: integers divided by integers would come out in single.
        share = len(rows) / (self.count + len(rows)).to(rows.dtype)
        self.squares += (rows - mean).square().sum(dim=0) + away.square() * (self.count * share)
        self.mean += away * share
        self.count += len(rows)
