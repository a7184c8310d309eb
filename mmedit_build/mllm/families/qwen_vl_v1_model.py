"""The model of Qwen-VL v1: a vision tower, a resampler that asks it, and a Qwen2 as the language model.

The classes are the project's own, as those of the checkpoints are code that would be run from the Hub. Up to
2,048 positions they compute what those do; beyond, the published ones change rotary angles and attention
with the length of a text (dynamic NTK and log-n scaling), which these do not.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionConfig, Qwen2Config, Qwen2Model
from transformers.models.clip.modeling_clip import CLIPEncoder

from mmedit_build.mllm.families.own import OwnConfig, OwnModel, resized

POSITIONS = 256
"""Rows of the tower's table of positions, which is stretched to the patches that there are."""
NORM_EPS = 1e-6
"""Of all norms that images pass."""


class QwenVLConfig(OwnConfig):
    """Settings of Qwen-VL v1."""

    model_type = "mmedit_qwen_vl"
    sub_configs: ClassVar[dict[str, Any]] = {"vision_config": CLIPVisionConfig, "text_config": Qwen2Config}

    def __init__(self, *, num_queries: int = 256, resampler_heads: int = 32, **rest: Any) -> None:
        self.num_queries = num_queries
        """How many positions an image takes, a square number."""
        self.resampler_heads = resampler_heads
        super().__init__(**rest)


class VisionTower(nn.Module):
    """Patches of an image through layers like CLIP's, without a class token and a norm at the end."""

    def __init__(self, config: CLIPVisionConfig) -> None:
        super().__init__()
        width, patch = config.hidden_size, cast("int", config.patch_size)
        self.patches = nn.Conv2d(3, width, kernel_size=patch, stride=patch, bias=False)
        self.positions = nn.Parameter(torch.zeros(POSITIONS, width))
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.encoder = CLIPEncoder(cast("Any", config))

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(images, patches, width)"""
        patches = self.patches(pixel_values)
        places = resized(self.positions, patches.shape[-1])
        hidden = self.norm(patches.flatten(2).mT + places)
        return cast("Tensor", self.encoder(inputs_embeds=hidden).last_hidden_state)


class Resampler(nn.Module):
    """Learned queries attend to the patches of an image once, and are projected for the language model."""

    def __init__(self, config: QwenVLConfig, seen: int, width: int) -> None:
        super().__init__()
        self.heads = config.resampler_heads
        self.queries = nn.Parameter(torch.zeros(config.num_queries, width))
        # Where queries and patches lie in the image.
        self.register_buffer("positions", torch.zeros(config.num_queries, width))
        self.kv_proj = nn.Linear(seen, width, bias=False)
        self.query_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.kv_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        self.post_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.proj = nn.Linear(width, width, bias=False)

    def forward(self, patches: Tensor) -> Tensor:
        """(images, queries, width)"""
        values = self.kv_norm(self.kv_proj(patches))
        positions = cast("Tensor", self.positions)
        keys = values + resized(positions, round(patches.shape[1] ** 0.5))
        queries = self.q_proj(self.query_norm(self.queries) + positions).expand(len(patches), -1, -1)
        asked = F.scaled_dot_product_attention(
            self._heads(queries), self._heads(self.k_proj(keys)), self._heads(self.v_proj(values))
        )
        found: Tensor = self.proj(self.post_norm(self.out_proj(asked.transpose(1, 2).flatten(2))))
        return found

    def _heads(self, hidden: Tensor) -> Tensor:
        apart: Tensor = hidden.unflatten(-1, (self.heads, -1))
        return apart.transpose(1, 2)


class QwenVL(OwnModel):
    """Qwen-VL v1."""

    config_class = QwenVLConfig

    def __init__(self, config: QwenVLConfig) -> None:
        super().__init__(config)
        # Typed Any, as the attributes of configs are not typed.
        settings: Any = config
        self.vision_tower = VisionTower(settings.vision_config)
        self.resampler = Resampler(
            config, settings.vision_config.hidden_size, settings.text_config.hidden_size
        )
        self.language_model = Qwen2Model(settings.text_config)
        cast("Any", self).post_init()

    def see(self, pixel_values: Tensor) -> Tensor:
        found: Tensor = self.resampler(self.vision_tower(pixel_values))
        return found
