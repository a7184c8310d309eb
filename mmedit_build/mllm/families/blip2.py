"""BLIP-2: ViT and Q-Former give query tokens, which stand before the text of an OPT or a Llama."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, cast

import PIL.Image
import torch
from torch import Tensor
from transformers import PreTrainedModel

from mmedit_build.errors import UserError
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.families.pieces import MLPPaths, Tower
from mmedit_build.mllm.rendering import IMAGE, Template, Templates
from mmedit_build.mllm.rows import Layout, Row

NO_TOKEN = -1
LANGUAGES = ("opt", "llama")


class Blip2(Family):
    """With OPT, as published; MiniGPT-4 is such a model with a Llama."""

    trunk_path = text_path = "language_model.model"
    head_path = "language_model.lm_head"
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

    def __init__(self, model: PreTrainedModel, *parts: Any) -> None:
        kind = model.config.get_text_config().model_type
        if kind not in LANGUAGES:
            raise UserError(
                f"The language model of this BLIP-2 is of type '{kind}': use {' or '.join(LANGUAGES)}."
            )
        self._opt = kind == "opt"
        if self._opt:
            self.trunk_path = self.text_path = "language_model.model.decoder"
            self.norm_name = "final_layer_norm"
            self.mlp_paths = MLPPaths("fc1", "fc2")
            self.attention_path = "self_attn.out_proj"
        super().__init__(model, *parts)
        # MiniGPT-4's norm after the vision tower has one of its own, which the class does not know.
        eps = getattr(self.config.vision_config, "post_layernorm_eps", None)
        if eps is not None:
            cast("Any", model.get_submodule("vision_model.post_layernorm")).eps = eps

    @property
    def plain(self) -> Templates:
        # The image stands before the token that begins the text, as in the processor of transformers.
        return Templates(Template(), Template())

    @property
    def raw(self) -> Templates:
        alone = Template(begins=False)
        if self._opt:
            return Templates(alone, alone)
        # MiniGPT-4 there, which is told that a human speaks, but not where its own turn begins.
        begun = str(self.tokenizer.bos_token)
        return Templates(Template(f"{begun}###Human: <Img>{IMAGE}</Img> "), alone)

    @cached_property
    def fixed_layout(self) -> Layout | None:
        return Layout(self.image_token, (int(self.config.num_query_tokens),))

    @cached_property
    def image_id(self) -> int:
        # Older checkpoints name no placeholder, and none is needed.
        found = self.config.image_token_id
        return NO_TOKEN if found is None else int(found)

    @property
    def image_token(self) -> str:
        return "<image>" if self.image_id == NO_TOKEN else super().image_token

    def own_logits(self, row: Row, image: PIL.Image.Image | None, prompt: str) -> Tensor:
        if image is not None and self.image_id != NO_TOKEN:
            return super().own_logits(row, image, prompt)
        # The whole model asks for an image, and for the placeholder that older checkpoints do not name.
        hidden = self.embed([row], [None] if image is None else self.see([image], [prompt]))[0][None]
        language: Any = self.model.get_submodule("language_model")
        logits: Tensor = language(
            inputs_embeds=hidden, attention_mask=torch.ones_like(hidden[..., 0])
        ).logits[0]
        return logits

    def activation(self, layer: int) -> Callable[[Tensor], Tensor]:
        if not self._opt:
            return super().activation(layer)
        function: Callable[[Tensor], Tensor] = cast("Any", self.layers[layer]).activation_fn
        return function
