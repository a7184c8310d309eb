"""What the project has to know about a family of multimodal models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import PIL.Image
import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Tower:
    """Layers that images go through before the language model, and what editors change in them."""

    layers_path: str
    """Dotted name of the layers."""
    linear_paths: tuple[str, ...]
    """Names, within a layer, of the linear modules that are edited. They are run once for each image."""
    last: int
    """How many layers are edited, the last ones."""


class Family(Protocol):
    """A loaded checkpoint, with the knowledge of where its parts are and how a row runs through them.

    Hidden states are (batch, positions, width). A row is laid out as image positions, then text.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    layers: nn.ModuleList
    embed_tokens: nn.Embedding
    image_length: int
    """Positions that an image takes in a row."""
    max_positions: int
    parts: Mapping[str, tuple[str, ...]]
    """Part name to patterns of parameter names; every family has vision, connector and language."""
    towers: Mapping[str, Tower]
    """For each part before the language model, its layers; vision and connector."""
    question_template: str
    """How the family is asked a question about an image; placeholder {question}."""
    layers_path: str
    """Dotted name of `layers`."""
    mlp_paths: tuple[str, str]
    """Names, within a layer, of the linear modules into and out of the MLP."""
    attention_path: str
    """Name, within a layer, of the linear module out of the attention."""
    head_names: frozenset[str]
    """Parameters that act only after the last layer."""

    @classmethod
    def load(cls, folder: str, revision: str, dtype: torch.dtype) -> Self:
        """Load model and processors on the CPU."""

    def encode_images(self, images: Sequence[PIL.Image.Image]) -> Tensor:
        """Vision tower and connector: (images, image_length, width)."""

    def embed_row(self, ids: Tensor, features: Tensor | None) -> Tensor:
        """The input of layer 0 for one whole row: (length, width)."""

    def embed_next(self, ids: Tensor, positions: Tensor) -> Tensor:
        """The input of layer 0 for one further token of each row: (batch, 1, width)."""

    def run(self, hidden: Tensor, valid: Tensor, layers: range, cache: DynamicCache | None) -> Tensor:
        """Run decoder layers; `valid` (batch, keys) marks real positions, `hidden` its last ones."""

    def head(self, hidden: Tensor) -> Tensor:
        """Logits from the output of the last layer, at any number of positions."""

    def activation(self, layer: int) -> Callable[[Tensor], Tensor]:
        """What stands between the two linear modules of the layer's MLP."""
