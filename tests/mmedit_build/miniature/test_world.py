"""Scenes: reproducible, in order, at most one thing in a corner."""

from __future__ import annotations

from collections import Counter

from mmedit_build.miniature.world import BACKGROUNDS, COLORS, KINDS, scenes

MANY = list(scenes("test", 3000))


def test_a_scene_depends_on_seed_and_number_alone() -> None:
    assert list(scenes("test", 10)) == MANY[:10]
    assert [scene for _, scene in scenes("other", 10)] != [scene for _, scene in MANY[:10]]


def test_things_stand_in_different_corners_in_order() -> None:
    for _, scene in MANY:
        corners = [thing.corner for thing in scene.things]
        assert corners == sorted(set(corners))
        assert 1 <= len(corners) <= 4


def test_everything_occurs() -> None:
    things = [thing for _, scene in MANY for thing in scene.things]
    assert {thing.kind for thing in things} == set(KINDS)
    assert {thing.color for thing in things} == set(COLORS)
    assert {thing.size for thing in things} == {"big", "small"}
    assert {scene.background for _, scene in MANY} == set(BACKGROUNDS)
    numbers = Counter(len(scene.things) for _, scene in MANY)
    assert min(numbers.values()) > 300
    twins = sum(len({thing.kind for thing in scene.things}) < len(scene.things) for _, scene in MANY)
    assert 0.2 < twins / len(MANY) < 0.6
