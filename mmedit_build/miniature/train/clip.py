"""The verifier: a CLIP model whose towers come trained, from the base model's eye and from the reader."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import (
    Blip2VisionModel,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
)

from mmedit_build.miniature.captions import describe
from mmedit_build.miniature.drawing import SIZE
from mmedit_build.miniature.eye import PATCH, WIDTH
from mmedit_build.miniature.train.drawings import drawings
from mmedit_build.miniature.train.eye import train_eye
from mmedit_build.miniature.train.loop import Run, Stage, fit
from mmedit_build.miniature.train.reader import caption_tokenizer, token_ids, train_reader
from mmedit_build.miniature.train.saving import save_half
from mmedit_build.miniature.world import COLORS, KINDS, Scene

CLIP = Stage("clip", steps=1200, rate=5e-4, batch=64)


def build_clip(tower: Blip2VisionModel, reader: CLIPTextModel) -> CLIPModel:
    """A CLIP model that starts from a tower of BLIP-2's kind and a text tower."""
    vision = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=tower.config.num_hidden_layers,
        num_attention_heads=tower.config.num_attention_heads,
        image_size=SIZE,
        patch_size=PATCH,
        projection_dim=WIDTH,
        hidden_act=tower.config.hidden_act,
    )
    model = CLIPModel(CLIPConfig(text_config=reader.config, vision_config=vision, projection_dim=WIDTH))
    model.text_model.load_state_dict(reader.state_dict())
    model.vision_model.load_state_dict(_as_clip(tower), strict=False)
    return model


def _as_clip(tower: Blip2VisionModel) -> dict[str, torch.Tensor]:
    """The weights of a tower under CLIP's names; CLIP's further layer norm before the layers starts fresh."""
    renamed: dict[str, torch.Tensor] = {}
    for name, value in tower.state_dict().items():
        if ".qkv." in name:
            for part, piece in zip(("q_proj", "k_proj", "v_proj"), value.chunk(3), strict=True):
                renamed[name.replace("qkv", part)] = piece
        else:
            renamed[name.replace("self_attn.projection", "self_attn.out_proj")] = value
    # CLIP has no patch bias, but a position is added to every patch, and the bias can be added there.
    positions = renamed.pop("embeddings.position_embedding")[0].clone()
    positions[1:] += renamed.pop("embeddings.patch_embedding.bias")
    renamed["embeddings.position_embedding.weight"] = positions
    renamed["embeddings.class_embedding"] = renamed["embeddings.class_embedding"].flatten()
    return renamed


def altered(scene: Scene, rng: random.Random) -> Scene:
    """The scene with one thing of another color or kind, or with the colors of two things exchanged."""
    things = list(scene.things)
    index = rng.randrange(len(things))
    other = rng.randrange(len(things))
    if things[other].color != things[index].color:
        colors = things[index].color, things[other].color
        things[other], things[index] = (
            replace(things[other], color=colors[0]),
            replace(things[index], color=colors[1]),
        )
    elif rng.random() < 0.5:
        things[index] = replace(
            things[index], color=rng.choice([c for c in COLORS if c != things[index].color])
        )
    else:
        things[index] = replace(things[index], kind=rng.choice([k for k in KINDS if k != things[index].kind]))
    return replace(scene, things=tuple(things))


def train_clip(run: Run, out: Path) -> None:
    """Train CLIP on drawings with a true caption and a nearly true one, and save it as an ordinary folder."""
    drawn = drawings(run.work)
    tokenizer = caption_tokenizer(run.work)
    eye, reader = train_eye(drawn, run), train_reader(tokenizer, run)
    torch.manual_seed(0)
    model = build_clip(eye.tower, reader)
    nn.Module.to(model, run.device)

    def loss(step: int) -> torch.Tensor:
        rng = CLIP.random(step)
        rows = CLIP.rows(step, len(drawn.scenes))
        scenes = [drawn.scenes[row][1] for row in rows]
        captions = [describe(scene, rng) for scene in (*scenes, *(altered(scene, rng) for scene in scenes))]
        output = model(
            pixel_values=drawn.images(rows, run.device), input_ids=token_ids(tokenizer, captions, run.device)
        )
        right = torch.arange(CLIP.batch, device=run.device)
        by_image: torch.Tensor = F.cross_entropy(output.logits_per_image, right)
        return by_image + F.cross_entropy(output.logits_per_text[: CLIP.batch], right)

    fit(CLIP, model, loss, run)
    save(model, tokenizer, out)


def save(model: CLIPModel, tokenizer: CLIPTokenizer, out: Path) -> None:
    size = {"height": SIZE, "width": SIZE}
    save_half(model, out)
    CLIPProcessor(CLIPImageProcessor(size=size, crop_size=size), tokenizer).save_pretrained(out)
