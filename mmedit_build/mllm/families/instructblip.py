"""InstructBLIP: as BLIP-2, but the Q-Former reads the prompt while it looks at the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import PIL.Image
from transformers import AutoTokenizer

from mmedit_build.mllm.families.blip2 import Blip2


class InstructBlip(Blip2):
    """With Vicuna; what is seen of an image belongs to it and a prompt."""

    image_inputs = ("pixel_values", "qformer_input_ids", "qformer_attention_mask")
    sees_prompt = True

    def complete(self, name: str, revision: str) -> None:
        self.prompt_tokenizer = AutoTokenizer.from_pretrained(
            name, revision=revision, subfolder="qformer_tokenizer"
        )

    def prepare(self, images: Sequence[PIL.Image.Image], prompts: Sequence[str]) -> dict[str, Any]:
        assert self.prompt_tokenizer is not None
        read = self.prompt_tokenizer(list(prompts), padding=True, return_tensors="pt")
        asked = {f"qformer_{name}": read[name] for name in ("input_ids", "attention_mask")}
        return super().prepare(images, prompts) | asked
