"""The outlines of the twelve kinds of things, as polygons in a box from about -1 to 1 (y grows downwards)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

RGB = tuple[int, int, int]
Paint = RGB | Literal["body", "shade", "light", "stripe", "hole"]
"""A fixed color, or a role: the thing's own color, darker, lighter, in contrast to it, or see-through."""
Points = NDArray[np.float64]
Pair = tuple[float, float]

DARK: RGB = (38, 32, 42)
BROWN: RGB = (122, 78, 44)
LEAF: RGB = (46, 140, 52)
GLASS: RGB = (196, 228, 244)
GRAY: RGB = (190, 194, 202)
PALE: RGB = (255, 255, 255)
ROOF: RGB = (96, 60, 52)

MIRRORED = frozenset({"apple", "banana", "ball", "car", "boat", "cat", "fish", "cup", "key"})
"""Kinds that look as natural when flipped from left to right."""


@dataclass(frozen=True, slots=True)
class Part:
    """One filled polygon of a shape; later parts cover earlier ones, `edge` draws a thin dark line around."""

    points: Points
    paint: Paint
    edge: bool = False


def _polygon(*points: Pair) -> Points:
    return np.array(points, dtype=np.float64)


def _arc(center: Pair, radii: Pair, span: Pair = (0, 360), n: int = 32) -> Points:
    """`n` points along an ellipse, over a span of degrees that runs clockwise from the right."""
    angles = np.radians(np.linspace(*span, n))
    return np.array(center) + np.stack((radii[0] * np.cos(angles), radii[1] * np.sin(angles)), axis=1)


def _stroke(spine: Sequence[Pair] | Points, widths: float | Points) -> Points:
    """The polygon of a line along `spine` with the given full width at each of its points."""
    line = np.asarray(spine, dtype=np.float64)
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.stack((-along[:, 1], along[:, 0]), axis=1) * (np.broadcast_to(widths, len(line)) / 2)[:, None]
    return np.concatenate((line + across, (line - across)[::-1]))


def _turned(points: Points, degrees: float) -> Points:
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    turned: Points = points @ np.array([[cos, sin], [-sin, cos]])
    return turned


def _apple() -> list[Part]:
    upper = _arc((0.3, -0.42), (0.42, 0.42), (200, 290), n=10)
    lower = _arc((0.13, -0.98), (0.42, 0.42), (20, 110), n=10)
    return [
        Part(_stroke([(0.0, -0.45), (-0.02, -0.7), (-0.12, -1.0)], 0.16), BROWN),
        Part(np.concatenate((upper, lower)), LEAF, edge=True),
        Part(_arc((-0.34, 0.2), (0.6, 0.72)), "body"),
        Part(_arc((0.34, 0.2), (0.6, 0.72)), "body"),
        Part(_polygon((-0.3, -0.46), (0.0, -0.2), (0.3, -0.46), (0.0, -0.3)), DARK),
        Part(_arc((-0.5, 0.02), (0.14, 0.28)), "light"),
    ]


def _banana() -> list[Part]:
    t = np.linspace(0, 1, 24)
    angles = np.radians(8 + 150 * t)
    spine = np.stack((1.0 * np.cos(angles), 1.0 * np.sin(angles)), axis=1)
    widths = 0.62 * np.sin(np.pi * (0.06 + 0.88 * t)) ** 0.7
    ridge = spine * 1.02
    return [
        Part(_stroke(spine, widths), "body"),
        Part(_stroke(ridge[3:-3], 0.1), "shade"),
        Part(_stroke(spine[:3], 0.2), BROWN),
        Part(_stroke(spine[-3:], 0.2), DARK),
    ]


def _ball() -> list[Part]:
    band = _polygon(*((x, -0.42 + 0.25 * (1 - x * x)) for x in np.linspace(-0.91, 0.91, 12)))
    low = _polygon(*((x, 0.28 + 0.3 * (1 - x * x)) for x in np.linspace(-0.9, 0.9, 12)))
    return [
        Part(_arc((0, 0), (1, 1), n=44), "body"),
        Part(_stroke(band, 0.26), "stripe"),
        Part(_stroke(low, 0.26), "stripe"),
    ]


def _car() -> list[Part]:
    cabin = _polygon((-0.68, -0.1), (-0.42, -0.58), (0.3, -0.58), (0.6, -0.1))
    body = _polygon((-1, -0.08), (-0.9, -0.16), (0.62, -0.16), (0.95, -0.02), (1, 0.36), (-1, 0.36))
    disks = ((0.29, DARK), (0.13, GRAY))
    wheels = [Part(_arc((x, 0.36), (r, r), n=24), paint) for x in (-0.54, 0.54) for r, paint in disks]
    return [
        Part(cabin, "body"),
        Part(body, "body"),
        Part(_polygon((-0.5, -0.14), (-0.33, -0.46), (-0.1, -0.46), (-0.1, -0.14)), GLASS),
        Part(_polygon((0.04, -0.14), (0.04, -0.46), (0.23, -0.46), (0.44, -0.14)), GLASS),
        Part(_arc((0.88, 0.1), (0.1, 0.1), n=12), (255, 240, 150)),
        *wheels,
    ]


def _boat() -> list[Part]:
    return [
        Part(_stroke([(-0.05, -1.0), (-0.05, 0.0), (-0.05, 0.5)], 0.08), DARK),
        Part(_polygon((0.05, -0.92), (0.86, 0.26), (0.05, 0.26)), "body"),
        Part(_polygon((-0.15, -0.7), (-0.15, 0.26), (-0.78, 0.26)), "body"),
        Part(_polygon((-1, 0.42), (1, 0.42), (0.66, 0.92), (-0.62, 0.92)), "body", edge=True),
        Part(_polygon((-0.9, 0.58), (0.9, 0.58), (0.82, 0.7), (-0.8, 0.7)), "stripe"),
    ]


def _house() -> list[Part]:
    return [
        Part(_polygon((0.42, -0.9), (0.66, -0.9), (0.66, -0.3), (0.42, -0.3)), ROOF),
        Part(_polygon((-0.8, -0.2), (0.8, -0.2), (0.8, 0.95), (-0.8, 0.95)), "body"),
        Part(_polygon((-1.02, -0.16), (0, -1.0), (1.02, -0.16)), ROOF),
        Part(_polygon((-0.1, 0.25), (0.28, 0.25), (0.28, 0.95), (-0.1, 0.95)), BROWN, edge=True),
        Part(_polygon((-0.6, 0.12), (-0.28, 0.12), (-0.28, 0.46), (-0.6, 0.46)), (255, 244, 170), edge=True),
    ]


def _tree() -> list[Part]:
    return [
        Part(_polygon((-0.15, 0.1), (0.15, 0.1), (0.22, 1.0), (-0.22, 1.0)), BROWN),
        Part(_arc((-0.44, 0.02), (0.42, 0.4)), "body"),
        Part(_arc((0.44, 0.02), (0.42, 0.4)), "body"),
        Part(_arc((0, -0.48), (0.52, 0.5)), "body"),
        Part(_arc((0, -0.02), (0.5, 0.4)), "body"),
        Part(_arc((-0.2, -0.62), (0.16, 0.13)), "light"),
        Part(_arc((0.4, 0.08), (0.17, 0.12)), "shade"),
        Part(_arc((-0.42, 0.12), (0.15, 0.1)), "shade"),
    ]


def _cat() -> list[Part]:
    whiskers = [
        Part(_stroke([(s * 0.4, 0.34 + d), (s * 0.7, 0.33 + 2 * d), (s * 1.0, 0.3 + 3.4 * d)], 0.07), DARK)
        for s in (-1, 1)
        for d in (-0.04, 0.08)
    ]
    ears = [Part(_polygon((s * 0.86, -0.95), (s * 0.84, 0.1), (s * 0.1, -0.42)), "body") for s in (-1, 1)]
    inner = [
        Part(_polygon((s * 0.74, -0.66), (s * 0.72, -0.28), (s * 0.42, -0.44)), "shade") for s in (-1, 1)
    ]
    eyes = [Part(_arc((s * 0.36, 0.02), (0.13, 0.19), n=16), DARK) for s in (-1, 1)]
    nose = Part(_polygon((-0.15, 0.26), (0.15, 0.26), (0, 0.44)), (225, 90, 120), edge=True)
    return [*ears, Part(_arc((0, 0.15), (0.88, 0.72)), "body"), *inner, *whiskers, *eyes, nose]


def _fish() -> list[Part]:
    return [
        Part(_polygon((0.35, 0), (1.0, -0.52), (0.86, 0), (1.0, 0.52)), "body"),
        Part(_polygon((-0.3, -0.35), (0.1, -0.74), (0.34, -0.3)), "shade"),
        Part(_arc((-0.2, 0), (0.8, 0.5)), "body"),
        Part(_polygon((0.0, 0.06), (0.34, -0.1), (0.3, 0.3)), "shade"),
        Part(_stroke(_arc((-0.66, 0), (0.34, 0.46), (-50, 50), n=8), 0.08), "shade"),
        Part(_arc((-0.62, -0.12), (0.16, 0.16), n=16), PALE, edge=True),
        Part(_arc((-0.64, -0.12), (0.09, 0.09), n=12), DARK),
    ]


def _cup() -> list[Part]:
    mug = _polygon((-0.95, -0.7), (0.52, -0.7), (0.42, 0.62), (0.26, 0.84), (-0.69, 0.84), (-0.85, 0.62))
    return [
        Part(_arc((0.52, 0.05), (0.5, 0.46)), "body"),
        Part(_arc((0.52, 0.05), (0.27, 0.24)), "hole"),
        Part(mug, "body"),
        Part(_arc((-0.215, -0.7), (0.74, 0.2)), "shade", edge=True),
        Part(_arc((-0.215, -0.67), (0.56, 0.11)), (86, 52, 34)),
        Part(_stroke([(-0.68, -0.28), (-0.64, 0.1), (-0.58, 0.48)], 0.13), "light"),
    ]


def _key() -> list[Part]:
    parts = [
        Part(_polygon((-0.3, -0.12), (1.0, -0.12), (1.0, 0.12), (-0.3, 0.12)), "body"),
        Part(_polygon((0.76, 0), (1.0, 0), (1.0, 0.48), (0.76, 0.48)), "body"),
        Part(_polygon((0.34, 0), (0.56, 0), (0.56, 0.42), (0.34, 0.42)), "body"),
        Part(_arc((-0.55, 0), (0.5, 0.5)), "body"),
        Part(_arc((-0.58, 0), (0.23, 0.23), n=20), "hole"),
    ]
    return [Part(_turned(part.points, 40), part.paint) for part in parts]


def _star() -> list[Part]:
    angles = np.radians(np.arange(10) * 36 - 90)
    radii = np.where(np.arange(10) % 2 == 0, 1.0, 0.45)
    points = np.stack((radii * np.cos(angles), radii * np.sin(angles)), axis=1)
    return [Part(points, "body"), Part(points * 0.42, "light")]


_SHAPES: dict[str, Callable[[], list[Part]]] = {
    "apple": _apple,
    "banana": _banana,
    "ball": _ball,
    "car": _car,
    "boat": _boat,
    "house": _house,
    "tree": _tree,
    "cat": _cat,
    "fish": _fish,
    "cup": _cup,
    "key": _key,
    "star": _star,
}


@cache
def parts_of(kind: str) -> tuple[Part, ...]:
    """The parts of a kind in the order of painting; callers must not change the points."""
    return tuple(_SHAPES[kind]())
