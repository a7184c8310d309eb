"""A tiny mPLUG-Owl2 under its authors' names, and their formulas on it by hand."""

from __future__ import annotations

import math
from typing import Any

import PIL.Image
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPImageProcessor

from mmedit_build.mllm import MLLM, Query
from tests.mmedit_build.converters.test_llama_tokenizer import PIECES
from tests.mmedit_build.mllm.conftest import make_image

WIDTH, LAYERS, HEADS, PATCH, SIDE, QUERIES = 24, 2, 3, 5, 3, 4
SEEN, MIDDLE = 32, 40
"""Width of the language model, and within MLPs."""
TEXT_HEADS = 4
CLOSE = 5e-6
Tensors = dict[str, Tensor]
VISION, ABSTRACTOR = "model.vision_model", "model.visual_abstractor"
CONFIG: dict[str, Any] = {
    "model_type": "mplug_owl2",
    "vocab_size": len(PIECES),
    "hidden_size": SEEN,
    "intermediate_size": MIDDLE,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": TEXT_HEADS,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "rope_scaling": None,
    "visual_config": {
        "visual_model": {
            "hidden_size": WIDTH,
            "intermediate_size": MIDDLE,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "hidden_act": "quick_gelu",
            "image_size": SIDE * PATCH,
            "patch_size": PATCH,
            "layer_norm_eps": 1e-6,
        },
        "visual_abstractor": {
            "num_learnable_queries": QUERIES,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "intermediate_size": MIDDLE,
            "layer_norm_eps": 1e-6,
        },
    },
}


# The published tensors


def drawn(*shape: int, scale: float = 0.3) -> Tensor:
    return scale * torch.randn(shape)


def norm(name: str, width: int) -> Tensors:
    return {f"{name}.weight": 1 + drawn(width), f"{name}.bias": drawn(width)}


def linear(name: str, out: int, into: int) -> Tensors:
    return {f"{name}.weight": drawn(out, into, scale=into**-0.5), f"{name}.bias": drawn(out)}


def vision() -> Tensors:
    found = {f"{VISION}.embeddings.cls_token": drawn(1, 1, WIDTH)}
    found |= {f"{VISION}.embeddings.position_embedding": drawn(1, 1 + SIDE**2, WIDTH)}
    found |= {f"{VISION}.embeddings.patch_embed.weight": drawn(WIDTH, 3, PATCH, PATCH)}
    found |= norm(f"{VISION}.embeddings.pre_layernorm", WIDTH) | norm(f"{VISION}.post_layernorm", WIDTH)
    for n in range(LAYERS):
        name = f"{VISION}.encoder.layers.{n}"
        found |= norm(f"{name}.input_layernorm", WIDTH) | norm(f"{name}.post_attention_layernorm", WIDTH)
        found |= linear(f"{name}.self_attn.query_key_value", 3 * WIDTH, WIDTH)
        found |= linear(f"{name}.self_attn.dense", WIDTH, WIDTH)
        found |= linear(f"{name}.mlp.fc1", MIDDLE, WIDTH) | linear(f"{name}.mlp.fc2", WIDTH, MIDDLE)
    return found


def abstractor() -> Tensors:
    found = {f"{ABSTRACTOR}.query_embeds": drawn(1, QUERIES, WIDTH)}
    found |= {f"{ABSTRACTOR}.vit_eos": drawn(1, 1, SEEN)}
    found |= linear(f"{ABSTRACTOR}.visual_fc", SEEN, WIDTH)
    for n in range(LAYERS):
        name = f"{ABSTRACTOR}.encoder.layers.{n}.crossattention"
        found |= {f"{name}.attention.q_pos_embed": waves(torch.arange(QUERIES), WIDTH)}
        found |= {f"{name}.attention.k_pos_embed": torch.cat([torch.zeros(1, WIDTH), grid()])}
        for one in ("query", "key", "value"):
            found |= linear(f"{name}.attention.{one}", WIDTH, WIDTH)
        for one in ("norm1", "normk", "output.norm2"):
            found |= norm(f"{name}.{one}", WIDTH)
        found |= linear(f"{name}.output.out_proj", WIDTH, WIDTH)
        for one, out, into in (("w1", MIDDLE, WIDTH), ("w2", WIDTH, MIDDLE), ("w3", MIDDLE, WIDTH)):
            found |= linear(f"{name}.output.mlp.{one}", out, into)
        found |= norm(f"{name}.output.mlp.ffn_ln", MIDDLE)
    return found


def waves(places: Tensor, width: int) -> Tensor:
    """Sines and cosines of slower and slower waves."""
    angles = places[:, None] / 10_000 ** (torch.arange(width // 2) / (width / 2))
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def grid() -> Tensor:
    """Half of the width says the column, half the row."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return torch.cat([waves(one.flatten(), WIDTH // 2) for one in (columns, rows)], dim=1)


def language() -> Tensors:
    found = {"model.embed_tokens.weight": drawn(len(PIECES), SEEN, scale=1)}
    found |= {"model.norm.weight": 1 + drawn(SEEN), "lm_head.weight": drawn(len(PIECES), SEEN)}
    for n in range(LAYERS):
        name = f"model.layers.{n}"
        for way in range(2):
            for one in ("input_layernorm", "post_attention_layernorm"):
                found |= {f"{name}.{one}.multiway.{way}.weight": 1 + drawn(SEEN)}
            for one in "kv":
                weight = drawn(SEEN, SEEN, scale=SEEN**-0.5)
                found |= {f"{name}.self_attn.{one}_proj.multiway.{way}.weight": weight}
        for one in "qo":
            found |= {f"{name}.self_attn.{one}_proj.weight": drawn(SEEN, SEEN, scale=SEEN**-0.5)}
        for one, shape in (("gate", (MIDDLE, SEEN)), ("up", (MIDDLE, SEEN)), ("down", (SEEN, MIDDLE))):
            found |= {f"{name}.mlp.{one}_proj.weight": drawn(*shape, scale=shape[1] ** -0.5)}
        found |= {f"{name}.self_attn.rotary_emb.inv_freq": torch.ones(SEEN // TEXT_HEADS // 2)}
    return found


def normed(t: Tensors, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], t[f"{name}.weight"], t[f"{name}.bias"], eps)


def through(t: Tensors, name: str, x: Tensor) -> Tensor:
    return F.linear(x, t[f"{name}.weight"], t.get(f"{name}.bias"))


def attended(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Of queries, keys and values (positions, width)."""
    q, k, v = (one.unflatten(-1, (heads, -1)).transpose(0, 1) for one in (q, k, v))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    scores = scores if mask is None else scores.masked_fill(mask, -math.inf)
    found = scores.softmax(-1) @ v
    return found.transpose(0, 1).flatten(1)


def seen(t: Tensors, pixels: Tensor) -> Tensor:
    """The tower: (1 + patches, width)."""
    start = f"{VISION}.embeddings"
    patches = F.conv2d(pixels, t[f"{start}.patch_embed.weight"], stride=PATCH)[0].flatten(1).mT
    x = torch.cat([t[f"{start}.cls_token"][0], patches]) + t[f"{start}.position_embedding"][0]
    x = normed(t, f"{start}.pre_layernorm", x, 1e-6)
    for n in range(LAYERS):
        name = f"{VISION}.encoder.layers.{n}"
        inner = through(t, f"{name}.self_attn.query_key_value", normed(t, f"{name}.input_layernorm", x, 1e-6))
        # Head by head, and in each the query, the key and the value.
        q, k, v = inner.unflatten(-1, (HEADS, 3, -1)).unbind(2)
        x = x + through(
            t, f"{name}.self_attn.dense", attended(q.flatten(1), k.flatten(1), v.flatten(1), HEADS)
        )
        inner = through(t, f"{name}.mlp.fc1", normed(t, f"{name}.post_attention_layernorm", x, 1e-6))
        x = x + through(t, f"{name}.mlp.fc2", inner * torch.sigmoid(1.702 * inner))
    return normed(t, f"{VISION}.post_layernorm", x, 1e-6)


def asked(t: Tensors, image: Tensor) -> Tensor:
    """The abstractor: (queries + 1, width of the language model)."""
    x = t[f"{ABSTRACTOR}.query_embeds"][0]
    for n in range(LAYERS):
        name = f"{ABSTRACTOR}.encoder.layers.{n}.crossattention"
        own, others = (t[f"{name}.attention.{one}_pos_embed"] for one in "qk")
        x = normed(t, f"{name}.norm1", x)
        values = torch.cat([x, normed(t, f"{name}.normk", image)])
        inner = attended(
            through(t, f"{name}.attention.query", x + own),
            through(t, f"{name}.attention.key", values + torch.cat([own, others])),
            through(t, f"{name}.attention.value", values),
            HEADS,
        )
        x = x + through(t, f"{name}.output.out_proj", inner)
        mlp, y = f"{name}.output.mlp", normed(t, f"{name}.output.norm2", x)
        inner = F.silu(through(t, f"{mlp}.w1", y)) * through(t, f"{mlp}.w3", y)
        x = x + through(t, f"{mlp}.w2", normed(t, f"{mlp}.ffn_ln", inner, 1e-6))
    return torch.cat([through(t, f"{ABSTRACTOR}.visual_fc", x), t[f"{ABSTRACTOR}.vit_eos"][0]])


def by_way(t: Tensors, name: str, shown: Tensor) -> Tensor:
    """For each position the weight of the way that it goes: the first where there is text."""
    return torch.stack([t[f"{name}.multiway.{int(image)}.weight"] for image in shown])


def scaled(weight: Tensor, x: Tensor) -> Tensor:
    return weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)


def turned(x: Tensor) -> Tensor:
    """Rotary positions on (positions, width)."""
    width = SEEN // TEXT_HEADS
    angles = torch.arange(len(x))[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    cos, sin = (one.double().repeat(1, 2)[:, None] for one in (angles.cos(), angles.sin()))
    heads: Tensor = x.unflatten(-1, (TEXT_HEADS, width))
    one, other = heads.chunk(2, dim=-1)
    return (heads * cos + torch.cat([-other, one], dim=-1) * sin).flatten(1)


def spoken(t: Tensors, x: Tensor, shown: Tensor) -> Tensor:
    """The language model: logits (positions, vocabulary)."""
    future = torch.ones(len(x), len(x), dtype=torch.bool).triu(1)
    for n in range(LAYERS):
        name = f"model.layers.{n}"
        inner = scaled(by_way(t, f"{name}.input_layernorm", shown), x)
        q = turned(through(t, f"{name}.self_attn.q_proj", inner))
        k, v = ((by_way(t, f"{name}.self_attn.{one}_proj", shown) @ inner[..., None])[..., 0] for one in "kv")
        x = x + through(t, f"{name}.self_attn.o_proj", attended(q, turned(k), v, TEXT_HEADS, future))
        inner = scaled(by_way(t, f"{name}.post_attention_layernorm", shown), x)
        gate, up = (through(t, f"{name}.mlp.{one}_proj", inner) for one in ("gate", "up"))
        x = x + through(t, f"{name}.mlp.down_proj", F.silu(gate) * up)
    return through(t, "lm_head", scaled(t["model.norm.weight"], x))


def expected(t: Tensors, mllm: MLLM, query: Query, ids: tuple[int, ...]) -> Tensor:
    """Logits at all positions of a row."""
    row = torch.tensor(ids)
    shown = row.eq(mllm._family.image_id)
    x = t["model.embed_tokens.weight"][row.masked_fill(shown, 0)]
    if isinstance(query.image, PIL.Image.Image):
        x[shown] = asked(t, seen(t, pixels(query.image)))
    return spoken(t, x, shown)


def pixels(image: PIL.Image.Image) -> Tensor:
    """As the authors prepare it: a square of the longer side, then what CLIP makes of that."""
    edge = max(image.size)
    side = SIDE * PATCH
    processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    found: Tensor = processor(image.resize((edge, edge)), return_tensors="pt")["pixel_values"]
    return found.double()


WIDE, TALL = make_image(1).resize((40, 16)), make_image(2).resize((18, 33))
ASKED = [
    Query(WIDE, "the cat", "red"),
    Query(TALL, "a red cat is there", "a cat"),
    Query(None, "the red cat", "there"),
]
