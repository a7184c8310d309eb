"""Models that transformers has no classes for: what the project's own have in common."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    GenerationMixin,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling, CausalLMOutputWithPast


def register(model: type[PreTrainedModel]) -> None:
    """Let the Auto classes of transformers load checkpoints of this class, as often as asked."""
    # Typed Any, as the attributes of configs are not typed.
    config = cast("Any", model.config_class)
    AutoConfig.register(config.model_type, config, exist_ok=True)
    AutoModelForImageTextToText.register(config, model, exist_ok=True)


class OwnConfig(PretrainedConfig):
    """Settings of a vision tower and of a language model; subclasses name their classes in `sub_configs`."""

    sub_configs: ClassVar[dict[str, Any]] = {}
    vision_config: Any

    def __init__(self, *, image_token_id: int = 0, **rest: Any) -> None:
        self.image_token_id = image_token_id
        """The token in whose place features of images stand."""
        for name, kind in self.sub_configs.items():
            given = rest.pop(name, None) or {}
            setattr(self, name, kind(**given) if isinstance(given, dict) else given)
        super().__init__(**rest)


class OwnModel(PreTrainedModel, GenerationMixin):
    """A language model in whose rows features of images take the place of one of its tokens.

    Subclasses make a `language_model` (of embeddings, layers and norm), whose head is added here, and `see`.
    """

    _supports_sdpa = True
    language_model: Any

    def __init__(self, config: OwnConfig) -> None:
        super().__init__(config)
        # Layers of towers are no models by themselves, and so not told.
        config.vision_config._attn_implementation = config._attn_implementation
        text = config.get_text_config()
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)

    def see(self, pixel_values: Tensor) -> Tensor:
        """What the language model sees of prepared images (images, positions, width)."""
        raise NotImplementedError

    def get_image_features(self, pixel_values: Tensor) -> BaseModelOutputWithPooling:
        """The same, where the classes of transformers have it."""
        return BaseModelOutputWithPooling(pooler_output=self.see(pixel_values))

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        logits_to_keep: int = 0,
        **rest: Any,
    ) -> CausalLMOutputWithPast:
        """Logits at the last positions, at all of them without a number."""
        if inputs_embeds is None:
            inputs_embeds = self._embed(cast("Tensor", input_ids), pixel_values)
        # What else is found goes on under its own names, which are not the same in all versions.
        found = dict(self.language_model(inputs_embeds=inputs_embeds, **rest))
        logits = self.lm_head(found.pop("last_hidden_state")[:, -logits_to_keep:])
        return CausalLMOutputWithPast(logits=logits, **found)

    def _embed(self, ids: Tensor, pixel_values: Tensor | None) -> Tensor:
        places = ids == cast("Any", self.config).image_token_id
        # The placeholder may lie outside of the vocabulary.
        embedded: Tensor = self.get_input_embeddings()(ids.masked_fill(places, 0))
        if pixel_values is None:
            return embedded
        return embedded.masked_scatter(places[..., None], self.see(pixel_values).to(embedded))


def resized(positions: Tensor, side: int) -> Tensor:
    """A table of positions in a square (rows, width), for a square of so many rows a side."""
    old = round(len(positions) ** 0.5)
    if old == side:
        return positions
    square = positions.float().unflatten(0, (old, old)).permute(2, 0, 1)[None]
    wide = nn.functional.interpolate(square, size=(side, side), mode="bicubic", align_corners=False)
    return wide[0].permute(1, 2, 0).flatten(0, 1).to(positions.dtype)
