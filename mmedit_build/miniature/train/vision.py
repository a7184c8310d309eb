"""First stage of the base model: the vision tower learns what each patch shows.

Dense labels teach a small transformer in minutes what end-to-end training does not teach it in hours. The
heads are kept: together with the tower they are the judge that looks at generated images.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from transformers import Blip2VisionConfig, Blip2VisionModel

from mmedit_build.miniature.drawing import SIZE
from mmedit_build.miniature.train.drawings import PATCH, Drawings
from mmedit_build.miniature.train.loop import Run, Schedule, fit, step_numpy
from mmedit_build.miniature.world import BACKGROUNDS, COLORS, KINDS

SCHEDULE = Schedule(steps=3500, rate=1e-3)
BATCH = 64
WIDTH = 96
PARTS = (len(KINDS) + 1, len(COLORS), 2)
"""Sizes of the three classifications of a patch: kind or none, color, size."""


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

    def __init__(self, tower: Blip2VisionModel | None = None) -> None:
        super().__init__()
        self.tower = tower or Blip2VisionModel(vision_config())
        self.patches = nn.Linear(WIDTH, sum(PARTS))
        self.ground = nn.Linear(WIDTH, len(BACKGROUNDS))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits for each patch (of the three parts, side by side) and for the background."""
        states = self.tower(pixel_values=images).last_hidden_state
        return self.patches(states[:, 1:]), self.ground(states[:, 0])


def things_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of kinds everywhere and of colors and sizes where there is a thing."""
    kind, color, size = logits.split(PARTS, dim=-1)
    there = labels[..., 0] > 0
    loss = F.cross_entropy(kind.flatten(0, -2), labels[..., 0].flatten())
    return loss + F.cross_entropy(color[there], labels[there][:, 1]) + F.cross_entropy(size[there], labels[there][:, 2])


def train_judge(drawn: Drawings, run: Run) -> Judge:
    """A trained tower with its heads."""
    torch.manual_seed(0)
    judge = Judge().to(run.device)
    grounds = torch.tensor([BACKGROUNDS.index(scene.background) for _, scene in drawn.scenes])

    def loss(step: int) -> torch.Tensor:
        rows = step_numpy("vision", step).integers(0, len(drawn.scenes), BATCH)
        patches, ground = judge(drawn.images(rows, run.device))
        backdrop = F.cross_entropy(ground, grounds[rows].to(run.device))
        return things_loss(patches, drawn.labels[rows].to(run.device)) + 0.3 * backdrop

    fit("vision", judge, loss, SCHEDULE, run)
    return judge
