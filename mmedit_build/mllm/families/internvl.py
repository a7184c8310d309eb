"""InternVL, in the layout of transformers: an image, or its tiles and a view of it, between two marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.families.pieces import Tower
from mmedit_build.mllm.rows import Layout


class InternVL(Family):
    """InternVL 2.5 to 3.5."""

    towers: Mapping[str, Tower] = {
        "vision": Tower("model.vision_tower.encoder.layer", ("mlp.fc1", "mlp.fc2"), last=3),
        "connector": Tower("model.multi_modal_projector", ("linear_1", "linear_2")),
    }

    def views(self, found: Any, inputs: Mapping[str, Any]) -> list[list[Tensor]]:
        tiles = found.pooler_output.split(inputs["num_patches"].tolist())
        return [[one.flatten(0, 1)] for one in tiles]

    def layout(self, features: Tensor, number: int, inputs: Mapping[str, Any]) -> Layout:  # noqa: ARG002
        return Layout(f"<img>{self.image_token}</img>", (len(features),))
