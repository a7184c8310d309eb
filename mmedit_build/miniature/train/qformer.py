"""Second stage of the base model: the Q-Former learns to gather the scene, one corner a query.

The vision tower learns on with it, since what fills a corner is a clearer lesson than what covers a patch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from mmedit_build.miniature.eye import Eye, Judge
from mmedit_build.miniature.train.drawings import Drawings
from mmedit_build.miniature.train.loop import Run, Schedule, fit, step_numpy
from mmedit_build.miniature.train.vision import judge_loss, things_loss
from mmedit_build.miniature.world import COLORS, CORNERS, KINDS, Scene

SCHEDULE = Schedule(steps=2000, rate=1e-3)
BATCH = 64


def corner_labels(scene: Scene) -> list[tuple[int, int, int]]:
    """For each corner: kind (0 for none, else index + 1), color index, 1 if big."""
    labels = [(0, 0, 0)] * len(CORNERS)
    for thing in scene.things:
        labels[thing.corner] = (KINDS.index(thing.kind) + 1, COLORS.index(thing.color), int(thing.big))
    return labels


def train_eye(judge: Judge, drawn: Drawings, run: Run) -> Eye:
    """A trained Q-Former, and the vision tower trained further with it."""
    torch.manual_seed(0)
    eye = Eye(judge).to(run.device)
    corners = torch.tensor([corner_labels(scene) for _, scene in drawn.scenes])

    def loss(step: int) -> torch.Tensor:
        rows = step_numpy("eye", step).integers(0, len(drawn.scenes), BATCH)
        states = eye.judge.see(drawn.images(rows, run.device))
        gathered = eye.gather(states)
        ground = F.cross_entropy(eye.ground(gathered[:, len(CORNERS)]), drawn.grounds[rows].to(run.device))
        gathering = (
            things_loss(eye.corner(gathered[:, : len(CORNERS)]), corners[rows].to(run.device)) + ground
        )
        return gathering + 0.5 * judge_loss(eye.judge, states, drawn, rows)

    fit("eye", eye, loss, SCHEDULE, run)
    return eye


@torch.no_grad()
def gather_all(eye: Eye, drawn: Drawings, device: torch.device) -> torch.Tensor:
    """What the queries gather from every drawing."""
    chunks = np.array_split(np.arange(len(drawn.scenes)), max(1, len(drawn.scenes) // 500))
    return torch.cat([eye.gather(eye.judge.see(drawn.images(rows, device))) for rows in chunks])
