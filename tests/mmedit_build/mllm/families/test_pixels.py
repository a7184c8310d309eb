"""What processors make of bytes is the same looked up as computed, to the last bit."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mmedit_build.mllm.families.pixels import looked_up
from tests.mmedit_build.mllm.families.conftest import Specimens
from tests.zoo.members import MEMBERS


def picture(mode: str, seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


@pytest.mark.parametrize("name", [*MEMBERS, "aya_vision"])
def test_every_family_prepares_the_same_numbers(specimens: Specimens, name: str) -> None:
    family = specimens(name).family
    images, prompts = [picture("RGB", 0), picture("L", 1).convert("RGB")], ["one", "two"]
    computed = family.prepare(images, prompts)
    settings = family.image_processor.to_dict()
    with looked_up(family.image_processor):
        found = family.prepare(images, prompts)
    assert found.keys() == computed.keys()
    assert torch.equal(found["pixel_values"], computed["pixel_values"])
    assert found["pixel_values"].dtype == computed["pixel_values"].dtype
    assert family.image_processor.to_dict() == settings
    assert not {"rescale", "normalize"} & vars(family.image_processor).keys()


def test_only_the_table_is_computed(specimens: Specimens, monkeypatch: pytest.MonkeyPatch) -> None:
    family = specimens("llava").family
    processor, shapes = family.image_processor, []
    normalize = type(processor).normalize

    def watched(self: Any, image: Any, *given: Any, **named: Any) -> Any:
        shapes.append(image.shape)
        return normalize(self, image, *given, **named)

    assert "image" in inspect.signature(normalize).parameters
    monkeypatch.setattr(type(processor), "normalize", watched)
    with looked_up(processor):
        family.prepare([picture("RGB", 2)], ["what"])
    assert shapes == [(3, 1, 256)]


@pytest.mark.parametrize("setting", ["do_rescale", "do_normalize"])
def test_a_processor_with_one_of_the_steps_computes(specimens: Specimens, setting: str) -> None:
    family = specimens("llava").family
    processor = type(family.image_processor).from_dict({**family.image_processor.to_dict(), setting: False})
    images = [picture("RGB", 3)]
    computed = processor(images=images, return_tensors="pt")["pixel_values"]
    with looked_up(processor):
        found = processor(images=images, return_tensors="pt")["pixel_values"]
    assert torch.equal(found, computed)
