"""Edits as a benchmark has them, on pictures in the size of photos."""

from __future__ import annotations

import random

import numpy as np
import PIL.Image

from editors.base import Edit, TrainEdit
from mmedit_build.mllm import MLLM, Query

SIDES = (480, 640)
"""Of most photos of COCO."""
THINGS = ("cat", "house", "boat", "tree", "book")
ANSWERS = ("red", "two boats", "a small house", "two")
TRAINED, HELD_OUT = 3, 1
"""Edits to learn from, and to validate on."""


def train_edits(mllm: MLLM) -> list[TrainEdit]:
    """Some to learn from, some to validate on, and one to make, each with all that belongs to it."""
    return [_edit(mllm, number) for number in range(TRAINED + HELD_OUT + 1)]


def _edit(mllm: MLLM, number: int) -> TrainEdit:
    rng = random.Random(f"full size {number}")
    one, other = rng.sample(THINGS, 2)
    target, right, kept = rng.sample(ANSWERS, 3)
    asked, reworded = (
        mllm.question_prompt(text.format(one)) for text in ("what color is the {}?", "which color has a {}?")
    )
    elsewhere = mllm.question_prompt(f"how many {other}s are there?")
    pictures = [picture(3 * number + place) for place in range(3)]
    return TrainEdit(
        Edit(f"full/{number}", pictures[0], asked, target),
        text_rephrase=Query(pictures[0], reworded, target),
        image_rephrase=Query(pictures[1], asked, target),
        text_locality=(Query(None, f"who wrote the {other}?", right),),
        image_locality=(Query(pictures[2], elsewhere, kept),),
    )


def picture(seed: int) -> PIL.Image.Image:
    """Noise, in which no two places are alike."""
    drawn = np.random.default_rng(seed).integers(0, 256, size=(*SIDES, 3), dtype=np.uint8)
    return PIL.Image.fromarray(drawn)
