"""LLaVA: a CLIP tower and two linear modules give the features of an image, or of it and of its tiles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from torch import nn
from transformers import PreTrainedModel

from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.families.pieces import unused_layers


class Llava(Family):
    """LLaVA-1.5."""

    def __init__(self, model: PreTrainedModel, *parts: Any) -> None:
        super().__init__(model, *parts)
        vision = self.towers["vision"]
        unused = unused_layers(self.config, len(cast("nn.ModuleList", model.get_submodule(vision.path))))
        self.towers = {**self.towers, "vision": replace(vision, unused=unused)}


class LlavaNext(Llava):
    """Tiles as the image's proportions ask for, with a token at the end of each line of them."""

    image_inputs = ("pixel_values", "image_sizes")


class LlavaOnevision(LlavaNext):
    """The same, with the tower of SigLIP and the language model and turns of Qwen2."""
