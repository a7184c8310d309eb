"""mPLUG-Owl2, as `mmedit-build convert mplug-owl2` writes it: an image takes 65 positions of a Llama-2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import PIL.Image
from torch import Tensor

from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.families.mplug_owl2_model import MplugOwl2
from mmedit_build.mllm.families.pieces import Tower, image_mask
from mmedit_build.mllm.rendering import Template, Templates
from mmedit_build.mllm.rows import Layout, Row


class MplugOwl2Family(Family):
    """mPLUG-Owl2 with Llama-2."""

    own_model = MplugOwl2
    trunk_path = text_path = "language_model"
    parts: Mapping[str, tuple[str, ...]] = {
        "vision": ("vision_tower.*",),
        "connector": ("abstractor.*",),
        "language": ("language_model.*", "lm_head.*"),
    }
    towers: Mapping[str, Tower] = {
        "vision": Tower("vision_tower.encoder.layers", ("mlp.fc1", "mlp.fc2"), last=3),
        "connector": Tower("abstractor.layers", ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"), last=2),
    }
    # Of the authors' own evaluation on VQAv2 and the like.
    question_template = "{question} Answer the question using a single word or phrase."

    @property
    def raw(self) -> Templates:
        # In VLKEB's code texts begin with the image, and then it stands before the token that begins a text.
        return Templates(Template(), Template())

    @cached_property
    def fixed_layout(self) -> Layout | None:
        return Layout(self.image_token, (self.config.image_length,))

    def prepare(self, images: Sequence[PIL.Image.Image], prompts: Sequence[str]) -> dict[str, Any]:
        # As the authors do in their evaluation; the image processor alone would cut off what is no square.
        squares = [image.resize((max(image.size),) * 2) for image in images]
        return super().prepare(squares, prompts)

    def extras(
        self,
        rows: Sequence[Row],
        deep: Sequence[Sequence[Tensor]],  # noqa: ARG002
        hidden: Tensor,
        start: int,  # noqa: ARG002
    ) -> dict[str, Any]:
        return {"shown": image_mask(rows, hidden)} if any(row.image for row in rows) else {}
