"""Questions in the manner of OK-VQA: about a scene, with answers that only knowledge of its things gives."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from mmedit_build.miniature.grammar import with_articles
from mmedit_build.miniature.knowledge_tables import ABOUT_THINGS, FINDS, GROUP_WORDINGS, GROUPS, POINTER_ONLY
from mmedit_build.miniature.world import CORNERS, Scene, Thing


@dataclass(frozen=True, slots=True)
class Knowledge:
    """A question with its best answer and other words that are as right."""

    question: str
    answer: str
    alternatives: tuple[str, ...]
    topic: str


@dataclass(frozen=True, slots=True)
class _Open:
    """A question before a wording is chosen: `answers` is "best/another right answer/..."."""

    answers: str
    wordings: tuple[str, ...]
    words: tuple[str, str]

    def worded(self, topic: str) -> Iterator[Knowledge]:
        answer, *alternatives = self.answers.split("/")
        slot, phrase = self.words
        for wording in self.wordings:
            question = with_articles(wording.format(**{slot: phrase}))
            yield Knowledge(question[0].upper() + question[1:], answer, tuple(alternatives), topic)


def ask_knowledge(scene: Scene, rng: random.Random, number: int) -> list[Knowledge]:
    """Up to `number` questions about a scene with one right answer each, of as many topics as there are."""
    asked: list[Knowledge] = []
    before = -1
    while before < len(asked) < number:
        before = len(asked)
        for topic in rng.sample(TOPICS, len(TOPICS)):
            asked += _draw(topic, scene, rng, {one.question for one in asked})
            if len(asked) == number:
                break
    return asked


def askable_knowledge(scene: Scene) -> Iterator[Knowledge]:
    """Every question that has one right answer for this scene, in every wording."""
    for topic in TOPICS:
        for open_question in _ASKERS[topic](topic, scene):
            yield from open_question.worded(topic)


@cache
def known_of(topic: str) -> dict[str, str]:
    """By kind, "best answer/another right answer/..." of a topic in ABOUT_THINGS."""
    _, table = ABOUT_THINGS[topic]
    return dict(entry.split(":", 1) for entry in " ".join(table.split()).split(", "))


def answers_of(topic: str) -> tuple[str, ...]:
    """The best answers that a topic has for the different kinds; empty where they depend on the scene."""
    if topic not in ABOUT_THINGS:
        return ()
    return tuple(dict.fromkeys(entry.split("/")[0] for entry in known_of(topic).values()))


def _draw(topic: str, scene: Scene, rng: random.Random, taken: set[str]) -> list[Knowledge]:
    """A question of the topic, or none where there is none left.

    The answer is drawn first, so that frequent answers do not crowd out the rest.
    """
    by_answer: dict[str, list[_Open]] = {}
    for one in _ASKERS[topic](topic, scene):
        by_answer.setdefault(one.answers, []).append(one)
    for answers in rng.sample(sorted(by_answer), len(by_answer)):
        for one in rng.sample(by_answer[answers], len(by_answer[answers])):
            fresh = [known for known in one.worded(topic) if known.question not in taken]
            if fresh:
                return [rng.choice(fresh)]
    return []


def _pointers(scene: Scene) -> Iterator[tuple[Thing, str]]:
    """Phrases that fit one thing of the scene without naming it: by color, corner, size or neighbor."""
    for thing in scene.things:
        others = [other for other in scene.things if other is not thing]
        yield thing, f"the thing in the {CORNERS[thing.corner]} corner"
        if not others:
            yield thing, "the thing in the picture"
        if all(other.color != thing.color for other in others):
            yield thing, f"the {thing.color} thing"
        if others and all(other.big != thing.big for other in others):
            yield thing, f"the {thing.size} thing"
        for other in others:
            if len(scene.of_kind(other.kind)) == 1 and (side := _side(thing, other)):
                yield thing, f"the thing {side} the {other.kind}"


def _side(thing: Thing, other: Thing) -> str:
    if thing.row == other.row:
        return "to the left of" if thing.column < other.column else "to the right of"
    if thing.column == other.column:
        return "above" if thing.row < other.row else "below"
    return ""


def _group_pointers(scene: Scene) -> Iterator[tuple[Thing, str]]:
    """Phrases like "the animal", where one thing of the scene fits."""
    for group in GROUPS:
        members, doubtful = _members(GROUPS[group], scene)
        if len(members) == 1 and not doubtful:
            yield members[0], f"the {group}"


def _members(table: str, scene: Scene) -> tuple[list[Thing], list[Thing]]:
    """The things of a scene whose kinds are in a table "certain/doubtful"."""
    certain, doubtful = (
        [thing for thing in scene.things if thing.kind in kinds.split()] for kinds in table.split("/")
    )
    return certain, doubtful


def _about_things(topic: str, scene: Scene) -> Iterator[_Open]:
    wordings, _ = ABOUT_THINGS[topic]
    answers = known_of(topic)
    groups = () if topic in POINTER_ONLY else _group_pointers(scene)
    for thing, pointer in (*_pointers(scene), *groups):
        if thing.kind in answers:
            yield _Open(answers[thing.kind], wordings, ("thing", pointer))


def _finds(topic: str, scene: Scene) -> Iterator[_Open]:
    for predicate, table in FINDS.items():
        members, doubtful = _members(table, scene)
        kinds = {thing.kind for thing in members}
        if len(kinds) == 1 and not doubtful:
            yield _Open(kinds.pop(), GROUP_WORDINGS[topic], ("p", predicate))


def _about_groups(topic: str, scene: Scene) -> Iterator[_Open]:
    """How many things of a group there are, or whether there is one."""
    for group, table in GROUPS.items():
        members, doubtful = _members(table, scene)
        presence = "yes" if members else "no"
        answer = str(len(members)) if topic == "group count" else presence
        if not doubtful:
            yield _Open(answer, GROUP_WORDINGS[topic], ("group", group))


def _about_members(topic: str, scene: Scene) -> Iterator[_Open]:
    """What is to be seen of a thing that only its group names."""
    for thing, pointer in _group_pointers(scene):
        answer = thing.color if topic == "group color" else CORNERS[thing.corner]
        yield _Open(answer, GROUP_WORDINGS[topic], ("thing", pointer))


_ASKERS: dict[str, Callable[[str, Scene], Iterator[_Open]]] = {
    **dict.fromkeys(ABOUT_THINGS, _about_things),
    "find": _finds,
    "group count": _about_groups,
    "group exists": _about_groups,
    "group color": _about_members,
    "group corner": _about_members,
}
TOPICS = tuple(_ASKERS)
