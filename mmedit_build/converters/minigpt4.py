"""MiniGPT-4 is a BLIP-2 with a Llama: its four parts, published apart, as one ordinary checkpoint folder.

The vision tower is EVA-CLIP's ViT-g (`eva_vit_g.pth`), the Q-Former that of BLIP-2 Flan-T5-XXL
(`blip2_pretrained_flant5xxl.pth`), the projection MiniGPT-4's own (`pretrained_minigpt4_7b.pth`), and the
language model Vicuna-7B v0 (a folder). Names are those of LAVIS, sizes are read off the tensors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    Blip2Config,
    Blip2ForConditionalGeneration,
    GenerationConfig,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from mmedit_build.checkpoints.weights import load_whole, told
from mmedit_build.converters.published import check_new, digest, filled, new_folder, read_tensors
from mmedit_build.errors import UserError

IMAGE = "<image>"
VISION_HEAD, QFORMER_HEAD = 88, 64
"""Widths of attention heads of ViT-g and of BERT, which no tensor tells."""
VISION_LAYERS = 39
"""LAVIS leaves out what comes after."""
NORM_EPS = 1e-5
"""Of the norm after the vision tower, which in LAVIS is another than within."""
MEAN, DEVIATION = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
TURN = (
    "{{ bos_token }}{% for message in messages %}###Human: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<Img><image></Img> {% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}###Assistant: {% endfor %}"
)
"""How MiniGPT-4 is spoken to, as a chat template."""
_ATTENTION = {"attention.self.": "attention.attention.", "crossattention.self.": "crossattention.attention."}


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of the four parts."""

    vision: Path
    qformer: Path
    projection: Path
    language: Path


def find_parts(paths: Sequence[Path]) -> Parts:
    """Which file is which part, by what is in it."""
    found: dict[str, Path] = {}
    for path in paths:
        kind = "language" if path.is_dir() else _kind(read_tensors(path), path)
        if kind in found:
            raise UserError(f"{found[kind]} and {path} are both the {kind} of a MiniGPT-4: give one of them.")
        found[kind] = path
    if missing := [one for one in ("vision", "qformer", "projection", "language") if one not in found]:
        raise UserError(
            f"No {' and no '.join(missing)} is among the files: give eva_vit_g.pth, "
            "blip2_pretrained_flant5xxl.pth, pretrained_minigpt4_7b.pth and the folder of Vicuna-7B v0."
        )
    return Parts(**found)


def convert(parts: Parts, out: Path, *, image_size: int) -> None:
    """Write the checkpoint folder, in half precision, with a note of what it was made from."""
    check_new(out)
    with told("the language model", str(parts.language), "give the folder of Vicuna-7B v0, with safetensors"):
        language = load_whole(AutoModelForCausalLM, str(parts.language), dtype=torch.float16)
        tokenizer: Any = AutoTokenizer.from_pretrained(parts.language)
    tokenizer.add_tokens([IMAGE], special_tokens=True)
    tokenizer.chat_template = TURN
    language.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    tensors = {name: one for name, one in _renamed(parts, image_size) if one is not None}
    tensors |= {f"language_model.{name}": one for name, one in language.state_dict().items()}
    config = _config(tensors, AutoConfig.from_pretrained(parts.language), image_size, len(tokenizer))
    config.image_token_index = tokenizer.convert_tokens_to_ids(IMAGE)
    model = _model(config, tensors, tokenizer)
    note = json.dumps(_provenance(parts, image_size), indent=1) + "\n"
    side = {"height": image_size, "width": image_size}
    with new_folder(out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        BlipImageProcessorPil(size=side, image_mean=MEAN, image_std=DEVIATION).save_pretrained(folder)
        (folder / "provenance.json").write_text(note, encoding="utf-8")


def _kind(tensors: Mapping[str, Tensor], path: Path) -> str:
    marks = {
        "vision": "patch_embed.proj.weight",
        "qformer": "query_tokens",
        "projection": "llama_proj.weight",
    }
    for kind, mark in marks.items():
        if mark in tensors:
            return kind
    raise UserError(
        f"{path} holds no part of a MiniGPT-4: none of {', '.join(marks.values())} is among its tensors."
    )


# Names


def _renamed(parts: Parts, image_size: int) -> Iterator[tuple[str, Tensor | None]]:
    yield from _vision(read_tensors(parts.vision), image_size)
    for name, tensor in read_tensors(parts.qformer).items():
        yield _of_qformer(name), tensor.half()
    for name, tensor in read_tensors(parts.projection).items():
        if name.startswith("llama_proj."):
            yield name.replace("llama_proj.", "language_projection."), tensor.half()


def _vision(tensors: Mapping[str, Tensor], image_size: int) -> Iterator[tuple[str, Tensor]]:
    head = "vision_model.embeddings."
    yield f"{head}class_embedding", tensors["cls_token"].half()
    patch = tensors["patch_embed.proj.weight"].shape[-1]
    yield f"{head}position_embedding", resized(tensors["pos_embed"].float(), image_size // patch).half()
    for kind in ("weight", "bias"):
        yield f"{head}patch_embedding.{kind}", tensors[f"patch_embed.proj.{kind}"].half()
    names = {"norm1": "layer_norm1", "norm2": "layer_norm2", "attn.proj": "self_attn.projection"}
    for name, tensor in tensors.items():
        inside = re.fullmatch(r"blocks\.(\d+)\.(.+)\.(weight|bias)", name)
        if inside is None or int(inside[1]) >= VISION_LAYERS:
            continue
        own = names.get(inside[2], inside[2].replace("attn.qkv", "self_attn.qkv"))
        yield f"vision_model.encoder.layers.{inside[1]}.{own}.{inside[3]}", tensor.half()
        if inside[2] == "attn.qkv":
            # Keys have no bias; LAVIS keeps the two others apart.
            q, v = (tensors[f"blocks.{inside[1]}.attn.{one}_bias"] for one in "qv")
            bias = torch.cat([q, torch.zeros_like(q), v])
            yield f"vision_model.encoder.layers.{inside[1]}.self_attn.qkv.bias", bias.half()


def resized(positions: Tensor, side: int) -> Tensor:
    """Position embeddings (1, 1 + patches, width) for a square of so many patches a side, as LAVIS does."""
    old = round((positions.shape[1] - 1) ** 0.5)
    if old == side:
        return positions
    first, grid = positions[:, :1], positions[:, 1:]
    square = grid.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    wide = F.interpolate(square, size=(side, side), mode="bicubic", align_corners=False)
    return torch.cat([first, wide.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def _of_qformer(name: str) -> str:
    """The name of a tensor of the Q-Former's file; '' of what is not used."""
    if name == "query_tokens":
        return name
    if name.startswith("ln_vision."):
        return name.replace("ln_vision.", "vision_model.post_layernorm.")
    if name.startswith("Qformer.bert.embeddings.LayerNorm."):
        return name.replace("Qformer.bert.embeddings.LayerNorm.", "qformer.layernorm.")
    inside = re.fullmatch(r"Qformer\.bert\.(encoder\.layer\.\d+\.)(.+)", name)
    if inside is None or inside[2].startswith(("intermediate.", "output.")):
        return ""
    own = inside[2]
    for old, new in _ATTENTION.items():
        if own.startswith(old):
            own = own.replace(old, new, 1)
    return f"qformer.{inside[1]}{own}"


# The folder


def _config(tensors: Mapping[str, Tensor], text: Any, image_size: int, words: int) -> Blip2Config:
    patches = tensors["vision_model.embeddings.patch_embedding.weight"]
    fc1 = tensors["vision_model.encoder.layers.0.mlp.fc1.weight"]
    queries = tensors["query_tokens"]
    middle = tensors["qformer.encoder.layer.0.intermediate_query.dense.weight"]
    layers = {
        part: 1 + max(int(found[1]) for name in tensors if (found := re.match(pattern, name)))
        for part, pattern in (
            ("vision", r"vision_model\.encoder\.layers\.(\d+)\."),
            ("qformer", r"qformer\.encoder\.layer\.(\d+)\."),
        )
    }
    vision = {
        "hidden_size": len(patches),
        "intermediate_size": len(fc1),
        "num_hidden_layers": layers["vision"],
        "num_attention_heads": len(patches) // VISION_HEAD,
        "image_size": image_size,
        "patch_size": patches.shape[-1],
        "layer_norm_eps": 1e-6,
        "post_layernorm_eps": NORM_EPS,
    }
    qformer = {
        "hidden_size": queries.shape[-1],
        "intermediate_size": len(middle),
        "num_hidden_layers": layers["qformer"],
        "num_attention_heads": queries.shape[-1] // QFORMER_HEAD,
        "encoder_hidden_size": len(patches),
        "cross_attention_frequency": 2,
    }
    language = text.to_dict() | {"vocab_size": words, "dtype": "float16"}
    return Blip2Config(
        vision_config=vision,
        qformer_config=qformer,
        text_config=language,
        num_query_tokens=queries.shape[1],
    )


def _model(
    config: Blip2Config, tensors: Mapping[str, Tensor], tokenizer: Any
) -> Blip2ForConditionalGeneration:
    own = {name: one for name, one in tensors.items() if name}
    model: Blip2ForConditionalGeneration = filled(Blip2ForConditionalGeneration, config, own, "MiniGPT-4")
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=stops(tokenizer),
        pad_token_id=tokenizer.eos_token_id,
    )
    return model


def stops(tokenizer: Any) -> list[int]:
    """The tokens that end an answer: the end of a text, and what a next turn begins with."""
    begun = [tokenizer(text, add_special_tokens=False)["input_ids"][0] for text in ("###", "a###")]
    ends = tokenizer("a###", add_special_tokens=False)["input_ids"][1:2]
    return list(dict.fromkeys([tokenizer.eos_token_id, begun[0], *ends]))


def _provenance(parts: Parts, image_size: int) -> dict[str, object]:
    files = {"vision": parts.vision, "qformer": parts.qformer, "projection": parts.projection}
    digests = {part: {"name": path.name, "sha256": digest(path)} for part, path in files.items()}
    return {"model": "MiniGPT-4", "image_size": image_size, "language": parts.language.name, **digests}
