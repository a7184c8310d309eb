"""Captions of scenes, and what a caption says: every thing, mostly with its color, often the background."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from mmedit_build.miniature.grammar import plural, with_articles
from mmedit_build.miniature.world import COLORS, CORNERS, KINDS, Scene, Thing

PLACES = {
    "grass": ("on the grass", "in a green field"),
    "sand": ("on the sand", "on a beach"),
    "water": ("on the water", "at sea"),
    "snow": ("in the snow", "on a snowy day"),
    "night sky": ("under the night sky", "at night"),
}
OPENINGS = ("", "", "a picture of ", "a drawing of ", "there is ", "we see ", "this picture shows ")
NUMBERS = {1: "a", 2: "two", 3: "three", 4: "four"}
SAY_COLOR, SAY_SIZE, SAY_PLACE, SAY_RELATION = 0.9, 0.3, 0.7, 0.5
"""How often a caption mentions these."""


@dataclass(frozen=True, slots=True)
class Mention:
    """Some equal things of a caption; what it leaves open is None. `end` is where its last letter is."""

    number: int
    kind: str
    color: str | None
    size: str | None
    end: int


def captions(scene: Scene, rng: random.Random, number: int) -> list[str]:
    """`number` captions of a scene, all worded differently."""
    worded: list[str] = []
    while len(worded) < number:
        caption = describe(scene, rng)
        if caption not in worded:
            worded.append(caption)
    return worded


def describe(scene: Scene, rng: random.Random) -> str:
    """One caption that names everything in the scene."""
    adjectives = rng.random() < SAY_COLOR, rng.random() < SAY_SIZE
    opening = rng.choice(OPENINGS)
    if len(scene.things) == 2 and rng.random() < SAY_RELATION:
        body = _pair(scene.things, adjectives, rng)
    else:
        body = _list(_groups(scene, adjectives))
        if len(scene.things) == 1 and rng.random() < SAY_RELATION / 2:
            body += f" in the {CORNERS[scene.things[0].corner]} corner"
    where = f" {rng.choice(PLACES[scene.background])}" if rng.random() < SAY_PLACE else ""
    return with_articles(f"{opening}{body}{where}")


def mentions(caption: str) -> list[Mention]:
    """What a caption says is there."""
    return [_mention(found) for found in _MENTION.finditer(caption.lower())]


def place(caption: str) -> str | None:
    """The background that a caption names, or None."""
    lower = caption.lower()
    return next((name for name, phrases in PLACES.items() if any(p in lower for p in phrases)), None)


def is_true(caption: str, scene: Scene) -> bool:
    """Whether a caption names every thing of the scene and nothing else, without a wrong number, color, size
    or background. Where things are is left out of account."""
    return names_all(mentions(caption), scene) and place(caption) in (None, scene.background)


def names_all(said: Iterable[Mention], scene: Scene) -> bool:
    """Whether what is said fits the things of the scene, and none of them is left over."""
    left = Counter((thing.kind, thing.color, thing.size) for thing in scene.things)
    # What is said most exactly chooses first, lest it find its thing taken.
    for mention in sorted(said, key=lambda m: (m.color is None) + (m.size is None)):
        fitting = [thing for thing in left.elements() if _fits(mention, thing)][: mention.number]
        if len(fitting) < mention.number:
            return False
        left -= Counter(fitting)
    return not left


def _mention(found: re.Match[str]) -> Mention:
    number, kind = _NUMBER_OF[found["number"]], _KIND_OF[found["kind"]]
    return Mention(number, kind, found["color"], found["size"], found.end())


def _fits(mention: Mention, thing: tuple[str, str, str]) -> bool:
    kind, color, size = thing
    return mention.kind == kind and mention.color in (None, color) and mention.size in (None, size)


def _groups(scene: Scene, adjectives: tuple[bool, bool]) -> list[str]:
    """Noun phrases in reading order; equal ones are gathered ('two red cats')."""
    names = Counter(_adjectives(thing, adjectives) for thing in scene.things)
    return [f"{NUMBERS[n]} {name if n == 1 else plural(name)}" for name, n in names.items()]


def _adjectives(thing: Thing, adjectives: tuple[bool, bool]) -> str:
    say_color, say_size = adjectives
    words = [thing.size] * say_size + [thing.color] * say_color + [thing.kind]
    return " ".join(words)


def _list(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _pair(things: tuple[Thing, ...], adjectives: tuple[bool, bool], rng: random.Random) -> str:
    one, two = rng.sample(things, 2)
    relations = ["next to", "with", "and"]
    if one.row == two.row:
        relations += ["to the left of" if one.column < two.column else "to the right of"] * 3
    if one.column == two.column:
        relations += ["above" if one.row < two.row else "below"] * 3
    first, second = (f"a {_adjectives(thing, adjectives)}" for thing in (one, two))
    return f"{first} {rng.choice(relations)} {second}"


_KIND_OF = {plural(kind): kind for kind in KINDS} | {kind: kind for kind in KINDS}
_NUMBER_OF = {word: number for number, word in NUMBERS.items()} | {"an": 1, "one": 1}
_MENTION = re.compile(
    rf"\b(?P<number>{'|'.join(_NUMBER_OF)}) (?:(?P<size>big|small) )?(?:(?P<color>{'|'.join(COLORS)}) )?"
    rf"(?P<kind>{'|'.join(sorted(_KIND_OF, key=len, reverse=True))})\b"
)
