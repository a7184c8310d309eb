"""Gemma 3: the positions of an image attend to all of it, and most layers look only some way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.families.pieces import Tower, image_kinds, image_mask
from mmedit_build.mllm.rows import Layout, Row


class Gemma3(Family):
    """The whole model is called, as it and not its text trunk makes the masks."""

    trunk_path = "model"
    # The connector is a matrix, but not that of a linear module.
    towers: Mapping[str, Tower] = {
        "vision": Tower("model.vision_tower.encoder.layers", ("mlp.fc1", "mlp.fc2"), last=3)
    }

    @property
    def written_image(self) -> str:
        return str(self.tokenizer.convert_ids_to_tokens(self.config.boi_token_index))

    def views(self, found: Any, inputs: Mapping[str, Any]) -> list[list[Tensor]]:
        crops = found.pooler_output.split((inputs["num_crops"] + 1).tolist())
        return [[one.flatten(0, 1)] for one in crops]

    def layout(self, features: Tensor, number: int, inputs: Mapping[str, Any]) -> Layout:
        end = self.tokenizer.convert_ids_to_tokens(self.config.eoi_token_index)
        one = f"\n\n{self.written_image}{self.image_token}{end}\n\n"
        crops = int(inputs["num_crops"][number])
        counts = (len(features) // (crops + 1),) * (crops + 1)
        if not crops:
            return Layout(one, counts)
        rest = " ".join([one] * crops)
        return Layout(
            f"Here is the original image {one} and here are some crops to help you see better {rest}", counts
        )

    def extras(
        self,
        rows: Sequence[Row],
        deep: Sequence[Sequence[Tensor]],  # noqa: ARG002
        hidden: Tensor,
        start: int,  # noqa: ARG002
    ) -> dict[str, Any]:
        return {"token_type_ids": image_mask(rows, hidden).long()}

    def told(self, row: Row) -> dict[str, Any]:
        return {"token_type_ids": image_kinds(row)}
