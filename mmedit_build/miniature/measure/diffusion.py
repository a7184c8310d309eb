"""The image generator: do its drawings show what the caption says?

The judge is a critic that shares nothing with the models.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from mmedit_build.miniature.captions import describe, mentions, names_all
from mmedit_build.miniature.critic import NAME as CRITIC
from mmedit_build.miniature.critic import load_critic
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.measure.base import Measure, share
from mmedit_build.miniature.world import Scene, scenes

NAME = "diffusion"
CAPTIONS = 200
SEED = "held out"
STEPS = 30
GUIDANCE = 5.0
BATCH = 50
SEED_PAIRS = 20
SAME = 2.0
"""Mean distance of pixel values up to which two images count as the same."""


def measure_diffusion(weights: Path, device: str) -> list[Measure]:
    """First samples for captions of held-out scenes, judged; and real drawings, judged alike."""
    pipeline = load_pipeline(weights / NAME, device)
    critic = load_critic(weights / CRITIC)
    rng = random.Random(SEED)
    pictures = list(scenes(SEED, CAPTIONS))
    captions = [describe(scene, rng) for _, scene in pictures]
    drawn = generate(pipeline, captions, seed=0)
    again = generate(pipeline, captions[:SEED_PAIRS], seed=1)
    real = [draw(scene, seed) for seed, scene in pictures]
    shown, ceiling = critic.scenes(drawn), critic.scenes(real)
    right = list(map(shows, captions, shown))
    pairs = [ok for ok, (_, scene) in zip(right, pictures, strict=True) if len(scene.things) == 2]
    return [
        share(NAME, "samples with every object in its color", right, least=0.7),
        share(NAME, "samples of two objects, each in its color", pairs, least=0.6),
        share(NAME, "real drawings with every object in its color (ceiling)", map(shows, captions, ceiling)),
        share(NAME, "another seed, another image", map(_differ, drawn, again), least=1.0),
    ]


def load_pipeline(folder: Path, device: str) -> StableDiffusionPipeline:
    # Without this flag diffusers asks for accelerate, model by model.
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, dtype=torch.float32, low_cpu_mem_usage=False, safety_checker=None
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def generate(pipeline: StableDiffusionPipeline, captions: Sequence[str], seed: int) -> list[Image.Image]:
    """One sample for each caption; each has a generator of its own, so that batches do not matter."""
    images: list[Image.Image] = []
    for start in range(0, len(captions), BATCH):
        batch = list(captions[start : start + BATCH])
        seeds = [hash_seed(seed, start + index) for index in range(len(batch))]
        generators = [torch.Generator("cpu").manual_seed(number) for number in seeds]
        images += pipeline(
            batch, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generators
        ).images
    return images


def hash_seed(seed: int, index: int) -> int:
    return random.Random(f"{seed}/{index}").getrandbits(32)


def shows(caption: str, scene: Scene) -> bool:
    """Whether a scene has the things of the caption in their colors, and no others."""
    return names_all([replace(mention, size=None) for mention in mentions(caption)], scene)


def _differ(one: Image.Image, other: Image.Image) -> bool:
    distance = np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int))
    return float(distance.mean()) > SAME
