"""Directions of keys that nearly nothing known has a part in: AlphaEdit's projection.

They are the eigenvectors of C = E[k k^T] whose eigenvalues are the smallest, as many as together have at most
a given share of its trace. With fewer keys than features the rest of the directions would seem free only
because nobody looked, so below `ENOUGH` keys for each feature C is shrunk towards a multiple of the identity:
then each direction counts for something, and the fewer keys there are, the fewer directions are free.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from editors.associations.moments import Moment, in_float64
from mmedit_build.errors import UserError

ENOUGH = 4
"""Keys that were seen for each feature, from which on second moments are taken as they are."""
logger = logging.getLogger(__name__)


class NullSpace:
    """The directions orthogonal to those that are taken, which are the orthonormal columns of `taken`."""

    def __init__(self, taken: Tensor, device: torch.device) -> None:
        # Orthonormal again: what is kept of them is rounded.
        self._taken: Tensor = torch.linalg.qr(in_float64(taken.to(device))).Q

    def project(self, keys: Tensor) -> Tensor:
        """P K, for keys that are the columns of K: what of them lies in the free directions; in float64."""
        known = in_float64(keys).to(self._taken)
        return known - self._taken @ (self._taken.mT @ known)


def taken_directions(
    moment: Moment, layer: int, *, share: float, threshold: float | None, device: torch.device
) -> Tensor:
    """The eigenvectors of C that are not free, as orthonormal columns, in float32.

    Free are those with the smallest eigenvalues whose sum is at most `share` of all, or, given one, those
    whose eigenvalues are below a threshold.
    """
    values: Tensor
    vectors: Tensor
    values, vectors = torch.linalg.eigh(in_float64(shrunk(moment, layer).to(device)))
    values = values.clamp(min=0)
    if threshold is None:
        free = int((values.cumsum(dim=0) <= share * values.sum()).sum())
    else:
        free = int((values < threshold).sum())
    logger.info("layer %s: %s of %s directions are free of what is known", layer, free, len(values))
    if not free:
        raise UserError(
            f"No direction of the {len(values)} in layer {layer} is free of what is known: "
            f"raise the option {'share' if threshold is None else 'threshold'}."
        )
    return vectors[:, free:].float()


def shrunk(moment: Moment, layer: int) -> Tensor:
    """C, nearer to its mean diagonal element times the identity the fewer keys it was taken of."""
    second, features = moment.second, len(moment.second)
    weight = min(1.0, moment.positions / (ENOUGH * features))
    if weight == 1:
        return second
    logger.warning(
        "layer %s has %s features, but its second moments are of %s keys, fewer than %s for each: they are "
        "shrunk, and fewer directions are free; raise the option samples, or give more train edits",
        *(layer, features, moment.positions, ENOUGH),
    )
    mean = second.diagonal().mean() * torch.eye(features).to(second)
    return weight * second + (1 - weight) * mean
