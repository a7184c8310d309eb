"""Which questions a scene allows, and their right answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import permutations

from mmedit_build.miniature.grammar import Meaning
from mmedit_build.miniature.world import COLORS, CORNERS, KINDS, Scene, Thing

QUESTION_TYPES = (
    "exists",
    "verify",
    "count",
    "color",
    "object",
    "size",
    "position",
    "relation",
    "background",
    "comparison",
)


def answer(meaning: Meaning, scene: Scene) -> str:
    """The right answer to a question that `askable` yields for this scene."""
    return _ANSWERS[meaning.form](meaning, scene)


def answer_type(text: str) -> str:
    """The class of an answer in VQAv2's sense: yes/no, number or other."""
    if text in ("yes", "no"):
        return "yes/no"
    return "number" if text.isdigit() else "other"


def ask(scene: Scene, rng: random.Random, number: int) -> list[Meaning]:
    """`number` different questions about a scene, of as many types as the scene allows."""
    by_type: dict[str, list[Meaning]] = {}
    for meaning in askable(scene, rng):
        by_type.setdefault(meaning.type, []).append(meaning)
    allowed = len({meaning for meanings in by_type.values() for meaning in meanings})
    if number > allowed:
        raise ValueError(f"the scene allows {allowed} different questions, not {number}")
    asked: list[Meaning] = []
    while len(asked) < number:
        for kind in rng.sample(sorted(by_type), len(by_type)):
            fresh = [meaning for meaning in by_type[kind] if meaning not in asked]
            asked += rng.sample(fresh, min(1, len(fresh)))
    return asked[:number]


def askable(scene: Scene, rng: random.Random) -> Iterator[Meaning]:
    """Questions with exactly one right answer; `rng` draws those that ask for what is not there."""
    yield Meaning("background")
    yield Meaning("count", x="thing")
    yield from _about_absent(scene, rng)
    for thing in scene.things:
        name = _name(thing, scene)
        if name:
            yield from _about_one(thing, name, scene, rng)
            yield from _beside_one(thing, name, scene)
    single = [thing for thing in scene.things if len(scene.of_kind(thing.kind)) == 1]
    for thing, other in permutations(single, 2):
        yield Meaning("same color", x=thing.kind, y=other.kind)
        if thing.big != other.big:
            yield Meaning("bigger", x=thing.kind, y=other.kind)


def _name(thing: Thing, scene: Scene) -> str:
    """The shortest name that fits this thing alone: its kind, its color and kind, or nothing."""
    if len(scene.of_kind(thing.kind)) == 1:
        return thing.kind
    name = f"{thing.color} {thing.kind}"
    return name if len(_called(name, scene)) == 1 else ""


def _called(name: str, scene: Scene) -> list[Thing]:
    """The things that a name fits: 'cat', 'red cat', 'thing' or 'red thing'."""
    *color, kind = name.split()
    fitting = (thing for thing in scene.things if kind in (thing.kind, "thing"))
    return [thing for thing in fitting if not color or thing.color == color[0]]


def _about_absent(scene: Scene, rng: random.Random) -> Iterator[Meaning]:
    # The night sky is drawn with tiny stars: nobody should have to say that there are none.
    unclear = ["star"] if scene.background == "night sky" else []
    absent = [kind for kind in KINDS if not scene.of_kind(kind) and kind not in unclear]
    first, second = rng.sample(absent, 2)
    yield Meaning("exists", x=first)
    yield Meaning("exists", x=f"{rng.choice(COLORS)} {rng.choice(scene.things).kind}")
    yield Meaning("exists", x=f"{rng.choice(COLORS)} {second}")
    yield Meaning("count", x=rng.choice(absent))
    yield Meaning("count", x=f"{rng.choice(COLORS)} thing")
    for kind in sorted({thing.kind for thing in scene.things}):
        yield Meaning("count", x=kind)
        x, y = rng.sample([kind, rng.choice([other for other in KINDS if other not in (kind, *unclear)])], 2)
        yield Meaning("more", x=x, y=y)


def _about_one(thing: Thing, name: str, scene: Scene, rng: random.Random) -> Iterator[Meaning]:
    yield Meaning("exists", x=thing.kind)
    yield Meaning("exists", x=f"{thing.color} {thing.kind}")
    yield Meaning("size", x=name)
    yield Meaning("position", x=name)
    yield Meaning("kind by corner", corner=CORNERS[thing.corner])
    if len(_called(f"{thing.color} thing", scene)) == 1:
        yield Meaning("kind by color", c=thing.color)
    if name == thing.kind:
        yield Meaning("color", x=name)
        yield Meaning("verify", x=name, c=rng.choice((thing.color, rng.choice(COLORS))))


def _beside_one(thing: Thing, name: str, scene: Scene) -> Iterator[Meaning]:
    for other in scene.things:
        if other.row == thing.row and other is not thing:
            yield Meaning("left of" if other.column < thing.column else "right of", x=name)
        if other.column == thing.column and other is not thing:
            yield Meaning("above" if other.row < thing.row else "below", x=name)


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _one(name: str, scene: Scene) -> Thing:
    (thing,) = _called(name, scene)
    return thing


def _beside(meaning: Meaning, scene: Scene) -> str:
    thing = _one(meaning.x, scene)
    step = {"left of": -1, "right of": 1, "above": -2, "below": 2}[meaning.form]
    (other,) = (other for other in scene.things if other.corner == thing.corner + step)
    return other.kind


def _bigger(meaning: Meaning, scene: Scene) -> str:
    return max((_one(name, scene) for name in (meaning.x, meaning.y)), key=lambda thing: thing.big).kind


_ANSWERS: dict[str, Callable[[Meaning, Scene], str]] = {
    "exists": lambda m, scene: _yes(bool(_called(m.x, scene))),
    "verify": lambda m, scene: _yes(_one(m.x, scene).color == m.c),
    "count": lambda m, scene: str(len(_called(m.x, scene))),
    "color": lambda m, scene: _one(m.x, scene).color,
    "kind by color": lambda m, scene: _one(f"{m.c} thing", scene).kind,
    "kind by corner": lambda m, scene: next(t.kind for t in scene.things if CORNERS[t.corner] == m.corner),
    "size": lambda m, scene: _one(m.x, scene).size,
    "position": lambda m, scene: CORNERS[_one(m.x, scene).corner],
    "left of": _beside,
    "right of": _beside,
    "above": _beside,
    "below": _beside,
    "background": lambda _, scene: scene.background,
    "more": lambda m, scene: _yes(len(_called(m.x, scene)) > len(_called(m.y, scene))),
    "same color": lambda m, scene: _yes(_one(m.x, scene).color == _one(m.y, scene).color),
    "bigger": _bigger,
}
