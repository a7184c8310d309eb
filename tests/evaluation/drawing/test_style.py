from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.drawing.style import STYLE
from evaluation.report.looks import HUES, SHADES
from evaluation.run.experiment import PARTS
from mmedit_build.page import BASE_STYLE

Floats = NDArray[np.float64]
# What eyes without one kind of cones see of linear RGB (Machado et al. 2009, severity 1).
EYES = {
    "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def colors(dark: bool) -> dict[str, Floats]:
    """The variables of a mode, as linear RGB."""
    found: dict[str, Floats] = {}
    for style in (BASE_STYLE, STYLE):
        light, _, rest = style.partition("@media (prefers-color-scheme: dark)")
        part = rest.partition("\n}\n")[0] if dark else light
        for name, digits in re.findall(r"--([\w-]+): #([0-9a-f]{6})", part):
            shown = np.array([int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)])
            found[name] = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    return found


def contrast(one: Floats, other: Floats) -> float:
    low, high = sorted(float(color @ XYZ[1]) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(color: Floats) -> Floats:
    x, y, z = np.cbrt(np.clip(XYZ @ np.clip(color, 0, 1) / [0.9505, 1, 1.089], 0.0089, 1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


METHODS = [f"m{hue}{shade}" for hue in range(HUES) for shade in range(SHADES)]
STUDIED = [f"p{number}" for number in range(len(PARTS))]


@pytest.mark.parametrize("dark", [False, True])
def test_marks_and_texts_can_be_seen(dark: bool) -> None:
    known = colors(dark)
    for ground in (known["paper"], known["card"]):
        marks = [known[name] for name in (*METHODS, *STUDIED, "none")]
        assert min(contrast(mark, ground) for mark in marks) >= 3
        assert (
            min(contrast(known[name], ground) for name in ("ink", "soft", "accent", "never", "clean")) >= 4.5
        )


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("dark", [False, True])
def test_methods_differ_in_color_for_all_eyes(dark: bool, eyes: str) -> None:
    known = {name: lab(np.array(EYES[eyes]) @ color) for name, color in colors(dark).items()}
    assert least([known[name] for name in METHODS]) > 11
    assert least([known[name] for name in STUDIED]) > 15


@pytest.mark.parametrize("dark", [False, True])
def test_a_family_has_one_hue(dark: bool) -> None:
    known = {name: lab(color) for name, color in colors(dark).items()}
    hues = {name: complex(*known[name][1:]) / abs(complex(*known[name][1:])) for name in METHODS}
    means = [sum(hues[f"m{hue}{shade}"] for shade in range(SHADES)) for hue in range(HUES)]
    for name in METHODS:
        angles = [abs(np.angle(hues[name] / mean, deg=True)) for mean in means]
        assert int(np.argmin(angles)) == int(name[1])
        assert min(angles) < 20


def least(known: list[Floats]) -> float:
    """The least difference of any two colors."""
    return min(float(np.linalg.norm(one - other)) for one, other in combinations(known, 2))
