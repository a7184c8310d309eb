"""Drawings are reproducible, differ where scenes differ, and stay in their quadrants."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from mmedit_build.miniature.drawing import COLOR_VALUES, SIZE, draw, placements
from mmedit_build.miniature.world import BACKGROUNDS, COLORS, CORNERS, KINDS, Scene, Thing, scenes

HALF = SIZE // 2
CHANGE = 32
"""By how much a channel of a pixel must differ from the empty background to belong to a thing."""
COVERED = 95
"""The same for a pixel on snow of which the dark outline covers at least half."""
COLOR_DISTANCE = 60
"""How far apart two colors must be at least, in RGB; the jitter of a shade stays under half of it."""


def _pixels(scene: Scene, seed: str) -> NDArray[np.int16]:
    return np.asarray(draw(scene, seed), dtype=np.int16)


def _alone(kind: str, color: str, big: bool, corner: int = 0, background: str = "snow") -> Scene:
    return Scene((Thing(corner, kind, color, big),), background)


def _difference(kind: str, other: str, color: str, big: bool) -> int:
    first, second = (_pixels(_alone(name, color, big), "same") for name in (kind, other))
    return int((np.abs(first - second).max(axis=2) > COLOR_DISTANCE).sum())


def test_a_drawing_is_64_by_64_rgb() -> None:
    picture = draw(_alone("cat", "red", True), "seed")
    assert (picture.size, picture.mode) == ((64, 64), "RGB")


def test_the_same_scene_and_seed_give_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib\n"
        "from mmedit_build.miniature.drawing import draw\n"
        "from mmedit_build.miniature.world import scenes\n"
        "data = b''.join(draw(scene, seed).tobytes() for seed, scene in scenes('again', 12))\n"
        "import sys; sys.stdout.write(hashlib.sha256(data).hexdigest())"
    )
    here = b"".join(draw(scene, seed).tobytes() for seed, scene in scenes("again", 12))
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert there == hashlib.sha256(here).hexdigest()


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_two_seeds_give_different_drawings(background: str) -> None:
    empty = Scene((), background)
    assert draw(empty, "one").tobytes() != draw(empty, "two").tobytes()
    thing = _alone("key", "pink", False, background=background)
    assert placements(thing, "one") != placements(thing, "two")


@pytest.mark.parametrize("big", [True, False])
@pytest.mark.parametrize("color", COLORS)
def test_every_kind_looks_unlike_every_other(color: str, big: bool) -> None:
    enough = 100 if big else 30
    alike = [pair for pair in combinations(KINDS, 2) if _difference(*pair, color, big) < enough]
    assert not alike


@pytest.mark.parametrize("big", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_thing_shows_its_own_color_most(kind: str, big: bool) -> None:
    for color in COLORS:
        background = "sand" if color == "white" else "snow"
        scene = _alone(kind, color, big, background=background)
        changed = np.abs(_pixels(scene, "hue") - _pixels(Scene((), background), "hue")).max(axis=2) > CHANGE
        shown = _pixels(scene, "hue")[changed][:, None]
        values = np.array([COLOR_VALUES[name] for name in COLORS])
        distances = np.abs(shown - values).sum(axis=2)
        near = distances.min(axis=1) < COLOR_DISTANCE
        counts = np.bincount(distances[near].argmin(axis=1), minlength=len(COLORS))
        assert COLORS[int(counts.argmax())] == color


def test_colors_are_far_apart() -> None:
    for first, second in combinations(COLOR_VALUES.values(), 2):
        assert max(abs(a - b) for a, b in zip(first, second, strict=True)) > COLOR_DISTANCE


def test_the_two_sizes_never_overlap() -> None:
    all_placements = [place for seed, scene in scenes("sizes", 300) for place in placements(scene, seed)]
    big = [place.diameter for place in all_placements if place.thing.big]
    small = [place.diameter for place in all_placements if not place.thing.big]
    assert min(big) > 1.4 * max(small)


@pytest.mark.parametrize("big", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_drawn_thing_is_as_large_as_its_placement_says(kind: str, big: bool) -> None:
    scene, excess = _alone(kind, "red", big), []
    for seed in map(str, range(12)):
        difference = np.abs(_pixels(scene, seed) - _pixels(Scene((), "snow"), seed))
        rows, columns = np.nonzero(difference.max(axis=2) > COVERED)
        excess.append(max(np.ptp(rows), np.ptp(columns)) + 1 - placements(scene, seed)[0].diameter)
    # Whole pixels are counted, so that only the mean says whether things are drawn too large or too small.
    assert np.mean(excess) == pytest.approx(0.3, abs=0.5)


def test_placements_lie_within_their_quadrants() -> None:
    for seed, scene in scenes("places", 300):
        for place in placements(scene, seed):
            for center, index in ((place.x, place.thing.column), (place.y, place.thing.row)):
                assert index * HALF <= center - place.diameter / 2
                assert center + place.diameter / 2 <= (index + 1) * HALF


@pytest.mark.parametrize("corner", range(len(CORNERS)))
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_painted_outside_the_quadrant(kind: str, corner: int) -> None:
    for number in range(8):
        scene = _alone(kind, "blue", True, corner)
        changed = _pixels(scene, f"{number}") != _pixels(Scene((), "snow"), f"{number}")
        row, column = divmod(corner, 2)
        # The soft edge of an outline may touch the first row of pixels beyond.
        top, left = max(row * HALF - 1, 0), max(column * HALF - 1, 0)
        changed[top : (row + 1) * HALF + 1, left : (column + 1) * HALF + 1] = False
        assert not changed.any()


def test_another_thing_leaves_the_rest_of_the_drawing_alone() -> None:
    one = Scene((Thing(0, "cup", "red", True),), "sand")
    two = Scene((Thing(0, "cup", "red", True), Thing(3, "fish", "blue", False)), "sand")
    assert (_pixels(one, "rest")[:HALF, :HALF] == _pixels(two, "rest")[:HALF, :HALF]).all()
