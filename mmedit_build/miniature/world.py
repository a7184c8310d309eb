"""The drawn world: what a scene is, and how scenes are sampled.

A scene is one to four things, at most one in each corner of the picture, before a background. Everything
else in the miniature (drawings, questions, captions, knowledge) is a function of a scene and a seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

KINDS = ("apple", "banana", "ball", "car", "boat", "house", "tree", "cat", "fish", "cup", "key", "star")
COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
BACKGROUNDS = ("grass", "sand", "water", "snow", "night sky")
CORNERS = ("top left", "top right", "bottom left", "bottom right")

THINGS_WEIGHTS = (30, 35, 20, 15)
"""How often a scene has one, two, three, four things, in percent."""
TWIN_PROBABILITY = 0.35
"""How often a further thing repeats the kind of an earlier one, so that there is something to count."""


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """One object of a scene: `corner` indexes CORNERS, `big` is one of the two sizes."""

    corner: int
    kind: str
    color: str
    big: bool

    @property
    def size(self) -> str:
        return "big" if self.big else "small"

    @property
    def row(self) -> int:
        """0 at the top, 1 at the bottom."""
        return self.corner // 2

    @property
    def column(self) -> int:
        """0 on the left, 1 on the right."""
        return self.corner % 2


@dataclass(frozen=True, slots=True)
class Scene:
    """Things in the order of their corners, and the background they stand before."""

    things: tuple[Thing, ...]
    background: str

    def of_kind(self, kind: str) -> tuple[Thing, ...]:
        return tuple(thing for thing in self.things if thing.kind == kind)


def sample_scene(rng: random.Random) -> Scene:
    """Draw one scene; the same generator state gives the same scene."""
    number = rng.choices((1, 2, 3, 4), THINGS_WEIGHTS)[0]
    things: list[Thing] = []
    for corner in rng.sample(range(len(CORNERS)), number):
        twin = bool(things) and rng.random() < TWIN_PROBABILITY
        kind = rng.choice(things).kind if twin else rng.choice(KINDS)
        things.append(Thing(corner, kind, rng.choice(COLORS), rng.random() < 0.5))
    return Scene(tuple(sorted(things)), rng.choice(BACKGROUNDS))


def scenes(seed: str, number: int) -> Iterator[tuple[str, Scene]]:
    """`number` scenes with a seed for each drawing; scene i depends on `seed` and i alone."""
    for index in range(number):
        scene_seed = f"{seed}/{index}"
        yield scene_seed, sample_scene(random.Random(scene_seed))
