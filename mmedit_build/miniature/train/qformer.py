"""Second stage of the base model: the Q-Former learns to gather the scene, one corner a query."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import Blip2QFormerConfig, Blip2QFormerModel, Blip2VisionModel

from mmedit_build.miniature.train.drawings import Drawings
from mmedit_build.miniature.train.loop import Run, Schedule, fit, step_numpy
from mmedit_build.miniature.train.vision import PARTS, WIDTH, things_loss
from mmedit_build.miniature.world import BACKGROUNDS, COLORS, CORNERS, KINDS, Scene

SCHEDULE = Schedule(steps=1500, rate=1e-3)
BATCH = 64
QUERIES = 8
"""One for each corner, one for the background, the others free."""


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


class Gatherer(nn.Module):
    """Queries and Q-Former, with classifiers of what the queries gathered."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, QUERIES, WIDTH) * 0.02)
        self.qformer = Blip2QFormerModel(qformer_config())
        self.corner = nn.Linear(WIDTH, sum(PARTS))
        self.ground = nn.Linear(WIDTH, len(BACKGROUNDS))

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """What each query gathered from the states of the vision tower."""
        queries = self.queries.expand(len(seen), -1, -1)
        states: torch.Tensor = self.qformer(query_embeds=queries, encoder_hidden_states=seen).last_hidden_state
        return states


def corner_labels(scene: Scene) -> list[tuple[int, int, int]]:
    """For each corner: kind (0 for none, else index + 1), color index, 1 if big."""
    labels = [(0, 0, 0)] * len(CORNERS)
    for thing in scene.things:
        labels[thing.corner] = (KINDS.index(thing.kind) + 1, COLORS.index(thing.color), int(thing.big))
    return labels


def train_qformer(tower: Blip2VisionModel, drawn: Drawings, run: Run) -> Gatherer:
    """A trained Q-Former over the frozen vision tower."""
    torch.manual_seed(0)
    gatherer = Gatherer().to(run.device)
    corners = torch.tensor([corner_labels(scene) for _, scene in drawn.scenes])
    grounds = torch.tensor([BACKGROUNDS.index(scene.background) for _, scene in drawn.scenes])

    def loss(step: int) -> torch.Tensor:
        rows = step_numpy("qformer", step).integers(0, len(drawn.scenes), BATCH)
        states = gatherer(see(tower, drawn, rows, run.device))
        ground = F.cross_entropy(gatherer.ground(states[:, len(CORNERS)]), grounds[rows].to(run.device))
        return things_loss(gatherer.corner(states[:, : len(CORNERS)]), corners[rows].to(run.device)) + ground

    fit("qformer", gatherer, loss, SCHEDULE, run)
    return gatherer


@torch.no_grad()
def see(
    tower: Blip2VisionModel, drawn: Drawings, rows: np.ndarray, device: torch.device
) -> torch.Tensor:
    """States of the frozen vision tower, with the class token first."""
    states: torch.Tensor = tower(pixel_values=drawn.images(rows, device)).last_hidden_state
    return states


@torch.no_grad()
def gather_all(tower: Blip2VisionModel, gatherer: Gatherer, drawn: Drawings, device: torch.device) -> torch.Tensor:
    """What the queries gather from every drawing."""
    chunks = np.array_split(np.arange(len(drawn.scenes)), max(1, len(drawn.scenes) // 500))
    return torch.cat([gatherer(see(tower, drawn, rows, device)) for rows in chunks])
