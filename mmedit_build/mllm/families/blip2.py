"""BLIP-2 with an OPT language model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, cast

import PIL.Image
import torch
from torch import Tensor, nn
from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor, DynamicCache

from mmedit_build.checkpoints.tokenizers import check_fits, check_tokenizer
from mmedit_build.checkpoints.weights import load_whole
from mmedit_build.errors import UserError
from mmedit_build.mllm.families.base import Tower


class Blip2:
    """ViT and Q-Former give query tokens, which a linear projection puts in front of the text of an OPT."""

    parts: Mapping[str, tuple[str, ...]] = {
        "vision": ("vision_model.*",),
        "connector": ("qformer.*", "query_tokens", "language_projection.*"),
        "language": ("language_model.*",),
    }
    # Of the connector, what MMEdit's code edits in its variant of MEND for vision; of the vision tower, as
    # many layers as methods edit in the language model.
    towers: Mapping[str, Tower] = {
        "vision": Tower("vision_model.encoder.layers", ("mlp.fc1", "mlp.fc2"), last=3),
        "connector": Tower("qformer.encoder.layer", ("output_query.dense",), last=2),
    }
    question_template = "Question: {question} Short answer:"
    layers_path = "language_model.model.decoder.layers"
    mlp_paths = ("fc1", "fc2")
    attention_path = "self_attn.out_proj"
    head_names = frozenset(
        (
            "language_model.model.decoder.final_layer_norm.weight",
            "language_model.model.decoder.final_layer_norm.bias",
            "language_model.lm_head.weight",
        )
    )

    def __init__(self, model: Blip2ForConditionalGeneration, processor: Any) -> None:
        self.model = model
        self.tokenizer = processor.tokenizer
        self.image_processor = processor.image_processor
        self.image_length: int = model.config.num_query_tokens
        # Typed Any, as the attributes of configs and modules are not typed.
        text_config: Any = model.config.text_config
        self.max_positions: int = text_config.max_position_embeddings
        self.decoder = cast("Any", model.get_submodule("language_model.model.decoder"))
        self.layers: nn.ModuleList = self.decoder.layers
        self.embed_tokens: nn.Embedding = self.decoder.embed_tokens

    @classmethod
    def load(cls, folder: str, revision: str, dtype: torch.dtype) -> Self:
        text_config: Any = Blip2Config.from_pretrained(folder, revision=revision).text_config
        if text_config.model_type != "opt":
            raise UserError(
                f"The language model of '{folder}' is '{text_config.model_type}': use a BLIP-2 with OPT."
            )
        model = load_whole(Blip2ForConditionalGeneration, folder, revision=revision, dtype=dtype)
        processor = Blip2Processor.from_pretrained(folder, revision=revision)
        check_tokenizer(folder, processor.tokenizer)
        check_fits(folder, processor.tokenizer, model.language_model)
        return cls(model, processor)

    def encode_images(self, images: Sequence[PIL.Image.Image]) -> Tensor:
        pixels = self.image_processor(images=list(images), return_tensors="pt")["pixel_values"]
        seen = self.model.vision_model(pixels.to(self.model.device, self.model.dtype)).last_hidden_state
        queries = self.model.query_tokens.expand(len(seen), -1, -1)
        asked = self.model.qformer(query_embeds=queries, encoder_hidden_states=seen).last_hidden_state
        # The Q-Former stays in float32 when the rest is float16.
        features: Tensor = self.model.language_projection(asked.to(seen.dtype))
        return features

    def embed_row(self, ids: Tensor, features: Tensor | None) -> Tensor:
        embedded = self.embed_tokens(ids)
        if features is not None:
            embedded = torch.cat([features.to(embedded.dtype), embedded])
        return self._placed(embedded, torch.arange(len(embedded), device=ids.device))

    def embed_next(self, ids: Tensor, positions: Tensor) -> Tensor:
        return self._placed(self.embed_tokens(ids), positions)[:, None]

    def _placed(self, embedded: Tensor, positions: Tensor) -> Tensor:
        # OPT counts the positions of a row from its first real one, padding left out, so they can be added
        # before rows are padded. The module wants a mask but does not look at it when it is given positions.
        placed: Tensor = embedded + self.decoder.embed_positions(None, position_ids=positions)
        return placed

    def run(self, hidden: Tensor, valid: Tensor, layers: range, cache: DynamicCache | None) -> Tensor:
        mask = _attention_mask(hidden, valid)
        for index in layers:
            hidden = self.layers[index](
                hidden, attention_mask=mask, past_key_values=cache, use_cache=cache is not None
            )
        return hidden

    def head(self, hidden: Tensor) -> Tensor:
        language: Any = self.model.language_model
        logits: Tensor = language.lm_head(self.decoder.final_layer_norm(hidden))
        return logits

    def activation(self, layer: int) -> Callable[[Tensor], Tensor]:
        function: Callable[[Tensor], Tensor] = self.decoder.layers[layer].activation_fn
        return function


def _attention_mask(hidden: Tensor, valid: Tensor) -> Tensor:
    """What to add to attention scores (batch, 1, queries, keys): 0 where a key is seen, else the minimum.

    A padded position sees itself, so that no row of scores is empty (which would give NaN).
    """
    keys = torch.arange(valid.shape[1], device=hidden.device)
    queries = keys[-hidden.shape[1] :, None]
    seen = ((keys <= queries) & valid[:, None]) | (keys == queries)
    # Added rather than boolean, because both the eager and the fused attention of transformers take it so.
    hide = torch.finfo(hidden.dtype).min
    return torch.zeros_like(seen, dtype=hidden.dtype).masked_fill(~seen, hide)[:, None]
