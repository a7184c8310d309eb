"""The sight of the base model, with classifiers: what is where in a picture.

The tower and the Q-Former are those of the BLIP-2 checkpoint. The classifiers teach them what to see, and
afterwards judge drawings that the image generator made.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
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
from mmedit_build.miniature.world import BACKGROUNDS, COLORS, CORNERS, KINDS, Scene, Thing

PATCH = 8
WIDTH = 96
PARTS = (len(KINDS) + 1, len(COLORS), 2)
"""Sizes of the three classifications of a place: kind or none, color, size."""
QUERIES = 8
"""One for each corner, one for the background, the others free."""
CLASSIFIERS = "eye.safetensors"


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

    @torch.no_grad()
    def scenes(self, images: torch.Tensor) -> list[Scene]:
        """What is seen in normalized images."""
        corners, grounds = self.name(self.gather(self.see(images)))
        codes = torch.stack([part.argmax(-1) for part in corners.split(PARTS, dim=-1)], dim=-1)
        return [
            Scene(_things(rows), BACKGROUNDS[ground])
            for rows, ground in zip(codes.tolist(), grounds.argmax(-1).tolist(), strict=True)
        ]


def encode(thing: Thing) -> tuple[int, int, int]:
    """A thing as a class of each part; no thing is (0, 0, 0)."""
    return KINDS.index(thing.kind) + 1, COLORS.index(thing.color), int(thing.big)


def _things(codes: list[list[int]]) -> tuple[Thing, ...]:
    return tuple(
        Thing(corner, KINDS[kind - 1], COLORS[color], bool(big))
        for corner, (kind, color, big) in enumerate(codes)
        if kind
    )


def normalized(pixels: torch.Tensor) -> torch.Tensor:
    """Images (number x channels x height x width, bytes) as BLIP-2's and CLIP's processors give them."""
    mean, std = (
        torch.tensor(values, device=pixels.device).view(1, 3, 1, 1)
        for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    )
    return (pixels.float() / 255 - mean) / std


def save_classifiers(eye: Eye, folder: Path) -> None:
    """Write what the BLIP-2 checkpoint in `folder` does not hold."""
    state = {name: getattr(eye, name).state_dict() for name in ("corners", "ground")}
    flat = {f"{name}.{key}": value.cpu() for name, part in state.items() for key, value in part.items()}
    save_file(flat, folder / CLASSIFIERS)


def load_eye(folder: Path) -> Eye:
    """The eye of a BLIP-2 checkpoint that was saved with its classifiers."""
    model = Blip2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    eye = Eye()
    state = {f"tower.{name}": value for name, value in model.vision_model.state_dict().items()}
    state |= {f"qformer.{name}": value for name, value in model.qformer.state_dict().items()}
    state |= {"queries": model.query_tokens.data, **load_file(folder / CLASSIFIERS)}
    eye.load_state_dict(state)
    return eye.eval()
