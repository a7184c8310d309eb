"""Embeddings of CLIP or SigLIP: how well images fit texts, and how near images or texts are to each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import PIL.Image
import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoProcessor
from transformers.models.auto.modeling_auto import MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES

from mmedit_build import recipe
from mmedit_build.checkpoints import locate
from mmedit_build.checkpoints.files import find_files
from mmedit_build.checkpoints.tokenizers import TRIAL, check_fits, check_tokenizer
from mmedit_build.checkpoints.weights import load_whole, told
from mmedit_build.mllm import find_device
from mmedit_build.pictures import Image, open_image

MATCHER = "a model of similarity"
REMEDY = (
    "give the folder or the Hub id of a CLIP or SigLIP model; an id needs a connection, or the model "
    "downloaded before"
)
BATCH = 32


def look_at(config: recipe.Resemblance | recipe.Neighbors, device: str) -> Any:
    """The processor of a model, refused if the files beside it do not allow to load the model."""
    find_device(device)
    name, revision = locate(config.model), config.revision or "main"
    with told(MATCHER, config.model, REMEDY):
        find_files(name, revision).check_model(MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES)
        processor: Any = AutoProcessor.from_pretrained(name, revision=revision)
        check_tokenizer(config.model, processor.tokenizer)
    return processor


class Resemblance:
    """A model that embeds texts and images in the same space."""

    def __init__(self, model: Any, processor: Any, most_tokens: int) -> None:
        self._model = model
        self._processor = processor
        self._most_tokens = most_tokens

    @classmethod
    def open(cls, config: recipe.Resemblance | recipe.Neighbors, device: str) -> Resemblance:
        processor = look_at(config, device)
        with told(MATCHER, config.model, REMEDY):
            model = load_whole(
                AutoModel, locate(config.model), revision=config.revision or "main", dtype=torch.float32
            )
            # What tokenizers say about their longest text is often a number without meaning.
            most_tokens = model.config.text_config.max_position_embeddings
            if not hasattr(model, "logit_scale"):
                raise ValueError("it was not trained to match images and texts")
            check_fits(config.model, processor.tokenizer, model.text_model)
            model.requires_grad_(False)
            nn.Module.to(model.eval(), find_device(device))
            opened = cls(model, processor, most_tokens)
            # What is wrong with how pictures are prepared is found out only when one is.
            opened.text_image([TRIAL[0]], [PIL.Image.new("RGB", (64, 64), "red")])
        return opened

    @torch.no_grad()
    def text_image(self, texts: Sequence[str], images: Sequence[Image]) -> list[float]:
        """The cosine of each text with the image at its place. The ends of very long texts are not read."""
        cosines: list[float] = []
        for start in range(0, len(texts), BATCH):
            part = slice(start, start + BATCH)
            cosines += self._cosines(texts[part], [open_image(image) for image in images[part]])
        return cosines

    @torch.no_grad()
    def text_vectors(self, texts: Sequence[str]) -> list[Tensor]:
        """The embedding of each text, of length 1."""
        return self._vectors(
            texts, lambda part: self._model.get_text_features(**self._inputs(text=list(part)))
        )

    @torch.no_grad()
    def image_vectors(self, images: Sequence[Image]) -> list[Tensor]:
        """The embedding of each image, of length 1."""

        def embed(part: Sequence[Image]) -> Any:
            opened = [open_image(image) for image in part]
            return self._model.get_image_features(**self._inputs(images=opened))

        return self._vectors(images, embed)

    def _vectors(self, things: Sequence[Any], embed: Callable[[Sequence[Any]], Any]) -> list[Tensor]:
        found: list[Tensor] = []
        for start in range(0, len(things), BATCH):
            embedded = embed(things[start : start + BATCH]).pooler_output
            found += nn.functional.normalize(embedded, dim=-1).cpu()
        return found

    def _cosines(self, texts: Sequence[str], images: Sequence[Any]) -> list[float]:
        output = self._model(**self._inputs(text=list(texts), images=list(images)))
        cosines: list[float] = nn.functional.cosine_similarity(
            output.text_embeds, output.image_embeds
        ).tolist()
        return cosines

    def _inputs(self, **given: Any) -> Any:
        # SigLIP was trained with padding up to its longest text; CLIP does not mind it.
        padding = {"padding": "max_length", "truncation": True, "max_length": self._most_tokens}
        prepared = self._processor(**given, **(padding if "text" in given else {}), return_tensors="pt")
        return prepared.to(next(self._model.parameters()).device)
