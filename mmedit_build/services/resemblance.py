"""How well images fit texts: cosines of CLIP's or SigLIP's embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, AutoProcessor

from mmedit_build import recipe
from mmedit_build.checkpoints import locate
from mmedit_build.errors import UserError, first_line
from mmedit_build.mllm import find_device
from mmedit_build.mllm.images import Image, open_image
from mmedit_build.mllm.loading import UNLOADABLE

BATCH = 32


class Resemblance:
    """A model that embeds texts and images in the same space."""

    def __init__(self, model: nn.Module, processor: Any, most_tokens: int) -> None:
        self._model = model
        self._processor = processor
        self._most_tokens = most_tokens

    @classmethod
    def open(cls, config: recipe.Resemblance, device: str) -> Resemblance:
        place = find_device(device)
        name = locate(config.model)
        try:
            model = AutoModel.from_pretrained(name, revision=config.revision or "main", dtype=torch.float32)
            processor = AutoProcessor.from_pretrained(name, revision=config.revision or "main")
            # What tokenizers say about their longest text is often a number without meaning.
            most_tokens = model.config.text_config.max_position_embeddings
            if not hasattr(model, "logit_scale"):
                raise ValueError("it was not trained to match images and texts")
        except (*UNLOADABLE, ImportError, AttributeError) as error:
            raise UserError(
                f"Cannot load a model of similarity from '{config.model}' ({first_line(error)}): give the "
                "folder or the Hub id of a CLIP or SigLIP model; an id needs a connection, or the model "
                "downloaded before."
            ) from error
        model.requires_grad_(False)
        nn.Module.to(model.eval(), place)
        return cls(model, processor, most_tokens)

    @torch.no_grad()
    def text_image(self, texts: Sequence[str], images: Sequence[Image]) -> list[float]:
        """The cosine of each text with the image at its place. The ends of very long texts are not read."""
        cosines: list[float] = []
        for start in range(0, len(texts), BATCH):
            part = slice(start, start + BATCH)
            cosines += self._cosines(texts[part], [open_image(image) for image in images[part]])
        return cosines

    def _cosines(self, texts: Sequence[str], images: Sequence[Any]) -> list[float]:
        # SigLIP was trained with padding up to its longest text; CLIP does not mind it.
        inputs = self._processor(
            text=list(texts),
            images=list(images),
            padding="max_length",
            truncation=True,
            max_length=self._most_tokens,
            return_tensors="pt",
        ).to(next(self._model.parameters()).device)
        output = self._model(**inputs)
        cosines: list[float] = nn.functional.cosine_similarity(
            output.text_embeds, output.image_embeds
        ).tolist()
        return cosines
