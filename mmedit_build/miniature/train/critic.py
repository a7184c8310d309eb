"""The critic learns from quarters of drawings, made worse in the ways in which painted ones are."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from mmedit_build.miniature.critic import Critic, quarters
from mmedit_build.miniature.train.drawings import Drawings
from mmedit_build.miniature.train.eye import corner_labels, things_loss
from mmedit_build.miniature.train.loop import Run, Stage, fit

CRITIC = Stage("critic", steps=1600, rate=2e-3, batch=48, average=0.998)
FARTHEST = 3
"""Pixels by which a picture is moved at most."""
NOISE, BRIGHTNESS = 0.08, 0.1


def train_critic(drawn: Drawings, run: Run) -> Critic:
    """A trained critic."""
    torch.manual_seed(0)
    critic = Critic().to(run.device)
    corners = torch.tensor([corner_labels(scene) for _, scene in drawn.scenes])

    def loss(step: int) -> torch.Tensor:
        rows = CRITIC.rows(step, len(drawn.scenes))
        pixels = quarters(torch.from_numpy(drawn.pixels[rows]).to(run.device))
        things, ground = critic(worsened(pixels))
        wrong = things_loss(things, corners[rows].flatten(0, 1).to(run.device))
        grounds = drawn.grounds[rows].repeat_interleave(4).to(run.device)
        return wrong + 0.3 * F.cross_entropy(ground, grounds)

    fit(CRITIC, critic, loss, run)
    return critic


def worsened(pixels: torch.Tensor) -> torch.Tensor:
    """Quarters moved a little, half of them blurred, with noise and another brightness."""
    down, right = torch.randint(-FARTHEST, FARTHEST + 1, (2,)).tolist()
    moved = F.pad(pixels, (FARTHEST,) * 4, mode="replicate")
    height, width = pixels.shape[2:]
    moved = moved[:, :, FARTHEST + down :, FARTHEST + right :][:, :, :height, :width]
    blurred = F.avg_pool2d(F.pad(moved, (1,) * 4, mode="replicate"), 3, stride=1)
    share = torch.rand(len(pixels), 1, 1, 1, device=pixels.device) * torch.randint(
        0, 2, (len(pixels), 1, 1, 1), device=pixels.device
    )
    light = 1 + BRIGHTNESS * torch.randn(len(pixels), 1, 1, 1, device=pixels.device)
    noise = NOISE * torch.rand(len(pixels), 1, 1, 1, device=pixels.device) * torch.randn_like(moved)
    return moved.lerp(blurred, share) * light + noise
