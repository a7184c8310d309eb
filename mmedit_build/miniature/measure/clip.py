"""The verifier: does it find the true caption among others?"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import nn
from transformers import AutoProcessor, CLIPModel

from mmedit_build.miniature.captions import describe, is_true
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.measure.base import Measure, share
from mmedit_build.miniature.world import Scene, scenes

NAME = "clip"
PICTURES = 300
CANDIDATES = 16
SEED = "held out"


@torch.no_grad()
def measure_clip(weights: Path, device: str) -> list[Measure]:
    """How often the true caption ranks first among CANDIDATES captions of other scenes."""
    model = CLIPModel.from_pretrained(weights / NAME, dtype=torch.float32).eval()
    nn.Module.to(model, device)
    processor = AutoProcessor.from_pretrained(weights / NAME)
    rng = random.Random(SEED)
    pictures = list(scenes(SEED, PICTURES))
    captions = [describe(scene, rng) for _, scene in pictures]
    images = [draw(scene, seed) for seed, scene in pictures]
    inputs = processor(text=captions, images=images, padding="max_length", return_tensors="pt").to(device)
    scores = model(**inputs).logits_per_image
    first = []
    for row, (_, scene) in enumerate(pictures):
        columns = [row, *_others(scene, captions, rng)]
        first.append(int(scores[row, columns].argmax()) == 0)
    return [share(NAME, f"true caption first among {CANDIDATES}", first, least=0.8)]


def _others(scene: Scene, captions: list[str], rng: random.Random) -> list[int]:
    """Captions that are not true of a scene."""
    wrong = [index for index, caption in enumerate(captions) if not is_true(caption, scene)]
    return rng.sample(wrong, CANDIDATES - 1)
