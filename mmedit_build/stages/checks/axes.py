"""Opposites: words of the one pole, and words of the other."""

from __future__ import annotations

from collections.abc import Mapping

AXES = (
    ("left leftmost", "right rightmost"),
    (
        "top upper above over atop topmost uppermost higher highest",
        "bottom lower below under beneath underneath lowest",
    ),
    ("bigger larger big large biggest largest greater", "smaller small little smallest tiny"),
    ("before earlier", "after later"),
    ("inside indoors", "outside outdoors"),
    ("front", "back behind"),
    ("first", "last"),
    ("more most", "less fewer least fewest"),
    ("old older oldest", "young younger youngest new newer newest"),
    ("long longer longest tall taller tallest", "short shorter shortest"),
    ("open opened", "closed shut"),
    ("hot hotter hottest warm warmer", "cold colder coldest cool cooler"),
    ("wet", "dry"),
    ("full", "empty"),
    ("dark darker darkest", "bright brighter brightest"),
    ("clean", "dirty"),
    ("heavy heavier heaviest", "light lighter lightest"),
    ("wide wider widest", "narrow narrower narrowest"),
    ("thick thicker", "thin thinner"),
    ("near nearer nearest close closer closest", "far farther farthest further furthest"),
    ("fast faster fastest", "slow slower slowest"),
    ("same", "different"),
    ("alive", "dead"),
    ("awake", "asleep"),
    ("happy happier", "sad sadder unhappy"),
    ("standing", "sitting"),
    ("arriving coming", "leaving departing going"),
    ("north northern", "south southern"),
    ("east eastern", "west western"),
    ("male", "female"),
)
"""Words of the one pole, words of the other."""

PLACES: Mapping[str, tuple[int, int]] = {
    word: (axis, pole)
    for axis, poles in enumerate(AXES)
    for pole, listed in enumerate(poles)
    for word in listed.split()
}
"""Of each of these words, its axis and its pole."""
