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

from mmedit_build.miniature.drawing import SIZE
from mmedit_build.miniature.world import BACKGROUNDS, COLORS, CORNERS, KINDS, Scene, Thing

PATCH = 8
WIDTH = 96
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""What the image processors of BLIP-2 and CLIP subtract from the color channels, and divide them by."""
PARTS = (len(KINDS) + 1, len(COLORS), 2)
"""Sizes of the three classifications of a place: kind or none, color, size."""
QUERIES = 8
"""One for each corner, one for the background, the others free."""
CLASSIFIERS = "judge.safetensors"


def vision_config() -> Blip2VisionConfig:
    return Blip2VisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=SIZE,
        patch_size=PATCH,
    )


class Judge(nn.Module):
    """The vision tower with a classifier for every patch and one for the background."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = Blip2VisionModel(vision_config())
        self.patches = nn.Linear(WIDTH, sum(PARTS))
        self.ground = nn.Linear(WIDTH, len(BACKGROUNDS))

    def see(self, images: torch.Tensor) -> torch.Tensor:
        """States of the tower: the class token, then the patches."""
        states: torch.Tensor = self.tower(pixel_values=images).last_hidden_state
        return states

    def read(self, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits for each patch (of the three parts, side by side) and for the background."""
        return self.patches(states[:, 1:]), self.ground(states[:, 0])


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
    """The judge with queries and a Q-Former, and a classifier of what the queries gathered."""

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self.judge = judge
        self.queries = nn.Parameter(torch.randn(1, QUERIES, WIDTH) * 0.02)
        self.qformer = Blip2QFormerModel(qformer_config())
        self.corner = nn.Linear(WIDTH, sum(PARTS))
        self.ground = nn.Linear(WIDTH, self.judge.ground.out_features)

    def gather(self, states: torch.Tensor) -> torch.Tensor:
        """What each query gathers from the states of the vision tower."""
        queries = self.queries.expand(len(states), -1, -1)
        gathered: torch.Tensor = self.qformer(
            query_embeds=queries, encoder_hidden_states=states
        ).last_hidden_state
        return gathered

    @torch.no_grad()
    def scenes(self, images: torch.Tensor) -> list[Scene]:
        """What is seen in normalized images."""
        gathered = self.gather(self.judge.see(images))
        kinds, colors, sizes = (
            part.argmax(-1).tolist() for part in self.corner(gathered[:, : len(CORNERS)]).split(PARTS, dim=-1)
        )
        grounds = self.ground(gathered[:, len(CORNERS)]).argmax(-1).tolist()
        return [
            Scene(
                tuple(
                    Thing(corner, KINDS[kind - 1], COLORS[color], bool(size))
                    for corner, (kind, color, size) in enumerate(zip(*rows, strict=True))
                    if kind
                ),
                BACKGROUNDS[ground],
            )
            for *rows, ground in zip(kinds, colors, sizes, grounds, strict=True)
        ]


def normalized(pixels: torch.Tensor) -> torch.Tensor:
    """Images (number x channels x height x width, bytes) as an image processor would give them."""
    mean, std = (torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (pixels.float() / 255 - mean) / std


def save_classifiers(eye: Eye, folder: Path) -> None:
    """Write what the BLIP-2 checkpoint in `folder` does not hold."""
    held = {
        name: value.cpu()
        for name, value in eye.state_dict().items()
        if name.startswith(("corner.", "ground."))
    }
    save_file(held, folder / CLASSIFIERS)


def load_eye(folder: str) -> Eye:
    """The eye of a BLIP-2 checkpoint that was saved with its classifiers."""
    model = Blip2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    eye = Eye(Judge())
    eye.judge.tower.load_state_dict(model.vision_model.state_dict())
    eye.qformer.load_state_dict(model.qformer.state_dict())
    eye.queries.data = model.query_tokens.data
    eye.load_state_dict(load_file(Path(folder) / CLASSIFIERS), strict=False)
    return eye.eval()
