"""Words of captions that are no names of things: articles, numbers, colors, sizes, verbs and the like.

The long lists stand in words.txt.
"""

from __future__ import annotations

from importlib.resources import files
from math import inf

Number = tuple[int, float]
"""The least and the most that there may be."""

_SEVERAL: Number = (2, inf)
_UNTOLD: Number = (0, inf)


def _every(words: str, number: Number) -> dict[str, Number]:
    return dict.fromkeys(words.split(), number)


def _sections() -> dict[str, frozenset[str]]:
    text = (files(__package__) / "words.txt").read_text(encoding="utf-8")
    parts = (part.split("]") for part in text.split("[")[1:])
    return {name: frozenset(words.split()) for name, words in parts}


def _forms(verb: str) -> list[str]:
    stem = verb.removesuffix("e")
    doubled = verb + verb[-1]
    third = f"{verb[:-1]}ies" if verb.endswith("y") and verb[-2] not in "aeou" else f"{verb}s"
    past = f"{verb[:-1]}ied" if third.endswith("ies") else f"{stem}ed"
    return [verb, third, f"{verb}es", f"{stem}ing", f"{verb}ing", f"{doubled}ing", past, f"{doubled}ed"]


_LISTS = _sections()
FIRST = _LISTS["begins a noun phrase"]
ENDS = _LISTS["ends a noun phrase"]
ADJECTIVES = _LISTS["adjective"]
VAGUE = _LISTS["names nothing that could be there or not"]
VERBS = _LISTS["tells what is done, of another form"].union(*map(_forms, _LISTS["tells what is done"]))
NO_VERBS = _LISTS["looks like a form of a verb and is none"]

_UNITS = "one two three four five six seven eight nine ten eleven twelve"
NUMBERS: dict[str, Number] = {
    **{word: (value, value) for value, word in enumerate(_UNITS.split(), 1)},
    **{str(value): (value, value) for value in range(1, 21)},
    **_every("a an another single", (1, 1)),
    **_every("both", (2, 2)),
    **_every("several few multiple various assorted", _SEVERAL),
    **_every("many numerous", (3, inf)),
}
GROUPS: dict[str, Number] = {
    **_every("couple pair", (2, 2)),
    **_every(
        "group bunch herd flock crowd team row line pile stack set collection lot number variety", _SEVERAL
    ),
    **_every("assortment selection array series pack bundle host dozen mix mixture family cluster", _SEVERAL),
    **_every("gang handful bouquet school plenty majority ton fleet", _SEVERAL),
    **_every("trio", (3, 3)),
    **_every("slice piece type kind sort brand style loaf body sheet strip bit half load", _UNTOLD),
    **_every("glass cup mug bottle can sip", _UNTOLD),
    **_every("picture photo photograph image view shot closeup drawing snapshot scene", _UNTOLD),
    **_every("top side front back edge end middle center corner bottom part base rear reflection", _UNTOLD),
}
"""Words before an "of" that only tell how many there are, or how they are seen."""
COLLECTIVE: dict[str, Number] = {
    **_every("couple twin", (2, 2)),
    **_every("crowd team family audience crew staff police public cattle", _SEVERAL),
}
"""Nouns whose singular names several."""

COLORS = {
    "red": "red", "maroon": "red", "crimson": "red", "scarlet": "red", "burgundy": "red", "reddish": "red",
    "orange": "orange", "yellow": "yellow", "golden": "yellow brown", "gold": "yellow", "blond": "yellow",
    "blonde": "yellow", "green": "green", "lime": "green", "blue": "blue", "navy": "blue",
    "teal": "blue green", "turquoise": "blue green", "aqua": "blue green", "cyan": "blue green",
    "purple": "purple", "violet": "purple", "lavender": "purple", "pink": "pink", "magenta": "pink purple",
    "white": "white", "black": "black", "gray": "gray", "grey": "gray", "silver": "gray", "brown": "brown",
    "tan": "brown", "beige": "brown white", "cream": "white", "khaki": "brown", "bronze": "brown",
}  # fmt: skip
"""The colors that a word may stand for."""

_BIG = "big large huge giant gigantic enormous massive oversized oversize"
_SMALL = "small little tiny miniature mini"
SIZES = dict.fromkeys(_BIG.split(), "big") | dict.fromkeys(_SMALL.split(), "small")

PLACES = {
    "top": ("height", "top"),
    "upper": ("height", "top"),
    "bottom": ("height", "bottom"),
    "lower": ("height", "bottom"),
    "left": ("side", "left"),
    "right": ("side", "right"),
}
"""Words for where in the picture something is."""

RELATIONS = {
    "left_of": ("side", 1),
    "right_of": ("side", -1),
    **dict.fromkeys(("above", "over", "atop", "on"), ("height", 1)),
    **dict.fromkeys(("below", "under", "beneath", "underneath"), ("height", -1)),
    "front_of": ("depth", 1),
    "behind": ("depth", -1),
}
"""Words between two things that tell how they lie to each other, and the same the other way round."""

LINKS = frozenset(("is", "are", "was", "were", "be", "being", "looks", "seems", "appears"))
"""Verbs after which an adjective tells of what was named before."""

SHOWS = {"snowy": "snow", "grassy": "grass", "sandy": "sand", "rainy": "rain", "wooded": "forest"}
"""Adjectives that name a thing."""

MEANS = {
    "ski": "ski snow", "skie": "ski snow", "skier": "ski snow", "snowboard": "snow",
    "snowboarder": "snowboard snow", "skateboarder": "skateboard", "skate": "skateboard",
    "skater": "skateboard", "surf": "surfboard sea", "surfer": "surfboard sea", "boarder": "board",
    "bike": "bike", "biker": "bike", "cycle": "bicycle", "cyclist": "bicycle", "bicyclist": "bicycle",
    "motorcyclist": "motorcycle", "sail": "boat", "row": "boat", "paddle": "boat", "swim": "water",
    "fly": "sky", "batter": "bat", "hitter": "bat", "pitch": "ball", "tennis": "racket ball court",
    "hand": "person",
}  # fmt: skip
"""By what is done, or who does it, the thing that it is done with: to say the one is to hint at the other."""
