"""Recursive least squares: what earlier keys leave of a step, and how much of one text and image share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

EPSILON = 1e-6


def basis(name: str, rank: int, width: int, seed: int) -> Tensor:
    """Orthogonal rows (rank, width) for a module, by its name: the same whatever other modules there are."""
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=6).digest()
    # Drawn on the CPU, so that a seed means the same everywhere.
    random = torch.Generator().manual_seed(int.from_bytes(digest, "big"))
    columns, turned = torch.linalg.qr(torch.randn(rank, width, generator=random).mT)
    # Signs by the draw and not by the library.
    signed: Tensor = columns * turned.diagonal().sign()
    return signed.mT.contiguous()


def recalled(inverse: Tensor, key: Tensor, ridge: float) -> Tensor:
    """P after one more key: with the same ridge for all keys, ridge (ridge I + sum of z z^T)^-1."""
    seen = inverse @ key
    return inverse - torch.outer(seen, seen) / (ridge + key @ seen)


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """How much is written of what text and image share at a module."""

    share: float
    """What the step is multiplied by."""
    key: Tensor | None
    """What the inverse recalls of it; None where nothing is written."""


SHUT = Gate(0.0, None)


def gate(text: Tensor, image: Tensor | None, *, slope: float, threshold: float) -> Gate:
    """ScopeEdit's gate: open where both keys point one way and are equally long.

    The share of the text's side is the larger the longer the image's key is, and the other way round.
    """
    if image is None:
        return SHUT
    long, wide = text.norm(), image.norm()
    if min(long, wide) <= EPSILON:
        return SHUT
    cosine = text @ image / (long * wide + EPSILON)
    evidence = torch.minimum(long, wide) / (torch.maximum(long, wide) + EPSILON)
    strength = torch.sigmoid(slope * (cosine - threshold)) * evidence
    of_text = strength * wide / (long + wide + EPSILON)
    of_image = strength * long / (long + wide + EPSILON)
    mixed = of_image * text + of_text * image
    length = mixed.norm()
    return Gate(float(of_text), mixed / length) if length > EPSILON else SHUT
