"""First stage of the second base model: its tower starts from the first one's eye and learns on.

Of each place that a token of the merged image covers it learns what is there, as the eye did; and of the
corner that the token lies in which thing is in it, as no Q-Former gathers that for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import Blip2VisionModel, Qwen3VLVisionConfig, Qwen3VLVisionModel

from mmedit_build.miniature.eye import PARTS, PATCH, WIDTH
from mmedit_build.miniature.train.drawings import GRID, Drawings
from mmedit_build.miniature.train.eye import corner_labels, things_loss
from mmedit_build.miniature.train.loop import Run, Stage, fit
from mmedit_build.miniature.world import BACKGROUNDS

TOWER = Stage("tower", steps=1500, rate=1e-3, batch=32)
MERGE, FRAMES, OUT = 2, 2, 128
SIDE = GRID // MERGE
TOKENS = SIDE * SIDE
DEEP = [1]
"""After which layers what the tower sees also goes to the language model."""
CHUNK = 200


def tower_config() -> Qwen3VLVisionConfig:
    return Qwen3VLVisionConfig(
        depth=3,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_heads=4,
        patch_size=PATCH,
        temporal_patch_size=FRAMES,
        spatial_merge_size=MERGE,
        out_hidden_size=OUT,
        num_position_embeddings=GRID * GRID,
        deepstack_visual_indexes=DEEP,
    )


def by_token(grid: torch.Tensor) -> torch.Tensor:
    """What is in reading order (images, patches, ...) in the order of the tower: token by token."""
    rows = torch.arange(GRID * GRID).view(SIDE, MERGE, SIDE, MERGE).permute(0, 2, 1, 3).flatten()
    return grid[:, rows]


def patches(images: torch.Tensor) -> torch.Tensor:
    """Normalized images as the image processor gives them: a row for each patch, every image two frames."""
    cut = images.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
    in_order = by_token(cut.flatten(2, 3).transpose(1, 2))
    return in_order[:, :, :, None].expand(-1, -1, -1, FRAMES, -1, -1).flatten(2).flatten(0, 1)


def grids(number: int) -> torch.Tensor:
    """The size of each of so many images in patches."""
    return torch.tensor([[1, GRID, GRID]]).expand(number, -1)


class Labels(NamedTuple):
    """What covers the patches, in the order of tokens; what is in each token's corner; and the background."""

    things: torch.Tensor
    corners: torch.Tensor
    grounds: torch.Tensor

    def to(self, device: torch.device) -> Labels:
        return Labels(*(part.to(device) for part in self))


class Lesson(nn.Module):
    """The tower with classifiers of every merged token, which only teach."""

    def __init__(self, tower: Qwen3VLVisionModel) -> None:
        super().__init__()
        self.tower = tower
        self.patches = nn.Linear(OUT, MERGE * MERGE * sum(PARTS))
        self.deep_patches = nn.Linear(OUT, MERGE * MERGE * sum(PARTS))
        self.corner = nn.Linear(OUT, sum(PARTS))
        self.ground = nn.Linear(OUT, len(BACKGROUNDS))

    def loss(self, images: torch.Tensor, labels: Labels) -> torch.Tensor:
        seen = self.tower(patches(images), grid_thw=grids(len(images)).to(images.device))
        merged = seen.pooler_output.view(len(images), TOKENS, OUT)
        (deep,) = seen.deepstack_features
        loss = things_loss(_parted(self.patches(merged)), labels.things)
        loss = loss + 0.3 * things_loss(_parted(self.deep_patches(deep.view_as(merged))), labels.things)
        loss = loss + things_loss(self.corner(merged), labels.corners)
        everywhere = labels.grounds[:, None].expand(-1, TOKENS)
        backdrop: torch.Tensor = F.cross_entropy(self.ground(merged).flatten(0, 1), everywhere.flatten())
        return loss + backdrop


def _parted(logits: torch.Tensor) -> torch.Tensor:
    """Logits of the patches of each token, patch by patch."""
    return logits.reshape(len(logits), -1, sum(PARTS))


def corners_of_tokens(drawn: Drawings) -> torch.Tensor:
    """For each drawing and token, the code of the thing in the token's corner."""
    corners = torch.tensor([corner_labels(scene) for _, scene in drawn.scenes])
    row, column = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    half = SIDE // 2
    return corners[:, ((row // half) * 2 + column // half).flatten()]


def begin(tower: Qwen3VLVisionModel, eye: Blip2VisionModel) -> None:
    """Give the tower what the eye has learned. Its two frames are the same, so each has half the weight."""
    state = {
        name.replace("encoder.layers", "blocks")
        .replace("layer_norm", "norm")
        .replace("self_attn.qkv", "attn.qkv")
        .replace("self_attn.projection", "attn.proj")
        .replace("mlp.fc", "mlp.linear_fc"): value
        for name, value in eye.state_dict().items()
        if name.startswith("encoder.")
    }
    patch = eye.embeddings.patch_embedding
    state["patch_embed.proj.weight"] = patch.weight.data[:, :, None].expand(-1, -1, FRAMES, -1, -1) / FRAMES
    state["patch_embed.proj.bias"] = eye.state_dict()["embeddings.patch_embedding.bias"]
    state["pos_embed.weight"] = eye.embeddings.position_embedding.data[0, 1:]
    missing, unexpected = tower.load_state_dict(state, strict=False)
    if unexpected or any("merger" not in name for name in missing):
        raise ValueError(f"The eye does not fit the tower: {unexpected}, {missing}.")


def train_tower(eye: Blip2VisionModel, drawn: Drawings, run: Run) -> Qwen3VLVisionModel:
    """A trained tower, with the modules that merge what it sees."""
    torch.manual_seed(0)
    tower = Qwen3VLVisionModel(tower_config())
    begin(tower, eye)
    lesson = Lesson(tower).to(run.device)
    corners = corners_of_tokens(drawn)
    things = by_token(drawn.labels)

    def loss(step: int) -> torch.Tensor:
        rows = TOWER.rows(step, len(drawn.scenes))
        labels = Labels(things[rows], corners[rows], drawn.grounds[rows])
        return lesson.loss(drawn.images(rows, run.device), labels.to(run.device))

    fit(TOWER, lesson, loss, run)
    return tower


@torch.no_grad()
def see_all(tower: Qwen3VLVisionModel, drawn: Drawings, device: torch.device) -> list[torch.Tensor]:
    """What each of the mergers is given of every drawing (drawings, patches, width), in half precision."""
    mergers = [tower.merger, *tower.deepstack_merger_list]
    given: list[list[torch.Tensor]] = [[] for _ in mergers]
    hooks = [
        merger.register_forward_pre_hook(lambda _, inputs, kept=kept: kept.append(inputs[0].half().cpu()))
        for merger, kept in zip(mergers, given, strict=True)
    ]
    for rows in np.array_split(np.arange(len(drawn.scenes)), max(1, len(drawn.scenes) // CHUNK)):
        tower(patches(drawn.images(rows, device)), grid_thw=grids(len(rows)).to(device))
    for hook in hooks:
        hook.remove()
    return [torch.cat(kept).view(-1, GRID * GRID, WIDTH) for kept in given]
