"""The eye: the same pixels as the real processors give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor

from mmedit_build.checkpoints import BUNDLED
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.eye import normalized
from mmedit_build.miniature.world import Scene, Thing

SCENE = Scene((Thing(1, "fish", "pink", True), Thing(2, "star", "white", False)), "water")


@pytest.mark.parametrize("name", ["miniature/mllm", "miniature/clip"])
def test_pixels_equal_those_of_the_processors(name: str) -> None:
    image = draw(SCENE, "pixels")
    theirs = AutoImageProcessor.from_pretrained(BUNDLED[name])(images=image, return_tensors="pt")
    ours = normalized(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None])
    assert torch.allclose(ours, theirs["pixel_values"], atol=1e-5)
