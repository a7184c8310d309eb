"""The sight of the base model, with classifiers: what is where in a picture.

The tower and the Q-Former are those of the BLIP-2 checkpoint; the classifiers only teach them what to see.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from transformers import (
    Blip2ForConditionalGeneration,
    Blip2QFormerConfig,
    Blip2QFormerModel,
    Blip2VisionConfig,
    Blip2VisionModel,
)
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from mmedit_build.miniature.drawing import SIZE
from mmedit_build.miniature.world import BACKGROUNDS, COLORS, CORNERS, KINDS, Thing

PATCH = 8
WIDTH = 96
PARTS = (len(KINDS) + 1, len(COLORS), 2)
"""Sizes of the three classifications of a place: kind or none, color, size."""
QUERIES = 8
"""One for each corner, one for the background, the others free."""


def vision_config() -> Blip2VisionConfig:
    return Blip2VisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=SIZE,
        patch_size=PATCH,
    )


def qformer_config() -> Blip2QFormerConfig:
    return Blip2QFormerConfig(
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=4 * WIDTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        cross_attention_frequency=1,
        encoder_hidden_size=WIDTH,
    )


class Eye(nn.Module):
    """Vision tower, queries and Q-Former, with classifiers of what the queries gathered."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = Blip2VisionModel(vision_config())
        self.queries = nn.Parameter(torch.randn(1, QUERIES, WIDTH) * 0.02)
        self.qformer = Blip2QFormerModel(qformer_config())
        self.corners = nn.Linear(WIDTH, sum(PARTS))
        self.ground = nn.Linear(WIDTH, len(BACKGROUNDS))

    def see(self, images: torch.Tensor) -> torch.Tensor:
        """States of the tower for normalized images: the class token, then the patches."""
        states: torch.Tensor = self.tower(pixel_values=images).last_hidden_state
        return states

    def gather(self, states: torch.Tensor) -> torch.Tensor:
        """What each query gathers from the states of the tower."""
        queries = self.queries.expand(len(states), -1, -1)
        gathered: torch.Tensor = self.qformer(
            query_embeds=queries, encoder_hidden_states=states
        ).last_hidden_state
        return gathered

    def name(self, gathered: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits for each corner (of the three parts, side by side) and for the background."""
        number = len(CORNERS)
        return self.corners(gathered[:, :number]), self.ground(gathered[:, number])


def encode(thing: Thing) -> tuple[int, int, int]:
    """A thing as a class of each part; no thing is (0, 0, 0)."""
    return KINDS.index(thing.kind) + 1, COLORS.index(thing.color), int(thing.big)


def normalized(pixels: torch.Tensor) -> torch.Tensor:
    """Images (number x channels x height x width, bytes) as BLIP-2's and CLIP's processors give them."""
    mean, std = (
        torch.tensor(values, device=pixels.device).view(1, 3, 1, 1)
        for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    )
    return (pixels.float() / 255 - mean) / std


def load_tower(folder: Path) -> Blip2VisionModel:
    """The tower of a BLIP-2 checkpoint."""
    model = Blip2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    tower: Blip2VisionModel = model.vision_model
    tower.eval()
    return tower
