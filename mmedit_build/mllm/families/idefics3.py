"""Idefics3 and SmolVLM: tiles, each behind the number of its row and column, then the whole image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import PIL.Image
from torch import Tensor

from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.families.pieces import Tower
from mmedit_build.mllm.rows import Layout

AROUND, WHOLE = "<fake_token_around_image>", "<global-img>"


class Idefics3(Family):
    """Both; they differ in what their towers look at."""

    trunk_path = text_path = "model.text_model"
    parts: Mapping[str, tuple[str, ...]] = {
        "vision": ("model.vision_model.*",),
        "connector": ("model.connector.*",),
        "language": ("model.text_model.*", "lm_head.*"),
    }
    towers: Mapping[str, Tower] = {
        "vision": Tower("model.vision_model.encoder.layers", ("mlp.fc1", "mlp.fc2"), last=3),
        "connector": Tower("model.connector.modality_projection", ("proj",)),
    }
    image_inputs = ("pixel_values", "pixel_attention_mask")

    def prepare(self, images: Sequence[PIL.Image.Image], prompts: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        # In lists of one, as otherwise all images would be taken for those of one row.
        each = [[image] for image in images]
        return dict(self.image_processor(images=each, return_tensors="pt", return_row_col_info=True))

    def layout(self, features: Tensor, number: int, inputs: Mapping[str, Any]) -> Layout:
        rows, columns = inputs["rows"][number][0], inputs["cols"][number][0]
        tile = AROUND + "<row_{}_col_{}>" + self.image_token
        lines = [
            "".join(tile.format(row + 1, column + 1) for column in range(columns)) + "\n"
            for row in range(rows)
        ]
        whole = f"{AROUND}{WHOLE}{self.image_token}{AROUND}"
        tiles = rows * columns + 1
        text = "".join(lines) + ("\n" if lines else "") + whole
        return Layout(text, (len(features) // tiles,) * tiles)
