"""A critic of drawings that shares nothing with the models of the miniature: what is where in a picture.

Each quarter of a drawing holds one thing at most, wholly, so a small network that looks at quarters tells
them apart far better than the models do. It judges what the image generator paints, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from mmedit_build.miniature.drawing import SIZE
from mmedit_build.miniature.eye import PARTS
from mmedit_build.miniature.world import BACKGROUNDS, COLORS, KINDS, Scene, Thing

QUARTER = SIZE // 2
NAME = "critic"
FILE = "critic.safetensors"
WIDTHS = (24, 48, 96)


class Critic(nn.Module):
    """Logits of kind, color and size of the thing in a quarter, and of the background behind it."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        side = QUARTER // 2 ** len(WIDTHS)
        layers += [nn.Flatten(), nn.Linear(WIDTHS[-1] * side**2, WIDTHS[-1]), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.things = nn.Linear(WIDTHS[-1], sum(PARTS))
        self.ground = nn.Linear(WIDTHS[-1], len(BACKGROUNDS))

    def forward(self, quarters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """For quarters with values from -1 to 1."""
        states = self.layers(quarters)
        return self.things(states), self.ground(states)

    @torch.no_grad()
    def scenes(self, images: Sequence[Image.Image]) -> list[Scene]:
        """What is seen in drawings."""
        pixels = torch.from_numpy(np.stack([np.asarray(image.convert("RGB")) for image in images]))
        things, ground = self(quarters(pixels.permute(0, 3, 1, 2)))
        codes = torch.stack([part.argmax(-1) for part in things.split(PARTS, dim=-1)], dim=-1).view(-1, 4, 3)
        grounds = ground.view(-1, 4, len(BACKGROUNDS)).log_softmax(-1).sum(1).argmax(-1)
        return [
            Scene(_things(rows), BACKGROUNDS[number])
            for rows, number in zip(codes.tolist(), grounds.tolist(), strict=True)
        ]


def quarters(pixels: torch.Tensor) -> torch.Tensor:
    """Images (number x channels x height x width, bytes) as quarters with values from -1 to 1, in the order
    of the corners."""
    parts = pixels.float().unfold(2, QUARTER, QUARTER).unfold(3, QUARTER, QUARTER)
    return parts.permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, QUARTER, QUARTER) / 127.5 - 1


def save_critic(critic: Critic, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().contiguous() for name, value in critic.state_dict().items()}, folder / FILE)


def load_critic(folder: Path) -> Critic:
    """A critic that was saved."""
    critic = Critic()
    critic.load_state_dict({name: value.float() for name, value in load_file(folder / FILE).items()})
    return critic.eval()


def _things(codes: list[list[int]]) -> tuple[Thing, ...]:
    """What the codes of the corners stand for, see `encode`."""
    return tuple(
        Thing(corner, KINDS[kind - 1], COLORS[color], bool(big))
        for corner, (kind, color, big) in enumerate(codes)
        if kind
    )
