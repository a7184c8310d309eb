"""First stage of the base model: the vision tower learns what each patch shows.

Dense labels teach a small transformer in minutes what end-to-end training does not teach it in hours. The
heads are kept: together with the tower they are the judge that looks at generated images.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from mmedit_build.miniature.eye import PARTS, Judge
from mmedit_build.miniature.train.drawings import Drawings
from mmedit_build.miniature.train.loop import Run, Schedule, fit, step_numpy

SCHEDULE = Schedule(steps=3500, rate=1e-3)
BATCH = 64


def things_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of kinds everywhere and of colors and sizes where there is a thing."""
    kind, color, size = logits.split(PARTS, dim=-1)
    there = labels[..., 0] > 0
    loss = F.cross_entropy(kind.flatten(0, -2), labels[..., 0].flatten())
    loss = loss + F.cross_entropy(color[there], labels[there][:, 1])
    return loss + F.cross_entropy(size[there], labels[there][:, 2])


def judge_loss(judge: Judge, states: torch.Tensor, drawn: Drawings, rows: np.ndarray) -> torch.Tensor:
    """How wrong the judge reads the states of some drawings."""
    patches, ground = judge.read(states)
    backdrop = F.cross_entropy(ground, drawn.grounds[rows].to(ground.device))
    return things_loss(patches, drawn.labels[rows].to(patches.device)) + 0.3 * backdrop


def train_judge(drawn: Drawings, run: Run) -> Judge:
    """A trained tower with its heads."""
    torch.manual_seed(0)
    judge = Judge().to(run.device)

    def loss(step: int) -> torch.Tensor:
        rows = step_numpy("vision", step).integers(0, len(drawn.scenes), BATCH)
        return judge_loss(judge, judge.see(drawn.images(rows, run.device)), drawn, rows)

    fit("vision", judge, loss, SCHEDULE, run)
    return judge
