"""The five backgrounds: a gradient and a texture that tell them apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Pixels = NDArray[np.float64]
_TOP_BOTTOM = {
    "grass": ((158, 206, 112), (104, 166, 70)),
    "sand": ((240, 220, 174), (218, 186, 128)),
    "water": ((168, 220, 238), (92, 172, 210)),
    "snow": ((222, 230, 242), (240, 244, 250)),
    "night sky": ((14, 16, 44), (42, 44, 92)),
}


def background(name: str, size: int, rng: Generator) -> Image.Image:
    """A square picture of a background, different for each state of the generator."""
    top, bottom = (np.array(color, dtype=np.float64) for color in _TOP_BOTTOM[name])
    depth = np.linspace(0, 1, size)[:, None, None]
    ground = np.broadcast_to(top + (bottom - top) * depth, (size, size, 3)) + rng.integers(-8, 9)
    return _TEXTURES[name](ground, rng)


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _grass(ground: Pixels, rng: Generator) -> Image.Image:
    picture = _picture(ground)
    pen = ImageDraw.Draw(picture)
    size = len(ground)
    blades = rng.integers((0, 2, -2, 3, 0), (size, size + 4, 3, 6, 3), (46, 5))
    for x, y, lean, height, tone in blades.tolist():
        pen.line((x, y, x + lean, y - height), fill=((74, 138, 50), (96, 156, 62), (176, 218, 124))[tone])
    return picture


def _sand(ground: Pixels, rng: Generator) -> Image.Image:
    size = len(ground)
    grains = rng.integers(-16, 17, (size, size, 1)).astype(np.float64)
    pixels = ground + grains
    rows, columns = rng.integers(0, size, (2, 60))
    pixels[rows, columns] -= 48
    return _picture(pixels)


def _water(ground: Pixels, rng: Generator) -> Image.Image:
    picture = _picture(ground)
    pen = ImageDraw.Draw(picture)
    size = len(ground)
    wave = (0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0)
    for line, row in enumerate(range(2, size + 2, 8)):
        shift, gap = rng.integers((-12, 2), (0, 8)).tolist()
        for start in range(shift, size, 12 + gap):
            points = [(start + step, row + height) for step, height in enumerate(wave)]
            pen.line(points, fill=((214, 240, 250), (66, 146, 192))[line % 2])
    return picture


def _snow(ground: Pixels, rng: Generator) -> Image.Image:
    picture = _picture(ground)
    pen = ImageDraw.Draw(picture)
    for x, y, tone in rng.integers(0, (len(ground), len(ground), 3), (34, 3)).tolist():
        pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(255, 255, 255) if tone else (196, 210, 232))
    return picture


def _night_sky(ground: Pixels, rng: Generator) -> Image.Image:
    pixels = ground.copy()
    rows, columns = rng.integers(0, len(ground), (2, 44))
    pixels[rows, columns] += rng.integers(70, 200, (44, 1))
    return _picture(pixels)


_TEXTURES: dict[str, Callable[[Pixels, Generator], Image.Image]] = {
    "grass": _grass,
    "sand": _sand,
    "water": _water,
    "snow": _snow,
    "night sky": _night_sky,
}
