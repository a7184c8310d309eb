"""Qwen-VL v1, as `mmedit-build convert qwen-vl` writes it: every image takes 256 positions of a Qwen2."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.families.pieces import Tower
from mmedit_build.mllm.families.qwen_vl_v1_model import QwenVL
from mmedit_build.mllm.rendering import IMAGE, Template, Templates
from mmedit_build.mllm.rows import Layout

PICTURE = f"Picture 1: <img>{IMAGE}</img>\n"
"""How an image stands in a text, in the chat of Qwen-VL-Chat and in the code of VLKEB."""


class QwenVLV1(Family):
    """Qwen-VL and Qwen-VL-Chat."""

    own_model = QwenVL
    trunk_path = text_path = "language_model"
    parts: Mapping[str, tuple[str, ...]] = {
        "vision": ("vision_tower.*",),
        "connector": ("resampler.*",),
        "language": ("language_model.*", "lm_head.*"),
    }
    towers: Mapping[str, Tower] = {
        "vision": Tower("vision_tower.encoder.layers", ("mlp.fc1", "mlp.fc2"), last=3),
        "connector": Tower("resampler", ("kv_proj", "out_proj", "proj")),
    }
    # Of the authors' own evaluation on VQAv2, OK-VQA and the like.
    question_template = "{question} Answer:"

    @property
    def plain(self) -> Templates:
        return Templates(Template(PICTURE), Template())

    @cached_property
    def fixed_layout(self) -> Layout | None:
        return Layout(self.image_token, (int(self.config.num_queries),))
