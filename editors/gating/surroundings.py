"""What lies around an edit, made of it alone: the same asked of another image, and of nearly the same."""

from __future__ import annotations

import random
from dataclasses import replace

import PIL.Image
import PIL.ImageEnhance

from mmedit_build.mllm import Query
from mmedit_build.pictures import open_image

SIDE = 364
"""Of the black image where the edit has none, as BalancEdit has it."""
BRIGHTNESS = 0.15
"""By what share light and colors of a moved image may change."""
CUT = 0.05
"""The largest share that a moved image loses on each side."""
BEFORE = "Look closely. "
"""What stands before a prompt that has no image to be moved."""


def on_black(query: Query) -> Query:
    """Asked of a black image, which has the answer to nothing."""
    size = (SIDE, SIDE) if query.image is None else open_image(query.image).size
    return replace(query, image=PIL.Image.new("RGB", size))


def moved(query: Query, seed: int) -> Query:
    """Asked of the image a little brighter or darker, in other strengths of color, and cut at its sides."""
    if query.image is None:
        return replace(query, prompt=BEFORE + query.prompt)
    rng = random.Random(seed)
    image = open_image(query.image)
    for kind in (PIL.ImageEnhance.Brightness, PIL.ImageEnhance.Color):
        image = kind(image).enhance(1 + rng.uniform(-BRIGHTNESS, BRIGHTNESS))
    width, height = image.size
    left, top, right, bottom = (rng.uniform(0, CUT) for _ in range(4))
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    return replace(query, image=image.resize(image.size, box=box))
