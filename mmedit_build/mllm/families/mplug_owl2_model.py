"""The model of mPLUG-Owl2: CLIP's tower, an abstractor that asks it, and a Llama that tells images from text.

The classes are the project's own, as those of the authors need a transformers of years ago. The tower is
CLIP's as transformers has it, but the norm that it keeps for its class token is for all positions here.
"""

from __future__ import annotations

import copy
from functools import wraps
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaModel
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from mmedit_build.mllm.families.own import OwnConfig, OwnModel

NORM_EPS = 1e-6
"""Of the norms within MLPs of the abstractor; its others have torch's own."""


class MplugOwl2Config(OwnConfig):
    """Settings of mPLUG-Owl2; the defaults are those of the abstractor that was published."""

    model_type = "mmedit_mplug_owl2"
    vision_config: Any
    text_config: Any
    sub_configs: ClassVar[dict[str, Any]] = {"vision_config": CLIPVisionConfig, "text_config": LlamaConfig}

    def __init__(
        self,
        *,
        num_queries: int = 64,
        abstractor_layers: int = 6,
        abstractor_heads: int = 16,
        abstractor_size: int = 2816,
        **rest: Any,
    ) -> None:
        self.num_queries = num_queries
        self.abstractor_layers = abstractor_layers
        self.abstractor_heads = abstractor_heads
        self.abstractor_size = abstractor_size
        """Width within its MLPs."""
        super().__init__(**rest)

    @property
    def image_length(self) -> int:
        """How many positions an image takes: one for each query, and one that ends it."""
        return self.num_queries + 1

    def positions(self) -> dict[str, Tensor]:
        """What tells queries, and parts of an image, apart in the abstractor; nothing for the class token."""
        width, vision = self.vision_config.hidden_size, self.vision_config
        places = torch.arange(vision.image_size // vision.patch_size)
        rows, columns = torch.meshgrid(places, places, indexing="ij")
        patches = torch.cat([waves(one.flatten(), width // 2) for one in (columns, rows)], dim=1)
        return {
            "query_positions": waves(torch.arange(self.num_queries), width),
            "image_positions": torch.cat([torch.zeros(1, width), patches]),
        }


def waves(places: Tensor, width: int) -> Tensor:
    """Sines and cosines of places, of slower and slower waves (places, width)."""
    angles = places[:, None] / 10_000 ** (torch.arange(width // 2) / (width // 2))
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class GatedMLP(nn.Module):
    """That of a layer of the abstractor, with a norm in the middle."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(width, size), nn.Linear(width, size)
        self.norm = nn.LayerNorm(size, eps=NORM_EPS)
        self.down_proj = nn.Linear(size, width)

    def forward(self, hidden: Tensor) -> Tensor:
        inner = F.silu(self.gate_proj(hidden)) * self.up_proj(hidden)
        found: Tensor = self.down_proj(self.norm(inner))
        return found


class AbstractorLayer(nn.Module):
    """Queries attend to themselves and to the image."""

    def __init__(self, config: MplugOwl2Config) -> None:
        super().__init__()
        width = config.vision_config.hidden_size
        self.heads = config.abstractor_heads
        self.query_norm, self.image_norm, self.mlp_norm = (nn.LayerNorm(width) for _ in range(3))
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        self.mlp = GatedMLP(width, config.abstractor_size)
        for name, positions in config.positions().items():
            self.register_buffer(name, positions)

    def forward(self, queries: Tensor, image: Tensor) -> Tensor:
        # What is added to is the norm's output, not what entered it.
        queries = self.query_norm(queries)
        queries = queries + self.out_proj(self._asked(queries, self.image_norm(image)))
        found: Tensor = queries + self.mlp(self.mlp_norm(queries))
        return found

    def _asked(self, queries: Tensor, image: Tensor) -> Tensor:
        own, others = cast("Tensor", self.query_positions), cast("Tensor", self.image_positions)
        values = torch.cat([queries, image], dim=1)
        keys = values + torch.cat([own, others])
        found = F.scaled_dot_product_attention(
            self._apart(self.q_proj(queries + own)),
            self._apart(self.k_proj(keys)),
            self._apart(self.v_proj(values)),
        )
        return found.transpose(1, 2).flatten(2)

    def _apart(self, hidden: Tensor) -> Tensor:
        return cast("Tensor", hidden.unflatten(-1, (self.heads, -1))).transpose(1, 2)


class Abstractor(nn.Module):
    """Learned queries look at an image layer by layer; a learned vector ends what the language model sees."""

    def __init__(self, config: MplugOwl2Config) -> None:
        super().__init__()
        seen, said = config.vision_config.hidden_size, config.text_config.hidden_size
        self.queries = nn.Parameter(torch.zeros(config.num_queries, seen))
        self.layers = nn.ModuleList([AbstractorLayer(config) for _ in range(config.abstractor_layers)])
        self.proj = nn.Linear(seen, said)
        self.end = nn.Parameter(torch.zeros(said))

    def forward(self, image: Tensor) -> Tensor:
        """(images, queries + 1, width of the language model)"""
        queries = self.queries.expand(len(image), -1, -1)
        for layer in self.layers:
            queries = layer(queries, image)
        return torch.cat([self.proj(queries), self.end.expand(len(image), 1, -1)], dim=1)


class Pair(nn.Module):
    """Two modules, of which positions with text go through one, and those with an image through the other."""

    def __init__(self, text: nn.Module) -> None:
        super().__init__()
        self.text, self.image = text, copy.deepcopy(text)
        self.shown: Tensor | None = None
        """Where images are (rows, positions), told anew in every pass; None where all is text."""

    def forward(self, hidden: Tensor) -> Tensor:
        said: Tensor = self.text(hidden)
        # Both everywhere, so that shapes, and with them the last bits, do not depend on where images are.
        if self.shown is None:
            return said
        return torch.where(self.shown.to(said.device)[..., None], self.image(hidden), said)


class Trunk(LlamaModel):
    """Llama's, whose keys, values and norms of layers are others at the positions of an image."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        for layer in cast("Any", self.layers):
            for module, names in (
                (layer, ("input_layernorm", "post_attention_layernorm")),
                (layer.self_attn, ("k_proj", "v_proj")),
            ):
                for name in names:
                    setattr(module, name, Pair(getattr(module, name)))
        self.pairs = [module for module in self.modules() if isinstance(module, Pair)]

    # Its signature is Llama's, which tells what the cache is called.
    @wraps(LlamaModel.forward, assigned=())
    def forward(  # type: ignore[override]
        self, *args: Any, shown: Tensor | None = None, **rest: Any
    ) -> BaseModelOutputWithPast:
        """Llama's; `shown` (rows, positions) says where images are, of which there are none without it."""
        for pair in self.pairs:
            pair.shown = shown
        found: BaseModelOutputWithPast = super().forward(*args, **rest)
        return found


class MplugOwl2(OwnModel):
    """mPLUG-Owl2 with Llama-2."""

    config_class = MplugOwl2Config

    def __init__(self, config: MplugOwl2Config) -> None:
        super().__init__(config)
        self.vision_tower = CLIPVisionModel(config.vision_config)
        self.abstractor = Abstractor(config)
        self.language_model = Trunk(config.text_config)
        cast("Any", self).post_init()

    def see(self, pixel_values: Tensor) -> Tensor:
        hidden = self.vision_tower(pixel_values).last_hidden_state
        found: Tensor = self.abstractor(self.vision_tower.post_layernorm(hidden))
        return found

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        logits_to_keep: int = 0,
        **rest: Any,
    ) -> CausalLMOutputWithPast:
        """As of all the project's own, and the language model is told where images are."""
        if pixel_values is not None:
            rest["shown"] = input_ids == cast("Any", self.config).image_token_id
        return super().forward(input_ids, pixel_values, inputs_embeds, logits_to_keep, **rest)
