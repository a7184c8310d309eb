"""The eye: the same pixels as the real processors give, and scenes read from its classifiers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor

from mmedit_build.checkpoints import BUNDLED, WEIGHTS
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.eye import PARTS, Eye, encode, load_eye, normalized
from mmedit_build.miniature.world import CORNERS, Scene, Thing, scenes

SCENE = Scene((Thing(1, "fish", "pink", True), Thing(2, "star", "white", False)), "water")


@pytest.mark.parametrize("name", ["miniature/mllm", "miniature/clip"])
def test_pixels_equal_those_of_the_processors(name: str) -> None:
    image = draw(SCENE, "pixels")
    theirs = AutoImageProcessor.from_pretrained(BUNDLED[name])(images=image, return_tensors="pt")
    ours = normalized(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None])
    assert torch.allclose(ours, theirs["pixel_values"], atol=1e-5)


def test_scenes_follow_the_classifiers(monkeypatch: pytest.MonkeyPatch) -> None:
    corners = torch.zeros(1, len(CORNERS), sum(PARTS))
    for thing in SCENE.things:
        start = 0
        for part, code in zip(PARTS, encode(thing), strict=True):
            corners[0, thing.corner, start + code] = 1
            start += part
    monkeypatch.setattr(Eye, "name", lambda *_: (corners, torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]])))
    assert Eye().scenes(torch.zeros(1, 3, 64, 64)) == [SCENE]


def test_the_bundled_eye_sees_what_is_drawn() -> None:
    eye = load_eye(WEIGHTS / "mllm")
    drawn = list(scenes("seen by nobody", 50))
    pixels = torch.from_numpy(np.stack([np.asarray(draw(scene, seed)) for seed, scene in drawn]))
    seen = eye.scenes(normalized(pixels.permute(0, 3, 1, 2)))
    assert np.mean([found == scene for found, (_, scene) in zip(seen, drawn, strict=True)]) > 0.85
