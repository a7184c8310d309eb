"""Models that no family file knows: parts by structure, prompts by their processor, checked at load."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import PIL.Image
import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from mmedit_build.errors import UserError
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.families.pieces import Seen, image_kinds, image_mask, soft_capped
from mmedit_build.mllm.families.qwen_vl import deep_extras, places_in_grid
from mmedit_build.mllm.families.structure import find_structure
from mmedit_build.mllm.rows import Layout, Row

ACTIVATIONS = ("act_fn", "activation_fn", "act")
IMAGE_KINDS = ("token_type_ids", "mm_token_type_ids")
"""By these arguments models are told where images stand."""
LOADED = ("image_processor", "tokenizer", "video_processor", "feature_extractor", "chat_template")
"""What a processor has besides its settings."""


class Generic(Family):
    """What signatures ask for is given; whether that was right is for the check at load to say."""

    # Nobody has looked.
    causal = False

    def __init__(self, model: PreTrainedModel, *parts: Any) -> None:
        found = find_structure(model)
        self.text_path, self.layers_name, self.norm_name = found.text, found.layers, found.norm
        self.head_path, self.mlp_paths, self.attention_path = found.head, found.mlp, found.attention
        self.parts, self.towers = found.parts, found.towers
        whole = model.get_submodule(found.whole)
        # Where a whole model wants to know where images stand, it makes masks of that.
        self.trunk_path = found.whole if "token_type_ids" in _asked(whole.forward) else found.text
        self.axes = 3 if hasattr(whole, "get_rope_index") else 1
        self.image_inputs = tuple(_asked(cast("Any", model).get_image_features))
        super().__init__(model, *parts)
        self._processor: Any = None

    def complete(self, name: str, revision: str) -> None:
        self._processor, self.settings = _processor(self, name, revision)

    @property
    def written_image(self) -> str:
        return str(getattr(self._processor, "image_token", self.image_token))

    def positions(self, ids: Sequence[int], image: Sequence[int], layout: Layout | None) -> Tensor:
        if self.axes == 1:
            return super().positions(ids, image, layout)
        return places_in_grid(self.model.base_model, ids, image, layout)

    def prepare(self, images: Sequence[PIL.Image.Image], prompts: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        # Nested, as some take a list for the images of one row.
        made = self._processor(
            images=[[image] for image in images],
            text=[self.written_image for _ in images],
            add_special_tokens=False,
            return_tensors="pt",
        )
        return dict(made)

    def see(self, images: Sequence[PIL.Image.Image], prompts: Sequence[str]) -> list[Seen]:
        # One by one: what comes back need not say what belongs to which image.
        return [view for image in images for view in super(Generic, self).see([image], prompts)]

    def views(self, found: Any, inputs: Mapping[str, Any]) -> list[list[Tensor]]:  # noqa: ARG002
        levels = getattr(found, "deepstack_features", None) or []
        return [[_joined(one) for one in (found.pooler_output, *levels)]]

    def layout(self, features: Tensor, number: int, inputs: Mapping[str, Any]) -> Layout:  # noqa: ARG002
        ids = inputs["input_ids"][0].tolist()
        runs = [(token, len(list(run))) for token, run in itertools.groupby(ids)]
        once = [token for token, length in runs for _ in range(1 if token == self.image_id else length)]
        counts = tuple(length for token, length in runs if token == self.image_id)
        if sum(counts) != len(features):
            raise UserError(
                f"Of an image this model sees {len(features)} positions, but its processor writes "
                f"{sum(counts)}: use a model of another type."
            )
        grid = inputs.get("image_grid_thw")
        place = None if grid is None else cast("tuple[int, int, int]", tuple(grid[0].tolist()))
        return Layout(str(self.tokenizer.decode(once)), counts, place)

    def extras(
        self, rows: Sequence[Row], deep: Sequence[Sequence[Tensor]], hidden: Tensor, start: int
    ) -> dict[str, Any]:
        asked = self._asked
        extras = {"token_type_ids": image_mask(rows, hidden).long()} if "token_type_ids" in asked else {}
        return extras | (deep_extras(rows, deep, hidden, start) if "deepstack_visual_embeds" in asked else {})

    @cached_property
    def _asked(self) -> list[str]:
        return _asked(self.trunk.forward)

    def told(self, row: Row) -> dict[str, Any]:
        return {name: image_kinds(row) for name in IMAGE_KINDS if name in _asked(self.model.forward)}

    def head(self, hidden: Tensor) -> Tensor:
        return soft_capped(super().head(hidden), self.text_config)

    def activation(self, layer: int) -> Callable[[Tensor], Tensor]:
        around = self.layers[layer].get_submodule(self.mlp_paths.down.rpartition(".")[0])
        found = [getattr(around, name) for name in ACTIVATIONS if hasattr(around, name)]
        if not found:
            raise UserError(
                "The activation of this model's MLP could not be found: use a model of another type."
            )
        return cast("Callable[[Tensor], Tensor]", found[0])


def _asked(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def _joined(features: Any) -> Tensor:
    """All features of one image (positions, width), whether they come tile by tile or not."""
    whole = features if isinstance(features, Tensor) else torch.cat(list(features))
    return whole.flatten(0, -2)


def _processor(family: Family, name: str, revision: str) -> tuple[Any, dict[str, Any]]:
    """The checkpoint's processor and its settings, but not what is for videos: it needs more libraries."""
    try:
        known: Any = PROCESSOR_MAPPING[type(family.config)]
        settings, _ = known.get_processor_dict(name, revision=revision)
        asked = _asked(known.__init__)
        chosen = {key: value for key, value in settings.items() if key in asked and key not in LOADED}
        parts: dict[str, Any] = {key: None for key in LOADED if key in asked}
        parts |= {"image_processor": family.image_processor, "tokenizer": family.tokenizer}
        # The check of classes would look for those of videos.
        lenient = type(known.__name__, (known,), {"check_argument_for_proper_class": lambda *_: None})
        return lenient(**chosen, **parts), chosen
    except (AttributeError, ImportError, KeyError, TypeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"No file knows models of type '{family.config.model_type}', and the processor that writes their "
            f"prompts cannot be used ({reason.rstrip('.')}): mend that, or use a model of another type."
        ) from error
