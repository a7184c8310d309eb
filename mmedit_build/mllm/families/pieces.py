"""What families describe their models with, and what several of them compute alike."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mmedit_build.mllm.rows import Layout, Row


@dataclass(frozen=True, slots=True)
class Tower:
    """What images go through before the language model, and what editors change in it."""

    path: str
    """Dotted name of its layers, or of the module itself if it has none."""
    linear_paths: tuple[str, ...]
    """Names, within a layer or the module, of the linear modules that are edited. They run once an image."""
    last: int | None = None
    """How many layers are edited, the last ones that have an effect; None where there are no layers."""
    unused: int = 0
    """How many layers at the end have none, as their output is not looked at."""


@dataclass(frozen=True, slots=True)
class MLPPaths:
    """Names, within a decoder layer, of the linear modules of its MLP."""

    up: str
    down: str
    gate: str | None = None


GATED = MLPPaths("mlp.up_proj", "mlp.down_proj", "mlp.gate_proj")


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the language model sees of an image."""

    features: Tensor
    """(positions, width)"""
    layout: Layout
    deep: tuple[Tensor, ...] = ()
    """What is added after the first layers at the same positions, one tensor for each of those layers."""

    @property
    def nbytes(self) -> int:
        return sum(one.nbytes for one in (self.features, *self.deep))


def cache_name(model: nn.Module) -> str:
    """What the argument, and the output, is called that holds what there is to attend to.

    Classes of transformers have had another name for it since its version 5.24, and warn of the old one.
    """
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def image_mask(rows: Sequence[Row], hidden: Tensor) -> Tensor:
    """Where a batch, padded on the left, has its images (rows, positions)."""
    mask = torch.zeros(hidden.shape[:2], dtype=torch.bool)
    width = hidden.shape[1]
    for i, row in enumerate(rows):
        mask[i, [width - row.length + place for place in row.image]] = True
    return mask.to(hidden.device)


def soft_capped(logits: Tensor, config: Any) -> Tensor:
    """Logits within the bounds that the config of a text model sets, if it does."""
    cap = getattr(config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.tanh(logits / cap)


def unused_layers(config: Any, n_layers: int) -> int:
    """How many layers at the end of a vision tower are not looked at, by what the config names."""
    looked_at = getattr(config, "vision_feature_layer", None)
    if looked_at is None:
        return 0
    highest: int = max(looked_at) if isinstance(looked_at, list) else looked_at
    # The output of the last layer is -1 counted from the end, their number counted from the front.
    return -1 - highest if highest < 0 else n_layers - highest


def image_kinds(row: Row) -> Tensor:
    """1 where the image of a row stands, 0 where text does (1, length)."""
    kinds = torch.zeros(1, row.length, dtype=torch.long)
    kinds[0, list(row.image)] = 1
    return kinds
