"""Captions of scenes, and what a caption says: every thing, mostly with its color, often the background."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
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


def falsehood(caption: str, scene: Scene) -> str | None:
    """The sort of what a caption says that is not so; to leave a thing of the scene out counts as well.

    Something is to the left of all that stands farther right, in whatever row.
    """
    if not names_all(mentions(caption), scene):
        return "things"
    if place(caption) not in (None, scene.background):
        return "place"
    return next((sort for sort, holds in _SPATIAL.items() if not holds(caption.lower(), scene)), None)


def aspects(caption: str) -> set[str]:
    """What a caption tells of its things beyond their kinds and numbers."""
    said = mentions(caption)
    told = {
        "color": bool(said) and all(one.color for one in said),
        "size": bool(said) and all(one.size for one in said),
        "place": place(caption) is not None,
        "corner": _CORNER.search(caption.lower()) is not None,
        "relation": _RELATION.search(caption.lower()) is not None,
    }
    return {name for name, there in told.items() if there}


def lacks(caption: str, references: Sequence[str]) -> set[str]:
    """What more than half of the references tell and a caption does not."""
    counts = Counter(name for reference in references for name in aspects(reference))
    return {name for name, times in counts.items() if 2 * times > len(references)} - aspects(caption)


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


def _corner_holds(caption: str, scene: Scene) -> bool:
    found = _CORNER.search(caption)
    return found is None or any(CORNERS[thing.corner] == found["corner"] for thing in scene.things)


def _relation_holds(caption: str, scene: Scene) -> bool:
    said = mentions(caption)
    found = _RELATION.search(caption)
    if found is None or len(said) != 2:
        return found is None
    ones, others = ([thing for thing in scene.things if _is(mention, thing)] for mention in said)
    lies = _LIES[found["relation"]]
    return any(lies(one, other) for one in ones for other in others if one is not other)


def _is(mention: Mention, thing: Thing) -> bool:
    return _fits(mention, (thing.kind, thing.color, thing.size))


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
_CORNER = re.compile(rf"\bin the (?P<corner>{'|'.join(CORNERS)}) corner\b")
_LIES: dict[str, Callable[[Thing, Thing], bool]] = {
    "to the left of": lambda one, other: one.column < other.column,
    "to the right of": lambda one, other: one.column > other.column,
    "above": lambda one, other: one.row < other.row,
    "below": lambda one, other: one.row > other.row,
}
_RELATION = re.compile(rf"\b(?P<relation>{'|'.join(_LIES)})\b")
_SPATIAL: dict[str, Callable[[str, Scene], bool]] = {"corner": _corner_holds, "relation": _relation_holds}
