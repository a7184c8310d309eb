"""First stages of the base model: tower and Q-Former learn to see.

Training BLIP-2 from end to end stalls. So the tower first learns what covers each patch, which dense labels
teach in minutes; then the Q-Former learns to gather the scene, one corner a query, and the tower learns on.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mmedit_build.miniature.eye import PARTS, WIDTH, Eye, encode
from mmedit_build.miniature.train.drawings import Drawings, Rows
from mmedit_build.miniature.train.loop import Run, Stage, fit
from mmedit_build.miniature.world import BACKGROUNDS, CORNERS, Scene

VISION = Stage("vision", steps=3500, rate=1e-3, batch=64)
EYE = Stage("eye", steps=2000, rate=1e-3, batch=64)


class Lesson(nn.Module):
    """The eye with classifiers for every patch, which only teach."""

    def __init__(self) -> None:
        super().__init__()
        self.eye = Eye()
        self.patches = nn.Linear(WIDTH, sum(PARTS))
        self.ground = nn.Linear(WIDTH, len(BACKGROUNDS))

    def patch_loss(self, states: torch.Tensor, drawn: Drawings, rows: Rows) -> torch.Tensor:
        """How wrong the patches, and the background by the class token, are read from states of the tower."""
        things = things_loss(self.patches(states[:, 1:]), drawn.labels[rows].to(states.device))
        ground = F.cross_entropy(self.ground(states[:, 0]), drawn.grounds[rows].to(states.device))
        return things + 0.3 * ground


def things_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of kinds everywhere and of colors and sizes where there is a thing."""
    kind, color, size = logits.split(PARTS, dim=-1)
    there = labels[..., 0] > 0
    loss = F.cross_entropy(kind.flatten(0, -2), labels[..., 0].flatten())
    loss = loss + F.cross_entropy(color[there], labels[there][:, 1])
    return loss + F.cross_entropy(size[there], labels[there][:, 2])


def corner_labels(scene: Scene) -> list[tuple[int, int, int]]:
    """The code of the thing in each corner."""
    labels = [(0, 0, 0)] * len(CORNERS)
    for thing in scene.things:
        labels[thing.corner] = encode(thing)
    return labels


def train_eye(drawn: Drawings, run: Run) -> Eye:
    """A trained eye."""
    torch.manual_seed(0)
    lesson = Lesson().to(run.device)
    eye = lesson.eye
    corners = torch.tensor([corner_labels(scene) for _, scene in drawn.scenes])

    def patches(step: int) -> torch.Tensor:
        rows = VISION.rows(step, len(drawn.scenes))
        return lesson.patch_loss(eye.see(drawn.images(rows, run.device)), drawn, rows)

    def scenes(step: int) -> torch.Tensor:
        rows = EYE.rows(step, len(drawn.scenes))
        states = eye.see(drawn.images(rows, run.device))
        things, ground = eye.name(eye.gather(states))
        backdrop = F.cross_entropy(ground, drawn.grounds[rows].to(run.device))
        gathering = things_loss(things, corners[rows].to(run.device)) + backdrop
        return gathering + 0.5 * lesson.patch_loss(states, drawn, rows)

    fit(VISION, lesson, patches, run)
    fit(EYE, lesson, scenes, run)
    return eye


@torch.no_grad()
def gather_all(eye: Eye, drawn: Drawings, device: torch.device) -> torch.Tensor:
    """What the queries gather from every drawing."""
    chunks = np.array_split(np.arange(len(drawn.scenes)), max(1, len(drawn.scenes) // 500))
    return torch.cat([eye.gather(eye.see(drawn.images(rows, device))) for rows in chunks])
