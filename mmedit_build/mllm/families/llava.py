"""LLaVA: a CLIP tower and two linear modules give the features of an image, or of it and of its tiles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from transformers import PreTrainedModel

from mmedit_build.mllm.families.base import Family


class Llava(Family):
    """LLaVA-1.5."""

    def __init__(self, model: PreTrainedModel, *parts: Any) -> None:
        super().__init__(model, *parts)
        looked_at = self.config.vision_feature_layer
        highest = max(looked_at) if isinstance(looked_at, list) else looked_at
        layers = len(model.get_submodule(self.towers["vision"].path))  # type: ignore[arg-type]
        # The output of the last layer is -1 counted from the end, their number counted from the front.
        unused = -1 - highest if highest < 0 else layers - highest
        self.towers = {**self.towers, "vision": replace(self.towers["vision"], unused=unused)}


class LlavaNext(Llava):
    """Tiles as the image's proportions ask for, with a token at the end of each line of them."""

    image_inputs = ("pixel_values", "image_sizes")


class LlavaOnevision(LlavaNext):
    """The same, with the tower of SigLIP and the language model and turns of Qwen2."""
