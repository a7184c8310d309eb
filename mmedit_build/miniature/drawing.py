"""Drawings of scenes: 64 x 64 pixels, anti-aliased, a pure function of a scene and a seed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mmedit_build.miniature.backgrounds import background
from mmedit_build.miniature.shapes import DARK, MIRRORED, RGB, Paint, Points, parts_of
from mmedit_build.miniature.world import Scene, Thing

SIZE = 64
"""Width and height of a drawing in pixels."""
DIAMETERS = {"big": (26.0, 29.0), "small": (15.0, 17.0)}
"""The range of a thing's longer side in pixels, outline included."""

COLOR_VALUES: dict[str, RGB] = {
    "red": (212, 28, 34),
    "orange": (246, 126, 18),
    "yellow": (252, 220, 40),
    "green": (24, 150, 62),
    "blue": (36, 84, 222),
    "purple": (126, 46, 178),
    "pink": (255, 148, 200),
    "white": (248, 248, 248),
}

_SCALE = 4
"""How many times larger things are drawn before they are shrunk, which smooths their edges."""
_OUTLINE = 3
"""Width of the outline around a thing, in enlarged pixels."""
_EDGE = {"big": 3, "small": 2}
"""Width of the lines within a thing, in enlarged pixels."""
_MIRRORING = 0.5
_TURN = 10
"""How often a thing that may be is mirrored, and by how many degrees at most it is turned."""
_QUADRANT = SIZE // 2
_WANDER = {"big": 2.0, "small": 5.0}
"""How far a thing may stand from the center of its quadrant, as long as it stays inside."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a thing is drawn: center and longer side in pixels of the drawing."""

    thing: Thing
    x: float
    y: float
    diameter: float


def placements(scene: Scene, seed: str) -> tuple[Placement, ...]:
    """The places of a scene's things, each wholly inside its quadrant."""
    return tuple(_place(thing, random.Random(f"{seed}/place/{thing.corner}")) for thing in scene.things)


def _place(thing: Thing, rng: random.Random) -> Placement:
    diameter = rng.uniform(*DIAMETERS[thing.size])
    wander = min(_WANDER[thing.size], (_QUADRANT - diameter) / 2)
    x = (thing.column + 0.5) * _QUADRANT + rng.uniform(-wander, wander)
    y = (thing.row + 0.5) * _QUADRANT + rng.uniform(-wander, wander)
    return Placement(thing, x, y, diameter)


def draw(scene: Scene, seed: str) -> Image.Image:
    """The drawing of a scene; another seed moves, turns and shades everything a little."""
    rng = random.Random(f"{seed}/ground")
    noise = np.random.default_rng(rng.getrandbits(64))
    picture = background(scene.background, SIZE, noise)
    for placement in placements(scene, seed):
        _paste(picture, placement, random.Random(f"{seed}/look/{placement.thing.corner}"))
    grain = noise.integers(-5, 6, (SIZE, SIZE, 3), dtype=np.int16)
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


def _paste(picture: Image.Image, placement: Placement, rng: random.Random) -> None:
    """Draw one thing enlarged on a tile of its own, shrink it and lay it over the picture."""
    thing = placement.thing
    mirrored = thing.kind in MIRRORED and rng.random() < _MIRRORING
    degrees = rng.uniform(-_TURN, _TURN)
    paints = _paints(thing.color, rng)
    left, top = (math.floor(center - placement.diameter / 2) for center in (placement.x, placement.y))
    center = np.array((placement.x - left, placement.y - top))
    tile = Image.new("RGBA", ((math.ceil(placement.diameter) + 1) * _SCALE,) * 2, (*DARK, 0))
    pen = ImageDraw.Draw(tile)
    for part, points in zip(parts_of(thing.kind), _fitted(placement, mirrored, degrees), strict=True):
        corners = np.rint((center + points) * _SCALE).astype(int).ravel().tolist()
        pen.polygon(corners, fill=_rgba(part.paint, paints))
        if part.edge:
            pen.line([*corners, *corners[:2]], fill=DARK, width=_EDGE[thing.size])
    tile.putalpha(_widened(tile.getchannel("A")))
    small = tile.reduce(_SCALE)
    picture.paste(small, (left, top), small)


def _fitted(placement: Placement, mirrored: bool, degrees: float) -> list[Points]:
    """The thing's polygons, turned, around (0, 0), their longer side as long as the placement says."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    side = -1 if mirrored else 1
    turn = np.array([[side * cos, side * sin], [-sin, cos]])
    turned = [part.points @ turn for part in parts_of(placement.thing.kind)]
    everything = np.concatenate(turned)
    low, high = everything.min(axis=0), everything.max(axis=0)
    scale = (placement.diameter - 2 * _OUTLINE / _SCALE) / float((high - low).max())
    return [(points - (low + high) / 2) * scale for points in turned]


def _paints(color: str, rng: random.Random) -> dict[str, tuple[int, int, int, int]]:
    """The colors of a thing's roles, for one slightly jittered shade of its color."""
    brightness = rng.uniform(0.93, 1.04)
    body = np.array([value * brightness + rng.uniform(-7, 7) for value in COLOR_VALUES[color]])
    stripe = np.array((112, 132, 168)) if color in ("white", "yellow") else np.array((250, 250, 250))
    roles = {"body": body, "shade": body * 0.72, "light": body * 0.7 + 76, "stripe": stripe}
    return {role: _opaque(value) for role, value in roles.items()} | {"hole": (*DARK, 0)}


def _opaque(color: NDArray[np.float64]) -> tuple[int, int, int, int]:
    red, green, blue = (int(value) for value in np.clip(color, 0, 255))
    return red, green, blue, 255


def _rgba(paint: Paint, paints: dict[str, tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    return paints[paint] if isinstance(paint, str) else (*paint, 255)


def _widened(mask: Image.Image) -> Image.Image:
    """The mask grown by the width of the outline; a tile is dark where only the grown mask covers it."""
    grown = np.asarray(mask).copy()
    for step in range(_OUTLINE):
        source = grown.copy()
        np.maximum(grown[1:], source[:-1], out=grown[1:])
        np.maximum(grown[:-1], source[1:], out=grown[:-1])
        # Diagonal growth at every other step alone keeps the outline as wide at a slant as elsewhere.
        if step % 2:
            source = grown.copy()
        np.maximum(grown[:, 1:], source[:, :-1], out=grown[:, 1:])
        np.maximum(grown[:, :-1], source[:, 1:], out=grown[:, :-1])
    return Image.fromarray(grown)
