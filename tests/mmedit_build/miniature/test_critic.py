"""The critic sees what is drawn, and reads its own logits rightly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmedit_build.checkpoints import WEIGHTS
from mmedit_build.miniature.critic import NAME, QUARTER, Critic, load_critic, quarters
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.eye import PARTS, encode
from mmedit_build.miniature.world import CORNERS, Scene, Thing, scenes

SCENE = Scene((Thing(1, "fish", "pink", True), Thing(2, "star", "white", False)), "water")


def test_quarters_are_in_the_order_of_the_corners() -> None:
    pixels = torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2).repeat_interleave(QUARTER, 2)
    pixels = pixels.repeat_interleave(QUARTER, 3).expand(1, 3, -1, -1)
    found = (quarters(pixels) + 1) * 127.5
    assert found.shape == (4, 3, QUARTER, QUARTER)
    assert [part.unique().round().tolist() for part in found] == [[0.0], [1.0], [2.0], [3.0]]


def test_scenes_follow_the_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    corners = torch.zeros(len(CORNERS), sum(PARTS))
    for thing in SCENE.things:
        start = 0
        for part, code in zip(PARTS, encode(thing), strict=True):
            corners[thing.corner, start + code] = 1
            start += part
    grounds = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]] * 3 + [[0.0, 1.5, 0.0, 0.0, 0.0]])
    monkeypatch.setattr(Critic, "forward", lambda *_: (corners, grounds))
    assert Critic().scenes([draw(SCENE, "seen")]) == [SCENE]


def test_the_bundled_critic_sees_what_is_drawn() -> None:
    drawn = list(scenes("seen by nobody", 200))
    seen = load_critic(WEIGHTS / NAME).scenes([draw(scene, seed) for seed, scene in drawn])
    assert np.mean([found == scene for found, (_, scene) in zip(seen, drawn, strict=True)]) > 0.97
