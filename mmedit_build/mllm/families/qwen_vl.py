"""Qwen-VL: as many tokens as an image has pixels for, which count their places along three axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.families.pieces import Tower, image_kinds, image_mask
from mmedit_build.mllm.rendering import IMAGE, Template, Templates
from mmedit_build.mllm.rows import Layout, Row


class Qwen2VL(Family):
    """Qwen2-VL."""

    parts: Mapping[str, tuple[str, ...]] = {
        "vision": ("model.visual.patch_embed.*", "model.visual.pos_embed.*", "model.visual.blocks.*"),
        "connector": ("model.visual.merger.*", "model.visual.deepstack_merger_list.*"),
        "language": ("model.language_model.*", "lm_head.*"),
    }
    towers: Mapping[str, Tower] = {
        "vision": Tower("model.visual.blocks", ("mlp.fc1", "mlp.fc2"), last=3),
        "connector": Tower("model.visual.merger", ("mlp.0", "mlp.2")),
    }
    image_inputs = ("pixel_values", "image_grid_thw")
    axes = 3

    @property
    def plain(self) -> Templates:
        return Templates(Template(f"<|vision_start|>{IMAGE}<|vision_end|>"), Template())

    def layout(self, features: Tensor, number: int, inputs: Mapping[str, Any]) -> Layout:
        time, height, width = inputs["image_grid_thw"][number].tolist()
        return Layout(self.image_token, (len(features),), (time, height, width))

    def positions(self, ids: Sequence[int], image: Sequence[int], layout: Layout | None) -> Tensor:
        return places_in_grid(self.model.base_model, ids, image, layout)

    def told(self, row: Row) -> dict[str, Any]:
        return {"mm_token_type_ids": image_kinds(row)}


class Qwen25VL(Qwen2VL):
    """Qwen2.5-VL: a gated MLP in the tower, too."""

    towers: Mapping[str, Tower] = {
        "vision": Tower("model.visual.blocks", ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"), last=3),
        "connector": Tower("model.visual.merger", ("mlp.0", "mlp.2")),
    }


class Qwen3VL(Qwen2VL):
    """Qwen3-VL: what the tower's middle layers see is added after the language model's first layers."""

    towers: Mapping[str, Tower] = {
        "vision": Tower("model.visual.blocks", ("mlp.linear_fc1", "mlp.linear_fc2"), last=3),
        "connector": Tower("model.visual.merger", ("linear_fc1", "linear_fc2")),
    }

    def views(self, found: Any, inputs: Mapping[str, Any]) -> list[list[Tensor]]:  # noqa: ARG002
        return [list(view) for view in zip(found.pooler_output, *found.deepstack_features, strict=True)]

    def extras(
        self, rows: Sequence[Row], deep: Sequence[Sequence[Tensor]], hidden: Tensor, start: int
    ) -> dict[str, Any]:
        return deep_extras(rows, deep, hidden, start)


def places_in_grid(model: Any, ids: Sequence[int], image: Sequence[int], layout: Layout | None) -> Tensor:
    """Positions along time, height and width (3, length), as the model itself counts them."""
    if layout is None:
        return torch.arange(len(ids)).expand(3, -1)
    kinds = torch.zeros(1, len(ids), dtype=torch.int)
    kinds[0, list(image)] = 1
    places, _ = model.get_rope_index(
        torch.tensor([ids]), mm_token_type_ids=kinds, image_grid_thw=torch.tensor([layout.grid])
    )
    return cast("Tensor", places[:, 0])


def deep_extras(
    rows: Sequence[Row], deep: Sequence[Sequence[Tensor]], hidden: Tensor, start: int
) -> dict[str, Any]:
    """What trunks are told that add something at the images' positions after their first layers."""
    seen = [levels for levels in deep if levels]
    # Above the layers that something is added after, none of it is kept.
    if not seen or start >= len(seen[0]):
        return {}
    levels = [torch.cat(level).to(hidden.device) for level in zip(*seen, strict=True)]
    return {"visual_pos_masks": image_mask(rows, hidden), "deepstack_visual_embeds": levels}
